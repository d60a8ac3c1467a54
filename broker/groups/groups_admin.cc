#include <algorithm>
#include <iterator>
#include <span>

#include "broker/groups/groups_impl.h"
#include "storage/base/printable.h"

/// Making, altering, listing and removing groups.
namespace tidemark::broker {

void Groups::create(const RequestContext&, CreateGroupRequest request, Done<GroupInfo> done) {
  GroupsImpl* const impl = impl_.get();
  const std::string name = request.name;
  impl->on_home<GroupInfo>(name, std::move(done), [impl, request = std::move(request)](Done<GroupInfo> answer) mutable {
    if (impl->find(request.name)) return answer(Error{Errc::conflict, "group '" + printable(request.name) + "' exists"});
    if (Result<GroupSettings> resolved = resolve_group_settings(request.settings); !resolved) return answer(std::move(resolved).error());
    const TopicTable& topics = impl->topics(impl->broker.current_shard());
    std::vector<const Topic*> taken;
    for (const std::string& topic : request.topics) {
      taken.push_back(topics.find(topic));
      if (taken.back() == nullptr) return answer(impl->broker.unknown_topic(topic));
    }
    // The positions first: a group that exists knows where it starts.
    std::vector<PlaceQuestion> questions;
    for (const Topic* const topic : taken) {
      for (std::int32_t p = 0; p < topic->partitions; ++p) {
        PlaceQuery query;
        if (request.start.kind == StartAt::Kind::time) query.by_time_ms = request.start.value;
        questions.push_back({{topic->id, p}, query});
      }
    }
    std::vector<PartitionKey> keys;
    for (const PlaceQuestion& question : questions) keys.push_back(question.where);
    impl->broker.look_at(std::move(questions), [impl, request = std::move(request), keys = std::move(keys),
                                                answer = std::move(answer)](std::vector<Result<PlaceReport>> places) mutable {
      for (const Result<PlaceReport>& place : places) {
        if (!place) return answer(place.error());
      }
      if (impl->find(request.name)) return answer(Error{Errc::conflict, "group '" + printable(request.name) + "' exists"});
      const GroupPtr group = impl->make(request.name, request.start);
      CHECK(group->state.alter(request.settings).has_value());  // Resolved above.
      const TopicTable& table = impl->topics(impl->broker.current_shard());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const auto topic = table.by_id.find(keys[i].topic);
        if (topic == table.by_id.end()) continue;
        group->state.take_up(*topic->second);
        group->state.set_start(keys[i], resolve_start(request.start, *places[i]));
      }
      impl->answer_settled(group, impl->describe(group), std::move(answer));
    });
  });
}

void Groups::alter(const RequestContext&, std::string name, std::map<std::string, std::string> changes, Done<GroupInfo> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<GroupInfo>(name, std::move(done), [impl, name, changes = std::move(changes)](Done<GroupInfo> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group) return answer(std::move(group).error());
    if (Status altered = (*group)->state.alter(changes); !altered) return answer(std::move(altered).error());
    impl->answer_settled(*group, impl->describe(*group), std::move(answer));
  });
}

void Groups::remove(const RequestContext&, std::string name, Done<void> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<void>(name, std::move(done), [impl, name](Done<void> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group) return answer(std::move(group).error());
    if ((*group)->has_members()) return answer(impl->live_members(*group, "removed"));
    impl->remove(*group, std::move(answer));
  });
}

Error GroupsImpl::live_members(const GroupPtr& group, std::string_view action) {
  const std::vector<MemberInfo> members = describe(group).members;
  std::string detail = "group '" + printable(group->state.name()) + "' has " + std::to_string(members.size()) +
                       " live members and cannot be " + std::string(action) + ":";
  std::size_t named = 0;
  for (const MemberInfo& member : members) {
    if (++named > 3) break;
    detail += (named > 1 ? ", " : " ") + printable(member.client_id.empty() ? member.member : member.client_id);
  }
  if (members.size() > 3) detail += ", ...";
  return {Errc::conflict, std::move(detail)};
}

void Groups::describe(const RequestContext&, std::string name, Done<GroupInfo> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<GroupInfo>(name, std::move(done), [impl, name](Done<GroupInfo> answer) mutable {
    Result<GroupPtr> group = impl->get(name);
    if (!group) return answer(std::move(group).error());
    impl->answer_settled(*group, impl->describe(*group), std::move(answer));
  });
}

void Groups::list(const RequestContext&, Done<std::vector<GroupInfo>> done) {
  GroupsImpl* const impl = impl_.get();
  Done<std::vector<GroupInfo>> sorted = [done = std::move(done)](Result<std::vector<GroupInfo>> all) mutable {
    if (all) std::ranges::sort(*all, {}, &GroupInfo::name);
    done(std::move(all));
  };
  from_all_shards<GroupInfo>(impl->broker, impl->shards, std::move(sorted), [impl](Done<std::vector<GroupInfo>> answer) {
    const std::vector<GroupPtr> groups = impl->groups_here();
    std::vector<GroupInfo> infos;
    for (const GroupPtr& group : groups) infos.push_back(impl->describe(group));
    impl->answer_settled(groups, std::move(infos), std::move(answer));
  });
}

namespace {

/// Sorted by group. A group's rows come together and in order, so only the groups are sorted, and each row is moved once.
std::vector<PartitionLag> by_group(std::vector<PartitionLag> rows) {
  std::vector<std::span<PartitionLag>> groups;
  for (auto row = rows.begin(); row != rows.end();) {
    const auto end = std::find_if(row, rows.end(), [&](const PartitionLag& other) { return other.group != row->group; });
    groups.emplace_back(row, end);
    row = end;
  }
  std::ranges::sort(groups, {}, [](const std::span<PartitionLag>& group) -> const std::string& { return group.front().group; });
  std::vector<PartitionLag> sorted;
  sorted.reserve(rows.size());
  for (const std::span<PartitionLag>& group : groups) std::ranges::move(group, std::back_inserter(sorted));
  return sorted;
}

}  // namespace

void Groups::lag(const RequestContext&, std::optional<std::string> name, Done<std::vector<PartitionLag>> done) {
  GroupsImpl* const impl = impl_.get();
  if (name) {
    const std::string group = *name;
    return impl->on_home<std::vector<PartitionLag>>(group, std::move(done),
                                                    [impl, name = std::move(name)](Done<std::vector<PartitionLag>> answer) mutable {
                                                      impl->lag_here(std::move(name), std::move(answer));
                                                    });
  }
  Done<std::vector<PartitionLag>> sorted = [done = std::move(done)](Result<std::vector<PartitionLag>> all) mutable {
    if (all) all = by_group(*std::move(all));
    done(std::move(all));
  };
  from_all_shards<PartitionLag>(impl->broker, impl->shards, std::move(sorted),
                                [impl](Done<std::vector<PartitionLag>> answer) { impl->lag_here(std::nullopt, std::move(answer)); });
}

}  // namespace tidemark::broker
