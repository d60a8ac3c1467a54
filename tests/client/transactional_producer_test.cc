#include <atomic>
#include <future>
#include <random>
#include <thread>

#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/cutting_proxy.h"
#include "tests/client/stream_fixture.h"

namespace tidemark {
namespace {

class Transactions : public StreamFixture {
 protected:
  static TransactionalOptions named(const std::string& id) {
    TransactionalOptions options;
    options.id = id;
    return options;
  }
  static StreamOptions transactional(const std::string& group, Strings topics) {
    StreamOptions options = of(group, std::move(topics));
    options.transactional = true;
    return options;
  }
  static void send(TransactionalProducer& producer, const std::string& topic, const Strings& values, std::int32_t partition = 0) {
    for (const std::string& value : values) must(producer.send(topic, {.value = value, .partition = partition}));
  }
  static Errc refusal(const Status& status) {
    EXPECT_FALSE(status);
    return status ? Errc{} : status.error().code;
  }
  /// What the producer learns when it has been replaced. A batch that comes too late is only in no transaction; whose fault that is,
  /// abort() tells.
  static Error end_of(TransactionalProducer& producer) {
    Status ended = producer.commit();
    EXPECT_FALSE(ended);
    if (!ended && !ended.error().fatal()) ended = producer.abort();
    EXPECT_FALSE(ended);
    return ended ? Error{} : ended.error();
  }
  /// The broker has no transaction open in the partition: it would hold up this record.
  void wait_until_ended(const std::string& topic) {
    Client client(options());
    const Offset at = must(must(client.producer(topic)).send({.value = "after", .partition = 0})).offset;
    Reader reader = must(client.reader(topic, {.from = Position::earliest()}));
    while (must(reader.next(kLong))->offset() < at) {
    }
  }
  static void rewind(StreamConsumer& consumer) {
    for (const TopicPartition& where : consumer.assignment()) must(consumer.seek(where, Position::committed()));
  }
};

TEST_F(Transactions, records_of_several_topics_become_visible_together) {
  create("orders", 2);
  create("invoices");
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("billing")));
  must(producer.begin());
  send(producer, "orders", {"a", "b"}, 0);
  send(producer, "orders", {"c"}, 1);
  std::promise<Result<Stored>> stored;
  must(producer.send("invoices", {.value = "d"}, [&](const Result<Stored>& result) { stored.set_value(result); }));
  EXPECT_EQ(must(stored.get_future().get()).topic, "invoices");
  EXPECT_TRUE(contents("invoices").empty());  // On the disk, and not committed.
  must(producer.commit());
  EXPECT_EQ(contents("orders"), (std::map<std::int32_t, Strings>{{0, {"a", "b"}}, {1, {"c"}}}));
  EXPECT_EQ(contents("invoices")[0], Strings{"d"});
}

TEST_F(Transactions, records_of_an_aborted_one_are_never_read_and_the_next_one_goes_on) {
  create("log");
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  for (int round = 0; round < 3; ++round) {
    const std::string number = std::to_string(round);
    must(producer.begin());
    send(producer, "log", {"dropped " + number});
    must(producer.abort());
    must(producer.begin());
    send(producer, "log", {"kept " + number, "kept too " + number});
    must(producer.commit());
  }
  EXPECT_EQ(contents("log")[0], (Strings{"kept 0", "kept too 0", "kept 1", "kept too 1", "kept 2", "kept too 2"}));
}

TEST_F(Transactions, many_records_keep_their_order_over_many_transactions) {
  create("log");
  Client client(options());
  TransactionalOptions small = named("id");
  small.records.batch_bytes = 300;
  small.records.buffer_bytes = 2000;  // Senders wait for room.
  TransactionalProducer producer = must(client.transactional_producer(small));
  for (int round = 0; round < 10; ++round) {
    must(producer.begin());
    send(producer, "log", numbers(round * 200, round * 200 + 200));
    must(producer.commit());
  }
  EXPECT_EQ(contents("log")[0], numbers(0, 2000));
}

TEST_F(Transactions, an_empty_one_ends_as_one_likes) {
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  must(producer.begin());
  must(producer.commit());
  must(producer.begin());
  must(producer.abort());
  must(producer.begin());
}

