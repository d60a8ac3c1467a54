#include <algorithm>
#include <map>
#include <mutex>
#include <optional>

#include "broker/broker_impl.h"
#include "broker/groups/groups_impl.h"
#include "broker/queues/queues_impl.h"
#include "storage/base/log.h"

/// Topics with trim.when.acked: what every group has finished is removed.
namespace tidemark::broker {
namespace {

/// How far all groups are in some partitions; several shards report.
struct Floors {
  std::mutex mutex;  // Never held over a call.
  std::map<PartitionKey, std::optional<Offset>> by_partition;

  void hold(const PartitionKey& key, Offset floor) {
    const std::lock_guard lock(mutex);
    std::optional<Offset>& lowest = by_partition[key];
    lowest = lowest ? std::min(*lowest, floor) : floor;
  }
};

/// The lowest record the group may still need; parked ones do not hold the floor back, but somebody may kick them.
Offset needed_from(const QueueWindow& window) {
  Offset lowest = window.floor();
  window.visit(Offset{}, window.cursor(), 1u << static_cast<unsigned>(EntryState::parked), std::nullopt, [&](const PendingEntry& entry) {
    lowest = std::min(lowest, entry.offset);
    return false;
  });
  return lowest;
}

}  // namespace

void Broker::Impl::trim_acked(ShardState& shard) {
  auto floors = std::make_shared<Floors>();
  for (const auto& [key, partition] : shard.partitions) {
    const auto topic = shard.topics->by_id.find(key.topic);
    if (topic != shard.topics->by_id.end() && topic->second->effective.trim_when_acked) floors->by_partition[key];
  }
  if (floors->by_partition.empty() || stopping) return;
  auto asked = std::make_shared<Countdown>();
  const std::size_t home = shard.shard.index();
  asked->done = [this, floors, home] {
    on_shard(home, [this, floors, home] {
      for (const auto& [key, floor] : floors->by_partition) {
        const auto found = shards[home]->partitions.find(key);
        if (!floor || found == shards[home]->partitions.end() || *floor <= found->second->log_start()) continue;
        found->second->trim(std::min(*floor, found->second->high_watermark()), [](const Result<Offset>& trimmed) {
          if (!trimmed) log_warn("trim.when.acked: " + trimmed.error().to_string());
        });
      }
    });
  };
  for (const auto& [key, unused] : floors->by_partition) {
    const auto there = queues_impl->shards[home].partitions.find(key);
    if (there == queues_impl->shards[home].partitions.end()) continue;
    for (const auto& [name, queue] : there->second) {
      ++asked->left;
      // Only what is flushed counts: a crash must not find a record gone whose acknowledgement it forgot.
      queue->answer<Offset>(needed_from(queue->window()), [asked, floors, key](const Result<Offset>& floor) {
        floors->hold(key, floor ? *floor : Offset{});
        asked->one_less();
      });
    }
  }
  on_all_shards(
      [this, floors](ShardState& other) {
        std::vector<PartitionKey> keys;
        {
          const std::lock_guard lock(floors->mutex);
          for (const auto& [key, floor] : floors->by_partition) keys.push_back(key);
        }
        for (const auto& [name, group] : groups_impl->shards[other.shard.index()].by_name) {
          for (const Topic* const topic : group->state.topics(*other.topics)) {
            for (const PartitionKey& key : keys) {
              if (key.topic != topic->id) continue;
              const StreamGroup::Progress* const progress = group->state.find(key);
              // A commit that is not flushed yet holds like the one before it: the next round sees it.
              const bool settled = group->submitted == group->settled;
              floors->hold(key, progress != nullptr && progress->committed && settled ? progress->committed->offset : Offset{});
            }
          }
        }
      },
      [asked] { asked->one_less(); });
}

}  // namespace tidemark::broker
