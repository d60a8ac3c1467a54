#include "storage/log.h"

#include <algorithm>
#include <utility>

#include "storage/segment.h"

namespace tidemark::storage {
namespace {

constexpr std::uint64_t kReserveStepMin = 64 * 1024;
constexpr std::uint64_t kReserveStepMax = 16 * 1024 * 1024;
/// Segments a read looks into when cleaning left nothing in the ones before.
constexpr std::size_t kSegmentsPerRead = 4;

std::uint64_t rounded_up(std::uint64_t bytes) { return (bytes + kReserveStepMin - 1) / kReserveStepMin * kReserveStepMin; }

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

}  // namespace

Log::Log(FileCache& files, std::string directory, LogConfig config) : files_(files), directory_(std::move(directory)), config_(config) {}
Log::~Log() = default;

std::uint64_t Log::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->flushed_bytes;
  return bytes;
}

void Log::set_leader_epoch(std::int32_t epoch) {
  CHECK(epoch >= leader_epoch_);
  leader_epoch_ = epoch;
}

// --- Appending.

bool Log::must_roll(std::size_t bytes, Timestamp now) const {
  if (segments_.empty()) return true;
  const Segment& active = *segments_.back();
  if (active.ended) return true;
  if (active.empty()) return false;
  return active.staged_bytes + bytes > std::min(config_.segment_bytes, kSegmentBytesMax) ||
         active.staged_end - active.base > kBatchOffsetsMax || now - from_ms(active.first_append_ms) >= config_.segment_age;
}

bool Log::has_space(std::size_t bytes, Timestamp now) const {
  return !creating_ && !must_roll(bytes, now) && segments_.back()->staged_bytes + bytes <= segments_.back()->reserved_bytes;
}

SpacePlan Log::plan_space(std::size_t bytes, Timestamp now) {
  CHECK(!space_planned_);
  CHECK(bytes <= kGroupBytesMax);
  CHECK(!has_space(bytes, now));
  space_planned_ = true;
  SpacePlan plan;
  if (must_roll(bytes, now)) {
    creating_ = true;
    plan.creates = true;
    plan.creates_directory = segments_.empty();
    plan.segment = std::make_shared<Segment>(directory_, end_offset_);
  } else {
    plan.segment = segments_.back();
  }
  const std::uint64_t step = std::clamp(plan.segment->reserve_step * 2, kReserveStepMin, kReserveStepMax);
  const std::uint64_t needed = plan.segment->staged_bytes + bytes;
  const std::uint64_t cap = rounded_up(std::min(config_.segment_bytes, kSegmentBytesMax));
  plan.reserve_to = std::max(rounded_up(needed), std::min(plan.segment->reserved_bytes + step, cap));
  return plan;
}

void Log::apply(SpacePlan&& done) {
  CHECK(space_planned_);
  space_planned_ = false;
  if (done.creates) {
    CHECK(creating_ && done.segment->base == end_offset_);
    creating_ = false;
    if (!segments_.empty()) {
      segments_.back()->ended = true;
      freeze_if_done(*segments_.back());
    }
    segments_.push_back(done.segment);
  }
  done.segment->reserve_step = std::clamp(done.segment->reserve_step * 2, kReserveStepMin, kReserveStepMax);
  done.segment->reserved_bytes = std::max(done.segment->reserved_bytes, done.reserve_to);
}

void Log::abandon(SpacePlan&& failed) {
  CHECK(space_planned_);
  CHECK(creating_ == failed.creates);
  space_planned_ = false;
  creating_ = false;
}

Offset Log::stage(Slice batch, const BatchHeader& header, Timestamp append_time, EntryId first_id) {
  CHECK(!append_error_);
  CHECK(batch.size() == header.size_bytes() && batch.size() <= kGroupBytesMax);
  CHECK(header.last_offset_delta >= 0 && header.last_offset_delta < kBatchOffsetsMax);
  CHECK(!creating_ && !segments_.empty());
  Segment& active = *segments_.back();
  CHECK(!active.ended && active.staged_bytes + batch.size() <= active.reserved_bytes);
  CHECK(active.staged_end == end_offset_);

  // The clock may go back; append times do not, or nothing could be found by them.
  const std::int64_t time_ms = std::max(to_ms(append_time), active.last_append_ms.load());
  if (active.empty()) active.first_append_ms = time_ms;
  active.last_append_ms = time_ms;
  active.max_timestamp_ms = std::max({active.max_timestamp_ms.load(), header.max_timestamp_ms, std::int64_t{-1}});

  const Offset base = end_offset_;
  patch_batch(batch.writable(), base, leader_epoch_);
  end_offset_ = base + header.last_offset_delta + 1;
  active.staged_end = end_offset_;
  active.staged_bytes += batch.size();
  staged_bytes_ += batch.size();
  staged_.push_back({{.bytes = std::move(batch),
                      .base = base,
                      .end = end_offset_,
                      .append_time = from_ms(time_ms),
                      .max_timestamp_ms = header.max_timestamp_ms,
                      .first_id = first_id},
                     segments_.back()});
  return base;
}

