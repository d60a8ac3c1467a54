#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

/// What is left of a batch.
struct CleanedBatch {
  Slice batch;  ///< Empty when nothing about it changed.
  std::int32_t records = 0;
  bool unchanged() const { return batch.empty(); }
};

/// The batch with only the records that `keep` wants, which is asked once for each, in order. What stays keeps its offset and time; the
/// header keeps producer, sequences, codec and the span of offsets; count, largest time, length and checksum are new. With nothing left
/// it is a header alone, not packed, without a largest time. A batch that keeps everything is unchanged.
///
/// With `delete_horizon_ms` the batch is marked besides (attribute bit 6, KIP-534): its base time becomes the moment from which on its
/// tombstones may go. Left out where a record time is too far from it to be said.
///
/// `batch` is exactly one whole, validated batch. Errors: corrupt_batch, decompression_limit.
Result<CleanedBatch> clean_batch(ByteView batch, const std::function<bool(const RecordView&)>& keep,
                                 std::optional<std::int64_t> delete_horizon_ms = std::nullopt, const DecompressionLimits& limits = {});

/// The batch without its records: what says that a producer's sequence, or the log, had come that far.
Slice empty_batch(const BatchHeader& header);

}  // namespace tidemark
