#include "client/src/partition_queue.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tidemark::detail {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

constexpr Identity kFirst{.id = 7, .epoch = 0};

class PartitionQueueTest : public testing::Test {
 protected:
  void options(const PartitionQueue::Options& options) { queue_.emplace(0, options, kFirst); }
  /// A batch of its own.
  void add(const std::string& value) {
    gather(value);
    queue_->seal();
  }
  void gather(const std::string& value) {
    const RecordInput record{.key = {}, .value = as_bytes(value), .timestamp_ms = 1, .headers = {}};
    const std::size_t bytes = BatchBuilder::size_bound(record);
    queue_->add(record, bytes, bytes, {}, now_);
  }
  /// Sends whatever may be sent, building the bytes as the producer does.
  std::vector<PartitionQueue::BatchPtr> send() {
    std::vector<PartitionQueue::BatchPtr> batches;
    while (auto batch = queue_->next_to_send(now_)) {
      if (batch->bytes.empty()) {
        batch->builder.set_producer(batch->identity.id, batch->identity.epoch, batch->base_sequence);
        batch->bytes = batch->builder.build();
      }
      batches.push_back(std::move(batch));
    }
    return batches;
  }
  std::optional<Error> fail(const PartitionQueue::BatchPtr& batch, Errc code, bool maybe_done = false) {
    return queue_->on_error(batch, Error{code, "", maybe_done}, now_);
  }
  static Strings values(const std::vector<PartitionQueue::BatchPtr>& batches) {
    Strings all;
    for (const auto& batch : batches) {
      Result<BatchReader> reader = BatchReader::open(batch->bytes.view());
      RecordView record;
      while (reader && reader->next(record).value_or(false)) all.emplace_back(as_text(*record.value));
    }
    return all;
  }
  static std::vector<std::int32_t> sequences(const std::vector<PartitionQueue::BatchPtr>& batches) {
    std::vector<std::int32_t> all;
    for (const auto& batch : batches) all.push_back(BatchHeader::parse(batch->bytes.view()).value_or({}).base_sequence);
    return all;
  }

  SteadyTime now_{1h};
  std::optional<PartitionQueue> queue_{std::in_place, 0, PartitionQueue::Options{}, kFirst};
};

TEST_F(PartitionQueueTest, numbers_batches_by_their_records) {
  gather("a");
  gather("b");
  queue_->seal();
  add("c");
  EXPECT_EQ(sequences(send()), (std::vector<std::int32_t>{0, 2}));
}

TEST_F(PartitionQueueTest, sends_a_first_record_at_once_and_gathers_while_it_is_under_way) {
  gather("a");
  const auto first = send();
  EXPECT_EQ(values(first), Strings{"a"});
  gather("b");
  gather("c");
  EXPECT_TRUE(send().empty());
  queue_->on_stored(first[0]);
  EXPECT_EQ(values(send()), (Strings{"b", "c"}));
}

TEST_F(PartitionQueueTest, lingers_as_long_as_told) {
  PartitionQueue::Options lingering;
  lingering.linger = 5ms;
  options(lingering);
  gather("a");
  EXPECT_TRUE(send().empty());
  EXPECT_EQ(queue_->next_event(), now_ + 5ms);
  now_ += 5ms;
  EXPECT_EQ(values(send()), Strings{"a"});
}

TEST_F(PartitionQueueTest, keeps_to_the_limit_in_flight) {
  PartitionQueue::Options two;
  two.in_flight_max = 2;
  options(two);
  for (const char* value : {"a", "b", "c"}) add(value);
  const auto sent = send();
  EXPECT_EQ(values(sent), (Strings{"a", "b"}));
  queue_->on_stored(sent[0]);
  EXPECT_EQ(values(send()), Strings{"c"});
}

TEST_F(PartitionQueueTest, begins_another_batch_when_one_is_full) {
  PartitionQueue::Options small;
  small.batch_bytes = 300;
  options(small);
  for (int i = 0; i < 4; ++i) gather(std::string(50, static_cast<char>('a' + i)));
  queue_->seal();
  const auto sent = send();
  EXPECT_GT(sent.size(), 1U);
  EXPECT_LT(sent.size(), 4U);
  for (const auto& batch : sent) EXPECT_LE(batch->bytes.size(), 300U);
  EXPECT_EQ(values(sent).size(), 4U);
}

