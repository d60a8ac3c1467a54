#include "broker/transactions/transactions.h"

#include <algorithm>
#include <iterator>

#include "broker/groups/groups_impl.h"
#include "broker/transactions/transactions_impl.h"
#include "storage/base/printable.h"

/// What clients ask of the coordinator.
namespace tidemark::broker {
namespace {

Error unknown(const std::string& id) { return {Errc::unknown_transactional_id, "no transactional id '" + printable(id) + "'"}; }

/// A request that makes something of a transaction: decided when it is its turn, recorded, then carried on by `then`.
void decide(TransactionsImpl* impl, const std::string& id, Done<void> done,
            UniqueFunction<Result<Transaction>(const Transaction& now, Timestamp time)> decision,
            UniqueFunction<void(const TransactionPtr&, Done<void>)> then) {
  const TransactionPtr transaction = impl->find(id);
  if (!transaction || transaction->now.producer.epoch < 0) return done(unknown(id));  // Or its first begin() is under way.
  if (transaction->waiting.size() >= HomedTransaction::kWaitingMax) return done(Error{Errc::overloaded, "too many requests wait"});
  impl->in_turn(transaction, [impl, transaction, done = std::move(done), decision = std::move(decision), then = std::move(then)]() mutable {
    Result<Transaction> next = decision(transaction->now, impl->broker.runtime.clock().now());
    if (!next) {
      done(std::move(next).error());
      return impl->release(transaction);
    }
    impl->change(transaction, *std::move(next),
                 [impl, transaction, done = std::move(done), then = std::move(then)](Status recorded) mutable {
                   if (recorded) return then(transaction, std::move(done));
                   done(std::move(recorded));
                   impl->release(transaction);
                 });
  });
}

}  // namespace

void Transactions::begin(const RequestContext&, BeginTransactions request, Done<ProducerIdentity> done) {
  if (request.timeout.count() <= 0 || request.timeout > kTransactionTimeoutMax) {
    return done(Error{Errc::invalid_transaction_timeout, "a transaction's time-out is above 0 and at most " +
                                                             std::to_string(kTransactionTimeoutMax.count()) + " ms, not " +
                                                             std::to_string(request.timeout.count())});
  }
  TransactionsImpl* const impl = impl_.get();
  const std::string id = request.id;
  impl->on_home<ProducerIdentity>(id, std::move(done), [impl, request = std::move(request)](Done<ProducerIdentity> answer) mutable {
    TransactionPtr transaction = impl->find(request.id);
    if (!transaction) {
      if (impl->here().by_id.size() >= kTransactionalIdsMax) return answer(Error{Errc::overloaded, "too many transactional ids"});
      transaction = std::make_shared<HomedTransaction>(request.id);
      impl->here().by_id.emplace(request.id, transaction);
    }
    if (transaction->waiting.size() >= HomedTransaction::kWaitingMax) return answer(Error{Errc::overloaded, "too many requests wait"});
    impl->in_turn(transaction, [impl, transaction, request = std::move(request), answer = std::move(answer)]() mutable {
      impl->begin_instance(transaction, std::move(request), std::move(answer));
    });
  });
}

void TransactionsImpl::begin_instance(const TransactionPtr& transaction, BeginTransactions request, Done<ProducerIdentity> done) {
  const Transaction& now = transaction->now;
  const Timestamp time = broker.runtime.clock().now();
  if (Status expected = check_expected(now, request); !expected) {
    done(std::move(expected).error());
    return release(transaction);
  }
  if (now.ongoing()) {
    // Whoever has it open is fenced; the new instance comes again when its markers are written.
    return change(transaction, fence(now, time), [this, transaction, done = std::move(done)](Status recorded) mutable {
      if (recorded) {
        finish(transaction, {});
        done(Error{Errc::concurrent_transactions, "the open transaction is being aborted: try again"});
      } else {
        done(std::move(recorded).error());
      }
      release(transaction);
    });
  }
  auto go_on = [this, transaction, request, done = std::move(done)](Result<ProducerIdentity> fresh) mutable {
    Result<Transaction> next = fresh ? tidemark::broker::begin_instance(transaction->now, request, fresh->id, broker.runtime.clock().now())
                                     : Result<Transaction>(std::move(fresh).error());
    if (!next) {
      done(std::move(next).error());
      return release(transaction);
    }
    change(transaction, *std::move(next), [this, transaction, done = std::move(done)](Status recorded) mutable {
      if (recorded)
        done(transaction->now.producer);
      else
        done(std::move(recorded).error());
      release(transaction);
    });
  };
  const bool needs_id = now.producer.epoch < 0 || now.exhausted();
  if (!needs_id || now.preparing()) return go_on(ProducerIdentity{});
  new_producer_id(std::move(go_on));
}

void Transactions::add_partitions(const RequestContext&, std::string id, ProducerIdentity producer, std::vector<NamedPartition> partitions,
                                  Done<void> done) {
  TransactionsImpl* const impl = impl_.get();
  std::vector<PartitionKey> keys;
  for (const NamedPartition& where : partitions) {
    Result<PartitionKey> key = impl->broker.resolve({where.topic, where.partition});
    if (!key) return done(std::move(key).error());
    keys.push_back(*key);
  }
  impl->on_home<void>(id, std::move(done), [impl, id, producer, keys = std::move(keys)](Done<void> answer) mutable {
    auto shared = std::make_shared<const std::vector<PartitionKey>>(std::move(keys));
    decide(
        impl, id, std::move(answer),
        [shared, producer](const Transaction& now, Timestamp time) {
          return tidemark::broker::add_partitions(now, producer, *shared, time);
        },
        [impl, shared, producer](const TransactionPtr& transaction, Done<void> decided) {
          impl->admit(producer, *shared, [impl, transaction, decided = std::move(decided)]() mutable {
            decided(Status());
            impl->release(transaction);
          });
        });
  });
}

void Transactions::add_group(const RequestContext&, std::string id, ProducerIdentity producer, std::string group, Done<void> done) {
  if (Status valid = validate_group_name(group); !valid) return done(std::move(valid));
  TransactionsImpl* const impl = impl_.get();
  impl->on_home<void>(id, std::move(done), [impl, id, producer, group = std::move(group)](Done<void> answer) mutable {
    decide(
        impl, id, std::move(answer),
        [group, producer](const Transaction& now, Timestamp time) { return tidemark::broker::add_group(now, producer, group, time); },
        [impl, group, producer](const TransactionPtr& transaction, Done<void> decided) {
          impl->broker.groups_impl->admit_transaction(group, producer,
                                                      [impl, transaction, decided = std::move(decided)](Status admitted) mutable {
                                                        decided(std::move(admitted));
                                                        impl->release(transaction);
                                                      });
        });
  });
}

void Transactions::end(const RequestContext&, std::string id, ProducerIdentity producer, bool commit, Done<void> done) {
  TransactionsImpl* const impl = impl_.get();
  impl->on_home<void>(id, std::move(done), [impl, id, producer, commit](Done<void> answer) mutable {
    decide(
        impl, id, std::move(answer),
        [producer, commit](const Transaction& now, Timestamp time) { return decide_end(now, producer, commit, time); },
        [impl](const TransactionPtr& transaction, Done<void> decided) {
          // Unchanged, if this is a retry of what is done.
          if (transaction->now.preparing())
            impl->finish(transaction, [decided = std::move(decided)]() mutable { decided(Status()); });
          else
            decided(Status());
          impl->release(transaction);
        });
  });
}

// --- Looking.

void Transactions::describe(const RequestContext&, std::string id, Done<TransactionInfo> done) {
  TransactionsImpl* const impl = impl_.get();
  impl->on_home<TransactionInfo>(id, std::move(done), [impl, id](Done<TransactionInfo> answer) {
    const TransactionPtr transaction = impl->find(id);
    if (!transaction || transaction->now.producer.epoch < 0) {
      return answer(Error{Errc::not_found, "no transactional id '" + printable(id) + "'"});
    }
    answer(impl->describe(*transaction));
  });
}

void Transactions::list(const RequestContext&, Done<std::vector<TransactionInfo>> done) {
  struct Gather {
    std::vector<std::vector<TransactionInfo>> parts;  // Each shard writes its own.
  };
  TransactionsImpl* const impl = impl_.get();
  auto gather = std::make_shared<Gather>();
  gather->parts.resize(impl->shards.size());
  impl->broker.on_all_shards(
      [impl, gather](ShardState& shard) {
        for (const auto& [id, transaction] : impl->shards[shard.shard.index()].by_id) {
          if (transaction->now.producer.epoch >= 0) gather->parts[shard.shard.index()].push_back(impl->describe(*transaction));
        }
      },
      [gather, done = std::move(done)]() mutable {
        std::vector<TransactionInfo> all;
        for (std::vector<TransactionInfo>& part : gather->parts) std::ranges::move(part, std::back_inserter(all));
        std::ranges::sort(all, {}, &TransactionInfo::id);
        done(std::move(all));
      });
}

void Transactions::producers(const RequestContext&, TopicPartition where, Done<std::vector<ProducerActivity>> done) {
  impl_->broker.on_partition<std::vector<ProducerActivity>>(
      where, std::move(done), [](Partition& partition, Done<std::vector<ProducerActivity>> answer) { answer(partition.producers()); });
}

}  // namespace tidemark::broker
