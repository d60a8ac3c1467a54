#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "broker/broker.h"
#include "broker/committer.h"
#include "broker/entries/partition_entries.h"
#include "broker/memory_budget.h"
#include "broker/partition_state.h"
#include "broker/producer_sessions.h"
#include "broker/space_guard.h"
#include "broker/tail_cache.h"
#include "broker/transactions/open_transactions.h"
#include "broker/transactions/transaction_types.h"
#include "storage/cleaning.h"
#include "storage/log.h"
#include "storage/state_log.h"

namespace tidemark::broker {

/// Bounds the bytes that cold reads of one shard hold at once; further ones wait in order.
class ColdReads {
 public:
  explicit ColdReads(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  void start(std::size_t bytes, Task task);
  void finished(std::size_t bytes);

 private:
  void run_waiting();

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::deque<std::pair<std::size_t, Task>> waiting_;
};

/// A question to a partition about one of its offsets, for lag and seeks.
struct PlaceQuery {
  std::optional<Offset> at;                ///< Where is it?
  std::optional<Offset> and_at;            ///< How many bytes from `at` to this?
  std::optional<std::int64_t> by_time_ms;  ///< Which offset has this record time? Takes the place of `and_at`.
  bool time_known = false;                 ///< The append time of `at` need not be looked up, unless the log start has passed `at`.
};
struct PlaceReport {
  Offset log_start;
  Offset end;                            ///< Last stable offset.
  std::optional<Timestamp> append_time;  ///< Of the first record from `at` on; nullopt at the end.
  bool estimated = false;
  std::optional<Offset> by_time;  ///< The end when no record is that late.
  std::uint64_t bytes = 0;        ///< Between the two, whichever comes first.
  bool quarantined = false;       ///< `at` lies in damage.
};

/// Waits for a partition to have more to read.
class ReadWatcher {
 public:
  virtual ~ReadWatcher() = default;
  virtual void moved() = 0;  ///< On the partition's shard. Must not call the partition.
};

/// What a topic's settings mean to the logs of its partitions.
storage::LogConfig log_config(const TopicConfig& config);

/// Bounds of one compaction.
struct CompactionPace {
  std::uint64_t bytes_per_second = 0;  ///< Read and written; at least 1.
  std::size_t key_map_bytes = 0;
};

/// A compaction under way, for the partition's eyes.
struct CompactionRun {
  CompactionPace pace;
  std::shared_ptr<storage::Cleaning> cleaning;
  UniqueFunction<void(bool finished)> done;
  SteadyTime began;
  std::vector<OffsetRange> deleted;  ///< Records that it removes from the disk because they were deleted.
  std::uint64_t paid = 0;            ///< Work that pauses have been made for.
  std::optional<TimerId> timer;      ///< Set during a pause.
};

/// What a partition works with; all of it outlives the partition.
struct PartitionServices {
  Runtime& runtime;
  Shard& shard;
  Committer& committer;
  storage::FileCache& files;
  TailCache& tails;
  ColdReads& cold_reads;
  SpaceGuard& space;
  MemoryBudget& staging;
  MemoryBudget& dedup;  ///< For the ids of dedup windows.
  const BrokerOptions& options;
  const std::function<void(Error)>& fatal;
};

/// One partition: the log, its producers, its waiting readers and writers. Lives on one shard; only that shard calls it.
///
/// Staged state (offsets, sequences) decides on the next append; readers see the flushed part only. Completions of work under way share
/// ownership, so a closed partition goes away when the last of them is done.
class Partition : public std::enable_shared_from_this<Partition> {
 public:
  Partition(PartitionServices services, PartitionKey key, std::shared_ptr<const Topic> topic, std::unique_ptr<storage::Log> log,
            ProducerSessions producers, Offset reserved_end, EntryValues entries = {});
  ~Partition();

