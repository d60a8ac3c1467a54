#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"

/// Work that the broker does by itself, for as long as it takes, over restarts: what a job is asked to do and how it stands.
namespace tidemark::broker {

/// One more than the id of the producer that the job appends with, so from 1 and never given out twice on a data directory.
using JobId = std::int64_t;

/// A place in each partition of a topic, resolved once, when the job is made.
struct ReplayPosition {
  enum class Kind {
    earliest,
    latest,
    offset,        ///< `value` is the offset; it must lie within the log of every partition.
    after_start,   ///< `value` records after the log start, at most the end.
    before_end,    ///< `value` records before the end, at least the log start.
    timestamp_ms,  ///< The first record at or after the time, else the end.
  };
  Kind kind = Kind::earliest;
  std::int64_t value = 0;
  bool operator==(const ReplayPosition&) const = default;
};

struct ReplayPace {
  enum class Kind {
    unbounded,
    records,  ///< At most `value` records a second.
    bytes,    ///< At most `value` bytes of keys and values a second.
    speed,    ///< In record time, `value` times as fast; partitions are merged by time.
  };
  Kind kind = Kind::unbounded;
  double value = 0;  ///< Finite and above zero unless unbounded.
  bool operator==(const ReplayPace&) const = default;
};

/// Copy the records of `source` between two positions to the end of `into`: key, value, headers and record time stay as they are. The
/// partition keeps its number if both topics have as many, else the key decides (without a key the source partition).
struct ReplaySpec {
  std::string source;
  std::string into;
  ReplayPosition from;
  ReplayPosition to = {ReplayPosition::Kind::latest, 0};  ///< Exclusive.
  ReplayPace pace;
  std::string filter;         ///< RecordFilter's grammar; empty: every record. Relative times count from the job's creation.
  bool skip_damaged = false;  ///< Pass over quarantined ranges and count them, instead of failing there.
  bool operator==(const ReplaySpec&) const = default;
};

enum class JobState { running, paused, done, failed, cancelled };
std::string_view to_string(JobState state);
inline bool is_finished(JobState state) { return state != JobState::running && state != JobState::paused; }

/// What a running job waits for at the moment.
enum class JobWait {
  nothing,
  turn,        ///< As many jobs as may run at once do.
  pace,        ///< Its next record is not due.
  disk_full,   ///< Goes on by itself once appends are taken again.
  overloaded,  ///< Over a bound on memory.
};
std::string_view to_string(JobWait wait);

/// How far a job is in one partition of its source. Offsets in [from, next) are done with.
struct ReplayProgress {
  std::int32_t partition = 0;
  Offset from;
  Offset to;
  Offset next;
  bool operator==(const ReplayProgress&) const = default;
};

struct ReplayTotals {
  std::uint64_t records = 0;   ///< Copied.
  std::uint64_t bytes = 0;     ///< Of their keys and values.
  std::uint64_t filtered = 0;  ///< Read, and left out by the filter.
  std::uint64_t skipped = 0;   ///< Offsets that were gone from the source before the job came to them.
  std::uint64_t damaged = 0;   ///< Offsets in quarantined ranges that were passed over.
  bool operator==(const ReplayTotals&) const = default;
};

/// A job as it is shown.
struct JobInfo {
  JobId id = 0;
  ReplaySpec spec;
  JobState state = JobState::running;
  JobWait wait = JobWait::nothing;
  std::optional<Error> error;  ///< Why it failed.
  Timestamp created{};
  std::optional<Timestamp> finished;
  std::vector<ReplayProgress> partitions;
  ReplayTotals totals;
  double records_per_second = 0;  ///< Copied, over about the last ten seconds.
  double bytes_per_second = 0;
  std::optional<double> eta_seconds;  ///< An estimate; nullopt while there is nothing to estimate from.
};

enum class JobAction { pause, resume, cancel };

}  // namespace tidemark::broker
