#include "tools/tidemark/sparkline.h"

#include <vector>

#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

TEST(Sparkline, goes_from_nothing_to_the_highest_value) {
  EXPECT_EQ(sparkline(std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}, 8), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline(std::vector<double>{70, 35, 0}, 3), "█▅▁");
}

TEST(Sparkline, shows_the_last_values_at_the_right) {
  EXPECT_EQ(sparkline(std::vector<double>{9, 9, 1, 2}, 2), "▅█");
  EXPECT_EQ(sparkline(std::vector<double>{1}, 4), "   █");
  EXPECT_EQ(sparkline({}, 3), "   ");
}

TEST(Sparkline, is_flat_where_there_is_nothing) {
  EXPECT_EQ(sparkline(std::vector<double>{0, 0, 0}, 3), "▁▁▁");
  EXPECT_EQ(sparkline(std::vector<double>{-5, 10}, 2), "▁█");
}

TEST(ShortCount, has_six_characters_at_most) {
  EXPECT_EQ(short_count(0), "0");
  EXPECT_EQ(short_count(99'999), "99999");
  EXPECT_EQ(short_count(123'456), "123k");
  EXPECT_EQ(short_count(999'499), "999k");
  EXPECT_EQ(short_count(999'700), "1.0M");
  EXPECT_EQ(short_count(18'240'000), "18.2M");
  EXPECT_EQ(short_count(1'234'000'000'000), "1.2T");
}

TEST(ShortRate, is_exact_where_it_is_small) {
  EXPECT_EQ(short_rate(std::nullopt), "-");
  EXPECT_EQ(short_rate(0.01), "0/s");
  EXPECT_EQ(short_rate(5.84), "5.8/s");
  EXPECT_EQ(short_rate(123.4), "123/s");
  EXPECT_EQ(short_rate(12'340), "12.3k/s");
}

TEST(Fit, pads_and_cuts_by_characters) {
  EXPECT_EQ(fit("abc", 5), "abc  ");
  EXPECT_EQ(fit("abc", 5, true), "  abc");
  EXPECT_EQ(fit("abcdef", 4), "abc…");
  EXPECT_EQ(fit("grün", 4), "grün");
  EXPECT_EQ(fit("grünlich", 4), "grü…");
  EXPECT_EQ(fit("x", 0), "");
}

}  // namespace
}  // namespace tidemark::tools
