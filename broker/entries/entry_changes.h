#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "broker/entries/deleted_offsets.h"
#include "broker/entries/entry_types.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::broker {

/// What readers see of a partition's entries beside the log itself: what the state log says.
struct EntryValues {
  DeletedOffsets deleted;  ///< Above the log start only.
  EntryId last_id;         ///< Of topics with ids; the largest given (flushed) or set.
  EntryId max_deleted;
  std::int64_t added_minus_end = 0;  ///< Entries ever added less the end offset: offsets never used, and what set_id said.
};

/// What the changes that are recorded together do.
struct EntryDraft {
  const EntryValues& before;
  Offset log_start;  ///< Moves forward.
  const Offset start_before;
  DeletedOffsets deleted;  ///< Beside those of `before`.
  std::optional<EntryId> last_id;
  std::optional<EntryId> max_deleted;
  std::optional<std::int64_t> added_minus_end;

  bool empty() const;
  bool gone(Offset offset) const { return offset < log_start || before.deleted.contains(offset) || deleted.contains(offset); }
  EntryId max_deleted_now() const { return max_deleted.value_or(before.max_deleted); }
  /// Entries in [log_start, end). Pre: `deleted` is empty.
  std::uint64_t length(Offset end) const;
  std::uint64_t live(Offset from, Offset to) const;
};

/// Where `trim` moves the log start to, given the entries below `end` and, for min_id, the offset of the first that stays.
/// Pre: draft.deleted is empty, draft.log_start <= end.
Offset trimmed_start(const EntryDraft& draft, const EntryTrim& trim, Offset end, Offset min_id_at);

/// Beyond this many pages with scattered deletes (some 50 MiB) deletes are refused until the log start has passed some.
inline constexpr std::size_t kDeletedPagesMax = 262'144;
/// trim_singly() ends behind so many entries that may not go, so that a shard does not stand still for them.
inline constexpr std::size_t kTrimRefusedMax = 1'000'000;

/// Trims entry by entry what `may_go` lets go: it is asked once for each entry in question, in their order. Approximate trims are exact
/// then, but for their limit, and what may not go does not end the trim (streamTrim() of Redis 8.2). Answers how many go. Ends early where
/// scattered deletes reach their bounds. Pre: as trimmed_start().
std::uint64_t trim_singly(EntryDraft& draft, const EntryTrim& trim, Offset end, Offset min_id_at,
                          const std::function<bool(Offset)>& may_go);
/// The log start moves over what is gone: then files can go.
void close_up(EntryDraft& draft);

/// The changes of one partition in the order in which they were asked for: each waits until it is ready (what it needs to know has been
/// read, what was appended before it is flushed), is then decided against all before it, and answered when it is recorded. One record is
/// under way at a time; what has become ready meanwhile goes together into the next.
class EntryChanges {
 public:
  struct Change {
    bool ready = false;
    bool counts = false;                       ///< Wants to count entries: deletes before it are recorded first.
    std::optional<Error> failed;               ///< Answered with it, at its turn.
    UniqueFunction<void(EntryDraft&)> decide;  ///< Once.
    UniqueFunction<void(Status)> answer;       ///< Once, after decide().
  };
  /// Submits what a draft says, and calls `done` later.
  using Record = std::function<void(const EntryDraft& draft, UniqueFunction<void(Status)> done)>;
  /// The record is done with: if it was `recorded`, what it says is to be seen now.
  using Apply = std::function<void(EntryDraft&& draft, bool recorded)>;
  using Begin = std::function<EntryDraft()>;

  EntryChanges(Begin begin, Record record, Apply apply) : begin_(std::move(begin)), record_(std::move(record)), apply_(std::move(apply)) {}

  /// Further changes are refused beyond this many.
  static constexpr std::size_t kWaitingMax = 65'536;
  /// One record holds few more deletes than this, or those of one change.
  static constexpr std::uint64_t kDeletesPerRecord = 100'000;
  bool full() const { return waiting_.size() >= kWaitingMax; }
  bool idle() const { return waiting_.empty() && !under_way_; }
  void push(std::shared_ptr<Change> change);
  /// Call when a change has become ready.
  void run();

 private:
  void recorded(Status status);

  const Begin begin_;
  const Record record_;
  const Apply apply_;
  std::deque<std::shared_ptr<Change>> waiting_;
  std::vector<std::shared_ptr<Change>> decided_;
  std::optional<EntryDraft> draft_;
  bool under_way_ = false;
};

}  // namespace tidemark::broker
