#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

/// Whoever speaks of a transaction, and how.
struct Instance {
  std::string id = "payments";
  std::int64_t producer = -1;
  std::int32_t epoch = -1;
};

class NativeTransactions : public testing::Test {
 protected:
  void SetUp() override { create_topic(*client_, "orders", 2); }

  static wire::BeginInstance begin_message(const std::string& id, std::uint32_t timeout_ms = 60'000) {
    wire::BeginInstance begin;
    begin.set_transactional_id(id);
    begin.set_timeout_ms(timeout_ms);
    return begin;
  }
  /// As clients do: again while the transaction before is being finished.
  template <class Reply>
  Reply must(FrameType type, const google::protobuf::MessageLite& message) {
    for (;;) {
      const Frame frame = client_->ask(type, message);
      if (!frame.is_error()) return frame.as<Reply>();
      if (frame.error().code == Errc::concurrent_transactions) continue;
      ADD_FAILURE() << frame.error().to_string();
      return {};
    }
  }
  Instance begin(const std::string& id = "payments") {
    const auto reply = must<wire::BeginInstanceReply>(FrameType::begin_instance, begin_message(id));
    return {id, reply.producer_id(), reply.producer_epoch()};
  }
  static void name(const Instance& instance, wire::TransactionName& out) {
    out.set_transactional_id(instance.id);
    out.set_producer_id(instance.producer);
    out.set_producer_epoch(instance.epoch);
  }
  static wire::JoinTransaction join_message(const Instance& instance, const std::string& topic = "orders", std::int32_t partition = 0) {
    wire::JoinTransaction join;
    name(instance, *join.mutable_transaction());
    auto& partitions = *join.add_partitions();
    partitions.set_topic(topic);
    partitions.add_partitions(partition);
    return join;
  }
  void join(const Instance& instance) { must<wire::JoinTransactionReply>(FrameType::join_transaction, join_message(instance)); }
  static wire::EndTransaction end_message(const Instance& instance, wire::EndTransaction::Outcome outcome) {
    wire::EndTransaction end;
    name(instance, *end.mutable_transaction());
    end.set_outcome(outcome);
    return end;
  }
  void end(const Instance& instance, wire::EndTransaction::Outcome outcome) {
    must<wire::EndTransactionReply>(FrameType::end_transaction, end_message(instance, outcome));
  }
  static wire::CommitInTransaction commit_message(const Instance& instance, std::int64_t offset, const std::string& group = "workers") {
    wire::CommitInTransaction commit;
    name(instance, *commit.mutable_transaction());
    commit.mutable_offsets()->set_group(group);
    auto& entry = *commit.mutable_offsets()->add_entries();
    entry.set_topic("orders");
    entry.set_offset(offset);
    entry.set_leader_epoch(-1);
    return commit;
  }
  std::optional<Error> produce(const Instance& instance, std::int32_t sequence, const std::string& value, bool transactional = true,
                               std::int32_t partition = 0) {
    BatchBuilder builder({.producer_id = instance.producer,
                          .producer_epoch = static_cast<std::int16_t>(instance.epoch),
                          .base_sequence = sequence,
                          .transactional = transactional});
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1, .headers = {}});
    const Slice batch = builder.build();
    wire::Produce message = produce_message({{"orders", batch}});
    message.mutable_batches(0)->set_partition(partition);
    const auto reply = client_->must<wire::ProduceReply>(FrameType::produce, message, {batch});
    if (!reply.batches(0).has_error()) return std::nullopt;
    return from_wire(reply.batches(0).error());
  }
  /// What a reader gets.
  std::vector<std::string> read() {
    const Frame frame = client_->ask(FrameType::fetch, fetch_message("orders", 0));
    return values_of(frame.attachments);
  }
  wire::GroupPositionsReply::Entry position(const std::string& group = "workers") {
    wire::GroupPositions ask;
    ask.set_group(group);
    ask.add_entries()->set_topic("orders");
    const auto reply = client_->must<wire::GroupPositionsReply>(FrameType::group_positions, ask);
    return reply.entries_size() == 1 ? reply.entries(0) : wire::GroupPositionsReply::Entry();
  }
  Errc refused(FrameType type, const google::protobuf::MessageLite& message) { return client_->refused(type, message); }

  NativeNode node_;
  std::unique_ptr<RawClient> client_ = node_.client();
};

