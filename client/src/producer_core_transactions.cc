// What a ProducerCore does for records of transactions: partitions join before anything is sent there, and an aborted one is dropped.

#include <utility>

#include "client/src/producer_core.h"

namespace tidemark::detail {
namespace {

Error aborted_error(bool maybe_done = false) { return {Errc::cancelled, "the transaction was aborted", maybe_done}; }

}  // namespace

void ProducerCore::begin_transaction(std::uint64_t number, std::optional<Identity> identity) {
  const std::lock_guard lock(mutex_);
  if (number <= transaction_) return;
  transaction_ = number;
  in_transaction_ = !closed_;
  first_error_.reset();
  if (identity) identity_ = *identity;
  for (const auto& queue : queues_) queue->begin_transaction(identity);
}

Status ProducerCore::may_offer(std::uint64_t number) const {
  if (in_transaction_ && number == transaction_) return {};
  return Error{Errc::conflict, topic_ + ": the transaction the record was sent in has ended"};
}

std::optional<Status> ProducerCore::offer(std::uint64_t number, const Record& record, SendCallback& done) {
  const std::lock_guard lock(mutex_);
  if (Status may = may_offer(number); !may) return may;
  if (!waiting_.empty() || !accept(record, done)) return std::nullopt;
  return Status();
}

void ProducerCore::offer(std::uint64_t number, const Record& record, SendCallback done, Done<void> accepted) {
  Status may;
  {
    const std::lock_guard lock(mutex_);
    may = may_offer(number);
    if (may && (!waiting_.empty() || !accept(record, done))) {
      waiting_.push_back({OwnedRecord(record), std::move(done), std::move(accepted)});
      return;
    }
  }
  accepted(std::move(may));
}

void ProducerCore::abandon(Done<void> done) {
  Outgoing out;
  std::deque<Waiting> waiting;
  {
    const std::lock_guard lock(mutex_);
    in_transaction_ = false;
    waiting.swap(waiting_);
    for (const auto& queue : queues_) {
      for (const auto& batch : queue->abandon()) settle(out, batch, aborted_error(batch->unknown_outcome));
    }
    for (Waiting& one : waiting) {
      auto alone = std::make_shared<OutBatch>();
      if (one.done) alone->waiters.push_back(RecordWaiter{.done = std::move(one.done)});
      out.settled.push_back(Settled{.batch = std::move(alone), .result = aborted_error()});
    }
  }
  tell(std::move(out));
  for (Waiting& one : waiting) {
    if (one.accepted) one.accepted(aborted_error());
  }
  flush([done = std::move(done)](const Status&) mutable { done({}); });  // The errors of its records are those of the transaction.
}

// --- On the strand.

void ProducerCore::join(std::uint64_t number, const std::vector<std::int32_t>& partitions) {
  const auto transactions = transactions_.lock();
  if (transactions == nullptr) return on_joined(number, partitions, aborted_error());
  transactions->join(number, topic_, partitions, [weak = weak_from_this(), number, partitions](const Status& joined) {
    if (const auto self = weak.lock()) self->on_joined(number, partitions, joined);
  });
}

void ProducerCore::on_joined(std::uint64_t number, const std::vector<std::int32_t>& partitions, const Status& joined) {
  Outgoing out;
  {
    const std::lock_guard lock(mutex_);
    if (number != transaction_ || !in_transaction_) return;
    for (const std::int32_t partition : partitions) {
      Queue& queue = *queues_[static_cast<std::size_t>(partition)];
      queue.end_joining(joined.has_value());
      if (!joined) {
        for (const auto& batch : queue.take_all()) settle(out, batch, joined.error());
      }
      mark_dirty(partition);
    }
    schedule_pump();
  }
  tell(std::move(out));
}

}  // namespace tidemark::detail
