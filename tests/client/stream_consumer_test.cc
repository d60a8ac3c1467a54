#include <gtest/gtest.h>

#include "tests/client/stream_fixture.h"

namespace tidemark {
namespace {

class StreamConsumerTest : public StreamFixture {};

TEST_F(StreamConsumerTest, commits_up_to_the_first_message_that_is_not_done) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  const auto messages = take(consumer, 10);
  EXPECT_EQ(values(messages), numbers(0, 10));
  for (const int i : {3, 1, 0, 9}) consumer.done(messages[static_cast<std::size_t>(i)]);
  must(consumer.commit());
  EXPECT_EQ(floor("g", "log"), 2);
  consumer.done(messages[2]);
  must(consumer.commit());
  EXPECT_EQ(floor("g", "log"), 4);
  consumer.done(messages);
  must(consumer.commit());
  EXPECT_EQ(floor("g", "log"), 10);
}

TEST_F(StreamConsumerTest, commits_nothing_that_was_not_marked_done) {
  create("log");
  fill("log", 0, 5);
  {
    Client client(options());
    StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
    EXPECT_EQ(take(consumer, 5).size(), 5U);
    must(consumer.commit());
    must(consumer.close());
  }
  Client client(options());
  StreamConsumer again = must(client.stream_consumer(of("g", {"log"})));
  EXPECT_EQ(values(take(again, 5)), numbers(0, 5));
}

TEST_F(StreamConsumerTest, goes_on_where_the_group_stopped) {
  create("log");
  fill("log", 0, 10);
  for (const int from : {0, 4, 8}) {
    Client client(options());
    StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
    const auto messages = take(consumer, 2);
    EXPECT_EQ(values(messages), numbers(from, from + 2));
    consumer.done(messages);
    if (from == 8) break;
    consumer.done(take(consumer, 2));
    must(consumer.close());
  }
  EXPECT_EQ(floor("g", "log"), 10);  // The last one closed by going away.
}

TEST_F(StreamConsumerTest, starts_a_new_group_where_it_is_told) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  StreamOptions late = of("late", {"log"});
  late.start = Position::latest();
  StreamConsumer latest = must(client.stream_consumer(late));
  StreamOptions middle = of("middle", {"log"});
  middle.start = Position::at(7);
  StreamConsumer at = must(client.stream_consumer(middle));
  EXPECT_EQ(values(take(at, 3)), numbers(7, 10));
  while (!latest.position({"log", 0})) EXPECT_TRUE(must(latest.poll(1ms)).empty());
  fill("log", 10, 11);
  EXPECT_EQ(values(take(latest, 1)), numbers(10, 11));
}

TEST_F(StreamConsumerTest, with_auto_done_the_next_poll_says_that_the_last_one_was_processed) {
  create("log");
  fill("log", 0, 6);
  Client client(options());
  StreamOptions how = of("g", {"log"});
  how.auto_done = true;
  StreamConsumer consumer = must(client.stream_consumer(how));
  EXPECT_EQ(values(take(consumer, 4)), numbers(0, 4));
  must(consumer.commit());
  const std::int64_t before = floor("g", "log");  // take() may have polled more than once.
  EXPECT_LT(before, 4);
  EXPECT_EQ(values(take(consumer, 2)), numbers(4, 6));
  must(consumer.commit());
  EXPECT_GE(floor("g", "log"), 4);
  EXPECT_TRUE(must(consumer.poll(0ms)).empty());
  must(consumer.close());
  EXPECT_EQ(floor("g", "log"), 6);
}

TEST_F(StreamConsumerTest, commits_now_and_then_by_itself) {
  create("log");
  fill("log", 0, 3);
  Client client(options());
  StreamOptions how = of("g", {"log"});
  how.commit_every = 1ms;
  StreamConsumer consumer = must(client.stream_consumer(how));
  consumer.done(take(consumer, 3));
  while (floor("g", "log") != 3) {
  }
}

