#include "broker/broker.h"

#include <algorithm>
#include <mutex>

#include "broker/broker_impl.h"
#include "broker/entries/entries_impl.h"
#include "broker/epoch_search.h"
#include "broker/groups/groups_impl.h"
#include "broker/many_reads.h"
#include "broker/publish_call.h"
#include "broker/queues/queues_impl.h"
#include "broker/transactions/transactions_impl.h"
#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kCheckpointsAtOnce = 4;  ///< Per shard: checkpoints flush files of their own and must not crowd out commits.
constexpr std::int64_t kProducerIdBlock = 1000;
constexpr std::size_t kMetadataShard = 0;
constexpr std::chrono::milliseconds kSpaceInterval{1000};

ShardStates make_shards(Runtime& runtime, const BrokerOptions& options) {
  ShardStates shards;
  const std::size_t count = runtime.shard_count();
  for (std::size_t i = 0; i < count; ++i) {
    shards.push_back(
        std::make_unique<ShardState>(runtime.shard(i), options.tail_cache_bytes / count, options.memory_limit_bytes / 4 / count));
  }
  return shards;
}

}  // namespace

Broker::Impl::Impl(Runtime& runtime_in, storage::FileSystem& files_in, BrokerOptions options_in, std::function<void(Error)> fatal_in)
    : runtime(runtime_in),
      files(files_in),
      options(std::move(options_in)),
      fatal(std::move(fatal_in)),
      started(runtime.clock().steady()),
      file_cache(files, options.open_files_max),
      space(files, options.data_directory, options.disk_low_water_bytes),
      staging(options.memory_limit_bytes / 2),
      dedup(options.memory_limit_bytes / 8),
      shards(make_shards(runtime, options)),
      jobs(job_services()),
      scheduler(job_services(), options.memory_limit_bytes / 8,
                [this](TopicSpec spec, Done<std::shared_ptr<const Topic>> made) { create(std::move(spec), std::move(made)); }),
      groups_impl(std::make_shared<GroupsImpl>(*this)),
      groups(std::make_unique<Groups>(groups_impl)),
      queues_impl(std::make_shared<QueuesImpl>(*this)),
      queues(std::make_unique<Queues>(queues_impl)),
      entries_impl(std::make_shared<EntriesImpl>(*this)),
      entries(std::make_unique<Entries>(entries_impl)),
      transactions_impl(std::make_shared<TransactionsImpl>(*this)),
      transactions(std::make_unique<Transactions>(transactions_impl)) {}

Broker::Impl::~Impl() { committer.reset(); }

JobServices Broker::Impl::job_services() {
  return {.runtime = runtime,
          .shard = shards[kMetadataShard]->shard,
          .partitions = access,
          .memory = staging,
          .holds = holds,
          .new_producer =
              [this](Done<ProducerIdentity> done) {
                waiting_producers.push_back(std::move(done));
                give_producer_ids();
              },
          .begin_work = [this] { begin_work(); },
          .end_work = [this] { end_work(); }};
}

PartitionServices Broker::Impl::services(ShardState& shard) {
  return {runtime, shard.shard, *committer, file_cache, shard.tails, shard.cold_reads, space, staging, dedup, options, fatal};
}

Result<PartitionKey> Broker::Impl::resolve(const TopicPartition& where) const {
  const Topic* const topic = shards[current_shard()]->topics->find(where.topic);
  if (topic == nullptr) return unknown_topic(where.topic);
  if (where.partition < 0 || where.partition >= topic->partitions) {
    return Error{Errc::unknown_partition, "topic '" + where.topic + "' has partitions 0.." + std::to_string(topic->partitions - 1) +
                                              ", not " + std::to_string(where.partition)};
  }
  return PartitionKey{topic->id, where.partition};
}

void Broker::Impl::on_shard(std::size_t index, Task task) { shards[index]->shard.post(std::move(task)); }

void Broker::Impl::on_all_shards(std::function<void(ShardState&)> visit, Task done) {
  struct Gather {
    std::atomic<std::size_t> left;
    Task done;
  };
  const std::size_t here = current_shard();
  auto gather = std::make_shared<Gather>(shards.size(), std::move(done));
  for (const auto& shard : shards) {
    shard->shard.post([this, here, gather, visit, state = shard.get()] {
      visit(*state);
      if (--gather->left == 0) on_shard(here, [gather] { gather->done(); });
    });
  }
}

