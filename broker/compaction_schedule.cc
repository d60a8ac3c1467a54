#include <memory>
#include <optional>

#include "broker/broker_impl.h"

/// Which partition of a shard is compacted next: one at a time, the one that is most worth it.
namespace tidemark::broker {
namespace {

/// Of the memory limit, for the key maps of all shards together.
constexpr std::uint64_t kMemoryShare = 16;
constexpr std::chrono::milliseconds kNextDelay{100};

}  // namespace

void Broker::Impl::schedule_compaction(ShardState& shard, std::chrono::milliseconds delay) {
  if (stopping) return;
  shard.compaction_timer = shard.shard.run_after(delay, [this, &shard] {
    shard.compaction_timer.reset();
    compact_next(shard);
  });
}

void Broker::Impl::compact_next(ShardState& shard) {
  std::shared_ptr<Partition> chosen;
  double most = 0;
  for (const auto& [key, partition] : shard.partitions) {
    const std::optional<double> urgency = partition->compaction_urgency();
    if (!urgency || *urgency <= most) continue;
    most = *urgency;
    chosen = partition;
  }
  if (!chosen) return schedule_compaction(shard, options.compaction_interval);
  const CompactionPace pace{.bytes_per_second = std::max<std::uint64_t>(options.compaction_bytes_per_second / shards.size(), 1),
                            .key_map_bytes = options.memory_limit_bytes / kMemoryShare / shards.size()};
  // One that was given up, on a full disk or because it went away, must not be tried again at once.
  chosen->compact(pace, [this, &shard](bool finished) { schedule_compaction(shard, finished ? kNextDelay : options.compaction_interval); });
}

}  // namespace tidemark::broker