TEST_F(NativeTransactions, records_are_read_when_it_has_committed) {
  const Instance one = begin();
  join(one);
  EXPECT_FALSE(produce(one, 0, "a"));
  EXPECT_FALSE(produce(one, 1, "b"));
  EXPECT_EQ(read(), (std::vector<std::string>{}));
  end(one, wire::EndTransaction::COMMIT);
  EXPECT_EQ(read(), (std::vector<std::string>{"a", "b"}));
  end(one, wire::EndTransaction::COMMIT);  // The answer may have been lost.
}

TEST_F(NativeTransactions, records_of_an_aborted_one_are_never_read) {
  const Instance one = begin();
  join(one);
  EXPECT_FALSE(produce(one, 0, "a"));
  end(one, wire::EndTransaction::ABORT);
  join(one);
  EXPECT_FALSE(produce(one, 1, "b"));
  end(one, wire::EndTransaction::COMMIT);
  EXPECT_EQ(read(), (std::vector<std::string>{"b"}));
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(one, wire::EndTransaction::ABORT)), Errc::invalid_transaction_state);
}

TEST_F(NativeTransactions, offsets_count_with_the_commit_and_nobody_starts_below_them_meanwhile) {
  EXPECT_EQ(store(*client_, "orders", {"x", "y"}), 0);
  const Instance one = begin();
  const auto first = must<wire::CommitOffsetsReply>(FrameType::commit_in_transaction, commit_message(one, 1));
  ASSERT_EQ(first.entries_size(), 1);
  EXPECT_FALSE(first.entries(0).has_error());
  EXPECT_EQ(from_wire(position().error()).code, Errc::concurrent_transactions);
  end(one, wire::EndTransaction::ABORT);
  EXPECT_EQ(position().offset(), 0);

  must<wire::CommitOffsetsReply>(FrameType::commit_in_transaction, commit_message(one, 2));
  end(one, wire::EndTransaction::COMMIT);
  EXPECT_EQ(position().offset(), 2);
  EXPECT_EQ(position().source(), wire::GroupPositionsReply::COMMITTED);
}

TEST_F(NativeTransactions, an_entry_that_is_refused_leaves_the_others) {
  const Instance one = begin();
  wire::CommitInTransaction commit = commit_message(one, 0);
  auto& unknown = *commit.mutable_offsets()->add_entries();
  unknown.set_topic("nothing");
  auto& negative = *commit.mutable_offsets()->add_entries();
  negative.set_topic("orders");
  negative.set_offset(-1);
  const auto reply = must<wire::CommitOffsetsReply>(FrameType::commit_in_transaction, commit);
  ASSERT_EQ(reply.entries_size(), 3);
  EXPECT_FALSE(reply.entries(0).has_error());
  EXPECT_EQ(from_wire(reply.entries(1).error()).code, Errc::unknown_topic);
  EXPECT_EQ(from_wire(reply.entries(2).error()).code, Errc::offset_out_of_range);
}

