#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/dedup_window.h"
#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"
#include "storage/batch/record_batch.h"

namespace tidemark::broker {

/// Where a scheduled record goes.
struct ScheduleTarget {
  Uuid topic;
  std::string name;             ///< When it was scheduled.
  std::int32_t partition = -1;  ///< -1: the key decides, when it is due.
};

/// A record that waits, with bytes of its own: everything the lane's record says.
struct ScheduledRecord {
  ScheduleTarget target;
  Timestamp due{};
  Timestamp scheduled{};
  std::optional<std::int64_t> number;  ///< Of its id, once it was written anew.
  std::optional<Error> failure;
  std::int64_t timestamp_ms = -1;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  /// What the producer sent. The headers that asked for the delay are left out: they have had their effect.
  static ScheduledRecord of(const RecordView& record, ScheduleTarget goes_to, Timestamp when, Timestamp now);
  std::optional<DedupId> dedup_id() const;

  /// Value of the record in the lane.
  std::string encode() const;
  /// Error corrupt_batch.
  static Result<ScheduledRecord> decode(ByteView value);
  /// Adds the record to a batch for its target.
  void add_to(BatchBuilder& batch) const;
  std::size_t size_bound() const;
};

/// Walks lane records in `batches`, whole batches back to back, with offsets in [from, to). What does not decode is passed over and
/// counted.
std::uint64_t visit_lane_records(ByteView batches, Offset from, Offset to,
                                 const std::function<void(Offset, std::size_t bytes, ScheduledRecord)>& visit);

}  // namespace tidemark::broker
