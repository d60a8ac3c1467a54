#pragma once

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace tidemark {

/// Refuses a batch that has a record without a key, as a compacted topic must: nothing would ever take such a record out again. `batch` is
/// exactly one whole, validated batch. Errors: corrupt_batch naming the record; decompression_limit.
Status require_keys(ByteView batch);

}  // namespace tidemark
