#include <array>
#include <atomic>
#include <random>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"
#include "tests/client/cutting_proxy.h"

namespace tidemark {
namespace {

class Reconnect : public ClientFixture {
 protected:
  /// Posts as fast as the buffer lets it.
  static void post(Producer& producer, int from, int to, std::atomic<int>& failed) {
    for (int i = from; i < to; ++i) {
      const std::string value = std::to_string(i);
      const auto note = [&failed](const Result<Stored>& stored) {
        if (!stored) ++failed;
      };
      while (!producer.try_post({.value = value}, note)) must(producer.flush());
    }
  }
};

TEST_F(Reconnect, a_producer_stores_all_once_and_in_order_across_restarts) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log", {.batch_bytes = 500}));
  std::atomic<int> failed = 0;
  for (int round = 0; round < 3; ++round) {
    post(producer, round * 2000, round * 2000 + 1000, failed);
    broker_.stop();
    post(producer, round * 2000 + 1000, round * 2000 + 2000, failed);
    broker_.start();
  }
  must(producer.flush());
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(contents("log")[0], numbers(0, 6000));
}

TEST_F(Reconnect, a_reader_skips_and_repeats_nothing_across_restarts) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log", {.batch_bytes = 500}));
  Reader reader = must(client.reader("log", {.from = Position::earliest(), .buffer_bytes = 1}));
  std::atomic<int> failed = 0;
  int next = 0;
  for (int round = 0; round < 3; ++round) {
    post(producer, round * 1000, round * 1000 + 1000, failed);
    must(producer.flush());
    for (; next < round * 1000 + 500; ++next) ASSERT_EQ(must(reader.next(kLong))->value(), std::to_string(next));
    broker_.stop();
    broker_.start();
  }
  for (; next < 3000; ++next) ASSERT_EQ(must(reader.next(kLong))->value(), std::to_string(next));
  EXPECT_EQ(reader.position(0), Offset{3000});
}

TEST_F(Reconnect, calls_that_only_look_are_repeated) {
  create("log");
  Client client(options());
  must(client.connect());
  broker_.stop();
  std::thread later([&] { broker_.start(); });
  EXPECT_EQ(must(client.admin().describe_topic("log")).name, "log");
  later.join();
}

/// The connection breaks after a random number of bytes, again and again: in the middle of a request, of an answer, of a delivery.
TEST_F(Reconnect, exactly_once_in_order_over_a_connection_that_keeps_breaking) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string topic = "log-" + std::to_string(seed);
    create(topic, 2);
    std::mt19937 random(seed);
    CuttingProxy proxy(broker_.port(), [&](int connection) {
      if (connection >= 40) return CuttingProxy::Budget{};
      const bool request = random() % 2 == 0;
      const std::size_t bytes = 200 + random() % 8000;
      return request ? CuttingProxy::Budget{.to_broker = bytes} : CuttingProxy::Budget{.to_client = bytes};
    });
    ClientOptions through = options();
    through.server = proxy.address();
    through.reconnect_backoff_min = 1ms;
    through.reconnect_backoff_max = 2ms;
    Client client(through);
    Producer producer = must(client.producer(topic, {.batch_bytes = 300}));
    Reader reader = must(client.reader(topic, {.from = Position::earliest(), .buffer_bytes = 1}));
    std::atomic<int> failed = 0;
    constexpr int kRecords = 1500;
    std::thread sender([&] {
      for (int i = 0; i < kRecords; ++i) {
        const std::string value = std::to_string(i);
        const auto note = [&](const Result<Stored>& stored) {
          if (!stored) ++failed;
        };
        EXPECT_TRUE(producer.try_post({.value = value, .partition = i % 2}, note));
      }
      must(producer.flush());
    });
    std::array<int, 2> next{0, 1};
    for (int i = 0; i < kRecords; ++i) {
      const auto message = must(reader.next(kLong));
      ASSERT_TRUE(message);
      int& expected = next[static_cast<std::size_t>(message->partition())];
      ASSERT_EQ(message->value(), std::to_string(expected));
      expected += 2;
    }
    sender.join();
    EXPECT_EQ(failed, 0);
    const auto stored = contents(topic);
    EXPECT_EQ(stored.at(0).size() + stored.at(1).size(), static_cast<std::size_t>(kRecords));
  }
}

TEST_F(Reconnect, connect_fails_at_once_where_nobody_listens) {
  asio::io_context loop;
  asio::ip::tcp::acceptor taken(loop, {asio::ip::make_address("127.0.0.1"), 0});
  ClientOptions nobody = options();
  nobody.server = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
  taken.close();
  Client client(nobody);
  const Status refused = client.connect();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::cannot_connect);
  EXPECT_NE(refused.error().detail.find(nobody.server), std::string::npos);
}

TEST_F(Reconnect, a_call_waits_for_a_connection_no_longer_than_the_request_timeout) {
  ClientOptions nobody = options();
  nobody.request_timeout = 100ms;
  broker_.stop();
  Client client(nobody);
  const auto unanswered = client.admin().status();
  ASSERT_FALSE(unanswered);
  EXPECT_EQ(unanswered.error().code, Errc::cannot_connect);
  EXPECT_FALSE(unanswered.error().maybe_done);
  broker_.start();
}

/// Takes connections and never says a word.
TEST_F(Reconnect, a_silent_peer_is_given_up_after_the_connect_timeout) {
  asio::io_context loop;
  asio::ip::tcp::acceptor silent(loop, {asio::ip::make_address("127.0.0.1"), 0});
  ClientOptions mute = options();
  mute.server = "127.0.0.1:" + std::to_string(silent.local_endpoint().port());
  mute.connect_timeout = 50ms;
  Client client(mute);
  EXPECT_EQ(client.connect().error().code, Errc::cannot_connect);
}

TEST_F(Reconnect, a_malformed_address_is_told_by_the_first_call) {
  ClientOptions malformed = options();
  malformed.server = "localhost";
  Client client(malformed);
  EXPECT_EQ(client.connect().error().code, Errc::invalid_argument);
  EXPECT_EQ(client.admin().status().error().code, Errc::invalid_argument);
}

TEST_F(Reconnect, a_name_is_tried_at_all_its_addresses) {
  create("log");
  ClientOptions named = options();  // "localhost" is ::1 first on many machines, and the broker listens on 127.0.0.1 only.
  named.server = "localhost:" + std::to_string(broker_.port());
  Client client(named);
  EXPECT_EQ(must(client.admin().describe_topic("log")).name, "log");
}

}  // namespace
}  // namespace tidemark