WriteGroup Log::take_group(std::size_t bytes_max) {
  CHECK(!in_flight_ && !staged_.empty() && bytes_max <= kGroupBytesMax);
  in_flight_ = true;
  WriteGroup group;
  group.segment = staged_.front().segment;
  group.position = {group.segment->flushed_bytes};
  group.first = staged_.front().batch.base;
  const SegmentIndex& index = group.segment->index;
  // What the newest interval will look like once the batches before are indexed.
  IndexEntry last = index.entries.empty() ? IndexEntry{} : index.entries.back();
  std::size_t entries = index.entries.size();
  group.interval_crc = last.interval_crc;
  while (!staged_.empty() && staged_.front().segment == group.segment) {
    StagedBatch& batch = staged_.front().batch;
    const std::size_t bytes = batch.bytes.size();
    if (!group.batches.empty() && group.bytes + bytes > bytes_max) break;
    batch.starts_interval = entries == 0 || starts_interval(last, entries, batch.append_time);
    if (batch.starts_interval) {
      last = {.first_offset = batch.base, .position = group.position + group.bytes, .append_time = batch.append_time, .first_id = {}};
      ++entries;
    }
    last.bytes += static_cast<std::uint32_t>(bytes);
    group.bytes += bytes;
    group.end = batch.end;
    group.batches.push_back(std::move(batch));
    staged_.pop_front();
  }
  staged_bytes_ -= group.bytes;
  return group;
}

void Log::flushed(WriteGroup&& group, bool synced) {
  CHECK(in_flight_);
  Segment& segment = *group.segment;
  CHECK(group.position.value == segment.flushed_bytes);
  in_flight_ = false;
  for (const StagedBatch& batch : group.batches) {
    std::vector<IndexEntry>& entries = segment.index.entries;
    const std::int64_t max_before = entries.empty() ? -1 : entries.back().max_timestamp_ms;
    if (batch.starts_interval) {
      entries.push_back({.first_offset = batch.base,
                         .position = {segment.flushed_bytes},
                         .append_time = batch.append_time,
                         .max_timestamp_ms = max_before,
                         .first_id = batch.first_id});
    }
    IndexEntry& entry = entries.back();
    entry.bytes += static_cast<std::uint32_t>(batch.bytes.size());
    entry.interval_crc = batch.interval_crc;
    entry.max_timestamp_ms = std::max(entry.max_timestamp_ms, batch.max_timestamp_ms);
    segment.flushed_bytes += batch.bytes.size();
  }
  segment.flushed_end = group.end;
  flushed_offset_ = group.end;
  bytes_since_checkpoint_ += group.bytes;
  if (!synced) segment.unsynced = true;
  freeze_if_done(segment);
}

void Log::freeze_if_done(Segment& segment) {
  if (!segment.frozen() || segment.sealed || segment.pinned) return;
  if (segment.index.covered().value != segment.flushed_bytes) return;  // Taken on trust by recovery: loaded when it is wanted.
  segment.pinned = std::make_shared<const LoadedIndex>(
      LoadedIndex{.index = std::move(segment.index), .log_bytes = segment.flushed_bytes, .end = segment.flushed_end, .damage = {}});
  segment.index = {};
}

// --- Reading.

std::size_t Log::segment_at(Offset offset) const {
  CHECK(!segments_.empty());
  const auto past = std::ranges::upper_bound(segments_, offset, {}, [](const std::shared_ptr<Segment>& segment) { return segment->base; });
  return past == segments_.begin() ? 0 : static_cast<std::size_t>(past - segments_.begin()) - 1;
}

Offset Log::segment_end(std::size_t i) const {
  return i + 1 < segments_.size() && segments_[i]->frozen() ? segments_[i + 1]->base : segments_[i]->flushed_end;
}

SegmentView Log::view(std::size_t i, Offset from, std::size_t bytes_max) const {
  const Segment& segment = *segments_[i];
  SegmentView view{segments_[i], segment.pinned, segment_end(i)};
  if (segment.frozen()) return view;
  // The index still grows: copy the part that such a plan can need.
  auto part =
      std::make_shared<LoadedIndex>(LoadedIndex{.index = {}, .log_bytes = segment.flushed_bytes, .end = segment.flushed_end, .damage = {}});
  const std::vector<IndexEntry>& entries = segment.index.entries;
  std::uint64_t bytes = 0;
  for (std::size_t entry = segment.index.find_offset(from).value_or(0); entry < entries.size(); ++entry) {
    // One more than fits, so that the interval before it knows its end.
    const bool enough = !part->index.entries.empty() && bytes > bytes_max;
    if (enough) {
      part->end = entries[entry].first_offset;
      break;
    }
    part->index.entries.push_back(entries[entry]);
    bytes += entries[entry].bytes;
  }
  view.index = std::move(part);
  return view;
}

