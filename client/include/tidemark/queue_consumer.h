#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/position.h"
#include "tidemark/queue_admin.h"
#include "tidemark/record.h"
#include "tidemark/settlement.h"

namespace tidemark {

namespace detail {
class QueueConsumerCore;
}

struct QueueOptions {
  std::string group;        ///< 1-249 bytes, any. With the topic it names the queue group.
  std::string topic;        ///< It exists.
  std::string member = {};  ///< 1-249 bytes, of no other connection at the time. Empty: a random UUID.
  /// Makes the group when it is new, with the next two. False: a new one is unknown_group. One that is removed later is not made again.
  bool create = true;
  Position start = Position::earliest();  ///< earliest, latest, an offset, a time, or so long ago.
  QueueSettings settings = {};
  /// How many records may lie ready here for the next receive(), 0 to 10 000. They have been handed out: no other member gets them
  /// meanwhile. 0: the broker is asked only while a receive() waits, for no more than it wants.
  std::size_t prefetch = 100;
  std::size_t prefetch_bytes = 4 * 1024 * 1024;  ///< Bound on what one answer brings, 1 KiB to 8 MiB; one batch may go beyond.
  /// Leases of everything received and not settled are renewed until it is, however long that takes, by the client's own executor: a busy
  /// handler does not hinder it. False: what is not settled within the group's `ack.timeout`, or extend(), is handed out again.
  bool extend_leases = true;
};

/// A record handed out, to be settled. Copies settle the same.
class QueueMessage : public Message {
 public:
  QueueMessage() = default;  ///< Empty; only for assigning to.

  std::uint32_t deliveries() const { return deliveries_; }  ///< With this one: 1 the first time.
  std::uint32_t failures() const { return failures_; }      ///< Those of before.

 private:
  friend class detail::QueueConsumerCore;
  QueueMessage(Message message, std::uint32_t deliveries, std::uint32_t failures, std::uint64_t session)
      : Message(std::move(message)), deliveries_(deliveries), failures_(failures), session_(session) {}

  std::uint32_t deliveries_ = 0;
  std::uint32_t failures_ = 0;
  std::uint64_t session_ = 0;  ///< The time between two losses of the connection it was handed out in.
};

/// What a run() has done.
struct QueueRun {
  std::uint64_t handled = 0;  ///< Calls of the handler that have ended.
  std::uint64_t failed = 0;   ///< Of these, by an exception.
  std::uint64_t settled = 0;
  std::uint64_t lost = 0;  ///< Their settlement was refused, mostly because they had been taken back: they are handed out again.
};

/// A member of a queue group: gets records nobody else of the group has, each to be settled on its own, in any order. Made by
/// Client::queue_consumer(). Thread-safe: any number of threads may receive and settle; copies are handles on the same member, and the
/// last one going away does what close() does, without waiting.
///
/// What was received belongs to this member until it is settled, its lease runs out, or the connection is lost. A loss counts as a failure
/// of everything held, and others may have it at once: settling it then answers lease_lost, and what was not received yet is thrown away
/// here. The member comes back by itself and goes on receiving. Processing is therefore at least once.
///
/// Errors that time will not heal (unknown_topic, unknown_group, denied, corrupt_batch) are told once while they last, by receive(); the
/// consumer goes on trying.
class QueueConsumer {
 public:
  using Messages = std::vector<QueueMessage>;
  using Handler = std::function<Settlement(const QueueMessage&)>;
  using CoHandler = std::function<asio::awaitable<Settlement>(QueueMessage)>;

  /// At least one message and at most `max` (from 1), waiting for the first; none when `wait` has passed. In the order they were handed
  /// out. What is received and never settled is kept from others until close().
  Result<Messages> receive(std::size_t max, std::chrono::milliseconds wait);
  /// At least one message. Any number may be waiting; they are served in turn.
  template <CompletionToken<Messages> Token = asio::deferred_t>
  auto async_receive(std::size_t max = 1, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<Messages>)>(
        [core = core_](auto handler, std::size_t count) { start_receive(core, count, Completion<Messages>(std::move(handler))); }, token,
        max);
  }

