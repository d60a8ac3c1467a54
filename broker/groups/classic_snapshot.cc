#include <algorithm>
#include <set>
#include <utility>

#include "broker/groups/classic_membership.h"

namespace tidemark::broker {
namespace {

using Phase = ClassicSnapshot::Phase;

/// What restore() relies on. The bytes come from a disk, so a contradiction is an error and no broken invariant.
Status check(const ClassicSnapshot& snapshot) {
  const auto refuse = [](const char* what) {
    return Error{Errc::corrupt_batch, std::string("a group's membership does not add up: ") + what};
  };
  if (snapshot.generation < 0) return refuse("a generation below zero");
  if ((snapshot.phase == Phase::empty) != snapshot.members.empty()) return refuse("members of an empty group");
  if (snapshot.members.empty()) return snapshot.leader.empty() ? Status() : refuse("a leader without members");
  if (snapshot.protocol_type.empty()) return refuse("members without a protocol type");

  std::set<std::string_view> ids;
  std::set<std::string_view> instances;
  for (const ClassicSnapshot::Member& member : snapshot.members) {
    if (member.member_id.empty() || !ids.insert(member.member_id).second) return refuse("two members of one id");
    if (member.instance_id && !instances.insert(*member.instance_id).second) return refuse("two members of one instance id");
    if (member.session_timeout.count() < 0 || member.rebalance_timeout.count() < 0) return refuse("a timeout below zero");
  }
  if (!ids.contains(snapshot.leader)) return refuse("the leader is no member");

  const auto all_speak = [&](std::string_view protocol) {
    return std::ranges::all_of(snapshot.members, [&](const ClassicSnapshot::Member& member) {
      return std::ranges::find(member.protocols, protocol, &ClassicProtocol::name) != member.protocols.end();
    });
  };
  const auto& candidates = snapshot.members.front().protocols;
  if (!std::ranges::any_of(candidates, all_speak, &ClassicProtocol::name)) return refuse("members without a common protocol");
  if (snapshot.phase != Phase::rebalancing && !all_speak(snapshot.protocol_name)) return refuse("a protocol that not all members speak");
  return {};
}

}  // namespace

ClassicSnapshot ClassicMembership::snapshot() const {
  const auto phase = [&] {
    if (members_.empty()) return Phase::empty;
    if (state_ == State::preparing_rebalance) return Phase::rebalancing;
    if (state_ == State::completing_rebalance && !assigned_) return Phase::awaiting_assignment;
    return Phase::stable;  // An assignment that the leader has sent counts from when it is recorded, which is what this value is for.
  };
  ClassicSnapshot result;
  result.phase = phase();
  result.generation = generation_;
  result.protocol_type = protocol_type_;
  result.protocol_name = protocol_name_;
  result.leader = members_.leader();
  result.members.reserve(members_.size());
  for (const ClassicMember* const member : members_.by_age())
    result.members.push_back({.member_id = member->id,
                              .instance_id = member->instance_id,
                              .client_id = member->client_id,
                              .client_host = member->client_host,
                              .session_timeout = member->session_timeout,
                              .rebalance_timeout = member->rebalance_timeout,
                              .protocols = member->protocols,
                              .assignment = result.phase == Phase::stable ? member->assignment : Slice()});
  return result;
}

Status ClassicMembership::restore(ClassicSnapshot snapshot, SteadyTime now) {
  CHECK(version_ == 0 && members_.empty() && generation_ == 0);
  if (Status sound = check(snapshot); !sound) return sound;
  generation_ = snapshot.generation;
  protocol_type_ = std::move(snapshot.protocol_type);
  if (snapshot.members.empty()) return {};

  protocol_name_ = std::move(snapshot.protocol_name);
  const bool owes_sync = snapshot.phase == Phase::awaiting_assignment;
  for (ClassicSnapshot::Member& saved : snapshot.members) {
    ClassicMember member;
    member.id = std::move(saved.member_id);
    member.instance_id = std::move(saved.instance_id);
    member.client_id = std::move(saved.client_id);
    member.client_host = std::move(saved.client_host);
    // A record may be older than today's bounds, and sums with a deadline must not overflow.
    member.session_timeout = std::min(saved.session_timeout, options_.session_timeout_max);
    member.rebalance_timeout = std::min(saved.rebalance_timeout, kRebalanceTimeoutMax);
    member.protocols = std::move(saved.protocols);
    member.assignment = std::move(saved.assignment);
    member.is_new = false;
    member.sync_pending = owes_sync;
    refresh_session(members_.add(std::move(member)), now);
  }
  members_.set_leader(std::move(snapshot.leader));

  state_ = owes_sync ? State::completing_rebalance : State::stable;
  if (owes_sync) {
    sync_deadline_ = now + members_.rebalance_timeout();
    wake_at(*sync_deadline_);
  }
  if (snapshot.phase == Phase::rebalancing) begin_rebalance(now, "the broker was restarted during a rebalance");
  if (state_ != State::preparing_rebalance && members_.size() > options_.members_max)
    begin_rebalance(now, "the group has more members than it may have now");
  return {};
}

void ClassicMembership::close(const Error& error) {
  for (auto& [id, member] : members_.all()) {
    if (member.has_joined()) refuse(members_.take_join(member), error, id);
    if (member.parked_sync) answer(std::exchange(member.parked_sync, {}), error);
  }
  run_callbacks();
}

ClassicMembership::Description ClassicMembership::describe() const {
  Description result;
  result.state = state_;
  result.generation = generation_;
  result.protocol_type = protocol_type_;
  result.leader = members_.leader();
  result.rebalance_reason = rebalance_reason_;
  const bool is_stable = state_ == State::stable;
  if (is_stable) result.protocol_name = protocol_name_;
  result.members.reserve(members_.size());
  for (const ClassicMember* const member : members_.by_age())
    result.members.push_back({.member_id = member->id,
                              .instance_id = member->instance_id,
                              .client_id = member->client_id,
                              .client_host = member->client_host,
                              .session_timeout = member->session_timeout,
                              .rebalance_timeout = member->rebalance_timeout,
                              .last_seen = member->last_seen,
                              .metadata = is_stable ? member->metadata_for(protocol_name_) : Slice(),
                              .assignment = is_stable ? member->assignment : Slice()});
  return result;
}

void ClassicMembership::check_invariants() const {
  members_.check_invariants();
  CHECK(recorded_ <= announced_);
  CHECK(announced_ <= version_);
  CHECK(members_.empty() || !protocol_type_.empty());
  CHECK(state_ != State::empty || members_.empty());
  CHECK(state_ != State::stable || generation_version_ <= recorded_);
  CHECK(!assigned_ || state_ == State::completing_rebalance);

  const bool in_generation = state_ == State::completing_rebalance || state_ == State::stable;
  CHECK(!in_generation || !members_.empty());
  bool sync_owed = false;
  for (const auto& [id, member] : members_.all()) {
    CHECK(!member.parked_sync || state_ == State::completing_rebalance);
    CHECK(!member.sync_pending || in_generation);
    CHECK(!member.returning || state_ == State::stable);
    CHECK(!in_generation || !member.has_joined() || member.join_answerable_at > recorded_);
    CHECK(member.is_waiting() || *wake_ <= member.session_deadline);
    sync_owed = sync_owed || member.sync_pending;
  }
  CHECK(sync_deadline_.has_value() == (sync_owed && generation_version_ <= recorded_));
  if (sync_deadline_) CHECK(*wake_ <= *sync_deadline_);
  if (state_ == State::preparing_rebalance) {
    CHECK(*wake_ <= rebalance_deadline_);
    // The barrier waits for somebody or for a time, never for nothing.
    CHECK(initial_delay_ || !members_.all_joined() || !pending_.empty());
  }
}

}  // namespace tidemark::broker
