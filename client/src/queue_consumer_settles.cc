// How a QueueConsumer settles: what is asked for at the same time travels in one request.

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include <boost/asio/dispatch.hpp>

#include "client/src/queue_consumer_core.h"
#include "client/src/queue_values.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kBatchesMax = 2;                    ///< Requests under way: while one is flushed, the next one fills.
constexpr std::size_t kOpsPerBatch = 10'000;              ///< Each alone takes up to 60 bytes and its reason.
constexpr std::size_t kReasonBytesPerBatch = 256 * 1024;  ///< A request's message has at most 1 MiB.
constexpr milliseconds kLeaseMax = std::chrono::hours(12);

const std::string* reason_of(const Settlement& how) {
  if (const auto* retry = std::get_if<Retry>(&how)) return &retry->reason;
  if (const auto* reject = std::get_if<Reject>(&how)) return &reject->reason;
  return nullptr;
}

bool same(const Settlement& a, const Settlement& b) {
  if (a.index() != b.index()) return false;
  const std::string* const reason = reason_of(a);
  if (reason != nullptr && *reason != *reason_of(b)) return false;
  const auto* const retry = std::get_if<Retry>(&a);
  return retry == nullptr || retry->delay == std::get_if<Retry>(&b)->delay;
}

/// Answers once, when the last of many has been settled.
struct Gather {
  std::mutex mutex;
  std::size_t left = 1;
  SettleReport report;
  Done<SettleReport> done;

  void add(std::int32_t partition, Offset offset, const Status& outcome) {
    const std::lock_guard lock(mutex);
    if (outcome) ++report.settled;
    if (!outcome) report.failures.push_back({.partition = partition, .offset = offset, .error = outcome.error()});
  }
  void one_less() {
    {
      const std::lock_guard lock(mutex);
      if (--left > 0) return;
    }
    done(std::move(report));
  }
};

}  // namespace

Status QueueConsumerCore::judge(const QueueMessage& message) const {
  if (closing_) return closed_error();
  const std::string which = message.topic().empty() ? "an empty message"
                                                    : to_string({std::string(message.topic()), message.partition()}) + "@" +
                                                          std::to_string(message.offset().value);
  if (message.topic() != *topic_) return Error{Errc::not_delivered, which + " was not received from " + *topic_ + " by this consumer"};
  if (message.session_ != session_) {
    return Error{Errc::lease_lost, which + ": the connection was lost since it was received, and the broker gave it back"};
  }
  const auto held = held_.find(place_of(message));
  const bool settling = held != held_.end() && held->second.settling && held->second.deliveries == message.deliveries();
  if (settling) return Error{Errc::already_settled, which + ": a settlement of it is under way"};
  return {};
}

void QueueConsumerCore::add_op(Place place, std::uint32_t deliveries, Settlement how, Done<void> done) {
  const auto held = held_.find(place);
  if (held != held_.end() && held->second.deliveries == deliveries) held->second.settling = true;
  ops_.push_back(Op{.place = place, .deliveries = deliveries, .how = std::move(how), .session = session_, .done = std::move(done)});
  if (std::exchange(pump_posted_, true)) return;
  on_strand([](QueueConsumerCore& self) {
    {
      const std::lock_guard lock(self.mutex_);
      self.pump_posted_ = false;
    }
    self.pump_settles();
  });
}

void QueueConsumerCore::settle(const QueueMessage& message, const Settlement& how, Done<void> done) {
  Status refused = check_settlement(how);
  if (refused) {
    const std::lock_guard lock(mutex_);
    refused = judge(message);
    if (refused) return add_op(place_of(message), message.deliveries(), bounded(how), std::move(done));
  }
  done(refused);
}

void QueueConsumerCore::settle(std::span<const QueueMessage> messages, const Settlement& how, Done<SettleReport> done) {
  if (const Status sound = check_settlement(how); !sound) return done(sound.error());
  const auto gather = std::make_shared<Gather>();
  gather->done = std::move(done);
  gather->left += messages.size();
  std::size_t refused = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const QueueMessage& message : messages) {
      const Place place = place_of(message);
      if (const Status judged = judge(message); !judged) {
        gather->add(place.partition, place.offset, judged);
        ++refused;
        continue;
      }
      add_op(place, message.deliveries(), bounded(how), [gather, place](const Status& outcome) {
        gather->add(place.partition, place.offset, outcome);
        gather->one_less();
      });
    }
  }
  for (std::size_t i = 0; i <= refused; ++i) gather->one_less();
}

/// The next ones that fit a request; those of a connection that is gone into `stale`. Null: none.
std::shared_ptr<QueueConsumerCore::Batch> QueueConsumerCore::next_batch(std::vector<Op>& stale) {
  const auto batch = std::make_shared<Batch>();
  std::size_t reason_bytes = 0;
  while (!ops_.empty() && batches_.size() < kBatchesMax && batch->ops.size() < kOpsPerBatch && reason_bytes < kReasonBytesPerBatch) {
    Op& op = ops_.front();
    const std::string* const reason = reason_of(op.how);
    if (reason != nullptr) reason_bytes += reason->size();
    (op.session == session_ ? batch->ops : stale).push_back(std::move(op));
    ops_.pop_front();
  }
  if (batch->ops.empty()) return nullptr;
  std::ranges::sort(batch->ops, {}, &Op::place);
  batches_.push_back(batch);
  return batch;
}

