#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/transactions/transaction_types.h"

namespace tidemark::broker {

/// Transactions over several partitions and groups (KIP-98, first protocol). Part of the Broker; same rules: calls are made on a shard,
/// `done` runs there once, and what is answered is durable.
///
/// Each transactional id lives on its home shard (by hash) and in the state-log stream `transaction`/<id>. A transaction is decided by one
/// record there; then markers go to its partitions and its groups take or drop the pending offsets. A crash at any point repeats what may
/// not have been done; partitions and groups that have it already do nothing. Requests for one id take effect one after the other.
///
/// Errors of all calls but the last three: invalid_argument (id empty or longer than kTransactionalIdBytesMax), unknown_transactional_id,
/// producer_fenced, concurrent_transactions, disk_full, overloaded, shutting_down.
class Transactions {
 public:
  explicit Transactions(std::shared_ptr<struct TransactionsImpl> impl) : impl_(std::move(impl)) {}

  /// A new instance: from now on, older ones with the same id are refused everywhere. An open transaction of theirs is aborted first, and
  /// the answer is concurrent_transactions until that is done: ask again. Error invalid_transaction_timeout.
  void begin(const RequestContext& context, BeginTransactions request, Done<ProducerIdentity> done);
  /// The partitions join the producer's transaction, all or none; it begins with the first. Errors: unknown_topic, unknown_partition.
  void add_partitions(const RequestContext& context, std::string id, ProducerIdentity producer, std::vector<NamedPartition> partitions,
                      Done<void> done);
  /// The group joins: Groups::commit_in_transaction() takes offsets for it.
  void add_group(const RequestContext& context, std::string id, ProducerIdentity producer, std::string group, Done<void> done);
  /// Decides, and answers when readers can see it; or when it is decided, where a partition does not take its marker now: that is tried
  /// again until it does. Done twice, it is fine. Error invalid_transaction_state.
  void end(const RequestContext& context, std::string id, ProducerIdentity producer, bool commit, Done<void> done);

  /// Error not_found.
  void describe(const RequestContext& context, std::string id, Done<TransactionInfo> done);
  void list(const RequestContext& context, Done<std::vector<TransactionInfo>> done);
  /// The producers a partition remembers, by id. Errors: unknown_topic, unknown_partition.
  void producers(const RequestContext& context, TopicPartition where, Done<std::vector<ProducerActivity>> done);

 private:
  std::shared_ptr<struct TransactionsImpl> impl_;
};

}  // namespace tidemark::broker
