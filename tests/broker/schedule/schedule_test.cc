#include <map>

#include "broker/schedule/scheduler.h"
#include "tests/broker/schedule/schedule_fixture.h"

namespace tidemark::broker {
namespace {

using Values = std::vector<std::string>;
using std::chrono::hours;
using std::chrono::seconds;

class ScheduleTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.open());
    ASSERT_TRUE(engine_.create("orders", 2));
  }
  void pass(milliseconds time) { engine_.runtime().advance(time); }
  void restart() {
    ASSERT_TRUE(engine_.stop());
    ASSERT_TRUE(engine_.open());
  }
  Offset end_of(const std::string& topic, std::int32_t partition = 0) {
    const auto end = engine_.find(topic, partition, OffsetQuery::latest);
    return end ? end->offset : Offset{-1};
  }

  SimulatedFileSystem disk_;
  Engine engine_{disk_};
};

TEST_F(ScheduleTest, a_record_is_not_seen_before_it_is_due_and_is_then) {
  schedule(engine_, "orders", "later", seconds(10));
  EXPECT_EQ(end_of("orders"), Offset{0});
  pass(milliseconds(9'900));
  EXPECT_EQ(end_of("orders"), Offset{0});
  EXPECT_EQ(waiting_ids(engine_).size(), 1u);
  pass(milliseconds(150));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"later"});
  EXPECT_TRUE(waiting_ids(engine_).empty());
}

TEST_F(ScheduleTest, key_headers_and_time_are_as_the_producer_sent_them) {
  TestRecord record{"k", "v", 1'600'000'000'123, {{"a", "1"}, {std::string(kDelayHeader), "1s"}, {"a", "2"}}};
  ASSERT_TRUE(publish(engine_, "orders", 1, {record}));
  pass(seconds(2));
  record.headers.erase(record.headers.begin() + 1);
  EXPECT_EQ(records_in(engine_, "orders", 1), std::vector<TestRecord>{record});
}

TEST_F(ScheduleTest, a_list_tells_keys_and_sizes_where_asked) {
  const std::string long_key(2000, 'k');
  ASSERT_TRUE(publish(engine_, "orders", 1, {TestRecord{long_key, "v", 1, {{"a", "1"}, {std::string(kDelayHeader), "1s"}}}}));
  schedule(engine_, "orders", "value", seconds(2));
  ScheduleQuery query;
  query.with_content = true;
  const auto page = list_schedule(engine_, query);
  ASSERT_TRUE(page) << page.error().to_string();
  ASSERT_EQ(page->records.size(), 2u);
  ASSERT_TRUE(page->records[0].content && page->records[1].content);
  EXPECT_EQ(page->records[0].content->key, long_key.substr(0, ScheduledInfo::Content::kKeyBytesMax));
  EXPECT_EQ(page->records[0].content->bytes, 2003u);
  EXPECT_EQ(page->records[1].content->key, std::nullopt);
  EXPECT_EQ(page->records[1].content->bytes, 5u);
  EXPECT_FALSE(list_schedule(engine_)->records[0].content);
  query.limit = ScheduleQuery::kContentPageMax + 1;
  EXPECT_EQ(list_schedule(engine_, query).error().code, Errc::invalid_argument);
  pass(seconds(3));  // What was only looked at is delivered all the same.
  EXPECT_EQ(values_in(engine_, "orders"), Values{"value"});
}

TEST_F(ScheduleTest, records_come_in_the_order_of_their_times) {
  for (const int s : {5, 1, 4, 2, 3}) schedule(engine_, "orders", std::to_string(s), seconds(s));
  pass(seconds(10));
  EXPECT_EQ(values_in(engine_, "orders"), (Values{"1", "2", "3", "4", "5"}));
}

TEST_F(ScheduleTest, no_delay_is_at_once) {
  const auto published = publish(engine_, "orders", 0, {record_with("now", delayed(milliseconds(0)))});
  ASSERT_TRUE(published);
  EXPECT_EQ(published->base_offset, Offset{0});
  EXPECT_EQ(published->details, nullptr);
}

