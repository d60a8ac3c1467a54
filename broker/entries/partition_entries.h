#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "broker/broker.h"
#include "broker/entries/entry_changes.h"
#include "broker/entries/entry_chunk.h"
#include "broker/entries/entry_types.h"
#include "broker/state.pb.h"
#include "storage/log.h"

namespace tidemark::broker {

class Partition;

/// Waits for an entry; shared by who watches and the partition. Told on the partition's shard, at most once.
class EntryListener {
 public:
  virtual ~EntryListener() = default;
  /// There is an entry behind the id watched. Must not call the partition.
  virtual void entry_is_there() = 0;
};

/// The part of a partition that sees its records as entries: gives ids, gathers entries into batches, keeps deletes, reads by id. Belongs
/// to its partition and runs on its shard; broker/entries/entries.h says what the calls mean.
///
/// Staged are the last id given and the entries gathered; readers see `values`, which flushes and recorded changes move.
class PartitionEntries {
 public:
  PartitionEntries(Partition& partition, EntryValues recovered);
  ~PartitionEntries();

  /// An entry on its way to be staged.
  struct PendingEntry {
    EntryAppend entry;
    std::size_t bytes = 0;  ///< Taken from the staging budget.
    Done<EntryAppended> done;
  };

  // --- What clients ask for.
  void append(EntryAppend entry, Done<EntryAppended> done);
  /// Asked for each id in their order, when the removal is decided, with its place if it is there: false keeps it. May not call back.
  using RemovalJudge = std::function<bool(std::size_t index, const std::optional<EntryPlace>& place)>;
  void remove(std::vector<EntryId> ids, Done<std::vector<bool>> done, RemovalJudge judge = {});
  /// `may_go`: trim_singly().
  void trim(EntryTrim trim, Done<std::uint64_t> done, std::function<bool(Offset)> may_go = {});
  void set_id(EntrySetId values, Done<EntryRefusal> done);
  void read(const EntryRange& range, Done<EntryBatch> done);
  void find(std::vector<EntryId> ids, Done<std::vector<std::optional<EntryPlace>>> done);
  void entry_at(Offset from, Done<std::optional<EntryPlace>> done);
  void offset_of(EntryId id, Done<Offset> done);
  EntryStats stats() const;
  void info(std::uint32_t node_entries, Done<EntryInfo> done);
  void listen(EntryId after, std::shared_ptr<EntryListener> listener);
  void stop_listening(const std::shared_ptr<EntryListener>& listener);

  // --- What the partition needs.
  bool has_ids() const;
  /// Behind all that was appended so far.
  Offset staged_end() const;
  const DeletedOffsets& deleted() const { return values_.deleted; }
  /// The log start moves to `before` (at most the watermark), recorded; in turn with the other changes.
  void move_start(Offset before, Done<Offset> done);
  /// A change of the last id is on its way, and appends must see it.
  bool blocks_appends() const { return set_ids_ > 0; }
  /// False: wait for space or offsets, which are on their way.
  bool stage(PendingEntry& pending);
  /// What was gathered becomes a staged batch. There is space for it.
  void seal();
  /// Ids for a batch that came whole: it may have to be put together anew.
  Result<StampedBatch> stamp(Slice batch, Timestamp now) const;
  void staged(EntryId first, EntryId last, Offset base, Offset end);
  /// The offsets hold no records and never will.
  void never_used(Offset from, Offset to);
  void flushed();
  void closed();
  /// Nothing is being recorded: what describe_state() says is all there is.
  bool settled() const { return !recording_; }
  /// For a checkpoint.
  void describe_state(state::PartitionChange& change) const;

 private:
  struct Gathered;
  struct TrimChange;
  struct SetIdChange;
  struct Recent {
    EntryId first;
    Offset base;
  };
  struct Unflushed {
    Offset end;
    EntryId last;
  };
  struct Listening {
    EntryId after;
    std::shared_ptr<EntryListener> listener;
  };
  /// A walk over entries from an offset on.
  struct Scan {
    Offset at;
    Offset limit;
    std::size_t bytes = 64 * 1024;
    bool with_deleted = false;
    bool one_read = false;                                  ///< Ends after one read, `at` behind what it brought.
    std::function<bool(const EntryWalk::Step&)> visit;      ///< False: enough.
    std::function<void(std::shared_ptr<const void>)> keep;  ///< After the visits of a read, what keeps their bytes. May be empty.
    UniqueFunction<void(Status)> done;
  };
  struct RangeRead;
  struct Search;

  EntryIdMode mode() const;
  EntryId readable_last() const;
  std::size_t gather_bytes_max() const;
  void when_flushed(Offset end, Task task);
  Status refuse_change() const;
  /// A change that holds the partition until it is answered; to be pushed.
  std::shared_ptr<EntryChanges::Change> make_change(UniqueFunction<void(EntryDraft&)> decide, UniqueFunction<void(Status)> answer);
  void ready(const std::shared_ptr<EntryChanges::Change>& change, Status status = {});
  std::shared_ptr<TrimChange> begin_trim(EntryTrim trim, Offset end, Done<std::uint64_t> done);
  void ready(const std::shared_ptr<TrimChange>& trim);
  std::vector<bool> decide_removal(EntryDraft& draft, const std::vector<std::optional<EntryPlace>>& places,
                                   const RemovalJudge& judge) const;
  void decide_set_id(EntryDraft& draft, SetIdChange& change) const;
  void look_up_top(std::shared_ptr<SetIdChange> change);
  EntryDraft begin_draft() const;
  void record(const EntryDraft& draft, UniqueFunction<void(Status)> done);
  void apply(EntryDraft&& draft, bool recorded);
  void show(EntryDraft&& draft);
  // What is added once: partition_entry_once.cc.
  bool once_ready();
  void load_once();
  void once_loaded(Status loaded);
  bool answer_duplicate(PendingEntry& pending, std::uint64_t now_ms);
  void find_batch(EntryId id, Done<Offset> done);
  void scan(std::shared_ptr<Scan> scan);
  void scan_on(std::shared_ptr<Scan> scan);
  void read_forwards(std::shared_ptr<RangeRead> read, Offset from, Offset limit);
  void read_backwards(std::shared_ptr<RangeRead> read, Offset near);
  void search_on(std::shared_ptr<Search> search);

  Partition& partition_;
  EntryValues values_;
  EntryId staged_last_;
  std::unique_ptr<Gathered> gathered_;
  bool advance_posted_ = false;
  std::deque<Recent> recent_;  ///< Newest batches, ascending in both.
  std::deque<Unflushed> unflushed_;
  std::deque<std::pair<Offset, Task>> flush_tasks_;  ///< In order of their offsets.
  EntryChanges changes_;
  std::size_t set_ids_ = 0;
  bool recording_ = false;
  std::list<Listening> listeners_;
  OnceWindow once_;
  enum class OnceState { unknown, loading, ready } once_state_ = OnceState::unknown;
  std::int64_t once_since_ = 0;  ///< What the window was made for.
};

}  // namespace tidemark::broker
