#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker_impl.h"
#include "broker/home_call.h"
#include "broker/queues/queue_partition.h"
#include "broker/queues/queues.h"

namespace tidemark::broker {

/// The queue group that knows which dead letters of a topic are not dealt with.
inline constexpr std::string_view kLettersGroup = "__tidemark_letters";
/// Names the broker keeps for itself.
inline bool is_internal_group(std::string_view name) { return name.starts_with("__tidemark_"); }

/// What names a queue group inside: topics can be renamed and made anew.
struct QueueId {
  std::string group;
  Uuid topic;
  auto operator<=>(const QueueId&) const = default;
};

/// A queue group on its home shard: what it is, and who is connected. A record of its stream is all of it.
struct HomedQueue {
  QueueId id;
  QueueFlavor flavor = QueueFlavor::native;
  Timestamp created{};
  StartAt start;
  std::map<std::string, std::string> settings;
  std::shared_ptr<const QueueSettings> effective;
  std::map<std::int32_t, Offset> starts;  ///< By partition; those not in it are read from their beginning.

  // Not recorded.
  struct Connected {
    std::string client_id, host;
  };
  std::map<std::string, Connected> connected;  ///< By member.
  bool changing = false;                       ///< A record is under way; further changes wait.
  bool removing = false;
  std::vector<Task> waiting;

  Offset start_in(std::int32_t partition) const {
    const auto found = starts.find(partition);
    return found == starts.end() ? Offset{} : found->second;
  }
};
using HomedQueuePtr = std::shared_ptr<HomedQueue>;

/// The queue groups of one shard: homes of those whose name falls to it, windows of those whose partitions do.
struct ShardQueues {
  std::map<QueueId, HomedQueuePtr> homes;
  std::map<QueueId, std::vector<Task>> being_made;  ///< And what waits for that.
  std::map<PartitionKey, std::map<std::string, std::shared_ptr<QueuePartition>, std::less<>>> partitions;
  std::size_t under_way = 0;  ///< Calls not answered and records not flushed; a stop waits for them.
  Task idle;
};

/// What stands behind Queues on all shards.
struct QueuesImpl {
  explicit QueuesImpl(Broker::Impl& broker_in);

  // The broker's life.
  Status replay(const storage::StateRecord& record);
  void recovered();
  void begin_background_work(std::size_t shard);
  void topics_changed(std::size_t shard);
  std::vector<storage::StateRecord> snapshot(std::size_t shard, const storage::StreamKey& stream);
  /// No timer runs any more; `done` when everything under way is answered.
  void drain(std::size_t shard, Task done);
  /// Groups whose home the shard is; on it.
  std::size_t homed_groups(std::size_t shard) const;
  /// Of the stream's owner.
  std::size_t home_of(const storage::StreamKey& stream) const;
  std::size_t home_of(std::string_view group) const;

  ShardQueues& here() { return shards[broker.current_shard()]; }
  void begin_one(std::size_t shard) { ++shards[shard].under_way; }
  void end_one(std::size_t shard) { one_less_under_way(shards[shard]); }
  QueueServices services(std::size_t shard);
  Error unknown(const QueueName& name) const;

  /// The id behind the names, as the calling shard knows topics.
  Result<QueueId> identify(const QueueName& name) const;
  /// Runs `call` on the home shard of the group, which exists; its answer comes back to the calling one.
  template <class T>
  void on_home(const QueueName& name, Done<T> done, UniqueFunction<void(const HomedQueuePtr&, Done<T>)> call);
  /// Runs `call` on the partition's shard; its answer comes back to the calling one. Error unknown_group.
  template <class T>
  void on_partition(const QueueId& id, std::int32_t partition, Done<T> done, UniqueFunction<void(QueuePartition&, Done<T>)> call);
  /// Asks every partition of the group's topic, side by side; answers by partition. The first error is the answer.
  template <class T>
  void on_all_partitions(const QueueId& id, Done<std::vector<T>> done, std::function<void(QueuePartition&, Done<T>)> ask);