ReadPlan Log::plan_read(Offset from, Offset limit, std::size_t bytes_max) const {
  CHECK(log_start_ <= from && from < limit && limit <= flushed_offset_);
  ReadPlan plan{.segments = {}, .from = from, .limit = limit, .bytes_max = bytes_max, .known_damage = {}};
  for (const Damage& damage : damage_) {
    if (damage.to > from && damage.from < limit) plan.known_damage.push_back(damage);
  }
  if (segments_.empty()) return plan;
  const std::size_t first = segment_at(from);
  for (std::size_t i = first; i < segments_.size() && i < first + kSegmentsPerRead && segments_[i]->base < limit; ++i) {
    plan.segments.push_back(view(i, from, bytes_max));
  }
  return plan;
}

TimestampPlan Log::plan_timestamp(std::int64_t time_ms, Offset limit) const {
  CHECK(limit <= flushed_offset_);
  TimestampPlan plan{.segments = {}, .time_ms = time_ms, .log_start = log_start_, .limit = limit};
  if (segments_.empty()) return plan;
  for (std::size_t i = segment_at(log_start_); i < segments_.size() && segments_[i]->base < limit; ++i) {
    const Segment& segment = *segments_[i];
    if (segment.max_timestamp_ms != Segment::kUnknownTime && segment.max_timestamp_ms < time_ms) continue;
    Offset from = log_start_;
    if (!segment.frozen()) {
      const std::optional<std::size_t> entry = segment.index.find_timestamp(time_ms);
      if (!entry) continue;
      from = std::max(from, segment.index.entries[*entry].first_offset);
    }
    plan.segments.push_back(view(i, from, kSegmentBytesMax));
  }
  return plan;
}

std::int64_t Log::max_timestamp_ms() const {
  std::int64_t largest = -1;
  for (const std::shared_ptr<Segment>& segment : segments_) {
    if (segment->frozen())
      largest = std::max(largest, segment->max_timestamp_ms.load());
    else if (!segment->index.entries.empty())  // What is staged has no entry yet.
      largest = std::max(largest, segment->index.entries.back().max_timestamp_ms);
  }
  return largest;
}

void Log::add_damage(const std::vector<Damage>& found) {
  merge_damage(damage_, found);
  if (segments_.empty() || segments_.back()->ended || append_error_) return;
  const auto in_active = std::ranges::find_if(found, [&](const Damage& damage) { return damage.to > segments_.back()->base; });
  // More must not go into a file that lost what was there. Nothing of it is staged away: what has its offsets is still written.
  if (in_active != found.end()) append_error_ = Error{Errc::quarantined, "appends stopped: " + directory_ + "/" + in_active->to_string()};
}

const Damage* Log::damage_at(Offset offset) const { return damage_containing(damage_, offset); }

std::optional<Place> Log::place_of(Offset offset) const {
  PlacePlan plan = plan_place(offset);
  if (!plan.view.index) plan.view.index = plan.view.segment->cached_index();
  if (!plan.view.index) return std::nullopt;
  return plan.in(*plan.view.index);
}

PlacePlan Log::plan_place(Offset offset) const {
  CHECK(log_start_ <= offset && offset < flushed_offset_);
  const std::size_t number = segment_at(offset);
  std::uint64_t bytes_before = 0;
  for (std::size_t i = 0; i < number; ++i) bytes_before += segments_[i]->flushed_bytes;
  return {view(number, offset, 0), offset, bytes_before};
}

bool Log::times_known() const {
  return std::ranges::none_of(segments_,
                              [](const auto& segment) { return segment->frozen() && segment->last_append_ms == Segment::kUnknownTime; });
}

TimesPlan Log::plan_times() const {
  TimesPlan plan;
  for (const auto& segment : segments_) {
    if (segment->frozen() && segment->last_append_ms == Segment::kUnknownTime) plan.segments.push_back(segment);
  }
  return plan;
}

// --- Checkpoints.

CheckpointPlan Log::plan_checkpoint() const {
  CheckpointPlan plan;
  plan.bytes = bytes_since_checkpoint_;
  plan.checkpoint = {flushed_offset_, {}, flushed_offset_, leader_epoch_};
  for (const auto& segment : segments_) {
    if (segment->base > flushed_offset_) break;
    if (segment->unsynced) plan.to_sync.push_back(segment);
    if (segment->frozen() && !segment->sealed && !segment->empty()) plan.to_seal.push_back({segment, segment->pinned, segment->indexed});
    plan.checkpoint.segment_base = segment->base;
    plan.checkpoint.position = {segment->flushed_bytes};
    plan.segment = segment->frozen() ? nullptr : segment;
  }
  if (plan.segment) {
    plan.index_first = plan.segment->indexed;
    const std::vector<IndexEntry>& entries = plan.segment->index.entries;
    plan.index_entries = entries.size() - plan.index_first;
    for (std::size_t i = plan.index_first; i < entries.size(); ++i) encode_index_entry(plan.index_bytes, plan.segment->base, entries[i]);
  }
  return plan;
}

