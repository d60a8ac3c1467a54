#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

class NativeQueues : public testing::Test {
 protected:
  void SetUp() override { create_topic(*client_, "jobs"); }

  static void set_name(wire::QueueName& name) {
    name.set_group("g");
    name.set_topic("jobs");
  }
  static wire::JoinQueue join_message(const std::string& member) {
    wire::JoinQueue join;
    set_name(*join.mutable_name());
    join.set_member(member);
    join.set_create(true);
    return join;
  }
  static wire::Receive receive_message(const std::string& member, std::uint32_t records, std::uint32_t wait_ms, std::uint32_t id) {
    wire::Receive receive;
    set_name(*receive.mutable_name());
    receive.set_member(member);
    receive.set_records_max(records);
    receive.set_wait_ms(wait_ms);
    receive.set_receive(id);
    return receive;
  }
  static wire::Settle settle_message(const std::string& member, std::int64_t first, std::int64_t count, wire::Settlement::Kind kind) {
    wire::Settle settle;
    set_name(*settle.mutable_name());
    settle.set_member(member);
    wire::Settlement& settlement = *settle.add_settlements();
    settlement.set_first(first);
    settlement.set_count(count);
    settlement.set_kind(kind);
    return settle;
  }
  /// The reply and the Received, which come in either order.
  static std::pair<wire::Received, ByteVector> receive(RawClient& client, const wire::Receive& message) {
    client.send(FrameType::receive, 77, message);
    std::pair<wire::Received, ByteVector> received;
    for (int i = 0; i < 2; ++i) {
      const Frame frame = client.expect_frame();
      EXPECT_FALSE(frame.is_error());
      if (!frame.is_pushed()) continue;
      EXPECT_EQ(frame.header.type, FrameType::received);
      received = {frame.as<wire::Received>(), frame.attachments};
    }
    EXPECT_EQ(received.first.receive(), message.receive());
    return received;
  }
  wire::QueueInfo describe() {
    wire::DescribeQueue describe;
    set_name(*describe.mutable_name());
    return client_->must<wire::QueueInfo>(FrameType::describe_queue, describe);
  }

  NativeNode node_;
  std::unique_ptr<RawClient> client_ = node_.client();
};

