#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/broker.h"
#include "tests/broker/groups/groups_fixture.h"
#include "tests/simulation/engine_fixture.h"

/// What a topic lets go by itself beyond its time: by number (max.records), and what a group still needs (hold.for).
namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

using Values = std::vector<std::string>;
constexpr milliseconds kRetentionRound{31'000};

class RetentionTest : public EngineTest {
 protected:
  /// Why the records were refused, if they were.
  std::optional<Errc> append(const Values& records) {
    const auto appended = engine_->append("t", 0, records);
    return appended ? std::nullopt : std::optional(appended.error().code);
  }
  /// Three segments that are past their time, and one that is not.
  void make_old_segments(ConfigMap config) {
    config.insert({{"retention.ms", "1h"}, {"segment.bytes", "64KiB"}});
    ASSERT_TRUE(engine_->create("t", 1, config));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine_->append("t", 0, {std::string(40'000, 'x')}));
    engine_->runtime().time().advance(std::chrono::hours(2));
    ASSERT_TRUE(engine_->append("t", 0, {std::string(40'000, 'y')}));
  }
  Offset log_start() { return engine_->describe("t")->front().log_start; }
};

TEST_F(RetentionTest, the_newest_max_records_stay) {
  ASSERT_TRUE(engine_->create("t", 1, {{"max.records", "3"}}));
  EXPECT_EQ(append({"a", "b", "c", "d", "e"}), std::nullopt);
  engine_->runtime().run();
  EXPECT_THAT(values("t"), ElementsAre("c", "d", "e"));
  EXPECT_EQ(append({"f"}), std::nullopt);
  engine_->runtime().run();
  EXPECT_THAT(values("t"), ElementsAre("d", "e", "f"));
  power_fails();
  EXPECT_THAT(values("t"), ElementsAre("d", "e", "f"));
}

TEST_F(RetentionTest, a_smaller_max_records_acts_at_once) {
  ASSERT_TRUE(engine_->create("t"));
  EXPECT_EQ(append({"a", "b", "c"}), std::nullopt);
  ASSERT_TRUE(engine_->alter("t", {{"max.records", "1"}}));
  engine_->runtime().run();
  EXPECT_THAT(values("t"), ElementsAre("c"));
}

TEST_F(RetentionTest, a_full_topic_refuses_until_there_is_room) {
  ASSERT_TRUE(engine_->create("t", 1, {{"max.records", "3"}, {"overflow", "refuse"}}));
  EXPECT_EQ(append({"a", "b"}), std::nullopt);
  const auto refused = engine_->append("t", 0, {"c", "d"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  EXPECT_THAT(refused.error().detail, testing::HasSubstr("max.records is 3"));
  EXPECT_EQ(append({"c"}), std::nullopt) << "a batch counts as a whole; a smaller one fits";
  EXPECT_EQ(append({"d"}), Errc::overloaded);
  power_fails();
  EXPECT_EQ(append({"d"}), Errc::overloaded);
  ASSERT_TRUE(engine_->trim("t", 0, Offset{1}));
  EXPECT_EQ(append({"d"}), std::nullopt);
  EXPECT_THAT(values("t"), ElementsAre("b", "c", "d"));
}

TEST_F(RetentionTest, appends_under_way_count_as_records) {
  ASSERT_TRUE(engine_->create("t", 1, {{"max.records", "1"}, {"overflow", "refuse"}}));
  const auto append_one = [](Broker& broker, Done<Appended> done) {
    broker.append({}, {"t", 0}, simulation::batch_of({"x"}), std::move(done));
  };
  const auto first = engine_->start<Appended>(append_one);
  const auto second = engine_->start<Appended>(append_one);
  engine_->runtime().run();
  ASSERT_TRUE(*first && *second);
  EXPECT_TRUE((*first)->has_value());
  ASSERT_FALSE((*second)->has_value());
  EXPECT_EQ((*second)->error().code, Errc::overloaded);
}

TEST_F(RetentionTest, what_a_group_has_not_read_is_held) {
  make_old_segments({{"hold.for", "billing, audit"}});
  GroupCalls groups(*engine_);
  engine_->runtime().advance(kRetentionRound);
  EXPECT_EQ(log_start(), Offset{0}) << "neither group has read anything";
  ASSERT_TRUE(groups.commit_one("billing", at("t", 0, 2)));
  engine_->runtime().advance(kRetentionRound);
  EXPECT_EQ(log_start(), Offset{0}) << "one has not";
  ASSERT_TRUE(groups.commit_one("audit", at("t", 0, 4)));
  engine_->runtime().advance(kRetentionRound);
  EXPECT_EQ(log_start(), Offset{2});
  ASSERT_TRUE(groups.commit_one("billing", at("t", 0, 4)));
  engine_->runtime().advance(kRetentionRound);
  EXPECT_EQ(log_start(), Offset{3}) << "from here on, time alone decides";
}

TEST_F(RetentionTest, holding_ends_at_hold_bytes) {
  make_old_segments({{"hold.for", "billing"}, {"hold.bytes", "60000"}});
  engine_->runtime().advance(kRetentionRound);
  EXPECT_EQ(log_start(), Offset{2});
}

}  // namespace
}  // namespace tidemark::broker
