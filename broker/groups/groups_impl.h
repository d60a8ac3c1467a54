#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker_impl.h"
#include "broker/groups/groups.h"
#include "broker/groups/stream_group.h"
#include "broker/home_call.h"

namespace tidemark::broker {

/// A group on its home shard: its state, and how much of it is recorded.
struct HomedGroup {
  explicit HomedGroup(std::string name) : state(std::move(name)) {}

  StreamGroup state;
  bool unrecorded = false;      ///< A record could not be written: the next one is the whole group.
  std::uint64_t submitted = 0;  ///< Records handed to the committer, and how many of them are flushed.
  std::uint64_t settled = 0;
  std::uint64_t delta_bytes = 0;  ///< Recorded since the whole was, and what that took.
  std::uint64_t snapshot_bytes = 0;
  std::deque<std::pair<std::uint64_t, Committer::StateDone>> waiting;  ///< Answers, and the record each of them shows.
  std::optional<TimerId> timer;
  SteadyTime timer_due{};
  std::unique_ptr<ClassicMembership> classic;  ///< Once somebody has joined that way.
  std::uint64_t commit_order = 0;
  std::size_t commits_under_way = 0;  ///< Waiting to hear where their partitions end.
  Timestamp emptied{};                ///< When the last member left; the start of the broker if that was before.
  bool has_members() const { return !state.members().empty() || (classic && classic->size() > 0); }
  bool removing = false;  ///< Its end is being, or was, recorded.
  /// Deltas make nothing dead in the state log: once they outweigh the state by far, the whole is written, and they may go.
  bool outweighed() const { return delta_bytes > kDeltaBytesMin && delta_bytes > 4 * snapshot_bytes; }
  static constexpr std::uint64_t kDeltaBytesMin = 256 * 1024;
};
using GroupPtr = std::shared_ptr<HomedGroup>;

/// The groups of one shard. Touched by that shard only, after recovery.
struct ShardGroups {
  std::map<std::string, GroupPtr, std::less<>> by_name;
  std::map<std::pair<std::string, std::int64_t>, std::int16_t> admitted;  ///< Groups in open transactions, by producer id; its epoch.
  std::size_t under_way = 0;  ///< Calls not answered and records not flushed; a stop waits for them.
  Task idle;
  std::optional<TimerId> expiry_timer;
};

/// For changes nobody waits for.
Committer::StateDone warn_if_lost(const GroupPtr& group);

/// Where a group starts in a partition it has no position in; a start by time needs `by_time`.
Offset resolve_start(const StartAt& start, const PlaceReport& place);

/// What stands behind Groups on all shards.
struct GroupsImpl {
  explicit GroupsImpl(Broker::Impl& broker_in);

  // Recovery and the broker's life.
  Status replay(const storage::StateRecord& record);
  void recovered();
  void begin_background_work(std::size_t shard);
  void topics_changed(std::size_t shard);
  std::vector<storage::StateRecord> snapshot(std::size_t shard, const storage::StreamKey& stream);
  /// No timer runs any more; `done` when everything under way is answered.
  void drain(std::size_t shard, Task done);
  std::size_t home_of(std::string_view group) const;