TEST_F(StreamConsumerTest, commits_a_place_that_is_named) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  EXPECT_EQ(take(consumer, 10).size(), 10U);
  must(consumer.commit({"log", 0}, Offset{6}));
  EXPECT_EQ(floor("g", "log"), 6);
  must(consumer.commit());  // And 6 to 9 are still not done.
  EXPECT_EQ(floor("g", "log"), 6);
  must(consumer.commit({"log", 0}, Offset{2}));
  must(consumer.commit());
  EXPECT_EQ(floor("g", "log"), 2);
  EXPECT_EQ(consumer.commit({"log", 1}, Offset{0}).error().code, Errc::not_owner);
  EXPECT_EQ(consumer.commit({"log", 0}, Offset{11}).error().code, Errc::offset_out_of_range);
  EXPECT_EQ(floor("g", "log"), 2);
}

TEST_F(StreamConsumerTest, seeks_in_what_it_has) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  const TopicPartition log{"log", 0};
  const auto first = take(consumer, 4);
  consumer.done(first);
  must(consumer.commit());
  must(consumer.seek(log, Position::at(8)));
  EXPECT_EQ(consumer.position(log), Offset{8});
  EXPECT_EQ(values(take(consumer, 2)), numbers(8, 10));
  must(consumer.seek(log, Position::committed()));
  EXPECT_EQ(values(take(consumer, 1)), numbers(4, 5));
  must(consumer.seek(log, Position::earliest()));
  must(consumer.commit());
  EXPECT_EQ(floor("g", "log"), 0);  // The seek is what the group's position follows.
  consumer.done(first);             // Of before the seek: not given out since.
  must(consumer.commit());
  EXPECT_EQ(floor("g", "log"), 0);
  EXPECT_EQ(values(take(consumer, 10)), numbers(0, 10));
  EXPECT_EQ(consumer.seek({"log", 1}, Position::earliest()).error().code, Errc::not_owner);
  EXPECT_EQ(consumer.seek(log, Position::at(11)).error().code, Errc::offset_out_of_range);
}

TEST_F(StreamConsumerTest, pauses_some_and_reads_the_others) {
  create("log", 2);
  fill("log", 0, 5, 0);
  fill("log", 100, 105, 1);
  Client client(options());
  Story story;
  StreamOptions how = of("g", {"log"});
  story.join(how);
  StreamConsumer consumer = must(client.stream_consumer(how));
  story.wait_for_share(2);
  const std::vector<TopicPartition> none = {{"log", 0}}, both = {{"log", 0}, {"log", 7}};
  must(consumer.pause(none));
  EXPECT_EQ(values(take(consumer, 5)), numbers(100, 105));
  EXPECT_TRUE(must(consumer.poll(0ms)).empty());
  EXPECT_EQ(consumer.resume(both).error().code, Errc::not_owner);
  EXPECT_EQ(values(take(consumer, 5)), numbers(0, 5));
}

TEST_F(StreamConsumerTest, knows_how_far_it_is_behind) {
  create("log", 2);
  fill("log", 0, 10, 0);
  fill("log", 0, 10, 1);
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  const auto messages = take(consumer, 20);
  EXPECT_EQ(must(consumer.lag()), 20);
  EXPECT_EQ(must(consumer.lag_time()), std::nullopt);  // Nothing is committed.
  consumer.done(messages);
  EXPECT_EQ(must(consumer.lag()), 0);
  must(consumer.commit());
  EXPECT_EQ(must(consumer.lag_time()), 0ms);
  fill("log", 10, 12, 0);
  EXPECT_EQ(must(consumer.lag()), 2);
}

