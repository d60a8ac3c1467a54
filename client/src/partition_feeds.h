#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/steady_timer.hpp>

#include "client/src/connection.h"
#include "client/src/fetched_batch.h"

namespace tidemark::detail {

/// The live subscriptions of a reader or a consumer, to any number of partitions of any topics: each subscribes on every new connection at
/// the place it has reached, queues what is pushed, and gives credit back as messages are taken, so that what is queued stays within the
/// buffer. Partitions take turns, one delivery each.
///
/// Deliveries arrive on the strand; batches are unpacked by whoever takes the messages. Thread-safe; no call runs `arrived` inside itself,
/// so the owner may hold a lock of its own that `arrived` takes.
class PartitionFeeds final : public ConnectionListener, public DeliverySink, public std::enable_shared_from_this<PartitionFeeds> {
 public:
  /// One partition from add() to remove(); never used twice.
  using Key = std::uint64_t;

  /// Bounds in bytes. The buffer is shared out evenly, within the bounds of a share; a single batch may go beyond its share.
  struct Limits {
    std::uint64_t buffer_bytes = 0;
    std::uint64_t share_bytes_min = 0;
    std::uint64_t share_bytes_max = UINT64_MAX;
  };
  /// A message, or the error that has ended the partition; its detail names the partition.
  struct Taken {
    Key key = 0;
    Result<Message> message;
  };

  PartitionFeeds(std::shared_ptr<Connection> connection, Limits limits);
  ~PartitionFeeds() override;
  PartitionFeeds(const PartitionFeeds&) = delete;
  PartitionFeeds& operator=(const PartitionFeeds&) = delete;

  /// Once, when it is owned by a shared_ptr: what was added by then is subscribed, what is added later at once. `arrived` runs with no lock
  /// held whenever take() may have something new.
  void start(UniqueFunction<void()> arrived);
  /// Reads [from, stop). A range without records has ended from the beginning.
  Key add(std::shared_ptr<const std::string> topic, std::int32_t partition, Offset from, std::optional<Offset> stop = std::nullopt);
  /// What is queued of it is dropped. Unknown keys are passed over, here and below.
  void remove(Key key);
  /// Goes on at `offset`, also after an error; what is queued is dropped.
  void seek(Key key, Offset offset);
  /// Keeps what is queued, and take() passes over it; the broker is paused by the credit it does not get.
  void pause(Key key, bool paused);

  std::optional<Taken> take();
  /// The offset of the next message; behind gaps once they are known.
  std::optional<Offset> position(Key key) const;
  /// Every partition has reached its stop, or ended with an error that has been taken.
  bool finished() const;
  /// Ends everything; nothing is taken any more.
  void close();

  void on_connected() override;
  void on_deliver(const wire::Deliver& deliver, Slice batches) override;

 private:
  enum class State { idle, subscribing, live, ended };
  /// What one Deliver brought, or the error that ended the partition.
  struct Chunk {
    Slice rest = {};
    std::uint64_t bytes = 0;
    Offset next = {};
    std::optional<Error> error = {};
  };
  struct Feed {
    Key key = 0;
    std::shared_ptr<const std::string> topic;
    std::int32_t partition = 0;
    Offset wanted;    ///< The next message to give out.
    Offset received;  ///< Where to subscribe again: behind everything queued.
    std::optional<Offset> stop;
    State state = State::idle;
    bool paused = false;
    bool in_turn = false;  ///< It stands in `turns_`.
    std::uint32_t subscription = 0;
    std::int64_t credit = 0;  ///< What the broker has left to send; below zero after a batch that was larger.
    std::int64_t queued_bytes = 0;
    std::deque<Chunk> chunks;
    std::shared_ptr<FetchedBatch> batch;  ///< Of the front chunk, being read.
  };

  // On the strand, or while there are no others yet.
  void subscribe(Key key);
  void subscribe_idle();
  void retry_later();
  void on_subscribed(Key key, std::uint32_t subscription, const Status& answer);

  // With the lock held.
  void subscribe_soon(Key key);
  bool end_with(Feed& feed, const Error& error);
  void end(Feed& feed);
  void drop_queue(Feed& feed);
  void unsubscribe(Feed& feed);
  void give_turn(Feed& feed);
  void top_up(Feed& feed);
  std::int64_t share() const;
  Feed* find(Key key);
  std::optional<Result<Message>> take_from(Feed& feed);
  std::optional<Result<Message>> take_from_batch(Feed& feed);
  void finish_chunk(Feed& feed);

  const std::shared_ptr<Connection> connection_;
  const Limits limits_;
  asio::steady_timer retry_timer_;  ///< On the strand.
  UniqueFunction<void()> arrived_;  ///< Set once, by start().

  mutable std::mutex mutex_;
  bool started_ = false;
  bool closed_ = false;
  Key next_key_ = 1;
  std::map<Key, Feed> feeds_;
  std::unordered_map<std::uint32_t, Key> by_subscription_;
  std::deque<Key> turns_;  ///< Whoever has something queued, in turn; may name some that have nothing any more.
};

}  // namespace tidemark::detail
