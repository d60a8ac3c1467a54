#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker_impl.h"
#include "broker/home_call.h"
#include "broker/transactions/transaction.h"
#include "broker/transactions/transactions.h"

namespace tidemark::broker {

/// A transactional id on its home shard.
struct HomedTransaction {
  explicit HomedTransaction(std::string id_in) : id(std::move(id_in)) {}

  const std::string id;
  Transaction now;           ///< As recorded.
  bool busy = false;         ///< A change is being recorded; the next request waits for its turn.
  bool finishing = false;    ///< Markers are on their way.
  std::deque<Task> waiting;  ///< At most kWaitingMax.
  std::optional<TimerId> retry_timer;
  static constexpr std::size_t kWaitingMax = 1000;
};
using TransactionPtr = std::shared_ptr<HomedTransaction>;

/// The transactional ids of one shard. Touched by that shard only, after recovery.
struct ShardTransactions {
  std::map<std::string, TransactionPtr, std::less<>> by_id;
  std::set<std::pair<Timestamp, std::string>> deadlines;  ///< Of the ongoing ones.
  std::optional<TimerId> due_timer;
  Timestamp timer_due{};
  std::optional<TimerId> expiry_timer, orphan_timer;
  std::size_t under_way = 0;  ///< Calls not answered, records not flushed and markers on their way; a stop waits for them.
  Task idle;
};

/// An open transaction in a partition that no transactional id knows: its marker was lost, by damage or with weak durability.
struct Orphan {
  PartitionKey where;
  OpenTransaction transaction;
  bool commit = false;
};

/// What stands behind Transactions on all shards: the coordinator.
struct TransactionsImpl {
  explicit TransactionsImpl(Broker::Impl& broker_in);

  // Recovery and the broker's life.
  Status replay(const storage::StateRecord& record);
  /// Every partition is open: they and the groups learn again whose batches and offsets may come.
  void recovered();
  void begin_background_work(std::size_t shard);
  std::vector<storage::StateRecord> snapshot(std::size_t shard, const storage::StreamKey& stream);
  /// No timer runs any more; `done` when everything under way is answered.
  void drain(std::size_t shard, Task done);
  std::size_t home_of(std::string_view id) const;

  // On the home shard.
  ShardTransactions& here();
  TransactionPtr find(std::string_view id);
  /// Runs `step` when it is the id's turn; the step, or what it starts, ends with release().
  void in_turn(const TransactionPtr& transaction, Task step);
  void release(const TransactionPtr& transaction);
  /// Records `next` and makes it so; nothing to record if it is what it was.
  void change(const TransactionPtr& transaction, Transaction next, Done<void> done);
  void apply(const TransactionPtr& transaction, Transaction next);
  /// Markers to its partitions, the decision to its groups; `first_round` runs when all have answered once.
  void finish(const TransactionPtr& transaction, Task first_round);
  void settle_round(const TransactionPtr& transaction, bool all_done);
  void begin_instance(const TransactionPtr& transaction, BeginTransactions request, Done<ProducerIdentity> done);
  /// Tells the partitions that their part of the transaction may come; `done` when all know.
  void admit(const ProducerIdentity& producer, const std::vector<PartitionKey>& partitions, Task done);
  void new_producer_id(Done<ProducerIdentity> done);
  void arm_deadline(std::size_t shard, std::chrono::milliseconds at_least);
  void time_out(std::size_t shard);
  void expire_ids(std::size_t shard);
  void arm_expiry(std::size_t shard);
  void end_orphans(std::size_t shard);
  TransactionInfo describe(const HomedTransaction& transaction) const;

  /// Runs `call` on the home shard of the id; its answer comes back to the calling one. Errors invalid_argument, shutting_down.
  template <class T>
  void on_home(const std::string& id, Done<T> done, UniqueFunction<void(Done<T>)> call);

  Broker::Impl& broker;
  std::vector<ShardTransactions> shards;
  std::int32_t coordinator_epoch = 0;        ///< Of this start.
  std::vector<std::vector<Orphan>> orphans;  ///< By the shard of their partition; recovery's findings.
};

template <class T>
void TransactionsImpl::on_home(const std::string& id, Done<T> done, UniqueFunction<void(Done<T>)> call) {
  if (id.empty() || id.size() > kTransactionalIdBytesMax) {
    return done(Error{Errc::invalid_argument, "a transactional id has 1 to " + std::to_string(kTransactionalIdBytesMax) + " bytes"});
  }
  const std::size_t home = home_of(id);
  call_home(broker, home, shards[home], std::move(done), std::move(call));
}

}  // namespace tidemark::broker