TEST_F(ScheduleTest, times_that_make_no_sense_are_refused_by_name) {
  const auto refused = [&](const std::string& header, const std::string& value, const std::string& word) {
    const auto published = publish(engine_, "orders", 0, {record_with("fine"), record_with("bad", {{header, value}})});
    ASSERT_FALSE(published) << value;
    EXPECT_EQ(published.error().code, Errc::invalid_argument);
    EXPECT_NE(published.error().detail.find(header), std::string::npos) << published.error().detail;
    EXPECT_NE(published.error().detail.find(word), std::string::npos) << published.error().detail;
  };
  refused("tidemark-delay", "-5", "negative");
  refused("tidemark-delay", "soon", "duration");
  refused("tidemark-delay", "600w", "ten years");
  refused("tidemark-deliver-at", "1600000000000", "passed");
  refused("tidemark-deliver-at", "2999-01-01T00:00Z", "ten years");
  refused("tidemark-deliver-at", "tomorrow", "neither");
  refused("tidemark-priority", "10", "0 to 9");
  refused("tidemark-dedup-id", "", "1 to");
  EXPECT_EQ(end_of("orders"), Offset{0}) << "nothing of a refused batch is stored";
}

TEST_F(ScheduleTest, a_time_of_day_works_as_well) {
  ASSERT_TRUE(publish(engine_, "orders", 0, {record_with("at", {{std::string(kDeliverAtHeader), "1700000005000"}})}));
  pass(milliseconds(4'800));
  EXPECT_EQ(end_of("orders"), Offset{0});
  pass(seconds(1));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"at"});
}

TEST_F(ScheduleTest, the_immediate_records_of_a_batch_keep_their_places) {
  const auto published = publish(engine_, "orders", 0, {record_with("a"), record_with("b", delayed(seconds(1))), record_with("c")});
  ASSERT_TRUE(published);
  EXPECT_EQ(published->base_offset, Offset{0});
  ASSERT_TRUE(published->details);
  ASSERT_EQ(published->details->scheduled.size(), 1u);
  EXPECT_EQ(published->details->scheduled[0].record, 1);
  const auto now = engine_.read_all("orders", 0);
  ASSERT_TRUE(now);
  EXPECT_EQ(*now, (std::vector<Engine::ReadRecord>{{Offset{0}, "a"}, {Offset{2}, "c"}}));
  pass(seconds(2));
  EXPECT_EQ(values_in(engine_, "orders"), (Values{"a", "c", "b"}));
}

TEST_F(ScheduleTest, headers_are_only_headers_unless_somebody_asks) {
  ASSERT_TRUE(engine_.append_batch("orders", 0, batch_of_records({record_with("a", delayed(seconds(9)))})));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"a"});
  ASSERT_TRUE(engine_.alter("orders", {{"record.headers", "true"}}));
  ASSERT_TRUE(engine_.append_batch("orders", 0, batch_of_records({record_with("b", delayed(seconds(9)))})));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"a"});
  pass(seconds(10));
  EXPECT_EQ(values_in(engine_, "orders"), (Values{"a", "b"}));
}

