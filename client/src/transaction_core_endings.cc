// How a transaction of a TransactionCore comes to its end: positions, commit, abort, close.

#include <algorithm>
#include <utility>

#include "client/src/producer_core.h"
#include "client/src/transaction_core.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using native::FrameType;

constexpr std::size_t kEntriesPerRequest = 1000;  ///< Names have up to 249 bytes, and a request 1 MiB.

Error not_open() { return {Errc::invalid_transaction_state, "no transaction is open: begin() opens one"}; }

/// Answers when all have: with the first error among them.
struct Together {
  std::mutex mutex;
  std::size_t left = 1;
  Status outcome;
  Done<void> done;
};

void one_less(const std::shared_ptr<Together>& together, const Status& status) {
  {
    const std::lock_guard lock(together->mutex);
    if (!status && together->outcome) together->outcome = status;
    if (--together->left > 0) return;
  }
  together->done(together->outcome);
}

using Start = void (ProducerCore::*)(Done<void>);

void on_each(const std::vector<std::shared_ptr<ProducerCore>>& producers, Start start, Done<void> done) {
  const auto together = std::make_shared<Together>();
  together->left += producers.size();
  together->done = std::move(done);
  for (const auto& producer : producers) {
    (producer.get()->*start)([together, producer](const Status& status) { one_less(together, status); });
  }
  one_less(together, {});
}

}  // namespace

// --- Positions.

void TransactionCore::commit_offsets(std::shared_ptr<StreamConsumerCore> consumer, std::optional<std::vector<GivenMessages>> given,
                                     Done<void> done) {
  std::unique_lock lock(mutex_);
  if (Status may = enter(); !may) {
    lock.unlock();
    return done(std::move(may));
  }
  const bool is_open = phase_ == Phase::open;
  const std::optional<Error> failure = failure_;
  lock.unlock();
  if (!is_open) return leave(std::move(done), not_open());
  if (failure) return leave(std::move(done), *failure);
  StreamConsumerCore& whose = *consumer;
  whose.consumed(std::move(given), [self = shared_from_this(), consumer = std::move(consumer),
                                    done = std::move(done)](Result<ConsumedOffsets> offsets) mutable {
    if (!offsets) return self->leave_failed(std::move(done), std::move(offsets).error());
    if (offsets->entries.empty()) return self->leave(std::move(done), {});
    {
      const std::lock_guard lock(self->mutex_);
      self->touched_ = true;
    }
    auto commit = std::make_shared<OffsetCommit>();
    commit->consumer = std::move(consumer);
    commit->offsets = *std::move(offsets);
    commit->done = std::move(done);
    self->ask_offsets(std::move(commit));
  });
}

void TransactionCore::ask_offsets(std::shared_ptr<OffsetCommit> commit) {
  wire::CommitInTransaction request;
  name(*request.mutable_transaction());
  const ConsumedOffsets& offsets = commit->offsets;
  wire::CommitOffsets& positions = *request.mutable_offsets();
  positions.set_group(offsets.group);
  positions.set_member(offsets.member);
  positions.set_epoch(offsets.epoch);
  commit->in_flight = std::min(kEntriesPerRequest, offsets.entries.size() - commit->answered);
  for (std::size_t i = 0; i < commit->in_flight; ++i) {
    const ConsumedOffsets::Entry& what = offsets.entries[commit->answered + i];
    wire::CommitOffsets::Entry& entry = *positions.add_entries();
    entry.set_topic(what.where.topic);
    entry.set_partition(what.where.partition);
    entry.set_offset(what.next.value);
    entry.set_leader_epoch(-1);
  }
  calls_.ask<wire::CommitOffsetsReply>(FrameType::commit_in_transaction, std::move(request), deadline(),
                                       [self = shared_from_this(), commit = std::move(commit)](
                                           const Result<wire::CommitOffsetsReply>& reply) { self->on_offsets(commit, reply); });
}