void QueueConsumerCore::pump_settles() {
  std::vector<Op> stale;
  for (;;) {
    std::shared_ptr<Batch> batch;
    {
      const std::lock_guard lock(mutex_);
      batch = next_batch(stale);
    }
    if (batch == nullptr) break;
    send(batch);
  }
  for (Op& op : stale) {
    if (op.done) op.done(Error{Errc::lease_lost, "the connection was lost, and the broker gave the record back"});
  }
  leave_when_settled();
}

/// Neighbours that are settled alike go as one run.
void QueueConsumerCore::send(const std::shared_ptr<Batch>& batch) {
  wire::Settle request;
  request.mutable_name()->set_group(options_.group);
  request.mutable_name()->set_topic(options_.topic);
  request.set_member(options_.member);
  {
    const std::lock_guard lock(mutex_);  // A shutdown takes the settlements away.
    const Op* previous = nullptr;
    for (const Op& op : batch->ops) {
      const bool joins = previous != nullptr && previous->place.partition == op.place.partition &&
                         previous->place.offset + 1 == op.place.offset && previous->deliveries == op.deliveries &&
                         same(previous->how, op.how);
      previous = &op;
      if (joins) {
        wire::Settlement& run = *request.mutable_settlements(request.settlements_size() - 1);
        run.set_count(run.count() + 1);
        continue;
      }
      wire::Settlement& run = *request.add_settlements();
      run.set_partition(op.place.partition);
      run.set_first(op.place.offset.value);
      run.set_count(1);
      run.set_deliveries(op.deliveries);
      settlement_to_wire(op.how, run);
    }
  }
  call<wire::SettleReply>(*client_->connection(), native::FrameType::settle, request, OnLoss::fail,
                          [self = shared_from_this(), batch](Result<wire::SettleReply> reply) {
                            asio::dispatch(self->client_->connection()->strand(),
                                           [self, batch, reply = std::move(reply)] { self->on_settled(batch, reply); });
                          });
}

/// `ours_still`: it was not settled, and may be tried again.
void QueueConsumerCore::settle_held(const Op& op, bool ours_still) {
  const auto held = held_.find(op.place);
  if (op.session != session_ || held == held_.end() || held->second.deliveries != op.deliveries) return;
  if (ours_still) {
    held->second.settling = false;
  } else {
    held_.erase(held);
  }
}

void QueueConsumerCore::on_settled(const std::shared_ptr<Batch>& batch, const Result<wire::SettleReply>& reply) {
  std::vector<Op> ops;
  std::map<Place, Error> refused;
  if (reply) {
    for (const wire::SettleReply::Failure& failure : reply->failures()) {
      refused.emplace(Place{failure.partition(), Offset{failure.offset()}}, error_from_wire(failure.error()));
    }
  }
  const bool lost = !reply && reply.error().code == Errc::connection_lost;
  {
    const std::lock_guard lock(mutex_);
    ops.swap(batch->ops);
    std::erase(batches_, batch);
    for (const Op& op : ops) settle_held(op, !reply);
  }
  for (Op& op : ops) {
    if (!op.done) continue;
    const auto failure = refused.find(op.place);
    if (failure != refused.end()) {
      op.done(failure->second);
    } else if (lost && !reply.error().maybe_done) {
      op.done(Error{Errc::lease_lost, "the connection was lost, and the broker gave the record back"});
    } else {
      op.done(reply ? Status() : Status(reply.error()));
    }
  }
  pump_settles();
}

void QueueConsumerCore::extend(const QueueMessage& message, milliseconds lease, Done<void> done) {
  Status refused;
  if (lease < milliseconds(1) || lease > kLeaseMax) refused = Error{Errc::invalid_argument, "a lease has 1 ms to 12 h"};
  if (refused) {
    const std::lock_guard lock(mutex_);
    refused = judge(message);
  }
  if (!refused) return done(refused);
  wire::ExtendLease request;
  request.mutable_name()->set_group(options_.group);
  request.mutable_name()->set_topic(options_.topic);
  request.set_member(options_.member);
  wire::Settlement& entry = *request.add_entries();
  entry.set_partition(message.partition());
  entry.set_first(message.offset().value);
  entry.set_count(1);
  entry.set_deliveries(message.deliveries());
  entry.set_delay_ms(static_cast<std::uint64_t>(lease.count()));
  call<wire::SettleReply>(*client_->connection(), native::FrameType::extend_lease, request, OnLoss::fail,
                          [done = std::move(done)](const Result<wire::SettleReply>& reply) mutable {
                            if (!reply) return done(reply.error());
                            if (reply->failures_size() > 0) return done(error_from_wire(reply->failures(0).error()));
                            done({});
                          });
}

}  // namespace tidemark::detail
