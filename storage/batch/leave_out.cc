#include "storage/batch/leave_out.h"

#include "storage/batch/clean_batch.h"

namespace tidemark {

Result<Slice> leave_out_records(ByteView batch, const std::vector<bool>& left_out, const DecompressionLimits& limits) {
  std::size_t next = 0;
  const auto keep = [&](const RecordView&) {
    const std::size_t record = next++;
    return record >= left_out.size() || !left_out[record];
  };
  Result<CleanedBatch> cleaned = clean_batch(batch, keep, std::nullopt, limits);
  if (!cleaned) return std::move(cleaned).error();
  return cleaned->unchanged() ? Slice::copy_of(batch) : std::move(cleaned->batch);
}

}  // namespace tidemark
