#include "client/src/partition_feeds.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "client/src/wire.h"
#include "protocol/native/codec/errors.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

constexpr std::chrono::milliseconds kRetryPause{100};

}  // namespace

PartitionFeeds::PartitionFeeds(std::shared_ptr<Connection> connection, Limits limits)
    : connection_(std::move(connection)), limits_(limits), retry_timer_(connection_->strand()) {}

PartitionFeeds::~PartitionFeeds() {
  for (auto& [key, feed] : feeds_) unsubscribe(feed);
}

void PartitionFeeds::start(UniqueFunction<void()> arrived) {
  arrived_ = std::move(arrived);
  connection_->add_listener(weak_from_this());
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
  }
  subscribe_idle();
}

PartitionFeeds::Key PartitionFeeds::add(std::shared_ptr<const std::string> topic, std::int32_t partition, Offset from,
                                        std::optional<Offset> stop) {
  const std::lock_guard lock(mutex_);
  const Key key = next_key_++;
  Feed& feed = feeds_[key];
  feed.key = key;
  feed.topic = std::move(topic);
  feed.partition = partition;
  feed.wanted = feed.received = from;
  feed.stop = stop;
  if (stop && *stop <= from) feed.state = State::ended;
  if (started_) subscribe_soon(key);
  return key;
}

void PartitionFeeds::remove(Key key) {
  const std::lock_guard lock(mutex_);
  Feed* const feed = find(key);
  if (feed == nullptr) return;
  unsubscribe(*feed);
  feeds_.erase(key);
}

void PartitionFeeds::seek(Key key, Offset offset) {
  const std::lock_guard lock(mutex_);
  Feed* const feed = find(key);
  if (feed == nullptr || closed_) return;
  unsubscribe(*feed);
  drop_queue(*feed);
  feed->wanted = feed->received = offset;
  feed->state = State::idle;
  subscribe_soon(key);
}

void PartitionFeeds::pause(Key key, bool paused) {
  const std::lock_guard lock(mutex_);
  Feed* const feed = find(key);
  if (feed == nullptr || std::exchange(feed->paused, paused) == paused || paused || feed->chunks.empty()) return;
  give_turn(*feed);
  asio::post(connection_->strand(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->arrived_();
  });
}

// --- Subscriptions, mostly on the strand.

void PartitionFeeds::on_connected() {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [key, feed] : feeds_) {
      if (feed.state != State::live) continue;
      // It died with the connection before.
      connection_->close_subscription(feed.subscription);
      by_subscription_.erase(feed.subscription);
      feed.state = State::idle;
    }
  }
  subscribe_idle();
}

void PartitionFeeds::subscribe_idle() {
  std::vector<Key> idle;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, feed] : feeds_) {
      if (feed.state == State::idle) idle.push_back(key);
    }
  }
  for (const Key key : idle) subscribe(key);
}

/// A request may be answered, and `arrived_` run, inside the call that sends it: not inside a call of our owner.
void PartitionFeeds::subscribe_soon(Key key) {
  asio::post(connection_->strand(), [weak = weak_from_this(), key] {
    if (const auto self = weak.lock()) self->subscribe(key);
  });
}

void PartitionFeeds::subscribe(Key key) {
  wire::Subscribe message;
  {
    const std::lock_guard lock(mutex_);
    Feed* const feed = find(key);
    if (closed_ || feed == nullptr || feed->state != State::idle) return;
    feed->state = State::subscribing;
    feed->subscription = connection_->open_subscription(weak_from_this());
    by_subscription_[feed->subscription] = key;
    feed->credit = std::max<std::int64_t>(0, share() - feed->queued_bytes);
    message.set_subscription(feed->subscription);
    message.set_topic(*feed->topic);
    message.set_partition(feed->partition);
    message.set_offset(feed->received.value);
    message.set_credit_bytes(static_cast<std::uint64_t>(feed->credit));
  }
  call<wire::SubscribeReply>(*connection_, native::FrameType::subscribe, message, OnLoss::fail,
                             [weak = weak_from_this(), key, subscription = message.subscription()](Result<wire::SubscribeReply> reply) {
                               const auto self = weak.lock();
                               if (self == nullptr) return;
                               self->on_subscribed(key, subscription, reply ? Status() : Status(reply.error()));
                             });
}

