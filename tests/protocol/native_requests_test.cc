#include <algorithm>

#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

using Values = std::vector<std::string>;

class NativeRequests : public testing::Test {
 protected:
  wire::TopicInfo describe(const std::string& name) {
    wire::DescribeTopic request;
    request.set_name(name);
    return client_->must<wire::TopicInfo>(FrameType::describe_topic, request);
  }
  Values read(const std::string& topic, std::int64_t from = 0) {
    return values_of(client_->ask(FrameType::fetch, fetch_message(topic, from)).attachments);
  }

  NativeNode node_;
  std::unique_ptr<RawClient> client_ = node_.client();
};

std::string setting(const google::protobuf::RepeatedPtrField<wire::ConfigEntry>& config, const std::string& key) {
  for (const wire::ConfigEntry& entry : config) {
    if (entry.key() == key) return entry.value();
  }
  return "(absent)";
}

TEST_F(NativeRequests, a_topic_is_created_described_altered_and_deleted) {
  create_topic(*client_, "orders", 2, {{"retention.ms", "1h"}});
  store(*client_, "orders", {"a", "b"});

  const wire::TopicInfo created = describe("orders");
  EXPECT_EQ(created.name(), "orders");
  EXPECT_EQ(created.partitions(), 2);
  EXPECT_EQ(created.records(), 2);
  EXPECT_EQ(created.durability(), "fsync");
  EXPECT_EQ(created.entry_id(), "offset");
  EXPECT_EQ(created.config_size(), 1);
  EXPECT_EQ(setting(created.config(), "retention.ms"), "3600000");
  EXPECT_EQ(setting(created.effective_config(), "retention.ms"), "3600000");
  EXPECT_EQ(setting(created.effective_config(), "cleanup.policy"), "delete");
  ASSERT_EQ(created.partition_list_size(), 2);
  EXPECT_EQ(created.partition_list(0).high_watermark(), 2);
  EXPECT_EQ(created.partition_list(0).state(), "online");
  EXPECT_EQ(created.partition_list(1).partition(), 1);
  EXPECT_EQ(created.partition_list(1).high_watermark(), 0);

  wire::AlterTopic alter;
  alter.set_name("orders");
  alter.set_partitions(3);
  auto& entry = *alter.add_config();
  entry.set_key("retention.ms");
  const auto altered = client_->must<wire::TopicInfo>(FrameType::alter_topic, alter);
  EXPECT_EQ(altered.partitions(), 3);
  EXPECT_EQ(altered.config_size(), 0);

  wire::DeleteTopic remove;
  remove.set_name("orders");
  client_->must<wire::DeleteTopicReply>(FrameType::delete_topic, remove);
  EXPECT_EQ(client_->refused(FrameType::delete_topic, remove), Errc::unknown_topic);
}

TEST_F(NativeRequests, topics_are_listed_by_name_with_their_sizes) {
  create_topic(*client_, "b", 2);
  create_topic(*client_, "a");
  store(*client_, "b", {"x", "y", "z"});
  const auto list = client_->must<wire::ListTopicsReply>(FrameType::list_topics, wire::ListTopics());
  ASSERT_EQ(list.topics_size(), 2);
  EXPECT_EQ(list.topics(0).name(), "a");
  EXPECT_EQ(list.topics(0).records(), 0);
  EXPECT_EQ(list.topics(1).name(), "b");
  EXPECT_EQ(list.topics(1).records(), 3);
  EXPECT_GT(list.topics(1).bytes(), 0u);
  EXPECT_EQ(list.topics(1).partition_list_size(), 0);
}

TEST_F(NativeRequests, bad_topics_and_settings_are_named) {
  create_topic(*client_, "orders");
  wire::CreateTopic create;
  create.set_name("orders");
  EXPECT_EQ(client_->refused(FrameType::create_topic, create), Errc::topic_exists);
  create.set_name("a b");
  EXPECT_EQ(client_->refused(FrameType::create_topic, create), Errc::invalid_topic_name);
  create.set_name("other");
  auto& entry = *create.add_config();
  entry.set_key("retention.mss");
  entry.set_value("1");
  const Error unknown_key = client_->ask(FrameType::create_topic, create).error();
  EXPECT_EQ(unknown_key.code, Errc::invalid_config);
  EXPECT_NE(unknown_key.detail.find("retention.ms"), std::string::npos) << unknown_key.detail;

  wire::AlterTopic alter;
  alter.set_name("orders");
  EXPECT_EQ(client_->refused(FrameType::alter_topic, alter), Errc::invalid_argument);
  alter.set_partitions(0);
  EXPECT_EQ(client_->refused(FrameType::alter_topic, alter), Errc::invalid_argument);

  wire::DescribeTopic describe;
  describe.set_name("oders");
  const Error misspelt = client_->ask(FrameType::describe_topic, describe).error();
  EXPECT_EQ(misspelt.code, Errc::unknown_topic);
  EXPECT_NE(misspelt.detail.find("orders"), std::string::npos);
}

