#include "client/src/done_tracker.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace tidemark::detail {
namespace {

DoneTracker delivered(std::int64_t from, std::int64_t to) {
  DoneTracker tracker(Offset{from});
  for (std::int64_t offset = from; offset < to; ++offset) tracker.deliver(Offset{offset});
  return tracker;
}

TEST(DoneTracker, the_floor_waits_for_the_first_that_is_not_done) {
  DoneTracker tracker = delivered(10, 15);
  tracker.finish(Offset{12});
  tracker.finish(Offset{14});
  EXPECT_EQ(tracker.floor(), Offset{10});
  tracker.finish(Offset{10});
  EXPECT_EQ(tracker.floor(), Offset{11});
  tracker.finish(Offset{11});
  EXPECT_EQ(tracker.floor(), Offset{13});
  EXPECT_FALSE(tracker.all_done());
  tracker.finish(Offset{13});
  EXPECT_EQ(tracker.floor(), Offset{15});
  EXPECT_TRUE(tracker.all_done());
}

TEST(DoneTracker, gaps_count_as_done) {
  DoneTracker tracker(Offset{0});
  tracker.deliver(Offset{3});  // 0 to 2 hold no record.
  EXPECT_EQ(tracker.floor(), Offset{3});
  tracker.deliver(Offset{7});
  tracker.finish(Offset{3});
  EXPECT_EQ(tracker.floor(), Offset{7});
  tracker.skip_to(Offset{9});  // Control records at the end.
  EXPECT_FALSE(tracker.all_done());
  tracker.finish(Offset{7});
  EXPECT_EQ(tracker.floor(), Offset{9});
}

TEST(DoneTracker, notes_nothing_of_a_record_that_was_not_given_out) {
  DoneTracker tracker = delivered(5, 8);
  tracker.finish(Offset{2});
  tracker.finish(Offset{8});
  EXPECT_EQ(tracker.floor(), Offset{5});
  tracker.deliver(Offset{8});
  for (std::int64_t offset = 5; offset < 8; ++offset) tracker.finish(Offset{offset});
  EXPECT_EQ(tracker.floor(), Offset{8});
}

TEST(DoneTracker, what_is_taken_back_is_as_if_never_given_out) {
  DoneTracker tracker = delivered(0, 10);
  tracker.finish(Offset{4});
  tracker.finish(Offset{5});
  tracker.finish(Offset{8});
  tracker.take_back(Offset{5});
  EXPECT_EQ(tracker.end(), Offset{5});
  for (std::int64_t offset = 0; offset < 4; ++offset) tracker.finish(Offset{offset});
  EXPECT_TRUE(tracker.all_done());
  EXPECT_EQ(tracker.floor(), Offset{5});
}

TEST(DoneTracker, a_position_that_is_named_finishes_all_below) {
  DoneTracker tracker = delivered(0, 10);
  tracker.finish(Offset{6});
  tracker.finish_below(Offset{6});
  EXPECT_EQ(tracker.floor(), Offset{7});
  tracker.finish_below(Offset{3});
  EXPECT_EQ(tracker.floor(), Offset{7});
  tracker.finish_below(Offset{20});  // Also ahead of what was given out.
  tracker.deliver(Offset{15});
  EXPECT_EQ(tracker.floor(), Offset{20});
  tracker.deliver(Offset{20});
  EXPECT_EQ(tracker.floor(), Offset{20});
  EXPECT_FALSE(tracker.all_done());
}

TEST(DoneTracker, one_that_hangs_costs_one_stretch) {
  DoneTracker tracker = delivered(0, 10'000);
  for (std::int64_t offset = 9'999; offset > 0; --offset) tracker.finish(Offset{offset});
  EXPECT_EQ(tracker.stretches(), 1U);
  EXPECT_EQ(tracker.floor(), Offset{0});
}

/// Against the plain idea: the set of records that are out and not done.
TEST(DoneTracker, agrees_with_a_set_in_any_order) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    DoneTracker tracker(Offset{0});
    std::set<std::int64_t> open;
    std::int64_t end = 0;
    for (int step = 0; step < 300; ++step) {
      switch (random() % 6) {
        case 0:
        case 1: {
          const std::int64_t offset = end + static_cast<std::int64_t>(random() % 3);
          tracker.deliver(Offset{offset});
          open.insert(offset);
          end = offset + 1;
          break;
        }
        case 2:
          end += static_cast<std::int64_t>(random() % 2);
          tracker.skip_to(Offset{end});
          break;
        case 3: {
          if (random() % 10 != 0 || open.empty()) break;
          end = *std::next(open.begin(), static_cast<std::ptrdiff_t>(random() % open.size()));
          tracker.take_back(Offset{end});
          open.erase(open.lower_bound(end), open.end());
          break;
        }
        default: {
          if (open.empty()) break;
          const auto which = std::next(open.begin(), static_cast<std::ptrdiff_t>(random() % open.size()));
          tracker.finish(Offset{*which});
          open.erase(which);
        }
      }
      ASSERT_EQ(tracker.floor().value, open.empty() ? end : *open.begin()) << "step " << step;
      ASSERT_EQ(tracker.end().value, end);
      ASSERT_EQ(tracker.all_done(), open.empty());
    }
  }
}

}  // namespace
}  // namespace tidemark::detail