  /// Answers when it is durable. Settlements of the same time travel together, so that many at once cost little more than one. Errors:
  /// already_settled (by this call's predecessor, or by an operator), lease_lost, not_owner, not_delivered: it is not this member's,
  /// nothing changed. connection_lost with maybe_done: the answer was lost. disk_full, overloaded: nothing changed, it can be settled
  /// again.
  Status settle(const QueueMessage& message, Settlement how = Ack{});
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_settle(QueueMessage message, Settlement how = Ack{}, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler, QueueMessage which, Settlement what) {
          start_settle(core, std::move(which), std::move(what), Completion<void>(std::move(handler)));
        },
        token, std::move(message), std::move(how));
  }
  /// All the same way; what cannot be settled is told in the report.
  Result<SettleReport> settle(std::span<const QueueMessage> messages, Settlement how = Ack{});
  template <CompletionToken<SettleReport> Token = asio::deferred_t>
  auto async_settle(Messages messages, Settlement how = Ack{}, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<SettleReport>)>(
        [core = core_](auto handler, const Messages& which, const Settlement& what) {
          start_settle_all(core, which, what, Completion<SettleReport>(std::move(handler)));
        },
        token, std::move(messages), std::move(how));
  }

  /// The lease of this message runs `lease` (1 ms to 12 h) from now. Errors: as settle(). With extend_leases the next renewal gives it the
  /// group's `ack.timeout` again.
  Status extend(const QueueMessage& message, std::chrono::milliseconds lease);
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_extend(QueueMessage message, std::chrono::milliseconds lease, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler, const QueueMessage& which, std::chrono::milliseconds how_long) {
          start_extend(core, which, how_long, Completion<void>(std::move(handler)));
        },
        token, std::move(message), lease);
  }

  /// Receives and settles until told to stop: `workers` (from 1) threads at a time, the calling one among them, call
  /// `handler(const QueueMessage&)`, which answers a Settlement, or nothing, which is Ack. An exception is a Retry with its text as reason.
  /// Once `stop` is requested no handler is called any more; those at work end and what they say is settled, what lies ready is released,
  /// and then run() returns. Errors: `cancelled` when the consumer was closed meanwhile, and those of receive(); the handlers at work end
  /// first then, too.
  template <class F>
  Result<QueueRun> run(F handler, std::size_t workers, std::stop_token stop) {
    return run_handler(as_handler(std::move(handler)), workers, std::move(stop));
  }
  /// The same with coroutines on the awaiting one's executor, at most `concurrency` at a time.
  asio::awaitable<Result<QueueRun>> co_run(CoHandler handler, std::size_t concurrency, std::stop_token stop);

  const std::string& member() const;

  /// Gives out nothing more (a waiting receive answers `cancelled`), waits for settlements under way, and leaves the group: everything not
  /// settled is released. In a callback it only begins to do so, and answers at once.
  Status close();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_close(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_close(core, Completion<void>(std::move(handler))); }, token);
  }

 private:
  friend class Client;
  using Core = std::shared_ptr<detail::QueueConsumerCore>;
  explicit QueueConsumer(Core core) : core_(std::move(core)) {}

  template <class F>
  static Handler as_handler(F handler) {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, const QueueMessage&>>) {
      return [handler = std::move(handler)](const QueueMessage& message) mutable -> Settlement {
        handler(message);
        return Ack{};
      };
    } else {
      return Handler(std::move(handler));
    }
  }

  Result<QueueRun> run_handler(Handler handler, std::size_t workers, std::stop_token stop);
  static void start_receive(const Core& core, std::size_t max, Completion<Messages> done);
  static void start_settle(const Core& core, QueueMessage message, Settlement how, Completion<void> done);
  static void start_settle_all(const Core& core, const Messages& messages, const Settlement& how, Completion<SettleReport> done);
  static void start_extend(const Core& core, const QueueMessage& message, std::chrono::milliseconds lease, Completion<void> done);
  static void start_close(const Core& core, Completion<void> done);

  Core core_;
};

}  // namespace tidemark
