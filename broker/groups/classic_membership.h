#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/groups/classic_members.h"
#include "broker/groups/classic_messages.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::broker {

/// The membership of a group that its clients run themselves: the broker collects everybody at the join barrier, makes one the leader,
/// hands it what the others speak, and passes on what it assigned (Kafka's classic group protocol; KIP-62, 134, 345, 394, 559, 814). It
/// knows neither topics nor offsets, and eager and cooperative rebalancing are the same to it.
///
///     empty -> preparing_rebalance -> completing_rebalance -> stable
///
/// A join, a leave or a time-out takes any state with members back to preparing_rebalance. There every member must join again until the
/// longest rebalance timeout has passed; who has not by then is removed, but a static member only when its session ends or it does not
/// sync. The new generation then waits for the leader's assignment, at most the same time for each member's sync.
///
/// Pure: no clock, no timer, no I/O. Times come in with the calls, and `now` never goes back. The owner calls tick() at next_deadline().
///
/// Durability: a reply shows nothing that a crash could take back. Whenever the state that outlives a restart has changed, `on_change` gets
/// its version; the owner takes snapshot(), records it and reports with recorded(). Join replies wait for their generation, sync replies
/// for the assignment. After a crash, restore() brings back the last record: generations never go back, every member gets a fresh session,
/// who waited asks again. A member that left or timed out since that record is back too, and goes with its session.
///
/// Callbacks run at the end of the call that caused them, `on_change` first and once for all changes; each `done` runs exactly once. They
/// may call back into this object, and must not destroy it. Before destruction, close() answers who still waits; without it they are
/// dropped.
///
/// Bounded: at most 2 * members_max members (while a rebalance replaces the old ones by new ones), as many given-out ids, protocols_max
/// protocols a member; metadata and assignments are copied, so they do not keep a request's frame alive.
///
/// Not thread-safe: owned by the home shard of its group.
class ClassicMembership {
 public:
  enum class State : std::uint8_t { empty, preparing_rebalance, completing_rebalance, stable };

  struct Options {
    std::chrono::milliseconds session_timeout_min{std::chrono::seconds(6)};
    std::chrono::milliseconds session_timeout_max{std::chrono::minutes(30)};
    /// How long an empty group waits for more members once the first has come; again for each further one while the group is new, up to
    /// the rebalance timeout.
    std::chrono::milliseconds initial_rebalance_delay{std::chrono::seconds(3)};
    /// A new member whose join is parked cannot heartbeat: it is given up after this time, and a live one joins again.
    std::chrono::milliseconds new_member_join_timeout{std::chrono::minutes(5)};
    std::size_t members_max = 1000;
    std::size_t protocols_max = 100;
  };

  /// What Kafka's int32 of milliseconds can say. Longer ones are cut.
  static constexpr std::chrono::milliseconds kRebalanceTimeoutMax{std::numeric_limits<std::int32_t>::max()};

  struct Hooks {
    /// A member id never used before for "client id" or "instance id", e.g. `<name>-<uuid>`. Not empty.
    UniqueFunction<std::string(std::string_view name)> new_member_id;
    UniqueFunction<void(std::uint64_t version)> on_change;
    /// Whether a static member that came back with other metadata wants something else than before, which needs a rebalance. May be empty:
    /// then only a change of the selected protocol does, as in Kafka.
    UniqueFunction<bool(std::string_view protocol, ByteView before, ByteView after)> subscription_changed;
  };

  ClassicMembership(Options options, Hooks hooks);
  ClassicMembership(const ClassicMembership&) = delete;
  ClassicMembership& operator=(const ClassicMembership&) = delete;

  /// Answered at the join barrier. `status` is one of: invalid_session_timeout, invalid_argument (too many protocols), group_full,
  /// inconsistent_group_protocol, member_id_required, unknown_member (join again without an id), fenced_instance_id, rebalance_in_progress
  /// (a newer join of the same member took this one's place), or the error of a failed record.
  void join(ClassicJoin request, SteadyTime now, ClassicJoinDone done);
  /// Answered when the leader's assignment is recorded. Errors: unknown_member, fenced_instance_id, illegal_generation,
  /// inconsistent_group_protocol, rebalance_in_progress (also for a parked one), or the error of a failed record.
  void sync(ClassicSync request, SteadyTime now, ClassicSyncDone done);
  /// Errors: unknown_member, fenced_instance_id, illegal_generation; rebalance_in_progress keeps the session and asks to join again.
  Status heartbeat(const ClassicIdentity& identity, std::int32_t generation, SteadyTime now);
  /// Removes members, one answer each: unknown_member, fenced_instance_id. An identity without member id removes whoever holds its
  /// instance.
  std::vector<Status> leave(std::span<const ClassicIdentity> identities, SteadyTime now);

  /// Whether an offset commit may be taken. A generation below zero is a client that is no member: allowed while the group is empty.
  /// Errors: unknown_member, fenced_instance_id, illegal_generation; rebalance_in_progress while the assignment is awaited, though not
  /// while members join: what they commit then is the last of their old partitions.
  Status may_commit(const ClassicIdentity& identity, std::int32_t generation) const;
  /// An accepted commit is a sign of life.
  void touch(std::string_view member_id, SteadyTime now);