TEST_F(PartitionQueueTest, repeats_everything_in_order_with_the_same_sequences_after_a_lost_connection) {
  for (const char* value : {"a", "b", "c"}) add(value);
  const auto sent = send();
  for (const auto& batch : sent) EXPECT_EQ(fail(batch, Errc::connection_lost, true), std::nullopt);
  add("d");
  const auto again = send();
  EXPECT_EQ(values(again), (Strings{"a", "b", "c", "d"}));
  EXPECT_EQ(sequences(again), (std::vector<std::int32_t>{0, 1, 2, 3}));
}

TEST_F(PartitionQueueTest, sends_nothing_past_a_failed_batch_before_all_answers_are_in) {
  for (const char* value : {"a", "b"}) add(value);
  const auto sent = send();
  EXPECT_EQ(fail(sent[0], Errc::overloaded), std::nullopt);
  now_ += 1h;
  EXPECT_TRUE(send().empty());
}

TEST_F(PartitionQueueTest, pauses_after_a_refusal_that_may_pass) {
  add("a");
  const auto sent = send();
  EXPECT_EQ(fail(sent[0], Errc::overloaded), std::nullopt);
  EXPECT_TRUE(send().empty());
  const SteadyTime event = queue_->next_event();
  EXPECT_GT(event, now_);
  now_ = event;
  EXPECT_EQ(values(send()), Strings{"a"});
}

TEST_F(PartitionQueueTest, goes_on_under_a_new_identity_when_a_refused_batch_left_a_gap) {
  for (const char* value : {"bad", "b", "c"}) add(value);
  const auto sent = send();
  ASSERT_NE(fail(sent[0], Errc::corrupt_batch), std::nullopt);
  EXPECT_EQ(fail(sent[1], Errc::out_of_order_sequence), std::nullopt);
  EXPECT_FALSE(queue_->wants_identity());  // One answer is missing.
  EXPECT_EQ(fail(sent[2], Errc::out_of_order_sequence), std::nullopt);
  ASSERT_TRUE(queue_->wants_identity());
  queue_->set_identity(Identity{.id = 8, .epoch = 0});
  const auto again = send();
  EXPECT_EQ(values(again), (Strings{"b", "c"}));
  EXPECT_EQ(sequences(again), (std::vector<std::int32_t>{0, 1}));
  for (const auto& batch : again) {
    EXPECT_EQ(BatchHeader::parse(batch->bytes.view()).value_or({}).producer_id, 8);
    EXPECT_TRUE(batch_crc_matches(batch->bytes.view()));
  }
}

TEST_F(PartitionQueueTest, keeps_its_identity_when_the_batch_given_up_was_stored_after_all) {
  add("a");
  const auto first = send();
  now_ += 3min;
  const std::optional<Error> given_up = fail(first[0], Errc::timed_out, true);
  ASSERT_TRUE(given_up);
  EXPECT_EQ(given_up->code, Errc::timed_out);
  EXPECT_TRUE(given_up->maybe_done);
  add("b");
  const auto second = send();
  EXPECT_EQ(sequences(second), std::vector<std::int32_t>{1});
  queue_->on_stored(second[0]);
  EXPECT_FALSE(queue_->wants_identity());
}

TEST_F(PartitionQueueTest, does_not_repeat_what_may_be_stored_when_the_broker_has_forgotten_the_producer) {
  add("a");
  const auto sent = send();
  EXPECT_EQ(fail(sent[0], Errc::connection_lost, true), std::nullopt);
  const auto again = send();
  const std::optional<Error> given_up = fail(again[0], Errc::out_of_order_sequence);
  ASSERT_TRUE(given_up);
  EXPECT_TRUE(given_up->maybe_done);
}

TEST_F(PartitionQueueTest, repeats_under_a_new_identity_what_a_forgetful_broker_has_refused) {
  add("a");
  const auto sent = send();
  EXPECT_EQ(fail(sent[0], Errc::out_of_order_sequence), std::nullopt);
  ASSERT_TRUE(queue_->wants_identity());
  queue_->set_identity(Identity{.id = 8, .epoch = 0});
  now_ = queue_->next_event();
  EXPECT_EQ(values(send()), Strings{"a"});
}