  const PartitionKey& key() const { return key_; }
  const TopicConfig& config() const { return topic_->effective; }
  Offset end_offset() const { return log_->end_offset(); }
  Offset log_start() const { return log_->log_start(); }
  Offset high_watermark() const { return log_->flushed_offset(); }
  std::int32_t leader_epoch() const { return log_->leader_epoch(); }
  Offset last_stable() const { return transactions_.last_stable(log_start(), high_watermark()); }
  /// The end for such a reader.
  Offset end_for(Isolation isolation) const { return isolation == Isolation::uncommitted ? high_watermark() : last_stable(); }
  /// Recovery, before anybody calls: the transactions that log and state log tell of, the checkpoint that is recorded, what was open
  /// there, and what compaction has left nothing of.
  void recovered(OpenTransactions transactions, std::optional<storage::LogCheckpoint> checkpoint,
                 std::vector<OpenTransaction> open_at_checkpoint, Offset aborted_gone_below);
  /// Recovery of a topic with weak durability: the next record gets `offset`, under a new leader epoch; what lies between stays empty.
  void skip_to(Offset offset);
  void append(Slice batch, Done<Appended> done) { append(std::move(batch), nullptr, std::move(done)); }
  /// With a plan, records may be left out; Appended::details says which were duplicates. A batch of which nothing is left is not stored,
  /// and Appended::base_offset is -1, or the first record's if all are duplicates; its sequences count as used, durably. A repeat of a
  /// batch is answered as the batch was, as far as the window still knows.
  void append(Slice batch, std::unique_ptr<AppendPlan> plan, Done<Appended> done);
  /// Whether the producer's session knows the batch with these sequences, flushed or not.
  bool knows_batch(const ProducerIdentity& producer, std::int32_t first_sequence, std::int32_t last_sequence) const;
  /// The same records as entries with ids; what was deleted is known there.
  PartitionEntries& entries() { return entries_; }
  /// Without deleted records: a batch that has any comes packed anew, one that has nothing left as its header.
  void read(ReadRequest request, Done<ReadReply> done);
  /// Whatever lies there: deleted records and headers of removed batches as well. Does not wait.
  void read_raw(ReadRequest request, Done<ReadReply> done);
  /// How many bytes a read from `from` would find, counted up to `enough`; what is not in memory counts as enough. Errors as read().
  Result<std::size_t> available(Offset from, std::size_t enough, Isolation isolation) const;
  /// Calls watcher.moved() whenever the high watermark or the log start moves, and when the partition closes, until it is taken back; at
  /// once if the watermark is not where the caller has `seen` it, or `from` cannot be read any more.
  void watch(Offset from, Offset seen, std::shared_ptr<ReadWatcher> watcher);
  void unwatch(const std::shared_ptr<ReadWatcher>& watcher) { watchers_.erase(watcher); }
  void find_offset(OffsetQuery query, std::int64_t timestamp_ms, Done<OffsetAt> done, Isolation isolation = Isolation::committed);
  /// The bounds, and where `at` lies. Reads the index when it is not in memory.
  void look(const PlaceQuery& query, Done<PlaceReport> done);
  void trim(Offset before, Done<Offset> done);
  /// Whether the batch of this producer with these sequences is here and flushed; only the last five of its epoch are remembered.
  bool holds_batch(const ProducerIdentity& producer, std::int32_t first_sequence, std::int32_t last_sequence) const;
  PartitionInfo describe() const;

  // --- Transactions; broker/transactions/partition_transactions.cc.

  const OpenTransactions& transactions() const { return transactions_; }
  /// The partition has joined the producer's transaction: its batches may come.
  void admit(const ProducerIdentity& producer) { transactions_.admit(producer); }
  /// Appends the marker that ends the producer's transaction, and answers when it is as durable as the topic asks. Where none of its
  /// records came, nothing is written. Errors: as append(), but a disk near its limit still takes markers.
  void end_transaction(const ProducerIdentity& producer, bool commit, std::int32_t coordinator_epoch, Done<void> done);
  std::vector<ProducerActivity> producers() const;

  void set_topic(std::shared_ptr<const Topic> topic);

  /// Records a checkpoint if anything was flushed since the last one; `done` when it is submitted or there is nothing to do.
  void checkpoint(Task done);
  bool wants_checkpoint() const { return log_->bytes_since_checkpoint() > 0; }
  /// Time and size; records from `held` on stay, as far as hold.bytes allows.
  void enforce_retention(std::optional<Offset> held);

  // --- Compaction: partition_compaction.cc. One at a time.
  CompactionInfo compaction() const;
  /// How much it is worth: a larger figure goes first; nullopt when there is nothing to do now. May begin to read what it needs to know.
  std::optional<double> compaction_urgency();
  /// Compacts in steps with pauses between them; `done` when it is over, with false if it was given up. Pre: none is under way.
  void compact(const CompactionPace& pace, UniqueFunction<void(bool finished)> done);
  /// The whole state for the state log, at once or when what is being recorded is known to be.
  void take_snapshot(UniqueFunction<void(std::vector<storage::StateRecord>)> done);

