#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/queues/queue_types.h"

namespace tidemark::broker {

class QueueHome;
struct QueuesImpl;
class StreamGroups;

/// Queue groups: competing consumers of one topic, each record to one member, acknowledged one by one. Part of the Broker; same rules:
/// calls are made on a shard, `done` runs there once, and what is answered is durable (but see ReceiveRequest::durable).
///
/// Settings of a group live on the shard of its name, in the state-log stream `group_partition` of partition -1; what is unfinished lives
/// with the partition (QueueWindow). A crash brings back every record that was handed out and not settled: to the same member until its
/// lease, begun anew, has run out. Errors of all calls: unknown_group, unknown_topic, unknown_partition, invalid_argument, disk_full
/// (nothing changed, or told again by the next call), shutting_down.
class Queues {
 public:
  explicit Queues(std::shared_ptr<QueuesImpl> impl) : impl_(std::move(impl)) {}

  /// Errors: conflict (exists, unless may_exist), invalid_config, invalid_argument (a group of the broker's own, a dead letter topic that
  /// is the source itself).
  void create(const RequestContext& context, CreateQueueRequest request, Done<QueueInfo> done);
  /// An empty value removes a setting. Error invalid_config: nothing changed.
  void alter(const RequestContext& context, QueueName name, std::map<std::string, std::string> changes, Done<QueueInfo> done);
  /// Its members lose what they have.
  void remove(const RequestContext& context, QueueName name, Done<void> done);
  void describe(const RequestContext& context, QueueName name, Done<QueueInfo> done);
  /// By name and topic; `group` nullopt: all. The broker's own are left out.
  void list(const RequestContext& context, std::optional<std::string> group, Done<std::vector<QueueInfo>> done);
  /// For every partition of them; `group` nullopt: all.
  void lag(const RequestContext& context, std::optional<std::string> group, Done<std::vector<PartitionLag>> done);

  /// A connection speaks for the member from now on: when it is lost (leave with `failed`), what the member has comes back. Error conflict:
  /// another connection does.
  void join(const RequestContext& context, QueueName name, std::string member, std::string host, Done<QueueInfo> done);
  /// What it has is given back; `failed`: as failures. Unknown members are fine.
  void leave(const RequestContext& context, QueueName name, std::string member, bool failed, Done<void> done);

  /// The answer is empty once `wait` is over. Cancelling answers it at once; a record already on its way is handed out all the same.
  std::shared_ptr<PendingReads> receive(const RequestContext& context, ReceiveRequest request, Done<ReceiveReply> done);
  /// All that is valid is recorded together; the rest is listed. `member` nullopt: an operator.
  void settle(const RequestContext& context, QueueName name, std::optional<std::string> member, std::vector<Settlement> settlements,
              Done<SettleReply> done);
  /// Leases of these run from now; `settlements` empty: of everything the member has. Kind and reason are not looked at; `delay` is the
  /// lease.
  void extend(const RequestContext& context, QueueName name, std::string member, std::vector<Settlement> entries, Done<SettleReply> done);
  void claim(const RequestContext& context, ClaimRequest request, Done<ClaimReply> done);

  /// The same groups as streams of Redis have them; broker/queues/stream_groups.h.
  StreamGroups stream_groups() const;

  /// By partition and offset.
  void pending(const RequestContext& context, PendingQuery query, Done<std::vector<PendingRow>> done);
  void act(const RequestContext& context, QueueAction action, Done<QueueActionReply> done);
  /// Everything unfinished is forgotten and the group goes on at the target. `execute` false: only the plan. Error conflict while members
  /// are connected, unless forced. SeekRequest::topic is required.
  void seek(const RequestContext& context, SeekRequest request, Done<SeekReply> done);

  // --- Dead letters. They lie in the group's dead letter topic; which of them are dealt with is known by a queue group of the broker's own
  // on that topic.

  /// `group` nullopt: of all.
  void dead_letters(const RequestContext& context, std::optional<std::string> group, Done<std::vector<DeadLetterSummary>> done);
  /// The newest first.
  void show_dead_letters(const RequestContext& context, std::string group, std::size_t max, Done<std::vector<DeadLetter>> done);
  /// Works off the letters that are there now, oldest first; answers at the end. A crash in the middle leaves those not done as letters;
  /// one that was just given back may be given back again. Errors: invalid_argument (filter; `to` is a dead letter topic of the group).
  void redrive(const RequestContext& context, RedriveRequest request, Done<RedriveReply> done);
  /// Answers how many.
  void purge_dead_letters(const RequestContext& context, std::string group, Done<std::uint64_t> done);

 private:
  std::shared_ptr<QueuesImpl> impl_;
};

}  // namespace tidemark::broker
