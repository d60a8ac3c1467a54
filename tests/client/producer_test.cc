#include <algorithm>
#include <atomic>
#include <future>
#include <latch>
#include <random>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"

namespace tidemark {
namespace {

class ProducerTest : public ClientFixture {};

TEST_F(ProducerTest, says_where_a_record_lies_and_how_durable_it_is) {
  create("orders", 3);
  Client client(options());
  Producer producer = must(client.producer("orders"));
  const Stored first = must(producer.send({.key = "k", .value = "a"}));
  const Stored second = must(producer.send({.key = "k", .value = "b", .timestamp = Timestamp(1234ms)}));
  EXPECT_EQ(first.topic, "orders");
  EXPECT_EQ(first.partition, partition_for_key("k", 3));
  EXPECT_EQ(first.offset, Offset{0});
  EXPECT_EQ(first.durability, "fsync");
  EXPECT_FALSE(first.duplicate);
  EXPECT_EQ(second.offset, Offset{1});
  EXPECT_EQ(second.timestamp, Timestamp(1234ms));
}

TEST_F(ProducerTest, stores_records_byte_for_byte) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders"));
  const std::string binary("\0\xff\r\n", 4);
  const std::vector<Header> headers = {{.name = "a", .value = "1"}, {.name = "none"}, {.name = "a", .value = ""}};
  must(producer.send({.key = binary, .value = binary, .headers = headers, .timestamp = Timestamp(7ms)}));
  must(producer.send({.value = ""}));
  must(producer.send({.key = "tombstone"}));

  const Fetched fetched = must(client.admin().fetch("orders", 0, Offset{0}));
  ASSERT_EQ(fetched.messages.size(), 3U);
  const Message& message = fetched.messages[0];
  EXPECT_EQ(message.topic(), "orders");
  EXPECT_EQ(message.key(), binary);
  EXPECT_EQ(message.value(), binary);
  EXPECT_EQ(message.timestamp(), Timestamp(7ms));
  ASSERT_EQ(message.headers().size(), 3U);
  EXPECT_EQ(message.headers()[1].name, "none");
  EXPECT_EQ(message.headers()[1].value, std::nullopt);
  EXPECT_EQ(message.header("a"), "");
  EXPECT_EQ(fetched.messages[1].value(), "");
  EXPECT_EQ(fetched.messages[1].key(), std::nullopt);
  EXPECT_EQ(fetched.messages[2].value(), std::nullopt);
}

class Compressed : public ClientFixture, public testing::WithParamInterface<Codec> {};

TEST_P(Compressed, records_come_back) {
  create("packed");
  Client client(options());
  Producer producer = must(client.producer("packed", {.codec = GetParam()}));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(producer.try_post({.value = std::to_string(i)}));
  must(producer.flush());
  EXPECT_EQ(contents("packed")[0], numbers(0, 1000));
}

INSTANTIATE_TEST_SUITE_P(, Compressed, testing::Values(Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd),
                         [](const auto& test_case) { return std::string(to_string(test_case.param)); });

TEST_F(ProducerTest, keeps_the_order_of_a_partition_and_calls_back_in_it) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders", {.batch_bytes = 1000}));
  std::vector<std::int64_t> offsets;
  for (int i = 0; i < 5000; ++i) {
    const auto note = [&](const Result<Stored>& stored) { offsets.push_back(stored ? stored->offset.value : -1); };
    EXPECT_TRUE(producer.try_post({.value = std::to_string(i)}, note));
  }
  must(producer.flush());
  ASSERT_EQ(offsets.size(), 5000U);
  for (std::size_t i = 0; i < offsets.size(); ++i) ASSERT_EQ(offsets[i], static_cast<std::int64_t>(i));
  EXPECT_EQ(contents("orders")[0], numbers(0, 5000));
  EXPECT_EQ(producer.buffered_bytes(), 0U);
}

TEST_F(ProducerTest, spreads_records_without_a_key_over_the_partitions) {
  create("orders", 4);
  Client client(options());
  Producer producer = must(client.producer("orders", {.batch_bytes = 500}));
  for (int i = 0; i < 2000; ++i) EXPECT_TRUE(producer.try_post({.value = "0123456789"}));
  must(producer.flush());
  EXPECT_EQ(contents("orders").size(), 4U);
}

