#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "broker/jobs/job.h"
#include "storage/base/clock.h"

namespace tidemark::broker {

/// Says how many records are due at a moment. A value: a copy can be asked elsewhere and put back.
///
/// With a rate, what was not used is kept for one second and no longer: a short delay is made up for, a stall is not followed by a burst.
/// With a speed, a record is due as long after the first one asked about as its record time says, divided by the speed; record times that
/// go back, and records without one, are due at once.
class Pacer {
 public:
  explicit Pacer(ReplayPace pace = {}) : pace_(pace) {}

  /// The moment that admit() judges by; never moves back.
  void look(SteadyTime now);
  /// Whether the record may go now; counts it then. `bytes` of key and value.
  bool admit(std::int64_t timestamp_ms, std::uint64_t bytes);
  /// How long after the moment of look() the record last refused is due; at least a millisecond, at most an hour.
  std::chrono::milliseconds wait() const { return wait_; }
  /// Forgets what has been: a job that was paused, or restarted, begins anew at its next record.
  void restart();

 private:
  bool admit_at_rate(double amount);
  bool admit_in_time(std::int64_t timestamp_ms);

  ReplayPace pace_;
  std::optional<SteadyTime> now_;
  double allowance_ = 0;  ///< Records or bytes; below zero after a large record.
  std::optional<SteadyTime> first_due_;
  std::int64_t first_timestamp_ms_ = 0;
  std::chrono::milliseconds wait_{1};
};

}  // namespace tidemark::broker