void Broker::Impl::look_at(std::vector<PlaceQuestion> questions, UniqueFunction<void(std::vector<Result<PlaceReport>>)> done) {
  struct Gather {
    std::vector<PlaceQuestion> questions;
    std::vector<Result<PlaceReport>> answers;  // Each shard writes its own.
    Countdown countdown;
  };
  const std::size_t here = current_shard();
  auto gather = std::make_shared<Gather>();
  gather->answers.resize(questions.size());
  gather->questions = std::move(questions);
  gather->countdown.left = gather->questions.size() + 1;
  // It holds itself until the last answer.
  gather->countdown.done = [this, here, gather, done = std::move(done)]() mutable {
    on_shard(here, [gather, done = std::move(done)]() mutable {
      gather->countdown.done = nullptr;
      done(std::move(gather->answers));
    });
  };
  std::vector<std::vector<std::size_t>> by_shard(shards.size());
  for (std::size_t i = 0; i < gather->questions.size(); ++i) by_shard[home_of(gather->questions[i].where)].push_back(i);
  for (std::size_t shard = 0; shard < shards.size(); ++shard) {
    if (by_shard[shard].empty()) continue;
    on_shard(shard, [this, shard, gather, numbers = std::move(by_shard[shard])] {
      for (const std::size_t i : numbers) {
        const auto found = shards[shard]->partitions.find(gather->questions[i].where);
        if (found == shards[shard]->partitions.end()) {
          gather->answers[i] = Error{Errc::unknown_topic, "the topic was deleted"};
          gather->countdown.one_less();
          continue;
        }
        found->second->look(gather->questions[i].query, [gather, i](Result<PlaceReport> report) {
          gather->answers[i] = std::move(report);
          gather->countdown.one_less();
        });
      }
    });
  }
  gather->countdown.one_less();
}

// --- Background work.

void Broker::Impl::schedule_checkpoints(ShardState& shard) {
  shard.checkpoint_timer = shard.shard.run_after(options.checkpoint_interval, [this, &shard] {
    if (shard.checkpoints_due.empty()) {
      for (const auto& [key, partition] : shard.partitions) {
        if (partition->wants_checkpoint()) shard.checkpoints_due.push_back(partition);
      }
    }
    run_due_checkpoints(shard);
    schedule_checkpoints(shard);
  });
}

void Broker::Impl::run_due_checkpoints(ShardState& shard) {
  while (shard.checkpoints_under_way < kCheckpointsAtOnce && !shard.checkpoints_due.empty()) {
    const std::shared_ptr<Partition> partition = shard.checkpoints_due.front().lock();
    shard.checkpoints_due.pop_front();
    if (!partition) continue;
    ++shard.checkpoints_under_way;
    partition->checkpoint([this, &shard] {
      --shard.checkpoints_under_way;
      run_due_checkpoints(shard);
    });
  }
}

void Broker::Impl::schedule_retention(ShardState& shard) {
  shard.retention_timer = shard.shard.run_after(options.retention_interval, [this, &shard] {
    enforce_retention(shard);
    trim_acked(shard);
    schedule_retention(shard);
  });
}

void Broker::Impl::schedule_space_watch() {
  space_timer = shards[kMetadataShard]->shard.run_after(kSpaceInterval, [this] {
    space_timer.reset();
    begin_work();
    runtime.disk_pool().post([this] {
      space.look();
      on_shard(kMetadataShard, [this] {
        if (!stopping) schedule_space_watch();
        end_work();
      });
    });
  });
}

void Broker::Impl::end_work() {
  CHECK(under_way > 0);
  if (--under_way == 0 && idle) std::exchange(idle, {})();
}

