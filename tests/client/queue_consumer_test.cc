#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/client/queue_fixture.h"

namespace tidemark {
namespace {

class QueueConsumers : public QueueFixture {};

TEST_F(QueueConsumers, what_is_acked_is_done_also_after_a_restart) {
  create("jobs", 2);
  fill("jobs", 0, 50, 0);
  fill("jobs", 50, 100, 1);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  const Messages messages = take(consumer, 100);
  EXPECT_EQ(sorted(values(messages)), numbers(0, 100));
  for (const QueueMessage& message : messages) {
    EXPECT_EQ(message.deliveries(), 1u);
    EXPECT_EQ(message.failures(), 0u);
  }
  const SettleReport report = must(consumer.settle(messages));
  EXPECT_EQ(report.settled, 100u);
  EXPECT_TRUE(report.failures.empty());
  must(consumer.close());

  broker_.stop();
  broker_.start();
  const QueueCounts after = counts(client, "g", "jobs");
  EXPECT_EQ(after.done, 100u);
  EXPECT_EQ(after.waiting + after.in_flight + after.retrying, 0u);
}

TEST_F(QueueConsumers, members_get_different_records) {
  create("jobs");
  fill("jobs", 0, 10);
  Client client(options());
  QueueConsumer first = must(client.queue_consumer(of("g", "jobs", 0)));
  QueueConsumer second = must(client.queue_consumer(of("g", "jobs", 0)));
  Strings all = values(take(first, 4));
  const Strings rest = values(take(second, 6));
  EXPECT_EQ(all, numbers(0, 4));
  all.insert(all.end(), rest.begin(), rest.end());
  EXPECT_EQ(sorted(all), numbers(0, 10));
}

TEST_F(QueueConsumers, each_settlement_does_what_it_says) {
  create("jobs");
  fill("jobs", 0, 4);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs", 0)));
  const Messages messages = take(consumer, 4);
  must(consumer.settle(messages[0]));
  must(consumer.settle(messages[1], Release{}));
  QueueMessage again = take_one(consumer);
  EXPECT_EQ(again.value(), "1");
  EXPECT_EQ(again.deliveries(), 2u);
  EXPECT_EQ(again.failures(), 0u);
  must(consumer.settle(again));

  must(consumer.settle(messages[2], Retry{.delay = 0ms, .reason = "out of luck"}));
  again = take_one(consumer);
  EXPECT_EQ(again.value(), "2");
  EXPECT_EQ(again.failures(), 1u);
  must(consumer.settle(again, Retry{.delay = std::chrono::hours(1), .reason = "out of stock"}));
  const std::vector<QueuePendingRow> rows = must(client.queues().pending({.group = "g", .topic = "jobs", .states = {"delayed"}}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].reason, "out of stock");
  EXPECT_EQ(rows[0].failures, 2u);

  must(consumer.settle(messages[3], Reject{.reason = "no such order"}));
  until([&] { return counts(client, "g", "jobs").dead == 1; });
  const std::vector<DeadLetter> letters = must(client.queues().show_dead_letters("g"));
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].reason, "no such order");
  EXPECT_EQ(letters[0].value, "3");
  EXPECT_EQ(letters[0].from, (TopicPartition{"jobs", 0}));
  EXPECT_EQ(counts(client, "g", "jobs").done, 2u);
}

TEST_F(QueueConsumers, what_is_not_ours_cannot_be_settled) {
  create("jobs");
  create("other");
  fill("jobs", 0, 2);
  fill("other", 0, 1);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs", 0)));
  QueueConsumer neighbour = must(client.queue_consumer(of("g", "jobs", 0)));
  QueueConsumer elsewhere = must(client.queue_consumer(of("g", "other", 0)));
  const QueueMessage message = take_one(consumer);
  EXPECT_EQ(neighbour.settle(message).error().code, Errc::not_owner);
  EXPECT_EQ(elsewhere.settle(message).error().code, Errc::not_delivered);
  EXPECT_EQ(consumer.settle(QueueMessage()).error().code, Errc::not_delivered);
  EXPECT_EQ(consumer.settle(message, Retry{.delay = std::chrono::hours(24 * 31)}).error().code, Errc::invalid_argument);
  must(consumer.settle(message));
  EXPECT_EQ(consumer.settle(message).error().code, Errc::already_settled);
  EXPECT_EQ(consumer.extend(message, 1s).error().code, Errc::already_settled);
  EXPECT_EQ(consumer.extend(message, 0ms).error().code, Errc::invalid_argument);

  const Messages both{message, take_one(consumer)};
  const SettleReport report = must(consumer.settle(both));
  EXPECT_EQ(report.settled, 1u);
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].offset, message.offset());
  EXPECT_EQ(report.failures[0].error.code, Errc::already_settled);
}

