#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "broker/partition.h"
#include "broker/runtime.h"
#include "broker/tail_cache.h"
#include "broker/topic.h"

namespace tidemark::broker {

/// What one shard owns. Touched by that shard only, after open().
struct ShardState {
  ShardState(Shard& owner, std::size_t tail_bytes, std::size_t cold_bytes) : shard(owner), tails(tail_bytes), cold_reads(cold_bytes) {}

  Shard& shard;
  TailCache tails;
  ColdReads cold_reads;
  std::shared_ptr<const TopicTable> topics = std::make_shared<TopicTable>();
  std::unordered_map<PartitionKey, std::shared_ptr<Partition>> partitions;
  std::deque<std::weak_ptr<Partition>> checkpoints_due;
  std::size_t checkpoints_under_way = 0;
  std::optional<TimerId> checkpoint_timer;
  std::optional<TimerId> retention_timer;
  std::optional<TimerId> compaction_timer;  ///< None while a partition is being compacted.
};

using ShardStates = std::vector<std::unique_ptr<ShardState>>;

/// Reaches partitions from any shard.
class PartitionAccess {
 public:
  explicit PartitionAccess(const ShardStates& shards) : shards_(shards) {}

  std::size_t current_shard() const {
    for (const auto& shard : shards_) {
      if (shard->shard.is_current()) return shard->shard.index();
    }
    check_failed("engine calls are made on a shard", __FILE__, __LINE__);
  }
  std::size_t home_of(const PartitionKey& key) const {
    return (std::hash<Uuid>()(key.topic) + static_cast<std::size_t>(key.partition)) % shards_.size();
  }
  /// The topics as the calling shard knows them.
  const TopicTable& topics() const { return *shards_[current_shard()]->topics; }

  /// Runs `call` on the partition's shard and hands its answer back to the calling one. Error unknown_topic when the partition has gone;
  /// `topic` is its name in that error.
  template <class T>
  void call(const PartitionKey& key, std::string topic, Done<T> done, UniqueFunction<void(Partition&, Done<T>)> call) const;

 private:
  const ShardStates& shards_;
};

template <class T>
void PartitionAccess::call(const PartitionKey& key, std::string topic, Done<T> done, UniqueFunction<void(Partition&, Done<T>)> call) const {
  const std::size_t home = home_of(key);
  const std::size_t here = current_shard();
  if (home == here) {
    const auto found = shards_[home]->partitions.find(key);
    if (found == shards_[home]->partitions.end()) return done(Error{Errc::unknown_topic, "topic '" + topic + "' was deleted"});
    return call(*found->second, std::move(done));
  }
  shards_[home]->shard.post([this, home, here, key, topic = std::move(topic), done = std::move(done), call = std::move(call)]() mutable {
    Done<T> answer = [this, here, done = std::move(done)](Result<T> result) mutable {
      shards_[here]->shard.post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
    };
    const auto found = shards_[home]->partitions.find(key);
    if (found == shards_[home]->partitions.end()) return answer(Error{Errc::unknown_topic, "topic '" + topic + "' was deleted"});
    call(*found->second, std::move(answer));
  });
}

}  // namespace tidemark::broker
