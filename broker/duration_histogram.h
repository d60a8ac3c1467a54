#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace tidemark::broker {

/// Counts durations in fixed buckets that double from 32 microseconds to about 17 seconds. One writer thread; copy it to read elsewhere.
class DurationHistogram {
 public:
  void record(std::chrono::nanoseconds duration);

  std::uint64_t count() const { return count_; }
  double seconds_sum() const { return seconds_sum_; }
  /// Upper bound of the bucket that holds the q-quantile (0..1), in milliseconds, interpolated inside it; 0 without samples.
  double quantile_ms(double q) const;
  /// Upper bound in seconds and cumulative count, as Prometheus wants them; without the +Inf bucket.
  std::vector<std::pair<double, std::uint64_t>> cumulative() const;

 private:
  static constexpr std::size_t kBuckets = 40;  ///< Two per doubling.
  static double upper_seconds(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  double seconds_sum_ = 0;
};

}  // namespace tidemark::broker