TEST_F(NativeTransactions, a_member_that_is_none_commits_nothing) {
  const Instance one = begin();
  wire::CommitInTransaction commit = commit_message(one, 0);
  commit.mutable_offsets()->set_member("somebody");
  commit.mutable_offsets()->set_epoch(1);
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit), Errc::unknown_group);

  wire::GroupHeartbeat join_group;
  join_group.set_group("workers");
  join_group.set_member("member");
  join_group.mutable_subscription()->add_topics("orders");
  join_group.mutable_owned();
  const auto joined = client_->must<wire::GroupHeartbeatReply>(FrameType::group_heartbeat, join_group);
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit), Errc::unknown_member);
  commit.mutable_offsets()->set_member("");
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit), Errc::conflict);

  const auto of_member = [&](std::int32_t epoch) {
    commit.mutable_offsets()->set_member("member");
    commit.mutable_offsets()->set_epoch(epoch);
    const auto reply = must<wire::CommitOffsetsReply>(FrameType::commit_in_transaction, commit);
    return reply.entries(0).has_error() ? std::optional(from_wire(reply.entries(0).error()).code) : std::nullopt;
  };
  EXPECT_EQ(of_member(joined.epoch() - 1), Errc::stale_member_epoch);
  EXPECT_EQ(of_member(joined.epoch()), std::nullopt);
}

TEST_F(NativeTransactions, a_newer_instance_ends_the_older_ones_transaction_and_fences_it) {
  const Instance old = begin();
  join(old);
  EXPECT_FALSE(produce(old, 0, "a"));
  const Instance now = begin();
  EXPECT_EQ(now.producer, old.producer);
  EXPECT_GT(now.epoch, old.epoch);

  EXPECT_EQ(refused(FrameType::join_transaction, join_message(old)), Errc::producer_fenced);
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit_message(old, 0)), Errc::producer_fenced);
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(old, wire::EndTransaction::COMMIT)), Errc::producer_fenced);
  join(now);
  EXPECT_EQ(produce(old, 1, "b")->code, Errc::stale_producer_epoch);
  EXPECT_FALSE(produce(now, 0, "c"));
  end(now, wire::EndTransaction::COMMIT);
  EXPECT_EQ(read(), (std::vector<std::string>{"c"}));
}

TEST_F(NativeTransactions, whoever_goes_on_says_who_it_is) {
  const Instance first = begin();
  wire::BeginInstance go_on = begin_message("payments");
  go_on.mutable_expected()->set_id(first.producer);
  go_on.mutable_expected()->set_epoch(first.epoch);
  const auto next = must<wire::BeginInstanceReply>(FrameType::begin_instance, go_on);
  EXPECT_EQ(next.producer_epoch(), first.epoch + 1);
  // The answer may have been lost: it is the same one.
  EXPECT_EQ(must<wire::BeginInstanceReply>(FrameType::begin_instance, go_on).producer_epoch(), next.producer_epoch());
  begin();
  EXPECT_EQ(refused(FrameType::begin_instance, go_on), Errc::producer_fenced);
}

TEST_F(NativeTransactions, a_batch_outside_a_transaction_is_refused) {
  const Instance one = begin();
  EXPECT_EQ(produce(one, 0, "not joined")->code, Errc::invalid_transaction_state);
  join(one);
  EXPECT_FALSE(produce(one, 0, "a"));
  EXPECT_EQ(produce(one, 0, "another partition", true, 1)->code, Errc::invalid_transaction_state);
  EXPECT_EQ(produce(one, 1, "plain", false)->code, Errc::invalid_transaction_state);
  const Instance newer{one.id, one.producer, one.epoch + 1};
  EXPECT_EQ(produce(newer, 0, "an epoch nobody gave out")->code, Errc::invalid_transaction_state);
  end(one, wire::EndTransaction::COMMIT);
  EXPECT_EQ(produce(one, 1, "too late")->code, Errc::invalid_transaction_state);
  EXPECT_EQ(read(), (std::vector<std::string>{"a"}));
}

