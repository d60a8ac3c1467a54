#include "broker/transactions/transactions_impl.h"

#include <algorithm>
#include <unordered_map>

#include "broker/groups/groups_impl.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"

/// The coordinator's work: turns, records, markers, time.
namespace tidemark::broker {
namespace {

constexpr std::chrono::milliseconds kRetryInterval{1'000};
constexpr std::chrono::milliseconds kExpiryInterval{10 * 60 * 1000};

}  // namespace

TransactionsImpl::TransactionsImpl(Broker::Impl& broker_in)
    : broker(broker_in), shards(broker_in.shards.size()), orphans(broker_in.shards.size()) {}

std::size_t TransactionsImpl::home_of(std::string_view id) const { return std::hash<std::string_view>()(id) % shards.size(); }

ShardTransactions& TransactionsImpl::here() { return shards[broker.current_shard()]; }

TransactionPtr TransactionsImpl::find(std::string_view id) {
  ShardTransactions& shard = here();
  const auto found = shard.by_id.find(id);
  return found == shard.by_id.end() ? nullptr : found->second;
}

// --- Turns and records.

void TransactionsImpl::in_turn(const TransactionPtr& transaction, Task step) {
  if (transaction->busy) return transaction->waiting.push_back(std::move(step));
  transaction->busy = true;
  step();
}

void TransactionsImpl::release(const TransactionPtr& transaction) {
  CHECK(transaction->busy);
  transaction->busy = false;
  if (transaction->waiting.empty()) return;
  // Through the shard: a long row of requests that are refused at once is no recursion.
  ShardTransactions& shard = here();
  ++shard.under_way;
  broker.on_shard(broker.current_shard(), [this, transaction, &shard] {
    if (!transaction->busy && !transaction->waiting.empty()) {
      Task step = std::move(transaction->waiting.front());
      transaction->waiting.pop_front();
      in_turn(transaction, std::move(step));
    }
    one_less_under_way(shard);
  });
}

void TransactionsImpl::change(const TransactionPtr& transaction, Transaction next, Done<void> done) {
  CHECK(transaction->busy);
  if (next == transaction->now) return done(Status());
  const std::size_t shard = broker.current_shard();
  std::vector<storage::StateRecord> records;
  records.push_back(to_record(transaction->id, next));
  ++shards[shard].under_way;
  broker.committer->submit(std::move(records), broker.shards[shard]->shard,
                           [this, shard, transaction, next = std::move(next), done = std::move(done)](Status recorded) mutable {
                             if (recorded) apply(transaction, std::move(next));
                             done(std::move(recorded));
                             one_less_under_way(shards[shard]);
                           });
}

void TransactionsImpl::apply(const TransactionPtr& transaction, Transaction next) {
  ShardTransactions& shard = here();
  if (transaction->now.ongoing()) shard.deadlines.erase({transaction->now.deadline(), transaction->id});
  transaction->now = std::move(next);
  if (!transaction->now.ongoing()) return;
  shard.deadlines.emplace(transaction->now.deadline(), transaction->id);
  arm_deadline(broker.current_shard(), std::chrono::milliseconds(1));
}

void TransactionsImpl::new_producer_id(Done<ProducerIdentity> done) {
  const std::size_t shard = broker.current_shard();
  broker.on_shard(0, [this, shard, done = std::move(done)]() mutable {
    broker.waiting_producers.push_back([this, shard, done = std::move(done)](Result<ProducerIdentity> fresh) mutable {
      broker.on_shard(shard, [fresh = std::move(fresh), done = std::move(done)]() mutable { done(std::move(fresh)); });
    });
    broker.give_producer_ids();
  });
}

void TransactionsImpl::admit(const ProducerIdentity& producer, const std::vector<PartitionKey>& partitions, Task done) {
  // All answers come on this shard.
  struct Waiting {
    std::size_t left = 1;
    Task done;
  };
  auto waiting = std::make_shared<Waiting>();
  waiting->done = std::move(done);
  waiting->left += partitions.size();
  const auto one_less = [waiting] {
    if (--waiting->left == 0) waiting->done();
  };
  for (const PartitionKey& key : partitions) {
    broker.access.call<void>(
        key, "", [one_less](const Status&) { one_less(); },  // A topic that is gone takes no batches either.
        [producer](Partition& partition, Done<void> admitted) {
          partition.admit(producer);
          admitted(Status());
        });
  }
  one_less();
}

// --- Markers.

void TransactionsImpl::finish(const TransactionPtr& transaction, Task first_round) {
  struct Round {
    std::size_t left = 1;
    bool all_done = true;
    Task then;
  };
  CHECK(transaction->now.preparing() && !transaction->finishing);
  transaction->finishing = true;
  ++here().under_way;
  auto round = std::make_shared<Round>();
  round->then = std::move(first_round);
  const auto answered = [this, transaction, round](const Status& done) {
    // What is gone needs no marker.
    if (!done && done.error().code != Errc::unknown_topic && done.error().code != Errc::unknown_group) {
      round->all_done = false;
      log_warn("transaction " + printable(transaction->id) + " is decided and not finished everywhere: " + done.error().to_string());
    }
    if (--round->left > 0) return;
    settle_round(transaction, round->all_done);
    if (round->then) round->then();
    one_less_under_way(here());
  };
  const Transaction now = transaction->now;
  round->left += now.partitions.size() + now.groups.size();
  for (const PartitionKey& key : now.partitions) {
    broker.access.call<void>(
        key, "", answered,
        [producer = now.producer, commit = now.commits(), epoch = coordinator_epoch](Partition& partition, Done<void> done) {
          partition.end_transaction(producer, commit, epoch, std::move(done));
        });
  }
  for (const std::string& group : now.groups) broker.groups_impl->end_transaction(group, now.producer, now.commits(), answered);
  answered(Status());
}

void TransactionsImpl::settle_round(const TransactionPtr& transaction, bool all_done) {
  const std::size_t shard = broker.current_shard();
  transaction->finishing = false;
  if (!all_done) {
    if (broker.stopping) return;  // The next start goes on with it.
    transaction->retry_timer = broker.shards[shard]->shard.run_after(kRetryInterval, [this, transaction] {
      transaction->retry_timer.reset();
      finish(transaction, {});
    });
    return;
  }
  // Whether this record comes or not, the next start finds nothing left to do: so nobody waits for it.
  apply(transaction, complete(transaction->now, broker.runtime.clock().now()));
  std::vector<storage::StateRecord> records;
  records.push_back(to_record(transaction->id, transaction->now));
  ++shards[shard].under_way;
  broker.committer->submit(std::move(records), broker.shards[shard]->shard, [this, shard, transaction](const Status& recorded) {
    if (!recorded) log_warn("transaction " + printable(transaction->id) + ": its end was not recorded: " + recorded.error().to_string());
    one_less_under_way(shards[shard]);
  });
}

// --- Recovery.

Status TransactionsImpl::replay(const storage::StateRecord& record) {
  auto& by_id = shards[home_of(record.stream.id)].by_id;
  if (record.type == storage::StateRecordType::deleted) {
    by_id.erase(record.stream.id);
    return {};
  }
  Result<Transaction> transaction = decode_transaction(record);
  if (!transaction) return std::move(transaction).error();
  TransactionPtr& place = by_id[record.stream.id];
  if (!place) place = std::make_shared<HomedTransaction>(record.stream.id);
  place->now = *std::move(transaction);
  return {};
}

void TransactionsImpl::recovered() {
  coordinator_epoch = static_cast<std::int32_t>(broker.starts & 0x7fffffff);
  std::unordered_map<std::int64_t, const Transaction*> by_producer;
  for (ShardTransactions& shard : shards) {
    for (const auto& [id, transaction] : shard.by_id) {
      const Transaction& now = transaction->now;
      by_producer[now.producer.id] = &now;
      if (!now.ongoing()) continue;
      shard.deadlines.emplace(now.deadline(), id);
      for (const PartitionKey& key : now.partitions) {
        auto& partitions = broker.shards[broker.home_of(key)]->partitions;
        const auto partition = partitions.find(key);
        if (partition != partitions.end()) partition->second->admit(now.producer);
      }
      for (const std::string& group : now.groups) {
        broker.groups_impl->shards[broker.groups_impl->home_of(group)].admitted[{group, now.producer.id}] = now.producer.epoch;
      }
    }
  }
  for (std::size_t i = 0; i < broker.shards.size(); ++i) {
    for (const auto& [key, partition] : broker.shards[i]->partitions) {
      for (const OpenTransaction& open : partition->transactions().open()) {
        const auto known = by_producer.find(open.producer.id);
        const Transaction* const owner = known == by_producer.end() ? nullptr : known->second;
        if (owner != nullptr && owner->partitions.contains(key)) continue;
        // The last thing that is known of it; a marker that was there before the crash said the same.
        const bool commit = owner != nullptr && owner->state == TransactionState::complete_commit && owner->producer == open.producer;
        orphans[i].push_back({key, open, commit});
      }
    }
  }
}

void TransactionsImpl::begin_background_work(std::size_t shard) {
  end_orphans(shard);
  for (const auto& [id, transaction] : shards[shard].by_id) {
    if (transaction->now.preparing()) finish(transaction, {});
  }
  arm_deadline(shard, std::chrono::milliseconds(1));
  arm_expiry(shard);
}

void TransactionsImpl::end_orphans(std::size_t shard) {
  for (const Orphan& orphan : std::exchange(orphans[shard], {})) {
    const auto found = broker.shards[shard]->partitions.find(orphan.where);
    if (found == broker.shards[shard]->partitions.end()) continue;
    log_warn(orphan.where.topic.to_string() + ":" + std::to_string(orphan.where.partition) + ": the transaction of producer " +
             std::to_string(orphan.transaction.producer.id) + " has lost its marker: " + (orphan.commit ? "committed" : "aborted"));
    ++shards[shard].under_way;
    found->second->end_transaction(orphan.transaction.producer, orphan.commit, coordinator_epoch,
                                   [this, shard, orphan](const Status& ended) {
                                     if (!ended && !broker.stopping) {
                                       orphans[shard].push_back(orphan);
                                       if (!shards[shard].orphan_timer) {
                                         shards[shard].orphan_timer = broker.shards[shard]->shard.run_after(kRetryInterval, [this, shard] {
                                           shards[shard].orphan_timer.reset();
                                           end_orphans(shard);
                                         });
                                       }
                                     }
                                     one_less_under_way(shards[shard]);
                                   });
  }
}

std::vector<storage::StateRecord> TransactionsImpl::snapshot(std::size_t shard, const storage::StreamKey& stream) {
  const auto found = shards[shard].by_id.find(stream.id);
  std::vector<storage::StateRecord> records;
  if (found == shards[shard].by_id.end() || found->second->now.producer.epoch < 0) {
    records.push_back({stream, storage::StateRecordType::deleted, true, 0, {}});
  } else if (!found->second->busy) {  // Otherwise the record under way is the snapshot.
    records.push_back(to_record(found->second->id, found->second->now));
  }
  return records;
}

void TransactionsImpl::drain(std::size_t number, Task done) {
  ShardTransactions& shard = shards[number];
  Shard& timers = broker.shards[number]->shard;
  if (shard.due_timer) timers.cancel(*std::exchange(shard.due_timer, std::nullopt));
  if (shard.expiry_timer) timers.cancel(*std::exchange(shard.expiry_timer, std::nullopt));
  if (shard.orphan_timer) timers.cancel(*std::exchange(shard.orphan_timer, std::nullopt));
  for (const auto& [id, transaction] : shard.by_id) {
    if (transaction->retry_timer) timers.cancel(*std::exchange(transaction->retry_timer, std::nullopt));
  }
  if (shard.under_way == 0) return done();
  shard.idle = std::move(done);
}

// --- Time.

void TransactionsImpl::arm_deadline(std::size_t number, std::chrono::milliseconds at_least) {
  ShardTransactions& shard = shards[number];
  if (shard.deadlines.empty() || broker.stopping) return;
  const Timestamp now = broker.runtime.clock().now();
  const Timestamp due = std::max(shard.deadlines.begin()->first, now + at_least);
  if (shard.due_timer && shard.timer_due <= due) return;
  if (shard.due_timer) broker.shards[number]->shard.cancel(*std::exchange(shard.due_timer, std::nullopt));
  shard.timer_due = due;
  shard.due_timer = broker.shards[number]->shard.run_after(std::chrono::ceil<std::chrono::milliseconds>(due - now), [this, number] {
    shards[number].due_timer.reset();
    time_out(number);
  });
}

void TransactionsImpl::time_out(std::size_t number) {
  ShardTransactions& shard = shards[number];
  const Timestamp now = broker.runtime.clock().now();
  std::vector<TransactionPtr> late;
  for (const auto& [deadline, id] : shard.deadlines) {
    if (deadline > now) break;
    late.push_back(shard.by_id.at(id));
  }
  for (const TransactionPtr& transaction : late) {
    ++shard.under_way;
    in_turn(transaction, [this, transaction, number] {
      const Timestamp time = broker.runtime.clock().now();
      if (!transaction->now.ongoing() || transaction->now.deadline() > time) {
        release(transaction);
        return one_less_under_way(shards[number]);
      }
      change(transaction, fence(transaction->now, time), [this, transaction, number](const Status& recorded) {
        if (recorded) {
          log_info("transaction " + printable(transaction->id) + " was open for too long: aborted");
          finish(transaction, {});
        } else {
          log_warn("transaction " + printable(transaction->id) + " is open for too long: " + recorded.error().to_string());
        }
        release(transaction);
        one_less_under_way(shards[number]);
      });
    });
  }
  arm_deadline(number, kRetryInterval);
}

void TransactionsImpl::arm_expiry(std::size_t shard) {
  shards[shard].expiry_timer = broker.shards[shard]->shard.run_after(kExpiryInterval, [this, shard] {
    shards[shard].expiry_timer.reset();
    expire_ids(shard);
    if (!broker.stopping) arm_expiry(shard);
  });
}

void TransactionsImpl::expire_ids(std::size_t number) {
  ShardTransactions& shard = shards[number];
  const Timestamp now = broker.runtime.clock().now();
  std::vector<TransactionPtr> expired;
  for (const auto& [id, transaction] : shard.by_id) {
    const Transaction& value = transaction->now;
    if (transaction->busy || value.ongoing() || value.preparing() || value.updated + kTransactionalIdKept > now) continue;
    expired.push_back(transaction);
  }
  for (const TransactionPtr& transaction : expired) {
    if (transaction->now.producer.epoch < 0) {  // It never came into being.
      shard.by_id.erase(transaction->id);
      continue;
    }
    transaction->busy = true;
    ++shard.under_way;
    std::vector<storage::StateRecord> records;
    records.push_back({transaction_stream(transaction->id), storage::StateRecordType::deleted, true, 0, {}});
    broker.committer->submit(std::move(records), broker.shards[number]->shard, [this, number, transaction](const Status& recorded) {
      // Whoever waits begins anew: an id that is not there has no producer.
      if (recorded) transaction->now = Transaction();
      if (recorded && transaction->waiting.empty()) shards[number].by_id.erase(transaction->id);
      if (!recorded) log_warn("transactional id " + printable(transaction->id) + " stays: " + recorded.error().to_string());
      release(transaction);
      one_less_under_way(shards[number]);
    });
  }
}

// --- Looking.

TransactionInfo TransactionsImpl::describe(const HomedTransaction& transaction) const {
  const Transaction& now = transaction.now;
  TransactionInfo info{.id = transaction.id,
                       .producer = now.producer,
                       .state = now.state,
                       .timeout = now.timeout,
                       .started = std::nullopt,
                       .partitions = {},
                       .groups = {now.groups.begin(), now.groups.end()}};
  if (now.ongoing() || now.preparing()) info.started = now.started;
  const TopicTable& topics = *broker.shards[broker.current_shard()]->topics;
  for (const PartitionKey& key : now.partitions) {
    const auto topic = topics.by_id.find(key.topic);
    if (topic != topics.by_id.end()) info.partitions.push_back({topic->second->name, key.partition});
  }
  std::ranges::sort(info.partitions);
  return info;
}

}  // namespace tidemark::broker