TEST_F(ProducerTest, obeys_a_named_partition_and_a_partitioner) {
  create("orders", 4);
  Client client(options());
  Producer named = must(client.producer("orders"));
  EXPECT_EQ(must(named.send({.key = "k", .value = "a", .partition = 3})).partition, 3);
  const auto second = [](const Record&, std::int32_t) { return 2; };
  Producer chosen = must(client.producer("orders", {.partitioner = second}));
  EXPECT_EQ(must(chosen.send({.key = "k", .value = "a"})).partition, 2);

  const auto beyond = named.send({.value = "a", .partition = 4});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, Errc::unknown_partition);
  const auto wild = [](const Record&, std::int32_t partitions) { return partitions; };
  Producer astray = must(client.producer("orders", {.partitioner = wild}));
  EXPECT_EQ(astray.send({.value = "a"}).error().code, Errc::invalid_argument);
}

TEST_F(ProducerTest, refuses_a_record_above_the_topics_limit_and_goes_on) {
  create("small", 1, {{"max.message.bytes", "2000"}});
  Client client(options());
  Producer producer = must(client.producer("small"));
  const auto large = producer.send({.value = std::string(4000, 'x')});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::batch_too_large);
  EXPECT_FALSE(large.error().maybe_done);
  EXPECT_EQ(must(producer.send({.value = "fits"})).offset, Offset{0});
}

TEST_F(ProducerTest, goes_on_after_a_batch_that_the_broker_refuses) {
  create("small", 1, {{"max.message.bytes", "5000"}});
  Client client(options());
  // Random bytes do not pack: only the broker finds out that the batch is too large.
  Producer producer = must(client.producer("small", {.codec = Codec::zstd}));
  std::string noise(20'000, '\0');
  std::mt19937 random(1);
  for (char& byte : noise) byte = static_cast<char>(random());
  std::vector<Errc> errors;
  const auto note = [&](const Result<Stored>& stored) { errors.push_back(stored ? Errc{} : stored.error().code); };
  EXPECT_TRUE(producer.try_post({.value = "before"}, note));
  EXPECT_TRUE(producer.try_post({.value = noise}, note));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(producer.try_post({.value = std::to_string(i)}, note));
  const Status flushed = producer.flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, Errc::batch_too_large);
  must(producer.flush());  // Told once.
  EXPECT_EQ(std::ranges::count(errors, Errc::batch_too_large), 1);
  Strings expected{"before"};
  for (const std::string& number : numbers(0, 100)) expected.push_back(number);
  EXPECT_EQ(contents("small")[0], expected);
}

TEST_F(ProducerTest, says_no_instead_of_buffering_beyond_its_bound) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders", {.buffer_bytes = 10'000}));
  broker_.stop();
  int accepted = 0;
  std::atomic<int> stored = 0;
  const auto count = [&](const Result<Stored>& result) { stored += result ? 1 : 0; };
  while (producer.try_post({.value = std::string(100, 'x')}, count)) ++accepted;
  EXPECT_GT(accepted, 10);
  EXPECT_LE(producer.buffered_bytes(), 10'000U);
  auto waiting = producer.async_send({.value = std::string(200, 'y')}, asio::use_future);
  EXPECT_FALSE(producer.try_post({.value = "x"}));  // Not past one that waits.
  broker_.start();
  must(waiting.get());
  must(producer.flush());
  EXPECT_EQ(stored, accepted);
  EXPECT_TRUE(producer.try_post({.value = "x"}));
}

TEST_F(ProducerTest, takes_one_record_above_its_bound_when_it_is_alone) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders", {.buffer_bytes = 10}));
  must(producer.send({.value = std::string(5000, 'x')}));
}

TEST_F(ProducerTest, is_not_made_for_an_unknown_topic_or_with_bad_options) {
  create("orders");
  Client client(options());
  const auto unknown = client.producer("oders");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::unknown_topic);
  EXPECT_NE(unknown.error().detail.find("orders"), std::string::npos);
  EXPECT_EQ(client.producer("orders", {.in_flight_max = 6}).error().code, Errc::invalid_argument);
  EXPECT_EQ(client.producer("orders", {.batch_bytes = 0}).error().code, Errc::invalid_argument);
}

TEST_F(ProducerTest, tells_when_its_topic_was_deleted) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders"));
  must(producer.send({.value = "a"}));
  must(client.admin().delete_topic("orders"));
  const auto gone = producer.send({.value = "b"});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::unknown_topic);
}

TEST_F(ProducerTest, works_without_idempotence) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders", {.idempotent = false}));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(producer.try_post({.value = std::to_string(i)}));
  must(producer.flush());
  EXPECT_EQ(contents("orders")[0], numbers(0, 100));
}

TEST_F(ProducerTest, gives_up_after_the_delivery_timeout) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders", {.delivery_timeout = 200ms}));
  broker_.stop();
  const auto late = producer.send({.value = "a"});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timed_out);
  broker_.start();
  must(client.connect());
  Producer patient = must(client.producer("orders"));
  must(patient.send({.value = "b"}));
}