TEST_F(NativeRequests, each_batch_of_a_produce_stands_for_itself) {
  create_topic(*client_, "orders");
  create_topic(*client_, "bills");
  const Slice good = batch_of({"a", "b"});
  Slice corrupt = batch_of({"c"});
  corrupt.writable()[corrupt.size() - 1] ^= std::byte{1};
  const Slice last = batch_of({"d"});
  const Slice nothing;
  wire::Produce produce =
      produce_message({{"orders", good}, {"oders", good}, {"orders", corrupt}, {"bills", last}, {"orders", nothing}, {"orders", last}});
  auto& elsewhere = *produce.add_batches();
  elsewhere.set_topic("orders");
  elsewhere.set_partition(7);
  elsewhere.set_size(static_cast<std::uint32_t>(last.size()));
  const auto reply =
      client_->must<wire::ProduceReply>(FrameType::produce, produce, {good, batch_of({"a", "b"}), corrupt, last, nothing, last, last});
  ASSERT_EQ(reply.batches_size(), 7);
  const auto code = [&](int i) { return from_wire(reply.batches(i).error()).code; };
  EXPECT_FALSE(reply.batches(0).has_error());
  EXPECT_EQ(reply.batches(0).base_offset(), 0);
  EXPECT_EQ(reply.batches(0).durability(), "fsync");
  EXPECT_GT(reply.batches(0).append_time_ms(), 1'600'000'000'000);
  EXPECT_EQ(code(1), Errc::unknown_topic);
  EXPECT_EQ(code(2), Errc::corrupt_batch);
  EXPECT_FALSE(reply.batches(3).has_error());
  EXPECT_EQ(code(4), Errc::corrupt_batch);
  EXPECT_FALSE(reply.batches(5).has_error());
  EXPECT_EQ(reply.batches(5).base_offset(), 2);
  EXPECT_EQ(code(6), Errc::unknown_partition);
  EXPECT_EQ(read("orders"), (Values{"a", "b", "d"}));
  EXPECT_EQ(read("bills"), (Values{"d"}));
}

TEST_F(NativeRequests, a_produce_without_batches_is_refused) {
  EXPECT_EQ(client_->refused(FrameType::produce, wire::Produce()), Errc::invalid_argument);
  client_->must<wire::ListTopicsReply>(FrameType::list_topics, wire::ListTopics());
}

TEST_F(NativeRequests, a_batch_far_larger_than_any_buffer_comes_back_byte_for_byte) {
  create_topic(*client_, "orders", 1, {{"max.message.bytes", "8388608"}});
  std::string value(5'000'000, '\0');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 2654435761u >> 13);
  const Slice batch = batch_of({value});
  ByteVector sent(batch.view().begin(), batch.view().end());
  EXPECT_EQ(store(*client_, "orders", {value}), 0);
  const Frame fetched = client_->ask(FrameType::fetch, fetch_message("orders", 0));
  // The broker sets base offset (0 here) and leader epoch, bytes 12 to 15, which the checksum leaves out.
  ASSERT_EQ(fetched.attachments.size(), sent.size());
  EXPECT_TRUE(std::equal(sent.begin(), sent.begin() + 12, fetched.attachments.begin()));
  EXPECT_TRUE(std::equal(sent.begin() + 16, sent.end(), fetched.attachments.begin() + 16));
}

