#include "client/src/transaction_core.h"

#include <algorithm>
#include <utility>

#include "client/src/producer_core.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using native::FrameType;

Error closed_error() { return {Errc::cancelled, "the producer was closed"}; }
Error busy_error() { return {Errc::conflict, "another operation of this transactional producer is under way"}; }
Error not_open() { return {Errc::invalid_transaction_state, "no transaction is open: begin() opens one"}; }

TransactionalOptions within_timeout(TransactionalOptions options) {
  options.records.delivery_timeout = std::min(options.records.delivery_timeout, options.timeout);
  return options;
}

}  // namespace

Status TransactionCore::check(const TransactionalOptions& options) {
  if (options.timeout.count() < 1) return Error{Errc::invalid_transaction_timeout, "a transaction's time-out is at least 1 ms"};
  if (!options.records.idempotent) return Error{Errc::invalid_argument, "producer option idempotent: a transactional producer is"};
  return ProducerCore::check(options.records);
}

TransactionCore::TransactionCore(std::shared_ptr<ClientCore> client, TransactionalOptions options)
    : client_(std::move(client)), options_(within_timeout(std::move(options))), calls_(client_->connection()) {}

void TransactionCore::open(Done<void> done) {
  client_->add(weak_from_this());
  ask_instance(std::nullopt, [self = shared_from_this(), done = std::move(done)](Result<Identity> identity) mutable {
    if (!identity) return done(std::move(identity).error());
    {
      const std::lock_guard lock(self->mutex_);
      self->identity_ = *identity;
    }
    done({});
  });
}

void TransactionCore::ask_instance(std::optional<Identity> expected, Done<Identity> done) {
  wire::BeginInstance begin;
  begin.set_transactional_id(options_.id);
  // What is beyond the field is beyond the broker's limit, too: it says so.
  begin.set_timeout_ms(static_cast<std::uint32_t>(std::min<std::int64_t>(options_.timeout.count(), 0xffffffff)));
  if (expected) {
    begin.mutable_expected()->set_id(expected->id);
    begin.mutable_expected()->set_epoch(expected->epoch);
  }
  calls_.ask<wire::BeginInstanceReply>(
      FrameType::begin_instance, std::move(begin), deadline(), [done = std::move(done)](Result<wire::BeginInstanceReply> reply) mutable {
        if (!reply) return done(std::move(reply).error());
        done(Identity{.id = reply->producer_id(), .epoch = static_cast<std::int16_t>(reply->producer_epoch())});
      });
}

// --- Operations, one at a time.

Status TransactionCore::enter() {
  if (closing_) return closed_error();
  if (fatal_) return *fatal_;
  if (std::exchange(busy_, true)) return busy_error();
  return {};
}

void TransactionCore::leave(Done<void> done, Status outcome) {
  bool close_now = false;
  {
    const std::lock_guard lock(mutex_);
    close_now = closing_ && !closed_;
    busy_ = close_now;
  }
  done(std::move(outcome));
  if (close_now) run_close();
}

void TransactionCore::leave_failed(Done<void> done, Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (error.fatal()) fatal_ = error;
    if (!failure_) failure_ = error;
  }
  leave(std::move(done), std::move(error));
}

std::vector<TransactionCore::ProducerPtr> TransactionCore::producers() const {
  std::vector<ProducerPtr> all;
  for (const auto& [topic, producer] : producers_) all.push_back(producer);
  return all;
}

void TransactionCore::begin(Done<void> done) {
  std::unique_lock lock(mutex_);
  if (Status may = enter(); !may) {
    lock.unlock();
    return done(std::move(may));
  }
  const bool idle = phase_ == Phase::idle;
  const bool renew = renew_;
  const Identity identity = identity_;
  lock.unlock();
  if (!idle) return leave(std::move(done), Error{Errc::invalid_transaction_state, "a transaction is open already"});
  if (!renew) return open_transaction(std::move(done), std::nullopt);
  ask_instance(identity, [self = shared_from_this(), done = std::move(done)](Result<Identity> fresh) mutable {
    if (fresh) return self->open_transaction(std::move(done), *fresh);
    if (fresh.error().fatal()) return self->leave_failed(std::move(done), std::move(fresh).error());
    self->leave(std::move(done), std::move(fresh).error());  // Asked again, it gets the same answer.
  });
}

void TransactionCore::open_transaction(Done<void> done, std::optional<Identity> identity) {
  std::vector<ProducerPtr> taking_part;
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++transaction_;
    phase_ = Phase::open;
    touched_ = maybe_committed_ = false;
    failure_.reset();
    consumed_.clear();
    if (identity) {
      identity_ = *identity;
      renew_ = false;
      // What was sent under the epoch before is refused from now on.
      static_cast<void>(calls_.take_lost_answer());
    }
    taking_part = producers();
  }
  for (const ProducerPtr& producer : taking_part) producer->begin_transaction(number, identity);
  leave(std::move(done), {});
}

// --- Records.

Status TransactionCore::may_send() const {
  if (closing_) return closed_error();
  if (fatal_) return *fatal_;
  if (phase_ != Phase::open) return not_open();
  if (failure_) return *failure_;
  if (busy_) return busy_error();
  return {};
}

