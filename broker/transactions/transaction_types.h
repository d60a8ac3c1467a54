#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/broker.h"
#include "broker/groups/group_types.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"

/// The values of transactions: what is asked of them, what they answer. No state here.
namespace tidemark::broker {

/// How far the transaction of a transactional id is (KIP-98). The numbers are recorded.
enum class TransactionState : std::uint8_t {
  empty = 0,            ///< No transaction yet.
  ongoing = 1,          ///< Partitions or groups have joined.
  prepare_commit = 2,   ///< Decided: the markers are being written.
  prepare_abort = 3,    ///< As above.
  complete_commit = 4,  ///< All markers are there.
  complete_abort = 5,
};
std::string_view to_string(TransactionState state);  ///< As Kafka names them: "PrepareCommit".
std::optional<TransactionState> parse_transaction_state(std::string_view name);

inline constexpr std::size_t kTransactionalIdBytesMax = 1000;
inline constexpr std::size_t kTransactionalIdsMax = 100'000;  ///< Per shard; beyond: overloaded.
inline constexpr std::size_t kTransactionPartitionsMax = 10'000;
inline constexpr std::size_t kTransactionGroupsMax = 1'000;
inline constexpr std::chrono::milliseconds kTransactionTimeoutMax{15 * 60 * 1000};  ///< Kafka's transaction.max.timeout.ms.
/// How long an id without an open transaction is remembered (Kafka's transactional.id.expiration.ms).
inline constexpr std::chrono::hours kTransactionalIdKept{7 * 24};

struct BeginTransactions {
  std::string id;
  std::chrono::milliseconds timeout{60'000};  ///< Of each transaction; above zero, at most kTransactionTimeoutMax.
  std::optional<ProducerIdentity> expected;   ///< A producer that goes on after an error (KIP-360): who it is now.
};

struct TransactionInfo {
  std::string id;
  ProducerIdentity producer;
  TransactionState state = TransactionState::empty;
  std::chrono::milliseconds timeout{};
  std::optional<Timestamp> started;  ///< Of an open transaction.
  std::vector<NamedPartition> partitions;
  std::vector<std::string> groups;
};

/// What a partition knows of one producer.
struct ProducerActivity {
  ProducerIdentity producer;
  std::int32_t last_sequence = -1;
  Timestamp last_append{};
  std::optional<Offset> transaction_start;  ///< Of its open transaction.
};

}  // namespace tidemark::broker
