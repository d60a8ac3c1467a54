#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"

namespace tidemark {
namespace {

class ReaderTest : public ClientFixture {
 protected:
  void fill(const std::string& topic, int from, int to, const ProducerOptions& how = {}) {
    Client client(options());
    Producer producer = must(client.producer(topic, how));
    for (int i = from; i < to; ++i) {
      EXPECT_TRUE(producer.try_post({.value = std::to_string(i), .timestamp = Timestamp(std::chrono::milliseconds(1000 + i))}));
    }
    must(producer.flush());
  }
  Strings read(const std::string& topic, Position from, Position to) {
    Client client(options());
    Reader reader = must(client.reader(topic, {.from = from, .to = to}));
    Strings values;
    while (const auto message = must(reader.next(kLong))) values.emplace_back(message->value().value_or("(null)"));
    return values;
  }
  Errc refused(const std::string& topic, const ReaderOptions& how) {
    Client client(options());
    const auto reader = client.reader(topic, how);
    return reader ? Errc{} : reader.error().code;
  }
};

TEST_F(ReaderTest, starts_and_stops_where_it_is_told) {
  create("log");
  fill("log", 0, 50, {.batch_bytes = 300});
  EXPECT_EQ(read("log", Position::earliest(), Position::latest()), numbers(0, 50));
  EXPECT_EQ(read("log", Position::at(17), Position::at(19)), numbers(17, 19));
  EXPECT_EQ(read("log", Position::before_end(3), Position::latest()), numbers(47, 50));
  EXPECT_EQ(read("log", Position::after_start(48), Position::latest()), numbers(48, 50));
  EXPECT_EQ(read("log", Position::before_end(100), Position::after_start(2)), numbers(0, 2));
  EXPECT_EQ(read("log", Position::at_time(Timestamp(1030ms)), Position::at_time(Timestamp(1033ms))), numbers(30, 33));
  EXPECT_EQ(read("log", Position::at_time(Timestamp(999'999ms)), Position::latest()), Strings{});
  EXPECT_EQ(read("log", Position::at(20), Position::at(20)), Strings{});
  EXPECT_EQ(read("log", Position::ago(1h), Position::latest()), Strings{});
}

TEST_F(ReaderTest, reads_all_partitions_or_those_named) {
  create("log", 3);
  fill("log", 0, 300, {.batch_bytes = 300});
  std::size_t all = 0;
  for (const auto& [partition, values] : contents("log")) all += values.size();
  EXPECT_EQ(all, 300U);

  Client client(options());
  Reader one = must(client.reader("log", {.from = Position::earliest(), .to = Position::latest(), .partitions = {1}}));
  std::size_t of_one = 0;
  while (const auto message = must(one.next(kLong))) {
    EXPECT_EQ(message->partition(), 1);
    EXPECT_EQ(message->offset(), Offset{static_cast<std::int64_t>(of_one++)});
  }
  EXPECT_EQ(of_one, contents("log")[1].size());
  EXPECT_EQ(one.position(1), Offset{static_cast<std::int64_t>(of_one)});
  EXPECT_EQ(one.position(0), std::nullopt);
}

TEST_F(ReaderTest, gets_what_arrives_later_without_asking) {
  create("log");
  Client client(options());
  Reader reader = must(client.reader("log"));
  EXPECT_EQ(must(reader.next(0ms)), std::nullopt);
  EXPECT_FALSE(reader.finished());
  auto waiting = reader.async_next(asio::use_future);
  fill("log", 0, 3);
  EXPECT_EQ(must(waiting.get())->value(), "0");
  EXPECT_EQ(must(reader.next(kLong))->value(), "1");
  EXPECT_EQ(must(reader.next(kLong))->value(), "2");
  EXPECT_EQ(must(reader.next(0ms)), std::nullopt);
}

TEST_F(ReaderTest, reads_more_than_its_buffer_holds) {
  create("log", 2);
  fill("log", 0, 40'000, {.batch_bytes = 10'000});
  Client client(options());
  Reader reader = must(client.reader("log", {.from = Position::earliest(), .to = Position::latest(), .buffer_bytes = 1}));
  std::size_t seen = 0;
  while (must(reader.next(kLong))) ++seen;
  EXPECT_EQ(seen, 40'000U);
}

TEST_F(ReaderTest, messages_outlive_reader_and_client) {
  create("log");
  fill("log", 0, 2);
  Message kept;
  {
    Client client(options());
    Reader reader = must(client.reader("log", {.from = Position::earliest()}));
    kept = *must(reader.next(kLong));
  }
  EXPECT_EQ(kept.value(), "0");
  EXPECT_EQ(kept.topic(), "log");
}

TEST_F(ReaderTest, is_refused_a_start_outside_the_log) {
  create("log");
  fill("log", 0, 10);
  EXPECT_EQ(refused("log", {.from = Position::at(11)}), Errc::offset_out_of_range);
  EXPECT_EQ(refused("log", {.from = Position::at(10)}), Errc{});  // The end: nothing yet.
  EXPECT_EQ(refused("log", {.partitions = {1}}), Errc::unknown_partition);
  EXPECT_EQ(refused("lag", {}), Errc::unknown_topic);
  EXPECT_EQ(refused("log", {.from = Position{.kind = Position::Kind::committed}}), Errc::invalid_argument);
}

TEST_F(ReaderTest, tells_once_that_its_topic_was_deleted) {
  create("log");
  Client client(options());
  Reader reader = must(client.reader("log"));
  must(client.admin().delete_topic("log"));
  const auto ended = reader.next(kLong);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Errc::unknown_topic);
  EXPECT_TRUE(reader.finished());
  EXPECT_EQ(must(reader.next(kLong)), std::nullopt);
}

TEST_F(ReaderTest, close_ends_a_waiting_call) {
  create("log");
  Client client(options());
  Reader reader = must(client.reader("log"));
  auto waiting = reader.async_next(asio::use_future);
  EXPECT_EQ(reader.async_next(asio::use_future).get().error().code, Errc::conflict);
  std::thread blocked([&] { EXPECT_EQ(reader.next(kLong).error().code, Errc::cancelled); });
  reader.close();
  EXPECT_EQ(waiting.get().error().code, Errc::cancelled);
  blocked.join();
}

TEST_F(ReaderTest, a_cancelled_wait_takes_no_message_with_it) {
  create("log");
  Client client(options());
  Reader reader = must(client.reader("log"));
  for (int round = 0; round < 20; ++round) {
    asio::io_context loop;
    asio::cancellation_signal signal;
    std::optional<std::string> got;
    reader.async_next(
        asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(loop, [&](const Result<std::optional<Message>>& next) {
                                       if (next && *next) got = (*next)->value();
                                     })));
    std::thread writer([&] { fill("log", round, round + 1); });
    signal.emit(asio::cancellation_type::terminal);
    loop.run();
    writer.join();
    if (!got) got = must(reader.next(kLong))->value();
    EXPECT_EQ(got, std::to_string(round));
  }
}

}  // namespace
}  // namespace tidemark
