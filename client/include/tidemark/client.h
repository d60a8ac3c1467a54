#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "storage/base/result.h"
#include "tidemark/admin.h"
#include "tidemark/completion.h"
#include "tidemark/group_admin.h"
#include "tidemark/position.h"
#include "tidemark/producer.h"
#include "tidemark/queue_admin.h"
#include "tidemark/queue_consumer.h"
#include "tidemark/reader.h"
#include "tidemark/record.h"
#include "tidemark/stream_consumer.h"
#include "tidemark/transactional_producer.h"

/// The C++ client of Tidemark.
///
///     tidemark::Client client;
///     auto producer = client.producer("orders");
///     if (!producer) return fail(producer.error());
///     auto stored = producer->send({.key = "42", .value = "paid"});  // Returns when it is durable.
namespace tidemark {

namespace detail {
class ClientCore;
}

struct ClientOptions {
  std::string server = "127.0.0.1:7410";  ///< HOST:PORT or [IPV6]:PORT. A name is tried at all its addresses, in turn.
  std::string client_id = "tidemark-client";
  std::chrono::milliseconds connect_timeout{5'000};   ///< For one attempt, over all addresses.
  std::chrono::milliseconds request_timeout{30'000};  ///< From the call to its answer, including waiting for a connection.
  /// Pause between attempts to connect: doubles from min to max, each shortened by up to half at random.
  std::chrono::milliseconds reconnect_backoff_min{50};
  std::chrono::milliseconds reconnect_backoff_max{5'000};
  std::chrono::milliseconds drain_timeout{10'000};  ///< How long close() waits for records under way.
};

/// One connection to a broker, shared by everything made from it; made anew when it breaks, without the caller's doing. Nothing has to be
/// polled. Thread-safe.
///
/// Constructed without an executor it runs a thread of its own. With one it makes no thread (Asio's own, for looking up names, aside):
/// the caller runs the executor, keeps its context alive as long as the client and everything made from it, and must not make blocking
/// calls on it (use the async_ twins there).
class Client {
 public:
  /// Nothing is sent yet; a malformed option is told by the first call.
  explicit Client(ClientOptions options = {});
  explicit Client(asio::any_io_executor executor, ClientOptions options = {});
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();  ///< close()

  /// Waits until connected. Unlike other calls it does not keep trying: cannot_connect when no address answers now. Optional.
  Status connect();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_connect(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_connect(core, Completion<void>(std::move(handler))); }, token);
  }

  /// Looks the topic up and, when idempotent, obtains a producer id. Errors: unknown_topic (with a suggestion), invalid_argument.
  Result<Producer> producer(std::string topic, ProducerOptions options = {});
  template <CompletionToken<Producer> Token = asio::deferred_t>
  auto async_producer(std::string topic, ProducerOptions options = {}, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<Producer>)>(
        [core = core_](auto handler, std::string name, ProducerOptions how) {
          start_producer(core, std::move(name), std::move(how), Completion<Producer>(std::move(handler)));
        },
        token, std::move(topic), std::move(options));
  }

  /// Becomes the one instance that has the transactional id: an older one is fenced, and what it has open is aborted first. Errors:
  /// invalid_argument (the id, an option), invalid_transaction_timeout, overloaded, disk_full.
  Result<TransactionalProducer> transactional_producer(TransactionalOptions options);
  template <CompletionToken<TransactionalProducer> Token = asio::deferred_t>
  auto async_transactional_producer(TransactionalOptions options, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<TransactionalProducer>)>(
        [core = core_](auto handler, TransactionalOptions how) {
          start_transactional_producer(core, std::move(how), Completion<TransactionalProducer>(std::move(handler)));
        },
        token, std::move(options));
  }

  /// Resolves where to start and stop, and subscribes. Errors: unknown_topic, unknown_partition, offset_out_of_range, invalid_argument.
  Result<Reader> reader(std::string topic, ReaderOptions options = {});
  template <CompletionToken<Reader> Token = asio::deferred_t>
  auto async_reader(std::string topic, ReaderOptions options = {}, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<Reader>)>(
        [core = core_](auto handler, std::string name, ReaderOptions how) {
          start_reader(core, std::move(name), std::move(how), Completion<Reader>(std::move(handler)));
        },
        token, std::move(topic), std::move(options));
  }

  /// Joins the group, making it when it is new; partitions are assigned soon after. Errors: invalid_argument (an option out of range, a
  /// regex that does not parse), conflict (the group has members of another protocol), overloaded, denied.
  Result<StreamConsumer> stream_consumer(StreamOptions options);
  template <CompletionToken<StreamConsumer> Token = asio::deferred_t>
  auto async_stream_consumer(StreamOptions options, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<StreamConsumer>)>(
        [core = core_](auto handler, StreamOptions how) {
          start_stream_consumer(core, std::move(how), Completion<StreamConsumer>(std::move(handler)));
        },
        token, std::move(options));
  }

  /// Joins the queue group, making it when it is new (unless told not to). Errors: invalid_argument (an option out of range),
  /// unknown_topic, unknown_group, invalid_config (a setting), conflict (another connection speaks for that member), denied.
  Result<QueueConsumer> queue_consumer(QueueOptions options);
  template <CompletionToken<QueueConsumer> Token = asio::deferred_t>
  auto async_queue_consumer(QueueOptions options, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<QueueConsumer>)>(
        [core = core_](auto handler, QueueOptions how) {
          start_queue_consumer(core, std::move(how), Completion<QueueConsumer>(std::move(handler)));
        },
        token, std::move(options));
  }

  Admin admin();
  GroupAdmin groups();
  QueueAdmin queues();

  /// Ends everything made from this client: records and calls without an answer fail with `cancelled` (maybe_done where they had been
  /// sent), waiting readers too. May be called from anywhere, also from a callback, and more than once.
  ///
  /// With a thread of its own, first waits up to drain_timeout for records under way, for consumers to close, and for open transactions to
  /// be aborted (not in a callback), and no callback runs after it returns. With the caller's executor it does not wait for that executor:
  /// records under way are lost unless async_close() came first; SendCallbacks have run when it returns, other completions have been posted
  /// to their executors.
  void close();
  /// Waits up to drain_timeout for records under way, then close(). timed_out when some were left.
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_close(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_close(core, Completion<void>(std::move(handler))); }, token);
  }

 private:
  using Core = std::shared_ptr<detail::ClientCore>;
  static void start_connect(const Core& core, Completion<void> done);
  static void start_producer(const Core& core, std::string topic, ProducerOptions options, Completion<Producer> done);
  static void start_transactional_producer(const Core& core, TransactionalOptions options, Completion<TransactionalProducer> done);
  static void start_reader(const Core& core, std::string topic, ReaderOptions options, Completion<Reader> done);
  static void start_stream_consumer(const Core& core, StreamOptions options, Completion<StreamConsumer> done);
  static void start_queue_consumer(const Core& core, QueueOptions options, Completion<QueueConsumer> done);
  static void start_close(const Core& core, Completion<void> done);

  Core core_;
};

}  // namespace tidemark
