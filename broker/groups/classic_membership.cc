#include "broker/groups/classic_membership.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReasonBytesMax = 255;

/// The parts of a request are views into its frame, which may be a thousand times larger.
std::vector<ClassicProtocol> copies_of(const std::vector<ClassicProtocol>& protocols) {
  std::vector<ClassicProtocol> copies;
  copies.reserve(protocols.size());
  for (const ClassicProtocol& protocol : protocols)
    copies.push_back({.name = protocol.name, .metadata = Slice::copy_of(protocol.metadata.view())});
  return copies;
}

bool same_bytes(ByteView left, ByteView right) { return std::ranges::equal(left, right); }

bool same_protocols(const std::vector<ClassicProtocol>& left, const std::vector<ClassicProtocol>& right) {
  return std::ranges::equal(left, right, [](const ClassicProtocol& l, const ClassicProtocol& r) {
    return l.name == r.name && same_bytes(l.metadata.view(), r.metadata.view());
  });
}

std::string with_client_reason(std::string what, std::string_view client_reason) {
  if (client_reason.empty()) return what;
  return what + ": " + std::string(client_reason.substr(0, kReasonBytesMax));
}

}  // namespace

ClassicMembership::ClassicMembership(Options options, Hooks hooks) : options_(options), hooks_(std::move(hooks)) {
  CHECK(options_.members_max > 0);
  CHECK(options_.session_timeout_min <= options_.session_timeout_max);
}

void ClassicMembership::join(ClassicJoin request, SteadyTime now, ClassicJoinDone done) {
  request.rebalance_timeout = std::clamp(request.rebalance_timeout, milliseconds(0), kRebalanceTimeoutMax);
  if (const Status allowed = may_join(request); !allowed) {
    const bool turned_away = allowed.error().code == Errc::group_full;
    refuse(std::move(done), allowed.error(), turned_away ? std::string() : request.identity.member_id);
    // More members come back than the group may have: the last ones are out.
    if (turned_away && members_.check(request.identity)) remove_member(request.identity.member_id);
  } else if (request.identity.member_id.empty()) {
    join_new(std::move(request), now, std::move(done));
  } else {
    join_again(std::move(request), now, std::move(done));
  }
  finish(now);
}

Status ClassicMembership::may_join(const ClassicJoin& request) const {
  if (request.session_timeout < options_.session_timeout_min || request.session_timeout > options_.session_timeout_max)
    return Error{Errc::invalid_session_timeout, "a session timeout is between " + std::to_string(options_.session_timeout_min.count()) +
                                                    " and " + std::to_string(options_.session_timeout_max.count()) + " ms"};
  if (request.protocols.size() > options_.protocols_max)
    return Error{Errc::invalid_argument, "a member names at most " + std::to_string(options_.protocols_max) + " protocols"};
  if (!has_room_for(request)) return Error{Errc::group_full, "the group has " + std::to_string(options_.members_max) + " members"};
  const bool fits = members_.empty() ? !request.protocol_type.empty() && !request.protocols.empty()
                                     : request.protocol_type == protocol_type_ && members_.speak_one_of(request.protocols);
  if (!fits) return Error{Errc::inconsistent_group_protocol, "the members have no protocol of one type in common with this one"};
  return {};
}

bool ClassicMembership::has_room_for(const ClassicJoin& request) const {
  const ClassicIdentity& identity = request.identity;
  const ClassicMember* member = members_.find(identity.member_id);
  if (identity.member_id.empty() && identity.instance_id) member = members_.find_instance(*identity.instance_id);
  switch (state_) {
    case State::empty:
      break;
    case State::preparing_rebalance:  // Who has not come back yet may never do so: only those at the barrier count.
      if ((member == nullptr || !member->has_joined()) && members_.joined() >= options_.members_max) return false;
      break;
    case State::completing_rebalance:
    case State::stable:
      if (member == nullptr && members_.size() >= options_.members_max) return false;
      break;
  }
  const bool needs_an_id = identity.member_id.empty() && !identity.instance_id && request.require_known_member_id;
  return !needs_an_id || pending_.size() < options_.members_max;
}

