#include "broker/lag/lag_monitor.h"

#include "broker/queues/queues.h"
#include "tests/broker/groups/groups_fixture.h"

/// The model over a whole engine in virtual time.
namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsEmpty;

class LagMonitorTest : public GroupsTest {
 protected:
  void SetUp() override {
    GroupsTest::SetUp();
    watch();
  }
  void TearDown() override {
    if (monitor_) unwatch();
  }

  void watch() {
    monitor_ = std::make_unique<LagMonitor>(engine_->broker(), engine_->runtime(), *disk_, LagMonitor::Options{.path = "lag-history"});
    monitor_->start();
    engine_->runtime().run();
  }
  void unwatch() {
    bool stopped = false;
    monitor_->stop([&stopped] { stopped = true; });
    engine_->runtime().run_until([&stopped] { return stopped; });
    EXPECT_TRUE(stopped);
    monitor_.reset();
  }

  template <class T>
  Result<T> ask(std::function<void(LagMonitor&, Done<T>)> call) {
    const auto answer = engine_->start<T>([this, call](Broker&, Done<T> done) { call(*monitor_, std::move(done)); });
    engine_->runtime().run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }
  Result<std::vector<LagRow>> rows(std::optional<std::string> group) {
    return ask<std::vector<LagRow>>(
        [group](LagMonitor& monitor, Done<std::vector<LagRow>> done) { monitor.rows({}, group, std::move(done)); });
  }
  LagRow row(const std::string& group = "g") {
    const auto all = rows(group);
    EXPECT_TRUE(all) << all.error().to_string();
    return all && !all->empty() ? all->front() : LagRow{};
  }
  std::vector<LagPoint> history() {
    const auto points = ask<std::vector<LagPoint>>([](LagMonitor& monitor, Done<std::vector<LagPoint>> done) {
      monitor.history({}, {.group = "g", .kind = GroupKind::stream, .topic = {}, .span = 1h}, std::move(done));
    });
    EXPECT_TRUE(points);
    return points ? *points : std::vector<LagPoint>();
  }
  void pass(milliseconds time) { engine_->runtime().advance(time); }
  void commit(std::int64_t offset) { ASSERT_TRUE(groups().commit_one("g", at("t", 0, offset))); }

  std::unique_ptr<LagMonitor> monitor_;
};

TEST_F(LagMonitorTest, a_group_that_catches_up_drains_and_says_until_when) {
  append("t", 0, 1000);
  commit(0);
  pass(2min);
  for (int i = 1; i <= 12; ++i) {
    commit(20 * i);
    pass(5s);
  }
  const LagRow now = row();
  EXPECT_EQ(now.at.lag, 760);
  EXPECT_EQ(to_string(now.at.verdict), "draining") << now.at.cause;
  EXPECT_GT(now.out_rate, 2);  // 4 a second now, none in the minutes before.
  EXPECT_LT(now.out_rate, 4);
  ASSERT_TRUE(now.eta_seconds);
  EXPECT_NEAR(*now.eta_seconds, 760 / now.out_rate, 1);
  EXPECT_THAT(now.at.cause, HasSubstr("done in about"));
}

TEST_F(LagMonitorTest, the_objective_of_a_new_group_holds_from_its_second_sample_on) {
  pass(5s);  // The round of samples in which all terms are learned is over.
  append("t", 0, 10);
  commit(3);
  ASSERT_TRUE(groups().alter("g", {{"lag.objective", "2s"}}));
  pass(5s);
  pass(5s);
  EXPECT_EQ(row().objective, 2s);
}

TEST_F(LagMonitorTest, one_that_stands_still_without_members_is_stopped) {
  append("t", 0, 10);
  commit(3);
  pass(2min);
  EXPECT_EQ(to_string(row().at.verdict), "stopped");
  EXPECT_EQ(row().eta_seconds, std::nullopt);
}

TEST_F(LagMonitorTest, a_commit_further_back_is_a_rewind_and_a_seek_is_not) {
  append("t", 0, 100);
  for (int i = 1; i <= 6; ++i) {
    commit(10 * i);
    pass(5s);
  }
  commit(20);
  pass(5s);
  EXPECT_EQ(to_string(row().at.verdict), "rewound") << row().at.cause;
  commit(80);
  pass(5s);
  EXPECT_NE(to_string(row().at.verdict), "rewound");
  const auto sought = groups().ask<SeekReply>([](Groups& groups, Done<SeekReply> done) {
    SeekRequest seek;
    seek.group = "g";
    seek.target.kind = SeekTarget::Kind::earliest;
    seek.target.text = "earliest";
    seek.execute = true;
    groups.seek({}, seek, std::move(done));
  });
  ASSERT_TRUE(sought);
  pass(10s);
  EXPECT_NE(to_string(row().at.verdict), "rewound") << row().at.cause;
}

TEST_F(LagMonitorTest, headroom_is_the_topics_retention_less_the_lag_time) {
  ASSERT_TRUE(engine_->alter("t", {{"retention.ms", "36000000"}}));
  append("t", 0, 10);
  commit(3);
  pass(10s);
  const LagRow now = row();
  ASSERT_TRUE(now.headroom && now.at.lag_time);
  EXPECT_EQ(*now.headroom, 10h - *now.at.lag_time);
}

TEST_F(LagMonitorTest, history_is_sampled_and_goes_over_a_restart) {
  append("t", 0, 10);
  commit(3);
  pass(60s);
  const auto before = history();
  EXPECT_GE(before.size(), 12u);
  EXPECT_EQ(before.back().lag, 7);
  unwatch();
  watch();
  EXPECT_GE(history().size(), before.size());
  EXPECT_EQ(history().front().time, before.front().time);
}

TEST_F(LagMonitorTest, a_damaged_history_is_set_aside) {
  unwatch();
  ASSERT_TRUE(storage::replace_file(*disk_, "lag-history", as_bytes("no history at all")));
  watch();
  append("t", 0, 10);
  commit(3);
  pass(10s);
  EXPECT_THAT(history(), testing::Not(IsEmpty()));
  const Result<bool> aside = disk_->exists("lag-history.damaged");
  EXPECT_TRUE(aside && *aside);
}

TEST_F(LagMonitorTest, queue_groups_have_rows_of_their_own) {
  append("t", 0, 5);
  const auto made = engine_->start<QueueInfo>([](Broker& broker, Done<QueueInfo> done) {
    CreateQueueRequest request;
    request.name = {"q", "t"};
    broker.queues().create({}, std::move(request), std::move(done));
  });
  engine_->runtime().run_until([&] { return made->has_value(); });
  ASSERT_TRUE(*made && **made);
  pass(10s);
  const auto found = rows("q");
  ASSERT_TRUE(found);
  ASSERT_THAT(*found, testing::Not(IsEmpty()));
  EXPECT_EQ(found->front().at.kind, GroupKind::queue);
  EXPECT_EQ(found->front().at.lag, 5);
  EXPECT_EQ(found->front().at.waiting, 5u);
}

TEST_F(LagMonitorTest, an_unknown_group_is_an_error) {
  const auto found = rows("nobody");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::unknown_group);
}

}  // namespace
}  // namespace tidemark::broker
