#include <algorithm>

#include "broker/groups/groups_impl.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"

/// Groups whose members assign among themselves: the calls, and what of it is recorded and shown. The protocol itself is
/// ClassicMembership's.
namespace tidemark::broker {
namespace {

std::string_view state_name(ClassicMembership::State state) {
  switch (state) {
    case ClassicMembership::State::empty:
      return "empty";
    case ClassicMembership::State::preparing_rebalance:
      return "preparing_rebalance";
    case ClassicMembership::State::completing_rebalance:
      return "completing_rebalance";
    case ClassicMembership::State::stable:
      return "stable";
  }
  return "unknown";
}

Error no_such_member(const std::string& group) { return {Errc::unknown_member, "no such member of group '" + printable(group) + "'"}; }

}  // namespace

ClassicMembership& GroupsImpl::classic(const GroupPtr& group) {
  if (group->classic) return *group->classic;
  ClassicMembership::Options options;
  options.initial_rebalance_delay = broker.options.group_initial_rebalance_delay;
  ClassicMembership::Hooks hooks;
  hooks.new_member_id = [this](std::string_view name) {
    return std::string(name) + "-" + Uuid::from_random(broker.runtime.random(), broker.runtime.random()).to_string();
  };
  hooks.on_change = [this, weak = std::weak_ptr(group)](std::uint64_t version) {
    const GroupPtr changed = weak.lock();
    if (!changed || broker.stopping) return;
    changed->state.set_classic(changed->classic->snapshot());
    settle(changed, [this, weak, version](const Status& recorded) {
      const GroupPtr settled = weak.lock();
      if (!settled || broker.stopping) return;
      settled->classic->recorded(version, recorded, broker.runtime.clock().steady());
      arm(settled);
    });
  };
  hooks.subscription_changed = [this](std::string_view, ByteView before, ByteView after) {
    return reader.topics && reader.topics(before) != reader.topics(after);
  };
  group->classic = std::make_unique<ClassicMembership>(options, std::move(hooks));
  return *group->classic;
}

/// What the member subscribes to has to do with the group from now on.
void GroupsImpl::take_up_classic(const GroupPtr& group, const ClassicJoin& request) {
  if (!reader.topics || request.protocols.empty()) return;
  const TopicTable& table = topics(broker.current_shard());
  for (const std::string& name : reader.topics(request.protocols.front().metadata.view())) {
    if (const Topic* const topic = table.find(name)) group->state.take_up(*topic);
  }
}

std::set<Uuid> GroupsImpl::subscribed(const GroupPtr& group) {
  std::set<Uuid> result = group->state.members().subscribed();
  if (!group->classic || !reader.topics) return result;
  const TopicTable& table = topics(broker.current_shard());
  for (const ClassicSnapshot::Member& member : group->classic->snapshot().members) {
    for (const ClassicProtocol& protocol : member.protocols) {
      for (const std::string& name : reader.topics(protocol.metadata.view())) {
        if (const Topic* const topic = table.find(name)) result.insert(topic->id);
      }
    }
  }
  return result;
}

std::map<PartitionKey, std::string> GroupsImpl::classic_owners(const GroupPtr& group) {
  std::map<PartitionKey, std::string> owners;
  if (!group->classic || !reader.partitions) return owners;
  const TopicTable& table = topics(broker.current_shard());
  for (const auto& member : group->classic->describe().members) {
    for (const NamedPartition& where : reader.partitions(member.assignment.view())) {
      if (const Topic* const topic = table.find(where.topic)) owners[{topic->id, where.partition}] = member.member_id;
    }
  }
  return owners;
}

void GroupsImpl::fence_all(const GroupPtr& group) {
  if (!group->state.members().empty()) group->state.members().fence_all();
  if (!group->classic) return;
  std::vector<ClassicIdentity> all;
  for (const auto& member : group->classic->describe().members) all.push_back({member.member_id, member.instance_id});
  for (const Status& left : group->classic->leave(all, broker.runtime.clock().steady())) {
    if (!left) log_warn("group " + printable(group->state.name()) + ": " + left.error().to_string());
  }
}

GroupInfo GroupsImpl::describe(const GroupPtr& group) {
  GroupInfo info = group->state.describe(topics(broker.current_shard()));
  if (!group->classic) return info;
  info.classic = group->classic->describe();
  if (info.classic->members.empty()) return info;
  info.protocol = GroupProtocol::classic;
  info.state = state_name(info.classic->state);
  info.epoch = info.classic->generation;
  const SteadyTime now = broker.runtime.clock().steady();
  for (const auto& member : info.classic->members) {
    MemberInfo& out = info.members.emplace_back();
    out.member = member.member_id;
    out.instance = member.instance_id.value_or("");
    out.client_id = member.client_id;
    out.host = member.client_host;
    out.epoch = info.epoch;
    if (reader.partitions) out.partitions = reader.partitions(member.assignment.view());
    out.last_seen = broker.runtime.clock().now() - std::chrono::duration_cast<std::chrono::milliseconds>(now - member.last_seen);
  }
  return info;
}

// --- The calls.

void Groups::set_classic_reader(ClassicReader reader) { impl_->reader = std::move(reader); }

void Groups::join(const RequestContext&, std::string name, ClassicJoin request, Done<ClassicJoinReply> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<ClassicJoinReply>(name, std::move(done), [impl, name, request = std::move(request)](Done<ClassicJoinReply> answer) mutable {
    GroupPtr group = impl->find(name);
    if (group && group->removing) return answer(Error{Errc::conflict, "group '" + printable(name) + "' is being removed"});
    if (!group && !request.identity.member_id.empty()) return answer(no_such_member(name));
    if (!group) group = impl->make(name, StartAt{});
    if (!group->state.members().empty()) {
      return answer(Error{Errc::inconsistent_group_protocol, "the broker assigns the members of group '" + printable(name) + "'"});
    }
    impl->take_up_classic(group, request);
    impl->classic(group).join(std::move(request), impl->broker.runtime.clock().steady(),
                              [answer = std::move(answer)](ClassicJoinReply reply) mutable { answer(std::move(reply)); });
    impl->arm(group);
    impl->settle(group, warn_if_lost(group));
  });
}

void Groups::sync(const RequestContext&, std::string name, ClassicSync request, Done<ClassicSynced> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<ClassicSynced>(name, std::move(done), [impl, name, request = std::move(request)](Done<ClassicSynced> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group || !(*group)->classic) return answer(no_such_member(name));
    (*group)->classic->sync(std::move(request), impl->broker.runtime.clock().steady(), std::move(answer));
    impl->arm(*group);
  });
}

void Groups::heartbeat(const RequestContext&, std::string name, ClassicIdentity member, std::int32_t generation, Done<void> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<void>(name, std::move(done), [impl, name, member = std::move(member), generation](Done<void> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group || !(*group)->classic) return answer(no_such_member(name));
    answer((*group)->classic->heartbeat(member, generation, impl->broker.runtime.clock().steady()));
    impl->arm(*group);
  });
}

void Groups::leave(const RequestContext&, std::string name, std::vector<ClassicIdentity> members, Done<std::vector<Status>> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<std::vector<Status>>(name, std::move(done),
                                     [impl, name, members = std::move(members)](Done<std::vector<Status>> answer) mutable {
                                       Result<GroupPtr> group = impl->get(name);
                                       if (!group || !(*group)->classic)
                                         return answer(std::vector<Status>(members.size(), Status(no_such_member(name))));
                                       std::vector<Status> left = (*group)->classic->leave(members, impl->broker.runtime.clock().steady());
                                       impl->arm(*group);
                                       impl->answer_settled(*group, std::move(left), std::move(answer));
                                     });
}

}  // namespace tidemark::broker
