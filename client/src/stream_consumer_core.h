#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "client/src/client_core.h"
#include "client/src/done_tracker.h"
#include "client/src/group_member.h"
#include "client/src/partition_feeds.h"
#include "tidemark/stream_consumer.h"

namespace tidemark::wire {
class CommitOffsetsReply;
class GroupLagReply;
class GroupPositions;
class GroupPositionsReply;
}  // namespace tidemark::wire

namespace tidemark::detail {

/// A stretch of one partition's messages that poll() has given out.
struct GivenMessages {
  TopicPartition where;
  Offset first;
  Offset next;  ///< Behind the last.
};

/// The positions of a consumer, for somebody else to commit, and who they are committed for.
struct ConsumedOffsets {
  struct Entry {
    TopicPartition where;
    std::uint64_t incarnation = 0;
    Offset next;
  };
  std::string group;
  std::string member;
  std::int32_t epoch = 0;
  std::vector<Entry> entries;
};

/// The engine of a StreamConsumer. A partition that is assigned is *located* (the group's position is asked for), then *read*; one that
/// goes to somebody else is no longer read, finished by the caller, committed, and then handed over.
///
/// Membership, commits and callbacks run on the strand, one after another; messages are taken and marked done by the caller's threads.
/// What both touch is under the mutex, which is never held over a callback or a request.
class StreamConsumerCore final : public Closable, public MemberEvents, public std::enable_shared_from_this<StreamConsumerCore> {
 public:
  using Messages = std::vector<Message>;

  static Status check(const StreamOptions& options);
  StreamConsumerCore(std::shared_ptr<ClientCore> client, StreamOptions options);
  ~StreamConsumerCore() override;
  StreamConsumerCore(const StreamConsumerCore&) = delete;
  StreamConsumerCore& operator=(const StreamConsumerCore&) = delete;

  /// Once, when it is owned by a shared_ptr. Answers when the group has taken the member in, or why it will not.
  void open(Done<void> done);

  Result<Messages> poll(std::chrono::milliseconds wait, std::size_t max);
  void async_poll(std::size_t max, std::shared_ptr<Pending<Messages>> pending);
  void finish(std::span<const Message> messages);
  void commit(Done<void> done);
  void commit(const TopicPartition& where, Offset next, Done<void> done);
  /// The positions behind `given`; nullopt: behind everything poll() has given out and no transaction has committed. Answers on the strand.
  /// Errors: invalid_argument (not StreamOptions::transactional), not_owner (given out in an assignment that has ended).
  void consumed(std::optional<std::vector<GivenMessages>> given, Done<ConsumedOffsets> done);
  /// They are committed: what lies below is done.
  void committed(const ConsumedOffsets& offsets);
  void seek(const TopicPartition& where, const Position& position, Done<void> done);
  Status pause(std::span<const TopicPartition> partitions, bool paused);
  TopicPartitions assignment() const;
  std::optional<Offset> position(const TopicPartition& where) const;
  void lag(Done<std::int64_t> done);
  void lag_time(Done<StreamConsumer::LagTime> done);
  void close(Done<void> done);
  ClientCore& client() { return *client_; }

  void drain(Done<void> done) override { close(std::move(done)); }
  void shutdown() override;

  void on_assignment(TopicPartitions assignment) override;
  void on_renewed() override;
  void on_lost(const Error& error) override;
  void on_failed(const Error& error) override;

 private:
  enum class State {
    locating,  ///< Where to read is not known, or no longer.
    reading,
    ended,     ///< With an error that is told.
    revoking,  ///< Not read any more; it waits for the caller, then for the commit.
  };
  struct Held {
    std::uint64_t incarnation = 0;  ///< Tells one assignment of a partition from the next.
    State state = State::locating;
    bool asked = false;             ///< The broker is being asked where to read.
    std::optional<Offset> at = {};  ///< Where reading met offset_out_of_range.
    std::optional<PartitionFeeds::Key> feed = {};
    bool paused = false;   ///< By the caller.
    bool crowded = false;  ///< By us: too many stretches that are done wait for one that is not.
    DoneTracker tracker = {};
    Offset start = {};    ///< Where reading began, in this assignment or after the last seek.
    Offset offered = {};  ///< The floor at the last commit: what is below needs no further one.
    std::optional<Offset> explicit_commit = {};
    std::optional<Offset> given = {};  ///< auto_done: what the last poll gave ends here.
    SteadyTime deadline = {};          ///< Revoking: when it is handed over at the latest.
    bool handing_over = false;
  };
  struct ByName {
    using is_transparent = void;
    using Name = std::pair<std::string_view, std::int32_t>;
    static Name name(const TopicPartition& where) { return {where.topic, where.partition}; }
    static Name name(const Name& where) { return where; }
    bool operator()(const auto& a, const auto& b) const { return name(a) < name(b); }
  };
  using HeldMap = std::map<TopicPartition, Held, ByName>;
  /// One assignment of a partition.
  struct Name {
    TopicPartition where;
    std::uint64_t incarnation = 0;
  };