// --- Completion tokens.

TEST_F(ProducerTest, completes_a_future) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders"));
  auto future = producer.async_send({.value = "a"}, asio::use_future);
  EXPECT_EQ(must(future.get()).offset, Offset{0});
}

TEST_F(ProducerTest, completes_a_callback_on_the_executor_it_is_bound_to) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders"));
  asio::io_context loop;
  bool here = false;
  producer.async_send({.value = "a"}, asio::bind_executor(loop, [&, self = std::this_thread::get_id()](const Result<Stored>& stored) {
                        here = stored.has_value() && std::this_thread::get_id() == self;
                      }));
  loop.run();  // Does not return before: the operation counts as work of the loop.
  EXPECT_TRUE(here);
}

asio::awaitable<int> send_both_ways(Producer& producer) {
  const Record record{.value = "a"};
  const Result<Stored> bare = co_await producer.async_send(record);
  const Result<Stored> named = co_await producer.async_send(record, asio::use_awaitable);
  const Status flushed = co_await producer.async_flush();
  co_return (bare ? 1 : 0) + (named ? 1 : 0) + (flushed ? 1 : 0);
}

TEST_F(ProducerTest, completes_a_coroutine_on_a_loop_of_its_own) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders"));
  asio::io_context loop;
  auto done = asio::co_spawn(loop, send_both_ways(producer), asio::use_future);
  loop.run();
  EXPECT_EQ(done.get(), 3);
}

asio::awaitable<int> everything(Client& client, std::string topic) {
  const Status connected = co_await client.async_connect();
  Admin admin = client.admin();
  NewTopic wanted;
  wanted.name = topic;
  wanted.partitions = 1;
  const Result<TopicDescription> created = co_await admin.async_create_topic(wanted);
  if (!connected || !created) co_return -1;
  Result<Producer> producer = co_await client.async_producer(topic);
  if (!producer) co_return -2;
  const Record record{.value = "a"};
  for (int i = 0; i < 3; ++i) {
    const Result<Stored> stored = co_await producer->async_send(record);
    if (!stored) co_return -3;
  }
  ReaderOptions from_start;
  from_start.from = Position::earliest();
  from_start.to = Position::latest();
  Result<Reader> reader = co_await client.async_reader(topic, from_start);
  if (!reader) co_return -4;
  int seen = 0;
  for (;;) {
    const Result<std::optional<Message>> next = co_await reader->async_next();
    if (!next) co_return -5;
    if (!*next) break;
    ++seen;
  }
  const Status closed = co_await client.async_close();
  if (!closed) co_return -6;
  co_return seen;
}

TEST_F(ProducerTest, needs_no_thread_but_the_callers_loop) {
  asio::io_context loop;
  Client client(loop.get_executor(), options());
  auto done = asio::co_spawn(loop, everything(client, "orders"), asio::use_future);
  loop.run();  // Returns: a closed client leaves no work behind.
  EXPECT_EQ(done.get(), 3);
}

TEST_F(ProducerTest, runs_on_a_pool_of_the_caller) {
  create("orders", 4);
  asio::thread_pool pool(3);
  Client client(pool.get_executor(), options());
  Producer producer = must(client.producer("orders", {.batch_bytes = 2000}));
  constexpr int kSenders = 3, kEach = 2000;
  std::latch all(kSenders * kEach);
  std::atomic<int> failed = 0;
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(producer.try_post({.value = "0123456789"}, [&](const Result<Stored>& stored) {
          if (!stored) ++failed;
          all.count_down();
        }));
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  all.wait();
  EXPECT_EQ(failed, 0);
  std::size_t stored = 0;
  for (const auto& [partition, values] : contents("orders")) stored += values.size();
  EXPECT_EQ(stored, static_cast<std::size_t>(kSenders * kEach));
  client.close();
}

TEST_F(ProducerTest, a_cancelled_send_ends_at_once) {
  create("orders");
  Client client(options());
  Producer producer = must(client.producer("orders"));
  broker_.stop();
  asio::io_context loop;
  asio::cancellation_signal signal;
  std::optional<Errc> ended;
  producer.async_send({.value = "a"},
                      asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(loop, [&](const Result<Stored>& stored) {
                                                     ended = stored ? Errc{} : stored.error().code;
                                                   })));
  signal.emit(asio::cancellation_type::terminal);
  loop.run();
  EXPECT_EQ(ended, Errc::cancelled);
  broker_.start();
}

}  // namespace
}  // namespace tidemark