TEST_F(NativeQueues, records_are_received_and_settled) {
  store(*client_, "jobs", {"a", "b", "c"});
  const auto joined = client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("m"));
  EXPECT_EQ(joined.lease_ms(), 30'000u);
  EXPECT_EQ(joined.partitions(), 1);
  const auto [received, batches] = receive(*client_, receive_message("m", 10, 1000, 1));
  ASSERT_EQ(received.partitions_size(), 1);
  EXPECT_EQ(received.lease_ms(), 30'000u);
  EXPECT_EQ(received.partitions(0).size(), batches.size());
  ASSERT_EQ(received.partitions(0).runs_size(), 1);
  EXPECT_EQ(received.partitions(0).runs(0).count(), 3);
  EXPECT_EQ(received.partitions(0).runs(0).deliveries(), 1u);
  EXPECT_EQ(values_of(batches), (std::vector<std::string>{"a", "b", "c"}));
  const auto settled = client_->must<wire::SettleReply>(FrameType::settle, settle_message("m", 0, 4, wire::Settlement::ACK));
  EXPECT_EQ(settled.settled(), 3u);
  ASSERT_EQ(settled.failures_size(), 1);
  EXPECT_EQ(settled.failures(0).offset(), 3);
  EXPECT_EQ(from_wire(settled.failures(0).error()).code, Errc::not_delivered);
  EXPECT_EQ(describe().partitions(0).counts().done(), 3u);
}

TEST_F(NativeQueues, bad_requests_are_answered_with_typed_errors) {
  store(*client_, "jobs", {"a"});
  EXPECT_EQ(client_->refused(FrameType::join_queue, join_message("")), Errc::invalid_argument);
  EXPECT_EQ(client_->refused(FrameType::join_queue, join_message(std::string(250, 'm'))), Errc::invalid_argument);
  EXPECT_EQ(client_->refused(FrameType::receive, receive_message("m", 1, 0, 1)), Errc::unknown_member);
  EXPECT_EQ(client_->refused(FrameType::settle, settle_message("m", 0, 1, wire::Settlement::ACK)), Errc::unknown_member);
  client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("m"));
  EXPECT_EQ(client_->refused(FrameType::join_queue, join_message("m")), Errc::conflict);
  const auto other = node_.client();
  EXPECT_EQ(other->refused(FrameType::join_queue, join_message("m")), Errc::conflict);
  EXPECT_EQ(client_->refused(FrameType::receive, receive_message("m", 0, 0, 1)), Errc::invalid_argument);
  EXPECT_EQ(client_->refused(FrameType::receive, receive_message("m", 10'001, 0, 1)), Errc::invalid_argument);

  EXPECT_EQ(client_->refused(FrameType::settle, settle_message("m", -1, 1, wire::Settlement::ACK)), Errc::invalid_argument);
  EXPECT_EQ(client_->refused(FrameType::settle, settle_message("m", 0, 100'001, wire::Settlement::ACK)), Errc::invalid_argument);
  EXPECT_EQ(client_->refused(FrameType::settle, settle_message("m", INT64_MAX, 2, wire::Settlement::ACK)), Errc::invalid_argument);
  const auto unknown_kind = static_cast<wire::Settlement::Kind>(9);
  EXPECT_EQ(client_->refused(FrameType::settle, settle_message("m", 0, 1, unknown_kind)), Errc::invalid_argument);
  wire::Settle delayed = settle_message("m", 0, 1, wire::Settlement::RETRY);
  delayed.mutable_settlements(0)->set_delay_ms(UINT64_MAX);
  EXPECT_EQ(client_->refused(FrameType::settle, delayed), Errc::invalid_argument);
  delayed.mutable_settlements(0)->set_delay_ms(1);
  delayed.mutable_settlements(0)->set_kind(wire::Settlement::ACK);
  EXPECT_EQ(client_->refused(FrameType::settle, delayed), Errc::invalid_argument);

  wire::ExtendLease extend;
  set_name(*extend.mutable_name());
  extend.set_member("m");
  extend.add_entries()->set_delay_ms(0);
  EXPECT_EQ(client_->refused(FrameType::extend_lease, extend), Errc::invalid_argument);
  extend.set_member("x");
  extend.clear_entries();
  EXPECT_EQ(client_->refused(FrameType::extend_lease, extend), Errc::unknown_member);

  wire::QueueAct act;
  set_name(*act.mutable_name());
  act.set_kind(static_cast<wire::QueueAct::Kind>(9));
  EXPECT_EQ(client_->refused(FrameType::queue_act, act), Errc::invalid_argument);
  wire::Redrive redrive;
  redrive.set_group("g");
  redrive.set_records_per_second(-1);
  EXPECT_EQ(client_->refused(FrameType::redrive, redrive), Errc::invalid_argument);
  EXPECT_EQ(describe().partitions(0).counts().waiting(), 1u);
}

TEST_F(NativeQueues, a_receive_waits_and_can_be_cancelled) {
  client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("m"));
  client_->must<wire::ReceiveReply>(FrameType::receive, receive_message("m", 10, 30'000, 5));
  EXPECT_EQ(client_->refused(FrameType::receive, receive_message("m", 10, 30'000, 5)), Errc::conflict);
  wire::CancelReceive cancel;
  cancel.set_receive(5);
  client_->send(FrameType::cancel_receive, 0, cancel);
  const Frame frame = client_->expect_frame();
  EXPECT_TRUE(frame.is_pushed());
  EXPECT_EQ(frame.as<wire::Received>().receive(), 5u);
  EXPECT_EQ(frame.as<wire::Received>().partitions_size(), 0);
  client_->send(FrameType::cancel_receive, 0, cancel);  // No such receive any more: passed over.
  store(*client_, "jobs", {"a"});
  const auto [received, batches] = receive(*client_, receive_message("m", 10, 30'000, 5));
  EXPECT_EQ(values_of(batches), std::vector<std::string>{"a"});
}

TEST_F(NativeQueues, a_connection_that_ends_is_a_failure_of_what_it_held_and_leaving_is_not) {
  store(*client_, "jobs", {"a"});
  auto cut = node_.client();
  cut->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("m"));
  receive(*cut, receive_message("m", 1, 1000, 1));
  cut->close();
  client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("n"));
  const auto failed = receive(*client_, receive_message("n", 1, 30'000, 1)).first;
  ASSERT_EQ(failed.partitions_size(), 1);
  EXPECT_EQ(failed.partitions(0).runs(0).failures(), 1u);
  EXPECT_EQ(failed.partitions(0).runs(0).deliveries(), 2u);

  wire::LeaveQueue leave;
  set_name(*leave.mutable_name());
  leave.set_member("n");
  client_->must<wire::LeaveQueueReply>(FrameType::leave_queue, leave);
  client_->must<wire::LeaveQueueReply>(FrameType::leave_queue, leave);
  EXPECT_EQ(client_->refused(FrameType::receive, receive_message("n", 1, 0, 2)), Errc::unknown_member);
  client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("n"));
  const auto released = receive(*client_, receive_message("n", 1, 30'000, 3)).first;
  ASSERT_EQ(released.partitions_size(), 1);
  EXPECT_EQ(released.partitions(0).runs(0).failures(), 1u);
  EXPECT_EQ(released.partitions(0).runs(0).deliveries(), 3u);
}

TEST_F(NativeQueues, a_stopping_broker_ends_receives_and_blames_nobody) {
  store(*client_, "jobs", {"a"});
  client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("m"));
  receive(*client_, receive_message("m", 1, 1000, 1));
  client_->must<wire::ReceiveReply>(FrameType::receive, receive_message("m", 1, 30'000, 2));
  node_.server().stop();
  const Frame frame = client_->expect_frame();
  ASSERT_EQ(frame.header.type, FrameType::received);
  EXPECT_EQ(from_wire(frame.as<wire::Received>().error()).code, Errc::shutting_down);
  std::promise<Result<broker::QueueInfo>> described;
  node_.runtime().shard(0).post([&] {
    node_.broker().queues().describe({}, {"g", "jobs"}, [&](Result<broker::QueueInfo> info) { described.set_value(std::move(info)); });
  });
  const Result<broker::QueueInfo> info = described.get_future().get();
  ASSERT_TRUE(info) << info.error().to_string();
  EXPECT_EQ(info->counts().retrying + info->counts().waiting, 1u);
  EXPECT_EQ(info->counts().delayed, 0u);
}

TEST_F(NativeQueues, records_between_those_handed_out_do_not_travel_along) {
  std::vector<std::string> values;
  for (int i = 0; i < 200; ++i) values.push_back(std::to_string(i) + std::string(100, '.'));
  store(*client_, "jobs", values);
  client_->must<wire::JoinQueueReply>(FrameType::join_queue, join_message("m"));
  const auto whole = receive(*client_, receive_message("m", 1000, 1000, 1));
  EXPECT_GT(whole.second.size(), 20'000u);
  wire::Settle settle = settle_message("m", 0, 150, wire::Settlement::ACK);
  wire::Settlement& retry = *settle.add_settlements();
  retry.set_first(150);
  retry.set_kind(wire::Settlement::RETRY);
  retry.set_delay_ms(0);
  wire::Settlement& rest = *settle.add_settlements();
  rest.set_first(151);
  rest.set_count(49);
  EXPECT_EQ(client_->must<wire::SettleReply>(FrameType::settle, settle).settled(), 200u);
  const auto [received, batches] = receive(*client_, receive_message("m", 1000, 30'000, 2));
  ASSERT_EQ(received.partitions_size(), 1);
  EXPECT_EQ(received.partitions(0).runs(0).first(), 150);
  EXPECT_LT(batches.size(), 1000u);
  ASSERT_EQ(values_of(batches), std::vector<std::string>{values[150]});
  EXPECT_TRUE(batch_crc_matches(batches));
  auto reader = BatchReader::open(batches);
  ASSERT_TRUE(reader);
  RecordView record;
  ASSERT_TRUE(*reader->next(record));
  EXPECT_EQ(record.offset, Offset{150});
}

}  // namespace
}  // namespace tidemark::native
