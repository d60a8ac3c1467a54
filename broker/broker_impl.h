#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/broker.h"
#include "broker/committer.h"
#include "broker/group_floors.h"
#include "broker/jobs/job_manager.h"
#include "broker/memory_budget.h"
#include "broker/metadata_store.h"
#include "broker/partition.h"
#include "broker/producer_holds.h"
#include "broker/schedule/schedule.h"
#include "broker/schedule/scheduler.h"
#include "broker/shard_state.h"
#include "broker/space_guard.h"
#include "storage/data_directory.h"

namespace tidemark::broker {

/// Runs `done` when all parts have reported; starts at one for the part that hands out the others.
struct Countdown {
  std::atomic<std::size_t> left = 1;
  Task done;
  void one_less() {
    if (--left == 0) done();
  }
};

/// A question to one of many partitions.
struct PlaceQuestion {
  PartitionKey where;
  PlaceQuery query;
};

struct Broker::Impl {
  Impl(Runtime& runtime_in, storage::FileSystem& files_in, BrokerOptions options_in, std::function<void(Error)> fatal_in);
  /// After a failed flush the committer still holds work, and the work holds partitions: both go before the shards.
  ~Impl();

  // broker_recovery.cc: what open() does, in order.
  Status recover();
  Status replay(const storage::StateRecord& record);
  Status open_partitions();
  Status open_partition(const std::shared_ptr<const Topic>& topic, std::int32_t partition, bool clean);
  void begin_background_work();

  // broker_topics.cc: changes to topics. All run on the metadata shard and answer there.
  void create(TopicSpec spec, Done<std::shared_ptr<const Topic>> done);
  Result<Topic> judge(const TopicTable& table, const TopicSpec& spec) const;
  void alter(std::string name, ConfigChange change, bool dry_run, Done<std::shared_ptr<const Topic>> done);
  void grow(std::string name, std::int32_t total, Done<std::shared_ptr<const Topic>> done);
  void remove(std::string name, Done<void> done);
  void rename(const std::string& from, const std::string& to, bool only_if_absent, Done<void> done);
  void set_expiry(const std::string& name, std::optional<Timestamp> when, Done<void> done);
  void watch_expiry(bool again);
  void finish_removal(Uuid id, std::int32_t partitions);
  void forget_partitions(Uuid id, std::int32_t partitions);
  Result<std::shared_ptr<const Topic>> recorded_topic(std::string_view name) const;
  void write_topic(std::shared_ptr<const Topic> topic, std::uint64_t expected_revision, std::int32_t partitions_before,
                   Done<std::shared_ptr<const Topic>> done);
  void open_new_partitions(std::shared_ptr<const Topic> topic, std::int32_t from, Done<void> done);
  std::shared_ptr<const TopicTable> build_table() const;
  void install_table(Task done);
  Error unknown_topic(std::string_view name) const;
  Result<std::shared_ptr<const Topic>> decode_topic(std::string_view value, std::uint64_t revision) const;

  // broker.cc
  std::size_t current_shard() const { return access.current_shard(); }
  std::size_t home_of(const PartitionKey& key) const { return access.home_of(key); }
  PartitionServices services(ShardState& shard);
  Result<PartitionKey> resolve(const TopicPartition& where) const;
  void on_shard(std::size_t index, Task task);
  /// Runs `visit` on every shard and then `done` on the calling one.
  void on_all_shards(std::function<void(ShardState&)> visit, Task done);
  /// Finds the partition on its shard and hands the answer back to the calling one.
  template <class T>
  void on_partition(const TopicPartition& where, Done<T> done, UniqueFunction<void(Partition&, Done<T>)> call);
  /// Asks many partitions at once, one hand-over per shard; answers in the order of the questions, on the calling shard. unknown_topic for
  /// partitions that are gone.
  void look_at(std::vector<PlaceQuestion> questions, UniqueFunction<void(std::vector<Result<PlaceReport>>)> done);
  void schedule_checkpoints(ShardState& shard);
  void run_due_checkpoints(ShardState& shard);
  void schedule_retention(ShardState& shard);
  // group_floors.cc
  /// What the groups of all shards still need in partitions of this one; `done` runs here.
  void group_floors(ShardState& shard, FloorQuery query, UniqueFunction<void(Floors)> done);
  void trim_acked(ShardState& shard);         ///< Topics with trim.when.acked: what every group has finished is removed.
  void enforce_retention(ShardState& shard);  ///< Time and size, but for what hold.for keeps.
  void schedule_compaction(ShardState& shard, std::chrono::milliseconds delay);  ///< compaction_schedule.cc
  void compact_next(ShardState& shard);
  void schedule_space_watch();
  void take_snapshots(std::vector<storage::StreamKey> streams);
  void stop_partitions(Done<void> done);
  void stop_groups(Done<void> done);
  void drain_partitions(Done<void> done);
  void checkpoint_everything(Task done);

