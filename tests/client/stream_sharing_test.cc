#include <future>
#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/stream_fixture.h"

namespace tidemark {
namespace {

class StreamSharing : public StreamFixture {};

TEST_F(StreamSharing, two_consumers_share_and_the_other_takes_over_when_one_leaves) {
  create("log", 4);
  Client client(options());
  Story first_story, second_story;
  StreamOptions how = of("g", {"log"});
  first_story.join(how);
  StreamConsumer first = must(client.stream_consumer(how));
  first_story.wait_for_share(4);
  second_story.join(how);
  StreamConsumer second = must(client.stream_consumer(how));
  second_story.wait_for_share(2);
  first_story.wait_for_share(2);
  TopicPartitions all = first.assignment();
  for (const TopicPartition& where : second.assignment()) all.push_back(where);
  std::ranges::sort(all);
  EXPECT_EQ(all, (TopicPartitions{{"log", 0}, {"log", 1}, {"log", 2}, {"log", 3}}));
  must(first.close());
  second_story.wait_for_share(4);
}

TEST_F(StreamSharing, a_consumer_that_is_destroyed_leaves_what_it_has_done) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  {
    StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
    consumer.done(take(consumer, 4));
  }
  StreamConsumer second = must(client.stream_consumer(of("g", {"log"})));
  EXPECT_EQ(values(take(second, 6)), numbers(4, 10));
}

/// Its event loop stops: nothing is sent any more, as when the process had died.
TEST_F(StreamSharing, others_go_on_at_the_last_commit_of_one_that_dies) {
  create("log");
  fill("log", 0, 10);
  auto loop = std::make_unique<asio::io_context>();
  auto work = std::make_unique<asio::executor_work_guard<asio::io_context::executor_type>>(loop->get_executor());
  std::thread runner([&loop] { loop->run(); });
  auto dying = std::make_unique<Client>(loop->get_executor(), options());
  StreamOptions how = of("g", {"log"});
  how.session_timeout = 300ms;
  StreamConsumer first = must(dying->stream_consumer(how));
  const auto messages = take(first, 8);
  first.done(std::span(messages).first(5));
  must(first.commit());
  first.done(messages);
  loop->stop();
  runner.join();

  Client client(options());
  StreamConsumer second = must(client.stream_consumer(how));
  EXPECT_EQ(values(take(second, 5)), numbers(5, 10));
  dying->close();
}

TEST_F(StreamSharing, what_is_done_is_not_repeated_by_whoever_takes_over) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  Story story;
  StreamOptions how = of("g", {"log"});
  story.join(how);
  StreamConsumer first = must(client.stream_consumer(how));
  const auto messages = take(first, 6);
  StreamConsumer second = must(client.stream_consumer(of("g", {"log"})));
  EXPECT_TRUE(must(second.poll(0ms)).empty());
  EXPECT_EQ(story.lines(), (Strings{"assigned log:0"}));  // Who has it keeps it.
  first.done(messages);
  must(first.close());
  EXPECT_EQ(values(take(second, 4)), numbers(6, 10));
}

TEST_F(StreamSharing, revoking_waits_for_what_the_caller_has_not_done) {
  create("log", 2);
  fill("log", 0, 5, 0);
  fill("log", 0, 5, 1);
  Client client(options());
  Story first_story, second_story;
  StreamOptions how = of("g", {"log"});
  first_story.join(how);
  StreamConsumer first = must(client.stream_consumer(how));
  const auto messages = take(first, 10);
  second_story.join(how);
  StreamConsumer second = must(client.stream_consumer(how));
  first_story.wait_for_share(1);  // It is giving one up, and the caller still has messages of it.
  EXPECT_EQ(first.assignment().size(), 1U);
  EXPECT_TRUE(must(second.poll(0ms)).empty());
  EXPECT_TRUE(second.assignment().empty());
  first.done(messages);
  second_story.wait_for_share(1);
  EXPECT_EQ(floor("g", "log", second.assignment()[0].partition), 5);
  EXPECT_TRUE(must(second.poll(0ms)).empty());
  fill("log", 5, 6, 0);
  fill("log", 5, 6, 1);
  EXPECT_EQ(values(take(first, 1)), numbers(5, 6));
  EXPECT_EQ(values(take(second, 1)), numbers(5, 6));
}