void PartitionFeeds::on_subscribed(Key key, std::uint32_t subscription, const Status& answer) {
  bool retry = false;
  {
    const std::lock_guard lock(mutex_);
    Feed* const feed = find(key);
    if (closed_ || feed == nullptr || feed->subscription != subscription || feed->state != State::subscribing) return;
    if (answer) {
      feed->state = State::live;
      return top_up(*feed);  // Something may have been taken meanwhile.
    }
    retry = end_with(*feed, answer.error());
  }
  if (retry) retry_later();
  arrived_();
}

/// True when it is worth another try after a pause; otherwise the partition waits for the next connection or has ended with the error.
bool PartitionFeeds::end_with(Feed& feed, const Error& error) {
  connection_->close_subscription(feed.subscription);
  by_subscription_.erase(feed.subscription);
  if (error.retriable()) {
    feed.state = State::idle;
    // A request that found no connection in its time is not repeated by on_connected().
    return error.code != Errc::connection_lost;
  }
  feed.state = State::ended;
  Error told = error;
  told.detail = *feed.topic + ":" + std::to_string(feed.partition) + ": " + error.detail;
  feed.chunks.push_back(Chunk{.next = feed.received, .error = std::move(told)});
  give_turn(feed);
  return false;
}

void PartitionFeeds::retry_later() {
  asio::post(connection_->strand(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->retry_timer_.expires_after(kRetryPause);
    self->retry_timer_.async_wait([weak](boost::system::error_code aborted) {
      const auto again = weak.lock();
      if (!aborted && again != nullptr) again->subscribe_idle();
    });
  });
}

void PartitionFeeds::on_deliver(const wire::Deliver& deliver, Slice batches) {
  bool retry = false;
  {
    const std::lock_guard lock(mutex_);
    const auto key = by_subscription_.find(deliver.subscription());
    Feed* const feed = key == by_subscription_.end() ? nullptr : find(key->second);
    if (closed_ || feed == nullptr || feed->state == State::ended) return;
    if (deliver.has_error()) {
      retry = end_with(*feed, native::from_wire(deliver.error()));
    } else {
      const auto bytes = static_cast<std::int64_t>(batches.size());
      feed->received = Offset{deliver.next()};
      feed->queued_bytes += bytes;
      feed->credit -= bytes;
      feed->chunks.push_back(Chunk{.rest = std::move(batches), .bytes = static_cast<std::uint64_t>(bytes), .next = Offset{deliver.next()}});
      give_turn(*feed);
    }
  }
  if (retry) retry_later();
  arrived_();
}

void PartitionFeeds::unsubscribe(Feed& feed) {
  if (feed.state != State::live && feed.state != State::subscribing) return;
  connection_->close_subscription(feed.subscription);
  by_subscription_.erase(feed.subscription);
  feed.state = State::ended;
  wire::Unsubscribe message;
  message.set_subscription(feed.subscription);
  // Whatever is answered: what still comes for it is dropped, and with the connection it is gone anyway.
  call<wire::UnsubscribeReply>(*connection_, native::FrameType::unsubscribe, message, OnLoss::fail,
                               [](const Result<wire::UnsubscribeReply>&) {});
}

std::int64_t PartitionFeeds::share() const {
  const std::uint64_t even = limits_.buffer_bytes / std::max<std::size_t>(feeds_.size(), 1);
  // More than this is as good as endless, and leaves room to calculate.
  constexpr std::uint64_t kEndless = std::uint64_t{1} << 40;
  return static_cast<std::int64_t>(std::min(std::clamp(even, limits_.share_bytes_min, limits_.share_bytes_max), kEndless));
}

/// Gives back the credit of what has been taken, in pieces that are worth a frame. The share may have changed with the number of
/// partitions.
void PartitionFeeds::top_up(Feed& feed) {
  if (feed.state != State::live) return;
  const std::int64_t whole = share();
  const std::int64_t missing = whole - feed.credit - feed.queued_bytes;
  if (missing <= 0 || missing < whole / 4) return;
  feed.credit += missing;
  wire::Credit credit;
  credit.set_subscription(feed.subscription);
  credit.set_bytes(static_cast<std::uint64_t>(missing));
  connection_->send_one_way(native::encode_frame(native::FrameType::credit, 0, 0, credit));
}

