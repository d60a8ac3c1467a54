#include <algorithm>
#include <thread>

#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

using boost::asio::ip::tcp;
using std::chrono::milliseconds;
using Values = std::vector<std::string>;

class NativeSession : public testing::Test {
 protected:
  NativeNode node_;
};

TEST_F(NativeSession, opens_with_a_hello_that_tells_the_limits) {
  RawClient client(node_.port());
  const wire::HelloReply reply = client.hello();
  EXPECT_EQ(reply.protocol(), kProtocolVersion);
  EXPECT_EQ(reply.broker_version(), "1.2.3");
  EXPECT_EQ(reply.cluster_id(), node_.broker().cluster_id().to_string());
  EXPECT_EQ(reply.frame_bytes_max(), kFrameBytesMax);
  EXPECT_EQ(reply.requests_in_flight_max(), 256u);
}

TEST_F(NativeSession, reads_requests_that_arrive_in_two_pieces_cut_anywhere) {
  const Slice batch = batch_of({"a"});
  const auto first = node_.client();
  create_topic(*first, "orders");
  ByteVector bytes = RawClient::encoded(FrameType::hello, 1, RawClient::hello_message());
  const ByteVector produce = RawClient::encoded(FrameType::produce, 2, produce_message({{"orders", batch}}), {batch});
  bytes.insert(bytes.end(), produce.begin(), produce.end());
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    RawClient client(node_.port());
    client.send(ByteView(bytes).first(cut));
    client.send(ByteView(bytes).subspan(cut));
    EXPECT_EQ(client.expect_frame().header.correlation, 1u);
    EXPECT_EQ(client.expect_frame().as<wire::ProduceReply>().batches(0).base_offset(), static_cast<std::int64_t>(cut) - 1);
  }
}

TEST_F(NativeSession, reads_requests_that_arrive_byte_by_byte) {
  RawClient client(node_.port());
  ByteVector bytes = RawClient::encoded(FrameType::hello, 1, RawClient::hello_message());
  const ByteVector list = RawClient::encoded(FrameType::list_topics, 2, wire::ListTopics());
  bytes.insert(bytes.end(), list.begin(), list.end());
  for (const std::byte& byte : bytes) client.send(ByteView(&byte, 1));
  EXPECT_EQ(client.expect_frame().header.correlation, 1u);
  EXPECT_EQ(client.expect_frame().header.correlation, 2u);
}

TEST_F(NativeSession, answers_a_thousand_pipelined_requests_in_their_order) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  const Slice batch = batch_of({"x"});
  ByteVector bytes;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    // Fast and slow ones mixed: a produce waits for a flush, a list does not.
    const ByteVector frame = i % 3 == 0   ? RawClient::encoded(FrameType::produce, i, produce_message({{"orders", batch}}), {batch})
                             : i % 3 == 1 ? RawClient::encoded(FrameType::list_topics, i, wire::ListTopics())
                                          : RawClient::encoded(FrameType::unsubscribe, i, wire::Unsubscribe());
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  client->send(bytes);
  std::int64_t next_offset = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const Frame frame = client->expect_frame();
    ASSERT_EQ(frame.header.correlation, i);
    ASSERT_FALSE(frame.is_error()) << frame.error().to_string();
    if (i % 3 == 0) ASSERT_EQ(frame.as<wire::ProduceReply>().batches(0).base_offset(), next_offset++);
  }
}