TEST_F(QueueConsumers, thousands_of_settlements_at_once_are_all_answered) {
  create("jobs");
  fill("jobs", 0, 3000);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs", 1000)));
  std::vector<std::future<Status>> answers;
  for (const QueueMessage& message : take(consumer, 3000)) {
    answers.push_back(consumer.async_settle(message, Ack{}, asio::use_future));
  }
  for (std::future<Status>& answer : answers) must(answer.get());
  EXPECT_EQ(counts(client, "g", "jobs").done, 3000u);
}

TEST_F(QueueConsumers, leases_are_renewed_while_the_caller_is_busy) {
  create("jobs");
  fill("jobs", 0, 1);
  Client client(options());
  QueueOptions how = of("g", "jobs");
  how.settings = {{"ack.timeout", "200ms"}};
  QueueConsumer consumer = must(client.queue_consumer(how));
  const QueueMessage message = take_one(consumer);
  std::optional<Timestamp> first;
  until([&] {
    const std::vector<QueuePendingRow> rows = must(client.queues().pending({.group = "g", .topic = "jobs"}));
    CHECK(rows.size() == 1 && rows[0].due.has_value());
    EXPECT_EQ(rows[0].deliveries, 1u);
    EXPECT_EQ(rows[0].failures, 0u);
    if (!first) first = rows[0].due;
    return *rows[0].due > *first + 400ms || testing::Test::HasFailure();
  });
  must(consumer.settle(message));
}

TEST_F(QueueConsumers, without_renewal_an_expired_lease_gives_the_record_to_another) {
  create("jobs");
  fill("jobs", 0, 1);
  Client client(options());
  QueueOptions how = of("g", "jobs", 0);
  how.settings = {{"ack.timeout", "50ms"}, {"backoff", "none"}};
  how.extend_leases = false;
  QueueConsumer slow = must(client.queue_consumer(how));
  const QueueMessage late = take_one(slow);
  how.extend_leases = true;
  QueueConsumer quick = must(client.queue_consumer(how));
  const QueueMessage again = take_one(quick);
  EXPECT_EQ(again.deliveries(), 2u);
  EXPECT_EQ(again.failures(), 1u);
  const Errc refused = slow.settle(late).error().code;
  EXPECT_TRUE(refused == Errc::lease_lost || refused == Errc::not_owner) << to_string(refused);
  must(quick.settle(again));
  EXPECT_EQ(slow.settle(late).error().code, Errc::already_settled);
}

TEST_F(QueueConsumers, a_lease_can_be_made_longer) {
  create("jobs");
  fill("jobs", 0, 1);
  Client client(options());
  QueueOptions how = of("g", "jobs", 0);
  how.extend_leases = false;
  QueueConsumer consumer = must(client.queue_consumer(how));
  const QueueMessage message = take_one(consumer);
  const auto due = [&] { return *must(client.queues().pending({.group = "g", .topic = "jobs"})).at(0).due; };
  const Timestamp before = due();
  must(consumer.extend(message, std::chrono::hours(2)));
  EXPECT_GT(due(), before + std::chrono::hours(1));
}

TEST_F(QueueConsumers, closing_gives_everything_back_without_blame) {
  create("jobs");
  fill("jobs", 0, 10);
  Client client(options());
  QueueConsumer first = must(client.queue_consumer(of("g", "jobs")));
  const Messages held = take(first, 3);
  must(first.close());
  EXPECT_EQ(first.receive(1, 0ms).error().code, Errc::cancelled);
  EXPECT_EQ(first.settle(held[0]).error().code, Errc::cancelled);
  must(first.close());
  QueueConsumer second = must(client.queue_consumer(of("g", "jobs")));
  const Messages all = take(second, 10);
  EXPECT_EQ(sorted(values(all)), numbers(0, 10));
  for (const QueueMessage& message : all) EXPECT_EQ(message.failures(), 0u);
}

TEST_F(QueueConsumers, the_last_handle_closes) {
  create("jobs");
  fill("jobs", 0, 3);
  Client client(options());
  {
    QueueConsumer first = must(client.queue_consumer(of("g", "jobs")));
    take(first, 3);
  }
  QueueConsumer second = must(client.queue_consumer(of("g", "jobs")));
  EXPECT_EQ(sorted(values(take(second, 3))), numbers(0, 3));
}

TEST_F(QueueConsumers, after_a_restart_the_member_comes_back_and_what_it_held_is_lost) {
  create("jobs");
  fill("jobs", 0, 3);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  const Messages before = take(consumer, 2);
  broker_.stop();
  broker_.start();
  const Messages after = take(consumer, 3);
  EXPECT_EQ(sorted(values(after)), numbers(0, 3));
  EXPECT_EQ(consumer.settle(before[0]).error().code, Errc::lease_lost);
  EXPECT_EQ(must(consumer.settle(after)).settled, 3u);
  EXPECT_EQ(counts(client, "g", "jobs").done, 3u);
}