TEST_F(NativeRequests, a_retried_batch_is_recognised) {
  create_topic(*client_, "orders");
  const auto identity = client_->must<wire::InitProducerReply>(FrameType::init_producer, wire::InitProducer());
  const auto next = client_->must<wire::InitProducerReply>(FrameType::init_producer, wire::InitProducer());
  EXPECT_NE(identity.producer_id(), next.producer_id());
  const auto attempt = [&](std::int32_t sequence) {
    BatchBuilder builder;
    builder.set_producer(identity.producer_id(), static_cast<std::int16_t>(identity.producer_epoch()), sequence);
    builder.add({.key = std::nullopt, .value = as_bytes("a"), .timestamp_ms = 1, .headers = {}});
    const Slice batch = builder.build();
    return client_->must<wire::ProduceReply>(FrameType::produce, produce_message({{"orders", batch}}), {batch}).batches(0);
  };
  EXPECT_FALSE(attempt(0).duplicate());
  const auto again = attempt(0);
  EXPECT_TRUE(again.duplicate());
  EXPECT_EQ(again.base_offset(), 0);
  EXPECT_EQ(from_wire(attempt(5).error()).code, Errc::out_of_order_sequence);
  EXPECT_EQ(read("orders"), Values{"a"});
}

TEST_F(NativeRequests, a_fetch_says_where_to_go_on_and_what_there_is) {
  create_topic(*client_, "orders");
  store(*client_, "orders", {"a", "b"});
  store(*client_, "orders", {"c"});
  const Frame frame = client_->ask(FrameType::fetch, fetch_message("orders", 1));
  const auto reply = frame.as<wire::FetchReply>();
  EXPECT_EQ(reply.size(), frame.attachments.size());
  EXPECT_EQ(reply.next(), 3);
  EXPECT_EQ(reply.log_start(), 0);
  EXPECT_EQ(reply.high_watermark(), 3);
  EXPECT_EQ(reply.last_stable(), 3);
  EXPECT_EQ(values_of(frame.attachments), (Values{"a", "b", "c"})) << "whole batches: the first may begin below";

  const Frame end = client_->ask(FrameType::fetch, fetch_message("orders", 3));
  EXPECT_EQ(end.as<wire::FetchReply>().next(), 3);
  EXPECT_TRUE(end.attachments.empty());
}

TEST_F(NativeRequests, a_fetch_is_bounded_and_still_moves_on) {
  create_topic(*client_, "orders");
  for (int i = 0; i < 5; ++i) store(*client_, "orders", {std::string(1000, 'x')});
  wire::Fetch fetch = fetch_message("orders", 0);
  fetch.set_bytes_max(1);
  EXPECT_EQ(client_->ask(FrameType::fetch, fetch).as<wire::FetchReply>().next(), 1);
  fetch.set_bytes_max(2500);
  EXPECT_EQ(client_->ask(FrameType::fetch, fetch).as<wire::FetchReply>().next(), 2);
  fetch.set_bytes_max(0xffffffff);
  EXPECT_EQ(client_->ask(FrameType::fetch, fetch).as<wire::FetchReply>().next(), 5);
}

TEST_F(NativeRequests, a_fetch_of_more_than_a_frame_gets_what_fits) {
  create_topic(*client_, "orders", 1, {{"max.message.bytes", "4194304"}});
  for (int i = 0; i < 6; ++i) store(*client_, "orders", {std::string(4'000'000, 'x')});
  wire::Fetch fetch = fetch_message("orders", 0);
  fetch.set_bytes_max(0xffffffff);
  std::int64_t next = 0;
  while (next < 6) {
    fetch.set_offset(next);
    const Frame frame = client_->ask(FrameType::fetch, fetch);
    ASSERT_FALSE(frame.is_error()) << frame.error().to_string();
    ASSERT_LE(frame.attachments.size(), 8u * 1024 * 1024);
    ASSERT_GT(frame.as<wire::FetchReply>().next(), next);
    next = frame.as<wire::FetchReply>().next();
  }
}

TEST_F(NativeRequests, a_waiting_fetch_comes_back_empty_when_nothing_does) {
  create_topic(*client_, "orders");
  const Frame frame = client_->ask(FrameType::fetch, fetch_message("orders", 0, 20));
  EXPECT_EQ(frame.as<wire::FetchReply>().next(), 0);
  EXPECT_TRUE(frame.attachments.empty());
}