  /// Answers everybody who waits with `reason` and refuses what comes. `drained` runs when no work is under way any more.
  void close(Error reason, Task drained);
  /// Refuses new appends, answers waiting readers, and runs `drained` when all that is staged is flushed.
  void drain(Task drained);

 private:
  friend class PartitionEntries;
  struct PendingAppend {
    Slice batch;
    BatchHeader header;
    std::unique_ptr<AppendPlan> plan;  ///< Null: every record is stored.
    Done<Appended> done;
    std::unique_ptr<PartitionEntries::PendingEntry> entry = nullptr;  ///< In place of the others.
    std::optional<bool> marker = {};                                  ///< Of a transaction: whether it commits.
  };
  /// What a plan comes to now.
  struct Thinned {
    std::vector<bool> left_out;
    std::size_t kept = 0;
    Offset newest_duplicate{-1};
    std::shared_ptr<PublishDetails> details;  ///< Null: no duplicates.
    Slice batch;                              ///< Without what is left out; empty when all records stay or none does.
  };
  struct FlushWaiter {
    Offset end;
    std::size_t bytes;
    Appended answer;
    Done<Appended> done;
  };
  struct ParkedReader {
    std::uint64_t id;
    ReadRequest request;
    Done<ReadReply> done;
    TimerId timer;
  };

  bool weak() const { return config().durability != Durability::fsync; }
  std::string name() const;
  std::optional<Error> append_refusal(std::size_t bytes) const;
  void advance();
  bool stage(PendingAppend& append);
  bool has_room(std::size_t bytes, std::int64_t records, Timestamp now);
  bool answer_repeated(PendingAppend& append);
  Error staging_full() const;
  void stage_filler(Timestamp now);
  // partition_publish.cc
  bool dedup_window_ready();
  void find_dedup_start(Offset from, Offset to, Timestamp since);
  void load_dedup_window(Offset from);
  void note_dedup_ids(ByteView batches, Offset from, Timestamp time);
  Result<Thinned> thin(const PendingAppend& append, Timestamp now);
  void note_staged(const AppendPlan& plan, const Thinned& thinned, Offset base, Timestamp now);
  void stage_nothing(PendingAppend& append, const Thinned& thinned, Timestamp now);
  void answer_repeat(PendingAppend& append, const ProducedBatch& first);
  void answer_when_flushed(Offset end, const Appended& answer, Done<Appended> done);
  void record_session(std::int64_t producer, const Appended& answer, Done<Appended> done);
  void fail_pending(const Error& error);
  void request_space(std::size_t bytes);
  void request_reservation();
  void pump();
  void group_done(storage::WriteGroup&& group);
  void complete_waiters();
  void schedule_interval_flush();
  void flush_written();
  Status check_range(Offset from) const;
  enum class Show { kept, all };
  void serve(ReadRequest request, Done<ReadReply> done, bool may_wait, Show show = Show::kept);
  void deliver(const ReadRequest& request, ReadReply reply, Done<ReadReply> done);
  void answer_read(ReadRequest request, ReadReply reply, Done<ReadReply> done);
  void park(ReadRequest request, Done<ReadReply> done);
  void wake_readers();
  void read_cold(ReadRequest request, Done<ReadReply> done, Show show);
  ReadReply reply_at(Offset next) const;
  /// What the reader gets of the batches found: by its isolation.
  ReadReply reply_with(const ReadRequest& request, std::vector<Slice> batches, Offset next);
  /// Whether the append goes on as far as transactions are concerned; if not, it has been answered.
  bool passes_transactions(PendingAppend& append);
  void count_out(const ReadReply& reply);
  /// About how many offsets `bytes` of the log hold.
  std::int64_t stretch_of(std::size_t bytes) const;
  /// Runs `work` on the disk pool and answers here.
  template <class T>
  void on_disk(UniqueFunction<Result<T>(storage::FileCache&)> work, Done<T> done);
  void start_moved(Offset start);
  void state_settled();
  std::vector<storage::StateRecord> snapshot() const;
  void submit_change(const state::PartitionChange& change, Committer::StateDone done);
  void submit_checkpoint(state::PartitionChange change, OpenTransactions::Snapshot transactions, Task done);
  /// Adds what the recorded checkpoint needs to a snapshot.
  void add_transactions(state::PartitionChange& change, const std::function<void()>& finish_part) const;
  void remove_files();
  /// Records from the log start on: what was deleted does not count.
  std::uint64_t records_until(Offset end) const;
  /// With overflow = refuse, when `more` records from `end` on would be more than max.records.
  std::optional<Error> full_refusal(Offset end, std::int64_t more) const;
  /// With overflow = drop-oldest: the log start moves behind what is too much.
  void drop_surplus();
  void look_up_times(UniqueFunction<void(Status)> done);
  // partition_compaction.cc
  Offset compaction_limit() const;
  void judge_deleted(CompactionInfo& info, const storage::CleanableState& state) const;
  Timestamp compactable_until() const;
  std::shared_ptr<const storage::CleaningAdvice> cleaning_advice() const;
  void compaction_step();
  void compaction_stepped(Result<storage::Cleaning::Next> next);
  void exchange_segments();
  void forget_aborted(const storage::CleaningSummary& summary);
  void pause_compaction();
  void end_compaction(bool finished);
  void look_at_places(std::optional<Offset> at, bool time_known, std::optional<Offset> and_at, PlaceReport report, Done<PlaceReport> done);
  void started() { ++under_way_; }
  void finished();

