#include <algorithm>
#include <limits>
#include <utility>

#include "broker/groups/classic_membership.h"

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

/// How long the barrier waits again when nobody came. A floor, since clients may ask for a rebalance timeout of zero.
constexpr milliseconds kBarrierRepeatMin{1000};

/// Wraps after 68 years of one rebalance a second; members are told apart by their ids as well.
std::int32_t generation_after(std::int32_t generation) {
  return generation == std::numeric_limits<std::int32_t>::max() ? 1 : generation + 1;
}

}  // namespace

void ClassicMembership::begin_rebalance(SteadyTime now, std::string reason) {
  CHECK(state_ != State::preparing_rebalance);
  rebalance_reason_ = std::move(reason);
  for (auto& [id, member] : members_.all()) {
    member.sync_pending = false;
    member.returning.reset();  // Like everybody else's, its parked join now waits for the barrier.
    if (!member.parked_sync) continue;
    answer(std::exchange(member.parked_sync, {}), Error{Errc::rebalance_in_progress, rebalance_reason_});
    refresh_session(member, now);
  }
  assigned_ = false;
  sync_deadline_.reset();

  const milliseconds patience = members_.rebalance_timeout();
  initial_delay_ = state_ == State::empty;
  joined_meanwhile_ = false;
  initial_delay_left_ = std::max(patience - options_.initial_rebalance_delay, milliseconds(0));
  rebalance_deadline_ = now + (initial_delay_ ? options_.initial_rebalance_delay : patience);
  wake_at(rebalance_deadline_);
  state_ = State::preparing_rebalance;
}

void ClassicMembership::complete_join_if_due(SteadyTime now) {
  if (state_ != State::preparing_rebalance) return;
  if (now < rebalance_deadline_) {
    // Who was given an id is about to join with it: without waiting, every new member would cost two rebalances (KIP-394).
    const bool all_here = members_.all_joined() && pending_.empty();
    if (initial_delay_ || !all_here) return;
  } else if (initial_delay_ && joined_meanwhile_ && initial_delay_left_ > milliseconds(0)) {
    const milliseconds delay = std::min(options_.initial_rebalance_delay, initial_delay_left_);
    initial_delay_left_ -= delay;
    joined_meanwhile_ = false;
    rebalance_deadline_ = now + delay;
    wake_at(rebalance_deadline_);
    return;
  }
  complete_join(now);
}

void ClassicMembership::complete_join(SteadyTime now) {
  std::vector<std::string> absent;
  for (const auto& [id, member] : members_.all())
    if (!member.has_joined() && !member.is_static()) absent.push_back(id);
  for (const std::string& id : absent) remove_member(id);

  if (!members_.empty() && !members_.elect_joined_leader()) {
    // Only static members are left and none is back: they may be restarting, and keep their place until their sessions end.
    initial_delay_ = false;
    rebalance_deadline_ = now + std::max(members_.rebalance_timeout(), kBarrierRepeatMin);
    wake_at(rebalance_deadline_);
    return;
  }

  generation_ = generation_after(generation_);
  if (members_.empty()) {
    state_ = State::empty;
    protocol_name_.clear();
    change();
    return;
  }
  state_ = State::completing_rebalance;
  protocol_name_ = members_.select_protocol();
  generation_version_ = change();
  for (auto& [id, member] : members_.all()) {
    member.is_new = false;
    member.sync_pending = true;
    member.join_answerable_at = generation_version_;
    refresh_session(member, now);
  }
}

void ClassicMembership::remove_member(std::string_view id) {
  ClassicMember& member = *members_.find(id);
  const Error gone{Errc::unknown_member, "member '" + member.id + "' was removed from the group"};
  // Without its id: a client that still lives joins again as a new member.
  if (member.has_joined()) refuse(members_.take_join(member), gone);
  if (member.parked_sync) answer(std::exchange(member.parked_sync, {}), gone);
  members_.remove(id);
}

void ClassicMembership::leave_behind(std::string_view id, SteadyTime now, std::string reason) {
  remove_member(id);
  if (state_ == State::completing_rebalance || state_ == State::stable) begin_rebalance(now, std::move(reason));
}

ClassicJoinReply ClassicMembership::reply_to(const ClassicMember& member) const {
  ClassicJoinReply reply;
  reply.member_id = member.id;
  reply.generation = generation_;
  reply.protocol_type = protocol_type_;
  reply.protocol_name = protocol_name_;
  reply.leader = members_.leader();
  if (member.returning && !member.returning->can_skip_assignment) {
    // An old client that hears it leads would assign, and nobody would hear of it. So it is told of the leader before it, itself maybe.
    reply.leader = member.returning->leader_before;
    return reply;
  }
  if (!members_.is_leader(member)) return reply;
  reply.skip_assignment = member.returning.has_value();
  reply.members.reserve(members_.size());
  for (const auto& [id, other] : members_.all())
    reply.members.push_back({.member_id = id, .instance_id = other.instance_id, .metadata = other.metadata_for(protocol_name_)});
  return reply;
}

