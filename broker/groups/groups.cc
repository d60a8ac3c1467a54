#include "broker/groups/groups.h"

#include <algorithm>

#include "broker/groups/groups_impl.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"

/// Members and the life of groups. Commits and positions: groups_positions.cc; lag, seeks and the rest: their own files.
namespace tidemark::broker {
namespace {

constexpr std::chrono::milliseconds kExpiryInterval{60'000};

Error unknown(const std::string& name) { return {Errc::unknown_group, "no group '" + printable(name) + "'"}; }

}  // namespace

Committer::StateDone warn_if_lost(const GroupPtr& group) {
  return [group](Status recorded) {
    if (!recorded) log_warn("group " + printable(group->state.name()) + ": " + recorded.error().to_string());
  };
}

GroupsImpl::GroupsImpl(Broker::Impl& broker_in) : broker(broker_in), shards(broker_in.shards.size()) {}

std::size_t GroupsImpl::home_of(std::string_view group) const { return std::hash<std::string_view>()(group) % shards.size(); }

ShardGroups& GroupsImpl::here() { return shards[broker.current_shard()]; }

GroupPtr GroupsImpl::find(std::string_view name) {
  ShardGroups& shard = here();
  const auto found = shard.by_name.find(name);
  return found == shard.by_name.end() ? nullptr : found->second;
}

std::vector<GroupPtr> GroupsImpl::groups_here() {
  std::vector<GroupPtr> groups;
  for (const auto& [name, group] : here().by_name) {
    if (!group->removing) groups.push_back(group);
  }
  return groups;
}

Result<GroupPtr> GroupsImpl::get(const std::string& name) {
  GroupPtr group = find(name);
  if (!group) return unknown(name);
  if (group->removing) return Error{Errc::conflict, "group '" + printable(name) + "' is being removed"};
  return group;
}

GroupPtr GroupsImpl::make(const std::string& name, StartAt start) {
  auto group = std::make_shared<HomedGroup>(name);
  group->state.begin(broker.runtime.clock().now(), start);
  group->emptied = broker.runtime.clock().now();
  here().by_name.emplace(name, group);
  return group;
}

Result<PartitionKey> GroupsImpl::resolve(const NamedPartition& where) { return broker.resolve({where.topic, where.partition}); }

// --- Records.

void GroupsImpl::settle(const GroupPtr& group, Committer::StateDone then) {
  // Nothing may follow the record that ends it.
  if (group->removing) return then(Error{Errc::conflict, "group '" + printable(group->state.name()) + "' is being removed"});
  std::vector<storage::StateRecord> records = group->state.take_records();
  const bool whole = group->unrecorded || (!records.empty() && group->outweighed());
  if (whole) records = group->state.snapshot();
  for (UniqueFunction<void()>& news : group->state.members().take_news()) news();
  if (records.empty()) {
    if (group->submitted == group->settled) return then(Status());
    group->waiting.emplace_back(group->submitted, std::move(then));
    return;
  }
  if (!group->has_members()) group->emptied = broker.runtime.clock().now();
  arm(group);
  const std::size_t shard = broker.current_shard();
  const std::uint64_t number = ++group->submitted;
  group->waiting.emplace_back(number, std::move(then));
  ++shards[shard].under_way;
  std::uint64_t bytes = 0;
  for (const storage::StateRecord& record : records) bytes += storage::StateLog::encoded_size(record);
  group->delta_bytes = whole ? 0 : group->delta_bytes + bytes;
  if (whole) group->snapshot_bytes = bytes;
  broker.committer->submit(std::move(records), broker.shards[shard]->shard, [this, shard, group, number, whole](Status recorded) {
    group->settled = number;
    if (!recorded) {
      group->unrecorded = true;
    } else if (whole) {
      group->unrecorded = false;
    } else if (group->unrecorded) {
      recorded = Error{Errc::disk_full, "an earlier change of the group could not be recorded: try again"};
    }
    while (!group->waiting.empty() && group->waiting.front().first <= number) {
      Committer::StateDone done = std::move(group->waiting.front().second);
      group->waiting.pop_front();
      done(recorded);
    }
    one_less_under_way(shards[shard]);
  });
}

Status GroupsImpl::replay(const storage::StateRecord& record) {
  ShardGroups& shard = shards[home_of(record.stream.id)];
  if (record.type == storage::StateRecordType::deleted) {
    shard.by_name.erase(record.stream.id);
    return {};
  }
  GroupPtr& group = shard.by_name[record.stream.id];
  if (!group || record.type == storage::StateRecordType::snapshot) group = std::make_shared<HomedGroup>(record.stream.id);
  (record.type == storage::StateRecordType::delta ? group->delta_bytes : group->snapshot_bytes) += storage::StateLog::encoded_size(record);
  return group->state.replay(record);
}

void GroupsImpl::recovered() {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    for (const auto& [name, group] : shards[i].by_name) {
      group->emptied = broker.runtime.clock().now();
      group->state.recovered(topics(i), broker.runtime.clock().steady(), broker.runtime.clock().now());
      if (!group->state.classic()) continue;
      if (const Status restored = classic(group).restore(*group->state.classic(), broker.runtime.clock().steady()); !restored) {
        log_error("group " + printable(name) + ": its members have to join again: " + restored.error().to_string());
      }
    }
  }
}

void GroupsImpl::begin_background_work(std::size_t shard) {
  for (const auto& [name, group] : shards[shard].by_name) arm(group);
  shards[shard].expiry_timer = broker.shards[shard]->shard.run_after(kExpiryInterval, [this, shard] {
    expire_groups(shard);
    if (!broker.stopping) begin_background_work(shard);
  });
}

std::vector<storage::StateRecord> GroupsImpl::snapshot(std::size_t shard, const storage::StreamKey& stream) {
  const auto found = shards[shard].by_name.find(stream.id);
  if (found == shards[shard].by_name.end()) return {{stream, storage::StateRecordType::deleted, true, 0, {}}};
  return found->second->state.snapshot();
}

void GroupsImpl::drain(std::size_t number, Task done) {
  ShardGroups& shard = shards[number];
  if (shard.expiry_timer) broker.shards[number]->shard.cancel(*std::exchange(shard.expiry_timer, std::nullopt));
  for (const auto& [name, group] : shard.by_name) {
    if (group->timer) broker.shards[number]->shard.cancel(*std::exchange(group->timer, std::nullopt));
    // What waits for other members is answered now; nobody may call it after this.
    if (group->classic) group->classic->close(Error{Errc::shutting_down, "the broker is stopping"});
  }
  if (shard.under_way == 0) return done();
  shard.idle = std::move(done);
}

// --- Time.

void GroupsImpl::arm(const GroupPtr& group) {
  Shard& shard = broker.shards[broker.current_shard()]->shard;
  std::optional<SteadyTime> due = group->state.members().next_deadline();
  if (group->classic) {
    const std::optional<SteadyTime> other = group->classic->next_deadline();
    if (other && (!due || *other < *due)) due = other;
  }
  if (!due || broker.stopping) return;
  // One that fires too early arms itself again.
  if (group->timer && group->timer_due <= *due) return;
  if (group->timer) shard.cancel(*std::exchange(group->timer, std::nullopt));
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - broker.runtime.clock().steady());
  group->timer_due = *due;
  group->timer = shard.run_after(std::max(left, std::chrono::milliseconds(1)), [this, weak = std::weak_ptr(group)] {
    const GroupPtr due_group = weak.lock();
    if (!due_group) return;
    due_group->timer.reset();
    expire_members(due_group);
  });
}

