#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "broker/partition_state.h"
#include "broker/transactions/transaction_types.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/state_log.h"

namespace tidemark::broker {

/// The transaction of one transactional id: a value, and what each request makes of it. No clock, no I/O.
///
/// Every function answers the value as it would be next, or why the request is refused; the coordinator records it, and only then is it
/// so. Equal to what it was: nothing to record. Rules and refusals are those of Apache Kafka's TransactionMetadata, first protocol (V1).
///
///     empty ─▶ ongoing ─▶ prepare_commit ─▶ complete_commit ─▶ ongoing ...
///                    └──▶ prepare_abort ──▶ complete_abort ──▶ ongoing ...
struct Transaction {
  ProducerIdentity producer{-1, -1};
  std::int16_t last_epoch = -1;     ///< Before the last bump that the producer itself asked for: its retry gets the same answer.
  std::int64_t last_producer = -1;  ///< The producer id before, after its epochs ran out.
  TransactionState state = TransactionState::empty;
  std::chrono::milliseconds timeout{};
  Timestamp started{};  ///< Of an ongoing transaction.
  Timestamp updated{};
  std::set<PartitionKey> partitions;
  std::set<std::string> groups;
  bool operator==(const Transaction&) const = default;

  bool ongoing() const { return state == TransactionState::ongoing; }
  bool preparing() const { return state == TransactionState::prepare_commit || state == TransactionState::prepare_abort; }
  bool commits() const { return state == TransactionState::prepare_commit || state == TransactionState::complete_commit; }
  Timestamp deadline() const { return started + timeout; }
  /// No epoch is left for another instance: it needs a producer id of its own.
  bool exhausted() const;
};

/// A new instance of the producer, or one that goes on. `fresh_id`: a producer id never used, needed for a new transactional id and where
/// exhausted(). Pre: not ongoing (abort it first). Errors: concurrent_transactions while it is being finished, producer_fenced.
Result<Transaction> begin_instance(const Transaction& now, const BeginTransactions& request, std::optional<std::int64_t> fresh_id,
                                   Timestamp time);
/// Error producer_fenced unless the request's identity is the present one.
Status check_expected(const Transaction& now, const BeginTransactions& request);

/// Errors of the three: unknown_transactional_id (another producer id), producer_fenced, concurrent_transactions, overloaded.
Result<Transaction> add_partitions(const Transaction& now, const ProducerIdentity& producer, std::span<const PartitionKey> partitions,
                                   Timestamp time);
Result<Transaction> add_group(const Transaction& now, const ProducerIdentity& producer, const std::string& group, Timestamp time);
/// The decision. Unchanged where the same was decided and done already: a retry. Error invalid_transaction_state where there is nothing to
/// end, or the opposite was decided.
Result<Transaction> decide_end(const Transaction& now, const ProducerIdentity& producer, bool commit, Timestamp time);
/// Aborts an ongoing transaction over its producer's head: whoever has it loses it by the new epoch. Pre: ongoing.
Transaction fence(const Transaction& now, Timestamp time);
/// All markers are there. Pre: preparing.
Transaction complete(const Transaction& now, Timestamp time);

storage::StreamKey transaction_stream(const std::string& id);
/// The whole, as one record that replaces all before it.
storage::StateRecord to_record(const std::string& id, const Transaction& transaction);
/// Error corrupt_batch when it does not decode.
Result<Transaction> decode_transaction(const storage::StateRecord& record);

}  // namespace tidemark::broker