LogCheckpoint Log::apply(CheckpointPlan&& done) {
  bytes_since_checkpoint_ -= done.bytes;
  for (const CheckpointPlan::ToSeal& work : done.to_seal) {
    work.segment->sealed = true;
    if (work.segment->pinned && !work.segment->removed) files_.indexes().insert(work.segment, std::move(work.segment->pinned));
    work.segment->pinned = nullptr;
  }
  // What was written while the plan ran may be unsynced again: only a segment without news is known to be clean.
  for (const auto& segment : done.to_sync) {
    if (segment->frozen() && (segment != done.segment)) segment->unsynced = false;
  }
  // The last entry still grows; the next checkpoint writes it again.
  if (done.segment && done.index_entries > 0) done.segment->indexed = done.index_first + done.index_entries - 1;
  return done.checkpoint;
}

// --- Trim and retention.

Offset Log::retention_start(Timestamp now, std::optional<std::chrono::milliseconds> age, std::optional<std::uint64_t> bytes) const {
  Offset start = log_start_;
  std::uint64_t left = size_bytes();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = *segments_[i];
    if (!segment.frozen() && (i + 1 < segments_.size() || segment.flushed_bytes != segment.staged_bytes)) break;
    const bool last = i + 1 == segments_.size();
    const bool too_much = bytes && !last && left - segment.flushed_bytes >= *bytes;
    const bool too_old =
        age && !segment.empty() && segment.last_append_ms != Segment::kUnknownTime && now - from_ms(segment.last_append_ms) > *age;
    if (!too_much && !too_old) break;
    left -= segment.flushed_bytes;
    start = std::max(start, last ? flushed_offset_ : segments_[i + 1]->base);
  }
  return std::min(start, flushed_offset_);
}

void Log::roll() {
  if (segments_.empty() || segments_.back()->empty()) return;
  segments_.back()->ended = true;
  freeze_if_done(*segments_.back());
}

void Log::set_log_start(Offset start) {
  CHECK(start <= flushed_offset_);
  log_start_ = std::max(log_start_, start);
  std::erase_if(damage_, [this](const Damage& damage) { return damage.to <= log_start_; });
}

std::optional<RemovePlan> Log::take_removable() {
  RemovePlan plan;
  plan.directory = directory_;
  while (!segments_.empty()) {
    const std::shared_ptr<Segment> oldest = segments_.front();
    const bool last = segments_.size() == 1;
    const Offset end = last ? end_offset_ : segments_[1]->base;
    if (!oldest->frozen() || end > log_start_ || (last && oldest->empty())) break;
    if (oldest->held) break;  // Its name is about to change hands: another file would go.
    oldest->removed = true;
    plan.bytes += oldest->flushed_bytes;
    plan.segments.push_back(oldest);
    segments_.pop_front();
    if (last) append_error_.reset();  // The damaged file goes; the next append begins a fresh one.
  }
  if (plan.segments.empty()) return std::nullopt;
  return plan;
}

void Log::check_invariants() const {
  CHECK(log_start_ <= flushed_offset_ && flushed_offset_ <= end_offset_);
  std::size_t staged_bytes = 0;
  Offset expected = flushed_offset_;
  for (const Staged& staged : staged_) {
    CHECK(in_flight_ || staged.batch.base == expected);
    CHECK(staged.batch.end > staged.batch.base && staged.batch.end <= end_offset_);
    expected = staged.batch.end;
    staged_bytes += staged.batch.bytes.size();
  }
  CHECK(staged_bytes == staged_bytes_);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = *segments_[i];
    CHECK(segment.flushed_bytes <= segment.staged_bytes && segment.flushed_end <= segment.staged_end);
    CHECK(segment.base <= segment.flushed_end && segment.directory == directory_ && !segment.removed);
    CHECK(!segment.sealed || segment.frozen());
    CHECK(i + 1 == segments_.size() || segment.ended);
    CHECK(i + 1 == segments_.size() || segment.staged_end <= segments_[i + 1]->base);
    if (segment.frozen()) continue;
    CHECK(segment.index.covered().value == segment.flushed_bytes);
    CHECK(segment.indexed <= segment.index.entries.size());
  }
  if (!segments_.empty()) CHECK(segments_.back()->staged_end <= end_offset_);
  for (const Damage& damage : damage_) CHECK(damage.from < damage.to);
}

}  // namespace tidemark::storage
