#include "tests/broker/transactions/transactions_fixture.h"

namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TransactionsTest : public testing::Test {
 protected:
  void SetUp() override {
    engine_ = std::make_unique<Engine>(disk_);
    ASSERT_TRUE(engine_->open());
    ASSERT_TRUE(engine_->create("t", 2));
  }
  TransactionCalls calls() { return TransactionCalls(*engine_); }
  std::vector<std::string> committed(std::int32_t partition = 0) { return calls().read({"t", partition}, Isolation::committed).values; }
  /// A transaction of one record in each of the partitions.
  ProducerIdentity open(const std::string& id, const std::vector<NamedPartition>& partitions, const std::string& value) {
    const Result<ProducerIdentity> producer = calls().begin(id);
    EXPECT_TRUE(producer) << producer.error().to_string();
    if (!producer) return {};
    const Status added = calls().add(id, *producer, partitions);
    EXPECT_TRUE(added);
    for (const NamedPartition& where : partitions) {
      const Result<Appended> appended = calls().append(where, *producer, 0, {value});
      EXPECT_TRUE(appended) << appended.error().to_string();
    }
    return *producer;
  }

  SimulatedFileSystem disk_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(TransactionsTest, records_are_read_once_they_are_committed) {
  const ProducerIdentity producer = open("x", {{"t", 0}, {"t", 1}}, "v");
  ASSERT_TRUE(engine_->append("t", 0, {"behind"}));
  EXPECT_THAT(committed(), IsEmpty());
  EXPECT_THAT(calls().read({"t", 0}, Isolation::uncommitted).values, ElementsAre("v", "behind"));
  ASSERT_TRUE(calls().end("x", producer, true));
  EXPECT_THAT(committed(0), ElementsAre("v", "behind"));
  EXPECT_THAT(committed(1), ElementsAre("v"));
  const auto info = engine_->describe("t");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->at(0).last_stable, Offset{3});  // Two records and the marker.
}

TEST_F(TransactionsTest, aborted_records_are_never_read_and_are_listed_for_those_who_filter) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "aborted");
  ASSERT_TRUE(engine_->append("t", 0, {"plain"}));
  ASSERT_TRUE(calls().end("x", producer, false));
  EXPECT_THAT(committed(), ElementsAre("plain"));
  const auto marked = calls().read({"t", 0}, Isolation::committed_marked);
  EXPECT_THAT(marked.values, ElementsAre("aborted", "plain"));
  ASSERT_EQ(marked.aborted.size(), 1u);
  EXPECT_EQ(marked.aborted[0].producer_id, producer.id);
  EXPECT_EQ(marked.aborted[0].first, Offset{0});
}

TEST_F(TransactionsTest, a_read_from_the_disk_during_a_trim_shows_nothing_aborted) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "aborted");
  ASSERT_TRUE(calls().end("x", producer, false));
  ASSERT_TRUE(engine_->append("t", 0, {"plain"}));
  ASSERT_TRUE(engine_->stop());
  for (std::uint64_t steps = 0; steps < 40; ++steps) {
    // A start leaves nothing in memory. What the trim forgets must not be missed by a read that has begun before.
    const std::unique_ptr<SimulatedFileSystem> disk = disk_.process_crash_clone();
    Engine engine(*disk);
    ASSERT_TRUE(engine.open());
    TransactionCalls calls(engine);
    const auto reading = calls.start<ReadReply>([](Broker& broker, Done<ReadReply> done) {
      broker.read({}, {"t", 0}, {}, std::move(done));
    });
    for (std::uint64_t i = 0; i < steps && !*reading; ++i) engine.runtime().step();
    ASSERT_TRUE(engine.trim("t", 0, Offset{2}));
    engine.runtime().run_until([&] { return reading->has_value(); });
    ASSERT_TRUE(*reading);
    if (!**reading) {
      EXPECT_EQ((**reading).error().code, Errc::offset_out_of_range);
      continue;
    }
    for (const Slice& slice : (**reading)->batches) {
      EXPECT_EQ(as_text(slice.view()).find("aborted"), std::string_view::npos) << "after " << steps << " steps";
    }
  }
}

TEST_F(TransactionsTest, a_reader_that_waits_is_woken_by_the_marker) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  ReadRequest request;
  request.wait_max = 1h;
  const auto waiting = engine_->start<ReadReply>([request](Broker& broker, Done<ReadReply> done) {
    broker.read({}, {"t", 0}, request, std::move(done));
  });
  engine_->runtime().run();
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(calls().end("x", producer, true));
  engine_->runtime().run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((**waiting)->next, Offset{2});
}

