#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "broker/entries/entry_changes.h"
#include "broker/producer_sessions.h"
#include "broker/state.pb.h"
#include "broker/transactions/open_transactions.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"
#include "storage/log.h"
#include "storage/state_log.h"

namespace tidemark::broker {

struct PartitionKey {
  Uuid topic;
  std::int32_t partition = 0;
  auto operator<=>(const PartitionKey&) const = default;
  storage::StreamKey stream() const;
  /// nullopt for a stream that is no partition's.
  static std::optional<PartitionKey> from_stream(const storage::StreamKey& stream);
};

}  // namespace tidemark::broker

template <>
struct std::hash<tidemark::broker::PartitionKey> {
  std::size_t operator()(const tidemark::broker::PartitionKey& key) const noexcept {
    return std::hash<tidemark::Uuid>()(key.topic) * 31 + static_cast<std::size_t>(key.partition);
  }
};

namespace tidemark::broker {

/// What the state log knows of a partition.
struct PartitionState {
  Offset log_start;
  std::optional<storage::LogCheckpoint> checkpoint;
  std::int32_t leader_epoch = 0;
  Offset reserved_end;  ///< Weak durability: offsets below may have been given out.
  std::vector<ProducerSession> producers;
  EntryValues entries;
  std::optional<Offset> last_id_as_of;      ///< The end offset when entries.last_id was recorded.
  OpenTransactions::Snapshot transactions;  ///< As of the checkpoint; aborted ones may go on beyond it.
  Offset aborted_gone_below;                ///< Aborted transactions with markers below are forgotten.

  /// Error corrupt_batch; then part of it may have been applied.
  Status apply(const state::PartitionChange& change);
};

void to_proto(const ProducerSession& session, state::PartitionChange::Producer& out);
void to_proto(const storage::LogCheckpoint& checkpoint, state::PartitionChange::Checkpoint& out);
/// Adds ranges, which ascend and do not touch.
void to_proto(std::span<const OffsetRange> deleted, state::PartitionChange& out);
storage::StateRecord to_record(const PartitionKey& key, const state::PartitionChange& change, storage::StateRecordType type);

/// The states of all partitions, put together from the records of the state log in their order.
class PartitionStates {
 public:
  /// Records of other streams are passed over. Error corrupt_batch when a record does not decode.
  Status apply(const storage::StateRecord& record);
  /// Hands the state over and forgets it; the initial one if there is none.
  PartitionState take(const PartitionKey& key);
  /// One more than the highest partition known of the topic.
  std::int32_t partitions_of(Uuid topic) const;
  void clear() { states_.clear(); }

 private:
  std::unordered_map<PartitionKey, PartitionState> states_;
};

}  // namespace tidemark::broker