TEST_F(Transactions, calls_in_the_wrong_order_change_nothing) {
  create("log");
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  EXPECT_EQ(refusal(producer.send("log", {.value = "x"})), Errc::invalid_transaction_state);
  EXPECT_EQ(refusal(producer.commit()), Errc::invalid_transaction_state);
  EXPECT_EQ(refusal(producer.abort()), Errc::invalid_transaction_state);
  must(producer.begin());
  send(producer, "log", {"a"});
  EXPECT_EQ(refusal(producer.begin()), Errc::invalid_transaction_state);
  send(producer, "log", {"b"});
  must(producer.commit());
  EXPECT_EQ(contents("log")[0], (Strings{"a", "b"}));
}

TEST_F(Transactions, options_that_make_no_sense_are_refused) {
  Client client(options());
  const auto refused = [&](const TransactionalOptions& how) { return client.transactional_producer(how).error().code; };
  EXPECT_EQ(refused(named("")), Errc::invalid_argument);
  EXPECT_EQ(refused(named(std::string(1001, 'x'))), Errc::invalid_argument);
  TransactionalOptions how = named("id");
  how.timeout = 0ms;
  EXPECT_EQ(refused(how), Errc::invalid_transaction_timeout);
  how.timeout = std::chrono::minutes(15) + 1ms;
  EXPECT_EQ(refused(how), Errc::invalid_transaction_timeout);
  how.timeout = std::chrono::hours(24 * 365);
  EXPECT_EQ(refused(how), Errc::invalid_transaction_timeout);
  how = named("id");
  how.records.idempotent = false;
  EXPECT_EQ(refused(how), Errc::invalid_argument);
}

TEST_F(Transactions, a_record_that_fails_fails_the_commit) {
  create("log", 1, {{"max.message.bytes", "1024"}});
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  const std::string large(2000, 'x');
  must(producer.begin());
  send(producer, "log", {"a"});
  must(producer.send("log", {.value = large}));
  EXPECT_EQ(refusal(producer.commit()), Errc::batch_too_large);
  EXPECT_EQ(refusal(producer.commit()), Errc::batch_too_large);
  EXPECT_EQ(refusal(producer.send("log", {.value = "b"})), Errc::batch_too_large);
  must(producer.abort());

  must(producer.begin());
  must(producer.send("log", {.value = "c", .delay = 1h}));
  EXPECT_EQ(refusal(producer.commit()), Errc::invalid_argument);
  must(producer.abort());

  must(producer.begin());
  EXPECT_EQ(refusal(producer.send("no-such-topic", {.value = "x"})), Errc::unknown_topic);
  EXPECT_EQ(refusal(producer.commit()), Errc::unknown_topic);
  must(producer.abort());

  must(producer.begin());
  send(producer, "log", {"d"});
  must(producer.commit());
  EXPECT_EQ(contents("log")[0], Strings{"d"});
}

TEST_F(Transactions, a_newer_instance_fences_the_older_one) {
  create("log");
  Client client(options());
  TransactionalProducer old = must(client.transactional_producer(named("id")));
  must(old.begin());
  send(old, "log", {"old"});
  TransactionalProducer now = must(client.transactional_producer(named("id")));
  must(now.begin());
  send(now, "log", {"new"});
  const Error fenced = end_of(old);
  EXPECT_TRUE(fenced.fatal()) << fenced.to_string();
  EXPECT_EQ(refusal(old.send("log", {.value = "x"})), fenced.code);
  EXPECT_EQ(refusal(old.commit()), fenced.code);
  EXPECT_EQ(refusal(old.abort()), fenced.code);
  EXPECT_EQ(refusal(old.begin()), fenced.code);
  must(now.commit());
  EXPECT_EQ(contents("log")[0], Strings{"new"});
}

