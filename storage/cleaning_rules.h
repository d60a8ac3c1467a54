#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/siphash.h"
#include "storage/batch/record_batch.h"

namespace tidemark::storage {

/// What the log itself does not know about its batches and cleaning must ask. Asked on any thread, so answers come from a copy that does
/// not change; the same question always has the same answer. These answers are those of a log without transactions and producers.
class CleaningAdvice {
 public:
  virtual ~CleaningAdvice() = default;
  /// The transactional batch of this producer over these offsets belongs to a transaction that was aborted: its records go.
  virtual bool is_aborted(std::int64_t /*producer_id*/, OffsetRange /*offsets*/) const { return false; }
  /// Nothing but the data of its transaction needs the marker at this offset. Asked only when none of that data is left in the log; the
  /// marker goes once a delete horizon has passed.
  virtual bool marker_may_go(std::int64_t /*producer_id*/, Offset /*marker*/) const { return false; }
  /// The batch carries the last sequence of a producer that may still write: without records it stays as a header.
  virtual bool keeps_sequence(const BatchHeader& /*batch*/) const { return false; }
};

/// What one cleaning does with records.
struct CleaningRules {
  /// Keep the last record of each key only, and merge what becomes small. Records without a key are kept.
  bool compact = false;
  std::vector<OffsetRange> deleted;  ///< Ascending: these records leave the disk whatever else holds.
  Timestamp now{};
  std::chrono::milliseconds tombstone_retention = std::chrono::hours(24);  ///< From the cleaning that first meets them (KIP-534).
  std::uint64_t segment_bytes = 128 * 1024 * 1024;                         ///< Segments are merged up to this size.
  std::size_t key_map_bytes = 16 * 1024 * 1024;  ///< Bound on the map of keys; what does not fit is left to the next cleaning.
  Hash128 key_seed;                              ///< Random.
  std::shared_ptr<const CleaningAdvice> advice = std::make_shared<const CleaningAdvice>();
};

struct CleaningCounts {
  std::uint64_t records_kept = 0;
  std::uint64_t records_dropped = 0;
  std::uint64_t tombstones_dropped = 0;  ///< Among the dropped: because their time was over.
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t bytes_freed = 0;
  std::uint64_t segments_replaced = 0;
};

/// No tombstone waits for its time.
inline constexpr std::int64_t kNoHorizon = std::numeric_limits<std::int64_t>::max();

}  // namespace tidemark::storage