TEST_F(NativeSession, holds_a_ready_reply_back_behind_a_slow_one) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  client->send(FrameType::fetch, 1, fetch_message("orders", 0, 30'000));
  client->send(FrameType::list_topics, 2, wire::ListTopics());
  const auto other = node_.client();
  store(*other, "orders", {"a"});
  const Frame fetched = client->expect_frame();
  EXPECT_EQ(fetched.header.correlation, 1u);
  EXPECT_EQ(values_of(fetched.attachments), Values{"a"});
  EXPECT_EQ(client->expect_frame().header.correlation, 2u);
}

TEST_F(NativeSession, tells_a_peer_of_another_protocol_and_closes) {
  RawClient client(node_.port());
  client.send(as_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const Frame frame = client.expect_frame();
  EXPECT_EQ(frame.header.flags, kFlagError | kFlagPushed);
  EXPECT_EQ(frame.error().code, Errc::frame_too_large);
  client.expect_close();
}

TEST_F(NativeSession, takes_no_large_frame_before_hello_and_a_large_one_after) {
  wire::Hello hello = RawClient::hello_message();
  hello.set_client_version(std::string(kHelloFrameBytesMax, 'x'));
  RawClient early(node_.port());
  early.send(FrameType::hello, 1, hello);
  EXPECT_EQ(early.expect_frame().error().code, Errc::frame_too_large);
  early.expect_close();

  const auto late = node_.client();
  wire::DescribeTopic describe;
  describe.set_name(std::string(kHelloFrameBytesMax, 'x'));
  EXPECT_EQ(late->refused(FrameType::describe_topic, describe), Errc::unknown_topic);
}

TEST_F(NativeSession, judges_an_oversized_frame_by_its_header_after_the_replies_due) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  const Slice batch = batch_of({"a"});
  client->send(FrameType::produce, 1, produce_message({{"orders", batch}}), {batch});
  ByteVector header(kFrameHeaderBytes);
  store_le(header.data(), static_cast<std::uint32_t>(kFrameBytesMax));
  store_le(header.data() + 4, static_cast<std::uint16_t>(FrameType::produce));
  client->send(header);
  const Frame stored = client->expect_frame();
  EXPECT_EQ(stored.header.correlation, 1u);
  EXPECT_FALSE(stored.is_error());
  const Frame last = client->expect_frame();
  EXPECT_TRUE(last.is_pushed());
  EXPECT_EQ(last.error().code, Errc::frame_too_large);
  client->expect_close();
}

TEST_F(NativeSession, refuses_a_message_that_is_too_large_without_its_attachments) {
  const auto client = node_.client();
  wire::DescribeTopic describe;
  describe.set_name(std::string(kRequestMessageBytesMax, 'x'));
  EXPECT_EQ(client->refused(FrameType::describe_topic, describe), Errc::frame_too_large);
  client->expect_close();
}

TEST_F(NativeSession, answers_an_unknown_type_and_goes_on) {
  const auto client = node_.client();
  const Frame refused = client->ask(static_cast<FrameType>(999), wire::ListTopics());
  EXPECT_EQ(refused.error().code, Errc::unsupported_version);
  const Frame with_attachment = client->ask(static_cast<FrameType>(998), wire::ListTopics(), {batch_of({"x"})});
  EXPECT_EQ(with_attachment.error().code, Errc::unsupported_version);
  client->must<wire::ListTopicsReply>(FrameType::list_topics, wire::ListTopics());
}

TEST_F(NativeSession, wants_hello_first) {
  RawClient client(node_.port());
  client.send(FrameType::list_topics, 5, wire::ListTopics());
  const Frame frame = client.expect_frame();
  EXPECT_TRUE(frame.is_pushed());
  EXPECT_EQ(frame.error().code, Errc::protocol_error);
  client.expect_close();
}

struct Versions {
  const char* name;
  std::uint32_t min, max;
  bool spoken;
};
void PrintTo(const Versions& versions, std::ostream* out) { *out << versions.name; }

class NativeHello : public testing::TestWithParam<Versions> {
 protected:
  NativeNode node_;
};

TEST_P(NativeHello, agrees_on_a_version_or_closes) {
  RawClient client(node_.port());
  wire::Hello hello;
  hello.set_protocol_min(GetParam().min);
  hello.set_protocol_max(GetParam().max);
  const Frame frame = client.ask(FrameType::hello, hello);
  EXPECT_EQ(frame.is_error(), !GetParam().spoken);
  if (GetParam().spoken) return;
  EXPECT_EQ(frame.error().code, Errc::unsupported_version);
  client.expect_close();
}
INSTANTIATE_TEST_SUITE_P(, NativeHello,
                         testing::Values(Versions{"same", 1, 1, true}, Versions{"range", 0, 9, true}, Versions{"newer", 2, 3, false},
                                         Versions{"older", 0, 0, false}, Versions{"backwards", 3, 1, false}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST_F(NativeSession, breaks_off_where_the_client_has_lost_the_protocol) {
  const Slice batch = batch_of({"a"});
  wire::Produce short_of_attachments = produce_message({{"orders", batch}});
  short_of_attachments.mutable_batches(0)->set_size(static_cast<std::uint32_t>(batch.size() + 1));
  wire::Produce of_4_gib = produce_message({{"orders", batch}, {"orders", batch}});
  of_4_gib.mutable_batches(0)->set_size(0xffffffff);
  of_4_gib.mutable_batches(1)->set_size(static_cast<std::uint32_t>(batch.size()) + 1);  // The sum is right in 32 bits.
  ByteVector flagged = RawClient::encoded(FrameType::list_topics, 1, wire::ListTopics());
  store_le(flagged.data() + 6, kFlagReply);
  ByteVector no_message = RawClient::encoded(FrameType::describe_topic, 1, wire::DescribeTopic());
  store_le(no_message.data(), std::uint32_t{13});
  store_le(no_message.data() + 12, std::uint32_t{1});
  no_message.push_back(std::byte{0xff});

  const std::vector<std::pair<const char*, ByteVector>> bad = {
      {"a second hello", RawClient::encoded(FrameType::hello, 1, RawClient::hello_message())},
      {"a reply's flags", flagged},
      {"bytes that are no message", no_message},
      {"sizes that do not add up", RawClient::encoded(FrameType::produce, 1, short_of_attachments, {batch})},
      {"sizes that overflow", RawClient::encoded(FrameType::produce, 1, of_4_gib, {batch})},
      {"attachments where none belong", RawClient::encoded(FrameType::list_topics, 1, wire::ListTopics(), {batch})},
      {"the broker's own frame", RawClient::encoded(FrameType::deliver, 1, wire::Deliver())},
  };
  for (const auto& [what, bytes] : bad) {
    SCOPED_TRACE(what);
    const auto client = node_.client();
    client->send(bytes);
    const Frame refused = client->expect_frame();
    EXPECT_EQ(refused.header.correlation, 1u);
    EXPECT_EQ(refused.header.flags, kFlagReply | kFlagError);
    EXPECT_EQ(refused.error().code, Errc::protocol_error);
    client->expect_close();
  }
}

TEST_F(NativeSession, breaks_off_after_a_credit_that_is_none) {
  const auto client = node_.client();
  ByteVector credit = RawClient::encoded(FrameType::credit, 0, wire::Credit());
  store_le(credit.data(), std::uint32_t{13});
  store_le(credit.data() + 12, std::uint32_t{1});
  credit.push_back(std::byte{0xff});
  client->send(credit);
  const Frame last = client->expect_frame();
  EXPECT_TRUE(last.is_pushed());
  EXPECT_EQ(last.error().code, Errc::protocol_error);
  client->expect_close();
}

TEST_F(NativeSession, what_follows_a_broken_request_does_not_cost_the_peer_the_error) {
  RawClient client(node_.port());
  // More than fits the broker's buffer, all of it unread when the error goes out: closing at once would reset the connection.
  client.send(ByteVector(1024 * 1024, std::byte{0xee}));
  EXPECT_EQ(client.expect_frame().error().code, Errc::frame_too_large);
  client.end_sending();
  client.expect_close();
}

TEST_F(NativeSession, answers_everything_that_was_asked_before_a_half_close) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  const Slice batch = batch_of({"a"});
  for (std::uint32_t i = 0; i < 10; ++i) client->send(FrameType::produce, i, produce_message({{"orders", batch}}), {batch});
  client->end_sending();
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(client->expect_frame().header.correlation, i);
  client->expect_close();
}

TEST_F(NativeSession, a_frame_that_was_cut_off_has_no_effect) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  const Slice batch = batch_of({"a"});
  const ByteVector produce = RawClient::encoded(FrameType::produce, 1, produce_message({{"orders", batch}}), {batch});
  client->send(ByteView(produce).first(produce.size() - 1));
  client->end_sending();
  client->expect_close();
  EXPECT_EQ(store(*node_.client(), "orders", {"b"}), 0);
}

TEST_F(NativeSession, a_half_close_ends_subscriptions) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(1, "orders", 0, 1000));
  client->end_sending();
  client->expect_close();
}

