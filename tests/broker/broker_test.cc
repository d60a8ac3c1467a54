#include "broker/broker.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/simulation/engine_fixture.h"

namespace tidemark::broker {
namespace {

using simulation::batch_of;
using simulation::Engine;
using simulation::EngineTest;
using std::chrono::milliseconds;

using Values = std::vector<std::string>;

class BrokerTest : public EngineTest {
 protected:
  static Slice produced(const Values& values, std::int64_t producer, std::int32_t sequence, std::int16_t epoch = 0) {
    BatchBuilder builder;
    builder.set_producer(producer, epoch, sequence);
    for (const std::string& value : values) builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1, .headers = {}});
    return builder.build();
  }
};

TEST_F(BrokerTest, an_acknowledged_record_survives_power_loss) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto first = engine_->append("orders", 0, {"a", "b"});
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(first->base_offset, Offset{0});
  EXPECT_EQ(engine_->append("orders", 0, {"c"})->base_offset, Offset{2});
  power_fails();
  EXPECT_EQ(values("orders"), (Values{"a", "b", "c"}));
  EXPECT_EQ(engine_->append("orders", 0, {"d"})->base_offset, Offset{3});
}

TEST_F(BrokerTest, a_clean_restart_reads_nothing_again) {
  ASSERT_TRUE(engine_->create("orders", 3));
  ASSERT_TRUE(engine_->append("orders", 2, {"a"}));
  restart();
  EXPECT_EQ(values("orders", 2), (Values{"a"}));
  const auto status = engine_->status();
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->clean_start);
  EXPECT_EQ(status->recovery_scanned_bytes, 0u);
}

TEST_F(BrokerTest, topics_and_their_settings_survive) {
  ASSERT_TRUE(engine_->create("orders", 2, {{"retention.ms", "1h"}}));
  ASSERT_TRUE(engine_->alter("orders", {{"max.message.bytes", "2KiB"}}));
  power_fails();
  EXPECT_EQ(engine_->topics(), (Values{"orders"}));
  const auto altered = engine_->alter("orders", {{"retention.ms", ""}});
  ASSERT_TRUE(altered) << altered.error().to_string();
  EXPECT_EQ((*altered)->config, (ConfigMap{{"max.message.bytes", "2048"}}));
}

TEST_F(BrokerTest, a_deleted_topic_is_gone_with_its_files_and_its_name_is_free) {
  ASSERT_TRUE(engine_->create("orders"));
  ASSERT_TRUE(engine_->append("orders", 0, {"old"}));
  ASSERT_TRUE(engine_->remove("orders"));
  engine_->runtime().run();
  EXPECT_EQ(disk_->list("/data/topics")->size(), 0u);
  EXPECT_EQ(engine_->append("orders", 0, {"x"}).error().code, Errc::unknown_topic);
  ASSERT_TRUE(engine_->create("orders"));
  EXPECT_EQ(values("orders"), Values{});
  power_fails();
  EXPECT_EQ(values("orders"), Values{});
}

TEST_F(BrokerTest, a_stop_waits_for_the_removal_of_a_topic_that_is_under_way) {
  ASSERT_TRUE(engine_->create("orders", 3));
  ASSERT_TRUE(engine_->append("orders", 1, {"old"}));
  ASSERT_TRUE(engine_->remove("orders"));  // Answered; files and state still go.
  ASSERT_TRUE(engine_->stop());
  EXPECT_EQ(disk_->list("/data/topics")->size(), 0u);
}

TEST_F(BrokerTest, a_misspelt_topic_gets_a_suggestion) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto refused = engine_->append("oders", 0, {"x"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unknown_topic);
  EXPECT_NE(refused.error().detail.find("did you mean 'orders'?"), std::string::npos);
}