void TransactionCore::on_offsets(const std::shared_ptr<OffsetCommit>& commit, const Result<wire::CommitOffsetsReply>& reply) {
  if (!reply) return leave_failed(std::move(commit->done), reply.error());
  if (static_cast<std::size_t>(reply->entries_size()) != commit->in_flight) {
    return leave_failed(std::move(commit->done), Error{Errc::protocol_error, "a commit was answered for another number of partitions"});
  }
  for (std::size_t i = 0; i < commit->in_flight; ++i) {
    const wire::CommitOffsetsReply::Entry& answer = reply->entries(static_cast<int>(i));
    if (!answer.has_error()) continue;
    Error error = error_from_wire(answer.error());
    error.detail = to_string(commit->offsets.entries[commit->answered + i].where) + ": " + error.detail;
    return leave_failed(std::move(commit->done), std::move(error));
  }
  commit->answered += commit->in_flight;
  if (commit->answered < commit->offsets.entries.size()) return ask_offsets(commit);
  {
    const std::lock_guard lock(mutex_);
    consumed_.emplace_back(std::move(commit->consumer), std::move(commit->offsets));
  }
  leave(std::move(commit->done), {});
}

// --- Commit.

void TransactionCore::commit(Done<void> done) {
  std::unique_lock lock(mutex_);
  if (Status may = enter(); !may) {
    lock.unlock();
    return done(std::move(may));
  }
  const Phase phase = phase_;
  const std::optional<Error> failure = failure_;
  const bool sending = unaccepted_ > 0;
  const std::vector<ProducerPtr> taking_part = producers();
  lock.unlock();
  if (phase == Phase::idle) return leave(std::move(done), not_open());
  if (phase == Phase::committing) return decide_commit(std::move(done));
  if (failure) return leave(std::move(done), *failure);
  if (sending) return leave(std::move(done), Error{Errc::conflict, "a record is still being sent: wait for send() to return"});
  on_each(taking_part, &ProducerCore::flush, [self = shared_from_this(), done = std::move(done)](const Status& flushed) mutable {
    self->on_flushed(std::move(done), flushed);
  });
}

void TransactionCore::on_flushed(Done<void> done, const Status& flushed) {
  if (!flushed) return leave_failed(std::move(done), flushed.error());
  bool nothing = false;
  {
    const std::lock_guard lock(mutex_);
    nothing = !touched_;
    phase_ = nothing ? Phase::idle : Phase::committing;
  }
  if (nothing) return leave(std::move(done), {});
  decide_commit(std::move(done));
}

void TransactionCore::decide_commit(Done<void> done) {
  ask_end(true,
          [self = shared_from_this(), done = std::move(done)](const Status& ended) mutable { self->on_committed(std::move(done), ended); });
}

void TransactionCore::on_committed(Done<void> done, const Status& ended) {
  std::vector<std::pair<std::shared_ptr<StreamConsumerCore>, ConsumedOffsets>> consumed;
  Status outcome = ended;
  {
    const std::lock_guard lock(mutex_);
    if (ended) {
      phase_ = Phase::idle;
      renew_ = calls_.take_lost_answer() || renew_;
      consumed.swap(consumed_);
    } else {
      Error error = ended.error();
      maybe_committed_ = maybe_committed_ || error.maybe_done;
      error.maybe_done = maybe_committed_;
      if (error.fatal()) {
        fatal_ = error;
      } else if (error.code == Errc::invalid_transaction_state) {
        phase_ = Phase::open;  // Refused for good.
        failure_ = error;
      }
      outcome = std::move(error);
    }
  }
  for (const auto& [consumer, offsets] : consumed) consumer->committed(offsets);
  leave(std::move(done), std::move(outcome));
}

void TransactionCore::ask_end(bool commit, Done<void> done) {
  wire::EndTransaction end;
  name(*end.mutable_transaction());
  end.set_outcome(commit ? wire::EndTransaction::COMMIT : wire::EndTransaction::ABORT);
  calls_.ask<wire::EndTransactionReply>(
      FrameType::end_transaction, std::move(end), deadline(),
      [done = std::move(done)](const Result<wire::EndTransactionReply>& reply) mutable { done(reply ? Status() : Status(reply.error())); });
}

// --- Abort.

void TransactionCore::abort(Done<void> done) {
  std::unique_lock lock(mutex_);
  if (Status may = enter(); !may) {
    lock.unlock();
    return done(std::move(may));
  }
  const bool idle = phase_ == Phase::idle;
  const bool maybe_committed = phase_ == Phase::committing && maybe_committed_;
  lock.unlock();
  if (idle) return leave(std::move(done), not_open());
  if (maybe_committed) {
    return leave(std::move(done), Error{Errc::conflict, "the commit may have been decided: only commit() again can tell"});
  }
  run_abort(
      [self = shared_from_this(), done = std::move(done)](Status outcome) mutable { self->leave(std::move(done), std::move(outcome)); });
}

