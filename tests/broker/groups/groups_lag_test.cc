#include "tests/broker/groups/groups_fixture.h"

/// How far groups are behind, in records and in time.
namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using testing::SizeIs;

class GroupLag : public GroupsTest {
 protected:
  PartitionLag lag_of(std::int32_t partition, const std::string& group = "g") {
    const auto rows = groups().lag(group);
    EXPECT_TRUE(rows) << rows.error().to_string();
    if (rows) {
      for (const PartitionLag& row : *rows) {
        if (row.partition == partition && row.topic == "t") return row;
      }
    }
    ADD_FAILURE() << "no such row";
    return {};
  }
  Timestamp now() { return engine_->runtime().clock().now(); }
  /// Exact to a second: how precisely append times are kept.
  static void expect_about(std::optional<milliseconds> actual, milliseconds expected) {
    ASSERT_TRUE(actual);
    EXPECT_LE(std::chrono::abs(*actual - expected), 1s) << actual->count() << " ms, not " << expected.count();
  }
};

TEST_F(GroupLag, is_unknown_before_a_commit_and_says_why) {
  append("t", 0, 3);
  ASSERT_TRUE(groups().commit_one("g", at("t", 1, 0)));
  const PartitionLag row = lag_of(0);
  EXPECT_EQ(row.floor, std::nullopt);
  EXPECT_EQ(row.lag, std::nullopt);
  EXPECT_EQ(row.lag_time, std::nullopt);
  EXPECT_EQ(row.end, Offset{3});
  EXPECT_EQ(row.verdict, Verdict::stopped);
  EXPECT_THAT(row.cause, testing::HasSubstr("nothing committed yet"));
}

TEST_F(GroupLag, agrees_with_a_count_by_hand_and_over_power_loss) {
  for (int i = 0; i < 7; ++i) append("t", i % 2, 3);
  ASSERT_TRUE(groups().commit("g", {at("t", 0, 5), at("t", 1, 9)}));
  for (int round = 0; round < 2; ++round) {
    for (const std::int32_t p : {0, 1}) {
      const PartitionLag row = lag_of(p);
      ASSERT_TRUE(row.floor);
      const auto unread = engine_->read_all("t", p, row.floor);
      ASSERT_TRUE(unread);
      EXPECT_EQ(row.lag, static_cast<std::int64_t>(unread->size())) << "partition " << p;
    }
    power_fails();
  }
  EXPECT_EQ(lag_of(0).lag, 7);
  EXPECT_EQ(lag_of(1).lag, 0);
}

TEST_F(GroupLag, time_is_the_age_of_the_oldest_unread_record) {
  std::vector<Timestamp> appended;
  for (int i = 0; i < 6; ++i) {
    appended.push_back(now());
    append("t", 0, 2);
    engine_->runtime().advance(7s);
  }
  for (std::int64_t floor = 0; floor < 12; ++floor) {
    ASSERT_TRUE(groups().commit_one("g", at("t", 0, floor)));
    SCOPED_TRACE("floor " + std::to_string(floor));
    expect_about(lag_of(0).lag_time, now() - appended[static_cast<std::size_t>(floor / 2)]);
    engine_->runtime().advance(3s);
    expect_about(lag_of(0).lag_time, now() - appended[static_cast<std::size_t>(floor / 2)]);
  }
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 12)));
  EXPECT_EQ(lag_of(0).lag_time, milliseconds(0));
}

TEST_F(GroupLag, time_goes_on_over_a_restart) {
  append("t", 0, 2);
  const Timestamp appended = now();
  engine_->runtime().advance(20s);
  append("t", 0, 2);
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 1)));
  engine_->runtime().advance(5s);
  expect_about(lag_of(0).lag_time, now() - appended);
  const Timestamp before = now();
  restart();
  engine_->runtime().time().set_wall(before + 60s);
  expect_about(lag_of(0).lag_time, before + 60s - appended);
  EXPECT_FALSE(lag_of(0).lag_time_estimated);
}