TEST_F(Transactions, one_that_was_open_for_too_long_cannot_be_committed) {
  create("log");
  Client client(options());
  TransactionalOptions hasty = named("id");
  hasty.timeout = 200ms;
  hasty.records.delivery_timeout = 100s;
  TransactionalProducer producer = must(client.transactional_producer(hasty));
  must(producer.begin());
  std::promise<void> stored;
  must(producer.send("log", {.value = "late"}, [&](const Result<Stored>&) { stored.set_value(); }));
  stored.get_future().wait();
  wait_until_ended("log");
  const Error fenced = end_of(producer);
  EXPECT_EQ(fenced.code, Errc::producer_fenced);
  EXPECT_TRUE(fenced.fatal());

  TransactionalProducer again = must(client.transactional_producer(named("id")));
  must(again.begin());
  send(again, "log", {"in time"});
  must(again.commit());
  EXPECT_EQ(contents("log")[0], (Strings{"after", "in time"}));
}

TEST_F(Transactions, closing_aborts_what_is_open) {
  create("log");
  {
    Client client(options());
    TransactionalProducer producer = must(client.transactional_producer(named("id")));
    must(producer.begin());
    send(producer, "log", {"dropped"});
    must(producer.close());
    EXPECT_EQ(refusal(producer.begin()), Errc::cancelled);
    wait_until_ended("log");
  }
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("another")));
  must(producer.begin());
  send(producer, "log", {"dropped, too"});
  client.close();
  EXPECT_EQ(refusal(producer.commit()), Errc::cancelled);
  wait_until_ended("log");
  EXPECT_EQ(contents("log")[0], (Strings{"after", "after"}));
}

TEST_F(Transactions, positions_are_committed_with_it_and_never_without) {
  create("in");
  create("out");
  fill("in", 0, 10);
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  StreamConsumer consumer = must(client.stream_consumer(transactional("group", {"in"})));

  must(producer.begin());
  send(producer, "out", values(take(consumer, 4)));
  must(producer.commit_offsets(consumer));
  must(producer.abort());
  EXPECT_EQ(floor("group", "in"), -1);

  rewind(consumer);
  must(producer.begin());
  std::vector<Message> messages = take(consumer, 4);
  EXPECT_EQ(values(messages), numbers(0, 4));
  send(producer, "out", values(messages));
  must(producer.commit_offsets(consumer, messages));
  EXPECT_EQ(floor("group", "in"), -1);
  must(producer.commit());
  EXPECT_EQ(floor("group", "in"), 4);

  must(producer.begin());
  messages = take(consumer, 6);
  send(producer, "out", values(messages));
  must(producer.commit_offsets(consumer, std::span(messages).first(2)));
  must(producer.commit_offsets(consumer));  // The last one counts.
  must(producer.commit());
  EXPECT_EQ(floor("group", "in"), 10);
  EXPECT_EQ(contents("out")[0], numbers(0, 10));
}

TEST_F(Transactions, a_transactional_consumer_commits_nothing_by_itself) {
  create("in");
  fill("in", 0, 10);
  Client client(options());
  StreamOptions eager = transactional("group", {"in"});
  eager.commit_every = 1ms;
  eager.auto_done = true;
  StreamConsumer consumer = must(client.stream_consumer(eager));
  const std::vector<Message> messages = take(consumer, 10);
  consumer.done(messages);
  EXPECT_EQ(refusal(consumer.commit()), Errc::conflict);
  EXPECT_EQ(refusal(consumer.commit({"in", 0}, Offset{5})), Errc::conflict);
  must(consumer.close());
  EXPECT_EQ(floor("group", "in"), -1);

  StreamConsumer plain = must(client.stream_consumer(of("group", {"in"})));
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  must(producer.begin());
  EXPECT_EQ(refusal(producer.commit_offsets(plain)), Errc::invalid_argument);
  must(producer.abort());
}

TEST_F(Transactions, a_consumer_that_was_replaced_cannot_have_its_positions_committed) {
  create("in");
  create("out");
  fill("in", 0, 10);
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("first")));
  StreamOptions seat = transactional("group", {"in"});
  seat.instance = "seat";
  StreamConsumer old = must(client.stream_consumer(seat));
  must(producer.begin());
  const std::vector<Message> messages = take(old, 5);
  send(producer, "out", values(messages));

  Client other(options());
  StreamConsumer now = must(other.stream_consumer(seat));
  const Errc refused = refusal(producer.commit_offsets(old, messages));
  EXPECT_THAT((std::vector{Errc::unknown_member, Errc::not_owner, Errc::stale_member_epoch}), testing::Contains(refused));
  EXPECT_EQ(refusal(producer.commit()), refused);
  must(producer.abort());
  EXPECT_EQ(values(take(now, 10)), numbers(0, 10));
  EXPECT_TRUE(contents("out").empty());
}

