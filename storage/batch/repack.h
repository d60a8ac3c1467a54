#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

/// The same batch with its records packed by `codec`: records, times, sequence and attributes stay, length and checksum are new. `batch`
/// is exactly one whole, validated batch. Errors: corrupt_batch, decompression_limit.
Result<Slice> repack_batch(ByteView batch, Codec codec, const DecompressionLimits& limits = {});

/// The same batch with only the records whose offsets lie in `wanted` (ascending): these keep their offsets and times, and the batch its
/// range of offsets, as after compaction. What lies behind the last one is not looked at. `batch` is exactly one whole, validated batch.
/// Errors: as repack_batch().
Result<Slice> keep_records(ByteView batch, std::span<const OffsetRange> wanted, const DecompressionLimits& limits = {});
/// The same batch without the records whose offsets lie in `gone` (ascending): what stays keeps offset, time and bytes, the batch its last
/// offset, sequence and codec, as compaction leaves them. Without any record left it is a header with its range of offsets. `batch` is
/// exactly one whole batch, with its offsets. Errors: corrupt_batch, decompression_limit.
Result<Slice> drop_records(ByteView batch, std::span<const OffsetRange> gone, const DecompressionLimits& limits = {});

/// The same for consecutive slices of whole batches: those without such records are passed on as they are, in as few slices as before.
Result<std::vector<Slice>> without_records(const std::vector<Slice>& batches, std::span<const OffsetRange> gone);

/// Sets the maximum timestamp of a whole batch, and the checksum with it.
void set_max_timestamp(MutableBytes batch, std::int64_t time_ms);

}  // namespace tidemark
