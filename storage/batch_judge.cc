#include "storage/batch_judge.h"

#include <algorithm>
#include <optional>

#include "storage/batch/clean_batch.h"
#include "storage/log.h"

namespace tidemark::storage {
namespace {

bool is_tombstone(const RecordView& record) { return record.key && !record.value; }

}  // namespace

BatchJudge::BatchJudge(const CleaningRules& rules, const KeyMap& keys, Offset decided_below)
    : rules_(rules), keys_(keys), decided_below_(decided_below) {}

bool BatchJudge::was_deleted(Offset offset) {
  while (next_deleted_ < rules_.deleted.size() && rules_.deleted[next_deleted_].to <= offset) ++next_deleted_;
  return next_deleted_ < rules_.deleted.size() && rules_.deleted[next_deleted_].from <= offset;
}

bool BatchJudge::horizon_passed(const BatchHeader& header) const {
  return header.has_delete_horizon() && header.base_timestamp_ms <= rules_.now.time_since_epoch().count() && !something_unread_;
}

void BatchJudge::await(std::int64_t horizon_ms) { next_horizon_ms_ = std::min(next_horizon_ms_, horizon_ms); }

BatchJudge::Verdict BatchJudge::without_records(const BatchHeader& header, bool closes_segment) const {
  if (!closes_segment && !rules_.advice->keeps_sequence(header)) return {Fate::drop, {}};
  return {Fate::replace, empty_batch(header)};
}

bool BatchJudge::keeps(const RecordView& record, bool horizon_passed) {
  if (was_deleted(record.offset)) return false;
  if (!rules_.compact || !record.key) return true;
  const std::optional<Offset> newest = keys_.find(*record.key);
  if (newest && *newest > record.offset) return false;
  if (!horizon_passed || !is_tombstone(record) || record.offset >= decided_below_) return true;
  ++counts_.tombstones_dropped;
  return false;
}

BatchJudge::Verdict BatchJudge::judge_marker(const BatchHeader& header, ByteView batch, bool closes_segment) {
  const bool has_data = in_progress_.erase(header.producer_id) > 0;
  if (has_data || something_unread_ || header.base_offset >= decided_below_ || header.record_count == 0) return {};
  if (!rules_.advice->marker_may_go(header.producer_id, header.base_offset)) return {};
  if (horizon_passed(header)) {
    ++counts_.records_dropped;
    return without_records(header, closes_segment);
  }
  if (header.has_delete_horizon()) {
    await(header.base_timestamp_ms);
    return {};
  }
  const std::int64_t horizon_ms = (rules_.now + rules_.tombstone_retention).time_since_epoch().count();
  Result<CleanedBatch> marked = clean_batch(
      batch, [](const RecordView&) { return true; }, horizon_ms);
  if (!marked || marked->unchanged()) return {};
  await(horizon_ms);
  return {Fate::replace, std::move(marked->batch)};
}

Result<BatchJudge::Verdict> BatchJudge::judge(const BatchHeader& header, ByteView batch, bool closes_segment) {
  if (header.is_control()) return judge_marker(header, batch, closes_segment);
  if (header.record_count == 0) {
    const bool stays = closes_segment || rules_.advice->keeps_sequence(header);
    return Verdict{stays ? Fate::keep : Fate::drop, {}};
  }
  if (header.is_transactional() && rules_.advice->is_aborted(header.producer_id, {header.base_offset, header.end_offset()})) {
    counts_.records_dropped += static_cast<std::uint64_t>(header.record_count);
    return without_records(header, closes_segment);
  }
  const bool passed = horizon_passed(header);
  bool tombstones = false;
  const auto keep = [&](const RecordView& record) {
    if (!keeps(record, passed)) return false;
    if (rules_.compact && is_tombstone(record) && record.offset < decided_below_) tombstones = true;
    return true;
  };
  const std::size_t deleted_before = next_deleted_;
  Result<CleanedBatch> cleaned = clean_batch(batch, keep);
  if (!cleaned) return std::move(cleaned).error();
  const std::int64_t horizon_ms =
      header.has_delete_horizon() ? header.base_timestamp_ms : (rules_.now + rules_.tombstone_retention).time_since_epoch().count();
  if (tombstones && !header.has_delete_horizon() && !something_unread_) {
    // Rare enough to take the batch apart twice: now it is known that it needs the mark.
    next_deleted_ = deleted_before;
    Result<CleanedBatch> marked = clean_batch(batch, keep, horizon_ms);
    if (!marked) return std::move(marked).error();
    // Saying times from the horizon takes bytes: a batch at the bound does without, and keeps its tombstones.
    if (marked->batch.size() <= kGroupBytesMax) cleaned = std::move(marked);
  }
  if (tombstones && !something_unread_) await(horizon_ms);
  const auto kept = static_cast<std::uint64_t>(cleaned->records);
  counts_.records_kept += kept;
  counts_.records_dropped += static_cast<std::uint64_t>(header.record_count) - kept;
  if (kept > 0 && header.is_transactional()) in_progress_.insert(header.producer_id);
  if (cleaned->unchanged()) return Verdict{};
  if (kept == 0) return without_records(header, closes_segment);
  // Packing anew may take more room than the producer needed.
  if (cleaned->batch.size() > std::max(kGroupBytesMax, batch.size())) return Verdict{};
  return Verdict{Fate::replace, std::move(cleaned->batch)};
}

}  // namespace tidemark::storage
