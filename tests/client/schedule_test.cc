#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"

namespace tidemark {
namespace {

class ScheduleTest : public ClientFixture {
 protected:
  void SetUp() override { create("orders"); }
};

TEST_F(ScheduleTest, a_delayed_record_is_answered_with_an_id) {
  Client client(options());
  Producer producer = must(client.producer("orders"));
  const Stored stored = must(producer.send({.value = "later", .delay = std::chrono::hours(1)}));
  EXPECT_FALSE(stored.scheduled.empty());
  EXPECT_EQ(stored.offset, Offset{-1});
  EXPECT_FALSE(stored.duplicate);
  EXPECT_EQ(stored.durability, "fsync");
  EXPECT_GT(stored.due, stored.timestamp);

  Admin admin = client.admin();
  const ScheduledPage page = must(admin.list_scheduled("orders"));
  ASSERT_EQ(page.records.size(), 1U);
  EXPECT_EQ(page.records[0].id, stored.scheduled);
  EXPECT_EQ(page.records[0].due, stored.due);
  EXPECT_EQ(must(admin.async_count_scheduled(asio::use_future).get()).at(0).waiting, 1U);
  EXPECT_EQ(must(admin.cancel_scheduled(stored.scheduled)).topic, "orders");
  EXPECT_TRUE(must(admin.list_scheduled()).records.empty());
  EXPECT_TRUE(contents("orders")[0].empty());
}

TEST_F(ScheduleTest, a_short_delay_passes) {
  Client client(options());
  Producer producer = must(client.producer("orders"));
  Reader reader = must(client.reader("orders", {.from = Position::earliest()}));
  const Stored stored = must(producer.send({.value = "soon", .delay = 50ms}));
  const std::optional<Message> message = must(reader.next(kLong));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->value(), "soon");
  EXPECT_TRUE(message->headers().empty());
  EXPECT_GE(std::chrono::system_clock::now(), stored.due);
}

/// Records of one batch, each with an answer of its own.
TEST_F(ScheduleTest, immediate_and_delayed_records_mix) {
  Client client(options());
  Producer producer = must(client.producer("orders", {.linger = 20ms}));
  std::vector<Stored> answers(4);
  const auto post = [&](std::size_t index, const Record& record) {
    ASSERT_TRUE(producer.try_post(record, [&answers, index](const Result<Stored>& stored) {
      ASSERT_TRUE(stored) << stored.error().to_string();
      answers[index] = *stored;
    }));
  };
  post(0, {.value = "a", .priority = 9});
  post(1, {.value = "b", .delay = std::chrono::hours(1)});
  post(2, {.value = "c", .dedup_id = "x"});
  post(3, {.value = "d", .dedup_id = "x"});
  must(producer.flush());
  EXPECT_EQ(contents("orders")[0], (Strings{"a", "c"}));
  EXPECT_TRUE(answers[0].scheduled.empty());
  EXPECT_FALSE(answers[1].scheduled.empty());
  EXPECT_EQ(answers[3].offset, answers[2].offset);
  EXPECT_FALSE(answers[2].duplicate);
  EXPECT_TRUE(answers[3].duplicate);
}

TEST_F(ScheduleTest, headers_of_records_that_ask_for_nothing_stay_headers) {
  Client client(options());
  Producer producer = must(client.producer("orders", {.linger = 20ms}));
  const std::vector<Header> headers = {{.name = "tidemark-delay", .value = "1h"}};
  ASSERT_TRUE(producer.try_post({.value = "a", .headers = headers}));
  ASSERT_TRUE(producer.try_post({.value = "b", .dedup_id = "x"}));
  must(producer.flush());
  EXPECT_EQ(contents("orders")[0], (Strings{"a", "b"}));
}

TEST_F(ScheduleTest, what_makes_no_sense_fails_alone) {
  Client client(options());
  Producer producer = must(client.producer("orders"));
  const auto code = [&](const Record& record) { return producer.send(record).error().code; };
  EXPECT_EQ(code({.value = "x", .delay = -1ms}), Errc::invalid_argument);
  EXPECT_EQ(code({.value = "x", .delay = std::chrono::hours(24 * 4000)}), Errc::invalid_argument);
  EXPECT_EQ(code({.value = "x", .delay = 1s, .deliver_at = Timestamp(1s)}), Errc::invalid_argument);
  EXPECT_EQ(code({.value = "x", .deliver_at = Timestamp(1s)}), Errc::invalid_argument);
  EXPECT_EQ(code({.value = "x", .dedup_id = ""}), Errc::invalid_argument);
  EXPECT_EQ(code({.value = "x", .priority = 10}), Errc::invalid_argument);
  EXPECT_EQ(must(producer.send({.value = "y"})).offset, Offset{0});
}

}  // namespace
}  // namespace tidemark
