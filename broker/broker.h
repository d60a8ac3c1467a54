#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/append_plan.h"
#include "broker/jobs/job.h"
#include "broker/request_context.h"
#include "broker/runtime.h"
#include "broker/topic.h"
#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "storage/file_system.h"
#include "storage/log.h"

/// The engine: topics, partitions, producers, retention; durable, ordered, bounded. No wire format and no socket in it.
///
/// Calls are asynchronous: `done` runs exactly once, on the shard of the caller, possibly before the call returns. Everything a call
/// answers is durable as far as its topic's durability says: no reply shows state that a crash could take back. Calls must be made on a
/// shard of the runtime; requests of one caller for one partition take effect in call order.
namespace tidemark::broker {

template <class T>
using Done = UniqueFunction<void(Result<T>)>;

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  bool operator==(const TopicPartition&) const = default;
};

struct TopicSpec {
  std::string name;
  std::optional<std::int32_t> partitions;  ///< nullopt: num.partitions.
  ConfigMap config;
};

/// Makes a topic's settings anew from what it has. May run more than once and on another shard: it must depend on its argument only.
using ConfigChange = std::function<Result<ConfigMap>(const Topic& now)>;

/// Bounds and defaults of one broker process.
struct BrokerOptions {
  std::string data_directory = "tidemark-data";
  std::int32_t default_partitions = 4;
  std::int32_t partitions_per_topic_max = 10'000;
  TopicConfig topic_defaults;
  std::uint64_t memory_limit_bytes = 512 * 1024 * 1024;
  std::uint64_t tail_cache_bytes = 64 * 1024 * 1024;  ///< Part of the memory limit.
  std::size_t open_files_max = 4096;
  std::uint64_t disk_low_water_bytes = 1024ull * 1024 * 1024;  ///< Appends are refused below; 5 % of the disk if that is less.
  enum class FlushMethod { automatic, fdatasync } flush_method = FlushMethod::automatic;
  std::chrono::milliseconds checkpoint_interval{1000};
  std::uint64_t checkpoint_bytes = 64 * 1024 * 1024;  ///< Per partition; whichever comes first.
  std::chrono::milliseconds retention_interval{30'000};
  std::chrono::milliseconds compaction_interval{15'000};  ///< How often a shard looks for a partition to compact.
  /// What compaction may read and write, all shards together; 0: it does not run.
  std::uint64_t compaction_bytes_per_second = 32 * 1024 * 1024;
  /// How long an empty group whose members assign (Kafka's classic protocol) waits for more of them once the first has come.
  std::chrono::milliseconds group_initial_rebalance_delay{500};
};

struct Appended {
  Offset base_offset;  ///< -1: nothing was stored in the partition; `details` says what became of the records.
  Offset log_start;
  Timestamp append_time{};
  bool duplicate = false;  ///< A retry: nothing was appended, the offset is the first attempt's.
  Durability durability = Durability::fsync;
  std::shared_ptr<const PublishDetails> details = nullptr;  ///< Null: every record got the offset after the one before it.
};

struct AppendOptions {
  /// Look at the record headers of broker/publish_fields.h although the topic's record.headers is off.
  bool obey_headers = false;
};

/// Which records a reader gets (KIP-98).
enum class Isolation : std::uint8_t {
  committed,         ///< Below the last stable offset, without those of aborted transactions and without control records.
  committed_marked,  ///< All batches below the last stable offset, and the list of the aborted ones: the reader leaves them out.
  uncommitted,       ///< All batches below the high watermark.
};

/// A transaction whose records from `first` to its marker count for nothing.
struct AbortedTransaction {
  std::int64_t producer_id = -1;
  Offset first;        ///< Of its first record in the partition.
  Offset marker;       ///< Of the control record that ends it.
  Offset last_stable;  ///< Where the partition was stable up to once it had ended.
  bool operator==(const AbortedTransaction&) const = default;
};

struct ReadRequest {
  Offset from;
  std::size_t bytes_max = 1024 * 1024;    ///< At least one batch comes, even if larger; with 0 none, and no wait.
  std::size_t bytes_min = 1;              ///< Wait until this much is there...
  std::chrono::milliseconds wait_max{0};  ///< ...or this long. 0: answer at once.
  Isolation isolation = Isolation::committed;
};

struct ReadReply {
  /// Whole batches; the first contains `from`, so its first records may lie below. Several slices when they come from the tail cache.
  std::vector<Slice> batches;
  Offset next;  ///< Where to read on; == from when nothing came. May move without a batch: past what the isolation leaves out.
  Offset log_start;
  Offset high_watermark;
  Offset last_stable;
  std::vector<AbortedTransaction> aborted;  ///< Isolation committed_marked: those with records between the first batch and `next`.
};

/// A read of several partitions at once, in the order of their importance.
struct ManyReads {
  struct Read {
    TopicPartition where;
    Offset from;
    std::size_t bytes_max = 1024 * 1024;
  };
  std::vector<Read> reads;
  /// Of all together, as each read's own bound holds for it. One batch may exceed both: the first of the first read that has any.
  std::size_t bytes_max = 8 * 1024 * 1024;
  std::size_t bytes_min = 1;              ///< Wait until this much is there in all partitions together...
  std::chrono::milliseconds wait_max{0};  ///< ...or this long, or until one of the reads has an error.
  Isolation isolation = Isolation::committed;
};

/// A read under way.
class PendingReads {
 public:
  virtual ~PendingReads() = default;
  /// Ends the wait: the answer comes soon, with what is there. No effect once it has come. On the shard that asked.
  virtual void cancel() = 0;
};

enum class OffsetQuery {
  earliest,
  latest,
  timestamp,      ///< The first record with that time or a later one.
  max_timestamp,  ///< The first record with the largest time.
};

struct OffsetAt {
  Offset offset;  ///< The end for a time later than every record: found is false then.
  std::int64_t timestamp_ms = -1;
  bool found = true;
};

/// Where a leader epoch ends: the offset the next one begins at, or the high watermark.
struct EpochEnd {
  std::int32_t epoch = -1;           ///< The largest epoch in the log that is not above the one asked for; -1 if that one is unknown.
  std::optional<Offset> end_offset;  ///< nullopt with epoch -1.
};

struct ProducerIdentity {
  std::int64_t id = -1;
  std::int16_t epoch = 0;
  bool operator==(const ProducerIdentity&) const = default;
};

/// How a partition stands towards compaction.
struct CompactionInfo {
  bool enabled = false;  ///< cleanup.policy says so.
  bool running = false;
  bool due = false;                                ///< It would run now, as soon as the shard has no other partition under way.
  std::string reason;                              ///< Why it would, or why not.
  std::uint64_t clean_bytes = 0, dirty_bytes = 0;  ///< Of what may be compacted now.
  double dirty_ratio = 0;
  Offset clean_end;                               ///< Compacted up to here.
  Offset cleanable_end;                           ///< What lies above may not be compacted yet.
  std::optional<Timestamp> last_time;             ///< Of the last compaction.
  std::optional<Timestamp> next_tombstones_time;  ///< From then on tombstones may go.
  // Counters since start.
  std::uint64_t runs = 0, bytes_read = 0, bytes_written = 0, bytes_freed = 0, records_dropped = 0;
  double seconds = 0;  ///< That runs took, waits for their pace included.
};

struct PartitionInfo {
  std::int32_t partition = 0;
  Offset log_start;
  Offset end;  ///< Staged end.
  Offset high_watermark;
  Offset last_stable;  ///< Where readers of committed records end: the first open transaction, or the high watermark.
  std::uint64_t bytes = 0;
  std::size_t segments = 0;
  std::int32_t leader_epoch = 0;
  std::string state;  ///< "online", or why it does not take appends.
  std::vector<storage::Damage> damage;
  // Counters since start.
  std::uint64_t records_in = 0, bytes_in = 0, records_out = 0, bytes_out = 0, duplicates = 0;
  CompactionInfo compaction;
  std::uint64_t dedup_ids = 0;              ///< Remembered now.
  std::uint64_t dedup_forgotten_early = 0;  ///< Before their window had passed, for want of memory.
};

struct FlushStats {
  std::uint64_t rounds = 0;
  std::uint64_t bytes = 0;
  double p50_ms = 0, p99_ms = 0;
  /// Cumulative histogram of flush duration: upper bound in seconds, count.
  std::vector<std::pair<double, std::uint64_t>> seconds_histogram;
  double seconds_sum = 0;
};

struct BrokerStatus {
  std::string data_directory;
  Uuid cluster_id;
  std::chrono::milliseconds uptime{};
  std::size_t topics = 0, partitions = 0, groups = 0;
  std::uint64_t disk_free_bytes = 0, disk_total_bytes = 0;
  std::optional<std::string> read_only_reason;
  std::uint64_t memory_used_bytes = 0, memory_limit_bytes = 0;
  FlushStats flush;
  std::uint64_t state_log_bytes = 0;
  std::chrono::milliseconds recovery_duration{};
  std::uint64_t recovery_scanned_bytes = 0;
  bool clean_start = false;
};

class Groups;
struct GroupsImpl;
class Queues;
struct QueuesImpl;
class Schedule;
class Entries;
struct EntriesImpl;
class Transactions;
struct TransactionsImpl;

class Broker {
 public:
  /// Blocking; call it off the shards, before any is used. Takes the lock, recovers, and starts the background work. Errors: locked,
  /// foreign_data, disk_full, io_error, corrupt_batch (damaged state log), each naming the file and what to do.
  /// `fatal` is called once, from any thread, when a write or flush has failed: the process must end without acknowledging more.
  static Result<std::unique_ptr<Broker>> open(Runtime& runtime, storage::FileSystem& files, BrokerOptions options,
                                              std::function<void(Error)> fatal);
  ~Broker();

  /// The topics as this shard knows them; own changes are visible once answered.
  std::shared_ptr<const TopicTable> topics() const;
  const BrokerOptions& options() const;
  Uuid cluster_id() const;

  // --- Topics. Errors: topic_exists, invalid_topic_name, invalid_config, unknown_topic (with a suggestion), disk_full.
  void create_topic(const RequestContext& context, TopicSpec spec, Done<std::shared_ptr<const Topic>> done);
  /// The topic that create_topic() would make (without id and revision), or why it would refuse, as this shard sees things now.
  Result<Topic> judge(const TopicSpec& spec) const;
  /// Merges `changes`; an empty value removes the setting.
  void alter_topic(const RequestContext& context, std::string name, ConfigMap changes, Done<std::shared_ptr<const Topic>> done);
  /// The settings become what `change` answers, whose error is answered otherwise; no other change comes in between.
  /// `dry_run`: nothing is changed, the answer is the topic as it would be.
  void alter_topic(const RequestContext& context, std::string name, ConfigChange change, bool dry_run,
                   Done<std::shared_ptr<const Topic>> done);
  void add_partitions(const RequestContext& context, std::string name, std::int32_t total, Done<std::shared_ptr<const Topic>> done);
  void delete_topic(const RequestContext& context, std::string name, Done<void> done);
  /// Moves the log start to `before` (at most the high watermark); answers the new log start once it is durable.
  void trim(const RequestContext& context, TopicPartition where, Offset before, Done<Offset> done);

  // --- Records.
  /// Appends one produced batch, unchanged but for base offset and epoch; answers when it is as durable as the topic asks.
  /// The slice's bytes belong to the broker from here on. Errors: unknown_topic, unknown_partition, corrupt_batch, batch_too_large,
  /// unsupported_compression, decompression_limit, out_of_order_sequence, duplicate_sequence, stale_producer_epoch,
  /// invalid_transaction_state (a transactional batch outside its transaction, or another inside), disk_full, quarantined, overloaded,
  /// shutting_down. Each means: nothing was written.
  void append(const RequestContext& context, TopicPartition where, Slice batch, Done<Appended> done);
  /// The same for a batch whose records may ask for a delay, a time, or to be stored once for each dedup id (broker/publish_fields.h). A
  /// delayed record is answered once it lies durably in the schedule; it gets its offset when it is due. `details` says which these are.
  /// Further errors: invalid_argument naming record, header and rule; overloaded when the schedule is full. If the immediate records
  /// of a batch are stored and the delayed ones are refused, the error has maybe_done; an idempotent producer may just repeat the batch.
  void append(const RequestContext& context, TopicPartition where, Slice batch, AppendOptions options, Done<Appended> done);
  /// Errors: offset_out_of_range (below the log start or above the high watermark; the detail says the range), quarantined, io_error.
  void read(const RequestContext& context, TopicPartition where, ReadRequest request, Done<ReadReply> done);
  /// Answers in the order of the reads; each has its own errors, as read(). A read that the others leave no room for answers without
  /// batches. Nothing stays behind in the partitions once it has answered.
  std::shared_ptr<PendingReads> read_many(const RequestContext& context, ManyReads reads,
                                          UniqueFunction<void(std::vector<Result<ReadReply>>)> done);
  /// `isolation` says what counts as the end.
  void find_offset(const RequestContext& context, TopicPartition where, OffsetQuery query, std::int64_t timestamp_ms, Done<OffsetAt> done,
                   Isolation isolation = Isolation::committed);
  /// The epoch of the partition's records from now on; does not change while the broker runs. 0 for partitions that do not exist.
  std::int32_t leader_epoch(const Uuid& topic, std::int32_t partition) const;
  void end_of_epoch(const RequestContext& context, TopicPartition where, std::int32_t epoch, Done<EpochEnd> done);
  /// A producer id never given out before, on this data directory.
  void init_producer(const RequestContext& context, Done<ProducerIdentity> done);

  // --- Jobs. They run in the broker, over restarts, and never share a chunk of memory with a live reader or writer.
  /// Copies records from one topic into another, each exactly once; answers once the job is durable. With `dry_run` nothing is made: the
  /// answer, with id 0, shows what would be copied. Errors: unknown_topic, invalid_argument (filter, pace, internal target),
  /// offset_out_of_range, overloaded (too many unfinished jobs), disk_full, shutting_down.
  void create_replay(const RequestContext& context, ReplaySpec spec, bool dry_run, Done<JobInfo> done);
  /// By id. Finished jobs are shown for a while: the last 100, at most 7 days.
  void list_jobs(const RequestContext& context, Done<std::vector<JobInfo>> done);
  /// Error not_found.
  void describe_job(const RequestContext& context, JobId id, Done<JobInfo> done);
  /// Answers how the job stands once the change is durable; what is under way is finished first. Doing it twice is fine. Errors:
  /// not_found, conflict (a finished job), disk_full, shutting_down.
  void control_job(const RequestContext& context, JobId id, JobAction action, Done<JobInfo> done);

  // --- Looking.
  void describe(const RequestContext& context, std::string topic, Done<std::vector<PartitionInfo>> done);
  void status(const RequestContext& context, Done<BrokerStatus> done);

  /// Consumer groups; broker/groups/groups.h.
  Groups& groups();
  /// Queue groups; broker/queues/queues.h.
  Queues& queues();
  /// Records that wait for their time; broker/schedule/schedule.h.
  Schedule& schedule();

  /// Partitions seen as streams of entries with ids; broker/entries/entries.h.
  Entries& entries();
  /// Transactions over several partitions and groups; broker/transactions/transactions.h.
  Transactions& transactions();

  /// Refuses new work, answers waiting readers, flushes, checkpoints, writes the clean marker; then `done`, on any thread. Status says
  /// whether the stop was clean. The object may be destroyed after it.
  void stop(Done<void> done);

 private:
  friend struct GroupsImpl;
  friend struct QueuesImpl;
  friend struct EntriesImpl;
  friend struct TransactionsImpl;
  friend class ManyReadsCall;
  friend class PublishCall;
  friend class Schedule;
  struct Impl;
  explicit Broker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidemark::broker