TEST_F(Transactions, whoever_takes_over_waits_for_the_positions_that_are_about_to_be_committed) {
  create("in");
  create("out");
  fill("in", 0, 10);
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("first")));
  StreamOptions seat = transactional("group", {"in"});
  seat.instance = "seat";
  StreamConsumer old = must(client.stream_consumer(seat));
  must(producer.begin());
  send(producer, "out", values(take(old, 5)));
  must(producer.commit_offsets(old));

  Client other(options());
  StreamConsumer now = must(other.stream_consumer(seat));
  EXPECT_TRUE(must(now.poll(0ms)).empty());
  must(producer.commit());
  EXPECT_EQ(values(take(now, 5)), numbers(5, 10));
  EXPECT_EQ(contents("out")[0], numbers(0, 5));
}

TEST_F(Transactions, a_partition_is_handed_over_when_its_messages_have_been_committed) {
  create("in", 2);
  fill("in", 0, 5, 0);
  fill("in", 100, 105, 1);
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("first")));
  Story story;
  StreamOptions first = transactional("group", {"in"});
  story.join(first);
  StreamConsumer consumer = must(client.stream_consumer(first));
  must(producer.begin());
  take(consumer, 10);

  Client other(options());
  Story arrival;
  StreamOptions second = transactional("group", {"in"});
  arrival.join(second);
  StreamConsumer joining = must(other.stream_consumer(second));
  story.wait_for_share(1);  // It gives up one.
  must(producer.commit_offsets(consumer));
  must(producer.commit());
  arrival.wait_for_share(1);
  fill("in", 5, 6, 0);
  fill("in", 105, 106, 1);
  Strings rest = values(take(consumer, 1));
  const Strings of_the_other = values(take(joining, 1));
  rest.insert(rest.end(), of_the_other.begin(), of_the_other.end());
  EXPECT_THAT(rest, testing::UnorderedElementsAre("5", "105"));
}

TEST_F(Transactions, goes_on_over_a_restart_of_the_broker_at_every_step) {
  create("in");
  create("out");
  fill("in", 0, 8);
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  StreamConsumer consumer = must(client.stream_consumer(transactional("group", {"in"})));
  const auto restart = [this] {
    broker_.stop();
    broker_.start();
  };
  for (int step = 0; step < 4; ++step) {
    SCOPED_TRACE("restart at step " + std::to_string(step));
    must(producer.begin());
    if (step == 0) restart();
    const std::vector<Message> messages = take(consumer, 2);
    std::promise<void> stored;
    must(producer.send("out", {.value = messages[0].value()}, [&](const Result<Stored>&) { stored.set_value(); }));
    stored.get_future().wait();
    if (step == 1) restart();
    must(producer.send("out", {.value = messages[1].value()}));
    if (step == 2) restart();
    must(producer.commit_offsets(consumer, messages));
    if (step == 3) restart();
    must(producer.commit());
    EXPECT_EQ(floor("group", "in"), 2 * step + 2);
  }
  EXPECT_EQ(contents("out")[0], numbers(0, 8));
}

TEST_F(Transactions, an_abort_goes_on_over_a_restart) {
  create("log");
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  must(producer.begin());
  send(producer, "log", {"dropped"});
  broker_.stop();
  std::thread later([&] { broker_.start(); });
  must(producer.abort());
  later.join();
  must(producer.begin());
  send(producer, "log", {"kept"});
  must(producer.commit());
  EXPECT_EQ(contents("log")[0], Strings{"kept"});
}

