#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "client/src/client_core.h"
#include "client/src/fetched_batch.h"
#include "tidemark/reader.h"

namespace tidemark::detail {

/// Where one partition's reading starts and, exclusively, stops.
struct ReadRange {
  std::int32_t partition = 0;
  Offset from;
  std::optional<Offset> to;
};

/// The engine of a Reader: subscribes to its partitions on every new connection at the place it has reached, queues what is pushed, and
/// gives credit back as the caller takes messages, so that what is queued stays within the buffer.
///
/// Deliveries arrive on the strand; batches are unpacked by whoever takes the messages.
class ReaderCore final : public Closable, public ConnectionListener, public DeliverySink, public std::enable_shared_from_this<ReaderCore> {
 public:
  using Taken = Result<std::optional<Message>>;

  ReaderCore(std::shared_ptr<ClientCore> client, std::string topic, std::size_t buffer_bytes, const std::vector<ReadRange>& ranges);

  ~ReaderCore() override;
  ReaderCore(const ReaderCore&) = delete;
  ReaderCore& operator=(const ReaderCore&) = delete;

  /// Once, when it is owned by a shared_ptr.
  void start();
  Taken next(std::chrono::milliseconds wait);
  void async_next(std::shared_ptr<Pending<std::optional<Message>>> pending);

  bool finished() const;
  std::optional<Offset> position(std::int32_t partition) const;
  std::vector<std::int32_t> partitions() const;
  ClientCore& client() { return *client_; }

  void drain(Done<void> done) override { done({}); }
  void shutdown() override;
  void on_connected() override;
  void on_deliver(const wire::Deliver& deliver, Slice batches) override;

 private:
  enum class State { idle, subscribing, live, ended };
  struct Partition {
    std::int32_t number = 0;
    Offset wanted;    ///< The next message to give to the caller.
    Offset received;  ///< Where to subscribe again: behind everything queued.
    std::optional<Offset> stop;
    State state = State::idle;
    bool done = false;  ///< The caller gets no more of it; what is queued is dropped.
    std::uint32_t subscription = 0;
    std::uint64_t queued_bytes = 0;    ///< Credit used by what is queued here.
    std::uint64_t returned_bytes = 0;  ///< Credit to give back, not told to the broker yet.
  };
  /// What one Deliver brought, or the error that ended a partition.
  struct Chunk {
    std::size_t partition = 0;  ///< Index in `partitions_`.
    Slice rest = {};
    std::uint64_t bytes = 0;
    Offset next = {};
    std::optional<Error> error = {};
  };

  void subscribe_idle();
  void subscribe(std::size_t index);
  void on_subscribed(std::size_t index, std::uint32_t subscription, const Status& answer);
  void retry_later();
  bool end_with(std::size_t index, const Error& error);
  std::optional<Taken> take();
  std::optional<Taken> take_from_batch(Partition& partition);
  void finish_chunk();
  void end(Partition& partition);
  void serve_waiter();
  bool finished_locked() const;
  Taken closed_answer() const;

  const std::shared_ptr<ClientCore> client_;
  const std::shared_ptr<const std::string> topic_;
  const std::uint64_t credit_bytes_;  ///< Per partition.
  asio::steady_timer retry_timer_;    ///< On the strand.

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Partition> partitions_;
  std::deque<Chunk> chunks_;
  std::shared_ptr<FetchedBatch> batch_;  ///< Of the front chunk, being read.
  std::optional<Taken> put_back_;        ///< Taken for an operation that was cancelled at that moment.
  std::shared_ptr<Pending<std::optional<Message>>> waiter_;
  bool closed_ = false;
};

}  // namespace tidemark::detail