TEST_F(StreamConsumerTest, skips_and_repeats_nothing_across_restarts_of_the_broker) {
  create("log");
  Client client(options());
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  int next = 0;
  for (int round = 0; round < 3; ++round) {
    fill("log", round * 1000, round * 1000 + 1000);
    for (; next < round * 1000 + 500; ++next) {
      const auto one = take(consumer, 1);
      ASSERT_EQ(one[0].value(), std::to_string(next));
      consumer.done(one);
    }
    broker_.stop();
    broker_.start();
    must(consumer.commit());
    EXPECT_EQ(floor("g", "log"), next);
  }
  for (; next < 3000; ++next) ASSERT_EQ(take(consumer, 1)[0].value(), std::to_string(next));
}

TEST_F(StreamConsumerTest, reads_many_partitions_with_a_small_buffer) {
  create("log", 300);
  for (std::int32_t partition = 0; partition < 300; partition += 50) fill("log", 0, 100, partition);
  Client client(options());
  StreamOptions how = of("g", {"log"});
  how.buffer_bytes = 1;
  StreamConsumer consumer = must(client.stream_consumer(how));
  std::map<std::int32_t, Strings> got;
  for (const Message& message : take(consumer, 600)) got[message.partition()].emplace_back(*message.value());
  EXPECT_EQ(got.size(), 6U);
  for (const auto& [partition, all] : got) EXPECT_EQ(all, numbers(0, 100)) << partition;
}

TEST_F(StreamConsumerTest, goes_on_at_the_log_start_when_its_place_was_trimmed_away) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  {
    StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
    consumer.done(take(consumer, 2));
    must(consumer.close());
  }
  must(client.admin().trim("log", 0, Offset{7}));
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  EXPECT_EQ(values(take(consumer, 3)), numbers(7, 10));
}

TEST_F(StreamConsumerTest, tells_once_that_its_place_is_gone_where_the_group_says_fail) {
  create("log");
  fill("log", 0, 10);
  Client client(options());
  must(client.groups().create({.name = "g", .topics = {"log"}, .settings = {{"on.gone", "fail"}}}));
  must(client.admin().trim("log", 0, Offset{7}));
  StreamConsumer consumer = must(client.stream_consumer(of("g", {"log"})));
  const auto gone = consumer.poll(kLong);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::offset_out_of_range);
  EXPECT_TRUE(must(consumer.poll(0ms)).empty());
  must(consumer.seek({"log", 0}, Position::earliest()));
  EXPECT_EQ(values(take(consumer, 3)), numbers(7, 10));
}

TEST_F(StreamConsumerTest, goes_on_with_the_others_when_a_topic_is_deleted) {
  create("a");
  create("b");
  fill("a", 0, 5);
  Client client(options());
  Story story;
  StreamOptions how = of("g", {"a", "b"});
  story.join(how);
  StreamConsumer consumer = must(client.stream_consumer(how));
  consumer.done(take(consumer, 5));
  must(client.admin().delete_topic("a"));
  story.wait_for_line("revoking a:0");
  fill("b", 0, 5);
  EXPECT_EQ(values(take(consumer, 5)), numbers(0, 5));
  EXPECT_EQ(consumer.assignment(), (TopicPartitions{{"b", 0}}));
  create("a");
  fill("a", 50, 52);
  EXPECT_EQ(values(take(consumer, 2)), numbers(50, 52));
}

TEST_F(StreamConsumerTest, is_refused_what_makes_no_sense) {
  Client client(options());
  const auto refused = [&](const StreamOptions& how) {
    const auto made = client.stream_consumer(how);
    return made ? Errc{} : made.error().code;
  };
  EXPECT_EQ(refused(of("", {"log"})), Errc::invalid_argument);
  EXPECT_EQ(refused(of("g", {})), Errc::invalid_argument);
  StreamOptions how = of("g", {"log"});
  how.start = Position::before_end(5);
  EXPECT_EQ(refused(how), Errc::invalid_argument);
  how = of("g", {});
  how.regex = "ev-(";
  EXPECT_EQ(refused(how), Errc::invalid_argument);
  how = of("g", {"log"});
  how.session_timeout = 1ms;
  EXPECT_EQ(refused(how), Errc::invalid_argument);
}

}  // namespace
}  // namespace tidemark
