#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <boost/json/fwd.hpp>

namespace tidemark::tools {

/// Distribution of latencies from nanoseconds to hours in fixed memory: each power of two is cut into 64 parts, so a value is known to
/// 1.6 %. The largest is exact.
class LatencyHistogram {
 public:
  void record(std::chrono::nanoseconds latency);
  void merge(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  /// The upper end of the part that holds this share (0 to 1) of the values; zero when there are none.
  std::chrono::nanoseconds quantile(double share) const;
  std::chrono::nanoseconds max() const { return max_; }

 private:
  static constexpr std::size_t kPartBits = 6;
  static constexpr std::size_t kParts = 1u << kPartBits;
  static constexpr std::size_t kPowers = 44;  ///< 2^49 ns are about six days.

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t upper_end(std::size_t bucket);

  std::array<std::uint64_t, kParts * kPowers> buckets_{};
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds max_{0};
};

/// {"p50","p90","p99","p99_9","max"} in milliseconds.
boost::json::object latency_to_json(const LatencyHistogram& latency);
/// "latency (ms)  p50 1.20  p90 2.00  p99 4.80  p99.9 11.0  max 23.1"
std::string latency_line(const LatencyHistogram& latency);

}  // namespace tidemark::tools