TEST_F(BrokerTest, bad_requests_are_named_and_change_nothing) {
  ASSERT_TRUE(engine_->create("orders", 2, {{"max.message.bytes", "1024"}}));
  EXPECT_EQ(engine_->create("orders").error().code, Errc::topic_exists);
  EXPECT_EQ(engine_->create("a b").error().code, Errc::invalid_topic_name);
  EXPECT_EQ(engine_->create("x", 0).error().code, Errc::invalid_argument);
  EXPECT_EQ(engine_->create("x", 1, {{"retention", "1"}}).error().code, Errc::invalid_config);
  EXPECT_EQ(engine_->append("orders", 2, {"x"}).error().code, Errc::unknown_partition);
  EXPECT_EQ(engine_->append("orders", 0, {std::string(2000, 'x')}).error().code, Errc::batch_too_large);
  Slice bad = batch_of({"x"});
  bad.writable()[bad.size() - 1] ^= std::byte{1};
  EXPECT_EQ(engine_->append_batch("orders", 0, bad).error().code, Errc::corrupt_batch);
  EXPECT_EQ(engine_->read("orders", 0, Offset{1}).error().code, Errc::offset_out_of_range);
  EXPECT_EQ(engine_->read("orders", 0, Offset{-1}).error().code, Errc::offset_out_of_range);
  EXPECT_EQ(values("orders"), Values{});
  EXPECT_EQ(engine_->topics(), (Values{"orders"}));
}

TEST_F(BrokerTest, a_reader_waits_for_the_watermark_and_is_woken_by_it) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto waiting = engine_->start<ReadReply>([](Broker& broker, Done<ReadReply> done) {
    broker.read({}, {"orders", 0}, {.from = Offset{0}, .wait_max = milliseconds(5000)}, std::move(done));
  });
  engine_->runtime().run();
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(engine_->append("orders", 0, {"a"}));
  engine_->runtime().run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((**waiting)->next, Offset{1});
}

TEST_F(BrokerTest, a_waiting_reader_is_answered_empty_at_its_deadline) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto waiting = engine_->start<ReadReply>([](Broker& broker, Done<ReadReply> done) {
    broker.read({}, {"orders", 0}, {.from = Offset{0}, .wait_max = milliseconds(500)}, std::move(done));
  });
  engine_->runtime().advance(milliseconds(499));
  EXPECT_FALSE(waiting->has_value());
  engine_->runtime().advance(milliseconds(1));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_TRUE((**waiting)->batches.empty());
}

TEST_F(BrokerTest, a_reader_that_wants_more_bytes_is_not_woken_by_fewer) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto waiting = engine_->start<ReadReply>([](Broker& broker, Done<ReadReply> done) {
    broker.read({}, {"orders", 0}, {.from = Offset{0}, .bytes_min = 1000, .wait_max = milliseconds(60'000)}, std::move(done));
  });
  ASSERT_TRUE(engine_->append("orders", 0, {std::string(500, 'x')}));
  engine_->runtime().run();
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(engine_->append("orders", 0, {std::string(500, 'y')}));
  engine_->runtime().run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((**waiting)->next, Offset{2});
}

TEST_F(BrokerTest, deleting_a_topic_answers_its_waiting_readers) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto waiting = engine_->start<ReadReply>([](Broker& broker, Done<ReadReply> done) {
    broker.read({}, {"orders", 0}, {.from = Offset{0}, .wait_max = milliseconds(60'000)}, std::move(done));
  });
  engine_->runtime().run();
  ASSERT_TRUE(engine_->remove("orders"));
  engine_->runtime().run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->error().code, Errc::unknown_topic);
}

TEST_F(BrokerTest, a_retry_is_stored_once_also_after_a_crash) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto producer = engine_->init_producer();
  ASSERT_TRUE(producer);
  ASSERT_TRUE(engine_->append_batch("orders", 0, produced({"a", "b"}, producer->id, 0)));
  const auto again = engine_->append_batch("orders", 0, produced({"a", "b"}, producer->id, 0));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->base_offset, Offset{0});
  power_fails();
  const auto later = engine_->append_batch("orders", 0, produced({"a", "b"}, producer->id, 0));
  ASSERT_TRUE(later) << later.error().to_string();
  EXPECT_TRUE(later->duplicate);
  EXPECT_EQ(engine_->append_batch("orders", 0, produced({"z"}, producer->id, 7)).error().code, Errc::out_of_order_sequence);
  ASSERT_TRUE(engine_->append_batch("orders", 0, produced({"c"}, producer->id, 2)));
  EXPECT_EQ(values("orders"), (Values{"a", "b", "c"}));
}

TEST_F(BrokerTest, producers_are_remembered_across_checkpoint_and_clean_stop) {
  ASSERT_TRUE(engine_->create("orders"));
  ASSERT_TRUE(engine_->append_batch("orders", 0, produced({"a"}, 5, 0)));
  engine_->runtime().advance(milliseconds(1500));
  ASSERT_TRUE(engine_->append_batch("orders", 0, produced({"b"}, 5, 1)));
  restart();
  EXPECT_TRUE(engine_->append_batch("orders", 0, produced({"a"}, 5, 0))->duplicate);
  EXPECT_TRUE(engine_->append_batch("orders", 0, produced({"b"}, 5, 1))->duplicate);
  EXPECT_EQ(values("orders"), (Values{"a", "b"}));
}

TEST_F(BrokerTest, a_retry_of_a_staged_batch_waits_for_its_flush) {
  ASSERT_TRUE(engine_->create("orders"));
  const auto send = [&] {
    return engine_->start<Appended>([](Broker& broker, Done<Appended> done) {
      broker.append({}, {"orders", 0}, produced({"a"}, 5, 0), std::move(done));
    });
  };
  const auto first = send();
  const auto second = send();
  engine_->runtime().run();
  ASSERT_TRUE(first->has_value() && second->has_value());
  EXPECT_FALSE((**first)->duplicate);
  EXPECT_TRUE((**second)->duplicate);
  EXPECT_EQ((**second)->base_offset, Offset{0});
  EXPECT_EQ(values("orders"), (Values{"a"}));
}

TEST_F(BrokerTest, producer_ids_are_never_given_twice) {
  std::set<std::int64_t> ids;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(ids.insert(engine_->init_producer()->id).second);
    power_fails();
  }
}