// --- Messages out, on the caller's thread.

PartitionFeeds::Feed* PartitionFeeds::find(Key key) {
  const auto found = feeds_.find(key);
  return found == feeds_.end() ? nullptr : &found->second;
}

void PartitionFeeds::give_turn(Feed& feed) {
  if (!std::exchange(feed.in_turn, true)) turns_.push_back(feed.key);
}

std::optional<PartitionFeeds::Taken> PartitionFeeds::take() {
  const std::lock_guard lock(mutex_);
  while (!turns_.empty()) {
    const Key key = turns_.front();
    Feed* const feed = find(key);
    if (feed != nullptr && !feed->paused && !feed->chunks.empty()) {
      if (std::optional<Result<Message>> taken = take_from(*feed)) return Taken{.key = key, .message = *std::move(taken)};
    }
    turns_.pop_front();
    if (feed == nullptr) continue;
    feed->in_turn = false;
    if (!feed->paused && !feed->chunks.empty()) give_turn(*feed);
  }
  return std::nullopt;
}

/// The next message of the front chunk; nullopt when that has been read to its end.
std::optional<Result<Message>> PartitionFeeds::take_from(Feed& feed) {
  for (;;) {
    if (feed.batch != nullptr) {
      if (std::optional<Result<Message>> taken = take_from_batch(feed)) return taken;
      if (feed.chunks.empty()) return std::nullopt;
    }
    Chunk& chunk = feed.chunks.front();
    if (chunk.error) {
      Error error = *std::move(chunk.error);
      feed.chunks.pop_front();
      return Result<Message>(std::move(error));
    }
    if (chunk.rest.empty()) {
      finish_chunk(feed);
      return std::nullopt;
    }
    Result<std::shared_ptr<FetchedBatch>> batch = FetchedBatch::take(feed.topic, feed.partition, chunk.rest);
    if (!batch) {
      end(feed);
      return Result<Message>(batch.error());
    }
    if (!(*batch)->header().is_control()) feed.batch = *std::move(batch);
  }
}

std::optional<Result<Message>> PartitionFeeds::take_from_batch(Feed& feed) {
  Message message;
  for (;;) {
    const Result<bool> more = feed.batch->next(message);
    if (!more) {
      end(feed);
      return Result<Message>(more.error());
    }
    if (!*more) {
      feed.batch = nullptr;
      return std::nullopt;
    }
    if (message.offset() < feed.wanted) continue;  // The batch began before what was asked for.
    if (feed.stop && message.offset() >= *feed.stop) {
      feed.wanted = *feed.stop;
      end(feed);
      return std::nullopt;
    }
    feed.wanted = message.offset() + 1;
    return Result<Message>(std::move(message));
  }
}

/// The front chunk has been read: its credit goes back and its partition may have reached its end.
void PartitionFeeds::finish_chunk(Feed& feed) {
  const Chunk chunk = std::move(feed.chunks.front());
  feed.chunks.pop_front();
  feed.queued_bytes -= static_cast<std::int64_t>(chunk.bytes);
  // Not the last offset + 1: removed records leave gaps.
  feed.wanted = std::max(feed.wanted, chunk.next);
  if (feed.stop && feed.wanted >= *feed.stop) {
    feed.wanted = *feed.stop;
    return end(feed);
  }
  top_up(feed);
}

/// Nothing more of it is given out.
void PartitionFeeds::end(Feed& feed) {
  unsubscribe(feed);
  feed.state = State::ended;
  drop_queue(feed);
}

void PartitionFeeds::drop_queue(Feed& feed) {
  feed.chunks.clear();
  feed.batch = nullptr;
  feed.queued_bytes = 0;
}

std::optional<Offset> PartitionFeeds::position(Key key) const {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(key);
  if (found == feeds_.end()) return std::nullopt;
  return found->second.wanted;
}

bool PartitionFeeds::finished() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(feeds_, [](const auto& entry) { return entry.second.state == State::ended && entry.second.chunks.empty(); });
}

void PartitionFeeds::close() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    for (auto& [key, feed] : feeds_) end(feed);
    turns_.clear();
  }
  asio::post(connection_->strand(), [self = shared_from_this()] { self->retry_timer_.cancel(); });
}

}  // namespace tidemark::detail
