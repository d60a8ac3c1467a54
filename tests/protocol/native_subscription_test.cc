#include <algorithm>

#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

using Values = std::vector<std::string>;
constexpr std::uint64_t kPlenty = 1 << 30;

class NativeSubscription : public testing::Test {
 protected:
  NativeSubscription() { create_topic(*writer_, "orders"); }

  std::unique_ptr<RawClient> subscriber(std::int64_t from, std::uint64_t credit, std::uint32_t id = 1) {
    auto client = node_.client();
    client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(id, "orders", from, credit));
    return client;
  }
  static void grant(RawClient& client, std::uint64_t bytes, std::uint32_t id = 1) {
    wire::Credit credit;
    credit.set_subscription(id);
    credit.set_bytes(bytes);
    client.send(FrameType::credit, 0, credit);
  }
  /// The values of pushed frames until `count` have come.
  static Values pushed(RawClient& client, std::size_t count) {
    Values values;
    while (values.size() < count) {
      const Frame frame = client.expect_frame();
      EXPECT_EQ(frame.header.type, FrameType::deliver);
      EXPECT_EQ(frame.header.flags, kFlagPushed);
      EXPECT_EQ(frame.as<wire::Deliver>().size(), frame.attachments.size());
      if (frame.header.type != FrameType::deliver || frame.attachments.empty()) break;
      for (std::string& value : values_of(frame.attachments)) values.push_back(std::move(value));
    }
    return values;
  }
  static void expect_nothing_pushed_before_the_next_reply(RawClient& client) {
    EXPECT_FALSE(client.ask(FrameType::list_topics, wire::ListTopics()).is_error());
  }

  NativeNode node_;
  std::unique_ptr<RawClient> writer_ = node_.client();
};

TEST_F(NativeSubscription, starts_with_what_is_there_and_goes_on_live) {
  store(*writer_, "orders", {"a", "b"});
  const auto client = node_.client();
  const auto reply = client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(1, "orders", 0, kPlenty));
  EXPECT_EQ(reply.log_start(), 0);
  EXPECT_EQ(reply.high_watermark(), 2);
  EXPECT_EQ(pushed(*client, 2), (Values{"a", "b"}));
  store(*writer_, "orders", {"c"});
  EXPECT_EQ(pushed(*client, 1), (Values{"c"}));
}

TEST_F(NativeSubscription, delivers_no_more_than_its_credit_until_there_is_more) {
  const std::size_t batch_bytes = batch_of({"a"}).size();
  for (const char* value : {"a", "b", "c", "d", "e"}) store(*writer_, "orders", {value});
  const auto client = subscriber(0, 2 * batch_bytes);
  EXPECT_EQ(pushed(*client, 2), (Values{"a", "b"}));
  expect_nothing_pushed_before_the_next_reply(*client);
  grant(*client, batch_bytes);
  EXPECT_EQ(pushed(*client, 1), (Values{"c"}));
  expect_nothing_pushed_before_the_next_reply(*client);
  grant(*client, kPlenty);
  EXPECT_EQ(pushed(*client, 2), (Values{"d", "e"}));
}

TEST_F(NativeSubscription, a_batch_larger_than_the_credit_comes_and_is_made_good_first) {
  const Slice large = batch_of({std::string(1000, 'x')});
  store(*writer_, "orders", {std::string(1000, 'x')});
  store(*writer_, "orders", {"b"});
  const auto client = subscriber(0, 1);
  EXPECT_EQ(pushed(*client, 1).size(), 1u);
  grant(*client, large.size() - 1);  // Back to zero exactly.
  expect_nothing_pushed_before_the_next_reply(*client);
  grant(*client, 1);
  EXPECT_EQ(pushed(*client, 1), (Values{"b"}));
}

TEST_F(NativeSubscription, without_credit_waits_for_some) {
  store(*writer_, "orders", {"a"});
  const auto client = subscriber(0, 0);
  expect_nothing_pushed_before_the_next_reply(*client);
  grant(*client, 1);
  EXPECT_EQ(pushed(*client, 1), (Values{"a"}));
}