/// What is under way is answered first: the end of the transaction must not be overtaken by what belongs into it.
void TransactionCore::run_abort(Done<void> done) {
  std::vector<WaitingSend> waiting;
  std::vector<ProducerPtr> taking_part;
  {
    const std::lock_guard lock(mutex_);
    phase_ = Phase::open;
    if (!failure_) failure_ = Error{Errc::cancelled, "the transaction is being aborted"};
    for (auto& [topic, sends] : lookups_) {
      std::ranges::move(sends, std::back_inserter(waiting));
      sends.clear();
    }
    taking_part = producers();
  }
  for (WaitingSend& one : waiting) {
    one_accepted();
    one.accepted(Error{Errc::cancelled, "the transaction was aborted"});
  }
  on_each(taking_part, &ProducerCore::abandon, [self = shared_from_this(), done = std::move(done)](const Status&) mutable {
    std::unique_lock lock(self->mutex_);
    if (self->joins_under_way_ > 0) {
      self->joins_settled_ = [self, done = std::move(done)](const Status&) mutable { self->end_abort(std::move(done)); };
      return;
    }
    lock.unlock();
    self->end_abort(std::move(done));
  });
}

void TransactionCore::end_abort(Done<void> done) {
  bool untold = false;
  {
    const std::lock_guard lock(mutex_);
    untold = !touched_ || fatal_.has_value();
  }
  if (untold) return on_aborted(std::move(done), {});
  ask_end(false,
          [self = shared_from_this(), done = std::move(done)](const Status& ended) mutable { self->on_aborted(std::move(done), ended); });
}

void TransactionCore::on_aborted(Done<void> done, const Status& ended) {
  // No transaction is open there: no attempt to join has come through.
  const bool nothing_there = !ended && ended.error().code == Errc::invalid_transaction_state;
  const bool aborted = ended || nothing_there;
  {
    const std::lock_guard lock(mutex_);
    if (aborted) {
      phase_ = Phase::idle;
      failure_.reset();
      consumed_.clear();
      // Sequences of batches that were given up are missing, and some of what was sent may still be on its way.
      renew_ = true;
    } else if (ended.error().fatal()) {
      fatal_ = ended.error();
    }
  }
  done(aborted ? Status() : ended);
}

// --- The end.

void TransactionCore::close(Done<void> done) {
  bool begins = false;
  {
    std::unique_lock lock(mutex_);
    if (closed_) {
      lock.unlock();
      return done({});
    }
    close_waiters_.push_back(std::move(done));
    begins = !std::exchange(closing_, true) && !std::exchange(busy_, true);  // Otherwise whoever is at work goes on with it.
  }
  if (begins) run_close();
}

void TransactionCore::run_close() {
  const auto finish = [self = shared_from_this()](const Status& outcome) {
    std::vector<Done<void>> waiters;
    {
      const std::lock_guard lock(self->mutex_);
      self->closed_ = true;
      waiters.swap(self->close_waiters_);
    }
    for (Done<void>& waiter : waiters) waiter(outcome);
  };
  bool to_abort = false;
  {
    const std::lock_guard lock(mutex_);
    to_abort = phase_ == Phase::open || (phase_ == Phase::committing && !maybe_committed_);
  }
  if (!to_abort) return finish({});
  run_abort(finish);
}

void TransactionCore::shutdown() {
  std::vector<WaitingSend> waiting;
  std::vector<Done<void>> waiters;
  std::vector<ProducerPtr> taking_part;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    closing_ = true;
    for (auto& [topic, sends] : lookups_) {
      std::ranges::move(sends, std::back_inserter(waiting));
      sends.clear();
    }
    waiters.swap(close_waiters_);
    taking_part = producers();
  }
  const Error closed{Errc::cancelled, "the client was closed"};
  for (const ProducerPtr& producer : taking_part) producer->shutdown();
  calls_.shutdown();
  for (WaitingSend& one : waiting) {
    one_accepted();
    one.accepted(closed);
  }
  for (Done<void>& waiter : waiters) waiter(closed);
}

}  // namespace tidemark::detail