void ClassicMembership::answer_ready_joins(SteadyTime now) {
  if (state_ == State::preparing_rebalance) return;
  for (auto& [id, member] : members_.all()) {
    if (!member.has_joined() || member.join_answerable_at > recorded_) continue;
    answer(members_.take_join(member), reply_to(member));
    member.returning.reset();
    member.is_new = false;
    refresh_session(member, now);
  }
}

void ClassicMembership::become_stable(SteadyTime now) {
  state_ = State::stable;
  assigned_ = false;
  for (auto& [id, member] : members_.all()) {
    if (!member.parked_sync) continue;
    answer(std::exchange(member.parked_sync, {}),
           ClassicSynced{.protocol_type = protocol_type_, .protocol_name = protocol_name_, .assignment = member.assignment});
    refresh_session(member, now);
  }
}

void ClassicMembership::recorded(std::uint64_t version, const Status& status, SteadyTime now) {
  CHECK(version <= announced_);
  if (version > recorded_) {
    if (status) {
      const bool generation_now = recorded_ < generation_version_ && generation_version_ <= version;
      recorded_ = version;
      if (generation_now && state_ == State::completing_rebalance) {
        sync_deadline_ = now + members_.rebalance_timeout();  // From when they can know that a sync is owed.
        wake_at(*sync_deadline_);
        clear_sync_deadline_if_done();
      }
      answer_ready_joins(now);
      if (state_ == State::completing_rebalance && assigned_ && assignment_version_ <= recorded_) become_stable(now);
    } else {
      record_failed(version, status.error(), now);
    }
  }
  finish(now);
}

void ClassicMembership::record_failed(std::uint64_t version, const Error& error, SteadyTime now) {
  if (state_ == State::empty || state_ == State::preparing_rebalance) return;  // Nobody waits for a record.
  const auto is_lost = [&](std::uint64_t of) { return recorded_ < of && of <= version; };
  const bool generation_lost = state_ == State::completing_rebalance && is_lost(generation_version_);
  const bool assignment_lost = state_ == State::completing_rebalance && assigned_ && is_lost(assignment_version_);
  for (auto& [id, member] : members_.all()) {
    if (member.has_joined() && is_lost(member.join_answerable_at)) {
      refuse(members_.take_join(member), error, member.id);
      member.returning.reset();
      refresh_session(member, now);
    }
    if (member.parked_sync && assignment_lost) {
      answer(std::exchange(member.parked_sync, {}), error);
      refresh_session(member, now);
    }
  }
  if (generation_lost || assignment_lost) begin_rebalance(now, "the group could not be recorded: " + error.to_string());
}

void ClassicMembership::tick(SteadyTime now) {
  if (wake_ && *wake_ <= now) {
    expire_pending(now);
    expire_sessions(now);
    expire_syncs(now);
    complete_join_if_due(now);
    find_next_deadline();
  }
  finish(now);
}

void ClassicMembership::expire_pending(SteadyTime now) {
  std::erase_if(pending_, [&](const auto& entry) { return entry.second <= now; });
}

void ClassicMembership::expire_sessions(SteadyTime now) {
  std::vector<std::string> expired;
  for (const auto& [id, member] : members_.all()) {
    // Who waits for us is not gone, and cannot heartbeat meanwhile. But a client that gave up on its first join leaves a member behind that
    // nobody knows of.
    const bool is_alive = member.is_waiting() && !member.is_new;
    if (!is_alive && member.session_deadline <= now) expired.push_back(id);
  }
  for (const std::string& id : expired) leave_behind(id, now, "the session of member '" + id + "' timed out");
}

void ClassicMembership::expire_syncs(SteadyTime now) {
  if (!sync_deadline_ || now < *sync_deadline_) return;
  std::vector<std::string> missing;
  for (const auto& [id, member] : members_.all())
    if (member.sync_pending) missing.push_back(id);
  CHECK(!missing.empty());
  for (const std::string& id : missing) remove_member(id);
  begin_rebalance(now, "member '" + missing.front() + "' did not ask for its assignment in time");
}

void ClassicMembership::clear_sync_deadline_if_done() {
  const bool owed = std::ranges::any_of(members_.all(), [](const auto& entry) { return entry.second.sync_pending; });
  if (!owed) sync_deadline_.reset();
}

void ClassicMembership::wake_at(SteadyTime at) { wake_ = wake_ ? std::min(*wake_, at) : at; }

void ClassicMembership::find_next_deadline() {
  wake_.reset();
  for (const auto& [id, lapses] : pending_) wake_at(lapses);
  for (const auto& [id, member] : members_.all())
    if (member.is_new || !member.is_waiting()) wake_at(member.session_deadline);
  if (state_ == State::preparing_rebalance) wake_at(rebalance_deadline_);
  if (sync_deadline_) wake_at(*sync_deadline_);
}

}  // namespace tidemark::broker