TEST_F(ScheduleTest, waits_over_restarts_and_delivers_what_became_due_meanwhile) {
  for (int i = 0; i < 20; ++i) schedule(engine_, "orders", "r" + std::to_string(i), seconds(10 + i));
  pass(milliseconds(14'500));
  EXPECT_EQ(values_in(engine_, "orders"), numbered("r", 0, 5));
  restart();
  EXPECT_EQ(waiting_ids(engine_).size(), 15u);
  ASSERT_TRUE(engine_.stop());
  engine_.set_wall_at_open(Timestamp(milliseconds(1'700'000'000'000)) + seconds(25));
  ASSERT_TRUE(engine_.open());
  pass(milliseconds(200));
  EXPECT_EQ(values_in(engine_, "orders"), numbered("r", 0, 16));
  pass(seconds(60));
  EXPECT_EQ(values_in(engine_, "orders"), numbered("r", 0, 20));
}

TEST_F(ScheduleTest, a_cancelled_record_never_comes_not_even_after_a_restart) {
  const ScheduledId first = schedule(engine_, "orders", "first", seconds(10));
  const ScheduledId second = schedule(engine_, "orders", "second", seconds(11));
  const auto cancelled = cancel(engine_, first);
  ASSERT_TRUE(cancelled) << cancelled.error().to_string();
  EXPECT_EQ(cancelled->topic, "orders");
  EXPECT_EQ(waiting_ids(engine_), Values{second.to_string()});
  EXPECT_EQ(cancel(engine_, first).error().code, Errc::not_found);
  engine_.die();
  ASSERT_TRUE(engine_.open());
  EXPECT_EQ(waiting_ids(engine_), Values{second.to_string()});
  pass(seconds(20));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"second"});
  EXPECT_EQ(cancel(engine_, second).error().code, Errc::not_found);
  EXPECT_EQ(cancel(engine_, {3, 999'999}).error().code, Errc::not_found);
  EXPECT_EQ(cancel(engine_, {77, 1}).error().code, Errc::not_found);
}

TEST_F(ScheduleTest, is_listed_by_due_time_in_pages) {
  ASSERT_TRUE(engine_.create("other"));
  for (int i = 0; i < 10; ++i) schedule(engine_, i % 2 == 0 ? "orders" : "other", "r", seconds(100 - i), i % 4 / 2 * (i % 2 == 0 ? 1 : 0));
  ScheduleQuery query;
  query.limit = 3;
  std::vector<Timestamp> dues;
  do {
    const auto page = list_schedule(engine_, query);
    ASSERT_TRUE(page);
    EXPECT_LE(page->records.size(), 3u);
    for (const ScheduledInfo& info : page->records) dues.push_back(info.due);
    query.page = page->next;
  } while (!query.page.empty());
  EXPECT_EQ(dues.size(), 10u);
  EXPECT_TRUE(std::ranges::is_sorted(dues));
  EXPECT_EQ(waiting_ids(engine_, "other").size(), 5u);
  EXPECT_EQ(waiting_ids(engine_, "nothing").size(), 0u);
  query.page = "what?";
  EXPECT_EQ(list_schedule(engine_, query).error().code, Errc::invalid_argument);
  const ScheduleStatus status = schedule_status(engine_);
  ASSERT_EQ(status.topics.size(), 2u);
  EXPECT_EQ(status.topics[0].topic, "orders");
  EXPECT_EQ(status.topics[0].waiting, 5u);
}

TEST_F(ScheduleTest, a_record_whose_topic_is_gone_is_shown_as_failed_until_it_is_cancelled) {
  ASSERT_TRUE(engine_.create("doomed"));
  const ScheduledId id = schedule(engine_, "doomed", "lost?", seconds(5));
  ASSERT_TRUE(engine_.remove("doomed"));
  pass(seconds(10));
  for (int start = 0; start < 2; ++start) {
    const auto page = list_schedule(engine_);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->records.size(), 1u);
    EXPECT_EQ(page->records[0].id, id) << "the id stays";
    EXPECT_EQ(page->records[0].state, ScheduledInfo::State::failed);
    EXPECT_EQ(page->records[0].reason, "unknown_topic");
    EXPECT_EQ(page->records[0].topic, "doomed");
    restart();
  }
  ASSERT_TRUE(cancel(engine_, id));
  EXPECT_TRUE(waiting_ids(engine_).empty());
}

TEST_F(ScheduleTest, a_topic_that_takes_nothing_is_tried_again) {
  schedule(engine_, "orders", "patient", seconds(1));
  disk_.set_capacity(1);
  pass(seconds(3));
  EXPECT_EQ(end_of("orders"), Offset{0});
  disk_.set_capacity(SimulatedFileSystem::kDefaultCapacity);
  pass(seconds(10));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"patient"});
}

