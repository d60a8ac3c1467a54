#include "client/src/reader_core.h"

#include <utility>

namespace tidemark::detail {
namespace {

constexpr std::uint64_t kShareMin = 64 * 1024;  ///< Per partition; less makes a round trip of every batch.

}  // namespace

ReaderCore::ReaderCore(std::shared_ptr<ClientCore> client, std::string topic, std::size_t buffer_bytes,
                       const std::vector<ReadRange>& ranges)
    : client_(std::move(client)),
      feeds_(std::make_shared<PartitionFeeds>(client_->connection(),
                                              PartitionFeeds::Limits{.buffer_bytes = buffer_bytes, .share_bytes_min = kShareMin})) {
  const auto name = std::make_shared<const std::string>(std::move(topic));
  for (const ReadRange& range : ranges) keys_[range.partition] = feeds_->add(name, range.partition, range.from, range.to);
}

ReaderCore::~ReaderCore() { feeds_->close(); }

void ReaderCore::start() {
  client_->add(weak_from_this());
  feeds_->start([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_arrived();
  });
}

void ReaderCore::on_arrived() {
  {
    const std::lock_guard lock(mutex_);
    arrived_.notify_all();
  }
  serve_waiter();
}

ReaderCore::Taken ReaderCore::next(std::chrono::milliseconds wait) {
  if (wait.count() > 0 && client_->inside_callback()) {
    return Error{Errc::conflict, "a blocking call inside a callback of the client would wait for itself"};
  }
  const auto until = std::chrono::steady_clock::now() + wait;
  std::unique_lock lock(mutex_);
  for (bool last = false;;) {
    if (std::optional<Taken> taken = take()) return *std::move(taken);
    if (closed_) return closed_answer();
    if (last || finished_locked()) return std::optional<Message>();
    // What arrived in the last moment is still looked at.
    last = arrived_.wait_until(lock, until) == std::cv_status::timeout;
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
  std::optional<PartitionFeeds::Taken> taken = feeds_->take();
  if (!taken) return std::nullopt;
  if (!taken->message) return Taken(taken->message.error());
  return Taken(std::optional<Message>(*std::move(taken->message)));
}

bool ReaderCore::finished_locked() const { return !put_back_ && feeds_->finished(); }

ReaderCore::Taken ReaderCore::closed_answer() const { return Error{Errc::cancelled, "the reader was closed"}; }

bool ReaderCore::finished() const {
  const std::lock_guard lock(mutex_);
  return finished_locked();
}

std::optional<Offset> ReaderCore::position(std::int32_t partition) const {
  const auto key = keys_.find(partition);
  if (key == keys_.end()) return std::nullopt;
  return feeds_->position(key->second);
}

std::vector<std::int32_t> ReaderCore::partitions() const {
  std::vector<std::int32_t> numbers;
  for (const auto& [number, key] : keys_) numbers.push_back(number);
  return numbers;
}

void ReaderCore::shutdown() {
  {
    // First: feeds that have ended would look like a reader that has finished.
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    arrived_.notify_all();
  }
  feeds_->close();
  serve_waiter();
}

}  // namespace tidemark::detail