/// Streams whose live records hold up the state log's oldest file: their owners restate them at its end.
void Broker::Impl::take_snapshots(std::vector<storage::StreamKey> streams) {
  if (stopping) return;  // The log is about to end, and with it whoever would answer.
  for (const storage::StreamKey& stream : streams) {
    const std::optional<PartitionKey> key = PartitionKey::from_stream(stream);
    const bool of_group = stream.kind == storage::StreamKind::group;
    const bool of_queue = stream.kind == storage::StreamKind::group_partition;
    const bool of_transaction = stream.kind == storage::StreamKind::transaction;
    const std::size_t home = key              ? home_of(*key)
                             : of_group       ? groups_impl->home_of(stream.id)
                             : of_queue       ? queues_impl->home_of(stream)
                             : of_transaction ? transactions_impl->home_of(stream.id)
                                              : kMetadataShard;
    on_shard(home, [this, home, key, stream] {
      const auto submit = [this, home](std::vector<storage::StateRecord> records) {
        committer->submit(std::move(records), shards[home]->shard, [](Status recorded) {
          if (!recorded) log_warn("state log: a snapshot was not taken: " + recorded.error().to_string());
        });
      };
      std::vector<storage::StateRecord> records;
      if (key) {
        const auto found = shards[home]->partitions.find(*key);
        if (found != shards[home]->partitions.end()) {
          return found->second->take_snapshot(submit);
        } else if (shards[home]->topics->by_id.find(key->topic) == shards[home]->topics->by_id.end()) {
          records.push_back({stream, storage::StateRecordType::deleted, true, 0, {}});
        }
      } else if (stream.kind == storage::StreamKind::group) {
        records = groups_impl->snapshot(home, stream);
      } else if (stream.kind == storage::StreamKind::group_partition) {
        records = queues_impl->snapshot(home, stream);
      } else if (stream.kind == storage::StreamKind::transaction) {
        records = transactions_impl->snapshot(home, stream);
      } else if (stream.kind == storage::StreamKind::metadata) {
        records = metadata.snapshot();
      } else if (stream.kind == storage::StreamKind::job) {
        records = Scheduler::owns(stream) ? scheduler.snapshot() : jobs.snapshot(stream);
      } else if (stream.kind == storage::StreamKind::broker) {
        records.push_back(broker_record(storage::StateRecordType::snapshot));
      }
      if (!records.empty()) submit(std::move(records));
    });
  }
}

// --- The public face.

Broker::Broker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Broker::~Broker() = default;

Result<std::unique_ptr<Broker>> Broker::open(Runtime& runtime, storage::FileSystem& files, BrokerOptions options,
                                             std::function<void(Error)> fatal) {
  auto impl = std::make_unique<Impl>(runtime, files, std::move(options), std::move(fatal));
  if (Status recovered = impl->recover(); !recovered) return std::move(recovered).error();
  impl->begin_background_work();
  return std::unique_ptr<Broker>(new Broker(std::move(impl)));
}

std::shared_ptr<const TopicTable> Broker::topics() const { return impl_->shards[impl_->current_shard()]->topics; }
const BrokerOptions& Broker::options() const { return impl_->options; }
Schedule& Broker::schedule() { return impl_->schedule; }
Groups& Broker::groups() { return *impl_->groups; }
Queues& Broker::queues() { return *impl_->queues; }
Entries& Broker::entries() { return *impl_->entries; }
Transactions& Broker::transactions() { return *impl_->transactions; }
Uuid Broker::cluster_id() const { return impl_->directory->cluster_id(); }

namespace {

/// Brings an answer back to the shard that asked.
template <class T>
Done<T> answer_on(Shard& shard, Done<T> done) {
  return [shard = &shard, done = std::move(done)](Result<T> result) mutable {
    shard->post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  };
}

}  // namespace

void Broker::create_topic(const RequestContext&, TopicSpec spec, Done<std::shared_ptr<const Topic>> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), spec = std::move(spec), answer = std::move(answer)]() mutable {
    if (impl->stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    impl->create(std::move(spec), impl->tracked(std::move(answer)));
  });
}

Result<Topic> Broker::judge(const TopicSpec& spec) const { return impl_->judge(*topics(), spec); }

void Broker::alter_topic(const RequestContext& context, std::string name, ConfigMap changes, Done<std::shared_ptr<const Topic>> done) {
  const auto merge = [changes = std::move(changes)](const Topic& now) -> Result<ConfigMap> {
    ConfigMap merged = now.config;
    for (const auto& [key, value] : changes) {
      if (value.empty())
        merged.erase(key);
      else
        merged[key] = value;
    }
    return merged;
  };
  alter_topic(context, std::move(name), merge, false, std::move(done));
}

void Broker::alter_topic(const RequestContext&, std::string name, ConfigChange change, bool dry_run,
                         Done<std::shared_ptr<const Topic>> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard,
                  [impl = impl_.get(), name = std::move(name), change = std::move(change), dry_run, answer = std::move(answer)]() mutable {
                    if (impl->stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
                    impl->alter(std::move(name), std::move(change), dry_run, impl->tracked(std::move(answer)));
                  });
}

void Broker::add_partitions(const RequestContext&, std::string name, std::int32_t total, Done<std::shared_ptr<const Topic>> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), name = std::move(name), total, answer = std::move(answer)]() mutable {
    if (impl->stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    impl->grow(std::move(name), total, impl->tracked(std::move(answer)));
  });
}