void ClassicMembership::join_new(ClassicJoin request, SteadyTime now, ClassicJoinDone done) {
  if (const auto& instance_id = request.identity.instance_id; instance_id) {
    ClassicMember* const holder = members_.find_instance(*instance_id);
    if (holder != nullptr) return replace_static(*holder, std::move(request), now, std::move(done));
    std::string id = hooks_.new_member_id(*instance_id);
    return add_member(std::move(id), std::move(request), now, std::move(done));
  }
  std::string id = hooks_.new_member_id(request.client_id);
  if (!request.require_known_member_id) return add_member(std::move(id), std::move(request), now, std::move(done));
  const SteadyTime lapses = now + request.session_timeout;
  wake_at(lapses);
  pending_.insert_or_assign(id, lapses);
  refuse(std::move(done), Error{Errc::member_id_required, "join again as '" + id + "'"}, id);
}

void ClassicMembership::add_member(std::string id, ClassicJoin request, SteadyTime now, ClassicJoinDone done) {
  ClassicMember member;
  member.id = id;
  member.instance_id = std::move(request.identity.instance_id);
  member.client_id = std::move(request.client_id);
  member.client_host = std::move(request.client_host);
  member.session_timeout = request.session_timeout;
  member.rebalance_timeout = request.rebalance_timeout;
  member.protocols = copies_of(request.protocols);

  if (members_.empty()) protocol_type_ = std::move(request.protocol_type);
  if (state_ == State::preparing_rebalance && generation_ == 0) joined_meanwhile_ = true;
  park_join(members_.add(std::move(member)), now, std::move(done));
  if (state_ != State::preparing_rebalance) begin_rebalance(now, with_client_reason("member '" + id + "' joined", request.reason));
}

void ClassicMembership::replace_static(ClassicMember& member, ClassicJoin request, SteadyTime now, ClassicJoinDone done) {
  CHECK(state_ != State::empty);
  const std::string old_id = member.id;
  const std::string instance_id = *member.instance_id;
  const Error fenced{Errc::fenced_instance_id, "instance id '" + instance_id + "' came back as another member"};
  if (member.has_joined()) refuse(members_.take_join(member), fenced, old_id);
  if (member.parked_sync) answer(std::exchange(member.parked_sync, {}), fenced);

  const std::string leader_before = members_.leader();
  const Slice metadata_before = member.metadata_for(protocol_name_);
  ClassicMember& back = members_.replace(old_id, hooks_.new_member_id(instance_id));
  members_.set_protocols(back, copies_of(request.protocols));
  back.client_id = std::move(request.client_id);
  back.client_host = std::move(request.client_host);
  back.session_timeout = request.session_timeout;
  back.rebalance_timeout = request.rebalance_timeout;
  back.is_new = true;
  back.returning.reset();
  park_join(back, now, std::move(done));

  if (state_ == State::preparing_rebalance) return;
  std::string reason = with_client_reason("static member '" + instance_id + "' came back", request.reason);
  // The leader may hold the old id already, so its assignment would pass the new one by.
  if (state_ == State::completing_rebalance) return begin_rebalance(now, std::move(reason));
  const bool other_protocol = members_.select_protocol() != protocol_name_;
  const Slice metadata = back.metadata_for(protocol_name_);
  if (other_protocol ||
      (hooks_.subscription_changed && hooks_.subscription_changed(protocol_name_, metadata_before.view(), metadata.view())))
    return begin_rebalance(now, std::move(reason) + ", and wants something else");

  back.returning = ClassicMember::Return{.leader_before = leader_before, .can_skip_assignment = request.can_skip_assignment};
  back.join_answerable_at = change();
}