TEST_F(ScheduleTest, a_record_too_large_for_its_topic_by_now_fails) {
  schedule(engine_, "orders", std::string(5000, 'x'), seconds(1));
  schedule(engine_, "orders", "small", seconds(1));
  ASSERT_TRUE(engine_.alter("orders", {{"max.message.bytes", "1024"}}));
  pass(seconds(10));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"small"});
  const auto page = list_schedule(engine_);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->records.size(), 1u);
  EXPECT_EQ(page->records[0].reason, "batch_too_large");
}

TEST_F(ScheduleTest, a_repeat_of_a_producer_schedules_nothing_twice) {
  const auto producer = engine_.init_producer();
  ASSERT_TRUE(producer);
  const std::vector<TestRecord> records = {record_with("a", delayed(seconds(5))), record_with("b")};
  const Slice batch = numbered_batch(records, producer->id, 0);
  const auto first = publish_batch(engine_, "orders", 0, batch);
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->duplicate);
  for (int start = 0; start < 2; ++start) {
    const auto again = publish_batch(engine_, "orders", 0, batch);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_TRUE(again->duplicate);
    ASSERT_TRUE(again->details);
    EXPECT_EQ(again->details->scheduled.at(0).id, first->details->scheduled.at(0).id);
    engine_.die();
    ASSERT_TRUE(engine_.open());
  }
  pass(seconds(10));
  EXPECT_EQ(values_in(engine_, "orders"), (Values{"b", "a"}));
  // The sequence goes on behind it.
  ASSERT_TRUE(publish_batch(engine_, "orders", 0, numbered_batch({record_with("c")}, producer->id, 2)));
}

TEST_F(ScheduleTest, a_wholly_delayed_batch_uses_up_its_sequences_and_no_offset) {
  const auto producer = engine_.init_producer();
  ASSERT_TRUE(producer);
  const Slice delayed_batch = numbered_batch({record_with("later", delayed(seconds(50)))}, producer->id, 0);
  const auto first = publish_batch(engine_, "orders", 0, delayed_batch);
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(first->base_offset, Offset{-1});
  EXPECT_EQ(end_of("orders"), Offset{0});
  engine_.die();
  ASSERT_TRUE(engine_.open());
  const auto again = publish_batch(engine_, "orders", 0, delayed_batch);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->duplicate);
  const auto next = publish_batch(engine_, "orders", 0, numbered_batch({record_with("now")}, producer->id, 1));
  ASSERT_TRUE(next) << next.error().to_string();
  EXPECT_EQ(next->base_offset, Offset{0});
  EXPECT_EQ(waiting_ids(engine_).size(), 1u);
}

/// A repeat comes when the time asked for has passed: it is known, not refused.
TEST_F(ScheduleTest, a_late_repeat_is_known) {
  const auto producer = engine_.init_producer();
  ASSERT_TRUE(producer);
  const std::string soon = std::to_string(1'700'000'000'000 + 2000);
  const Slice batch = numbered_batch({record_with("x", {{std::string(kDeliverAtHeader), soon}})}, producer->id, 0);
  ASSERT_TRUE(publish_batch(engine_, "orders", 0, batch));
  pass(seconds(5));
  const auto again = publish_batch(engine_, "orders", 0, batch);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->duplicate);
  const Slice other = numbered_batch({record_with("y", {{std::string(kDeliverAtHeader), soon}})}, producer->id, 1);
  EXPECT_EQ(publish_batch(engine_, "orders", 0, other).error().code, Errc::invalid_argument);
  pass(seconds(5));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"x"});
}

