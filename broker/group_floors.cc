#include "broker/group_floors.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "broker/broker_impl.h"
#include "broker/groups/groups_impl.h"
#include "broker/queues/queues_impl.h"
#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

/// Gathers what several shards report.
class FloorReport {
 public:
  explicit FloorReport(FloorQuery query) : query_(std::move(query)) {
    for (const auto& [key, names] : query_) floors_[key];
  }

  const FloorQuery& query() const { return query_; }
  bool counts(const PartitionKey& key, const std::string& group) const {
    const std::vector<std::string>& names = query_.at(key);
    return names.empty() || std::ranges::find(names, group) != names.end();
  }
  void add(const PartitionKey& key, const std::string& group, Offset floor) {
    const std::lock_guard lock(mutex_);
    std::optional<Offset>& lowest = floors_[key];
    lowest = lowest ? std::min(*lowest, floor) : floor;
    if (!query_.at(key).empty()) met_[key].insert(group);
  }
  /// Everybody has reported.
  Floors floors() {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, names] : query_) {
      if (std::ranges::any_of(names, [&](const std::string& name) { return !met_[key].contains(name); })) floors_[key] = Offset{};
    }
    return floors_;
  }

 private:
  const FloorQuery query_;
  std::mutex mutex_;  // Never held over a call.
  Floors floors_;
  std::map<PartitionKey, std::set<std::string>> met_;  ///< Named groups that have reported.
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

/// A commit that is not flushed yet holds like none: the next round sees it.
Offset needed_from(HomedGroup& group, const PartitionKey& key) {
  const StreamGroup::Progress* const progress = group.state.find(key);
  const bool settled = group.submitted == group.settled;
  return progress != nullptr && progress->committed && settled ? progress->committed->offset : Offset{};
}

}  // namespace

void Broker::Impl::group_floors(ShardState& shard, FloorQuery query, UniqueFunction<void(Floors)> done) {
  auto report = std::make_shared<FloorReport>(std::move(query));
  auto asked = std::make_shared<Countdown>();
  const std::size_t home = shard.shard.index();
  auto answer = std::make_shared<UniqueFunction<void(Floors)>>(std::move(done));
  asked->done = [this, report, home, answer] { on_shard(home, [report, answer] { (*answer)(report->floors()); }); };
  for (const auto& [key, names] : report->query()) {
    const auto there = queues_impl->shards[home].partitions.find(key);
    if (there == queues_impl->shards[home].partitions.end()) continue;
    for (const auto& [name, queue] : there->second) {
      if (!report->counts(key, name)) continue;
      ++asked->left;
      // Only what is flushed counts: a crash must not find a record gone whose acknowledgement it forgot.
      queue->answer<Offset>(needed_from(queue->window()), [asked, report, key, name](const Result<Offset>& floor) {
        report->add(key, name, floor ? *floor : Offset{});
        asked->one_less();
      });
    }
  }
  on_all_shards(
      [this, report](ShardState& other) {
        for (const auto& [name, group] : groups_impl->shards[other.shard.index()].by_name) {
          std::set<Uuid> read;
          for (const Topic* const topic : group->state.topics(*other.topics)) read.insert(topic->id);
          for (const auto& [key, names] : report->query()) {
            const bool named = !names.empty() && report->counts(key, name);
            if (named || (names.empty() && read.contains(key.topic))) report->add(key, name, needed_from(*group, key));
          }
        }
      },
      [asked] { asked->one_less(); });
}

void Broker::Impl::trim_acked(ShardState& shard) {
  FloorQuery query;
  for (const auto& [key, partition] : shard.partitions) {
    if (partition->config().trim_when_acked) query[key];
  }
  if (query.empty() || stopping) return;
  group_floors(shard, std::move(query), [&shard](const Floors& floors) {
    for (const auto& [key, floor] : floors) {
      const auto found = shard.partitions.find(key);
      if (!floor || found == shard.partitions.end() || *floor <= found->second->log_start()) continue;
      found->second->trim(std::min(*floor, found->second->high_watermark()), [](const Result<Offset>& trimmed) {
        if (!trimmed) log_warn("trim.when.acked: " + trimmed.error().to_string());
      });
    }
  });
}

void Broker::Impl::enforce_retention(ShardState& shard) {
  FloorQuery held;
  for (const auto& [key, partition] : shard.partitions) {
    if (partition->config().hold_for.empty())
      partition->enforce_retention(std::nullopt);
    else
      held[key] = partition->config().hold_for;
  }
  if (held.empty() || stopping) return;
  group_floors(shard, std::move(held), [&shard](const Floors& floors) {
    for (const auto& [key, floor] : floors) {
      const auto found = shard.partitions.find(key);
      if (found != shard.partitions.end()) found->second->enforce_retention(floor);
    }
  });
}

}  // namespace tidemark::broker