TEST_F(NativeRequests, a_fetch_out_of_range_is_told_the_range) {
  create_topic(*client_, "orders");
  store(*client_, "orders", {"a"});
  const Error beyond = client_->ask(FrameType::fetch, fetch_message("orders", 2)).error();
  EXPECT_EQ(beyond.code, Errc::offset_out_of_range);
  EXPECT_NE(beyond.detail.find('1'), std::string::npos);
  EXPECT_EQ(client_->refused(FrameType::fetch, fetch_message("orders", -1)), Errc::offset_out_of_range);
  EXPECT_EQ(client_->refused(FrameType::fetch, fetch_message("none", 0)), Errc::unknown_topic);
  wire::Fetch elsewhere = fetch_message("orders", 0);
  elsewhere.set_partition(-1);
  EXPECT_EQ(client_->refused(FrameType::fetch, elsewhere), Errc::unknown_partition);
}

TEST_F(NativeRequests, trimming_moves_the_start_and_never_back) {
  create_topic(*client_, "orders");
  for (const char* value : {"a", "b", "c"}) store(*client_, "orders", {value});
  wire::TrimTopic trim;
  trim.set_name("orders");
  trim.set_before(2);
  EXPECT_EQ(client_->must<wire::TrimTopicReply>(FrameType::trim_topic, trim).log_start(), 2);
  trim.set_before(1);
  EXPECT_EQ(client_->must<wire::TrimTopicReply>(FrameType::trim_topic, trim).log_start(), 2);
  EXPECT_EQ(client_->refused(FrameType::fetch, fetch_message("orders", 1)), Errc::offset_out_of_range);
  EXPECT_EQ(read("orders", 2), Values{"c"});
}

TEST_F(NativeRequests, offsets_are_found_by_place_and_time) {
  create_topic(*client_, "orders");
  store(*client_, "orders", {"a", "b"});  // At 1000 ms.
  const auto find = [&](wire::FindOffset::Query query, std::int64_t time = 0) {
    wire::FindOffset request;
    request.set_topic("orders");
    request.set_query(query);
    request.set_timestamp_ms(time);
    return client_->must<wire::FindOffsetReply>(FrameType::find_offset, request);
  };
  EXPECT_EQ(find(wire::FindOffset::EARLIEST).offset(), 0);
  EXPECT_EQ(find(wire::FindOffset::LATEST).offset(), 2);
  EXPECT_EQ(find(wire::FindOffset::TIMESTAMP, 1000).offset(), 0);
  EXPECT_TRUE(find(wire::FindOffset::TIMESTAMP, 1000).found());
  const auto later = find(wire::FindOffset::TIMESTAMP, 1001);
  EXPECT_FALSE(later.found());
  EXPECT_EQ(later.offset(), 2);

  wire::FindOffset unknown;
  unknown.set_topic("orders");
  unknown.set_query(static_cast<wire::FindOffset::Query>(77));
  EXPECT_EQ(client_->refused(FrameType::find_offset, unknown), Errc::invalid_argument);
}

TEST_F(NativeRequests, the_status_counts_what_is_there) {
  create_topic(*client_, "orders", 3);
  const auto status = client_->must<wire::StatusReply>(FrameType::status, wire::StatusRequest());
  EXPECT_EQ(status.version(), "1.2.3");
  EXPECT_EQ(status.cluster_id(), node_.broker().cluster_id().to_string());
  EXPECT_EQ(status.topics(), 1u);
  EXPECT_EQ(status.partitions(), 3u);
  EXPECT_GT(status.disk_total_bytes(), 0u);
  EXPECT_EQ(status.read_only(), "");
}

TEST_F(NativeRequests, a_server_without_checks_has_no_doctor) {
  EXPECT_EQ(client_->refused(FrameType::doctor, wire::DoctorRequest()), Errc::not_found);
}

TEST(NativeDoctor, shows_what_the_server_main_checks_and_connections_by_listener) {
  ServerOptions options;
  options.facts.doctor = [] {
    wire::DoctorReply::Check check;
    check.set_check("disk");
    check.set_result("ok");
    return std::vector{check};
  };
  options.facts.connections = [] { return std::map<std::string, std::uint64_t>{{"native", 5}, {"http", 2}}; };
  NativeNode node(std::move(options));
  const auto client = node.client();
  const auto doctor = client->must<wire::DoctorReply>(FrameType::doctor, wire::DoctorRequest());
  ASSERT_EQ(doctor.checks_size(), 1);
  EXPECT_EQ(doctor.checks(0).check(), "disk");
  const auto status = client->must<wire::StatusReply>(FrameType::status, wire::StatusRequest());
  EXPECT_EQ(status.connections().at("native"), 5u);
  EXPECT_EQ(status.connections().at("http"), 2u);
}

}  // namespace
}  // namespace tidemark::native