void ClassicMembership::join_again(ClassicJoin request, SteadyTime now, ClassicJoinDone done) {
  if (const auto pending = pending_.find(request.identity.member_id); pending != pending_.end() && !request.identity.instance_id) {
    std::string id = pending->first;
    pending_.erase(pending);
    return add_member(std::move(id), std::move(request), now, std::move(done));
  }
  if (const Status known = members_.check(request.identity); !known)
    return refuse(std::move(done), known.error(), request.identity.member_id);

  ClassicMember& member = *members_.find(request.identity.member_id);
  const bool unchanged = same_protocols(member.protocols, request.protocols);
  // It may have missed the answer to its last join: it gets the generation as it is, and syncs. The leader of a stable group, though, joins
  // for a reason that only it sees, such as new partitions.
  const bool in_generation = state_ == State::completing_rebalance || (state_ == State::stable && !members_.is_leader(member));
  if (in_generation && unchanged) return answer_join_in_generation(member, now, std::move(done));

  members_.set_protocols(member, copies_of(request.protocols));
  member.session_timeout = request.session_timeout;
  member.rebalance_timeout = request.rebalance_timeout;
  park_join(member, now, std::move(done));
  if (state_ != State::preparing_rebalance)
    begin_rebalance(now, with_client_reason("member '" + member.id + (unchanged ? "' (the leader) joined again" : "' changed its metadata"),
                                            request.reason));
}

void ClassicMembership::answer_join_in_generation(ClassicMember& member, SteadyTime now, ClassicJoinDone done) {
  park_join(member, now, std::move(done));
  member.join_answerable_at = std::max(member.returning ? member.join_answerable_at : 0, generation_version_);
  answer_ready_joins(now);
}

void ClassicMembership::park_join(ClassicMember& member, SteadyTime now, ClassicJoinDone done) {
  ClassicJoinDone replaced = members_.park_join(member, std::move(done));
  if (replaced) refuse(std::move(replaced), Error{Errc::rebalance_in_progress, "a newer join of this member took its place"}, member.id);
  member.last_seen = now;
  member.session_deadline = now + (member.is_new ? options_.new_member_join_timeout : member.session_timeout);
  wake_at(member.session_deadline);
}

void ClassicMembership::sync(ClassicSync request, SteadyTime now, ClassicSyncDone done) {
  const auto judge = [&]() -> Status {
    if (const Status known = check_member(request.identity, request.generation); !known) return known;
    if (request.protocol_type && *request.protocol_type != protocol_type_)
      return Error{Errc::inconsistent_group_protocol, "the group's protocol type is '" + protocol_type_ + "'"};
    if (request.protocol_name && *request.protocol_name != protocol_name_)
      return Error{Errc::inconsistent_group_protocol, "the group's protocol is '" + protocol_name_ + "'"};
    if (state_ == State::preparing_rebalance) return Error{Errc::rebalance_in_progress, rebalance_reason_};
    return {};
  };
  if (const Status allowed = judge(); !allowed) {
    answer(std::move(done), allowed.error());
    return finish(now);
  }

  ClassicMember& member = *members_.find(request.identity.member_id);
  member.sync_pending = false;
  clear_sync_deadline_if_done();
  refresh_session(member, now);
  if (state_ == State::stable) {
    answer(std::move(done),
           ClassicSynced{.protocol_type = protocol_type_, .protocol_name = protocol_name_, .assignment = member.assignment});
    return finish(now);
  }
  ClassicSyncDone replaced = std::exchange(member.parked_sync, std::move(done));
  if (replaced) answer(std::move(replaced), Error{Errc::rebalance_in_progress, "a newer sync of this member took its place"});
  // What the leader says first counts: it may be on its way to the disk already.
  if (members_.is_leader(member) && !assigned_) take_assignment(request);
  finish(now);
}

void ClassicMembership::take_assignment(const ClassicSync& request) {
  std::unordered_map<std::string_view, const Slice*> by_member;
  for (const auto& [id, assignment] : request.assignments) by_member.insert_or_assign(id, &assignment);
  for (auto& [id, member] : members_.all()) {
    const auto found = by_member.find(id);
    member.assignment = found == by_member.end() ? Slice() : Slice::copy_of(found->second->view());
  }
  assigned_ = true;
  assignment_version_ = change();
}