TEST_F(NativeSubscription, batches_follow_their_reply_even_when_it_waits_behind_a_slow_one) {
  store(*writer_, "orders", {"a"});
  const auto client = node_.client();
  client->send(FrameType::fetch, 1, fetch_message("orders", 1, 30'000));
  client->send(FrameType::subscribe, 2, subscribe_message(1, "orders", 0, kPlenty));
  store(*writer_, "orders", {"b"});
  EXPECT_EQ(client->expect_frame().header.type, FrameType::fetch);
  EXPECT_EQ(client->expect_frame().header.type, FrameType::subscribe);
  EXPECT_EQ(pushed(*client, 2), (Values{"a", "b"}));
}

TEST_F(NativeSubscription, stays_silent_after_its_end_and_its_number_is_free) {
  const auto client = subscriber(0, kPlenty);
  wire::Unsubscribe unsubscribe;
  unsubscribe.set_subscription(1);
  client->must<wire::UnsubscribeReply>(FrameType::unsubscribe, unsubscribe);
  store(*writer_, "orders", {"a"});
  expect_nothing_pushed_before_the_next_reply(*client);
  client->must<wire::UnsubscribeReply>(FrameType::unsubscribe, unsubscribe);
  client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(1, "orders", 1, kPlenty));
  store(*writer_, "orders", {"b"});
  EXPECT_EQ(pushed(*client, 1), (Values{"b"}));
}

TEST_F(NativeSubscription, of_a_number_in_use_or_a_bad_place_is_refused) {
  const auto client = subscriber(0, kPlenty, 7);
  EXPECT_EQ(client->refused(FrameType::subscribe, subscribe_message(7, "orders", 0, 1)), Errc::conflict);
  EXPECT_EQ(client->refused(FrameType::subscribe, subscribe_message(8, "oders", 0, 1)), Errc::unknown_topic);
  EXPECT_EQ(client->refused(FrameType::subscribe, subscribe_message(8, "orders", 5, 1)), Errc::offset_out_of_range);
  client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(8, "orders", 0, 1));
  store(*writer_, "orders", {"a"});
  Values ids;
  for (int i = 0; i < 2; ++i) ids.push_back(std::to_string(client->expect_frame().as<wire::Deliver>().subscription()));
  std::ranges::sort(ids);
  EXPECT_EQ(ids, (Values{"7", "8"}));
}

TEST_F(NativeSubscription, ends_with_an_error_when_its_topic_is_deleted) {
  const auto client = subscriber(0, kPlenty);
  wire::DeleteTopic remove;
  remove.set_name("orders");
  writer_->must<wire::DeleteTopicReply>(FrameType::delete_topic, remove);
  const Frame last = client->expect_frame();
  ASSERT_EQ(last.header.type, FrameType::deliver);
  EXPECT_EQ(from_wire(last.as<wire::Deliver>().error()).code, Errc::unknown_topic);
  EXPECT_TRUE(last.attachments.empty());
  expect_nothing_pushed_before_the_next_reply(*client);
}

TEST_F(NativeSubscription, ends_with_an_error_when_its_records_are_trimmed_away) {
  for (const char* value : {"a", "b", "c"}) store(*writer_, "orders", {value});
  const auto client = subscriber(0, 0);
  wire::TrimTopic trim;
  trim.set_name("orders");
  trim.set_before(2);
  writer_->must<wire::TrimTopicReply>(FrameType::trim_topic, trim);
  grant(*client, kPlenty);
  const auto deliver = client->expect_frame().as<wire::Deliver>();
  EXPECT_EQ(from_wire(deliver.error()).code, Errc::offset_out_of_range);
  EXPECT_EQ(deliver.next(), 0);
}

TEST(NativeSubscriptionBounds, many_readers_of_one_connection_with_little_output_all_get_everything) {
  ServerOptions options;
  options.limits.output_bytes_max = 10'000;  // One or two batches.
  NativeNode node(std::move(options));
  const auto client = node.client();
  create_topic(*client, "orders");
  constexpr std::uint32_t kReaders = 10;
  constexpr std::int64_t kBatches = 40;
  for (std::uint32_t id = 0; id < kReaders; ++id) {
    client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(id, "orders", 0, kPlenty));
  }
  const auto writer = node.client();
  for (std::int64_t i = 0; i < kBatches; ++i) store(*writer, "orders", {std::string(6'000, 'x')});
  std::vector<std::int64_t> next(kReaders, 0);
  while (std::ranges::any_of(next, [](std::int64_t offset) { return offset < kBatches; })) {
    const Frame frame = client->expect_frame();
    const auto deliver = frame.as<wire::Deliver>();
    ASSERT_LT(deliver.subscription(), kReaders);
    ASSERT_FALSE(deliver.has_error()) << deliver.error().detail();
    // No gap and nothing twice: what was dropped because the output was full is read again.
    ASSERT_EQ(BatchHeader::parse(frame.attachments)->base_offset.value, next[deliver.subscription()]);
    next[deliver.subscription()] = deliver.next();
  }
}

TEST(NativeSubscriptionBounds, too_many_are_refused) {
  ServerOptions options;
  options.limits.subscriptions_max = 2;
  NativeNode node(std::move(options));
  const auto client = node.client();
  create_topic(*client, "orders");
  for (std::uint32_t id = 0; id < 2; ++id) {
    client->must<wire::SubscribeReply>(FrameType::subscribe, subscribe_message(id, "orders", 0, 0));
  }
  EXPECT_EQ(client->refused(FrameType::subscribe, subscribe_message(2, "orders", 0, 0)), Errc::overloaded);
}

}  // namespace
}  // namespace tidemark::native