namespace {

/// What waits in the schedule would be lost, or come to nobody knows where.
std::optional<Error> refuse_schedule(std::string_view topic) {
  if (topic != kScheduleTopic) return std::nullopt;
  return Error{Errc::invalid_argument, "topic '" + std::string(topic) + "' is the broker's own; see `schedule ls` and `schedule cancel`"};
}

}  // namespace

void Broker::delete_topic(const RequestContext&, std::string name, Done<void> done) {
  if (auto refusal = refuse_schedule(name)) return done(*std::move(refusal));
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), name = std::move(name), answer = std::move(answer)]() mutable {
    if (impl->stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    impl->remove(std::move(name), impl->tracked(std::move(answer)));
  });
}

void Broker::trim(const RequestContext&, TopicPartition where, Offset before, Done<Offset> done) {
  if (auto refusal = refuse_schedule(where.topic)) return done(*std::move(refusal));
  impl_->on_partition<Offset>(where, std::move(done),
                              [before](Partition& partition, Done<Offset> answer) { partition.trim(before, std::move(answer)); });
}

void Broker::append(const RequestContext& context, TopicPartition where, Slice batch, Done<Appended> done) {
  append(context, std::move(where), std::move(batch), AppendOptions(), std::move(done));
}

void Broker::append(const RequestContext&, TopicPartition where, Slice batch, AppendOptions options, Done<Appended> done) {
  if (impl_->stopping) return done(Error{Errc::shutting_down, "the broker is stopping"});
  if (auto refusal = refuse_schedule(where.topic)) return done(*std::move(refusal));
  const Topic* const topic = topics()->find(where.topic);
  const bool obeys = topic != nullptr && (options.obey_headers || topic->effective.record_headers) && !is_internal_topic(where.topic);
  if (obeys) return PublishCall::begin(*impl_, std::move(where), std::move(batch), std::move(done));
  impl_->on_partition<Appended>(where, std::move(done), [batch = std::move(batch)](Partition& partition, Done<Appended> answer) mutable {
    partition.append(std::move(batch), std::move(answer));
  });
}

void Broker::read(const RequestContext&, TopicPartition where, ReadRequest request, Done<ReadReply> done) {
  impl_->on_partition<ReadReply>(where, std::move(done),
                                 [request](Partition& partition, Done<ReadReply> answer) { partition.read(request, std::move(answer)); });
}

std::shared_ptr<PendingReads> Broker::read_many(const RequestContext&, ManyReads reads,
                                                UniqueFunction<void(std::vector<Result<ReadReply>>)> done) {
  return ManyReadsCall::begin(*impl_, std::move(reads), std::move(done));
}

std::int32_t Broker::leader_epoch(const Uuid& topic, std::int32_t partition) const {
  const auto found = impl_->leader_epochs.find({topic, partition});
  return found == impl_->leader_epochs.end() ? 0 : found->second;
}

void Broker::end_of_epoch(const RequestContext&, TopicPartition where, std::int32_t epoch, Done<EpochEnd> done) {
  impl_->on_partition<EpochEnd>(where, std::move(done), [epoch](Partition& partition, Done<EpochEnd> answer) {
    find_epoch_end(partition.shared_from_this(), epoch, std::move(answer));
  });
}

void Broker::find_offset(const RequestContext&, TopicPartition where, OffsetQuery query, std::int64_t timestamp_ms, Done<OffsetAt> done,
                         Isolation isolation) {
  impl_->on_partition<OffsetAt>(where, std::move(done), [query, timestamp_ms, isolation](Partition& partition, Done<OffsetAt> answer) {
    partition.find_offset(query, timestamp_ms, std::move(answer), isolation);
  });
}

void Broker::init_producer(const RequestContext&, Done<ProducerIdentity> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), answer = std::move(answer)]() mutable {
    impl->waiting_producers.push_back(std::move(answer));
    impl->give_producer_ids();
  });
}

void Broker::create_replay(const RequestContext&, ReplaySpec spec, bool dry_run, Done<JobInfo> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), spec = std::move(spec), dry_run, answer = std::move(answer)]() mutable {
    if (impl->stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    impl->jobs.create(std::move(spec), dry_run, impl->tracked(std::move(answer)));
  });
}

void Broker::list_jobs(const RequestContext&, Done<std::vector<JobInfo>> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), answer = std::move(answer)]() mutable { answer(impl->jobs.list()); });
}

