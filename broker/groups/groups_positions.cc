#include <algorithm>

#include "broker/groups/groups_impl.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"

/// Committed offsets, and where members read on.
namespace tidemark::broker {

void Groups::commit(const RequestContext&, CommitRequest request, Done<CommitReply> done) {
  const std::string name = request.group;
  GroupsImpl* const impl = impl_.get();
  impl->on_home<CommitReply>(name, std::move(done), [impl, request = std::move(request)](Done<CommitReply> answer) mutable {
    impl->commit(std::move(request), std::move(answer));
  });
}

namespace {

/// What may not be committed, whoever asks; otherwise where it goes.
Result<PartitionKey> judge_entry(GroupsImpl& impl, const CommitRequest::Entry& entry) {
  if (entry.metadata.size() > kCommitMetadataBytesMax) {
    return Error{Errc::invalid_argument, "commit metadata has at most " + std::to_string(kCommitMetadataBytesMax) + " bytes"};
  }
  if (entry.offset.value < 0) return Error{Errc::offset_out_of_range, "offset " + std::to_string(entry.offset.value) + " is negative"};
  return impl.resolve(entry.where);
}

std::string name_of(const NamedPartition& where) { return where.topic + ":" + std::to_string(where.partition); }

}  // namespace

void GroupsImpl::commit(CommitRequest request, Done<CommitReply> done) {
  GroupPtr group = find(request.group);
  if (group && group->removing) return done(Error{Errc::conflict, "group '" + printable(request.group) + "' is being removed"});
  if (!group) {
    if (!request.member.empty()) return done(Error{Errc::unknown_group, "no group '" + printable(request.group) + "'"});
    group = make(request.group, StartAt{});
  }
  // The order of arrival counts, however long the partitions take to answer.
  const std::uint64_t order = ++group->commit_order;
  CommitReply reply(request.entries.size());
  std::vector<std::size_t> asked;
  std::vector<PlaceQuestion> questions;
  for (std::size_t i = 0; i < request.entries.size(); ++i) {
    Result<PartitionKey> key = judge_entry(*this, request.entries[i]);
    if (key) {
      asked.push_back(i);
      questions.push_back({*key, {}});
    } else {
      reply[i] = std::move(key).error();
    }
  }
  std::vector<PartitionKey> keys;
  for (const PlaceQuestion& question : questions) keys.push_back(question.where);
  broker.look_at(std::move(questions),
                 [this, group, order, request = std::move(request), reply = std::move(reply), asked = std::move(asked),
                  keys = std::move(keys), done = std::move(done)](std::vector<Result<PlaceReport>> places) mutable {
                   StreamGroup& state = group->state;
                   if (request.member.empty() && !state.members().empty()) {
                     return done(Error{Errc::conflict, "group '" + printable(request.group) + "' has members: only they may commit"});
                   }
                   if (!request.member.empty()) {
                     // As a whole: a member that is not there commits nothing. Where it is only late for a partition, the others go on.
                     if (Status known = state.members().may_commit(request.member, 0, PartitionKey{});
                         !known && known.error().code == Errc::unknown_member) {
                       return done(std::move(known).error());
                     }
                   }
                   const Timestamp now = broker.runtime.clock().now();
                   for (std::size_t i = 0; i < asked.size(); ++i) {
                     CommitRequest::Entry& entry = request.entries[asked[i]];
                     Status& status = reply[asked[i]];
                     if (!places[i]) {
                       status = places[i].error();
                     } else if (entry.offset > places[i]->end) {
                       status = Error{Errc::offset_out_of_range, name_of(entry.where) + " ends at " + std::to_string(places[i]->end.value) +
                                                                     ": cannot commit " + std::to_string(entry.offset.value)};
                     } else if (!request.member.empty()) {
                       status = state.members().may_commit(request.member, request.epoch, keys[i]);
                     }
                     if (status) state.commit(keys[i], {entry.offset, entry.leader_epoch, std::move(entry.metadata), now}, order);
                   }
                   answer_settled(group, std::move(reply), std::move(done));
                 });
}

// --- Where to read on.

Offset resolve_start(const StartAt& start, const PlaceReport& place) {
  switch (start.kind) {
    case StartAt::Kind::earliest:
      return place.log_start;
    case StartAt::Kind::latest:
      return place.end;
    case StartAt::Kind::offset:
      return std::clamp(Offset{start.value}, place.log_start, place.end);
    case StartAt::Kind::time:
      return place.by_time.value_or(place.end);
  }
  return place.log_start;
}

void Groups::positions(const RequestContext&, PositionsRequest request, Done<PositionsReply> done) {
  const std::string name = request.group;
  GroupsImpl* const impl = impl_.get();
  impl->on_home<PositionsReply>(name, std::move(done), [impl, request = std::move(request)](Done<PositionsReply> answer) mutable {
    impl->positions(std::move(request), std::move(answer));
  });
}

namespace {

/// The position of the group in one partition; moves it, and counts, where the former one is gone.
Result<GroupPosition> position_in(StreamGroup& state, const PartitionKey& key, const PositionsRequest::Entry& entry,
                                  const PlaceReport& place, Timestamp now) {
  const StreamGroup::Progress* const progress = state.find(key);
  GroupPosition position;
  if (progress != nullptr && progress->committed) {
    position = {progress->committed->offset, progress->committed->leader_epoch, GroupPosition::Source::committed, 0};
  } else {
    const bool known = progress != nullptr && progress->start;
    position.offset = known ? *progress->start : resolve_start(state.start_in(key), place);
    position.source = GroupPosition::Source::start;
    if (!known) state.set_start(key, position.offset);
  }
  if (entry.at) position.offset = *entry.at;
  if (position.offset >= place.log_start && position.offset <= place.end) return position;

  const std::string where = name_of(entry.where);
  position.source = GroupPosition::Source::moved;
  position.leader_epoch = -1;
  if (position.offset > place.end) {  // Records were lost with weak durability: the group goes on where the log does.
    log_warn("group " + printable(state.name()) + ": position " + std::to_string(position.offset.value) + " in " + where +
             " lies beyond the end, " + std::to_string(place.end.value));
    position.offset = place.end;
    state.count_clamped();
  } else {
    if (state.effective().when_gone == WhenGone::fail) {
      return Error{Errc::offset_out_of_range, "position " + std::to_string(position.offset.value) + " in " + where +
                                                  " is gone, the log starts at " + std::to_string(place.log_start.value) +
                                                  ": seek the group, or set on.gone"};
    }
    const Offset to = state.effective().when_gone == WhenGone::latest ? place.end : place.log_start;
    position.skipped = to - position.offset;
    log_warn("group " + printable(state.name()) + ": " + std::to_string(position.skipped) + " records of " + where +
             " were removed before they were read");
    position.offset = to;
    state.count_skipped(position.skipped);
  }
  state.commit(key, {position.offset, -1, "", now});
  return position;
}

}  // namespace

void GroupsImpl::positions(PositionsRequest request, Done<PositionsReply> done) {
  Result<GroupPtr> found = get(request.group);
  if (!found) return done(std::move(found).error());
  PositionsReply reply(request.entries.size());
  std::vector<std::size_t> asked;
  std::vector<PlaceQuestion> questions;
  for (std::size_t i = 0; i < request.entries.size(); ++i) {
    Result<PartitionKey> key = resolve(request.entries[i].where);
    if (!key) {
      reply[i] = std::move(key).error();
      continue;
    }
    const StreamGroup::Progress* const progress = (*found)->state.find(*key);
    const StartAt start = (*found)->state.start_in(*key);
    PlaceQuery query;
    if (start.kind == StartAt::Kind::time && (progress == nullptr || (!progress->committed && !progress->start)))
      query.by_time_ms = start.value;
    asked.push_back(i);
    questions.push_back({*key, query});
  }
  std::vector<PartitionKey> keys;
  for (const PlaceQuestion& question : questions) keys.push_back(question.where);
  broker.look_at(std::move(questions),
                 [this, group = *found, request = std::move(request), reply = std::move(reply), asked = std::move(asked),
                  keys = std::move(keys), done = std::move(done)](std::vector<Result<PlaceReport>> places) mutable {
                   StreamGroup& state = group->state;
                   if (!request.member.empty()) {
                     if (Status known = state.members().check_member(request.member, request.epoch); !known)
                       return done(std::move(known).error());
                   }
                   for (std::size_t i = 0; i < asked.size(); ++i) {
                     const PositionsRequest::Entry& entry = request.entries[asked[i]];
                     if (!places[i])
                       reply[asked[i]] = places[i].error();
                     else if (!request.member.empty() && state.members().owner(keys[i]) != request.member)
                       reply[asked[i]] = Error{Errc::not_owner, name_of(entry.where) + " is not this member's"};
                     else
                       reply[asked[i]] = position_in(state, keys[i], entry, *places[i], broker.runtime.clock().now());
                   }
                   answer_settled(group, std::move(reply), std::move(done));
                 });
}

void Groups::committed(const RequestContext&, std::string name, std::vector<NamedPartition> where, Done<std::vector<Committed>> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<std::vector<Committed>>(
      name, std::move(done), [impl, name, where = std::move(where)](Done<std::vector<Committed>> answer) mutable {
        Result<GroupPtr> group = impl->get(name);
        if (!group) return answer(std::move(group).error());
        const TopicTable& topics = impl->topics(impl->broker.current_shard());
        std::vector<Committed> result;
        if (where.empty()) {
          for (const auto& [key, progress] : (*group)->state.progress()) {
            const auto topic = topics.by_id.find(key.topic);
            if (progress.committed && topic != topics.by_id.end())
              result.push_back({{topic->second->name, key.partition}, progress.committed});
          }
        }
        for (NamedPartition& partition : where) {
          const Result<PartitionKey> key = impl->resolve(partition);
          const StreamGroup::Progress* const progress = key ? (*group)->state.find(*key) : nullptr;
          result.push_back({std::move(partition), progress != nullptr ? progress->committed : std::nullopt});
        }
        impl->answer_settled(*group, std::move(result), std::move(answer));
      });
}

void Groups::forget(const RequestContext&, std::string name, std::vector<NamedPartition> where, Done<std::vector<Status>> done) {
  GroupsImpl* const impl = impl_.get();
  impl->on_home<std::vector<Status>>(name, std::move(done),
                                     [impl, name, where = std::move(where)](Done<std::vector<Status>> answer) mutable {
                                       Result<GroupPtr> group = impl->get(name);
                                       if (!group) return answer(std::move(group).error());
                                       const std::set<Uuid> subscribed = (*group)->state.members().subscribed();
                                       std::vector<Status> result(where.size());
                                       for (std::size_t i = 0; i < where.size(); ++i) {
                                         Result<PartitionKey> key = impl->resolve(where[i]);
                                         if (!key)
                                           result[i] = std::move(key).error();
                                         else if (subscribed.contains(key->topic))
                                           result[i] = Error{Errc::conflict, "members subscribe to topic '" + where[i].topic + "'"};
                                         else
                                           (*group)->state.forget(*key);
                                       }
                                       impl->answer_settled(*group, std::move(result), std::move(answer));
                                     });
}

}  // namespace tidemark::broker
