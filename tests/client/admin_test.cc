#include <algorithm>

#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"

namespace tidemark {
namespace {

class AdminTest : public ClientFixture {
 protected:
  void send(const std::string& topic, int count) {
    Producer producer = must(client_.producer(topic));
    for (int i = 0; i < count; ++i) must(producer.send({.value = std::to_string(i)}));
  }

  Client client_{options()};
  Admin admin_ = client_.admin();
};

TEST_F(AdminTest, a_topic_lives_from_create_to_delete) {
  const TopicDescription created = must(admin_.create_topic({.name = "orders", .partitions = 2, .config = {{"retention.ms", "7d"}}}));
  EXPECT_EQ(created.name, "orders");
  EXPECT_EQ(created.partitions, 2);
  EXPECT_EQ(admin_.create_topic({.name = "orders"}).error().code, Errc::topic_exists);

  send("orders", 3);
  const TopicDescription described = must(admin_.describe_topic("orders"));
  EXPECT_EQ(described.id, created.id);
  EXPECT_EQ(described.config.at("retention.ms"), "604800000");
  EXPECT_EQ(described.durability, "fsync");
  EXPECT_EQ(described.records, 3);
  EXPECT_EQ(described.partition_list.size(), 2U);
  EXPECT_TRUE(described.effective_config.contains("max.message.bytes"));

  const TopicDescription altered = must(admin_.alter_topic("orders", {.config = {{"retention.ms", ""}}, .partitions = 5}));
  EXPECT_EQ(altered.partitions, 5);
  EXPECT_FALSE(altered.config.contains("retention.ms"));

  const auto listed = must(admin_.list_topics());
  EXPECT_TRUE(std::ranges::any_of(listed, [](const TopicDescription& topic) { return topic.name == "orders" && topic.records == 3; }));
  must(admin_.delete_topic("orders"));
  EXPECT_EQ(admin_.describe_topic("orders").error().code, Errc::unknown_topic);
}

TEST_F(AdminTest, refusals_say_what_is_wrong) {
  EXPECT_EQ(admin_.create_topic({.name = "bad name"}).error().code, Errc::invalid_topic_name);
  EXPECT_EQ(admin_.create_topic({.name = "t", .config = {{"retention.msec", "1"}}}).error().code, Errc::invalid_config);
  EXPECT_EQ(admin_.delete_topic("none").error().code, Errc::unknown_topic);
}

TEST_F(AdminTest, trims_finds_and_fetches) {
  must(admin_.create_topic({.name = "log", .partitions = 1}));
  send("log", 10);
  EXPECT_EQ(must(admin_.trim("log", 0, Offset{4})), Offset{4});
  EXPECT_EQ(must(admin_.find_offset("log", 0, Position::earliest())).offset, Offset{4});
  EXPECT_EQ(must(admin_.find_offset("log", 0, Position::latest())).offset, Offset{10});
  EXPECT_EQ(must(admin_.find_offset("log", 0, Position::before_end(2))).offset, Offset{8});
  EXPECT_EQ(must(admin_.find_offset("log", 0, Position::ago(1h))).offset, Offset{4});
  EXPECT_FALSE(must(admin_.find_offset("log", 0, Position::at_time(Timestamp::max()))).found);
  EXPECT_EQ(admin_.find_offset("log", 0, Position::at(3)).error().code, Errc::offset_out_of_range);
  EXPECT_EQ(admin_.find_offset("log", 1, Position::latest()).error().code, Errc::unknown_partition);

  const Fetched fetched = must(admin_.fetch("log", 0, Offset{7}));
  ASSERT_FALSE(fetched.messages.empty());
  EXPECT_EQ(fetched.messages.front().offset(), Offset{7});
  EXPECT_EQ(fetched.messages.front().value(), "7");
  EXPECT_EQ(fetched.log_start, Offset{4});
  EXPECT_EQ(fetched.high_watermark, Offset{10});
  EXPECT_EQ(admin_.fetch("log", 0, Offset{3}).error().code, Errc::offset_out_of_range);
  EXPECT_TRUE(must(admin_.fetch("log", 0, Offset{10})).messages.empty());
}

TEST_F(AdminTest, tells_of_the_broker) {
  const BrokerStatus status = must(admin_.status());
  EXPECT_EQ(status.version, "test");
  EXPECT_FALSE(status.cluster_id.empty());
  EXPECT_EQ(must(admin_.async_status(asio::use_future).get()).cluster_id, status.cluster_id);
}

TEST_F(AdminTest, a_replay_is_a_job_of_the_broker) {
  create("orders");
  create("again");
  send("orders", 10);
  ReplayOrder order{.source = "orders", .into = "again", .from = Position::after_start(2), .to = Position::before_end(1)};
  order.filter = "value != 5";
  order.dry_run = true;
  EXPECT_EQ(must(admin_.create_replay(order)).offsets_total, 7U);
  EXPECT_TRUE(must(admin_.list_jobs()).empty());

  order.dry_run = false;
  JobDescription job = must(admin_.create_replay(order));
  EXPECT_EQ(job.order.from, Position::after_start(2));
  EXPECT_EQ(job.order.filter, "value != 5");
  while (!job.finished_for_good()) job = must(admin_.async_describe_job(job.id, asio::use_future).get());
  EXPECT_EQ(job.state, "done");
  EXPECT_EQ(job.records, 6U);
  EXPECT_EQ(contents("again")[0], (Strings{"2", "3", "4", "6", "7", "8"}));

  order.pace = ReplayOrder::Pace::speed;
  order.pace_value = 0.5;
  order.from = Position{.kind = Position::Kind::committed};
  EXPECT_EQ(admin_.create_replay(order).error().code, Errc::invalid_argument);
  order.from = Position::ago(std::chrono::hours(1));
  const JobDescription paced = must(admin_.create_replay(order));
  EXPECT_EQ(paced.order.pace, ReplayOrder::Pace::speed);
  EXPECT_EQ(paced.order.pace_value, 0.5);
  EXPECT_EQ(must(admin_.list_jobs()).size(), 2U);
  EXPECT_EQ(admin_.control_job(job.id, JobAction::pause).error().code, Errc::conflict);
  EXPECT_EQ(admin_.describe_job(4711).error().code, Errc::not_found);
}

}  // namespace
}  // namespace tidemark