std::optional<Status> TransactionCore::try_send(std::string_view topic, const Record& record, SendCallback& done) {
  ProducerPtr producer;
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (Status may = may_send(); !may) return may;
    const auto found = producers_.find(topic);
    if (found == producers_.end() || lookups_.contains(topic)) return std::nullopt;
    producer = found->second;
    number = transaction_;
    ++unaccepted_;
  }
  std::optional<Status> taken = producer->offer(number, record, done);
  one_accepted();
  return taken;
}

void TransactionCore::send(const std::string& topic, const Record& record, SendCallback done, Done<void> accepted) {
  ProducerPtr producer;
  std::uint64_t number = 0;
  {
    std::unique_lock lock(mutex_);
    if (Status may = may_send(); !may) {
      lock.unlock();
      return accepted(std::move(may));
    }
    ++unaccepted_;
    number = transaction_;
    const auto found = producers_.find(topic);
    const auto lookup = lookups_.find(topic);
    if (found != producers_.end() && lookup == lookups_.end()) producer = found->second;
    if (producer == nullptr) {
      const bool first = lookup == lookups_.end();
      lookups_[topic].push_back({number, OwnedRecord(record), std::move(done), std::move(accepted)});
      if (!first) return;
    }
  }
  if (producer != nullptr) {
    return producer->offer(number, record, std::move(done),
                           [self = shared_from_this(), accepted = std::move(accepted)](Status taken) mutable {
                             self->one_accepted();
                             accepted(std::move(taken));
                           });
  }
  wire::DescribeTopic describe;
  describe.set_name(topic);
  call<wire::TopicInfo>(*client_->connection(), FrameType::describe_topic, describe, OnLoss::repeat,
                        [self = shared_from_this(), topic](const Result<wire::TopicInfo>& found) { self->on_topic(topic, found); });
}

void TransactionCore::one_accepted() {
  const std::lock_guard lock(mutex_);
  --unaccepted_;
}

void TransactionCore::on_topic(const std::string& topic, const Result<wire::TopicInfo>& found) {
  ProducerPtr producer;
  std::uint64_t number = 0;
  if (found) {
    const TopicFacts facts = TopicFacts::from(*found);
    Identity identity;
    {
      const std::lock_guard lock(mutex_);
      identity = identity_;
    }
    producer = std::make_shared<ProducerCore>(client_, topic, options_.records, facts, identity, weak_from_this());
    client_->connection()->add_listener(producer);
    const std::lock_guard lock(mutex_);
    if (closed_) producer->shutdown();
    producers_.emplace(topic, producer);
    number = transaction_;
    // A transaction that began in between has a new epoch, perhaps.
    producer->begin_transaction(number, identity_);
  } else {
    const std::lock_guard lock(mutex_);
    const auto waiting = lookups_.find(topic);
    if (waiting != lookups_.end() && !waiting->second.empty() && waiting->second.front().transaction == transaction_ && !failure_) {
      failure_ = found.error();
    }
  }
  for (;;) {
    std::vector<WaitingSend> waiting;
    {
      const std::lock_guard lock(mutex_);
      waiting.swap(lookups_[topic]);
      if (waiting.empty()) {
        lookups_.erase(topic);
        return;
      }
    }
    std::vector<Header> headers;
    for (WaitingSend& one : waiting) {
      Done<void> answer = [self = shared_from_this(), accepted = std::move(one.accepted)](Status taken) mutable {
        self->one_accepted();
        accepted(std::move(taken));
      };
      if (producer == nullptr)
        answer(found.error());
      else
        producer->offer(one.transaction, one.record.view(headers), std::move(one.done), std::move(answer));
    }
  }
}

void TransactionCore::join(std::uint64_t number, const std::string& topic, const std::vector<std::int32_t>& partitions, Done<void> done) {
  {
    std::unique_lock lock(mutex_);
    if (number != transaction_ || phase_ != Phase::open || closed_) {
      lock.unlock();
      return done(Error{Errc::cancelled, "the transaction has ended"});
    }
    touched_ = true;
    ++joins_under_way_;
  }
  wire::JoinTransaction join;
  name(*join.mutable_transaction());
  wire::TopicPartitions& joining = *join.add_partitions();
  joining.set_topic(topic);
  for (const std::int32_t partition : partitions) joining.add_partitions(partition);
  calls_.ask<wire::JoinTransactionReply>(
      FrameType::join_transaction, std::move(join), deadline(),
      [self = shared_from_this(), done = std::move(done)](const Result<wire::JoinTransactionReply>& reply) mutable {
        Done<void> settled;
        {
          const std::lock_guard lock(self->mutex_);
          if (--self->joins_under_way_ == 0) settled = std::move(self->joins_settled_);
        }
        done(reply ? Status() : Status(reply.error()));
        if (settled) settled({});
      });
}

void TransactionCore::name(wire::TransactionName& out) const {
  const std::lock_guard lock(mutex_);
  out.set_transactional_id(options_.id);
  out.set_producer_id(identity_.id);
  out.set_producer_epoch(identity_.epoch);
}

}  // namespace tidemark::detail
