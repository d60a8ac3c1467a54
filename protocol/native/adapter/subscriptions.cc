#include "protocol/native/adapter/subscriptions.h"

#include <algorithm>
#include <utility>

#include "protocol/native/codec/errors.h"

namespace tidemark::native {
namespace {

/// Of one pushed frame. Small enough that a slow reader's queue stays short, large enough to amortise the frame.
constexpr std::size_t kDeliverBytesMax = 1024 * 1024;
/// How long one read waits in the partition before it is asked again; bounds how long an ended subscription lingers there.
constexpr std::chrono::milliseconds kReadWait{30'000};
/// More credit than this is as good as endless.
constexpr std::int64_t kCreditMax = std::int64_t{1} << 40;

std::int64_t add_bounded(std::int64_t credit, std::uint64_t bytes) {
  const auto added = static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, kCreditMax));
  return std::min(kCreditMax, credit + added);
}

}  // namespace

void Subscriptions::open(const wire::Subscribe& request, broker::Done<wire::SubscribeReply> done) {
  if (open_.contains(request.subscription())) {
    return done(Error{Errc::conflict, "subscription " + std::to_string(request.subscription()) + " is open on this connection"});
  }
  if (open_.size() >= session_.limits().subscriptions_max) {
    return done(Error{Errc::overloaded, "this connection has " + std::to_string(open_.size()) + " subscriptions, the most allowed"});
  }
  auto subscription = std::make_shared<Subscription>();
  subscription->id = request.subscription();
  subscription->where = {request.topic(), request.partition()};
  subscription->next = Offset{request.offset()};
  subscription->credit = add_bounded(0, request.credit_bytes());
  open_.emplace(subscription->id, subscription);
  // A read that does not wait judges topic, partition and offset, and tells the bounds.
  session_.broker().read(session_.context(0), subscription->where, {.from = subscription->next, .bytes_max = 1},
                         [self = session_.shared_from_this(), this, subscription, done = std::move(done)](auto read) mutable {
                           if (!read) {
                             if (!subscription->ended) open_.erase(subscription->id);
                             return done(std::move(read).error());
                           }
                           wire::SubscribeReply reply;
                           reply.set_log_start(read->log_start.value);
                           reply.set_high_watermark(read->high_watermark.value);
                           done(std::move(reply));
                         });
}

Subscriptions::SubscriptionPtr Subscriptions::find(std::uint32_t id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second;
}

void Subscriptions::begin(std::uint32_t id) {
  const SubscriptionPtr subscription = find(id);
  if (!subscription) return;
  subscription->begun = true;
  feed(subscription);
}

void Subscriptions::add_credit(std::uint32_t id, std::uint64_t bytes) {
  const SubscriptionPtr subscription = find(id);
  if (!subscription) return;
  subscription->credit = add_bounded(subscription->credit, bytes);
  feed(subscription);
}

void Subscriptions::end(std::uint32_t id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  found->second->ended = true;
  open_.erase(found);
}

void Subscriptions::end_all(const Error& error) {
  for (const auto& [id, subscription] : open_) push_end(subscription, error);
  open_.clear();
}

void Subscriptions::clear() {
  for (const auto& [id, subscription] : open_) subscription->ended = true;
  open_.clear();
  parked_.clear();
}

void Subscriptions::resume() {
  for (const SubscriptionPtr& subscription : std::exchange(parked_, {})) {
    subscription->parked = false;
    feed(subscription);
  }
}

void Subscriptions::feed(const SubscriptionPtr& subscription) {
  if (!subscription->begun || subscription->reading || subscription->ended || subscription->credit <= 0) return;
  if (session_.output_full()) {
    if (!std::exchange(subscription->parked, true)) parked_.push_back(subscription);
    return;
  }
  subscription->reading = true;
  broker::ReadRequest request;
  request.from = subscription->next;
  request.bytes_max = std::min(static_cast<std::size_t>(subscription->credit), kDeliverBytesMax);
  request.wait_max = kReadWait;
  session_.broker().read(
      session_.context(0), subscription->where, request,
      [self = session_.shared_from_this(), this, subscription](Result<broker::ReadReply> read) { fed(subscription, std::move(read)); });
}

void Subscriptions::fed(const SubscriptionPtr& subscription, Result<broker::ReadReply> read) {
  subscription->reading = false;
  if (subscription->ended) return;
  if (!read) {
    push_end(subscription, read.error());
    open_.erase(subscription->id);
    return;
  }
  std::size_t bytes = 0;
  for (const Slice& batch : read->batches) bytes += batch.size();
  // Other readers of the connection may have filled the output while this one waited: then it reads again when there is room.
  // Without a batch, too, when something was left out: a reader that waits for an end must hear that it is there.
  if (read->next > subscription->next && !session_.output_full()) {
    subscription->credit -= static_cast<std::int64_t>(bytes);
    subscription->next = read->next;
    wire::Deliver deliver;
    deliver.set_subscription(subscription->id);
    deliver.set_next(read->next.value);
    deliver.set_log_start(read->log_start.value);
    deliver.set_high_watermark(read->high_watermark.value);
    deliver.set_size(static_cast<std::uint32_t>(bytes));
    session_.push(FrameType::deliver, deliver, std::move(read->batches));
  }
  // Through the shard, so that one busy subscription does not keep the others from their turn.
  session_.shard().post([self = session_.shared_from_this(), this, subscription] { feed(subscription); });
}

void Subscriptions::push_end(const SubscriptionPtr& subscription, const Error& error) {
  subscription->ended = true;
  wire::Deliver deliver;
  deliver.set_subscription(subscription->id);
  deliver.set_next(subscription->next.value);
  *deliver.mutable_error() = to_wire(error);
  session_.push(FrameType::deliver, deliver);
}

}  // namespace tidemark::native
