#include <algorithm>
#include <mutex>
#include <utility>

#include "storage/cleaning.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_swap.h"

/// What the log decides and keeps of cleaning, and the exchange of files.
namespace tidemark::storage {
namespace {

bool may_be_cleaned(const Segment& segment, Offset end, Offset limit, Timestamp appended_until) {
  const std::int64_t last_ms = segment.last_append_ms;
  return segment.frozen() && segment.sealed && !segment.unsynced && !segment.empty() && !segment.held && end <= limit &&
         last_ms != Segment::kUnknownTime && last_ms <= appended_until.time_since_epoch().count();
}

/// The part of a segment's bytes that lies at or above `from`, by offsets.
std::uint64_t bytes_from(const Segment& segment, Offset end, Offset from) {
  if (from <= segment.base) return segment.flushed_bytes;
  if (from >= end) return 0;
  return static_cast<std::uint64_t>(static_cast<double>(segment.flushed_bytes) * static_cast<double>(end - from) /
                                    static_cast<double>(end - segment.base));
}

}  // namespace

CleanableState Log::cleanable(Offset limit, Timestamp appended_until) const {
  CleanableState state;
  state.clean_end = clean_mark_ ? std::max(log_start_, clean_mark_->tried) : log_start_;
  state.past = log_start_;
  if (segments_.empty()) return state;
  bool may = true;
  for (std::size_t i = segment_at(log_start_); i < segments_.size(); ++i) {
    const Segment& segment = *segments_[i];
    const Offset end = segment_end(i);
    if (end > state.clean_end && !segment.empty() && segment.first_append_ms != Segment::kUnknownTime) {
      state.oldest_dirty = Timestamp(std::chrono::milliseconds(segment.first_append_ms.load()));
    }
    may = may && may_be_cleaned(segment, end, limit, appended_until);
    if (!may && state.oldest_dirty) break;
    if (!may) continue;
    const std::uint64_t dirty = bytes_from(segment, end, state.clean_end);
    state.dirty_bytes += dirty;
    state.clean_bytes += segment.flushed_bytes - dirty;
    state.past = end;
    ++state.segments;
  }
  return state;
}

std::unique_ptr<Cleaning> Log::plan_cleaning(CleaningRules rules, Offset limit, Timestamp appended_until) const {
  if (segments_.empty()) return nullptr;
  std::vector<SegmentView> views;
  for (std::size_t i = segment_at(log_start_); i < segments_.size(); ++i) {
    if (!may_be_cleaned(*segments_[i], segment_end(i), limit, appended_until)) break;
    views.push_back(view(i, segments_[i]->base, 0));
  }
  if (views.empty()) return nullptr;
  return std::make_unique<Cleaning>(std::move(rules), directory_, std::move(views), clean_mark_.value_or(CleanMark{}), damage_);
}

bool Log::accept(const SwapPlan& plan) {
  auto at = std::ranges::find(segments_, plan.sources.front().segment);
  for (const SwapPlan::Source& source : plan.sources) {
    if (at == segments_.end() || *at != source.segment) return false;
    ++at;
  }
  for (const SwapPlan::Source& source : plan.sources) source.segment->held = true;
  return true;
}

void Log::apply(SwapPlan&& done) {
  const auto at = std::ranges::find(segments_, done.sources.front().segment);
  CHECK(at != segments_.end());
  for (const SwapPlan::Source& source : done.sources) {
    CHECK(source.segment->held);
    source.segment->held = false;
  }
  *at = done.fresh;
  segments_.erase(std::next(at), std::next(at, static_cast<std::ptrdiff_t>(done.sources.size())));
  files_.indexes().insert(done.fresh, std::move(done.index));
}

void Log::apply(const CleaningSummary& done) {
  if (!done.damage.empty()) add_damage(done.damage);
  if (done.mark.time != Timestamp{}) clean_mark_ = done.mark;
}

Status SwapPlan::execute(FileCache& files) {
  // Nobody loads an index of theirs while names and contents do not agree.
  std::vector<std::unique_lock<std::mutex>> loading;
  std::vector<std::shared_ptr<File>> logs;
  std::vector<Offset> absorbed;
  for (const Source& source : sources) {
    loading.emplace_back(source.segment->loading);
    Result<std::shared_ptr<File>> log = source.segment->open_log(files);
    if (!log) return log.error();
    logs.push_back(*std::move(log));
    if (source.segment->base != fresh->base) absorbed.push_back(source.segment->base);
  }
  if (const Status decided = decide_swap(files.file_system(), directory, fresh->base); !decided) return decided;
  for (std::size_t i = 0; i < sources.size(); ++i) sources[i].segment->retire(std::move(logs[i]), sources[i].index, files);
  return carry_out_swap(files.file_system(), directory, fresh->base, absorbed);
}

void SwapPlan::abandon(FileSystem& files) const { CleanedWriter(files, directory, fresh->base).abandon(); }

}  // namespace tidemark::storage
