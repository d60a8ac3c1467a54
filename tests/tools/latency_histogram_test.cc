#include "tools/tidemark/latency_histogram.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using namespace std::chrono_literals;

TEST(LatencyHistogram, has_nothing_to_say_at_first) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.quantile(0.5), 0ns);
}

TEST(LatencyHistogram, knows_every_quantile_to_two_per_cent) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100'000; ++i) histogram.record(std::chrono::microseconds(i));
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto expected = static_cast<double>(std::chrono::nanoseconds(100ms).count()) * share;
    EXPECT_NEAR(static_cast<double>(histogram.quantile(share).count()), expected, expected * 0.016) << share;
  }
  EXPECT_EQ(histogram.max(), 100ms);
  EXPECT_EQ(histogram.quantile(1), 100ms);
}

TEST(LatencyHistogram, keeps_single_values_within_their_part) {
  for (const std::int64_t value : {0ll, 1ll, 63ll, 64ll, 65ll, 127ll, 128ll, 1'000'003ll, 3'600'000'000'000ll, 1ll << 62}) {
    LatencyHistogram histogram;
    histogram.record(std::chrono::nanoseconds(value));
    EXPECT_EQ(histogram.quantile(0.5).count(), value);  // Never above the largest, and that is exact.
  }
}

TEST(LatencyHistogram, counts_a_clock_that_went_back_as_zero) {
  LatencyHistogram histogram;
  histogram.record(-5ns);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), 0ns);
}

TEST(LatencyHistogram, merges) {
  LatencyHistogram low, high;
  for (int i = 0; i < 90; ++i) low.record(1ms);
  for (int i = 0; i < 10; ++i) high.record(1s);
  low.merge(high);
  EXPECT_EQ(low.count(), 100u);
  EXPECT_LT(low.quantile(0.9), 2ms);
  EXPECT_EQ(low.quantile(0.91), 1s);
}

TEST(LatencyToJson, names_its_fields) {
  LatencyHistogram histogram;
  histogram.record(2ms);
  EXPECT_EQ(latency_to_json(histogram).at("max").as_double(), 2.0);
  for (const char* const field : {"p50", "p90", "p99", "p99_9"}) EXPECT_TRUE(latency_to_json(histogram).contains(field)) << field;
}

}  // namespace
}  // namespace tidemark::tools