TEST_F(StreamSharing, revoking_ends_at_the_deadline) {
  create("log", 2);
  fill("log", 0, 5, 0);
  fill("log", 0, 5, 1);
  Client client(options());
  Story story;
  StreamOptions how = of("g", {"log"});
  how.rebalance_timeout = 1500ms;  // Long enough that a busy machine sees no other deadline pass.
  story.join(how);
  StreamConsumer first = must(client.stream_consumer(how));
  const auto messages = take(first, 10);
  for (const Message& message : messages) {
    if (message.offset() < Offset{2}) first.done(message);
  }
  StreamOptions other = of("g", {"log"});
  StreamConsumer second = must(client.stream_consumer(other));
  EXPECT_EQ(values(take(second, 3)), numbers(2, 5));  // What was not done comes again.
  for (const std::string& line : story.lines()) EXPECT_FALSE(line.starts_with("lost")) << line;
}

TEST_F(StreamSharing, one_that_is_fenced_loses_all_and_joins_again) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  Story story;
  StreamOptions how = of("g", {"log"});
  how.session_timeout = 600ms;  // It is the next heartbeat that learns of it.
  story.join(how);
  StreamConsumer consumer = must(client.stream_consumer(how));
  const auto messages = take(consumer, 10);
  GroupSeek seek{.group = "g", .to = Position::at(3), .execute = true};
  EXPECT_EQ(client.groups().seek(seek).error().code, Errc::conflict);
  seek.force = true;
  EXPECT_TRUE(must(client.groups().seek(seek)).executed);
  story.wait_for_line("lost log:0");
  EXPECT_EQ(values(take(consumer, 7)), numbers(3, 10));
  EXPECT_EQ(story.lines(), (Strings{"assigned log:0", "lost log:0", "assigned log:0"}));
}

TEST_F(StreamSharing, a_static_member_that_comes_back_moves_nothing) {
  create("log", 4);
  Client client(options());
  Story first_story, second_story;
  StreamOptions how = of("g", {"log"});
  how.instance = "one";
  first_story.join(how);
  auto first = std::make_unique<StreamConsumer>(must(client.stream_consumer(how)));
  StreamOptions other = of("g", {"log"});
  second_story.join(other);
  StreamConsumer second = must(client.stream_consumer(other));
  second_story.wait_for_share(2);
  first_story.wait_for_share(2);
  const TopicPartitions before = first->assignment();
  must(first->close());
  first.reset();
  Story again_story;
  again_story.join(how);
  StreamConsumer again = must(client.stream_consumer(how));
  again_story.wait_for_share(2);
  EXPECT_EQ(again.assignment(), before);
  EXPECT_EQ(second_story.lines().size(), 2U);
}

TEST_F(StreamSharing, a_regex_finds_topics_and_partitions_that_come_later) {
  create("ev-a");
  create("other");
  Client client(options());
  Story story;
  StreamOptions how = of("g", {});
  how.regex = "ev-.*";
  story.join(how);
  StreamConsumer consumer = must(client.stream_consumer(how));
  story.wait_for_line("assigned ev-a:0");
  create("ev-b");
  story.wait_for_line("assigned ev-b:0");
  must(client.admin().alter_topic("ev-a", {.partitions = 3}));
  story.wait_for_line("assigned ev-a:2");
  EXPECT_EQ(consumer.assignment(), (TopicPartitions{{"ev-a", 0}, {"ev-a", 1}, {"ev-a", 2}, {"ev-b", 0}}));
  fill("ev-a", 0, 3, 2);
  EXPECT_EQ(values(take(consumer, 3)), numbers(0, 3));
}