void GroupsImpl::expire_members(const GroupPtr& group) {
  const std::size_t shard = broker.current_shard();
  const SteadyTime now = broker.runtime.clock().steady();
  for (const std::string& ended : group->state.members().expire(topics(shard), now)) {
    log_info("group " + printable(group->state.name()) + ": " + ended);
  }
  if (group->classic) group->classic->tick(now);
  arm(group);
  settle(group, warn_if_lost(group));
}

/// Groups whose settings let their progress expire.
void GroupsImpl::expire_groups(std::size_t shard) {
  const Timestamp now = broker.runtime.clock().now();
  std::vector<GroupPtr> expired;
  for (const auto& [name, group] : shards[shard].by_name) {
    const std::optional<std::chrono::milliseconds> keep = group->state.effective().offsets_retention;
    if (!keep || group->has_members() || group->removing || group->state.has_pending()) continue;
    Timestamp used = group->emptied;
    for (const auto& [where, progress] : group->state.progress()) {
      if (progress.committed) used = std::max(used, progress.committed->time);
    }
    if (used + *keep <= now) expired.push_back(group);
  }
  for (const GroupPtr& group : expired) {
    ++shards[shard].under_way;
    remove(group, [this, shard, group](Status removed) {
      const std::string text = "group " + printable(group->state.name()) + ": offsets.retention has passed";
      if (removed)
        log_info(text + ": removed");
      else
        log_warn(text + ": " + removed.error().to_string());
      one_less_under_way(shards[shard]);
    });
  }
}