TEST_F(PartitionQueueTest, without_idempotence_gives_up_what_may_be_stored) {
  PartitionQueue::Options plain;
  plain.idempotent = false;
  options(plain);
  for (const char* value : {"a", "b"}) add(value);
  const auto sent = send();
  const std::optional<Error> lost = fail(sent[0], Errc::connection_lost, true);
  ASSERT_TRUE(lost);
  EXPECT_TRUE(lost->maybe_done);
  EXPECT_EQ(fail(sent[1], Errc::connection_lost, false), std::nullopt);  // Never sent.
  EXPECT_EQ(values(send()), Strings{"b"});
}

TEST_F(PartitionQueueTest, expires_what_could_not_be_sent_in_time) {
  PartitionQueue::Options one;
  one.in_flight_max = 1;
  options(one);
  for (const char* value : {"a", "b"}) add(value);
  const auto sent = send();
  now_ += 2min;
  const auto expired = queue_->take_expired(now_);
  ASSERT_EQ(expired.size(), 1U);  // "a" is under way: its answer decides.
  EXPECT_FALSE(expired[0]->unknown_outcome);
  EXPECT_FALSE(queue_->empty());
}

/// A partition as the broker keeps it: the last five batches of a producer are known again.
class BrokerPartition {
 public:
  std::optional<Errc> append(ByteView bytes) {
    EXPECT_TRUE(batch_crc_matches(bytes));
    const BatchHeader header = BatchHeader::parse(bytes).value_or({});
    Producer& producer = producers_[header.producer_id];
    for (const std::int32_t sequence : producer.recent) {
      if (sequence == header.base_sequence) return std::nullopt;
    }
    if (header.base_sequence < producer.next) return Errc::duplicate_sequence;
    if (header.base_sequence > producer.next) return Errc::out_of_order_sequence;
    producer.next = header.base_sequence + header.record_count;
    producer.recent.push_back(header.base_sequence);
    if (producer.recent.size() > 5) producer.recent.pop_front();
    Result<BatchReader> reader = BatchReader::open(bytes);
    RecordView record;
    while (reader && reader->next(record).value_or(false)) log.push_back(std::stoi(to_string(*record.value)));
    return std::nullopt;
  }

  std::vector<int> log;

 private:
  struct Producer {
    std::int32_t next = 0;
    std::deque<std::int32_t> recent;
  };
  std::map<std::int64_t, Producer> producers_;
};

/// Answers may be lost before or after the append, connections break in the middle of a pipeline, batches are refused for now or for good.
TEST_F(PartitionQueueTest, loses_doubles_and_reorders_nothing_under_random_faults) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    options({});
    BrokerPartition broker;
    std::vector<int> refused;
    std::int64_t next_id = 8;
    int added = 0;
    while (added < 200 || !queue_->empty()) {
      for (unsigned i = random() % 4; i > 0 && added < 200; --i) {
        gather(std::to_string(added++));
        if (chance(50)) queue_->seal();
      }
      now_ += 1s;
      if (queue_->wants_identity()) queue_->set_identity(Identity{.id = next_id++, .epoch = 0});
      const auto sent = send();
      bool connected = true;
      for (const auto& batch : sent) {
        if (connected && chance(3)) connected = false;
        if (!connected) {
          ASSERT_EQ(fail(batch, Errc::connection_lost, true), std::nullopt);
          continue;
        }
        if (chance(5)) {
          ASSERT_EQ(fail(batch, Errc::overloaded), std::nullopt);
          continue;
        }
        if (chance(2)) {
          for (const std::string& value : values({batch})) refused.push_back(std::stoi(value));
          const std::optional<Error> final = fail(batch, Errc::corrupt_batch);
          ASSERT_TRUE(final);
          // An earlier attempt may have stored it: then the answer must say so.
          ASSERT_EQ(final->maybe_done, batch->unknown_outcome);
          continue;
        }
        const std::optional<Errc> error = broker.append(batch->bytes.view());
        if (chance(3)) connected = false;
        if (!connected) {
          ASSERT_EQ(fail(batch, Errc::connection_lost, true), std::nullopt);
        } else if (error && *error != Errc::duplicate_sequence) {
          if (const auto final = fail(batch, *error)) {
            ASSERT_TRUE(final->maybe_done);
            for (const std::string& value : values({batch})) refused.push_back(std::stoi(value));
          }
        } else {
          queue_->on_stored(batch);
        }
      }
    }
    ASSERT_TRUE(std::is_sorted(broker.log.begin(), broker.log.end()));
    ASSERT_EQ(std::adjacent_find(broker.log.begin(), broker.log.end()), broker.log.end());
    std::vector<int> all = broker.log;
    all.insert(all.end(), refused.begin(), refused.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    ASSERT_EQ(all.size(), 200U);
  }
}

