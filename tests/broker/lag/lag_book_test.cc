#include "broker/lag/lag_book.h"

#include <gmock/gmock.h>

namespace tidemark::broker {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kPlenty = 32 * 1024 * 1024;

/// A book, and a clock that stands still until it is moved.
class LagBookTest : public testing::Test {
 protected:
  static PartitionLag row(std::int64_t end, std::int64_t lag, std::int32_t partition = 0, const std::string& group = "g") {
    PartitionLag row;
    row.group = group;
    row.topic = "t";
    row.partition = partition;
    row.end = Offset{end};
    row.floor = Offset{end - lag};
    row.lag = lag;
    row.lag_time = milliseconds(lag * 100);
    row.member = "m";
    return row;
  }
  std::vector<std::string> sample(const std::vector<PartitionLag>& rows, milliseconds after = 5s) {
    now_ += after;
    steady_ += after;
    return book_.add(rows, now_, steady_);
  }
  LagRow judged(const PartitionLag& row, const LagBook::Terms& terms = {}) const { return book_.judged(row, terms, now_, steady_); }
  std::vector<LagPoint> history(milliseconds span = 24h) const { return book_.history(GroupKind::stream, "g", "", now_ - span); }

  Timestamp now_{milliseconds(1'700'000'000'000)};
  SteadyTime steady_{1h};
  LagBook book_{kPlenty};
};

TEST_F(LagBookTest, rates_and_the_estimate_follow_from_two_samples) {
  sample({row(1000, 500)});
  EXPECT_EQ(judged(row(1000, 500)).eta_seconds, std::nullopt);
  sample({row(1050, 450)}, 10s);  // 50 came, 100 went.
  const LagRow now = judged(row(1050, 450));
  EXPECT_DOUBLE_EQ(now.in_rate, 5);
  EXPECT_DOUBLE_EQ(now.out_rate, 10);
  ASSERT_TRUE(now.eta_seconds);
  EXPECT_DOUBLE_EQ(*now.eta_seconds, 90);
}

TEST_F(LagBookTest, rates_come_near_to_a_new_pace_within_minutes) {
  sample({row(0, 0)});
  std::int64_t end = 0;
  for (int i = 0; i < 60; ++i) sample({row(end += 100, 0)});
  EXPECT_NEAR(judged(row(end, 0)).in_rate, 20, 0.1);
  for (int i = 0; i < 60; ++i) sample({row(end, 0)});
  EXPECT_LT(judged(row(end, 0)).in_rate, 0.2);
}

TEST_F(LagBookTest, there_is_no_estimate_of_lag_that_does_not_get_less) {
  sample({row(1000, 500)});
  sample({row(1100, 520)});
  EXPECT_EQ(judged(row(1100, 520)).eta_seconds, std::nullopt);
}

TEST_F(LagBookTest, headroom_is_what_retention_leaves) {
  EXPECT_EQ(judged(row(1000, 500), {.objective = {}, .retention = milliseconds(1h)}).headroom, milliseconds(1h) - 50s);
  EXPECT_EQ(judged(row(1000, 500), {.objective = {}, .retention = milliseconds(20s)}).headroom, milliseconds(0));
  EXPECT_EQ(judged(row(1000, 500)).headroom, std::nullopt);
}

TEST_F(LagBookTest, a_step_back_is_told_and_is_a_rewind_until_it_is_made_good) {
  sample({row(100, 0)});
  EXPECT_THAT(sample({row(100, 60)}), ElementsAre("g"));
  EXPECT_EQ(judged(row(100, 60)).at.verdict, Verdict::rewound);
  EXPECT_THAT(sample({row(100, 20)}), IsEmpty());
  EXPECT_EQ(judged(row(100, 20)).at.verdict, Verdict::rewound);
  sample({row(120, 20)});
  EXPECT_EQ(judged(row(120, 20)).at.verdict, Verdict::ok);
}

TEST_F(LagBookTest, a_step_back_by_a_seek_is_no_rewind) {
  sample({row(100, 0)});
  sample({row(100, 60)});
  book_.sought("g");
  EXPECT_EQ(judged(row(100, 60)).at.verdict, Verdict::ok);
}

TEST_F(LagBookTest, a_topic_made_anew_begins_anew) {
  sample({row(1000, 0)});
  EXPECT_THAT(sample({row(10, 10)}), IsEmpty());
  EXPECT_EQ(judged(row(10, 10)).at.verdict, Verdict::ok);
  EXPECT_EQ(judged(row(10, 10)).in_rate, 0);
}

TEST_F(LagBookTest, a_group_that_does_not_move_is_stalled_once_it_is_late) {
  PartitionLag late = row(1000, 900);
  late.verdict = Verdict::slow;
  for (int i = 0; i < 12; ++i) sample({late});
  EXPECT_EQ(judged(late).at.verdict, Verdict::slow);
  sample({late});
  EXPECT_EQ(judged(late).at.verdict, Verdict::stalled);
  PartitionLag moved = row(1000, 899);
  moved.verdict = Verdict::slow;
  EXPECT_NE(judged(moved).at.verdict, Verdict::stalled);  // Since the last sample.
}

TEST_F(LagBookTest, history_adds_up_the_partitions) {
  sample({row(100, 10, 0), row(200, 30, 1), row(500, 7, 0, "other")});
  sample({row(150, 10, 0), row(200, 20, 1), row(500, 7, 0, "other")});
  const auto points = history();
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_EQ(points[0].lag, 40);
  EXPECT_EQ(points[0].lag_time, 3s);  // Of the partition that is furthest behind.
  EXPECT_EQ(points[0].in_rate, std::nullopt);
  EXPECT_EQ(points[1].lag, 30);
  EXPECT_DOUBLE_EQ(points[1].in_rate.value_or(0), 10);
  EXPECT_DOUBLE_EQ(points[1].out_rate.value_or(0), 12);
}

TEST_F(LagBookTest, history_has_no_rate_where_a_partition_came) {
  sample({row(100, 10, 0)});
  sample({row(100, 10, 0), row(100'000, 0, 1)});
  const auto points = history();
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_EQ(points[1].in_rate, std::nullopt);
}

TEST_F(LagBookTest, older_samples_are_coarser_and_none_is_lost_in_between) {
  std::int64_t end = 0;
  for (int i = 0; i < 2 * 720; ++i) sample({row(++end, 0)});  // Two hours.
  const auto points = history();
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto age = now_ - points[i].time;
    EXPECT_LE(points[i].time - points[i - 1].time, age > 59min ? milliseconds(60s) : milliseconds(5s));
  }
  EXPECT_GE(points.size(), 720u + 59u);
  EXPECT_THAT(history(10min), SizeIs(121));
}

TEST_F(LagBookTest, many_series_get_coarser_and_stay_within_the_memory) {
  std::vector<PartitionLag> rows;
  for (std::int32_t p = 0; p < 10'000; ++p) rows.push_back(row(100, 1, p));
  sample(rows);
  EXPECT_EQ(book_.series(), 10'000u);
  EXPECT_GT(book_.resolution().coarse, 1u);
  EXPECT_LE(book_.resolution().bytes() * book_.series(), kPlenty);
  EXPECT_LE(LagResolution::fitting(LagBook::kSeriesMax, kPlenty).bytes() * LagBook::kSeriesMax, 2 * kPlenty);
}

TEST_F(LagBookTest, the_memory_for_one_series_holds_the_full_resolution) {
  EXPECT_EQ(LagResolution::fitting(1, kPlenty).coarse, 1u);
  EXPECT_EQ(LagResolution::fitting(100, kPlenty).coarse, 1u);
  EXPECT_GT(LagResolution::fitting(1000, kPlenty).coarse, 1u);
}

TEST_F(LagBookTest, groups_that_go_are_forgotten) {
  sample({row(100, 1), row(100, 1, 0, "other")});
  sample({row(100, 1, 0, "other")});
  EXPECT_EQ(book_.series(), 1u);
  EXPECT_THAT(history(), IsEmpty());
}

TEST_F(LagBookTest, a_partition_without_a_commit_has_no_history) {
  PartitionLag unknown = row(100, 1);
  unknown.lag.reset();
  sample({unknown});
  EXPECT_EQ(book_.series(), 0u);
}

TEST_F(LagBookTest, a_clock_set_back_keeps_what_there_is) {
  sample({row(100, 1)});
  now_ -= 1h;
  sample({row(101, 2)});
  EXPECT_THAT(book_.history(GroupKind::stream, "g", "", Timestamp{}), SizeIs(1));
  EXPECT_DOUBLE_EQ(judged(row(101, 2)).in_rate, 0.2);
}

TEST_F(LagBookTest, history_goes_over_a_restart) {
  for (int i = 0; i < 100; ++i) sample({row(1000 + i, i, 0), row(2000, 5, 1, std::string("\xff\0", 2))});
  const ByteVector file = book_.encode();
  LagBook restored(kPlenty);
  ASSERT_TRUE(restored.restore(file));
  EXPECT_EQ(restored.series(), 2u);
  const auto before = history();
  const auto after = restored.history(GroupKind::stream, "g", "", now_ - 24h);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i].time, before[i].time);
    EXPECT_EQ(after[i].lag, before[i].lag);
    EXPECT_EQ(after[i].lag_time, before[i].lag_time);
  }
}

TEST_F(LagBookTest, a_damaged_file_is_refused_wherever_the_damage_is) {
  for (int i = 0; i < 3; ++i) sample({row(1000 + i, i)});
  const ByteVector file = book_.encode();
  for (std::size_t at = 0; at < file.size(); ++at) {
    ByteVector damaged = file;
    damaged[at] ^= std::byte{0x40};
    LagBook restored(kPlenty);
    EXPECT_FALSE(restored.restore(damaged)) << at;
    EXPECT_EQ(restored.series(), 0u);
    LagBook cut(kPlenty);
    EXPECT_FALSE(cut.restore(ByteView(file).first(at))) << at;
  }
}

TEST(LagSummary, adds_up_a_group_and_takes_its_worst) {
  std::vector<LagRow> rows(3);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].at.group = "g";
    rows[i].at.topic = "t";
    rows[i].at.partition = static_cast<std::int32_t>(i);
    rows[i].at.lag = 10;
    rows[i].at.lag_time = milliseconds(1000 * static_cast<std::int64_t>(i));
    rows[i].eta_seconds = 5.0 * static_cast<double>(i + 1);
    rows[i].headroom = milliseconds(1000 * static_cast<std::int64_t>(9 - i));
    rows[i].at.member = i == 0 ? "a" : "b";
    rows[i].in_rate = 1;
  }
  rows[1].at.verdict = Verdict::stalled;
  rows[1].at.cause = "why";
  const auto summaries = summarize(rows);
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].verdict, Verdict::stalled);
  EXPECT_EQ(summaries[0].cause, "t:1: why");
  EXPECT_EQ(summaries[0].lag, 30);
  EXPECT_EQ(summaries[0].lag_time, milliseconds(2000));
  EXPECT_EQ(summaries[0].eta_seconds, 15.0);
  EXPECT_EQ(summaries[0].headroom, milliseconds(7000));
  EXPECT_DOUBLE_EQ(summaries[0].skew.value_or(0), 4.0 / 3);
  EXPECT_DOUBLE_EQ(summaries[0].in_rate, 3);
}

TEST(LagSummary, a_partition_that_never_gets_done_takes_the_estimate_away) {
  std::vector<LagRow> rows(2);
  for (LagRow& row : rows) row.at.lag = 10;
  rows[0].eta_seconds = 5;
  rows[1].at.lag_time = milliseconds(6000);
  EXPECT_EQ(summarize(rows)[0].eta_seconds, std::nullopt);
  rows[1].at.lag_time = milliseconds(100);
  EXPECT_EQ(summarize(rows)[0].eta_seconds, 5);
}

TEST(LagSummary, queue_groups_of_one_name_are_several) {
  std::vector<LagRow> rows(3);
  for (LagRow& row : rows) row.at.group = "g";
  rows[1].at.kind = GroupKind::queue;
  rows[1].at.topic = "a";
  rows[2].at.kind = GroupKind::queue;
  rows[2].at.topic = "b";
  EXPECT_EQ(summarize(rows).size(), 3u);
}

}  // namespace
}  // namespace tidemark::broker