void Broker::describe_job(const RequestContext&, JobId id, Done<JobInfo> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), id, answer = std::move(answer)]() mutable { answer(impl->jobs.describe(id)); });
}

void Broker::control_job(const RequestContext&, JobId id, JobAction action, Done<JobInfo> done) {
  auto answer = answer_on(impl_->shards[impl_->current_shard()]->shard, std::move(done));
  impl_->on_shard(kMetadataShard, [impl = impl_.get(), id, action, answer = std::move(answer)]() mutable {
    if (impl->stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    impl->jobs.control(id, action, impl->tracked(std::move(answer)));
  });
}

storage::StateRecord Broker::Impl::broker_record(storage::StateRecordType type) const {
  state::BrokerChange change;
  change.set_starts(starts);
  change.set_producer_ids_end(producer_ids_end);
  storage::StateRecord record{.stream = {storage::StreamKind::broker, ""}, .type = type, .last_part = true, .sequence = 0, .payload = {}};
  record.payload.resize(change.ByteSizeLong());
  CHECK(change.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

void Broker::Impl::give_producer_ids() {
  while (!waiting_producers.empty() && next_producer_id < producer_ids_end && !reserving_producer_ids) {
    Done<ProducerIdentity> done = std::move(waiting_producers.front());
    waiting_producers.pop_front();
    done(ProducerIdentity{next_producer_id++, 0});
  }
  if (waiting_producers.empty() || reserving_producer_ids) return;
  reserving_producer_ids = true;
  producer_ids_end = std::max(next_producer_id, producer_ids_end) + kProducerIdBlock;
  std::vector<storage::StateRecord> records;
  records.push_back(broker_record(storage::StateRecordType::snapshot));
  committer->submit(std::move(records), shards[kMetadataShard]->shard, [this](Status recorded) {
    reserving_producer_ids = false;
    if (recorded) return give_producer_ids();
    producer_ids_end = next_producer_id;
    std::deque<Done<ProducerIdentity>> failed = std::exchange(waiting_producers, {});
    for (Done<ProducerIdentity>& done : failed) done(recorded.error());
  });
}

void Broker::describe(const RequestContext&, std::string topic_name, Done<std::vector<PartitionInfo>> done) {
  const Topic* const topic = topics()->find(topic_name);
  if (topic == nullptr) return done(impl_->unknown_topic(topic_name));
  struct Gather {
    std::mutex mutex;  // Shards report side by side; never held over a call.
    std::vector<PartitionInfo> infos;
  };
  auto gather = std::make_shared<Gather>();
  impl_->on_all_shards(
      [impl = impl_.get(), gather, id = topic->id, partitions = topic->partitions](ShardState& shard) {
        std::vector<PartitionInfo> infos;
        for (std::int32_t p = 0; p < partitions; ++p) {
          const PartitionKey key{id, p};
          if (impl->home_of(key) != shard.shard.index()) continue;
          const auto found = shard.partitions.find(key);
          if (found != shard.partitions.end()) infos.push_back(found->second->describe());
        }
        const std::lock_guard lock(gather->mutex);
        std::ranges::move(infos, std::back_inserter(gather->infos));
      },
      [gather, done = std::move(done)]() mutable {
        std::ranges::sort(gather->infos, {}, &PartitionInfo::partition);
        done(std::move(gather->infos));
      });
}

void Broker::status(const RequestContext&, Done<BrokerStatus> done) {
  BrokerStatus status;
  const auto topics = this->topics();
  status.data_directory = impl_->options.data_directory;
  status.cluster_id = cluster_id();
  status.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(impl_->runtime.clock().steady() - impl_->started);
  status.topics = topics->by_name.size();
  for (const auto& [name, topic] : topics->by_name) status.partitions += static_cast<std::size_t>(topic->partitions);
  status.disk_free_bytes = impl_->space.free_bytes();
  status.disk_total_bytes = impl_->space.total_bytes();
  status.read_only_reason = impl_->space.reason();
  status.memory_limit_bytes = impl_->options.memory_limit_bytes;
  status.flush = impl_->committer->stats();
  status.state_log_bytes = impl_->committer->state_log_bytes();
  status.recovery_duration = impl_->recovery_duration;
  status.recovery_scanned_bytes = impl_->recovery_scanned_bytes;
  status.clean_start = impl_->clean_start;
  struct Sums {
    std::atomic<std::size_t> tail_bytes = 0, groups = 0;
  };
  auto sums = std::make_shared<Sums>();
  impl_->on_all_shards(
      [impl = impl_.get(), sums](ShardState& shard) {
        sums->tail_bytes += shard.tails.bytes();
        sums->groups +=
            impl->groups_impl->shards[shard.shard.index()].by_name.size() + impl->queues_impl->homed_groups(shard.shard.index());
      },
      [impl = impl_.get(), sums, status = std::move(status), done = std::move(done)]() mutable {
        status.memory_used_bytes = sums->tail_bytes + impl->staging.used() + impl->dedup.used();
        status.groups = sums->groups;
        done(std::move(status));
      });
}

// --- Stopping.

void Broker::stop(Done<void> done) {
  Impl* const impl = impl_.get();
  impl->stopping = true;
  impl->on_shard(kMetadataShard, [impl, done = std::move(done)]() mutable {
    if (impl->expiry_timer) impl->shards[kMetadataShard]->shard.cancel(*std::exchange(impl->expiry_timer, std::nullopt));
    if (impl->space_timer) impl->shards[kMetadataShard]->shard.cancel(*std::exchange(impl->space_timer, std::nullopt));
    impl->jobs.stop();
    impl->scheduler.stop();
    // Changes to topics first: they make and close partitions. And chunks of jobs: they append.
    impl->begin_work();
    impl->idle = [impl, done = std::move(done)]() mutable { impl->stop_partitions(std::move(done)); };
    impl->end_work();
  });
}

/// Ends what transactions and groups have under way, drains every partition, then checkpoints them, then ends the state log and writes the
/// marker.
void Broker::Impl::stop_partitions(Done<void> done) {
  // Their markers go to groups and partitions, which must still be there.
  auto transactions_done = std::make_shared<Countdown>();
  transactions_done->done = [this, done = std::move(done)]() mutable {
    on_shard(kMetadataShard, [this, done = std::move(done)]() mutable { stop_groups(std::move(done)); });
  };
  transactions_done->left += shards.size();
  on_all_shards(
      [this, transactions_done](ShardState& shard) {
        transactions_impl->drain(shard.shard.index(), [transactions_done] { transactions_done->one_less(); });
      },
      [transactions_done] { transactions_done->one_less(); });
}

void Broker::Impl::stop_groups(Done<void> done) {
  auto groups_done = std::make_shared<Countdown>();
  groups_done->done = [this, done = std::move(done)]() mutable {
    on_shard(kMetadataShard, [this, done = std::move(done)]() mutable { drain_partitions(std::move(done)); });
  };
  groups_done->left += 2 * shards.size();
  on_all_shards(
      [this, groups_done](ShardState& shard) {
        groups_impl->drain(shard.shard.index(), [groups_done] { groups_done->one_less(); });
        queues_impl->drain(shard.shard.index(), [groups_done] { groups_done->one_less(); });
      },
      [groups_done] { groups_done->one_less(); });
}

void Broker::Impl::drain_partitions(Done<void> done) {
  auto drain = std::make_shared<Countdown>();
  drain->done = [this, done = std::move(done)]() mutable {
    // On whichever shard drained last.
    on_shard(kMetadataShard, [this, done = std::move(done)]() mutable {
      checkpoint_everything([this, done = std::move(done)]() mutable {
        runtime.committer().post([this, done = std::move(done)]() mutable {
          const Result<storage::StateLogPosition> end = committer->finish();
          if (!end) return done(end.error());
          done(directory->write_clean_marker(*end));
        });
      });
    });
  };
  on_all_shards(
      [drain](ShardState& shard) {
        if (shard.checkpoint_timer) shard.shard.cancel(*std::exchange(shard.checkpoint_timer, std::nullopt));
        if (shard.retention_timer) shard.shard.cancel(*std::exchange(shard.retention_timer, std::nullopt));
        if (shard.compaction_timer) shard.shard.cancel(*std::exchange(shard.compaction_timer, std::nullopt));
        shard.checkpoints_due.clear();
        drain->left += shard.partitions.size();
        for (const auto& [key, partition] : shard.partitions) partition->drain([drain] { drain->one_less(); });
      },
      [drain] { drain->one_less(); });
}

void Broker::Impl::checkpoint_everything(Task done) {
  auto pending = std::make_shared<Countdown>();
  pending->done = std::move(done);
  on_all_shards(
      [pending](ShardState& shard) {
        pending->left += shard.partitions.size();
        for (const auto& [key, partition] : shard.partitions) partition->checkpoint([pending] { pending->one_less(); });
      },
      [pending] { pending->one_less(); });
}

}  // namespace tidemark::broker
