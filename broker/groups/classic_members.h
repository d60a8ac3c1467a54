#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/classic_messages.h"
#include "storage/base/clock.h"

namespace tidemark::broker {

/// One member of a classic group and the calls of it that wait.
struct ClassicMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::chrono::milliseconds session_timeout{};
  std::chrono::milliseconds rebalance_timeout{};
  std::vector<ClassicProtocol> protocols;  ///< Changed through ClassicMembers::set_protocols only.
  Slice assignment;                        ///< The last one; of the current generation only once its leader has assigned.
  std::uint64_t order = 0;                 ///< Who is longer in the group has the lower one. Set by add().

  bool is_new = true;         ///< Its id was in no answer yet, so it cannot heartbeat.
  bool sync_pending = false;  ///< Owes the sync of this generation.
  SteadyTime last_seen{};
  SteadyTime session_deadline{};

  ClassicSyncDone parked_sync;
  std::uint64_t join_answerable_at = 0;  ///< The version that must be recorded before the parked join may be answered.
  /// Set while a static member that came back waits to be let in without a rebalance.
  struct Return {
    std::string leader_before;
    bool can_skip_assignment = false;
  };
  std::optional<Return> returning;

  bool is_static() const { return instance_id.has_value(); }
  bool has_joined() const { return static_cast<bool>(parked_join_); }
  bool is_waiting() const { return has_joined() || static_cast<bool>(parked_sync); }
  /// The member's metadata for protocol `name`; empty if it does not speak it.
  Slice metadata_for(std::string_view name) const;

 private:
  friend class ClassicMembers;
  ClassicJoinDone parked_join_;  // The table counts them.
};

/// The members of a classic group: who is there, who leads, who has come to the join barrier, and what they all speak.
///
/// References stay valid until that member is removed or replaced. Not thread-safe.
class ClassicMembers {
 public:
  using Map = std::map<std::string, ClassicMember, std::less<>>;

  ClassicMember* find(std::string_view id);
  const ClassicMember* find(std::string_view id) const;
  /// The member that holds static identity `instance_id`.
  ClassicMember* find_instance(std::string_view instance_id);
  const ClassicMember* find_instance(std::string_view instance_id) const;
  /// Whether `identity` is a member: fenced_instance_id if its instance belongs to another member id, unknown_member if it is nobody.
  Status check(const ClassicIdentity& identity) const;

  /// The first member leads. Pre: id and instance id are free.
  ClassicMember& add(ClassicMember member);
  /// If the removed member led, the one longest in the group leads now. Its waiting calls are the caller's to take first.
  void remove(std::string_view id);
  /// Gives the static member `old_id` a new id; it keeps its place, also as the leader. Its waiting calls are the caller's to take first.
  ClassicMember& replace(std::string_view old_id, std::string new_id);

  /// Parks a join call of `member`, which has thereby come to the barrier. Returns the call that it replaces, if any.
  ClassicJoinDone park_join(ClassicMember& member, ClassicJoinDone done);
  /// Takes the parked join of `member`; empty if there is none.
  ClassicJoinDone take_join(ClassicMember& member);

  const std::string& leader() const { return leader_; }
  bool is_leader(const ClassicMember& member) const { return member.id == leader_; }
  void set_leader(std::string id);
  /// Keeps a leader that has joined, else elects whoever joined and is longest in the group. False: nobody has joined.
  bool elect_joined_leader();

  void set_protocols(ClassicMember& member, std::vector<ClassicProtocol> protocols);
  /// Whether all present members speak one of `protocols`.
  bool speak_one_of(const std::vector<ClassicProtocol>& protocols) const;
  /// Of the protocols all members speak, the one most members want most; of equals the one wanted by whoever is longest in the group. Pre:
  /// there are members and they have a protocol in common.
  std::string select_protocol() const;
  bool have_common_protocol() const;

  /// The longest time a member may take to rejoin; zero without members.
  std::chrono::milliseconds rebalance_timeout() const;
  bool empty() const { return members_.empty(); }
  std::size_t size() const { return members_.size(); }
  std::size_t joined() const { return joined_; }
  bool all_joined() const { return joined_ == members_.size(); }
  /// By member id.
  Map& all() { return members_; }
  const Map& all() const { return members_; }
  /// Longest in the group first.
  std::vector<const ClassicMember*> by_age() const;

  void check_invariants() const;

 private:
  void count_protocols(const ClassicMember& member, bool there);
  bool all_speak(std::string_view protocol) const;

  Map members_;
  std::map<std::string, std::string, std::less<>> instances_;  // Instance id -> member id.
  std::map<std::string, std::size_t, std::less<>> speakers_;   // Protocol -> how many members speak it.
  std::string leader_;
  std::size_t joined_ = 0;
  std::uint64_t next_order_ = 0;
};

}  // namespace tidemark::broker
