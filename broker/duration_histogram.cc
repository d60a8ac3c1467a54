#include "broker/duration_histogram.h"

#include <cmath>

namespace tidemark::broker {

double DurationHistogram::upper_seconds(std::size_t bucket) { return 32e-6 * std::pow(2.0, static_cast<double>(bucket) / 2); }

void DurationHistogram::record(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  std::size_t bucket = 0;
  while (bucket + 1 < kBuckets && seconds > upper_seconds(bucket)) ++bucket;
  ++buckets_[bucket];
  ++count_;
  seconds_sum_ += seconds;
}

double DurationHistogram::quantile_ms(double q) const {
  if (count_ == 0) return 0;
  const double wanted = q * static_cast<double>(count_);
  double seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const auto here = static_cast<double>(buckets_[bucket]);
    if (here > 0 && seen + here >= wanted) {
      const double low = bucket == 0 ? 0 : upper_seconds(bucket - 1);
      const double share = (wanted - seen) / here;
      return 1000 * (low + share * (upper_seconds(bucket) - low));
    }
    seen += here;
  }
  return 1000 * upper_seconds(kBuckets - 1);
}

std::vector<std::pair<double, std::uint64_t>> DurationHistogram::cumulative() const {
  std::vector<std::pair<double, std::uint64_t>> result;
  std::uint64_t below = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    below += buckets_[bucket];
    result.emplace_back(upper_seconds(bucket), below);
  }
  return result;
}

}  // namespace tidemark::broker
