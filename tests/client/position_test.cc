#include "tidemark/position.h"

#include <cstdlib>
#include <ctime>
#include <ostream>

#include <gtest/gtest.h>

namespace tidemark {

void PrintTo(const Position& position, std::ostream* out) { *out << to_string(position); }

namespace {

using namespace std::chrono_literals;

Timestamp utc(int year, unsigned month, unsigned day, std::chrono::milliseconds time_of_day = 0ms) {
  return Timestamp(std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day))) + time_of_day;
}

/// Local time for the length of a test.
class TimeZone {
 public:
  explicit TimeZone(const char* name) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    set(name);
  }
  ~TimeZone() { set(before_.empty() ? nullptr : before_.c_str()); }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  static void set(const char* name) {
    if (name == nullptr) {
      ::unsetenv("TZ");
    } else {
      ::setenv("TZ", name, 1);
    }
    ::tzset();
  }
  std::string before_;
};

struct Good {
  const char* text;
  Position position;
};
void PrintTo(const Good& good, std::ostream* out) { *out << good.text; }

class GoodPosition : public testing::TestWithParam<Good> {};

TEST_P(GoodPosition, is_understood) {
  const Result<Position> parsed = parse_position(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(*parsed, GetParam().position);
}

TEST_P(GoodPosition, is_read_back_from_its_text) {
  const Result<Position> again = parse_position(to_string(GetParam().position));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, GetParam().position);
}

INSTANTIATE_TEST_SUITE_P(, GoodPosition,
                         testing::Values(Good{"earliest", Position::earliest()}, Good{"latest", Position::latest()},
                                         Good{"committed", Position{.kind = Position::Kind::committed}}, Good{"0", Position::at(0)},
                                         Good{"9223372036854775807", Position::at(9223372036854775807)},
                                         Good{"+5", Position::after_start(5)}, Good{"-5", Position::before_end(5)},
                                         Good{"-15m", Position::ago(15min)}, Good{"-1h30m", Position::ago(90min)},
                                         Good{"-250ms", Position::ago(250ms)}, Good{"@-1h", Position::ago(1h)},
                                         Good{"@now", Position::ago(0ms)},
                                         Good{"@2026-03-01T10:00:00Z", Position::at_time(utc(2026, 3, 1, 10h))},
                                         Good{"@2026-03-01T10:00Z", Position::at_time(utc(2026, 3, 1, 10h))},
                                         Good{"@2026-03-01T10:00:07.25Z", Position::at_time(utc(2026, 3, 1, 10h + 7s + 250ms))},
                                         Good{"@2026-03-01T10:00:00+02:00", Position::at_time(utc(2026, 3, 1, 8h))},
                                         Good{"@2026-03-01T10:00-0530", Position::at_time(utc(2026, 3, 1, 15h + 30min))},
                                         Good{"@2026-03-01T00:00:00.1239999z", Position::at_time(utc(2026, 3, 1, 123ms))}));

class BadPosition : public testing::TestWithParam<const char*> {};

TEST_P(BadPosition, is_refused_with_the_grammar) {
  const Result<Position> parsed = parse_position(GetParam());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
  EXPECT_NE(parsed.error().detail.find("\"" + std::string(GetParam()) + "\""), std::string::npos);
  EXPECT_NE(parsed.error().detail.find("earliest"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(, BadPosition,
                         testing::Values("", "first", "EARLIEST", "9223372036854775808", "+", "-", "+5m", "-5x", "-m", "--5", "1.5", "@",
                                         "@tomorrow", "@2026-13-01", "@2026-02-30", "@2026-03-01T24:00Z", "@2026-03-01T10:60Z",
                                         "@2026-03-01T10:00:00.Z", "@2026-03-01T10:00+25:00",
                                         "@2026-03-01T10:00+02:", "@2026-03-01T10:00Zx", "@-5", " 5", "5 "));

TEST(ParseTime, without_an_offset_is_local_and_follows_summer_time) {
  const TimeZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  const Result<Timestamp> winter = parse_time("2026-01-15T12:00", Timestamp{});
  const Result<Timestamp> summer = parse_time("2026-07-15T12:00", Timestamp{});
  ASSERT_TRUE(winter && summer);
  EXPECT_EQ(*winter, utc(2026, 1, 15, 11h));
  EXPECT_EQ(*summer, utc(2026, 7, 15, 10h));
}

TEST(ParseTime, counts_now_and_durations_from_the_given_time) {
  const Timestamp noon = utc(2026, 3, 1, 12h);
  EXPECT_EQ(parse_time("now", noon).value_or(Timestamp{}), noon);
  EXPECT_EQ(parse_time("-90m", noon).value_or(Timestamp{}), utc(2026, 3, 1, 10h + 30min));
}

TEST(ParseTime, takes_a_date_alone_as_its_first_moment) {
  const TimeZone zone("UTC0");
  EXPECT_EQ(parse_time("2026-03-01", Timestamp{}).value_or(Timestamp{}), utc(2026, 3, 1));
}

}  // namespace
}  // namespace tidemark