TEST_F(NativeSession, survives_peers_that_vanish_in_the_middle_of_a_long_poll) {
  const auto other = node_.client();
  create_topic(*other, "orders");
  for (int i = 0; i < 20; ++i) {
    const auto client = node_.client();
    client->send(FrameType::fetch, 1, fetch_message("orders", 0, 30'000));
    client->send(FrameType::subscribe, 2, subscribe_message(1, "orders", 0, 1000));
    client->close();
  }
  EXPECT_EQ(store(*other, "orders", {"a"}), 0);
  node_.stop();  // Returns only when every session has ended.
}

TEST_F(NativeSession, stopping_answers_what_waits_and_says_why) {
  const auto client = node_.client();
  create_topic(*client, "orders");
  client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(9, "orders", 0, 1000));
  client->send(FrameType::fetch, 1, fetch_message("orders", 0, 30'000));
  client->send(FrameType::fetch, 2, fetch_message("orders", 0, 0));
  // A request on the same shard's other connection cannot prove that the fetches were read, so either answer to them is right.
  std::jthread stopping([this] { node_.server().stop(); });
  std::optional<Errc> deliver_error;
  std::optional<Error> last;
  std::vector<std::uint32_t> answered;
  while (const auto frame = client->receive()) {
    if (frame->header.type == FrameType::deliver) deliver_error = from_wire(frame->as<wire::Deliver>().error()).code;
    if (frame->header.type == FrameType::hello) last = frame->error();
    if (frame->header.type != FrameType::fetch) continue;
    answered.push_back(frame->header.correlation);
    if (frame->header.correlation == 1) EXPECT_EQ(frame->error().code, Errc::shutting_down);
  }
  client->close();
  stopping.join();
  EXPECT_EQ(deliver_error, Errc::shutting_down);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->code, Errc::shutting_down);
  EXPECT_TRUE(std::ranges::is_sorted(answered));
  EXPECT_EQ(node_.server().connections(), 0u);
}

// --- Bounds.

ServerOptions with_limits(const SessionLimits& limits) {
  ServerOptions options;
  options.limits = limits;
  return options;
}

TEST(NativeBounds, a_connection_beyond_the_bound_is_told_why) {
  ServerOptions options;
  options.connections_max = 2;
  NativeNode node(std::move(options));
  const auto first = node.client();
  const auto second = node.client();
  RawClient third(node.port());
  const Frame frame = third.expect_frame();
  EXPECT_TRUE(frame.is_pushed());
  EXPECT_EQ(frame.error().code, Errc::overloaded);
  third.expect_close();
  EXPECT_EQ(node.server().connections(), 2u);
}

TEST(NativeBounds, a_place_is_free_again_when_its_connection_has_ended) {
  ServerOptions options;
  options.connections_per_ip_max = 1;
  NativeNode node(std::move(options));
  for (int i = 0; i < 10; ++i) {
    // The broker may see the new connection before the end of the old one.
    for (;;) {
      RawClient client(node.port());
      client.send(FrameType::hello, 1, RawClient::hello_message());
      const Frame frame = client.expect_frame();
      if (!frame.is_error()) {
        client.end_sending();
        client.expect_close();
        break;
      }
      ASSERT_EQ(frame.error().code, Errc::overloaded);
    }
  }
}

TEST(NativeBounds, few_requests_in_flight_only_slow_a_client_down) {
  SessionLimits limits;
  limits.requests_in_flight_max = 2;
  limits.bytes_in_flight_max = 400;
  limits.output_bytes_max = 100;
  NativeNode node(with_limits(limits));
  const auto client = node.client();
  create_topic(*client, "orders");
  const Slice batch = batch_of({"a"});
  for (std::uint32_t i = 0; i < 200; ++i) client->send(FrameType::produce, i, produce_message({{"orders", batch}}), {batch});
  for (std::uint32_t i = 0; i < 200; ++i) {
    const Frame frame = client->expect_frame();
    ASSERT_EQ(frame.header.correlation, i);
    ASSERT_EQ(frame.as<wire::ProduceReply>().batches(0).base_offset(), i);
  }
}

TEST(NativeBounds, a_peer_that_says_nothing_is_not_waited_for) {
  SessionLimits limits;
  limits.hello_timeout = milliseconds(30);
  NativeNode node(with_limits(limits));
  RawClient client(node.port());
  const Frame frame = client.expect_frame();
  EXPECT_EQ(frame.error().code, Errc::timed_out);
  EXPECT_NE(frame.error().detail.find("hello"), std::string::npos);
  client.expect_close();
}

TEST(NativeBounds, a_frame_that_stops_in_the_middle_is_not_waited_for) {
  for (const std::size_t attachment_bytes : {std::size_t{100}, std::size_t{1'000'000}}) {  // In the buffer, and in memory of its own.
    SessionLimits limits;
    limits.stall_timeout = milliseconds(30);
    NativeNode node(with_limits(limits));
    const auto client = node.client();
    const Slice batch = Slice::allocate(attachment_bytes);
    std::fill_n(batch.data(), batch.size(), std::byte{1});
    const ByteVector produce = RawClient::encoded(FrameType::produce, 1, produce_message({{"orders", batch}}), {batch});
    client->send(ByteView(produce).first(produce.size() - 1));
    const Frame frame = client->expect_frame();
    EXPECT_TRUE(frame.is_pushed());
    EXPECT_EQ(frame.error().code, Errc::timed_out);
    client->expect_close();
  }
}

TEST(NativeBounds, an_idle_connection_ends_but_not_one_that_waits_for_records) {
  SessionLimits limits;
  limits.idle_timeout = milliseconds(40);
  NativeNode node(with_limits(limits));
  const auto subscriber = node.client();
  create_topic(*subscriber, "orders");
  subscriber->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(1, "orders", 0, 1000));
  const auto poller = node.client();
  poller->send(FrameType::fetch, 1, fetch_message("orders", 0, 30'000));

  const auto idle = node.client();
  EXPECT_EQ(idle->expect_frame().error().code, Errc::timed_out);
  idle->expect_close();
  const auto idle_too = node.client();  // Twice the time, at least.
  EXPECT_EQ(idle_too->expect_frame().error().code, Errc::timed_out);

  store(*node.client(), "orders", {"a"});
  EXPECT_EQ(subscriber->expect_frame().header.type, FrameType::deliver);
  EXPECT_FALSE(poller->expect_frame().is_error());
}

TEST(NativeBounds, a_peer_that_takes_nothing_is_cut_off) {
  ServerOptions options;
  options.connections_max = 2;
  options.limits.stall_timeout = milliseconds(50);
  NativeNode node(std::move(options));
  const auto writer = node.client();
  create_topic(*writer, "orders", 1, {{"max.message.bytes", "4194304"}});
  for (int i = 0; i < 12; ++i) store(*writer, "orders", {std::string(2 * 1024 * 1024, 'x')});  // Far more than two sockets buffer.
  const auto silent = node.client();
  silent->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(1, "orders", 0, std::uint64_t{1} << 40));
  // Its place is the proof: nobody else is let in before the silent one is out.
  for (;;) {
    RawClient next(node.port());
    next.send(FrameType::hello, 1, RawClient::hello_message());
    if (!next.expect_frame().is_error()) break;
  }
  EXPECT_FALSE(writer->ask(FrameType::list_topics, wire::ListTopics()).is_error());
}

// --- Listening.

TEST(NativeListener, names_a_port_that_is_taken) {
  NativeNode node;
  ServerOptions options;
  options.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), node.port()}};
  Server second(node.broker(), node.runtime(), options);
  const Status started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::invalid_argument);
  EXPECT_NE(started.error().detail.find("127.0.0.1:" + std::to_string(node.port())), std::string::npos) << started.error().detail;
}

TEST(NativeListener, names_an_address_that_is_not_ours) {
  NativeNode node;
  ServerOptions options;
  options.endpoints = {{boost::asio::ip::make_address("192.0.2.1"), 0}};  // RFC 5737: nobody's.
  Server second(node.broker(), node.runtime(), options);
  const Status started = second.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().detail.find("192.0.2.1"), std::string::npos);
}

TEST(NativeListener, takes_the_same_free_port_on_every_address) {
  ServerOptions options;
  options.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), 0}, {boost::asio::ip::make_address("127.0.0.2"), 0}};
  NativeNode node(std::move(options));
  RawClient first(node.port(), "127.0.0.1");
  first.hello();
  RawClient second(node.port(), "127.0.0.2");
  second.hello();
}

TEST(NativeListener, does_without_an_ipv6_that_is_not_there) {
  ServerOptions options;
  options.endpoints = {{boost::asio::ip::make_address("127.0.0.1"), 0}, {boost::asio::ip::make_address("2001:db8::1"), 0}};  // RFC 3849.
  NativeNode node(std::move(options));
  RawClient(node.port()).hello();
}

}  // namespace
}  // namespace tidemark::native