TEST_F(TransactionsTest, the_end_of_the_log_depends_on_the_reader) {
  open("x", {{"t", 0}}, "v");
  const auto ends = [this](Isolation isolation) {
    const auto found = calls().await(engine_->start<OffsetAt>([isolation](Broker& broker, Done<OffsetAt> done) {
      broker.find_offset({}, {"t", 0}, OffsetQuery::latest, 0, std::move(done), isolation);
    }));
    return found ? found->offset.value : -1;
  };
  EXPECT_EQ(ends(Isolation::committed), 0);
  EXPECT_EQ(ends(Isolation::uncommitted), 1);
}

TEST_F(TransactionsTest, a_batch_outside_the_transaction_is_refused) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  EXPECT_EQ(calls().append({"t", 1}, producer, 0, {"no"}).error().code, Errc::invalid_transaction_state);
  ASSERT_TRUE(calls().end("x", producer, true));
  EXPECT_EQ(calls().append({"t", 0}, producer, 1, {"late"}).error().code, Errc::invalid_transaction_state);
  EXPECT_THAT(committed(), ElementsAre("v"));
}

TEST_F(TransactionsTest, a_retry_of_a_finished_transaction_is_a_duplicate) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  ASSERT_TRUE(calls().end("x", producer, true));
  const Result<Appended> again = calls().append({"t", 0}, producer, 0, {"v"});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->duplicate);
}

TEST_F(TransactionsTest, markers_of_clients_are_refused) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  Slice marker = build_control_batch(producer.id, producer.epoch, true, 0, Timestamp(1s));
  EXPECT_EQ(engine_->append_batch("t", 0, std::move(marker)).error().code, Errc::corrupt_batch);
  EXPECT_THAT(committed(), IsEmpty());
}

TEST_F(TransactionsTest, a_new_instance_aborts_and_fences_the_old_one) {
  const ProducerIdentity old = open("x", {{"t", 0}}, "old");
  EXPECT_EQ(calls().begin_once("x").error().code, Errc::concurrent_transactions);
  const Result<ProducerIdentity> taken = calls().begin("x");
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->id, old.id);
  EXPECT_GT(taken->epoch, old.epoch);
  EXPECT_EQ(calls().end("x", old, true).error().code, Errc::producer_fenced);
  EXPECT_EQ(calls().add("x", old, {{"t", 1}}).error().code, Errc::producer_fenced);
  ASSERT_TRUE(calls().add("x", *taken, {{"t", 0}}));
  EXPECT_EQ(calls().append({"t", 0}, old, 1, {"zombie"}).error().code, Errc::stale_producer_epoch);
  ASSERT_TRUE(calls().append({"t", 0}, *taken, 0, {"new"}));
  ASSERT_TRUE(calls().end("x", *taken, true));
  EXPECT_THAT(committed(), ElementsAre("new"));
}

TEST_F(TransactionsTest, one_that_is_open_for_too_long_is_aborted) {
  const Result<ProducerIdentity> producer = calls().begin("x", 5s);
  ASSERT_TRUE(producer);
  ASSERT_TRUE(calls().add("x", *producer, {{"t", 0}}));
  ASSERT_TRUE(calls().append({"t", 0}, *producer, 0, {"v"}));
  engine_->runtime().advance(4s);
  EXPECT_EQ(calls().describe("x")->state, TransactionState::ongoing);
  engine_->runtime().advance(2s);
  EXPECT_EQ(calls().describe("x")->state, TransactionState::complete_abort);
  EXPECT_EQ(calls().end("x", *producer, true).error().code, Errc::producer_fenced);
  EXPECT_THAT(committed(), IsEmpty());
}

TEST_F(TransactionsTest, time_goes_on_while_the_broker_is_down) {
  const Result<ProducerIdentity> producer = calls().begin("x", 5s);
  ASSERT_TRUE(producer);
  ASSERT_TRUE(calls().add("x", *producer, {{"t", 0}}));
  ASSERT_TRUE(calls().append({"t", 0}, *producer, 0, {"v"}));
  const Timestamp before = engine_->runtime().clock().now();
  ASSERT_TRUE(engine_->stop());
  engine_->set_wall_at_open(before + 1min);
  ASSERT_TRUE(engine_->open());
  engine_->runtime().advance(1s);
  EXPECT_EQ(calls().describe("x")->state, TransactionState::complete_abort);
}

TEST_F(TransactionsTest, refuses_what_makes_no_sense) {
  EXPECT_EQ(calls().begin_once("", 1s).error().code, Errc::invalid_argument);
  EXPECT_EQ(calls().begin_once(std::string(kTransactionalIdBytesMax + 1, 'x'), 1s).error().code, Errc::invalid_argument);
  EXPECT_EQ(calls().begin_once("x", 0s).error().code, Errc::invalid_transaction_timeout);
  EXPECT_EQ(calls().begin_once("x", kTransactionTimeoutMax + 1ms).error().code, Errc::invalid_transaction_timeout);
  EXPECT_EQ(calls().add("nobody", {1, 0}, {{"t", 0}}).error().code, Errc::unknown_transactional_id);
  EXPECT_EQ(calls().end("nobody", {1, 0}, true).error().code, Errc::unknown_transactional_id);
  const Result<ProducerIdentity> producer = calls().begin("x");
  ASSERT_TRUE(producer);
  EXPECT_EQ(calls().end("x", *producer, true).error().code, Errc::invalid_transaction_state);
  EXPECT_EQ(calls().add("x", *producer, {{"t", 9}}).error().code, Errc::unknown_partition);
  EXPECT_EQ(calls().commit_offset("g", *producer, {"t", 0}, 1).error().code, Errc::invalid_transaction_state);
}