  PartitionServices services_;
  const PartitionKey key_;
  std::shared_ptr<const Topic> topic_;
  std::unique_ptr<storage::Log> log_;
  ProducerSessions producers_;
  OpenTransactions transactions_;
  std::vector<OpenTransaction> recorded_open_;  ///< Transactions open at the recorded checkpoint.
  Offset aborted_recorded_until_;               ///< Aborted transactions whose markers lie below are in the state log.
  Offset aborted_gone_below_;                   ///< Those are forgotten: compaction has left nothing of them.
  PartitionTail tail_;
  enum class DedupState { unknown, loading, ready } dedup_state_ = DedupState::unknown;
  DedupWindow dedup_;

  std::deque<PendingAppend> pending_;           ///< Validated, waiting for space or a reservation.
  std::deque<FlushWaiter> waiters_;             ///< Staged, in offset order.
  std::vector<FlushWaiter> duplicate_waiters_;  ///< Retries of batches that are still staged.
  std::list<ParkedReader> parked_;
  std::uint64_t next_reader_id_ = 0;
  std::unordered_set<std::shared_ptr<ReadWatcher>> watchers_;
  PartitionEntries entries_;

  bool space_under_way_ = false;
  bool reservation_under_way_ = false;
  std::vector<UniqueFunction<void(std::vector<storage::StateRecord>)>> snapshots_wanted_;
  bool checkpoint_under_way_ = false;
  bool dropping_surplus_ = false;
  std::optional<TimerId> interval_timer_;
  std::vector<std::shared_ptr<storage::File>> unflushed_files_;  ///< Weak durability: written, not flushed.
  Offset reserved_end_;
  std::optional<Offset> skip_to_;  ///< Weak durability, after an unclean start: where the next append goes on.
  std::optional<storage::LogCheckpoint> recorded_checkpoint_;
  std::optional<storage::LogCheckpoint> durable_checkpoint_;
  const SteadyTime opened_;
  std::unique_ptr<CompactionRun> compaction_run_;  ///< The one under way.
  CompactionInfo compacted_;                       ///< Counters only.
  DeletedOffsets erased_;                          ///< Deleted records of which the disk has nothing left, as far as is known.
  std::size_t under_way_ = 0;
  std::optional<Error> closed_;
  Task drained_;

  std::uint64_t records_in_ = 0, bytes_in_ = 0, records_out_ = 0, bytes_out_ = 0, duplicates_ = 0;
};

template <class T>
void Partition::on_disk(UniqueFunction<Result<T>(storage::FileCache&)> work, Done<T> done) {
  started();
  services_.runtime.disk_pool().post([self = shared_from_this(), work = std::move(work), done = std::move(done)]() mutable {
    Result<T> result = work(self->services_.files);
    self->services_.shard.post([self, result = std::move(result), done = std::move(done)]() mutable {
      done(std::move(result));
      self->finished();
    });
  });
}

}  // namespace tidemark::broker
