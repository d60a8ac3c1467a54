#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "broker/dedup_window.h"
#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"

/// The record headers by which a producer asks for more than being stored. They are looked at where the topic says so
/// (record.headers = on) or the produce request does; elsewhere they are headers like any other. The last of a name counts.
namespace tidemark::broker {

inline constexpr std::string_view kDelayHeader = "tidemark-delay";           ///< "5m", or milliseconds. 0: at once.
inline constexpr std::string_view kDeliverAtHeader = "tidemark-deliver-at";  ///< RFC 3339, or milliseconds since 1970.
inline constexpr std::string_view kDedupIdHeader = "tidemark-dedup-id";      ///< 1 to kDedupIdBytesMax bytes.
inline constexpr std::string_view kPriorityHeader = "tidemark-priority";     ///< "0" to "9".

inline constexpr std::chrono::hours kScheduleHorizon{24 * 3653};  ///< Ten years.
inline constexpr std::size_t kDedupIdBytesMax = 256;

/// What one record asks for.
struct RecordFields {
  std::optional<Timestamp> due;  ///< Not before; nullopt: at once.
  std::optional<DedupId> dedup_id;
};

struct PublishFields {
  std::vector<RecordFields> records;  ///< By index in the batch.
  bool any_due = false;
  bool any_dedup_id = false;
  /// A record asks for a time that has passed. An error, unless the batch is the repeat of one that was taken in time.
  std::optional<Error> past;
};

/// nullopt: no record of the batch asks for anything. `batch` is whole and validated. Errors: invalid_argument naming record, header and
/// rule; corrupt_batch, decompression_limit.
Result<std::optional<PublishFields>> read_publish_fields(ByteView batch, Timestamp now);

/// 0 to 9, higher is more urgent; 0 for a record that does not say, or not in that form (as in RabbitMQ).
inline constexpr int kPriorityDefault = 0;
int priority_of(const RecordView& record);

}  // namespace tidemark::broker
