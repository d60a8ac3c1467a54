#include "storage/base/units.h"

#include <limits>

#include <gtest/gtest.h>

namespace tidemark {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::uint64_t>::max();

TEST(Size, binary_and_decimal_units_in_any_case) {
  const std::pair<const char*, std::uint64_t> cases[] = {{"0", 0},
                                                         {"10000000", 10'000'000},
                                                         {"512B", 512},
                                                         {"1KiB", 1024},
                                                         {"10MiB", 10'485'760},
                                                         {"2GiB", 2'147'483'648},
                                                         {"1TiB", 1'099'511'627'776},
                                                         {"1KB", 1000},
                                                         {"10MB", 10'000'000},
                                                         {"3GB", 3'000'000'000},
                                                         {"1TB", 1'000'000'000'000},
                                                         {"64mib", 67'108'864},
                                                         {"18446744073709551615", kMaxBytes}};
  for (const auto& [text, bytes] : cases) {
    const Result<std::uint64_t> parsed = parse_size(text);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(Size, anything_else_is_refused_and_named) {
  for (const char* const text : {"", "MiB", "-1", "+1", "1.5MiB", "10 MiB", "10M", "10MiBs", "0x10", "1KiB1KiB", "18446744073709551616",
                                 "18014398509481984KiB", "99999999999TiB"}) {
    const Result<std::uint64_t> parsed = parse_size(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
    EXPECT_EQ(parsed.error().detail.find('"' + std::string(text) + '"'), 0U) << parsed.error().detail;
  }
}

TEST(Size, is_shown_with_one_decimal_at_most) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(512), "512 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(1024), "1 KiB");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(12'897'484), "12.3 MiB");
  EXPECT_EQ(format_size(16'777'216), "16 MiB");
  EXPECT_EQ(format_size(1'048'575), "1 MiB");  // Not "1024 KiB".
  EXPECT_EQ(format_size(kMaxBytes), "16 EiB");
}

TEST(Duration, units_add_up_in_falling_order) {
  const std::pair<const char*, milliseconds> cases[] = {{"0", 0ms},
                                                        {"250", 250ms},
                                                        {"250ms", 250ms},
                                                        {"15s", 15s},
                                                        {"1h30m", 90min},
                                                        {"7d", 168h},
                                                        {"2w", 336h},
                                                        {"1w1d1h1m1s1ms", 192h + 1h + 1min + 1s + 1ms},
                                                        {"90m", 90min},
                                                        {"1h5ms", 1h + 5ms},
                                                        {"9223372036854775807", milliseconds::max()}};
  for (const auto& [text, duration] : cases) {
    const Result<milliseconds> parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(*parsed, duration) << text;
  }
}

TEST(Duration, anything_else_is_refused_and_named) {
  for (const char* const text : {"", "h", "-1s", "1.5h", "30m1h", "1h1h", "1h30", "1 h", "1H", "5y", "1hm", "9223372036854775808",
                                 "15250284453w", "15250284452w99999999999d", "18446744073709551616ms", "30500568905w"}) {
    const Result<milliseconds> parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text << " = " << parsed->count();
    EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
    EXPECT_EQ(parsed.error().detail.find('"' + std::string(text) + '"'), 0U) << parsed.error().detail;
  }
}

TEST(Duration, is_shown_in_the_largest_units_that_fit) {
  EXPECT_EQ(format_duration(0ms), "0ms");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(168h), "7d");
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(24h + 1ms), "1d1ms");
  EXPECT_EQ(format_duration(-90s), "-1m30s");
  EXPECT_EQ(format_duration(milliseconds::min()), "-106751991167d7h12m55s808ms");
}

TEST(Duration, reads_back_what_it_shows) {
  for (const milliseconds duration :
       {0ms, 1ms, 999ms, 1000ms, 59'999ms, 3'600'000ms, 86'399'999ms, 604'800'000ms, 1'234'567'890'123ms, milliseconds::max()}) {
    const Result<milliseconds> parsed = parse_duration(format_duration(duration));
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_EQ(*parsed, duration);
  }
}

}  // namespace
}  // namespace tidemark