TEST_F(BrokerTest, trimmed_records_stay_trimmed) {
  ASSERT_TRUE(engine_->create("orders"));
  for (const char* value : {"a", "b", "c"}) ASSERT_TRUE(engine_->append("orders", 0, {value}));
  EXPECT_EQ(*engine_->trim("orders", 0, Offset{2}), Offset{2});
  EXPECT_EQ(engine_->read("orders", 0, Offset{1}).error().code, Errc::offset_out_of_range);
  power_fails();
  EXPECT_EQ(values("orders"), (Values{"c"}));
  EXPECT_EQ(*engine_->trim("orders", 0, Offset{1}), Offset{2}) << "the log start never moves back";
}

TEST_F(BrokerTest, retention_removes_what_is_older_than_the_topic_keeps) {
  ASSERT_TRUE(engine_->create("orders", 1, {{"retention.ms", "1h"}, {"segment.bytes", "64KiB"}}));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(engine_->append("orders", 0, {std::string(40'000, 'x')}));
  engine_->runtime().time().advance(std::chrono::hours(2));
  ASSERT_TRUE(engine_->append("orders", 0, {std::string(40'000, 'y')}));  // A segment of its own: the others are full.
  engine_->runtime().advance(milliseconds(31'000));
  const auto kept = engine_->read_all("orders", 0);
  ASSERT_TRUE(kept && kept->size() == 1);
  EXPECT_EQ(kept->front().offset, Offset{4});
}

TEST_F(BrokerTest, a_jump_of_the_producers_clock_deletes_nothing) {
  ASSERT_TRUE(engine_->create("orders", 1, {{"retention.ms", "1h"}, {"segment.bytes", "64KiB"}}));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine_->append_batch("orders", 0, batch_of({std::string(40'000, 'x')}, 1)));
  engine_->runtime().advance(milliseconds(31'000));
  EXPECT_EQ(values("orders").size(), 3u);
}

TEST_F(BrokerTest, time_seeks_find_the_first_record_not_older) {
  ASSERT_TRUE(engine_->create("orders"));
  for (std::int64_t t : {1000, 2000, 3000}) ASSERT_TRUE(engine_->append_batch("orders", 0, batch_of({"x"}, t)));
  EXPECT_EQ(engine_->find("orders", 0, OffsetQuery::timestamp, 1500)->offset, Offset{1});
  EXPECT_EQ(engine_->find("orders", 0, OffsetQuery::timestamp, 2000)->offset, Offset{1});
  const auto beyond = engine_->find("orders", 0, OffsetQuery::timestamp, 9000);
  EXPECT_FALSE(beyond->found);
  EXPECT_EQ(beyond->offset, Offset{3});
}

TEST_F(BrokerTest, cold_reads_come_from_the_disk_unchanged) {
  ASSERT_TRUE(engine_->create("orders", 1, {{"segment.bytes", "64KiB"}}));
  Values written;
  for (int i = 0; i < 60; ++i) {
    written.push_back(std::string(30'000, static_cast<char>('a' + i % 26)) + std::to_string(i));
    ASSERT_TRUE(engine_->append("orders", 0, {written.back()}));
  }
  EXPECT_EQ(values("orders"), written);  // 1.8 MB through a tail cache of 0.5 MB per shard.
}

TEST_F(BrokerTest, a_full_disk_refuses_appends_and_nothing_else) {
  ASSERT_TRUE(engine_->create("orders"));
  ASSERT_TRUE(engine_->append("orders", 0, {"a"}));
  const auto space = disk_->space("/data");
  ASSERT_TRUE(space);
  disk_->set_capacity(space->total_bytes - space->free_bytes);
  Errc refused = Errc::internal;
  for (int i = 0; i < 40 && refused == Errc::internal; ++i) {
    const auto appended = engine_->append("orders", 0, {std::string(60'000, 'x')});
    if (!appended) refused = appended.error().code;
  }
  EXPECT_EQ(refused, Errc::disk_full);
  EXPECT_FALSE(engine_->fatal());
  EXPECT_EQ(values("orders").front(), "a");
  disk_->set_capacity(std::uint64_t{1} << 40);
  EXPECT_TRUE(engine_->append("orders", 0, {"b"}));
}

TEST_F(BrokerTest, a_failed_flush_acknowledges_nothing_more_and_ends_the_process) {
  ASSERT_TRUE(engine_->create("orders"));
  ASSERT_TRUE(engine_->append("orders", 0, {"a"}));
  disk_->add_fault({.op = "sync", .path_contains = ".log"});
  const auto lost = engine_->append("orders", 0, {"b"});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().detail, "no answer");
  ASSERT_TRUE(engine_->fatal());
  EXPECT_EQ(engine_->fatal()->code, Errc::io_error);
  EXPECT_NE(engine_->fatal()->detail.find(".log"), std::string::npos) << engine_->fatal()->detail;
  EXPECT_EQ(engine_->append("orders", 0, {"c"}).error().detail, "no answer");
}

TEST_F(BrokerTest, interval_durability_acknowledges_before_the_flush_but_never_names_two_records_by_one_offset) {
  ASSERT_TRUE(engine_->create("events", 1, {{"durability", "interval"}}));
  ASSERT_TRUE(engine_->append("events", 0, {"kept"}));
  engine_->runtime().advance(milliseconds(500));
  const auto weak = engine_->append("events", 0, {"perhaps lost"});
  ASSERT_TRUE(weak);
  EXPECT_EQ(weak->durability, Durability::interval);
  EXPECT_EQ(values("events"), (Values{"kept", "perhaps lost"}));
  power_fails();
  const auto next = engine_->append("events", 0, {"after"});
  ASSERT_TRUE(next) << next.error().to_string();
  EXPECT_GT(next->base_offset, weak->base_offset);
  EXPECT_EQ(values("events"), (Values{"kept", "after"}));
  EXPECT_EQ((*engine_->describe("events"))[0].leader_epoch, 1);
}

TEST_F(BrokerTest, interval_durability_is_flushed_by_the_interval_and_by_a_clean_stop) {
  ASSERT_TRUE(engine_->create("events", 1, {{"durability", "interval"}, {"flush.ms", "50"}}));
  ASSERT_TRUE(engine_->append("events", 0, {"a"}));
  engine_->runtime().advance(milliseconds(60));
  power_fails();
  EXPECT_EQ(values("events"), (Values{"a"}));
  ASSERT_TRUE(engine_->append("events", 0, {"b"}));
  restart();
  power_fails();
  EXPECT_EQ(values("events"), (Values{"a", "b"}));
}

TEST_F(BrokerTest, partitions_can_be_added) {
  ASSERT_TRUE(engine_->create("orders", 1));
  ASSERT_TRUE(engine_->append("orders", 0, {"a"}));
  const auto grown = engine_->start<std::shared_ptr<const Topic>>(
      [](Broker& broker, Done<std::shared_ptr<const Topic>> done) { broker.add_partitions({}, "orders", 3, std::move(done)); });
  engine_->runtime().run();
  ASSERT_TRUE(grown->has_value() && **grown) << (*grown)->error().to_string();
  ASSERT_TRUE(engine_->append("orders", 2, {"c"}));
  power_fails();
  EXPECT_EQ(values("orders", 0), (Values{"a"}));
  EXPECT_EQ(values("orders", 2), (Values{"c"}));
}

TEST_F(BrokerTest, changes_to_one_topic_at_the_same_time_all_take_effect) {
  using TopicPtr = std::shared_ptr<const Topic>;
  ASSERT_TRUE(engine_->create("orders", 1));
  const auto append_group = [](const std::string& group) {
    return [group](const Topic& now) -> Result<ConfigMap> {
      ConfigMap config = now.config;
      std::string& list = config["hold.for"];
      list += list.empty() ? group : "," + group;
      return config;
    };
  };
  const auto first = engine_->start<TopicPtr>(
      [&](Broker& broker, Done<TopicPtr> done) { broker.alter_topic({}, "orders", append_group("a"), false, std::move(done)); });
  const auto grown =
      engine_->start<TopicPtr>([](Broker& broker, Done<TopicPtr> done) { broker.add_partitions({}, "orders", 3, std::move(done)); });
  const auto second = engine_->start<TopicPtr>(
      [&](Broker& broker, Done<TopicPtr> done) { broker.alter_topic({}, "orders", append_group("b"), false, std::move(done)); });
  engine_->runtime().run();
  for (const auto& answer : {first, grown, second}) {
    ASSERT_TRUE(answer->has_value());
    EXPECT_TRUE(**answer) << (*answer)->error().to_string();
  }
  power_fails();
  const auto now = engine_->alter("orders", {});
  ASSERT_TRUE(now) << now.error().to_string();
  EXPECT_EQ((*now)->partitions, 3);
  EXPECT_EQ((*now)->config.at("hold.for").size(), 3u) << (*now)->config.at("hold.for");
}

TEST_F(BrokerTest, a_dry_run_answers_the_change_and_makes_none) {
  using TopicPtr = std::shared_ptr<const Topic>;
  ASSERT_TRUE(engine_->create("orders", 1, {{"retention.ms", "1h"}}));
  const auto replace = [](ConfigMap config) { return [config = std::move(config)](const Topic&) -> Result<ConfigMap> { return config; }; };
  const auto judged = engine_->start<TopicPtr>([&](Broker& broker, Done<TopicPtr> done) {
    broker.alter_topic({}, "orders", replace({{"retention.ms", "2h"}}), true, std::move(done));
  });
  const auto refused = engine_->start<TopicPtr>([&](Broker& broker, Done<TopicPtr> done) {
    broker.alter_topic({}, "orders", replace({{"retention.ms", "soon"}}), true, std::move(done));
  });
  engine_->runtime().run();
  ASSERT_TRUE(judged->has_value() && **judged);
  EXPECT_EQ((**judged).value()->config, (ConfigMap{{"retention.ms", "7200000"}}));
  ASSERT_TRUE(refused->has_value() && !**refused);
  EXPECT_EQ((*refused)->error().code, Errc::invalid_config);
  const auto now = engine_->alter("orders", {});
  ASSERT_TRUE(now);
  EXPECT_EQ((*now)->config, (ConfigMap{{"retention.ms", "3600000"}}));
}

TEST_F(BrokerTest, a_topic_is_judged_without_being_made) {
  ASSERT_TRUE(engine_->create("orders", 1));
  const auto judge = [this](TopicSpec spec) {
    Result<Topic> judged;
    engine_->runtime().shard(0).post([&] { judged = engine_->broker().judge(spec); });
    engine_->runtime().run();
    return judged;
  };
  const auto good = judge({"invoices", std::nullopt, {{"retention.ms", "1h"}}});
  ASSERT_TRUE(good) << good.error().to_string();
  EXPECT_EQ(good->partitions, engine_->broker().options().default_partitions);
  EXPECT_EQ(good->effective.retention, std::chrono::hours(1));
  EXPECT_EQ(judge({"orders", 1, {}}).error().code, Errc::topic_exists);
  EXPECT_EQ(judge({"in voices", 1, {}}).error().code, Errc::invalid_topic_name);
  EXPECT_EQ(judge({"invoices", 0, {}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(judge({"invoices", 1, {{"retention", "1"}}}).error().code, Errc::invalid_config);
  EXPECT_EQ(engine_->topics(), (Values{"orders"}));
}

TEST_F(BrokerTest, many_topics_and_restarts_keep_the_state_log_short) {
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(engine_->create("t" + std::to_string(round)));
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(engine_->append("t" + std::to_string(round), 0, {"x"}));
      engine_->runtime().advance(milliseconds(1100));
    }
    if (round % 10 == 9) restart();
  }
  EXPECT_EQ(engine_->topics().size(), 30u);
  EXPECT_EQ(values("t7").size(), 5u);
}

}  // namespace
}  // namespace tidemark::broker