TEST_F(GroupLag, of_a_floor_that_is_gone_counts_from_the_oldest_record_left) {
  append("t", 0, 2);
  engine_->runtime().advance(20s);
  append("t", 0, 2);
  const Timestamp second = now();
  engine_->runtime().advance(20s);
  append("t", 0, 2);
  const Timestamp third = now();
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 1)));
  lag_of(0);  // Looked up once, while it was there.
  engine_->runtime().advance(20s);
  ASSERT_TRUE(engine_->trim("t", 0, Offset{2}));
  expect_about(lag_of(0).lag_time, now() - second);
  EXPECT_EQ(lag_of(0).verdict, Verdict::at_risk);
  ASSERT_TRUE(engine_->trim("t", 0, Offset{4}));
  expect_about(lag_of(0).lag_time, now() - third);
}

TEST_F(GroupLag, names_the_member_that_holds_the_partition) {
  append("t", 0, 3);
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(joined);
  EXPECT_EQ(lag_of(0).member, "a");
  EXPECT_EQ(lag_of(0).lag, std::nullopt);
  ASSERT_TRUE(groups().commit({.group = "g", .member = "a", .epoch = joined->epoch, .instance = {}, .entries = {at("t", 0, 1)}}));
  EXPECT_EQ(lag_of(0).lag, 2);
  ASSERT_TRUE(groups().leave("g", "a"));
  EXPECT_EQ(lag_of(0).member, "");
  EXPECT_EQ(lag_of(0).verdict, Verdict::stopped);
}

TEST_F(GroupLag, of_all_groups_comes_by_group_topic_and_partition) {
  for (const char* const name : {"c", "a", "b", "d"}) ASSERT_TRUE(groups().commit_one(name, at("t", 0, 0)));
  const auto rows = groups().lag();
  ASSERT_TRUE(rows);
  std::vector<std::string> seen;
  for (const PartitionLag& row : *rows) seen.push_back(row.group + std::to_string(row.partition));
  EXPECT_THAT(seen, testing::ElementsAre("a0", "a1", "b0", "b1", "c0", "c1", "d0", "d1"));
  EXPECT_EQ(code_of(groups().lag("nobody")), Errc::unknown_group);
}

TEST_F(GroupLag, of_a_deleted_topic_is_not_shown) {
  ASSERT_TRUE(groups().commit_one("g", at("t", 0, 0)));
  ASSERT_TRUE(engine_->remove("t"));
  engine_->runtime().run();
  const auto rows = groups().lag("g");
  ASSERT_TRUE(rows);
  EXPECT_THAT(*rows, IsEmpty());
}

TEST_F(GroupLag, far_behind_the_objective_is_slow_and_without_commits_stalled) {
  append("t", 0, 3);
  const auto joined = groups().heartbeat(GroupCalls::joining("g", "a", {"t"}));
  ASSERT_TRUE(joined);
  std::int32_t epoch = joined->epoch;
  const auto commit = [&](std::int64_t offset) {
    return groups().commit({.group = "g", .member = "a", .epoch = epoch, .instance = {}, .entries = {at("t", 0, offset)}});
  };
  const auto pass = [&](int minutes) {
    for (int i = 0; i < minutes * 6; ++i) {
      engine_->runtime().advance(10s);
      epoch = groups().heartbeat(GroupCalls::renewal("g", "a", epoch))->epoch;
    }
  };
  pass(3);
  ASSERT_TRUE(commit(1));
  EXPECT_EQ(lag_of(0).verdict, Verdict::slow);
  pass(2);
  EXPECT_EQ(lag_of(0).verdict, Verdict::stalled);
  ASSERT_TRUE(groups().alter("g", {{"lag.objective", "1h"}}));
  EXPECT_EQ(lag_of(0).verdict, Verdict::ok);
}

}  // namespace
}  // namespace tidemark::broker
