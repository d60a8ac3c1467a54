#pragma once

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

/// The same batch with its records packed by `codec`: records, times, sequence and attributes stay, length and checksum are new. `batch`
/// is exactly one whole, validated batch. Errors: corrupt_batch, decompression_limit.
Result<Slice> repack_batch(ByteView batch, Codec codec, const DecompressionLimits& limits = {});

}  // namespace tidemark
