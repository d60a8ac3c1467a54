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

Result<PartitionKey> GroupsImpl::judge_commit(const CommitRequest::Entry& entry) {
  if (entry.metadata.size() > kCommitMetadataBytesMax) {
    return Error{Errc::invalid_argument, "commit metadata has at most " + std::to_string(kCommitMetadataBytesMax) + " bytes"};
  }
  if (entry.offset.value < 0) return Error{Errc::offset_out_of_range, "offset " + std::to_string(entry.offset.value) + " is negative"};
  return resolve(entry.where);
}

namespace {

std::string name_of(const NamedPartition& where) { return where.topic + ":" + std::to_string(where.partition); }

}  // namespace

/// As a whole: a member that is not there commits nothing. Where a native member is only late for a partition, the others go on.
Status GroupsImpl::may_commit(const GroupPtr& group, const CommitRequest& request) {
  const NativeMembership& members = group->state.members();
  if (!members.empty()) {
    if (request.member.empty()) {
      return Error{Errc::conflict, "group '" + printable(request.group) + "' has members: only they may commit"};
    }
    Status known = members.may_commit(request.member, 0, PartitionKey{});
    return !known && known.error().code == Errc::unknown_member ? known : Status();
  }
  const bool nobody = request.member.empty() && request.epoch <= 0;
  if (group->classic) {
    Status may = group->classic->may_commit({request.member, request.instance}, nobody ? -1 : request.epoch);
    if (may && !request.member.empty()) group->classic->touch(request.member, broker.runtime.clock().steady());
    return may;
  }
  if (nobody) return {};
  return Error{Errc::unknown_member, "the group has no member '" + printable(request.member) + "'"};
}

/// A commit while its partitions are asked where they end.
struct GroupsImpl::PendingCommit {
  GroupPtr group;
  CommitRequest request;
  std::uint64_t order = 0;  ///< Of arrival: it counts, however long the partitions take to answer.
  CommitReply reply;
  std::vector<std::size_t> asked;  ///< Numbers of the entries that may go on, and their partitions.
  std::vector<PartitionKey> keys;
  Done<CommitReply> done;
};

void GroupsImpl::commit(CommitRequest request, Done<CommitReply> done) {
  GroupPtr group = find(request.group);
  if (group && group->removing) return done(Error{Errc::conflict, "group '" + printable(request.group) + "' is being removed"});
  if (!group && !request.member.empty()) return done(Error{Errc::unknown_group, "no group '" + printable(request.group) + "'"});
  if (!group) group = make(request.group, StartAt{});
  ++group->commits_under_way;

  PendingCommit pending{.group = group,
                        .request = std::move(request),
                        .order = ++group->commit_order,
                        .reply = {},
                        .asked = {},
                        .keys = {},
                        .done = std::move(done)};
  pending.reply.resize(pending.request.entries.size());
  std::vector<PlaceQuestion> questions;
  for (std::size_t i = 0; i < pending.request.entries.size(); ++i) {
    Result<PartitionKey> key = judge_commit(pending.request.entries[i]);
    if (!key) {
      pending.reply[i] = std::move(key).error();
      continue;
    }
    pending.asked.push_back(i);
    pending.keys.push_back(*key);
    questions.push_back({*key, {}});
  }
  broker.look_at(std::move(questions), [this, pending = std::move(pending)](std::vector<Result<PlaceReport>> places) mutable {
    finish_commit(std::move(pending), places);
  });
}

