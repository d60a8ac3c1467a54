#pragma once

#include <functional>
#include <memory>

#include "broker/broker.h"
#include "broker/committer.h"
#include "broker/partition.h"
#include "broker/producer_holds.h"

namespace tidemark::broker {

/// What a queue group works with in one partition; all of it outlives it.
struct QueueServices {
  Runtime& runtime;
  Shard& shard;
  Committer& committer;
  ProducerHolds& holds;
  /// The partition, on its shard; null once it is gone.
  std::function<std::shared_ptr<Partition>(const PartitionKey&)> partition;
  std::function<std::shared_ptr<const Topic>(const Uuid&)> topic;
  /// Of the dead letters of the group; made if there is none. Errors: conflict (the name is taken by another topic), as create_topic().
  std::function<void(std::string name, std::string group, Done<std::shared_ptr<const Topic>>)> dead_letter_topic;
  std::function<void(Done<ProducerIdentity>)> new_producer;
  std::function<void(TopicPartition, Slice, Done<Appended>)> append;
  std::function<void(TopicPartition, ProducerIdentity, std::int32_t first, std::int32_t last, Done<bool>)> holds_batch;
  std::function<void()> began;  ///< A piece of work that a stop of the broker waits for; `ended` as often.
  std::function<void()> ended;
  std::function<bool()> stopping;
};

}  // namespace tidemark::broker
