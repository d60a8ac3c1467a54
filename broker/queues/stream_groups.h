#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/queues/queues.h"
#include "broker/queues/stream_group_types.h"

namespace tidemark::broker {

/// Ends a wait when it is destroyed, on the shard that began it.
class StreamGroupWait {
 public:
  virtual ~StreamGroupWait() = default;
};

/// Queue groups as Redis sees them: a group per stream, counted in entry ids (https://redis.io/docs/latest/commands/xreadgroup/). The same
/// groups as those of Queues, whoever made them: a group of a topic is the group of each of its partitions. Same rules: calls are made on a
/// shard, `done` runs there once, and what is answered, hand-outs too, is durable.
///
/// Pending is what a member has, and in groups that hand out nothing twice by themselves also what was given back. What came back by a
/// timeout, waits for its backoff, or is parked, is not: Redis knows no such thing. Groups that redeliver, filter, order or bound what they
/// hand out do so here as well.
///
/// Errors of all calls: unknown_group, unknown_topic, unknown_partition, disk_full, overloaded, shutting_down; nothing changed then.
class StreamGroups {
 public:
  explicit StreamGroups(std::shared_ptr<QueuesImpl> impl) : impl_(std::move(impl)) {}

  /// Makes the group of the topic, with the settings of Redis. Other partitions of the topic begin at their end if this one does, else at
  /// their beginning. Error conflict: it exists. A crash before the answer may leave the group at the beginning of the entries asked for.
  void create(const RequestContext& context, StreamGroupName name, StreamGroupStart start, Done<void> done);
  /// What is pending stays.
  void set_id(const RequestContext& context, StreamGroupName name, StreamGroupStart start, Done<void> done);
  /// Whether there is such a group here, as far as this partition knows.
  void exists(const RequestContext& context, StreamGroupName name, Done<bool> done);
  /// False: it exists.
  void add_member(const RequestContext& context, StreamGroupName name, std::string member, Done<bool> done);
  /// What it has is finished, here only; answers how much that was.
  void remove_member(const RequestContext& context, StreamGroupName name, std::string member, Done<std::uint64_t> done);

  /// New entries, or what has come back where the group redelivers. Answers at once.
  void read_new(const RequestContext& context, StreamGroupName name, StreamRead read, Done<StreamEntries> done);
  /// Takes over what nobody has, and what others had for longest. What is not in the stream any more stays pending.
  void take_idle(const RequestContext& context, StreamGroupName name, StreamTakeIdle take, Done<StreamIdleTaken> done);
  /// What the member has, behind `after`; counts as a delivery.
  void read_history(const RequestContext& context, StreamGroupName name, StreamMember member, EntryId after, std::size_t count,
                    Done<StreamHistory> done);
  /// Calls `news` once, on the calling shard and never before this returns: when a member of that name may find something in one of the
  /// streams, or one of the groups or streams has gone. Waits of a group are told in their order, as many as there are entries.
  /// `given_back`: one for each name, or none; also when something has been given back since then.
  std::unique_ptr<StreamGroupWait> wait(const RequestContext& context, std::vector<StreamGroupName> names, std::string member,
                                        std::vector<std::uint64_t> given_back, UniqueFunction<void()> news);

  /// Answers how many of them were not finished.
  void ack(const RequestContext& context, StreamGroupName name, std::vector<EntryId> ids, Done<std::uint64_t> done);
  /// Answers how many were given back.
  void give_back(const RequestContext& context, StreamGroupName name, StreamGiveBack asked, Done<std::uint64_t> done);
  void claim(const RequestContext& context, StreamGroupName name, StreamClaim claim, Done<StreamClaimed> done);
  void claim_idle(const RequestContext& context, StreamGroupName name, StreamClaimIdle claim, Done<StreamClaimed> done);

  // --- Removing entries with regard to the groups of their stream. The broker's own groups do not count. Errors as Entries::remove().
  // Entries go first, what groups know of them after that: a crash in between leaves pending entries that are not in the stream any more.

  /// Answers for each id. With `respect`, ids of no entry that a group has not reached yet are `needed`, too (as in Redis).
  void remove(const RequestContext& context, TopicPartition where, std::vector<EntryId> ids, EntryReferences references,
              Done<std::vector<StreamRemoved>> done);
  /// Finished in the group, and removed; an entry that is not in the stream any more counts as removed.
  void ack_and_remove(const RequestContext& context, StreamGroupName name, std::vector<EntryId> ids, EntryReferences references,
                      Done<std::vector<StreamRemoved>> done);
  /// Entry by entry, unless `keep`: approximate trims are exact then. Answers how many went.
  void trim(const RequestContext& context, TopicPartition where, EntryTrim trim, EntryReferences references, Done<std::uint64_t> done);

  void pending(const RequestContext& context, StreamGroupName name, Done<StreamPending> done);
  /// None for a member that does not exist.
  void pending_rows(const RequestContext& context, StreamGroupName name, StreamPendingQuery query,
                    Done<std::vector<StreamPendingRow>> done);
  /// By name; the broker's own are left out.
  void list(const RequestContext& context, TopicPartition where, StreamGroupsQuery query, Done<std::vector<StreamGroupInfo>> done);
  void describe(const RequestContext& context, StreamGroupName name, Done<StreamGroupInfo> done);

 private:
  std::shared_ptr<QueuesImpl> impl_;
};

}  // namespace tidemark::broker