TEST_F(QueueConsumers, asynchronous_receives_are_served_in_turn_and_can_be_cancelled) {
  create("jobs");
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  asio::cancellation_signal signal;
  std::promise<Result<Messages>> cancelled;
  consumer.async_receive(1, asio::bind_cancellation_slot(signal.slot(), [&](Result<Messages> messages) { cancelled.set_value(messages); }));
  std::future<Result<Messages>> first = consumer.async_receive(1, asio::use_future);
  std::future<Result<Messages>> second = consumer.async_receive(1, asio::use_future);
  signal.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(cancelled.get_future().get().error().code, Errc::cancelled);
  fill("jobs", 0, 2);
  EXPECT_EQ(values(must(first.get())), numbers(0, 1));
  EXPECT_EQ(values(must(second.get())), numbers(1, 2));
  std::future<Result<Messages>> left = consumer.async_receive(1, asio::use_future);
  must(consumer.close());
  EXPECT_EQ(left.get().error().code, Errc::cancelled);
}

TEST_F(QueueConsumers, a_receive_waits_only_so_long) {
  create("jobs");
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs", 0)));
  EXPECT_TRUE(must(consumer.receive(1, 10ms)).empty());
  fill("jobs", 0, 1);
  EXPECT_EQ(take_one(consumer).value(), "0");
}

TEST_F(QueueConsumers, bad_options_are_refused) {
  create("jobs");
  Client client(options());
  const auto refused = [&](const std::function<void(QueueOptions&)>& spoil) {
    QueueOptions how = of("g", "jobs");
    spoil(how);
    return client.queue_consumer(how).error().code;
  };
  EXPECT_EQ(refused([](QueueOptions& how) { how.group.clear(); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](QueueOptions& how) { how.member = std::string(250, 'm'); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](QueueOptions& how) { how.prefetch = 10'001; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](QueueOptions& how) { how.prefetch_bytes = 1; }), Errc::invalid_argument);
  EXPECT_EQ(refused([](QueueOptions& how) { how.start = Position::committed(); }), Errc::invalid_argument);
  EXPECT_EQ(refused([](QueueOptions& how) { how.topic = "nowhere"; }), Errc::unknown_topic);
  EXPECT_EQ(refused([](QueueOptions& how) { how.create = false; }), Errc::unknown_group);
  EXPECT_EQ(refused([](QueueOptions& how) { how.settings = {{"ack.timeout", "soon"}}; }), Errc::invalid_config);
  QueueOptions named = of("g", "jobs");
  named.member = "worker";
  QueueConsumer consumer = must(client.queue_consumer(named));
  EXPECT_EQ(consumer.member(), "worker");
  Client other(options());
  EXPECT_EQ(other.queue_consumer(named).error().code, Errc::conflict);
  EXPECT_EQ(consumer.receive(0, 0ms).error().code, Errc::invalid_argument);
}

TEST_F(QueueConsumers, a_group_that_is_removed_is_told_and_not_made_again) {
  create("jobs");
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  std::future<Result<Messages>> waiting = consumer.async_receive(1, asio::use_future);
  must(client.queues().remove("g", "jobs"));
  EXPECT_EQ(waiting.get().error().code, Errc::unknown_group);
  EXPECT_TRUE(must(client.queues().list()).empty());
}

// --- Everybody sees everything.

TEST_F(QueueConsumers, groups_and_readers_each_see_all_and_an_idle_group_costs_little) {
  create("jobs");
  Client client(options());
  QueueConsumer idle = must(client.queue_consumer(of("idle", "jobs", 10)));
  QueueConsumer first = must(client.queue_consumer(of("first", "jobs")));
  QueueConsumer second = must(client.queue_consumer(of("second", "jobs")));
  Reader reader = must(client.reader("jobs", {.from = Position::earliest()}));
  fill("jobs", 0, 5000);
  const Messages held = take(idle, 10);  // And no more of it.
  Messages of_first = take(first, 5000);
  Messages of_second = take(second, 5000);
  EXPECT_EQ(values(of_first), numbers(0, 5000));
  EXPECT_EQ(values(of_second), numbers(0, 5000));
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(must(reader.next(kLong))->value(), std::to_string(i));
  EXPECT_EQ(must(first.settle(of_first)).settled, 5000u);
  const QueueDescription left = must(client.queues().describe("idle", "jobs"));
  EXPECT_EQ(left.lag, 5000);
  EXPECT_LT(left.partitions.at(0).memory_bytes, 1024u * 1024u);
}

}  // namespace
}  // namespace tidemark
