#include "broker/transactions/transaction.h"

#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

using namespace std::chrono_literals;

const Timestamp kNow(1'000s);
const PartitionKey kPartition{Uuid{}, 3};

BeginTransactions request(std::optional<ProducerIdentity> expected = {}) { return {.id = "x", .timeout = 10s, .expected = expected}; }

Transaction fresh() { return *begin_instance(Transaction(), request(), 7, kNow); }
Transaction ongoing() { return *add_partitions(fresh(), {7, 0}, std::vector{kPartition}, kNow); }
Transaction prepared(bool commit) { return *decide_end(ongoing(), {7, 0}, commit, kNow); }

TEST(Transaction, a_new_id_gets_a_producer_id_and_epoch_0) {
  const Transaction made = fresh();
  EXPECT_EQ(made.producer, (ProducerIdentity{7, 0}));
  EXPECT_EQ(made.state, TransactionState::empty);
  EXPECT_EQ(made.timeout, 10s);
}

TEST(Transaction, another_instance_bumps_the_epoch) {
  const Result<Transaction> next = begin_instance(fresh(), request(), std::nullopt, kNow);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->producer, (ProducerIdentity{7, 1}));
}

TEST(Transaction, a_producer_that_goes_on_must_be_the_present_one_and_may_repeat_itself) {
  const Transaction first = fresh();
  const Result<Transaction> bumped = begin_instance(first, request(ProducerIdentity{7, 0}), std::nullopt, kNow);
  ASSERT_TRUE(bumped);
  EXPECT_EQ(bumped->producer.epoch, 1);
  const Result<Transaction> repeated = begin_instance(*bumped, request(ProducerIdentity{7, 0}), std::nullopt, kNow);
  ASSERT_TRUE(repeated);
  EXPECT_EQ(repeated->producer.epoch, 1);  // Its first answer was lost.
  const Result<Transaction> taken = begin_instance(*bumped, request(), std::nullopt, kNow);
  ASSERT_TRUE(taken);
  EXPECT_EQ(begin_instance(*taken, request(ProducerIdentity{7, 0}), std::nullopt, kNow).error().code, Errc::producer_fenced);
  EXPECT_EQ(begin_instance(*taken, request(ProducerIdentity{8, 2}), std::nullopt, kNow).error().code, Errc::producer_fenced);
}

TEST(Transaction, epochs_that_run_out_bring_a_new_producer_id) {
  Transaction last = fresh();
  last.producer.epoch = 32'766;
  ASSERT_TRUE(last.exhausted());
  const Result<Transaction> next = begin_instance(last, request(), 9, kNow);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->producer, (ProducerIdentity{9, 0}));
  EXPECT_EQ(next->last_producer, 7);
  // Its answer may be lost, too.
  EXPECT_TRUE(check_expected(*next, request(ProducerIdentity{7, 32'766})));
}

TEST(Transaction, begins_with_what_joins_first_and_keeps_its_time) {
  const Transaction one = ongoing();
  EXPECT_EQ(one.state, TransactionState::ongoing);
  EXPECT_EQ(one.deadline(), kNow + 10s);
  const Result<Transaction> more = add_group(one, {7, 0}, "g", kNow + 5s);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->started, kNow);
  const Result<Transaction> again = add_group(*more, {7, 0}, "g", kNow + 6s);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *more);  // Nothing to record.
}

TEST(Transaction, judges_who_asks) {
  EXPECT_EQ(add_partitions(fresh(), {8, 0}, std::vector{kPartition}, kNow).error().code, Errc::unknown_transactional_id);
  EXPECT_EQ(add_partitions(fresh(), {7, 1}, std::vector{kPartition}, kNow).error().code, Errc::producer_fenced);
  EXPECT_EQ(decide_end(ongoing(), {7, 1}, true, kNow).error().code, Errc::producer_fenced);
  EXPECT_EQ(add_partitions(prepared(true), {7, 0}, std::vector{kPartition}, kNow).error().code, Errc::concurrent_transactions);
}

TEST(Transaction, an_end_is_decided_once) {
  for (const bool commit : {true, false}) {
    const Transaction decided = prepared(commit);
    EXPECT_EQ(decided.commits(), commit);
    EXPECT_EQ(decide_end(decided, {7, 0}, commit, kNow).error().code, Errc::concurrent_transactions);
    EXPECT_EQ(decide_end(decided, {7, 0}, !commit, kNow).error().code, Errc::invalid_transaction_state);
    const Transaction done = complete(decided, kNow);
    EXPECT_TRUE(done.partitions.empty());
    const Result<Transaction> repeated = decide_end(done, {7, 0}, commit, kNow);
    ASSERT_TRUE(repeated);
    EXPECT_EQ(*repeated, done);
    EXPECT_EQ(decide_end(done, {7, 0}, !commit, kNow).error().code, Errc::invalid_transaction_state);
  }
  EXPECT_EQ(decide_end(fresh(), {7, 0}, true, kNow).error().code, Errc::invalid_transaction_state);
}

TEST(Transaction, a_fenced_one_aborts_under_a_new_epoch) {
  const Transaction aborted = fence(ongoing(), kNow);
  EXPECT_EQ(aborted.state, TransactionState::prepare_abort);
  EXPECT_EQ(aborted.producer.epoch, 1);
  EXPECT_EQ(decide_end(aborted, {7, 0}, true, kNow).error().code, Errc::producer_fenced);
  EXPECT_EQ(begin_instance(aborted, request(), std::nullopt, kNow).error().code, Errc::concurrent_transactions);
}

TEST(Transaction, comes_back_from_its_record) {
  Transaction whole = *add_group(ongoing(), {7, 0}, std::string("g\0h", 3), kNow);
  whole.last_epoch = 4;
  const Result<Transaction> decoded = decode_transaction(to_record("x", whole));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, whole);
  storage::StateRecord bad = to_record("x", whole);
  bad.payload.resize(bad.payload.size() - 1);
  EXPECT_EQ(decode_transaction(bad).error().code, Errc::corrupt_batch);
}

TEST(TransactionStates, are_named_as_kafka_names_them) {
  EXPECT_EQ(to_string(TransactionState::prepare_commit), "PrepareCommit");
  EXPECT_EQ(parse_transaction_state("CompleteAbort"), TransactionState::complete_abort);
  EXPECT_EQ(parse_transaction_state("Dead"), std::nullopt);
}

}  // namespace
}  // namespace tidemark::broker
