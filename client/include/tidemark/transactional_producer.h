#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/producer.h"
#include "tidemark/record.h"
#include "tidemark/stream_consumer.h"

namespace tidemark {

namespace detail {
class TransactionCore;
}

struct TransactionalOptions {
  /// The transactional id, 1-1000 bytes: whose transactions these are, over restarts of this process. One process has it at a time: the
  /// one that came last; give each of several workers its own.
  std::string id;
  /// How long a transaction may be open before the broker aborts it, 1 ms to 15 min. So long can a process that has crashed hold up
  /// readers, unless one with its id comes back before.
  std::chrono::milliseconds timeout{60'000};
  /// How the records travel, for each topic by itself. `idempotent` must stay on; a delivery_timeout beyond `timeout` is cut to it.
  ProducerOptions records = {};
};

/// Sends records to any topics, and commits the positions of consumers, in transactions: readers see all of it or nothing (KIP-98,
/// KIP-447). Made by Client::transactional_producer(). Copies are handles on the same producer; the last one going away does what close()
/// does, without waiting. Exactly once, consume, transform, produce:
///
///     tidemark::StreamOptions in{.group = "billing", .topics = {"orders"}};
///     in.transactional = true;                    // The consumer commits nothing by itself.
///     ...
///     producer.begin();                           // Each of these answers a Status.
///     for (const Message& order : orders) producer.send("invoices", {.key = order.key(), .value = invoice});
///     producer.commit_offsets(consumer, orders);
///     producer.commit();
///
/// **One transaction at a time.** begin(), commit_offsets(), commit(), abort() and close() follow one another; one that is called while
/// another runs answers `conflict`. send() is thread-safe between begin() and commit(): commit() answers `conflict`, and nothing has
/// changed, while a send() has not returned.
///
/// **Fencing.** Making a producer aborts the open transaction of whoever had the id before, and fences it. Records of an instance that was
/// fenced are refused by every partition, its offsets by every group.
///
/// **A crash** of this process leaves the transaction open until `timeout` or until the next instance comes: then it is aborted. Nothing of
/// it was ever visible to a reader of committed records, which all readers of this client are; consumers of the group wait at the positions
/// it was about to commit. A crash between the decision and its answer may leave it committed. A restart of the broker loses nothing: the
/// transaction goes on.
///
/// **A lost connection** is made anew, and everything is sent again as often as the time allows: records within their delivery_timeout,
/// the rest within ClientOptions::request_timeout. Where the answer to something was lost, the next transaction has a new epoch, so that
/// what may still be on its way cannot get into it.
///
/// **Errors.** Error::fatal() (producer_fenced, stale_producer_epoch, unknown_transactional_id, denied): this producer has been replaced,
/// was too slow for `timeout`, or may not; every further call but close() answers the same. Make a new one if you should go on. After any
/// other error of a record, of send(), commit_offsets() or commit(), the transaction can only be aborted: abort() (which tells when the
/// producer was replaced), then begin() again. Exceptions: `conflict` changes nothing; a commit() of unknown outcome, see there.
class TransactionalProducer {
 public:
  /// Opens a transaction. Asks the broker only where the one before ended in trouble. Error invalid_transaction_state: one is open.
  Status begin();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_begin(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_begin(core, Completion<void>(std::move(handler))); }, token);
  }

  /// Takes the record into the transaction; blocks only while the buffer is full or the topic is looked up. `done`, if given, runs when
  /// the record is stored, though not committed, or has failed; commit() has the first failure. A record has neither delay nor dedup id.
  /// Errors: unknown_topic, invalid_transaction_state (no transaction is open), whatever has gone wrong in the transaction already.
  Status send(std::string_view topic, const Record& record, SendCallback done = {});
  /// The same; completes when the record has been taken.
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_send(std::string topic, const Record& record, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler, const std::string& name, const Record& what) {
          start_send(core, name, what, Completion<void>(std::move(handler)));
        },
        token, std::move(topic), record);
  }

  /// The positions behind `messages`, which `consumer` has given out, are committed with the transaction: in each partition behind the last
  /// of them. The consumer must be StreamOptions::transactional. Once the transaction has committed, the messages are done for it; after
  /// an abort seek() to the committed positions gives them out again. Errors: not_owner, unknown_member, stale_member_epoch, unknown_group
  /// (the partition was taken away meanwhile: abort), invalid_argument.
  Status commit_offsets(const StreamConsumer& consumer, std::span<const Message> messages);
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_commit_offsets(const StreamConsumer& consumer, std::span<const Message> messages, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler, const StreamConsumer& whose, std::span<const Message> which) {
          start_commit_offsets(core, whose, which, Completion<void>(std::move(handler)));
        },
        token, consumer, messages);
  }
  /// The same for everything that poll() has given out until now.
  Status commit_offsets(const StreamConsumer& consumer);

  /// Everything becomes visible at once; answers when it is. First waits for the records: if one has failed, its error is the answer and
  /// nothing was committed. With Error::maybe_done (connection_lost, timed_out) the commit may have been decided and may not: then only
  /// commit() again tells, and abort() answers `conflict`; a fatal error with maybe_done leaves it open for good.
  Status commit();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_commit(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_commit(core, Completion<void>(std::move(handler))); }, token);
  }

  /// Nothing of it ever becomes visible. Records not sent yet fail with `cancelled`. If it fails, for want of a broker, it can be called
  /// again. Error invalid_transaction_state: no transaction is open.
  Status abort();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_abort(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_abort(core, Completion<void>(std::move(handler))); }, token);
  }

  /// Aborts what is open, and refuses everything further with `cancelled`. Answers how the abort went.
  Status close();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_close(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_close(core, Completion<void>(std::move(handler))); }, token);
  }

  const std::string& id() const;

 private:
  friend class Client;
  using Core = std::shared_ptr<detail::TransactionCore>;
  explicit TransactionalProducer(Core core) : core_(std::move(core)) {}

  static void start_begin(const Core& core, Completion<void> done);
  static void start_send(const Core& core, const std::string& topic, const Record& record, Completion<void> done);
  static void start_commit_offsets(const Core& core, const StreamConsumer& consumer, std::span<const Message> messages,
                                   Completion<void> done);
  static void start_commit(const Core& core, Completion<void> done);
  static void start_abort(const Core& core, Completion<void> done);
  static void start_close(const Core& core, Completion<void> done);

  Core core_;
};

}  // namespace tidemark
