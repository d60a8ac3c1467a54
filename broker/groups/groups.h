#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/groups/group_types.h"

namespace tidemark::broker {

/// Consumer groups: members, committed offsets, lag, seeks. Part of the Broker; same rules: calls are made on a shard, `done` runs there
/// once, and what is answered is durable.
///
/// A group comes into being with its first member, its first commit, or create(), and stays until remove() (or, where its settings say so,
/// offsets.retention after its last use). All of it lives on the group's home shard and in the state-log stream `group`/<name>.
class Groups {
 public:
  explicit Groups(std::shared_ptr<struct GroupsImpl> impl) : impl_(std::move(impl)) {}

  /// Creates, joins, renews, and tells what changed. `news`, if given, runs at most once, on the calling shard, when the member should
  /// come again at once; the next heartbeat of the member replaces it.
  /// Errors: unknown_group / unknown_member (join again with epoch 0), stale_member_epoch (fenced: join again), invalid_argument (regex
  /// that does not parse, bounds), conflict (members of another protocol), overloaded (kMembersMax), shutting_down, disk_full.
  void heartbeat(const RequestContext& context, HeartbeatRequest request, UniqueFunction<void()> news, Done<HeartbeatReply> done);
  /// Gives everything up at once. A static member that means to come back (`for_good` false) keeps its share until its session ends.
  void leave(const RequestContext& context, std::string group, std::string member, bool for_good, Done<void> done);

  // --- Members that assign: ClassicMembership says what each call does. A group of the other kind with members answers
  // inconsistent_group_protocol. Waiting calls are answered with shutting_down when the broker stops.

  void join(const RequestContext& context, std::string group, ClassicJoin request, Done<ClassicJoinReply> done);
  void sync(const RequestContext& context, std::string group, ClassicSync request, Done<ClassicSynced> done);
  void heartbeat(const RequestContext& context, std::string group, ClassicIdentity member, std::int32_t generation, Done<void> done);
  void leave(const RequestContext& context, std::string group, std::vector<ClassicIdentity> members, Done<std::vector<Status>> done);
  /// Once, before the first call.
  void set_classic_reader(ClassicReader reader);

  /// All that is valid is recorded together; per entry: unknown_topic, unknown_partition, not_owner, offset_out_of_range (beyond the
  /// end; below the log start is allowed), invalid_argument (metadata too long). As a whole: unknown_group, unknown_member,
  /// stale_member_epoch, conflict (no member given while the group has some), disk_full.
  void commit(const RequestContext& context, CommitRequest request, Done<CommitReply> done);
  /// The same as part of the producer's transaction, which the group has joined (Transactions::add_group): the offsets count when it
  /// commits. A member, if given, is judged as by commit(); offsets are not held against the end. Errors also: invalid_transaction_state,
  /// stale_producer_epoch.
  void commit_in_transaction(const RequestContext& context, CommitRequest request, ProducerIdentity producer, Done<CommitReply> done);
  /// Where to read on; resolves, and records, what the group's start and its policy for gone positions say. Per entry also:
  /// concurrent_transactions while a transaction that is not finished has an offset for it: ask again.
  void positions(const RequestContext& context, PositionsRequest request, Done<PositionsReply> done);
  /// What is committed, no more: nullopt where nothing is. `where` empty: everything.
  struct Committed {
    NamedPartition where;
    std::optional<CommittedOffset> committed;
    bool unstable = false;  ///< A transaction that is not finished has an offset for it.
  };
  void committed(const RequestContext& context, std::string group, std::vector<NamedPartition> where, Done<std::vector<Committed>> done);
  /// Forgets positions. conflict for topics a live member subscribes to.
  void forget(const RequestContext& context, std::string group, std::vector<NamedPartition> where, Done<std::vector<Status>> done);

  void create(const RequestContext& context, CreateGroupRequest request, Done<GroupInfo> done);
  void alter(const RequestContext& context, std::string group, std::map<std::string, std::string> changes, Done<GroupInfo> done);
  /// Error conflict while it has members.
  void remove(const RequestContext& context, std::string group, Done<void> done);
  void list(const RequestContext& context, Done<std::vector<GroupInfo>> done);
  void describe(const RequestContext& context, std::string group, Done<GroupInfo> done);
  /// nullopt: all groups. By group, topic, partition.
  void lag(const RequestContext& context, std::optional<std::string> group, Done<std::vector<PartitionLag>> done);

  /// Errors: unknown_group, unknown_topic, conflict naming the live members (unless forced), offset_out_of_range never: targets are
  /// clamped and say so.
  void seek(const RequestContext& context, SeekRequest request, Done<SeekReply> done);
  void history(const RequestContext& context, std::string group, Done<std::vector<SeekRecord>> done);
  /// Takes the latest seek back that was not taken back. Error not_found when there is none.
  void undo(const RequestContext& context, std::string group, bool execute, bool force, Done<SeekReply> done);

 private:
  std::shared_ptr<struct GroupsImpl> impl_;
};

}  // namespace tidemark::broker
