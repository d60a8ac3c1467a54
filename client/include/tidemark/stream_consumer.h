#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/position.h"
#include "tidemark/record.h"
#include "tidemark/topic_partition.h"

namespace tidemark {

class TransactionalProducer;

namespace detail {
class StreamConsumerCore;
}

struct StreamOptions {
  std::string group;                     ///< 1-249 bytes, any.
  std::vector<std::string> topics = {};  ///< Names need not exist yet.
  std::string regex = {};                ///< RE2, matches whole names, also of topics made later; internal topics never match.
  /// Where a new group starts: earliest, latest, an offset, a time, or so long ago. A group that exists stays where it is.
  Position start = Position::earliest();
  /// A name that stays the same over restarts of this process: closing and coming back within the session timeout moves no partition.
  std::string instance = {};
  std::chrono::milliseconds session_timeout{45'000};    ///< 100 ms to 30 min. Unheard of for so long, the member is taken for dead.
  std::chrono::milliseconds rebalance_timeout{60'000};  ///< Up to 1 h. How long handing over partitions may take.
  /// Bound on bytes sent by the broker and not yet taken with poll(), over all partitions; one batch for each partition may go beyond.
  std::size_t buffer_bytes = 16 * 1024 * 1024;
  /// How often what is done is committed. 0: only by commit(), at hand-over and by close().
  std::chrono::milliseconds commit_every{5'000};
  /// What a poll() gave counts as done at the next poll(): for one loop that polls, processes, and polls again. What the last poll() gave
  /// is not done when the consumer closes, unless the loop says so with done().
  bool auto_done = false;
  /// Its positions are committed by a TransactionalProducer and by nobody else: the consumer commits nothing by itself, neither now and
  /// then nor at hand-over nor by close(), and commit() answers `conflict`. What a transaction has committed is done; done() on anything
  /// else only says that a hand-over need not wait for it.
  bool transactional = false;

  // Run on the client's executor, one at a time, never after close() has returned; the first may come before the consumer is in the hands
  // of whoever made it. They must be quick and must not block: done(), async_ calls and close() are fine in them.
  /// Before the first message of them. seek() and pause() work.
  std::function<void(const TopicPartitions&)> on_assigned = {};
  /// No further message of them is given out. They are handed over when everything given out is done, at `deadline` at the latest, and
  /// what is done by then is committed first.
  std::function<void(const TopicPartitions&, SteadyTime deadline)> on_revoking = {};
  /// They belong to somebody else already: what was not committed will be processed again. The consumer joins again by itself.
  std::function<void(const TopicPartitions&)> on_lost = {};
};

/// A member of a stream group: gets a share of the group's partitions, keeps the group's position in them, and hands them over when
/// members come and go. Made by Client::stream_consumer(). Thread-safe; copies are handles on the same member, and the last one going
/// away does what close() does, without waiting.
///
/// One partition's messages come in offset order, none skipped; a reconnect or a restart of the broker neither skips nor repeats. Only
/// what done() or commit() named is ever committed, so after a crash the group goes on at the last commit, and after a hand-over nothing
/// that was done is repeated.
///
/// An error ends the partition it belongs to until seek() or its next assignment, and is told once, by poll(): quarantined,
/// corrupt_batch, offset_out_of_range when the group's policy for positions that are gone is `fail`. The other partitions go on. Errors of
/// membership (conflict, denied) are told once while they last; the consumer goes on trying.
class StreamConsumer {
 public:
  using Messages = std::vector<Message>;

  /// At least one message and at most `max`, waiting for the first; none when `wait` has passed. Only a poll gives out messages:
  /// membership does not depend on it.
  Result<Messages> poll(std::chrono::milliseconds wait, std::size_t max = 500);
  /// At least one message. Error `conflict` if another async_poll is waiting.
  template <CompletionToken<Messages> Token = asio::deferred_t>
  auto async_poll(std::size_t max = 500, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<Messages>)>(
        [core = core_](auto handler, std::size_t count) { start_poll(core, count, Completion<Messages>(std::move(handler))); }, token, max);
  }

  /// The caller is done with it: any order, any thread, never blocks. A message of a partition that has been given away is passed over.
  void done(const Message& message);
  void done(std::span<const Message> messages);

  /// Commits what is done: in each partition up to the first message that is not. Errors: stale_member_epoch when the partitions were lost
  /// meanwhile, disk_full, conflict (StreamOptions::transactional), or the first partition's refusal; what was valid is committed all the
  /// same.
  Status commit();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_commit(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_commit(core, Completion<void>(std::move(handler))); }, token);
  }
  /// Commits `next`, the offset to go on at, whatever was marked done; all below counts as done. Errors also: not_owner,
  /// offset_out_of_range.
  Status commit(const TopicPartition& where, Offset next);
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_commit(TopicPartition where, Offset next, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler, TopicPartition place, Offset offset) {
          start_commit_at(core, std::move(place), offset, Completion<void>(std::move(handler)));
        },
        token, std::move(where), next);
  }

  /// The next message of the partition will be the one at `position`; the group's position moves there with the next commit. Errors:
  /// not_owner, offset_out_of_range, not_found (`committed`, and nothing is).
  Status seek(const TopicPartition& where, const Position& position);
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_seek(TopicPartition where, Position position, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler, TopicPartition place, const Position& to) {
          start_seek(core, std::move(place), to, Completion<void>(std::move(handler)));
        },
        token, std::move(where), position);
  }

  /// No messages of them until resume(); the consumer keeps them. Ends with the assignment. Error not_owner names the first that is not
  /// this consumer's; the others are paused.
  Status pause(std::span<const TopicPartition> partitions);
  Status resume(std::span<const TopicPartition> partitions);

  /// What this consumer has now, without what it is handing over.
  TopicPartitions assignment() const;
  /// The offset of the next message to be given out; nullopt when it is not this consumer's, or not known yet.
  std::optional<Offset> position(const TopicPartition& where) const;

  /// Records of the assigned partitions that are not done, counted by offsets. Asks the broker for their ends.
  Result<std::int64_t> lag();
  template <CompletionToken<std::int64_t> Token = asio::deferred_t>
  auto async_lag(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<std::int64_t>)>(
        [core = core_](auto handler) { start_lag(core, Completion<std::int64_t>(std::move(handler))); }, token);
  }
  /// How long the oldest record behind the committed positions has been waiting, over the assigned partitions; nullopt while one of them
  /// has no commit.
  using LagTime = std::optional<std::chrono::milliseconds>;
  Result<LagTime> lag_time();
  template <CompletionToken<LagTime> Token = asio::deferred_t>
  auto async_lag_time(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<LagTime>)>(
        [core = core_](auto handler) { start_lag_time(core, Completion<LagTime>(std::move(handler))); }, token);
  }

  /// Gives out nothing more (a waiting poll answers `cancelled`), commits what is done, and leaves the group, so that others take over at
  /// once. Answers how the commit went. In a callback it only begins to do so, and answers at once.
  Status close();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_close(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_close(core, Completion<void>(std::move(handler))); }, token);
  }

 private:
  friend class Client;
  friend class TransactionalProducer;
  using Core = std::shared_ptr<detail::StreamConsumerCore>;
  explicit StreamConsumer(Core core) : core_(std::move(core)) {}

  static void start_poll(const Core& core, std::size_t max, Completion<Messages> done);
  static void start_commit(const Core& core, Completion<void> done);
  static void start_commit_at(const Core& core, TopicPartition where, Offset next, Completion<void> done);
  static void start_seek(const Core& core, TopicPartition where, const Position& position, Completion<void> done);
  static void start_lag(const Core& core, Completion<std::int64_t> done);
  static void start_lag_time(const Core& core, Completion<LagTime> done);
  static void start_close(const Core& core, Completion<void> done);

  Core core_;
};

}  // namespace tidemark
