#include "protocol/native/adapter/subscriptions.h"

#include <algorithm>

#include "protocol/native/codec/errors.h"

namespace tidemark::native {
namespace {

/// Of one pushed frame. Small enough that a slow reader's queue stays short, large enough to amortise the frame.
constexpr std::size_t kDeliverBytesMax = 1024 * 1024;
/// How long one read waits in the partition before it is asked again; bounds how long an ended subscription lingers there.
constexpr std::chrono::milliseconds kReadWait{30'000};

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
  subscription->credit = request.credit_bytes();
  subscription->reading = true;
  open_.emplace(subscription->id, subscription);
  // An empty read judges topic, partition and offset, and tells the bounds.
  session_.broker().read(
      session_.context(0), subscription->where, {.from = subscription->next, .bytes_max = 1},
      [self = session_.shared_from_this(), this, subscription, done = std::move(done)](Result<broker::ReadReply> read) mutable {
        subscription->reading = false;
        if (!read) {
          open_.erase(subscription->id);
          return done(std::move(read).error());
        }
        wire::SubscribeReply reply;
        reply.set_log_start(read->log_start.value);
        reply.set_high_watermark(read->high_watermark.value);
        done(std::move(reply));
        feed(subscription);
      });
}

void Subscriptions::add_credit(std::uint32_t id, std::uint64_t bytes) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  constexpr std::uint64_t kCreditMax = std::uint64_t{1} << 40;
  found->second->credit = std::min(kCreditMax, found->second->credit + std::min(bytes, kCreditMax));
  feed(found->second);
}

bool Subscriptions::end(std::uint32_t id) { return open_.erase(id) > 0; }

void Subscriptions::feed(const std::shared_ptr<Subscription>& subscription) {
  if (subscription->reading || subscription->credit == 0 || session_.closed()) return;
  subscription->reading = true;
  broker::ReadRequest request;
  request.from = subscription->next;
  request.bytes_max = std::min<std::uint64_t>(subscription->credit, kDeliverBytesMax);
  request.wait_max = kReadWait;
  session_.broker().read(
      session_.context(0), subscription->where, request,
      [self = session_.shared_from_this(), this, subscription](Result<broker::ReadReply> read) { fed(subscription, std::move(read)); });
}

void Subscriptions::fed(const std::shared_ptr<Subscription>& subscription, Result<broker::ReadReply> read) {
  subscription->reading = false;
  const auto found = open_.find(subscription->id);
  if (found == open_.end() || found->second != subscription) return;  // Ended meanwhile.
  wire::Deliver deliver;
  deliver.set_subscription(subscription->id);
  if (!read) {
    open_.erase(found);
    *deliver.mutable_error() = to_wire(read.error());
    return session_.push(FrameType::deliver, deliver);
  }
  std::size_t bytes = 0;
  for (const Slice& batch : read->batches) bytes += batch.size();
  if (bytes > 0) {
    // A batch larger than the credit is delivered all the same, or a reader with little credit would stand still.
    subscription->credit -= std::min<std::uint64_t>(subscription->credit, bytes);
    subscription->next = read->next;
    deliver.set_next(read->next.value);
    deliver.set_log_start(read->log_start.value);
    deliver.set_high_watermark(read->high_watermark.value);
    deliver.set_size(static_cast<std::uint32_t>(bytes));
    session_.push(FrameType::deliver, deliver, std::move(read->batches));
  }
  // Through the shard, so that one busy subscription does not keep the others from their turn.
  session_.shard().post([self = session_.shared_from_this(), this, subscription] { feed(subscription); });
}

}  // namespace tidemark::native