TEST_F(TransactionsTest, offsets_count_with_the_commit_and_not_before) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  ASSERT_TRUE(calls().add_group("x", producer, "g"));
  ASSERT_TRUE(calls().commit_offset("g", producer, {"t", 1}, 5));
  auto seen = calls().committed("g", {"t", 1});
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->committed);
  EXPECT_TRUE(seen->unstable);
  ASSERT_TRUE(calls().end("x", producer, true));
  seen = calls().committed("g", {"t", 1});
  ASSERT_TRUE(seen && seen->committed);
  EXPECT_EQ(seen->committed->offset, Offset{5});
  EXPECT_FALSE(seen->unstable);
}

TEST_F(TransactionsTest, offsets_of_an_aborted_transaction_are_dropped) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  ASSERT_TRUE(calls().add_group("x", producer, "g"));
  ASSERT_TRUE(calls().commit_offset("g", producer, {"t", 1}, 5));
  ASSERT_TRUE(calls().end("x", producer, false));
  const auto seen = calls().committed("g", {"t", 1});
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->committed);
  EXPECT_FALSE(seen->unstable);
}

TEST_F(TransactionsTest, an_open_one_goes_on_after_a_restart) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "before");
  ASSERT_TRUE(calls().add_group("x", producer, "g"));
  ASSERT_TRUE(calls().commit_offset("g", producer, {"t", 1}, 5));
  const ProducerIdentity aborted = open("y", {{"t", 0}}, "aborted");
  ASSERT_TRUE(calls().end("y", aborted, false));
  ASSERT_TRUE(engine_->stop());
  ASSERT_TRUE(engine_->open());
  EXPECT_THAT(committed(), IsEmpty());
  ASSERT_TRUE(calls().append({"t", 0}, producer, 1, {"after"}));
  ASSERT_TRUE(calls().commit_offset("g", producer, {"t", 0}, 7));
  ASSERT_TRUE(calls().end("x", producer, true));
  EXPECT_THAT(committed(), ElementsAre("before", "after"));
  EXPECT_EQ(calls().committed("g", {"t", 1})->committed->offset, Offset{5});
  EXPECT_EQ(calls().committed("g", {"t", 0})->committed->offset, Offset{7});
}

TEST_F(TransactionsTest, a_topic_that_is_deleted_does_not_hold_up_the_end) {
  ASSERT_TRUE(engine_->create("u", 1));
  const ProducerIdentity producer = open("x", {{"t", 0}, {"u", 0}}, "v");
  ASSERT_TRUE(engine_->remove("u"));
  engine_->runtime().run();
  ASSERT_TRUE(calls().end("x", producer, true));
  EXPECT_EQ(calls().describe("x")->state, TransactionState::complete_commit);
  EXPECT_THAT(committed(), ElementsAre("v"));
}

TEST_F(TransactionsTest, producers_of_a_partition_are_shown_with_their_transactions) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  const auto open_now = calls().producers({"t", 0});
  ASSERT_TRUE(open_now);
  ASSERT_EQ(open_now->size(), 1u);
  EXPECT_EQ(open_now->at(0).producer, producer);
  EXPECT_EQ(open_now->at(0).transaction_start, Offset{0});
  ASSERT_TRUE(calls().end("x", producer, true));
  EXPECT_EQ(calls().producers({"t", 0})->at(0).transaction_start, std::nullopt);
}

TEST_F(TransactionsTest, ids_that_are_not_used_are_forgotten) {
  const ProducerIdentity producer = open("x", {{"t", 0}}, "v");
  ASSERT_TRUE(calls().end("x", producer, true));
  const Timestamp before = engine_->runtime().clock().now();
  ASSERT_TRUE(engine_->stop());
  engine_->set_wall_at_open(before + kTransactionalIdKept + 1h);
  ASSERT_TRUE(engine_->open());
  engine_->runtime().advance(11min);
  EXPECT_EQ(calls().describe("x").error().code, Errc::not_found);
  EXPECT_EQ(calls().end("x", producer, true).error().code, Errc::unknown_transactional_id);
  const Result<ProducerIdentity> again = calls().begin("x");
  ASSERT_TRUE(again);
  EXPECT_NE(again->id, producer.id);
}

}  // namespace
}  // namespace tidemark::broker
