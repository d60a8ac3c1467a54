#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "broker/broker.h"
#include "broker/partition_state.h"
#include "broker/schedule/offset_set.h"
#include "broker/schedule/schedule.h"
#include "storage/state_log.h"

namespace tidemark::broker {

/// One batch of a move: records of one lane that go to the end of one partition.
struct MoveBatch {
  enum class Kind : std::uint8_t {
    delivery = 1,   ///< To the topic they are for.
    failed = 2,     ///< Back into the lane, marked.
    rewritten = 3,  ///< Back into the lane, so that they do not hold up its beginning.
  };
  PartitionKey target;
  std::int32_t first_sequence = 0;
  Kind kind = Kind::delivery;
  std::int32_t lane = 0;
  std::vector<std::int64_t> offsets;  ///< In the lane, in the order in which they are appended.
  std::optional<Error> failure;       ///< Why, of `failed`.

  std::int32_t next_sequence() const;
  std::int32_t last_sequence() const;
  bool operator==(const MoveBatch&) const = default;
};

/// All that the state log knows of the schedule. The moves' rule: a chunk is recorded before its batches are appended, so that whoever
/// finds it there after a crash appends the same records under the same sequences, and the target drops what it has.
struct ScheduleState {
  std::optional<std::int64_t> producer;  ///< The schedule's own; nullopt until the first move.
  std::int16_t epoch = 0;
  std::map<PartitionKey, std::int32_t> sequences;  ///< Next, by target; what is not there is 0.
  std::array<OffsetSet, kScheduleLanes> done;      ///< Delivered, written anew, cancelled; from the lane's log start on.
  std::vector<MoveBatch> chunk;                    ///< At most one a target partition. Empty: nothing is under way.

  std::int32_t next_sequence(const PartitionKey& target) const;
  /// Records of the whole state: what `known` does not have of topics is left out.
  std::vector<storage::StateRecord> snapshot(const TopicTable& known) const;

  /// What a record says has changed.
  struct Change {
    std::array<std::vector<std::int64_t>, kScheduleLanes> done;
    std::set<PartitionKey> sequences;
    bool chunk = false;
    bool any() const;
  };
  storage::StateRecord delta(const Change& change) const;
  /// Recovery. Error corrupt_batch.
  Status apply(const storage::StateRecord& record);
  static storage::StreamKey stream();
};

}  // namespace tidemark::broker