void GroupsImpl::topics_changed(std::size_t shard) {
  for (const auto& [name, group] : shards[shard].by_name) {
    group->state.topics_changed(topics(shard));
    settle(group, warn_if_lost(group));
  }
}

void GroupsImpl::remove(const GroupPtr& group, Done<void> done) {
  group->removing = true;
  if (group->timer) broker.shards[broker.current_shard()]->shard.cancel(*std::exchange(group->timer, std::nullopt));
  const std::size_t shard = broker.current_shard();
  std::vector<storage::StateRecord> records{{group->state.stream(), storage::StateRecordType::deleted, true, 0, {}}};
  broker.committer->submit(std::move(records), broker.shards[shard]->shard,
                           [this, shard, group, done = std::move(done)](Status recorded) mutable {
                             if (recorded)
                               shards[shard].by_name.erase(group->state.name());
                             else
                               group->removing = false;
                             done(std::move(recorded));
                           });
}

// --- Members.

void Groups::heartbeat(const RequestContext& context, HeartbeatRequest request, UniqueFunction<void()> news, Done<HeartbeatReply> done) {
  GroupsImpl* const impl = impl_.get();
  if (news) {
    const std::size_t caller = impl->broker.current_shard();
    news = [impl, caller, news = std::make_shared<UniqueFunction<void()>>(std::move(news))] {
      impl->broker.on_shard(caller, [news] { (*news)(); });
    };
  }
  const std::string name = request.group;
  impl->on_home<HeartbeatReply>(
      name, std::move(done),
      [impl, client_id = context.client_id, request = std::move(request), news = std::move(news)](Done<HeartbeatReply> answer) mutable {
        if (Status valid = validate_group_name(request.member); !valid) {
          return answer(Error{Errc::invalid_argument, "a member id has 1 to " + std::to_string(kGroupNameBytesMax) + " bytes"});
        }
        GroupPtr group = impl->find(request.group);
        if (group && group->removing) return answer(Error{Errc::conflict, "group '" + printable(request.group) + "' is being removed"});
        if (group && request.epoch == 0 && group->classic && group->classic->size() > 0) {
          return answer(
              Error{Errc::inconsistent_group_protocol, "group '" + printable(request.group) + "' has members of the classic protocol"});
        }
        const bool fresh = !group && request.epoch == 0;
        if (!group && !fresh) return answer(unknown(request.group));
        if (fresh) group = impl->make(request.group, request.start);
        const TopicTable& topics = impl->topics(impl->broker.current_shard());
        Result<HeartbeatReply> reply = group->state.members().heartbeat(request, client_id, topics, impl->broker.runtime.clock().steady(),
                                                                        impl->broker.runtime.clock().now(), std::move(news));
        if (!reply && fresh) impl->here().by_name.erase(request.group);
        if (!reply) return answer(std::move(reply));
        if (request.subscription) {
          for (const Uuid& id : group->state.members().subscribed()) group->state.take_up(*topics.by_id.at(id));
        }
        if (!group->timer) impl->arm(group);
        impl->answer_settled(group, *std::move(reply), std::move(answer));
      });
}

void Groups::leave(const RequestContext&, std::string name, std::string member, bool for_good, Done<void> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<void>(name, std::move(done), [impl, name, member = std::move(member), for_good](Done<void> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group) return answer(std::move(group).error());
    if (Status left = (*group)->state.members().leave(member, for_good, impl->topics(impl->broker.current_shard())); !left) {
      return answer(std::move(left));
    }
    impl->settle(*group, std::move(answer));
  });
}

}  // namespace tidemark::broker
