#pragma once

#include <cstdint>
#include <functional>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

/// The same batch with its records packed by `codec`: records, times, sequence and attributes stay, length and checksum are new. `batch`
/// is exactly one whole, validated batch. Errors: corrupt_batch, decompression_limit.
Result<Slice> repack_batch(ByteView batch, Codec codec, const DecompressionLimits& limits = {});

/// The same batch with only the records for which `keep` answers true, asked in ascending order of offsets: these keep their offsets and
/// times, and the batch its range of offsets, as after compaction. `batch` is exactly one whole, validated batch. Errors: as
/// repack_batch().
Result<Slice> select_records(ByteView batch, const std::function<bool(Offset)>& keep, const DecompressionLimits& limits = {});

/// Sets the maximum timestamp of a whole batch, and the checksum with it.
void set_max_timestamp(MutableBytes batch, std::int64_t time_ms);

}  // namespace tidemark