TEST_F(NativeTransactions, nonsense_is_refused_by_name) {
  const auto begun = [&](const std::string& id, std::uint32_t timeout_ms) {
    return refused(FrameType::begin_instance, begin_message(id, timeout_ms));
  };
  EXPECT_EQ(begun("", 60'000), Errc::invalid_argument);
  EXPECT_EQ(begun(std::string(1001, 'x'), 60'000), Errc::invalid_argument);
  EXPECT_EQ(begun("payments", 0), Errc::invalid_transaction_timeout);
  EXPECT_EQ(begun("payments", 15 * 60 * 1000 + 1), Errc::invalid_transaction_timeout);
  EXPECT_EQ(begun("payments", 0xffffffff), Errc::invalid_transaction_timeout);

  const Instance nobody{"nobody", 1, 0};
  EXPECT_EQ(refused(FrameType::join_transaction, join_message(nobody)), Errc::unknown_transactional_id);
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit_message(nobody, 0)), Errc::unknown_transactional_id);
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(nobody, wire::EndTransaction::COMMIT)), Errc::unknown_transactional_id);

  const Instance one = begin();
  const Instance stranger{one.id, one.producer + 1, one.epoch};
  EXPECT_EQ(refused(FrameType::join_transaction, join_message(stranger)), Errc::unknown_transactional_id);
  // Its low 16 bits are the epoch of the real one.
  const Instance wide{one.id, one.producer, one.epoch + 65536};
  EXPECT_EQ(refused(FrameType::join_transaction, join_message(wide)), Errc::invalid_argument);
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit_message(wide, 0)), Errc::invalid_argument);
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(wide, wire::EndTransaction::COMMIT)), Errc::invalid_argument);
  wire::BeginInstance negative = begin_message("payments");
  negative.mutable_expected()->set_epoch(-1);
  EXPECT_EQ(refused(FrameType::begin_instance, negative), Errc::invalid_argument);

  EXPECT_EQ(refused(FrameType::join_transaction, join_message(one, "nothing")), Errc::unknown_topic);
  EXPECT_EQ(refused(FrameType::join_transaction, join_message(one, "orders", 2)), Errc::unknown_partition);
  EXPECT_EQ(refused(FrameType::join_transaction, join_message(one, "orders", -1)), Errc::unknown_partition);
  wire::JoinTransaction empty = join_message(one);
  empty.clear_partitions();
  EXPECT_EQ(refused(FrameType::join_transaction, empty), Errc::invalid_argument);
  EXPECT_EQ(refused(FrameType::commit_in_transaction, commit_message(one, 0, "")), Errc::invalid_argument);
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(one, wire::EndTransaction::NOTHING)), Errc::invalid_argument);
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(one, static_cast<wire::EndTransaction::Outcome>(7))), Errc::invalid_argument);
  EXPECT_EQ(refused(FrameType::end_transaction, end_message(one, wire::EndTransaction::COMMIT)), Errc::invalid_transaction_state);
}

TEST_F(NativeTransactions, a_request_that_names_too_many_partitions_is_refused) {
  const Instance one = begin();
  wire::JoinTransaction join = join_message(one);
  for (int i = 0; i < 100'000; ++i) join.mutable_partitions(0)->add_partitions(i % 2);
  EXPECT_EQ(refused(FrameType::join_transaction, join), Errc::invalid_argument);
}

TEST_F(NativeTransactions, records_of_it_can_neither_wait_nor_be_compared) {
  const Instance one = begin();
  join(one);
  BatchBuilder builder(
      {.producer_id = one.producer, .producer_epoch = static_cast<std::int16_t>(one.epoch), .base_sequence = 0, .transactional = true});
  const std::vector<HeaderView> headers = {{"tidemark-delay", as_bytes("1h")}};
  builder.add({.key = std::nullopt, .value = as_bytes("later"), .timestamp_ms = 1, .headers = headers});
  const Slice batch = builder.build();
  wire::Produce message = produce_message({{"orders", batch}});
  message.mutable_batches(0)->set_obey_headers(true);
  const auto reply = client_->must<wire::ProduceReply>(FrameType::produce, message, {batch});
  EXPECT_EQ(from_wire(reply.batches(0).error()).code, Errc::invalid_argument);
}

}  // namespace
}  // namespace tidemark::native
