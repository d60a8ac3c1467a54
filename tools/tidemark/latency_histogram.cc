#include "tools/tidemark/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace tidemark::tools {
namespace {

double to_ms(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

std::size_t LatencyHistogram::bucket_of(std::uint64_t value) {
  if (value < kParts) return static_cast<std::size_t>(value);
  // The highest bit picks the power, the bits behind it the part.
  const auto power = static_cast<std::size_t>(std::bit_width(value)) - kPartBits;
  if (power >= kPowers) return kParts * kPowers - 1;
  return power * kParts + static_cast<std::size_t>((value >> (power - 1)) & (kParts - 1));
}

std::uint64_t LatencyHistogram::upper_end(std::size_t bucket) {
  if (bucket < kParts) return bucket;
  const std::size_t power = bucket / kParts;
  const std::uint64_t part = bucket % kParts;
  return ((kParts + part + 1) << (power - 1)) - 1;
}

void LatencyHistogram::record(std::chrono::nanoseconds latency) {
  latency = std::max(latency, std::chrono::nanoseconds(0));
  ++buckets_[bucket_of(static_cast<std::uint64_t>(latency.count()))];
  ++count_;
  max_ = std::max(max_, latency);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::chrono::nanoseconds LatencyHistogram::quantile(double share) const {
  if (count_ == 0) return std::chrono::nanoseconds(0);
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket + 1 < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) return std::min(max_, std::chrono::nanoseconds(upper_end(bucket)));
  }
  return max_;  // Beyond the last part that has an end.
}

boost::json::object latency_to_json(const LatencyHistogram& latency) {
  return {{"p50", to_ms(latency.quantile(0.5))},
          {"p90", to_ms(latency.quantile(0.9))},
          {"p99", to_ms(latency.quantile(0.99))},
          {"p99_9", to_ms(latency.quantile(0.999))},
          {"max", to_ms(latency.max())}};
}

std::string latency_line(const LatencyHistogram& latency) {
  return fmt::format("latency (ms)  p50 {:.3g}  p90 {:.3g}  p99 {:.3g}  p99.9 {:.3g}  max {:.3g}", to_ms(latency.quantile(0.5)),
                     to_ms(latency.quantile(0.9)), to_ms(latency.quantile(0.99)), to_ms(latency.quantile(0.999)), to_ms(latency.max()));
}

}  // namespace tidemark::tools
