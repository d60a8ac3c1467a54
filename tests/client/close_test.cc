#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/client_fixture.h"

namespace tidemark {
namespace {

class Close : public ClientFixture {};

TEST_F(Close, waits_for_records_under_way) {
  create("log");
  std::atomic<int> stored = 0;
  {
    Client client(options());
    Producer producer = must(client.producer("log", {.linger = 1h}));
    for (int i = 0; i < 1000; ++i) {
      EXPECT_TRUE(producer.try_post({.value = "x"}, [&](const Result<Stored>& result) { stored += result ? 1 : 0; }));
    }
  }
  EXPECT_EQ(stored, 1000);
  EXPECT_EQ(contents("log")[0].size(), 1000U);
}

TEST_F(Close, fails_what_cannot_be_sent_before_it_returns) {
  create("log");
  ClientOptions impatient = options();
  impatient.drain_timeout = 50ms;
  Client client(impatient);
  Producer producer = must(client.producer("log"));
  Reader reader = must(client.reader("log"));
  broker_.stop();
  std::atomic<int> told = 0;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(producer.try_post({.value = "x"}, [&](const Result<Stored>& result) {
      if (!result && result.error().code == Errc::cancelled) ++told;
    }));
  }
  auto send = producer.async_send({.value = "x"}, asio::use_future);
  auto next = reader.async_next(asio::use_future);
  auto status = client.admin().async_status(asio::use_future);
  client.close();
  EXPECT_EQ(told, 10);
  EXPECT_EQ(send.get().error().code, Errc::cancelled);
  EXPECT_EQ(next.get().error().code, Errc::cancelled);
  EXPECT_EQ(status.get().error().code, Errc::cancelled);
}

TEST_F(Close, everything_after_it_is_refused) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log"));
  Reader reader = must(client.reader("log"));
  client.close();
  client.close();
  EXPECT_EQ(producer.send({.value = "x"}).error().code, Errc::cancelled);
  EXPECT_FALSE(producer.try_post({.value = "x"}));
  must(producer.flush());  // Nothing is left to wait for.
  EXPECT_EQ(reader.next(kLong).error().code, Errc::cancelled);
  EXPECT_EQ(client.admin().status().error().code, Errc::cancelled);
  EXPECT_EQ(client.connect().error().code, Errc::cancelled);
  EXPECT_EQ(producer.async_send({.value = "x"}, asio::use_future).get().error().code, Errc::cancelled);
  EXPECT_EQ(reader.async_next(asio::use_future).get().error().code, Errc::cancelled);
  EXPECT_EQ(client.admin().async_status(asio::use_future).get().error().code, Errc::cancelled);
  EXPECT_EQ(client.async_producer("log", {}, asio::use_future).get().error().code, Errc::cancelled);
}

TEST_F(Close, handles_that_outlive_the_client_answer_all_the_same) {
  create("log");
  auto client = std::make_unique<Client>(options());
  Producer producer = must(client->producer("log"));
  Reader reader = must(client->reader("log"));
  client.reset();
  EXPECT_EQ(producer.async_send({.value = "x"}, asio::use_future).get().error().code, Errc::cancelled);
  EXPECT_EQ(reader.async_next(asio::use_future).get().error().code, Errc::cancelled);
}

TEST_F(Close, may_come_again_from_the_callbacks_it_runs) {
  create("log");
  ClientOptions impatient = options();
  impatient.drain_timeout = 10ms;
  Client client(impatient);
  Producer producer = must(client.producer("log", {.batch_bytes = 100}));
  broker_.stop();
  int told = 0;
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(producer.try_post({.value = "0123456789"}, [&](const Result<Stored>&) {
      client.close();
      ++told;
    }));
  }
  client.close();
  EXPECT_EQ(told, 5);
}

TEST_F(Close, may_come_from_a_callback) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log"));
  std::promise<int> after_close;
  std::atomic<bool> closed = false;
  std::atomic<int> too_late = 0;
  EXPECT_TRUE(producer.try_post({.value = "first"}, [&](const Result<Stored>&) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(producer.try_post({.value = "more"}, [&](const Result<Stored>&) { too_late += closed ? 1 : 0; }));
    }
    client.close();
    closed = true;
    after_close.set_value(1);
  }));
  after_close.get_future().get();
  client.close();
  EXPECT_EQ(too_late, 0);
}

TEST_F(Close, the_client_may_be_destroyed_in_its_own_callback) {
  create("log");
  auto client = std::make_unique<Client>(options());
  Producer producer = must(client->producer("log"));
  std::promise<void> destroyed;
  EXPECT_TRUE(producer.try_post({.value = "x"}, [&](const Result<Stored>&) {
    client.reset();
    destroyed.set_value();
  }));
  destroyed.get_future().get();
  EXPECT_EQ(producer.send({.value = "x"}).error().code, Errc::cancelled);
}

TEST_F(Close, a_blocking_call_in_a_callback_is_refused_instead_of_waiting_for_itself) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log"));
  std::promise<Errc> answer;
  EXPECT_TRUE(
      producer.try_post({.value = "x"}, [&](const Result<Stored>&) { answer.set_value(producer.send({.value = "y"}).error().code); }));
  EXPECT_EQ(answer.get_future().get(), Errc::conflict);
}

TEST_F(Close, no_callback_runs_after_it_however_the_threads_meet) {
  create("log");
  for (int round = 0; round < 20; ++round) {
    Client client(options());
    Producer producer = must(client.producer("log", {.batch_bytes = 200}));
    std::atomic<bool> closed = false;
    std::atomic<int> too_late = 0, called = 0, accepted = 0;
    std::latch started(2);
    std::thread sender([&] {
      started.arrive_and_wait();
      for (int i = 0; i < 500; ++i) {
        const auto note = [&](const Result<Stored>&) {
          too_late += closed ? 1 : 0;
          ++called;
        };
        if (producer.try_post({.value = "0123456789"}, note)) ++accepted;
      }
    });
    started.arrive_and_wait();
    client.close();
    closed = true;
    sender.join();
    EXPECT_EQ(too_late, 0);
    EXPECT_EQ(called, accepted);
  }
}

TEST_F(Close, from_several_threads_at_once) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log"));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(producer.try_post({.value = "x"}));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { client.close(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(producer.buffered_bytes(), 0U);
}

TEST_F(Close, leaves_no_work_on_the_callers_loop) {
  create("log");
  asio::io_context loop;
  auto client = std::make_unique<Client>(loop.get_executor(), options());
  bool connected = false;
  client->async_connect([&](const Status& status) {
    connected = status.has_value();
    client.reset();
  });
  loop.run();
  EXPECT_TRUE(connected);
}

TEST_F(Close, of_a_producer_flushes_it_and_leaves_the_client_alone) {
  create("log");
  Client client(options());
  Producer producer = must(client.producer("log", {.linger = 1h}));
  EXPECT_TRUE(producer.try_post({.value = "x"}));
  must(producer.close());
  EXPECT_FALSE(producer.try_post({.value = "y"}));
  EXPECT_EQ(must(client.admin().describe_topic("log")).records, 1);
}

}  // namespace
}  // namespace tidemark
