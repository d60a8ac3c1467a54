#include "broker/entries/entry_changes.h"

#include <algorithm>
#include <limits>

#include "storage/base/check.h"

namespace tidemark::broker {
namespace {

constexpr Offset kNoEnd{std::numeric_limits<std::int64_t>::max()};

/// Approximate trimming goes by whole nodes.
class Nodes {
 public:
  Nodes(std::uint32_t entries, Offset end) : entries_(std::max<std::int64_t>(entries, 1)), end_(end) {}
  /// Behind the node that holds `offset`.
  Offset end_of(Offset offset) const { return std::min(Offset{(offset.value / entries_ + 1) * entries_}, end_); }

 private:
  const std::int64_t entries_;
  const Offset end_;
};

Offset trim_nodes(const EntryDraft& draft, const EntryTrim& trim, Offset end, Offset min_id_at) {
  const Nodes nodes(trim.node_entries, end);
  std::uint64_t length = draft.length(end);
  std::uint64_t removed = 0;
  Offset start = draft.log_start;
  while (start < end) {
    const bool by_length = trim.kind == EntryTrim::Kind::max_length;
    if (by_length && length <= trim.max_length) break;
    const Offset behind = nodes.end_of(start);
    const std::uint64_t live = draft.live(start, behind);
    if (trim.limit != 0 && removed + live > trim.limit) break;
    if (by_length ? length - live < trim.max_length : behind > min_id_at) break;
    removed += live;
    length -= live;
    start = behind;
  }
  return start;
}

}  // namespace

bool EntryDraft::empty() const { return log_start == start_before && deleted.empty() && !last_id && !max_deleted && !added_minus_end; }

std::uint64_t EntryDraft::live(Offset from, Offset to) const {
  return static_cast<std::uint64_t>(to - from) - before.deleted.count(from, to) - deleted.count(from, to);
}

std::uint64_t EntryDraft::length(Offset end) const {
  CHECK(log_start <= end && deleted.empty());
  // All but what lies outside: the set is large where much was deleted, and this is asked for each trim.
  const std::uint64_t outside = before.deleted.count(start_before, log_start) + before.deleted.count(end, kNoEnd);
  return static_cast<std::uint64_t>(end - log_start) - (before.deleted.count() - outside);
}

Offset trimmed_start(const EntryDraft& draft, const EntryTrim& trim, Offset end, Offset min_id_at) {
  CHECK(draft.log_start <= end);
  if (trim.approximate) return trim_nodes(draft, trim, end, min_id_at);
  if (trim.kind == EntryTrim::Kind::min_id) return std::clamp(min_id_at, draft.log_start, end);
  const std::uint64_t length = draft.length(end);
  if (length <= trim.max_length) return draft.log_start;
  if (trim.max_length == 0) return end;
  return std::min(draft.before.deleted.behind_kept(draft.log_start, length - trim.max_length), end);
}

std::uint64_t trim_singly(EntryDraft& draft, const EntryTrim& trim, Offset end, Offset min_id_at,
                          const std::function<bool(Offset)>& may_go) {
  const Nodes nodes(trim.node_entries, end);
  const bool by_length = trim.kind == EntryTrim::Kind::max_length;
  std::uint64_t length = draft.length(end);
  std::uint64_t removed = 0;
  std::size_t refused = 0;
  Offset at = draft.log_start;
  const auto enough = [&] { return by_length ? length <= trim.max_length : at >= min_id_at; };
  while (at < end && !enough() && refused < kTrimRefusedMax) {
    const Offset behind = nodes.end_of(at);
    const std::uint64_t live = draft.live(at, behind);
    if (trim.limit != 0 && removed + live > trim.limit) break;
    const bool last_node = by_length ? length - live < trim.max_length : behind > min_id_at;
    const std::size_t pages = draft.before.deleted.pages() + draft.deleted.pages();
    if (pages >= kDeletedPagesMax || draft.deleted.count() >= EntryChanges::kDeletesPerRecord) break;
    for (; at < behind && !enough(); at = at + 1) {
      if (draft.gone(at)) continue;
      if (!may_go(at)) {
        ++refused;
        continue;
      }
      draft.deleted.add(at, at + 1);
      --length;
      ++removed;
    }
    close_up(draft);
    if (last_node) break;
  }
  return removed;
}

void close_up(EntryDraft& draft) {
  for (;;) {
    const Offset kept = draft.deleted.first_kept(draft.before.deleted.first_kept(draft.log_start));
    if (kept == draft.log_start) break;
    draft.log_start = kept;
  }
  draft.deleted.forget_below(draft.log_start);
}

void EntryChanges::push(std::shared_ptr<Change> change) {
  waiting_.push_back(std::move(change));
  run();
}

void EntryChanges::run() {
  if (under_way_) return;
  draft_.emplace(begin_());
  while (!waiting_.empty() && waiting_.front()->ready) {
    const std::shared_ptr<Change> next = waiting_.front();
    if ((next->counts && !draft_->deleted.empty()) || draft_->deleted.count() >= kDeletesPerRecord) break;
    waiting_.pop_front();
    if (!next->failed) next->decide(*draft_);
    decided_.push_back(next);
  }
  if (decided_.empty()) return draft_.reset();
  under_way_ = true;
  if (draft_->empty()) return recorded({});
  record_(*draft_, [this](Status status) { recorded(std::move(status)); });
}

void EntryChanges::recorded(Status status) {
  if (!draft_->empty()) apply_(std::move(*draft_), status.has_value());
  draft_.reset();
  std::vector<std::shared_ptr<Change>> answered = std::exchange(decided_, {});
  under_way_ = false;
  for (const std::shared_ptr<Change>& change : answered) change->answer(change->failed ? Status(*change->failed) : status);
  run();
}

}  // namespace tidemark::broker
