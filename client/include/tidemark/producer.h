#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/base/result.h"
#include "storage/batch/partitioner.h"
#include "storage/batch/record_batch.h"
#include "tidemark/completion.h"
#include "tidemark/record.h"

namespace tidemark {

namespace detail {
class ProducerCore;
}

/// Chooses the partition of a record without one of its own; `partitions` > 0 and the answer must lie below it. Called by the sending
/// thread with a lock of the producer held: it must be quick and must not call the producer.
using Partitioner = std::function<std::int32_t(const Record& record, std::int32_t partitions)>;

struct ProducerOptions {
  /// A batch is sent when it has this many bytes, or earlier, when the connection is free. Never above the topic's max.message.bytes;
  /// a larger record travels alone. With 64 KiB, five batches per partition do not fill the time of one flush of a slow disk.
  std::size_t batch_bytes = 256 * 1024;
  /// How long a batch that is not full waits for more records although the connection is free. 0: not at all; under load batches fill
  /// by themselves while others are under way.
  std::chrono::milliseconds linger{0};
  Codec codec = Codec::none;
  int compression_level = 0;                    ///< The codec's own scale; 0 = its default.
  std::size_t buffer_bytes = 32 * 1024 * 1024;  ///< Bound on records accepted and not yet answered, one partition's batch at least.
  /// Retries are recognised by the broker: nothing is stored twice and order is kept. Off: a batch whose answer was lost fails with
  /// Error::maybe_done instead of being sent again.
  bool idempotent = true;
  int in_flight_max = 5;                                ///< Batches per partition sent and not yet answered, 1 to 5.
  std::chrono::milliseconds delivery_timeout{120'000};  ///< From acceptance; includes waiting, retries and reconnects.
  Partitioner partitioner = {};  ///< Empty: Kafka's murmur2 of the key; without a key one partition per batch, taking turns.
};

/// Runs once, on the client's executor: when the broker has answered, or with the error that ended the attempt.
using SendCallback = std::function<void(const Result<Stored>&)>;

/// Sends records to one topic. Made by Client::producer(). Thread-safe; copies are handles on the same producer.
///
/// Records of one partition are stored in the order in which they were accepted, each once, across retries and reconnects (idempotent).
/// A batch that fails for good fails its records only: later records still go out. Errors of a record: batch_too_large,
/// unknown_topic, unknown_partition, invalid_argument, whatever the broker refuses, timed_out when delivery_timeout has passed,
/// cancelled when the client was closed. Error::maybe_done says that it may be stored all the same.
///
/// Three ways to meet a full buffer: wait (send), suspend (async_send), learn (try_post).
class Producer {
 public:
  /// Blocks until stored. Not for the thread that runs the client's executor.
  Result<Stored> send(const Record& record);

  /// Never blocks: false when the buffer is full, and then `done` is dropped. An empty callback costs nothing.
  bool try_post(const Record& record, SendCallback done = {});

  template <CompletionToken<Stored> Token = asio::deferred_t>
  auto async_send(const Record& record, Token&& token = Token()) {
    return asio::async_initiate<Token, void(Result<Stored>)>(
        [core = core_](auto handler, const Record& what) { start_send(core, what, Completion<Stored>(std::move(handler))); }, token,
        record);
  }

  /// Sends what is gathered without lingering, and waits until everything accepted before the call has been answered, well or not. Errors:
  /// timed_out; or the first error of a record since the last flush, so that a caller without callbacks learns of it.
  Status flush();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_flush(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_flush(core, Completion<void>(std::move(handler))); }, token);
  }

  /// flush(), then refuses further records with `cancelled`. A producer that just goes away lets its records travel on until the client
  /// is closed.
  Status close();
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_close(Token&& token = Token()) {
    return asio::async_initiate<Token, void(Status)>(
        [core = core_](auto handler) { start_close(core, Completion<void>(std::move(handler))); }, token);
  }

  std::size_t buffered_bytes() const;  ///< Of records accepted and not yet answered.
  const std::string& topic() const;
  std::int32_t partitions() const;

 private:
  friend class Client;
  explicit Producer(std::shared_ptr<detail::ProducerCore> core) : core_(std::move(core)) {}
  static void start_send(const std::shared_ptr<detail::ProducerCore>& core, const Record& record, Completion<Stored> done);
  static void start_flush(const std::shared_ptr<detail::ProducerCore>& core, Completion<void> done);
  static void start_close(const std::shared_ptr<detail::ProducerCore>& core, Completion<void> done);

  std::shared_ptr<detail::ProducerCore> core_;
};

}  // namespace tidemark
