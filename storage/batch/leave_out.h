#pragma once

#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

/// The batch without some of its records, as compaction would leave it: the others keep their offsets, the header keeps sequences, codec
/// and the span of offsets, only count, largest time, length and checksum are new. `left_out` has an entry for each record, in their
/// order; leaving out all of them gives a batch of no records. `batch` is exactly one whole, validated batch.
/// Errors: corrupt_batch, decompression_limit.
Result<Slice> leave_out_records(ByteView batch, const std::vector<bool>& left_out, const DecompressionLimits& limits = {});

}  // namespace tidemark