void GroupsImpl::finish_commit(PendingCommit pending, const std::vector<Result<PlaceReport>>& places) {
  StreamGroup& state = pending.group->state;
  const CommitRequest& request = pending.request;
  --pending.group->commits_under_way;
  if (Status may = may_commit(pending.group, request); !may) return pending.done(std::move(may).error());
  const bool assigned_here = !state.members().empty();
  const Timestamp now = broker.runtime.clock().now();
  for (std::size_t i = 0; i < pending.asked.size(); ++i) {
    const CommitRequest::Entry& entry = request.entries[pending.asked[i]];
    Status& status = pending.reply[pending.asked[i]];
    if (!places[i]) {
      status = places[i].error();
    } else if (entry.offset > places[i]->end && !request.beyond_end) {
      status = Error{Errc::offset_out_of_range, name_of(entry.where) + " ends at " + std::to_string(places[i]->end.value) +
                                                    ": cannot commit " + std::to_string(entry.offset.value)};
    } else if (assigned_here) {
      status = state.members().may_commit(request.member, request.epoch, pending.keys[i]);
    }
    if (status) state.commit(pending.keys[i], {entry.offset, entry.leader_epoch, entry.metadata, now}, pending.order);
  }
  const bool refused = std::ranges::none_of(pending.reply, &Status::has_value);
  if (refused && pending.group->submitted == 0 && pending.group->commits_under_way == 0 && state.unused()) {
    here().by_name.erase(request.group);  // It would have come into being with this commit.
    return pending.done(std::move(pending.reply));
  }
  answer_settled(pending.group, std::move(pending.reply), std::move(pending.done));
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

/// A question for positions while the partitions are asked for their bounds.
struct GroupsImpl::PendingPositions {
  GroupPtr group;
  PositionsRequest request;
  PositionsReply reply;
  std::vector<std::size_t> asked;
  std::vector<PartitionKey> keys;
  Done<PositionsReply> done;
};

void GroupsImpl::positions(PositionsRequest request, Done<PositionsReply> done) {
  Result<GroupPtr> found = get(request.group);
  if (!found) return done(std::move(found).error());
  PendingPositions pending{.group = *found, .request = std::move(request), .reply = {}, .asked = {}, .keys = {}, .done = std::move(done)};
  pending.reply.resize(pending.request.entries.size());
  std::vector<PlaceQuestion> questions;
  for (std::size_t i = 0; i < pending.request.entries.size(); ++i) {
    Result<PartitionKey> key = resolve(pending.request.entries[i].where);
    if (!key) {
      pending.reply[i] = std::move(key).error();
      continue;
    }
    const StreamGroup::Progress* const progress = pending.group->state.find(*key);
    const bool unknown = progress == nullptr || (!progress->committed && !progress->start);
    const StartAt start = pending.group->state.start_in(*key);
    PlaceQuery query;
    if (unknown && start.kind == StartAt::Kind::time) query.by_time_ms = start.value;
    pending.asked.push_back(i);
    pending.keys.push_back(*key);
    questions.push_back({*key, query});
  }
  broker.look_at(std::move(questions), [this, pending = std::move(pending)](std::vector<Result<PlaceReport>> places) mutable {
    finish_positions(std::move(pending), places);
  });
}

void GroupsImpl::finish_positions(PendingPositions pending, const std::vector<Result<PlaceReport>>& places) {
  StreamGroup& state = pending.group->state;
  const PositionsRequest& request = pending.request;
  if (!request.member.empty()) {
    if (Status known = state.members().check_member(request.member, request.epoch); !known) return pending.done(std::move(known).error());
  }
  for (std::size_t i = 0; i < pending.asked.size(); ++i) {
    const PositionsRequest::Entry& entry = request.entries[pending.asked[i]];
    Result<GroupPosition>& position = pending.reply[pending.asked[i]];
    if (!places[i])
      position = places[i].error();
    else if (!request.member.empty() && state.members().owner(pending.keys[i]) != request.member)
      position = Error{Errc::not_owner, name_of(entry.where) + " is not this member's"};
    else if (state.is_pending(pending.keys[i]))  // Whoever starts below it would do again what may be done (KIP-447).
      position = Error{Errc::concurrent_transactions, "a transaction that is not finished has an offset for " + name_of(entry.where)};
    else
      position = position_in(state, pending.keys[i], entry, *places[i], broker.runtime.clock().now());
  }
  answer_settled(pending.group, std::move(pending.reply), std::move(pending.done));
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
              result.push_back({{topic->second->name, key.partition}, progress.committed, (*group)->state.is_pending(key)});
          }
        }
        for (NamedPartition& partition : where) {
          const Result<PartitionKey> key = impl->resolve(partition);
          const StreamGroup::Progress* const progress = key ? (*group)->state.find(*key) : nullptr;
          const bool unstable = key && (*group)->state.is_pending(*key);
          result.push_back({std::move(partition), progress != nullptr ? progress->committed : std::nullopt, unstable});
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
                                       const std::set<Uuid> subscribed = impl->subscribed(*group);
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