Status ClassicMembership::check_member(const ClassicIdentity& identity, std::int32_t generation) const {
  if (const Status known = members_.check(identity); !known) return known;
  if (generation == generation_) return {};
  return Error{Errc::illegal_generation,
               "the group is at generation " + std::to_string(generation_) + ", not " + std::to_string(generation)};
}

Status ClassicMembership::heartbeat(const ClassicIdentity& identity, std::int32_t generation, SteadyTime now) {
  if (const Status known = check_member(identity, generation); !known) return known;
  touch(identity.member_id, now);
  if (state_ == State::preparing_rebalance) return Error{Errc::rebalance_in_progress, rebalance_reason_};
  return {};
}

std::vector<Status> ClassicMembership::leave(std::span<const ClassicIdentity> identities, SteadyTime now) {
  std::vector<Status> answers;
  answers.reserve(identities.size());
  for (const ClassicIdentity& identity : identities) {
    ClassicIdentity who = identity;
    if (who.member_id.empty() && who.instance_id) {
      // An operator removes a static member by its name; the member itself also says its id, and is fenced by it.
      if (const ClassicMember* const holder = members_.find_instance(*who.instance_id); holder != nullptr) who.member_id = holder->id;
    }
    if (const auto pending = pending_.find(who.member_id); pending != pending_.end()) {
      pending_.erase(pending);
      answers.emplace_back();
      continue;
    }
    Status known = members_.check(who);
    if (known) leave_behind(who.member_id, now, "member '" + who.member_id + "' left");
    answers.push_back(std::move(known));
  }
  finish(now);
  return answers;
}

Status ClassicMembership::may_commit(const ClassicIdentity& identity, std::int32_t generation) const {
  if (generation < 0 && state_ == State::empty) return {};
  if (generation < 0 && identity.member_id.empty() && !identity.instance_id)
    return Error{Errc::unknown_member, "the group has members: only they commit its offsets"};
  if (const Status known = check_member(identity, generation); !known) return known;
  if (state_ == State::completing_rebalance) return Error{Errc::rebalance_in_progress, rebalance_reason_};
  return {};
}

void ClassicMembership::touch(std::string_view member_id, SteadyTime now) {
  if (ClassicMember* const member = members_.find(member_id); member != nullptr) refresh_session(*member, now);
}

void ClassicMembership::refresh_session(ClassicMember& member, SteadyTime now) {
  member.last_seen = now;
  if (member.is_new && member.has_joined()) return;  // It has the longer time of a new member.
  member.session_deadline = now + member.session_timeout;
  wake_at(member.session_deadline);
}

void ClassicMembership::answer(ClassicJoinDone done, ClassicJoinReply reply) {
  outbox_.emplace_back([done = std::move(done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
}

void ClassicMembership::refuse(ClassicJoinDone done, Error error, std::string member_id) {
  ClassicJoinReply reply;
  reply.status = std::move(error);
  reply.member_id = std::move(member_id);
  answer(std::move(done), std::move(reply));
}

void ClassicMembership::answer(ClassicSyncDone done, Result<ClassicSynced> reply) {
  outbox_.emplace_back([done = std::move(done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
}

void ClassicMembership::finish(SteadyTime now) {
  complete_join_if_due(now);
  run_callbacks();
}

void ClassicMembership::run_callbacks() {
  if (running_callbacks_) return;  // A callback called back: the outermost call runs what it caused.
  running_callbacks_ = true;
  while (announced_ < version_ || !outbox_.empty()) {
    if (announced_ < version_) {
      announced_ = version_;
      if (hooks_.on_change) hooks_.on_change(version_);
      continue;
    }
    UniqueFunction<void()> next = std::move(outbox_.front());
    outbox_.pop_front();
    next();
  }
  running_callbacks_ = false;
}

}  // namespace tidemark::broker
