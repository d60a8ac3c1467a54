#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/groups/assignor.h"
#include "broker/groups/group_types.h"
#include "broker/topic.h"
#include "storage/base/unique_function.h"

namespace re2 {
class RE2;
}

namespace tidemark::broker {

/// The members of a group whose partitions the broker assigns: incremental and sticky, after the model of KIP-848.
///
/// A change of members, subscriptions or topics raises the group's epoch and makes a new *target*. Each member is then led towards its
/// target on its own: first it is told to give up what goes elsewhere (*revoking*), and once it has said so, what others have given up is
/// handed to it. Partitions that do not move never pause. A member that does not give up in time, or is not heard of within its session
/// time-out, is removed and everything it held is free.
///
/// Pure: no clock, timer or I/O. Whatever changes is collected and taken as a record with take_change(); apply() puts records back.
class NativeMembership {
 public:
  NativeMembership();
  ~NativeMembership();
  NativeMembership(NativeMembership&&) noexcept;
  NativeMembership& operator=(NativeMembership&&) noexcept;

  bool empty() const { return members_.empty(); }
  std::size_t size() const { return members_.size(); }
  std::int32_t epoch() const { return epoch_; }

  /// See Groups::heartbeat for what it asks, answers and refuses.
  Result<HeartbeatReply> heartbeat(const HeartbeatRequest& request, const std::string& client_id, const TopicTable& topics, SteadyTime now,
                                   Timestamp wall, UniqueFunction<void()> news);
  Status leave(const std::string& member, bool for_good, const TopicTable& topics);
  /// Topics came, went or grew.
  void topics_changed(const TopicTable& topics);
  /// Ends what is due. Answers the members removed, with the reason, for the log.
  std::vector<std::string> expire(const TopicTable& topics, SteadyTime now);
  std::optional<SteadyTime> next_deadline() const;
  /// Removes everybody: they have to join again.
  void fence_all();

  /// Whether the member may commit for the partition: it holds it, or is giving it up, since that epoch or an earlier one.
  /// Errors: unknown_member, stale_member_epoch, not_owner.
  Status may_commit(const std::string& member, std::int32_t epoch, const PartitionKey& where) const;
  /// Errors: unknown_member, stale_member_epoch.
  Status check_member(const std::string& member, std::int32_t epoch) const;

  /// Topics some member subscribes to; existing ones only.
  std::set<Uuid> subscribed() const;
  /// Who holds the partition; empty: nobody.
  std::string owner(const PartitionKey& where) const;
  std::vector<MemberInfo> describe(const TopicTable& topics) const;
  /// "empty", "reconciling" while partitions are on their way, "stable".
  std::string state() const;

  /// Writes what changed since the last call. False: nothing.
  bool take_change(state::GroupChange& change);
  void write_all(state::GroupChange& change) const;
  void apply(const state::GroupChange& change);
  /// After recovery: everybody has a whole session time-out to come back.
  void recovered(const TopicTable& topics, SteadyTime now, Timestamp wall);

  /// Calls to members that should come at once, those that were removed included: what their last heartbeats gave, once each.
  std::vector<UniqueFunction<void()>> take_news();

  /// Checks the books against each other; tests call it after each step.
  void check_invariants() const;

 private:
  struct Member;
  using Members = std::map<std::string, std::unique_ptr<Member>>;

  Member* find(const std::string& id) const;
  Result<Member*> join(const HeartbeatRequest& request, const std::string& client_id);
  Status judge(const Member& member, const HeartbeatRequest& request) const;
  Status subscribe(Member& member, const Subscription& subscription, const TopicTable& topics);
  void confirm_owned(Member& member, const std::vector<NamedPartition>& owned, const TopicTable& topics);
  void resolve(Member& member, const TopicTable& topics) const;
  std::vector<AssignableTopic> shape_of(const TopicTable& topics) const;
  void retarget(const TopicTable& topics);
  void reconcile();
  bool reconcile(Member& member);
  void release(Member& member);
  void say_farewell(Member& member);
  bool target_fits() const;
  void remove(Members::iterator entry);
  void changed(Member& member);

  Members members_;
  std::map<std::string, std::string> instances_;       ///< Instance id -> member id.
  std::unordered_map<PartitionKey, Member*> holders_;  ///< Who holds what, also what is being given up.
  std::int32_t epoch_ = 0;
  std::vector<AssignableTopic> shape_;  ///< What the target was made for.
  bool unsettled_ = false;              ///< Somebody may have to give up or may get something.
  std::vector<UniqueFunction<void()>> farewells_;

  // Changes not taken yet.
  bool epoch_changed_ = false;
  std::set<std::string> changed_;
  std::set<std::string> removed_;
};

/// Named partitions of the keys whose topics exist; sorted.
std::vector<NamedPartition> to_named(const std::vector<PartitionKey>& keys, const TopicTable& topics);

}  // namespace tidemark::broker