  // On the home shard.
  Result<HomedQueuePtr> get(const QueueId& id, const QueueName& name);
  storage::StateRecord head_record(const HomedQueue& queue) const;
  void create(CreateQueueRequest request, QueueId id, Done<QueueInfo> done);
  void made(const HomedQueuePtr& queue, Done<QueueInfo> done);
  /// The settings in force become these, durably, everywhere.
  void settle_settings(const HomedQueuePtr& queue, std::map<std::string, std::string> settings, Done<QueueInfo> done);
  void next_change(const HomedQueuePtr& queue);
  void describe(const HomedQueuePtr& queue, Done<QueueInfo> done);
  void remove(const HomedQueuePtr& queue, Done<void> done);
  void install(const HomedQueue& queue, Task done);
  /// On the shard of the partition.
  std::shared_ptr<QueuePartition> open(std::size_t shard, const QueueId& id, std::int32_t partition, Offset start,
                                       std::shared_ptr<const QueueSettings> settings);
  void close(std::size_t shard, QueuePartition& queue, const Error& reason, std::vector<storage::StateRecord>& records);

  // Dead letters: queues_letters.cc.
  class Redrive;
  void dead_letter_topic(std::string name, std::string group, Done<std::shared_ptr<const Topic>> done);
  void letters_group(const std::shared_ptr<const Topic>& topic, Done<QueueId> done);

  Broker::Impl& broker;
  std::vector<ShardQueues> shards;
  /// Windows as replayed, until their groups are known.
  std::map<std::pair<QueueId, std::int32_t>, std::unique_ptr<QueueWindow>> recovered_windows;
};

template <class T>
void QueuesImpl::on_home(const QueueName& name, Done<T> done, UniqueFunction<void(const HomedQueuePtr&, Done<T>)> call) {
  Result<QueueId> id = identify(name);
  if (!id) return done(std::move(id).error());
  const std::size_t home = home_of(name.group);
  call_home<T>(broker, home, shards[home], std::move(done),
               [this, name, id = *std::move(id), call = std::move(call)](Done<T> answer) mutable {
                 const Result<HomedQueuePtr> queue = get(id, name);
                 if (!queue) return answer(queue.error());
                 call(*queue, std::move(answer));
               });
}

template <class T>
void QueuesImpl::on_partition(const QueueId& id, std::int32_t partition, Done<T> done,
                              UniqueFunction<void(QueuePartition&, Done<T>)> call) {
  const PartitionKey key{id.topic, partition};
  const std::size_t home = broker.home_of(key);
  const std::size_t caller = broker.current_shard();
  const auto run = [this, home, key](const std::string& group, Done<T> answer, UniqueFunction<void(QueuePartition&, Done<T>)> what) {
    if (broker.stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    const auto groups = shards[home].partitions.find(key);
    if (groups != shards[home].partitions.end()) {
      const auto found = groups->second.find(group);
      if (found != groups->second.end()) {
        const std::shared_ptr<QueuePartition> keep = found->second;
        return what(*keep, std::move(answer));
      }
    }
    answer(Error{Errc::unknown_group, "no queue group of that name on the topic"});
  };
  if (caller == home) return run(id.group, std::move(done), std::move(call));
  call_home<T>(broker, home, shards[home], std::move(done),
               [group = id.group, run, call = std::move(call)](Done<T> answer) mutable { run(group, std::move(answer), std::move(call)); });
}

template <class T>
void QueuesImpl::on_all_partitions(const QueueId& id, Done<std::vector<T>> done, std::function<void(QueuePartition&, Done<T>)> ask) {
  const std::size_t caller = broker.current_shard();
  const auto& by_id = broker.shards[caller]->topics->by_id;
  const auto topic = by_id.find(id.topic);
  if (topic == by_id.end()) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  struct Gather {
    std::vector<std::optional<T>> values;
    std::optional<Error> error;
  };
  auto gather = std::make_shared<Gather>();
  gather->values.resize(static_cast<std::size_t>(topic->second->partitions));
  auto waiting = std::make_shared<Countdown>();
  waiting->done = [gather, done = std::move(done)]() mutable {
    if (gather->error) return done(std::move(*gather->error));
    std::vector<T> values;
    for (std::optional<T>& value : gather->values) {
      if (value) values.push_back(std::move(*value));
    }
    done(std::move(values));
  };
  for (std::int32_t p = 0; p < topic->second->partitions; ++p) {
    ++waiting->left;
    on_partition<T>(
        id, p,
        [gather, waiting, p](Result<T> value) {
          if (value)
            gather->values[static_cast<std::size_t>(p)] = *std::move(value);
          else if (!gather->error)
            gather->error = std::move(value).error();
          waiting->one_less();
        },
        [ask](QueuePartition& queue, Done<T> answer) { ask(queue, std::move(answer)); });
  }
  waiting->one_less();
}

}  // namespace tidemark::broker
