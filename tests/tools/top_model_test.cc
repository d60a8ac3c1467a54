#include "tools/tidemark/top_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/top_fixture.h"

namespace tidemark::tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const TopGroup& group_of(const TopModel& model, const std::string& name) {
  static const TopGroup kNone;
  for (const TopGroup& group : model.groups()) {
    if (group.name == name) return group;
  }
  ADD_FAILURE() << "no group " << name;
  return kNone;
}

TEST(TopModel, knows_rates_from_the_second_sample_on) {
  TopModel model = shop_model(1);
  EXPECT_EQ(group_of(model, "inventory").in_rate, std::nullopt);
  EXPECT_EQ(model.in_rate(), std::nullopt);
  model.add(shop_sample(1));
  EXPECT_DOUBLE_EQ(group_of(model, "inventory").in_rate.value_or(-1), 20);
  EXPECT_DOUBLE_EQ(group_of(model, "inventory").out_rate.value_or(-1), 50);
  EXPECT_DOUBLE_EQ(group_of(model, "analytics").out_rate.value_or(-1), 0);
  EXPECT_DOUBLE_EQ(model.in_rate().value_or(-1), 20);
  EXPECT_DOUBLE_EQ(model.out_rate().value_or(-1), 70) << "inventory and billing";
}

TEST(TopModel, smooths_rates) {
  TopModel model = shop_model(2);
  TopSample burst = shop_sample(2);
  burst.topics[1].records += 10'000;
  model.add(burst);
  EXPECT_GT(*model.in_rate(), 100);
  EXPECT_LT(*model.in_rate(), 2'000);
}

TEST(TopModel, a_step_back_is_no_negative_traffic) {
  TopModel model = shop_model(2);
  TopSample sought = shop_sample(2);
  sought.lags[1].lag = 1040;
  sought.topics[1].records = 0;
  model.add(sought);
  EXPECT_GT(group_of(model, "inventory").out_rate.value_or(-1), 0);
  EXPECT_GT(*model.in_rate(), 0);
}

TEST(TopModel, keeps_the_trend_of_a_group_as_long_as_it_is_there) {
  TopModel model = shop_model(3);
  EXPECT_THAT(group_of(model, "inventory").trend, ElementsAre(600, 570, 540));
  TopSample without = shop_sample(3);
  without.groups.pop_back();
  model.add(without);
  model.add(shop_sample(4));
  EXPECT_THAT(group_of(model, "inventory").trend, ElementsAre(480));
  EXPECT_EQ(group_of(model, "inventory").in_rate, std::nullopt) << "it may be another one";
}

TEST(TopModel, the_trend_is_bounded) {
  TopModel model;
  for (int i = 0; i < 200; ++i) model.add(shop_sample(i % 10));
  EXPECT_EQ(group_of(model, "billing").trend.size(), TopModel::kTrendMax);
}

TEST(TopModel, a_group_is_done_when_its_last_partition_is) {
  TopSample sample = shop_sample(0);
  sample.lags.push_back(sample.lags[1]);
  sample.lags.back().where.partition = 1;
  sample.lags.back().eta_seconds = 99;
  TopModel model;
  model.add(sample);
  EXPECT_EQ(group_of(model, "inventory").eta_seconds, 99);
  sample.lags.back().eta_seconds.reset();
  model.add(sample);
  EXPECT_EQ(group_of(model, "inventory").eta_seconds, std::nullopt) << "one that is not getting there";
}

TEST(TopModel, says_who_reads_a_topic_and_how_the_worst_of_them_is) {
  const TopModel model = shop_model();
  ASSERT_EQ(model.topics().size(), 2U);
  EXPECT_THAT(model.topics()[0].groups, IsEmpty());
  EXPECT_EQ(model.topics()[0].verdict, "");
  EXPECT_THAT(model.topics()[1].groups, ElementsAre("analytics", "inventory", "billing"));
  EXPECT_EQ(model.topics()[1].verdict, "stopped");
}

TEST(TopModel, names_static_members_by_their_instance) {
  const std::vector<TopMember> members = shop_model().members();
  ASSERT_EQ(members.size(), 1U);
  EXPECT_EQ(members[0].member, "inventory-1");
  EXPECT_EQ(members[0].holds, "orders:0");
}

}  // namespace
}  // namespace tidemark::tools
