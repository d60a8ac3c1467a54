#include "broker/jobs/pacer.h"

#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

class PacerTest : public testing::Test {
 protected:
  /// How many records of so many bytes go now.
  static int admitted(Pacer& pacer, std::uint64_t bytes = 10, std::int64_t timestamp_ms = 0) {
    int count = 0;
    while (count < 10'000 && pacer.admit(timestamp_ms, bytes)) ++count;
    return count;
  }
  int after(Pacer& pacer, milliseconds passed, std::uint64_t bytes = 10) {
    now_ += passed;
    pacer.look(now_);
    return admitted(pacer, bytes);
  }

  SteadyTime now_{std::chrono::hours(5)};
};

TEST_F(PacerTest, without_a_bound_everything_goes) {
  Pacer pacer;
  pacer.look(now_);
  EXPECT_EQ(admitted(pacer), 10'000);
}

TEST_F(PacerTest, keeps_a_rate_of_records) {
  Pacer pacer({ReplayPace::Kind::records, 100});
  EXPECT_EQ(after(pacer, milliseconds(0)), 0);
  EXPECT_EQ(pacer.wait(), milliseconds(10));
  EXPECT_EQ(after(pacer, milliseconds(10)), 1);
  EXPECT_EQ(after(pacer, milliseconds(250)), 25);
  int total = 0;
  for (int i = 0; i < 100; ++i) total += after(pacer, milliseconds(37));
  EXPECT_EQ(total, 370);
}

TEST_F(PacerTest, makes_up_for_a_second_and_no_more) {
  Pacer pacer({ReplayPace::Kind::records, 100});
  pacer.look(now_);
  EXPECT_EQ(after(pacer, std::chrono::hours(3)), 100);
}

TEST_F(PacerTest, a_slow_rate_still_comes_to_one) {
  Pacer pacer({ReplayPace::Kind::records, 0.1});
  pacer.look(now_);
  EXPECT_EQ(after(pacer, milliseconds(9'000)), 0);
  EXPECT_EQ(pacer.wait(), milliseconds(1'000));
  EXPECT_EQ(after(pacer, milliseconds(1'000)), 1);
}

TEST_F(PacerTest, counts_bytes_and_lets_a_large_record_go_into_debt) {
  Pacer pacer({ReplayPace::Kind::bytes, 1000});
  pacer.look(now_);
  EXPECT_EQ(after(pacer, milliseconds(500), 100), 5);
  EXPECT_EQ(after(pacer, milliseconds(999), 5000), 0);
  EXPECT_EQ(after(pacer, milliseconds(1), 5000), 1);
  EXPECT_EQ(after(pacer, milliseconds(4000), 100), 0);
  EXPECT_EQ(after(pacer, milliseconds(100), 100), 1);
}

TEST_F(PacerTest, follows_record_time_at_a_speed) {
  Pacer pacer({ReplayPace::Kind::speed, 4});
  pacer.look(now_);
  EXPECT_TRUE(pacer.admit(1'000'000, 1));
  EXPECT_FALSE(pacer.admit(1'008'000, 1));
  EXPECT_EQ(pacer.wait(), milliseconds(2'000));
  EXPECT_TRUE(pacer.admit(999'000, 1)) << "times that go back are due";
  EXPECT_TRUE(pacer.admit(-1, 1)) << "and so is a record without one";
  pacer.look(now_ += milliseconds(1'999));
  EXPECT_FALSE(pacer.admit(1'008'000, 1));
  pacer.look(now_ += milliseconds(1));
  EXPECT_TRUE(pacer.admit(1'008'000, 1));
}

TEST_F(PacerTest, begins_anew_after_a_pause) {
  Pacer pacer({ReplayPace::Kind::speed, 1});
  pacer.look(now_);
  EXPECT_TRUE(pacer.admit(0, 1));
  pacer.restart();
  pacer.look(now_ += std::chrono::hours(1));
  EXPECT_TRUE(pacer.admit(5'000, 1));
  EXPECT_FALSE(pacer.admit(6'000, 1));
}

}  // namespace
}  // namespace tidemark::broker