  struct CommitEntry {
    Name name;
    Offset offset;
    Offset floor;  ///< At that moment.
    bool is_explicit = false;
  };
  /// The commit under way, in requests of bounded size, one after another.
  struct Commit {
    std::uint64_t serial = 0;  ///< Tells its answers from those of one that was given up.
    std::vector<CommitEntry> entries;
    std::size_t answered = 0;   ///< Entries.
    std::size_t in_flight = 0;  ///< Entries of the request under way.
    std::int32_t epoch = 0;
    int stale_answers = 0;
    bool parked = false;  ///< Until a heartbeat has told whether we are still a member.
    SteadyTime deadline = {};
    Status outcome = {};
    std::vector<Done<void>> waiters;
  };

  // Polling; with the lock held.
  std::optional<Result<Messages>> take(std::size_t max);
  void accept(PartitionFeeds::Taken taken, Messages& out);
  void note_given(const Messages& messages);
  void meet_error(HeldMap::value_type& entry, const Error& error);
  void finish_previous();
  void serve_waiter();
  void on_arrived();
  void tell(const Error& error);
  Error closed_error() const;

  // Partitions; with the lock held.
  HeldMap::value_type* find(const Name& name);
  void read_from(HeldMap::value_type& entry, Offset offset, Offset offered);
  void forget_feed(HeldMap::value_type& entry);
  bool take_back(const TopicPartition& where);
  void update_pause(Held& held);
  TopicPartitions held_names() const;

  // On the strand, without the lock.
  void reconcile();
  void locate();
  void ask_positions(const std::vector<Name>& asked, const wire::GroupPositions& request);
  void on_located(const std::vector<Name>& asked, const Result<wire::GroupPositionsReply>& reply);
  void locate_after(std::chrono::milliseconds pause);
  void settle_revocations();
  void hand_over(const std::vector<Name>& ready, const Status& committed);
  void arm_revocations(SteadyTime earliest);
  void call_back(const std::function<void(const TopicPartitions&)>& callback, const TopicPartitions& partitions);

  // Transactions; with the lock held.
  Offset given_until(const HeldMap::value_type& entry) const;
  Result<ConsumedOffsets::Entry> judge_given(const GivenMessages& given);

  // Commits, on the strand.
  void pump_commit();
  void send_commit();
  void on_commit_reply(std::uint64_t serial, const Result<wire::CommitOffsetsReply>& reply);
  Status settle_commit_entry(const CommitEntry& entry, const Status& answer);
  void finish_commit(Status outcome);
  void arm_periodic_commit();

  void seek_to_committed(const Name& name, Done<void> done);
  void seek_in_log(const Name& name, const Position& position, Done<void> done);
  Status apply_seek(const Name& name, Offset offset);
  void ask_lag(Done<wire::GroupLagReply> done);
  void begin_close();
  void end_close(const Status& outcome);
  void stop_timers();
  /// Runs on the strand, not inside this call.
  template <class F>
  void on_strand(F run) {
    asio::post(client_->connection()->strand(), [self = shared_from_this(), run = std::move(run)]() mutable { run(*self); });
  }

  const std::shared_ptr<ClientCore> client_;
  const StreamOptions options_;
  const std::shared_ptr<PartitionFeeds> feeds_;
  std::shared_ptr<GroupMember> member_;  ///< Set once, by open().

  // On the strand.
  asio::steady_timer commit_timer_, revoke_timer_, locate_timer_;
  SteadyTime opening_deadline_{};
  std::optional<Commit> commit_;
  std::uint64_t next_commit_ = 1;
  /// Errors of membership and of periodic commits that have been told; they are not told again until they change.
  std::optional<Errc> membership_failing_, commits_failing_;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  Done<void> opening_;
  TopicPartitions wanted_;  ///< The assignment, as last told.
  HeldMap held_;
  std::unordered_map<PartitionFeeds::Key, HeldMap::value_type*> by_feed_;
  std::uint64_t next_incarnation_ = 1;
  std::size_t revoking_ = 0;
  std::deque<Error> errors_;
  Messages put_back_;         ///< Taken for an operation that was cancelled at that moment.
  TopicPartitions previous_;  ///< auto_done: what the last poll gave messages of.
  std::shared_ptr<Pending<Messages>> waiter_;
  std::size_t waiter_max_ = 0;
  std::vector<Done<void>> commit_waiters_;  ///< For the next commit.
  std::vector<Done<void>> close_waiters_;
  bool closing_ = false;  ///< close() has begun: nothing is given out any more.
  bool closed_ = false;   ///< All is settled.
};

}  // namespace tidemark::detail