  /// Does what is due by `now`.
  void tick(SteadyTime now);
  /// When tick() must be called next. May be early, never late.
  std::optional<SteadyTime> next_deadline() const { return wake_; }

  /// The snapshot taken at `version` is on the disk, with all before it; or an error: it will never be, and neither will what came before
  /// it unless reported already. Who waited for it gets the error and has to join again.
  void recorded(std::uint64_t version, const Status& status, SteadyTime now);
  /// Also good at any other time, for a snapshot of the owner's own.
  ClassicSnapshot snapshot() const;
  /// Pre: nothing happened here yet. Errors: corrupt_batch when the snapshot contradicts itself; then nothing changed.
  Status restore(ClassicSnapshot snapshot, SteadyTime now);
  /// Answers everybody who waits with `error`: the group is deleted or the broker stops. Only destruction may follow.
  void close(const Error& error);

  State state() const { return state_; }
  std::int32_t generation() const { return generation_; }
  std::size_t size() const { return members_.size(); }

  struct Description {
    struct Member {
      std::string member_id;
      std::optional<std::string> instance_id;
      std::string client_id;
      std::string client_host;
      std::chrono::milliseconds session_timeout{};
      std::chrono::milliseconds rebalance_timeout{};
      SteadyTime last_seen{};
      Slice metadata;    ///< Of the selected protocol; only while stable.
      Slice assignment;  ///< Only while stable.
    };
    State state = State::empty;
    std::int32_t generation = 0;
    std::string protocol_type;  ///< Of the last members, when empty.
    std::string protocol_name;  ///< Only while stable.
    std::string leader;
    std::string rebalance_reason;  ///< Why the last rebalance began, in words.
    std::vector<Member> members;   ///< Longest in the group first.
  };
  Description describe() const;

  void check_invariants() const;

 private:
  // classic_membership.cc: the calls.
  Status may_join(const ClassicJoin& request) const;
  bool has_room_for(const ClassicJoin& request) const;
  void join_new(ClassicJoin request, SteadyTime now, ClassicJoinDone done);
  void join_again(ClassicJoin request, SteadyTime now, ClassicJoinDone done);
  void add_member(std::string id, ClassicJoin request, SteadyTime now, ClassicJoinDone done);
  void replace_static(ClassicMember& member, ClassicJoin request, SteadyTime now, ClassicJoinDone done);
  void take_assignment(const ClassicSync& request);
  Status check_member(const ClassicIdentity& identity, std::int32_t generation) const;
  void park_join(ClassicMember& member, SteadyTime now, ClassicJoinDone done);
  void answer_join_in_generation(ClassicMember& member, SteadyTime now, ClassicJoinDone done);

  // classic_rebalance.cc: the barrier, the time-outs, what waits for a record.
  void begin_rebalance(SteadyTime now, std::string reason);
  void complete_join_if_due(SteadyTime now);
  void complete_join(SteadyTime now);
  void remove_member(std::string_view id);
  void leave_behind(std::string_view id, SteadyTime now, std::string reason);
  void answer_ready_joins(SteadyTime now);
  void become_stable(SteadyTime now);
  void record_failed(std::uint64_t version, const Error& error, SteadyTime now);
  void expire_pending(SteadyTime now);
  void expire_sessions(SteadyTime now);
  void expire_syncs(SteadyTime now);
  void find_next_deadline();
  void clear_sync_deadline_if_done();

  ClassicJoinReply reply_to(const ClassicMember& member) const;
  void refresh_session(ClassicMember& member, SteadyTime now);
  void wake_at(SteadyTime at);
  std::uint64_t change() { return ++version_; }
  void answer(ClassicJoinDone done, ClassicJoinReply reply);
  void refuse(ClassicJoinDone done, Error error, std::string member_id = {});
  void answer(ClassicSyncDone done, Result<ClassicSynced> reply);
  void finish(SteadyTime now);
  void run_callbacks();

  const Options options_;
  Hooks hooks_;

  State state_ = State::empty;
  std::int32_t generation_ = 0;
  std::string protocol_type_;
  std::string protocol_name_;
  std::string rebalance_reason_;
  ClassicMembers members_;
  std::map<std::string, SteadyTime, std::less<>> pending_;  // Ids given out but not joined with yet, and when they lapse.

  // preparing_rebalance.
  SteadyTime rebalance_deadline_{};
  bool initial_delay_ = false;
  bool joined_meanwhile_ = false;
  std::chrono::milliseconds initial_delay_left_{};

  // completing_rebalance and stable.
  std::uint64_t generation_version_ = 0;     // With this version the generation is recorded.
  std::uint64_t assignment_version_ = 0;     // With this one the leader's assignment is; meaningful while assigned_.
  bool assigned_ = false;                    // completing_rebalance: the leader has spoken.
  std::optional<SteadyTime> sync_deadline_;  // Unset while nobody owes a sync or the generation is not recorded.

  std::uint64_t version_ = 0;
  std::uint64_t announced_ = 0;  // Last version given to on_change.
  std::uint64_t recorded_ = 0;

  std::optional<SteadyTime> wake_;
  std::deque<UniqueFunction<void()>> outbox_;
  bool running_callbacks_ = false;
};

}  // namespace tidemark::broker
