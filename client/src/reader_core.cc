#include "client/src/reader_core.h"

#include <algorithm>
#include <utility>

#include "client/src/wire.h"
#include "protocol/native/codec/errors.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

constexpr std::uint64_t kCreditMin = 64 * 1024;  ///< Per partition; less makes a round trip of every batch.
constexpr std::chrono::milliseconds kRetryPause{100};

}  // namespace

ReaderCore::ReaderCore(std::shared_ptr<ClientCore> client, std::string topic, std::size_t buffer_bytes,
                       const std::vector<ReadRange>& ranges)
    : client_(std::move(client)),
      topic_(std::make_shared<const std::string>(std::move(topic))),
      credit_bytes_(std::max<std::uint64_t>(buffer_bytes / std::max<std::size_t>(ranges.size(), 1), kCreditMin)),
      retry_timer_(client_->connection()->strand()) {
  for (const ReadRange& range : ranges) {
    Partition partition{.number = range.partition, .wanted = range.from, .received = range.from, .stop = range.to};
    if (range.to && *range.to <= range.from) partition.state = State::ended;
    partitions_.push_back(partition);
  }
}

ReaderCore::~ReaderCore() {
  for (Partition& partition : partitions_) end(partition);
}

void ReaderCore::start() {
  client_->add(weak_from_this());
  client_->connection()->add_listener(weak_from_this());
  subscribe_idle();
}

// --- Subscriptions, on the strand.

void ReaderCore::on_connected() {
  {
    const std::lock_guard lock(mutex_);
    for (Partition& partition : partitions_) {
      if (partition.state != State::live) continue;
      client_->connection()->close_subscription(partition.subscription);  // It died with the connection before.
      partition.state = State::idle;
    }
  }
  subscribe_idle();
}

void ReaderCore::subscribe_idle() {
  for (std::size_t i = 0; i < partitions_.size(); ++i) subscribe(i);
}

void ReaderCore::subscribe(std::size_t index) {
  wire::Subscribe message;
  {
    const std::lock_guard lock(mutex_);
    Partition& partition = partitions_[index];
    if (closed_ || partition.state != State::idle) return;
    partition.state = State::subscribing;
    partition.subscription = client_->connection()->open_subscription(weak_from_this());
    partition.returned_bytes = 0;
    message.set_subscription(partition.subscription);
    message.set_topic(*topic_);
    message.set_partition(partition.number);
    message.set_offset(partition.received.value);
    message.set_credit_bytes(credit_bytes_ - std::min(credit_bytes_, partition.queued_bytes));
  }
  call<wire::SubscribeReply>(*client_->connection(), native::FrameType::subscribe, message, OnLoss::fail,
                             [weak = weak_from_this(), index, subscription = message.subscription()](Result<wire::SubscribeReply> reply) {
                               const auto self = weak.lock();
                               if (self == nullptr) return;
                               self->on_subscribed(index, subscription, reply ? Status() : Status(reply.error()));
                             });
}

void ReaderCore::on_subscribed(std::size_t index, std::uint32_t subscription, const Status& answer) {
  bool retry = false;
  {
    const std::lock_guard lock(mutex_);
    Partition& partition = partitions_[index];
    if (closed_ || partition.subscription != subscription || partition.state != State::subscribing) return;
    if (answer) {
      partition.state = State::live;
      return;
    }
    client_->connection()->close_subscription(subscription);
    retry = end_with(index, answer.error());
  }
  if (retry) retry_later();
  serve_waiter();
}

/// True when it is worth another try after a pause; otherwise the partition waits for the next connection or has ended with the error.
bool ReaderCore::end_with(std::size_t index, const Error& error) {
  Partition& partition = partitions_[index];
  if (error.retriable()) {
    partition.state = State::idle;
    // A request that found no connection in its time is not repeated by on_connected().
    return error.code != Errc::connection_lost;
  }
  partition.state = State::ended;
  Error told = error;
  told.detail = *topic_ + ":" + std::to_string(partition.number) + ": " + error.detail;
  chunks_.push_back(Chunk{.partition = index, .next = partition.received, .error = std::move(told)});
  arrived_.notify_all();
  return false;
}

void ReaderCore::retry_later() {
  asio::post(client_->connection()->strand(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->retry_timer_.expires_after(kRetryPause);
    self->retry_timer_.async_wait([weak](boost::system::error_code aborted) {
      const auto again = weak.lock();
      if (!aborted && again != nullptr) again->subscribe_idle();
    });
  });
}

void ReaderCore::on_deliver(const wire::Deliver& deliver, Slice batches) {
  bool retry = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(partitions_, deliver.subscription(), &Partition::subscription);
    if (closed_ || found == partitions_.end() || found->state == State::ended) return;
    const auto index = static_cast<std::size_t>(found - partitions_.begin());
    if (deliver.has_error()) {
      client_->connection()->close_subscription(deliver.subscription());
      retry = end_with(index, native::from_wire(deliver.error()));
    } else {
      found->received = Offset{deliver.next()};
      found->queued_bytes += batches.size();
      const std::uint64_t bytes = batches.size();
      chunks_.push_back(Chunk{.partition = index, .rest = std::move(batches), .bytes = bytes, .next = Offset{deliver.next()}});
      arrived_.notify_all();
    }
  }
  if (retry) retry_later();
  serve_waiter();
}

// --- Messages out, on the caller's thread; the lock is held in take() and below.