  Runtime& runtime;
  storage::FileSystem& files;
  const BrokerOptions options;
  const std::function<void(Error)> fatal;
  const SteadyTime started;

  std::unique_ptr<storage::DataDirectory> directory;
  storage::FileCache file_cache;
  SpaceGuard space;
  MemoryBudget staging;
  MemoryBudget dedup;      ///< For the ids of dedup windows.
  MetadataStore metadata;  ///< Metadata shard only, after open().
  std::unique_ptr<Committer> committer;
  ShardStates shards;
  PartitionAccess access{shards};
  ProducerHolds holds;
  JobManager jobs;      ///< Metadata shard only, after open().
  Scheduler scheduler;  ///< Metadata shard only, after open().
  Schedule schedule{*this};
  /// Of partitions whose epoch is not 0. Written by recover(), before any shard looks.
  std::unordered_map<PartitionKey, std::int32_t> leader_epochs;
  std::atomic<bool> stopping = false;

  std::shared_ptr<GroupsImpl> groups_impl;
  std::unique_ptr<Groups> groups;
  std::shared_ptr<QueuesImpl> queues_impl;
  std::unique_ptr<Queues> queues;
  std::shared_ptr<EntriesImpl> entries_impl;
  std::unique_ptr<Entries> entries;
  std::shared_ptr<TransactionsImpl> transactions_impl;
  std::unique_ptr<Transactions> transactions;

  // Work of the metadata shard that goes through other threads; a stop waits for it.
  std::size_t under_way = 0;
  Task idle;
  std::optional<TimerId> space_timer;
  std::optional<TimerId> expiry_timer;
  void begin_work() { ++under_way; }
  void end_work();
  /// `done`, and the end of a piece of work.
  template <class T>
  Done<T> tracked(Done<T> done) {
    begin_work();
    return [this, done = std::move(done)](Result<T> result) mutable {
      done(std::move(result));
      end_work();
    };
  }

  // Producer ids, metadata shard only: given out from a block that was reserved durably.
  std::int64_t next_producer_id = 0;
  std::int64_t producer_ids_end = 0;
  bool reserving_producer_ids = false;
  std::deque<Done<ProducerIdentity>> waiting_producers;
  void give_producer_ids();
  JobServices job_services();
  storage::StateRecord broker_record(storage::StateRecordType type) const;

  // Recovery's findings.
  PartitionStates recovered;
  std::vector<std::shared_ptr<Partition>> restate;  ///< Weak durability: state to be written anew after an unclean stop.
  std::uint64_t starts = 0;
  bool clean_start = false;
  std::uint64_t recovery_scanned_bytes = 0;
  std::chrono::milliseconds recovery_duration{};
};

template <class T>
void Broker::Impl::on_partition(const TopicPartition& where, Done<T> done, UniqueFunction<void(Partition&, Done<T>)> call) {
  Result<PartitionKey> key = resolve(where);
  if (!key) return done(std::move(key).error());
  access.call<T>(*key, where.topic, std::move(done), std::move(call));
}

}  // namespace tidemark::broker