TEST_F(Transactions, without_a_broker_calls_fail_in_time_and_can_be_made_again) {
  create("log");
  ClientOptions hasty = options();
  hasty.request_timeout = 300ms;
  Client client(hasty);
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  must(producer.begin());
  std::promise<void> stored;
  must(producer.send("log", {.value = "a"}, [&](const Result<Stored>&) { stored.set_value(); }));
  stored.get_future().wait();
  broker_.stop();
  const Status committed = producer.commit();
  ASSERT_FALSE(committed);
  EXPECT_TRUE(committed.error().retriable()) << committed.error().to_string();
  broker_.start();
  for (Status again = producer.commit(); !again; again = producer.commit()) ASSERT_TRUE(again.error().retriable());
  EXPECT_EQ(contents("log")[0], Strings{"a"});
}

/// Connections break after a random number of bytes, in every request and every answer of consuming, sending and committing.
TEST_F(Transactions, exactly_once_from_one_topic_to_another_over_a_connection_that_keeps_breaking) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string in = "in-" + std::to_string(seed), out = "out-" + std::to_string(seed);
    constexpr int kRecords = 300;
    create(in, 2);
    create(out, 2);
    fill(in, 0, kRecords, 0);
    fill(in, 1000, 1000 + kRecords, 1);
    std::mt19937 random(seed);
    CuttingProxy proxy(broker_.port(), [&](int connection) {
      if (connection >= 60) return CuttingProxy::Budget{};
      const bool request = random() % 2 == 0;
      const std::size_t bytes = 300 + random() % 3000;
      return request ? CuttingProxy::Budget{.to_broker = bytes} : CuttingProxy::Budget{.to_client = bytes};
    });
    ClientOptions through = options();
    through.server = proxy.address();
    through.reconnect_backoff_min = 1ms;
    through.reconnect_backoff_max = 2ms;
    Client client(through);
    TransactionalProducer producer = must(client.transactional_producer(named("mover-" + std::to_string(seed))));
    StreamConsumer consumer = must(client.stream_consumer(transactional("group-" + std::to_string(seed), {in})));
    int moved = 0;
    for (int round = 0; moved < 2 * kRecords; ++round) {
      const std::vector<Message> messages = must(consumer.poll(kLong, 20));
      must(producer.begin());
      for (const Message& message : messages) must(producer.send(out, {.value = message.value(), .partition = message.partition()}));
      must(producer.commit_offsets(consumer, messages));
      if (round % 5 == 4) {
        must(producer.abort());
        rewind(consumer);
        continue;
      }
      must(producer.commit());
      moved += static_cast<int>(messages.size());
    }
    EXPECT_EQ(contents(out), (std::map<std::int32_t, Strings>{{0, numbers(0, kRecords)}, {1, numbers(1000, 1000 + kRecords)}}));
    EXPECT_EQ(floor("group-" + std::to_string(seed), in, 0), kRecords);
    EXPECT_EQ(floor("group-" + std::to_string(seed), in, 1), kRecords);
  }
}

TEST_F(Transactions, completes_into_futures) {
  create("log");
  Client client(options());
  const auto use_future = asio::use_future;
  TransactionalProducer producer = must(client.async_transactional_producer(named("id"), use_future).get());
  must(producer.async_begin(use_future).get());
  must(producer.async_send("log", {.value = "a"}, use_future).get());
  must(producer.async_commit(use_future).get());
  must(producer.async_begin(use_future).get());
  must(producer.async_send("log", {.value = "b"}, use_future).get());
  must(producer.async_abort(use_future).get());
  must(producer.async_close(use_future).get());
  EXPECT_EQ(contents("log")[0], Strings{"a"});
}

TEST_F(Transactions, many_threads_send_into_one) {
  create("log", 4);
  Client client(options());
  TransactionalProducer producer = must(client.transactional_producer(named("id")));
  must(producer.begin());
  std::vector<std::thread> senders;
  for (int sender = 0; sender < 4; ++sender) {
    senders.emplace_back([&producer, sender] { send(producer, "log", numbers(sender * 1000, sender * 1000 + 300), sender); });
  }
  for (std::thread& sender : senders) sender.join();
  must(producer.commit());
  auto stored = contents("log");
  for (int sender = 0; sender < 4; ++sender) EXPECT_EQ(stored[sender], numbers(sender * 1000, sender * 1000 + 300));
}

}  // namespace
}  // namespace tidemark