ReaderCore::Taken ReaderCore::next(std::chrono::milliseconds wait) {
  if (wait.count() > 0 && client_->inside_callback()) {
    return Error{Errc::conflict, "a blocking call inside a callback of the client would wait for itself"};
  }
  const auto until = std::chrono::steady_clock::now() + wait;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (std::optional<Taken> taken = take()) return *std::move(taken);
    if (closed_) return closed_answer();
    if (finished_locked()) return std::optional<Message>();
    if (arrived_.wait_until(lock, until) == std::cv_status::timeout && chunks_.empty()) return std::optional<Message>();
  }
}

void ReaderCore::async_next(std::shared_ptr<Pending<std::optional<Message>>> pending) {
  {
    const std::lock_guard lock(mutex_);
    if (waiter_ == nullptr) waiter_ = std::exchange(pending, nullptr);
  }
  if (pending != nullptr) return pending->complete(Error{Errc::conflict, "another async_next of this reader is waiting"});
  serve_waiter();
}

void ReaderCore::serve_waiter() {
  const std::lock_guard lock(mutex_);
  if (waiter_ == nullptr) return;
  std::optional<Taken> taken = take();
  if (!taken && closed_) taken = closed_answer();
  if (!taken && finished_locked()) taken = std::optional<Message>();
  if (!taken) return;
  const auto pending = std::exchange(waiter_, nullptr);
  if (pending->claim()) {
    pending->finish(*std::move(taken));
  } else {
    put_back_ = std::move(taken);
  }
}

std::optional<ReaderCore::Taken> ReaderCore::take() {
  if (put_back_) return std::exchange(put_back_, std::nullopt);
  while (!chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    Partition& partition = partitions_[chunk.partition];
    if (partition.done) {
      finish_chunk();
      continue;
    }
    if (batch_ != nullptr) {
      if (std::optional<Taken> taken = take_from_batch(partition)) return taken;
      continue;
    }
    if (chunk.error) {
      const Error error = *std::move(chunk.error);
      chunks_.pop_front();
      return Taken(error);
    }
    if (chunk.rest.empty()) {
      finish_chunk();
      continue;
    }
    Result<std::shared_ptr<FetchedBatch>> batch = FetchedBatch::take(topic_, partition.number, chunk.rest);
    if (!batch) {
      end(partition);
      finish_chunk();
      return Taken(batch.error());
    }
    if (!(*batch)->header().is_control()) batch_ = *std::move(batch);
  }
  return std::nullopt;
}

std::optional<ReaderCore::Taken> ReaderCore::take_from_batch(Partition& partition) {
  Message message;
  for (;;) {
    const Result<bool> more = batch_->next(message);
    if (!more) {
      batch_ = nullptr;
      end(partition);
      finish_chunk();
      return Taken(more.error());
    }
    if (!*more) {
      batch_ = nullptr;
      return std::nullopt;
    }
    if (message.offset() < partition.wanted) continue;  // The batch began before what was asked for.
    if (partition.stop && message.offset() >= *partition.stop) {
      batch_ = nullptr;
      chunks_.front().rest = {};
      return std::nullopt;
    }
    partition.wanted = message.offset() + 1;
    return Taken(std::optional<Message>(std::move(message)));
  }
}

/// The front chunk has been read: its credit goes back and its partition may have reached its end.
void ReaderCore::finish_chunk() {
  const Chunk chunk = std::move(chunks_.front());
  chunks_.pop_front();
  Partition& partition = partitions_[chunk.partition];
  partition.queued_bytes -= chunk.bytes;
  if (partition.done) return;
  // Not the last offset + 1: removed records leave gaps.
  partition.wanted = std::max(partition.wanted, chunk.next);
  if (partition.stop && partition.wanted >= *partition.stop) {
    partition.wanted = *partition.stop;
    return end(partition);
  }
  partition.returned_bytes += chunk.bytes;
  if (partition.state != State::live || partition.returned_bytes < credit_bytes_ / 4) return;
  wire::Credit credit;
  credit.set_subscription(partition.subscription);
  credit.set_bytes(std::exchange(partition.returned_bytes, 0));
  client_->connection()->send_one_way(native::encode_frame(native::FrameType::credit, 0, 0, credit));
}

void ReaderCore::end(Partition& partition) {
  const bool subscribed = partition.state == State::live || partition.state == State::subscribing;
  partition.state = State::ended;
  partition.done = true;
  if (!subscribed) return;
  client_->connection()->close_subscription(partition.subscription);
  wire::Unsubscribe message;
  message.set_subscription(partition.subscription);
  // Whatever is answered: what still comes for it is dropped, and with the connection it is gone anyway.
  call<wire::UnsubscribeReply>(*client_->connection(), native::FrameType::unsubscribe, message, OnLoss::fail,
                               [](const Result<wire::UnsubscribeReply>&) {});
}

bool ReaderCore::finished_locked() const {
  return chunks_.empty() && !put_back_ &&
         std::ranges::all_of(partitions_, [](const Partition& partition) { return partition.state == State::ended; });
}

ReaderCore::Taken ReaderCore::closed_answer() const { return Error{Errc::cancelled, "the reader was closed"}; }

bool ReaderCore::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_locked();
}

std::optional<Offset> ReaderCore::position(std::int32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(partitions_, number, &Partition::number);
  if (found == partitions_.end()) return std::nullopt;
  return found->wanted;
}

std::vector<std::int32_t> ReaderCore::partitions() const {
  std::vector<std::int32_t> numbers;
  const std::lock_guard lock(mutex_);
  for (const Partition& partition : partitions_) numbers.push_back(partition.number);
  return numbers;
}

void ReaderCore::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    for (Partition& partition : partitions_) end(partition);
    chunks_.clear();
    batch_ = nullptr;
    arrived_.notify_all();
  }
  serve_waiter();
  asio::post(client_->connection()->strand(), [self = shared_from_this()] { self->retry_timer_.cancel(); });
}

}  // namespace tidemark::detail