TEST_F(StreamSharing, a_topic_may_be_made_after_its_consumer) {
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  create("log");
  fill("log", 0, 3);
  EXPECT_EQ(values(take(consumer, 3)), numbers(0, 3));
}

TEST_F(StreamSharing, may_be_closed_from_a_callback) {
  create("log");
  fill("log", 0, 5);
  Client client(options());
  std::promise<void> reached, made;
  std::optional<StreamConsumer> consumer;
  StreamOptions how = of("g", {"log"});
  how.on_assigned = [&](const TopicPartitions&) {
    made.get_future().wait();
    EXPECT_EQ(consumer->commit().error().code, Errc::conflict);  // It would wait for itself.
    must(consumer->close());
    reached.set_value();
  };
  consumer = must(client.stream_consumer(how));
  made.set_value();
  reached.get_future().wait();
  EXPECT_EQ(consumer->poll(kLong).error().code, Errc::cancelled);
  must(consumer->close());
  EXPECT_TRUE(must(client.groups().describe("g")).members.empty());
}

TEST_F(StreamSharing, close_ends_a_waiting_poll) {
  create("log");
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  auto waiting = consumer.async_poll(10, asio::use_future);
  EXPECT_EQ(consumer.async_poll(10, asio::use_future).get().error().code, Errc::conflict);
  std::thread blocked([&] { EXPECT_EQ(consumer.poll(kLong).error().code, Errc::cancelled); });
  client.close();
  EXPECT_EQ(waiting.get().error().code, Errc::cancelled);
  blocked.join();
}

TEST_F(StreamSharing, a_cancelled_poll_takes_no_message_with_it) {
  create("log");
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  for (int round = 0; round < 20; ++round) {
    asio::io_context loop;
    asio::cancellation_signal signal;
    Strings got;
    consumer.async_poll(
        10, asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(loop, [&](const Result<std::vector<Message>>& polled) {
                                           if (polled) got = values(*polled);
                                         })));
    std::thread writer([&] { fill("log", round, round + 1); });
    signal.emit(asio::cancellation_type::terminal);
    loop.run();
    writer.join();
    if (got.empty()) got = values(take(consumer, 1));
    EXPECT_EQ(got, numbers(round, round + 1));
  }
}

asio::awaitable<Strings> consume(Client& client, StreamOptions how, std::size_t count) {
  Strings got;
  Result<StreamConsumer> consumer = co_await client.async_stream_consumer(how);
  if (!consumer) co_return got;
  while (got.size() < count) {
    const Result<std::vector<Message>> messages = co_await consumer->async_poll(3, asio::use_awaitable);
    if (!messages) co_return got;
    for (const Message& message : *messages) got.emplace_back(message.value().value_or(""));
    consumer->done(*messages);
  }
  const Status committed = co_await consumer->async_commit();
  const Result<std::int64_t> lag = co_await consumer->async_lag();
  const Status closed = co_await consumer->async_close();
  if (!committed || !closed || !lag || *lag != 0) got.clear();
  co_return got;
}

TEST_F(StreamSharing, works_on_the_callers_event_loop) {
  create("log");
  fill("log", 0, 10);
  asio::io_context loop;
  Client client(loop.get_executor(), options());
  std::thread::id callback_thread;
  StreamOptions how = of("g", {"log"});
  how.on_assigned = [&](const TopicPartitions&) { callback_thread = std::this_thread::get_id(); };
  Strings got;
  asio::co_spawn(loop, consume(client, how, 10), [&](const std::exception_ptr& thrown, Strings values) {
    EXPECT_FALSE(thrown);
    got = std::move(values);
    client.close();
  });
  loop.run();
  EXPECT_EQ(got, numbers(0, 10));
  EXPECT_EQ(callback_thread, std::this_thread::get_id());
  EXPECT_EQ(floor("g", "log"), 10);
}

}  // namespace
}  // namespace tidemark
