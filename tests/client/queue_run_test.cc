#include <atomic>
#include <future>
#include <latch>
#include <mutex>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/queue_fixture.h"

namespace tidemark {
namespace {

class QueueRuns : public QueueFixture {};

TEST_F(QueueRuns, workers_handle_every_record_and_stop_when_told) {
  create("jobs", 2);
  fill("jobs", 0, 150, 0);
  fill("jobs", 150, 300, 1);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  std::mutex mutex;
  std::multiset<std::string> seen;
  std::stop_source stop;
  const QueueRun run = must(consumer.run(
      [&](const QueueMessage& message) {
        const std::lock_guard lock(mutex);
        seen.emplace(*message.value());
        if (seen.size() == 300) stop.request_stop();
      },
      4, stop.get_token()));
  EXPECT_EQ(run.handled, 300u);
  EXPECT_EQ(run.settled, 300u);
  EXPECT_EQ(run.failed + run.lost, 0u);
  EXPECT_EQ(sorted(Strings(seen.begin(), seen.end())), numbers(0, 300));
  EXPECT_EQ(counts(client, "g", "jobs").done, 300u);
}

TEST_F(QueueRuns, an_exception_is_a_failure_with_its_text_as_reason) {
  create("jobs");
  fill("jobs", 0, 3);
  Client client(options());
  QueueOptions how = of("g", "jobs");
  how.settings = {{"delivery.limit", "1"}};
  QueueConsumer consumer = must(client.queue_consumer(how));
  std::atomic<int> calls = 0;
  std::stop_source stop;
  const QueueRun run = must(consumer.run(
      [&](const QueueMessage& message) -> Settlement {
        if (++calls == 3) stop.request_stop();
        if (message.value() == "1") throw std::runtime_error("no address for order 1");
        if (message.value() == "2") throw 2;
        return Ack{};
      },
      1, stop.get_token()));
  EXPECT_EQ(run.handled, 3u);
  EXPECT_EQ(run.failed, 2u);
  EXPECT_EQ(run.settled, 3u);
  until([&] { return counts(client, "g", "jobs").dead == 2; });
  std::set<std::string> reasons;
  for (const DeadLetter& letter : must(client.queues().show_dead_letters("g"))) reasons.insert(letter.reason);
  EXPECT_EQ(reasons, (std::set<std::string>{"no address for order 1", "an exception that tells nothing"}));
}

TEST_F(QueueRuns, a_run_drains_and_what_lies_ready_goes_to_others) {
  create("jobs");
  fill("jobs", 0, 20);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  std::latch started(2), may_end(1);
  std::stop_source stop;
  std::future<Result<QueueRun>> running = std::async(std::launch::async, [&] {
    const auto handler = [&](const QueueMessage&) {
      started.count_down();
      may_end.wait();
    };
    return consumer.run(handler, 2, stop.get_token());
  });
  started.wait();
  stop.request_stop();
  may_end.count_down();
  const QueueRun run = must(running.get());
  EXPECT_EQ(run.handled, 2u);
  EXPECT_EQ(run.settled, 2u);
  QueueConsumer other = must(client.queue_consumer(of("g", "jobs")));
  const Messages rest = take(other, 18);
  EXPECT_EQ(rest.size(), 18u);
  for (const QueueMessage& message : rest) EXPECT_EQ(message.failures(), 0u);
  EXPECT_EQ(must(consumer.run([](const QueueMessage&) {}, 1, stop.get_token())).handled, 0u);
}

TEST_F(QueueRuns, closing_the_consumer_ends_the_run) {
  create("jobs");
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  EXPECT_EQ(consumer.run([](const QueueMessage&) {}, 0, {}).error().code, Errc::invalid_argument);
  std::future<Result<QueueRun>> running = std::async(std::launch::async, [&] { return consumer.run([](const QueueMessage&) {}, 2, {}); });
  must(consumer.close());
  EXPECT_EQ(running.get().error().code, Errc::cancelled);
}

asio::awaitable<Settlement> judge(QueueMessage message) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  if (message.value() == "7") throw std::runtime_error("not seven");
  co_return Ack{};
}

TEST_F(QueueRuns, coroutines_run_the_same_way) {
  create("jobs");
  fill("jobs", 0, 50);
  Client client(options());
  QueueOptions how = of("g", "jobs");
  how.settings = {{"delivery.limit", "1"}};
  QueueConsumer consumer = must(client.queue_consumer(how));
  std::stop_source stop;
  int handled = 0;
  asio::io_context io;
  const QueueConsumer::CoHandler handler = [&](QueueMessage message) {
    if (++handled == 50) stop.request_stop();
    return judge(std::move(message));
  };
  std::future<Result<QueueRun>> running = asio::co_spawn(io, consumer.co_run(handler, 8, stop.get_token()), asio::use_future);
  io.run();
  const QueueRun run = must(running.get());
  EXPECT_EQ(run.handled, 50u);
  EXPECT_EQ(run.failed, 1u);
  EXPECT_EQ(run.settled, 50u);
  until([&] { return counts(client, "g", "jobs").dead == 1; });
  EXPECT_EQ(must(client.queues().show_dead_letters("g")).at(0).reason, "not seven");
  EXPECT_EQ(counts(client, "g", "jobs").done, 49u);
}

}  // namespace
}  // namespace tidemark