/// Old records with a far horizon do not hold up the log of the schedule: they are written anew, and keep their ids.
TEST_F(ScheduleTest, stragglers_do_not_pin_the_schedule) {
  std::vector<ScheduledId> far;
  for (int i = 0; i < 5; ++i) far.push_back(schedule(engine_, "orders", "far" + std::to_string(i), hours(24 * 365)));
  std::vector<TestRecord> many(4000, record_with("near", delayed(seconds(1))));
  std::int64_t published = 0;
  for (; published <= Scheduler::kWindowMin + 8000; published += 4000) {
    ASSERT_TRUE(publish(engine_, "orders", 0, many));
    pass(seconds(3));
  }
  pass(seconds(5));
  const auto lanes = engine_.describe(std::string(kScheduleTopic));
  ASSERT_TRUE(lanes);
  std::int64_t pinned = 0;
  for (const PartitionInfo& lane : *lanes) pinned += lane.end - lane.log_start;
  EXPECT_LT(pinned, Scheduler::kWindowMin);
  std::vector<std::string> ids;
  for (const ScheduledId& id : far) ids.push_back(id.to_string());
  EXPECT_EQ(waiting_ids(engine_), ids);
  engine_.die();
  ASSERT_TRUE(engine_.open());
  EXPECT_EQ(waiting_ids(engine_), ids);
  ASSERT_TRUE(cancel(engine_, far[2])) << "by the id it got first";
  EXPECT_EQ(waiting_ids(engine_).size(), 4u);
  EXPECT_EQ(end_of("orders").value, published);
}

TEST_F(ScheduleTest, nobody_else_writes_to_its_topic) {
  const std::string lanes(kScheduleTopic);
  schedule(engine_, "orders", "later", seconds(5));
  EXPECT_EQ(engine_.append(lanes, 0, {"x"}).error().code, Errc::invalid_argument);
  EXPECT_EQ(engine_.trim(lanes, 0, Offset{1}).error().code, Errc::invalid_argument);
  EXPECT_EQ(engine_.remove(lanes).error().code, Errc::invalid_argument);
}

/// The refusal of a due record is on record before it can be cancelled: no restart brings it back.
TEST_F(ScheduleTest, a_record_that_was_refused_can_be_cancelled_for_good) {
  const ScheduledId id = schedule(engine_, "orders", "unwanted", seconds(1));
  const ScheduledId other = schedule(engine_, "orders", "wanted", seconds(1));
  disk_.set_capacity(1);
  pass(seconds(3));
  const auto page = list_schedule(engine_);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->records.size(), 2u);
  EXPECT_EQ(page->records[0].state, ScheduledInfo::State::retrying);
  EXPECT_NE(page->records[0].reason.find("disk_full"), std::string::npos);
  disk_.set_capacity(SimulatedFileSystem::kDefaultCapacity);
  ASSERT_TRUE(cancel(engine_, id));
  engine_.die();
  ASSERT_TRUE(engine_.open());
  pass(seconds(20));
  EXPECT_EQ(values_in(engine_, "orders"), Values{"wanted"});
  EXPECT_EQ(cancel(engine_, other).error().code, Errc::not_found);
}

TEST_F(ScheduleTest, more_records_than_memory_allows_are_refused) {
  ASSERT_TRUE(engine_.stop());
  SimulatedFileSystem disk;
  Engine::Options options;
  options.broker.memory_limit_bytes = 1024 * 1024;
  Engine small(disk, options);
  ASSERT_TRUE(small.open());
  ASSERT_TRUE(small.create("orders", 1));
  const std::uint64_t most = schedule_status(small).records_max;
  std::uint64_t taken = 0;
  for (;;) {
    const auto published = publish(small, "orders", 0, std::vector<TestRecord>(500, record_with("x", delayed(hours(1)))));
    if (!published) {
      EXPECT_EQ(published.error().code, Errc::overloaded);
      break;
    }
    taken += 500;
    ASSERT_LE(taken, most);
  }
  EXPECT_GT(taken + 500, most);
}

TEST(ScheduledId, reads_back_what_it_prints) {
  const ScheduledId id{3, 1042};
  EXPECT_EQ(id.to_string(), "3-1042");
  EXPECT_EQ(ScheduledId::parse("3-1042"), id);
  for (const char* const bad : {"", "3", "3-", "-1-2", "3-x", "3-1 ", "3--1", "99999999999-1"})
    EXPECT_FALSE(ScheduledId::parse(bad)) << bad;
}

}  // namespace
}  // namespace tidemark::broker