  // On the home shard.
  const TopicTable& topics(std::size_t shard) const { return *broker.shards[shard]->topics; }
  ShardGroups& here();
  GroupPtr find(std::string_view name);
  /// Error unknown_group, or conflict while it is being removed.
  Result<GroupPtr> get(const std::string& name);
  GroupPtr make(const std::string& name, StartAt start);
  /// Records what changed and answers when that, and everything the group shows by now, is flushed. Tells members what is new for them.
  void settle(const GroupPtr& group, Committer::StateDone then);
  /// settle(), and then the answer.
  template <class T>
  void answer_settled(const GroupPtr& group, T value, Done<T> done) {
    settle(group, [value = std::move(value), done = std::move(done)](Status recorded) mutable {
      if (recorded)
        done(std::move(value));
      else
        done(std::move(recorded).error());
    });
  }
  /// The same for what several groups show.
  template <class T>
  void answer_settled(const std::vector<GroupPtr>& groups, T value, Done<T> done) {
    auto waiting = std::make_shared<Countdown>();
    auto failed = std::make_shared<std::optional<Error>>();
    waiting->done = [failed, value = std::move(value), done = std::move(done)]() mutable {
      if (*failed) return done(**failed);
      done(std::move(value));
    };
    waiting->left += groups.size();
    for (const GroupPtr& group : groups) {
      settle(group, [waiting, failed](const Status& recorded) {
        if (!recorded) *failed = recorded.error();
        waiting->one_less();
      });
    }
    waiting->one_less();
  }
  /// All that are not being removed.
  std::vector<GroupPtr> groups_here();
  void arm(const GroupPtr& group);
  void expire_members(const GroupPtr& group);
  /// The part of the group whose members assign; made when first asked for.
  ClassicMembership& classic(const GroupPtr& group);
  /// The topics a member's subscription names have to do with the group from now on.
  void take_up_classic(const GroupPtr& group, const ClassicJoin& request);
  GroupInfo describe(const GroupPtr& group);
  /// Who holds the partitions, by key: for lag.
  std::map<PartitionKey, std::string> classic_owners(const GroupPtr& group);
  void fence_all(const GroupPtr& group);
  void expire_groups(std::size_t shard);
  void remove(const GroupPtr& group, Done<void> done);
  Result<PartitionKey> resolve(const NamedPartition& where);

  /// Runs `call` on the home shard of the group; its answer comes back to the calling one. Error shutting_down.
  template <class T>
  void on_home(const std::string& group, Done<T> done, UniqueFunction<void(Done<T>)> call);

  Error live_members(const GroupPtr& group, std::string_view action);

  Status may_commit(const GroupPtr& group, const CommitRequest& request);
  /// Topics live members subscribe to.
  std::set<Uuid> subscribed(const GroupPtr& group);
  void commit(CommitRequest request, Done<CommitReply> done);
  /// What may not be committed, whoever asks; otherwise where it goes.
  Result<PartitionKey> judge_commit(const CommitRequest::Entry& entry);
  void commit_in_transaction(CommitRequest request, ProducerIdentity producer, Done<CommitReply> done);
  /// For the coordinator of transactions, from any shard: the group is in the producer's transaction; it is no more, and its pending
  /// offsets count or are dropped. Doing either twice is fine.
  void admit_transaction(const std::string& group, const ProducerIdentity& producer, Done<void> done);
  void end_transaction(const std::string& group, const ProducerIdentity& producer, bool commit, Done<void> done);
  void positions(PositionsRequest request, Done<PositionsReply> done);
  struct PendingCommit;
  void finish_commit(PendingCommit pending, const std::vector<Result<PlaceReport>>& places);
  struct PendingPositions;
  void finish_positions(PendingPositions pending, const std::vector<Result<PlaceReport>>& places);
  void seek(RequestContext context, SeekRequest request, std::map<NamedPartition, Offset> others, Done<SeekReply> done);
  void undo(RequestContext context, std::string name, bool execute, bool force, Done<SeekReply> done);
  void move(const GroupPtr& group, SeekRecord record, bool force, Done<SeekReply> done);
  /// On a home shard: the lag of its groups, or of one.
  void lag_here(std::optional<std::string> name, Done<std::vector<PartitionLag>> done);

  Broker::Impl& broker;
  std::vector<ShardGroups> shards;
  ClassicReader reader;
};

template <class T>
void GroupsImpl::on_home(const std::string& group, Done<T> done, UniqueFunction<void(Done<T>)> call) {
  if (Status valid = validate_group_name(group); !valid) return done(std::move(valid).error());
  const std::size_t home = home_of(group);
  call_home(broker, home, shards[home], std::move(done), std::move(call));
}

}  // namespace tidemark::broker
