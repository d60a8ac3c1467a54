#include "tools/tidemark/rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using namespace std::chrono_literals;

TEST(ParseRate, takes_records_and_bytes) {
  EXPECT_EQ(parse_rate("500")->per_second, 500);
  EXPECT_EQ(parse_rate("500/s")->unit, Rate::Unit::records);
  EXPECT_EQ(parse_rate("5k/s")->per_second, 5000);
  EXPECT_EQ(parse_rate("1.5M/s")->per_second, 1.5e6);
  EXPECT_EQ(parse_rate("10MB/s")->per_second, 1e7);
  EXPECT_EQ(parse_rate("10MB/s")->unit, Rate::Unit::bytes);
  EXPECT_EQ(parse_rate("64KiB/s")->per_second, 65536);
}

TEST(ParseRate, refuses_everything_else) {
  for (const char* const text : {"", "k/s", "0", "-5/s", "5x/s", "5 k/s", "5k/m", "nan", "inf", "1e999"}) {
    const Result<Rate> rate = parse_rate(text);
    ASSERT_FALSE(rate) << text;
    EXPECT_EQ(rate.error().code, Errc::invalid_argument);
  }
}

TEST(ParseSpeed, takes_factors) {
  EXPECT_EQ(*parse_speed("4x"), 4);
  EXPECT_EQ(*parse_speed("0.5"), 0.5);
  for (const char* const text : {"", "x", "0x", "-1x", "4y"}) EXPECT_FALSE(parse_speed(text)) << text;
}

class Pace : public testing::Test {
 protected:
  SteadyTime at(std::chrono::nanoseconds since_start) const { return SteadyTime(1h) + since_start; }
};

TEST_F(Pace, spreads_records_evenly) {
  RateLimiter limiter({Rate::Unit::records, 100});
  EXPECT_EQ(limiter.reserve(1, at(0ms)), 0ms);
  EXPECT_EQ(limiter.reserve(1, at(0ms)), 10ms);
  EXPECT_EQ(limiter.reserve(1, at(10ms)), 10ms);
  EXPECT_EQ(limiter.reserve(1, at(25ms)), 5ms);
}

TEST_F(Pace, counts_bytes_where_the_rate_is_in_bytes) {
  RateLimiter limiter({Rate::Unit::bytes, 1000});
  EXPECT_EQ(limiter.reserve(500, at(0ms)), 0ms);
  EXPECT_EQ(limiter.reserve(100, at(0ms)), 500ms);
  EXPECT_EQ(limiter.reserve(1, at(0ms)), 600ms);
}

TEST_F(Pace, makes_up_for_a_late_timer_but_not_for_a_stall) {
  RateLimiter limiter({Rate::Unit::records, 1000});
  EXPECT_EQ(limiter.reserve(1, at(0ms)), 0ms);
  int burst = 0;
  while (limiter.reserve(1, at(10s)) == 0ms) ++burst;
  EXPECT_EQ(burst, 51);  // 50 ms of work, and the one that is due now.
}

}  // namespace
}  // namespace tidemark::tools