class TransactionalQueueTest : public PartitionQueueTest {
 protected:
  void SetUp() override { options({.transactional = true, .batch = {}}); }
  void join() {
    queue_->begin_joining();
    queue_->end_joining(true);
  }
};

TEST_F(TransactionalQueueTest, sends_nothing_before_the_partition_has_joined) {
  EXPECT_FALSE(queue_->wants_to_join());
  add("a");
  EXPECT_TRUE(queue_->wants_to_join());
  EXPECT_TRUE(send().empty());
  queue_->begin_joining();
  EXPECT_FALSE(queue_->wants_to_join());
  EXPECT_TRUE(send().empty());
  queue_->end_joining(true);
  EXPECT_FALSE(queue_->wants_to_join());
  EXPECT_EQ(values(send()), Strings{"a"});
}

TEST_F(TransactionalQueueTest, asks_again_when_joining_has_failed) {
  add("a");
  queue_->begin_joining();
  queue_->end_joining(false);
  EXPECT_TRUE(queue_->wants_to_join());
  EXPECT_TRUE(send().empty());
}

TEST_F(TransactionalQueueTest, sequences_go_on_with_the_next_transaction_and_begin_anew_with_the_next_epoch) {
  add("a");
  join();
  auto batches = send();
  EXPECT_EQ(sequences(batches), std::vector<std::int32_t>{0});
  queue_->on_stored(batches[0]);

  queue_->begin_transaction(std::nullopt);
  add("b");
  EXPECT_TRUE(queue_->wants_to_join());
  join();
  batches = send();
  EXPECT_EQ(sequences(batches), std::vector<std::int32_t>{1});
  queue_->on_stored(batches[0]);

  queue_->begin_transaction(Identity{.id = 7, .epoch = 1});
  add("c");
  join();
  batches = send();
  EXPECT_EQ(sequences(batches), std::vector<std::int32_t>{0});
  EXPECT_EQ(BatchHeader::parse(batches[0]->bytes.view()).value_or({}).producer_epoch, 1);
}

TEST_F(TransactionalQueueTest, never_sends_a_batch_again_under_another_identity) {
  add("a");
  add("b");
  join();
  const auto batches = send();
  EXPECT_EQ(fail(batches[1], Errc::out_of_order_sequence), std::nullopt);  // The one before it is missing: it goes again.
  EXPECT_EQ(fail(batches[0], Errc::out_of_order_sequence)->code, Errc::out_of_order_sequence);
  EXPECT_FALSE(queue_->wants_identity());
  const auto again = send();
  ASSERT_EQ(values(again), Strings{"b"});
  EXPECT_EQ(fail(again[0], Errc::stale_producer_epoch)->code, Errc::stale_producer_epoch);
  EXPECT_FALSE(queue_->wants_identity());
  EXPECT_TRUE(queue_->empty());
}

TEST_F(TransactionalQueueTest, one_that_is_abandoned_keeps_what_is_under_way_until_its_answer) {
  options({.in_flight_max = 2, .transactional = true, .batch = {}});
  add("a");
  add("b");
  add("c");
  gather("d");
  join();
  const auto batches = send();
  ASSERT_EQ(values(batches), (Strings{"a", "b"}));
  EXPECT_EQ(fail(batches[1], Errc::overloaded), std::nullopt);
  const auto dropped = queue_->abandon();
  EXPECT_EQ(dropped.size(), 3u);  // "b", which was to go again, too.
  EXPECT_FALSE(queue_->empty());
  EXPECT_EQ(fail(batches[0], Errc::overloaded)->code, Errc::overloaded);
  EXPECT_TRUE(queue_->empty());

  queue_->begin_transaction(Identity{.id = 7, .epoch = 1});
  add("e");
  join();
  EXPECT_EQ(sequences(send()), std::vector<std::int32_t>{0});
}

}  // namespace
}  // namespace tidemark::detail
