#include <cstring>

#include <gtest/gtest.h>

#include "protocol/kafka/codec/messages/fetch.h"
#include "protocol/kafka/codec/messages/init_producer_id.h"
#include "protocol/kafka/codec/messages/list_offsets.h"
#include "protocol/kafka/codec/messages/metadata.h"
#include "protocol/kafka/codec/messages/offset_for_leader_epoch.h"
#include "protocol/kafka/codec/messages/produce.h"
#include "storage/base/crc32c.h"
#include "storage/batch/repack.h"
#include "tests/protocol/kafka/kafka_node.h"

namespace tidemark::kafka {
namespace {

constexpr std::int16_t kProduceVersion = 9;
constexpr std::int16_t kFetchVersion = 12;

ProduceRequest produce_request(const std::string& topic, std::vector<std::optional<Slice>> batches, std::int16_t acks = -1) {
  ProduceRequest request;
  request.acks = acks;
  ProduceRequest::TopicData& data = request.topic_data.emplace_back();
  data.name = topic;
  for (std::optional<Slice>& batch : batches) {
    data.partition_data.push_back({static_cast<std::int32_t>(data.partition_data.size()), std::move(batch)});
  }
  return request;
}

FetchRequest fetch_request(const std::string& topic, std::vector<std::int64_t> offsets) {
  FetchRequest request;
  FetchRequest::Topic& wanted = request.topics.emplace_back();
  wanted.topic = topic;
  for (const std::int64_t offset : offsets) {
    FetchRequest::Partition& partition = wanted.partitions.emplace_back();
    partition.partition = static_cast<std::int32_t>(wanted.partitions.size() - 1);
    partition.fetch_offset = offset;
    partition.partition_max_bytes = 1'000'000;
  }
  return request;
}

/// Changes one byte; with `seal`, the checksum is made to fit again.
Slice changed(const Slice& batch, std::size_t at, int value, bool seal) {
  const Slice copy = Slice::copy_of(batch.view());
  copy.data()[at] = static_cast<std::byte>(value);
  if (seal) store_be<std::uint32_t>(copy.data() + 17, crc32c(copy.view().subspan(21)));
  return copy;
}

Slice joined(const Slice& a, const Slice& b) {
  const Slice both = Slice::allocate(a.size() + b.size());
  std::memcpy(both.data(), a.data(), a.size());
  std::memcpy(both.data() + a.size(), b.data(), b.size());
  return both;
}

class KafkaRecords : public testing::Test {
 protected:
  ProduceResponse::PartitionResponse produce(const std::optional<Slice>& batch, std::int16_t version = kProduceVersion,
                                             const std::string& name = "t") {
    const auto response = client.ask(decode_produce_response, produce_request(name, {batch}), version);
    EXPECT_EQ(response.responses.size(), 1u);
    if (response.responses.empty()) return {};
    EXPECT_EQ(response.responses[0].partition_responses.size(), 1u);
    return response.responses[0].partition_responses.at(0);
  }
  std::int64_t store(const std::vector<std::string>& values, std::int64_t first_ms = 1000) {
    const auto part = produce(batch_of(values, first_ms));
    EXPECT_EQ(part.error_code, ErrorCode::none) << part.error_message.value_or("");
    return part.base_offset;
  }
  FetchResponse fetch(const FetchRequest& request, std::int16_t version = kFetchVersion) {
    return client.ask(decode_fetch_response, request, version);
  }
  FetchResponse::PartitionData fetch_one(const FetchRequest& request, std::int16_t version = kFetchVersion) {
    const FetchResponse response = fetch(request, version);
    EXPECT_EQ(response.responses.size(), 1u);
    return response.responses.empty() ? FetchResponse::PartitionData() : response.responses[0].partitions.at(0);
  }
  ListOffsetsResponse::Partition offset_at(std::int64_t timestamp, std::int16_t version = 9) {
    ListOffsetsRequest request;
    request.replica_id = -1;
    request.topics = {{"t", {{.partition_index = 0, .current_leader_epoch = -1, .timestamp = timestamp}}}};
    return client.ask(decode_list_offsets_response, request, version).topics.at(0).partitions.at(0);
  }

  KafkaNode node;
  KafkaClient client{node.port()};
  std::shared_ptr<const broker::Topic> topic = node.create("t");
};

// --- Produce.

TEST_F(KafkaRecords, are_stored_and_read_back_in_every_version) {
  std::int64_t next = 0;
  for (std::int16_t version = 3; version <= 13; ++version) {
    SCOPED_TRACE(version);
    ProduceRequest request = produce_request("t", {batch_of({"v" + std::to_string(version)})});
    if (version >= 13) request.topic_data[0].topic_id = topic->id;
    const auto part = client.ask(decode_produce_response, request, version).responses.at(0).partition_responses.at(0);
    EXPECT_EQ(part.error_code, ErrorCode::none);
    EXPECT_EQ(part.base_offset, next++);
    EXPECT_EQ(part.log_append_time_ms, -1);
    if (version >= 5) {
      EXPECT_EQ(part.log_start_offset, 0);
    }
  }
  for (std::int16_t version = 4; version <= 17; ++version) {
    SCOPED_TRACE(version);
    FetchRequest request = fetch_request("t", {10});
    if (version >= 13) request.topics[0].topic_id = topic->id;
    const auto part = fetch_one(request, version);
    EXPECT_EQ(part.error_code, ErrorCode::none);
    EXPECT_EQ(part.high_watermark, 11);
    EXPECT_EQ(part.last_stable_offset, 11);
    ASSERT_TRUE(part.records);
    EXPECT_EQ(values_of(*part.records), std::vector<std::string>{"v13"});
  }
}

TEST_F(KafkaRecords, of_several_partitions_get_their_own_answers_in_order) {
  node.create("p", 2);
  ProduceRequest request = produce_request("p", {batch_of({"a"}), batch_of({"b"}), batch_of({"c"})});
  std::swap(request.topic_data[0].partition_data[0], request.topic_data[0].partition_data[1]);
  request.topic_data.push_back(produce_request("none", {batch_of({"d"})}).topic_data[0]);
  const auto response = client.ask(decode_produce_response, request, kProduceVersion);
  ASSERT_EQ(response.responses.size(), 2u);
  const auto& parts = response.responses[0].partition_responses;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].index, 1);
  EXPECT_EQ(parts[0].error_code, ErrorCode::none);
  EXPECT_EQ(parts[1].index, 0);
  EXPECT_EQ(parts[1].error_code, ErrorCode::none);
  EXPECT_EQ(parts[2].index, 2);
  EXPECT_EQ(parts[2].error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(parts[2].base_offset, -1);
  EXPECT_EQ(response.responses[1].partition_responses.at(0).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST_F(KafkaRecords, that_apache_kafka_refuses_are_refused_with_its_codes) {
  const Slice good = batch_of({"a", "b"});
  constexpr std::size_t kMagic = 16, kAttributes = 22, kBaseOffset = 7, kCount = 60;
  EXPECT_EQ(produce(std::nullopt).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(Slice()).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(joined(good, good)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(good.subslice(0, good.size() - 1)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(changed(good, kMagic, 0, false)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(changed(good, kMagic, 1, false)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(changed(good, kMagic, 3, false)).error_code, ErrorCode::corrupt_message);
  EXPECT_EQ(produce(changed(good, kBaseOffset, 1, false)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(changed(good, good.size() - 1, 7, false)).error_code, ErrorCode::corrupt_message);
  EXPECT_EQ(produce(changed(good, kCount, 1, true)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(changed(good, kAttributes, 8, true)).error_code, ErrorCode::invalid_timestamp);
  EXPECT_EQ(produce(changed(good, kAttributes, 16, true)).error_code, ErrorCode::invalid_record);  // Transactional without a producer.
  EXPECT_EQ(produce(changed(good, kAttributes, 32, true)).error_code, ErrorCode::invalid_record);
  EXPECT_EQ(produce(changed(good, kAttributes, 7, true)).error_code, ErrorCode::unsupported_compression_type);
  EXPECT_EQ(produce(batch_of({"a"}, 1, {.codec = Codec::zstd}), 6).error_code, ErrorCode::unsupported_compression_type);
  EXPECT_EQ(produce(batch_of({std::string(1'100'000, 'x')})).error_code, ErrorCode::message_too_large);
  EXPECT_EQ(store({"after all that"}), 0);
}

TEST_F(KafkaRecords, whose_batch_lacks_the_largest_time_get_it) {
  const Slice batch = batch_of({"a", "b"}, 1000);
  set_max_timestamp(batch.writable(), -1);  // As sarama sends them.
  ASSERT_EQ(produce(batch).error_code, ErrorCode::none);
  const auto read = fetch_one(fetch_request("t", {0}));
  const auto header = BatchHeader::parse(read.records->at(0).view());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->max_timestamp_ms, 1001);
  EXPECT_TRUE(batch_crc_matches(read.records->at(0).view().first(header->size_bytes())));
  EXPECT_EQ(offset_at(1001).offset, 1);
}

TEST_F(KafkaRecords, with_unknown_acks_or_topic_ids_are_refused) {
  const auto acks = client.ask(decode_produce_response, produce_request("t", {batch_of({"a"})}, 2), kProduceVersion);
  EXPECT_EQ(acks.responses.at(0).partition_responses.at(0).error_code, ErrorCode::invalid_required_acks);
  EXPECT_EQ(produce(batch_of({"a"}), 13).error_code, ErrorCode::unknown_topic_id);
}

TEST_F(KafkaRecords, without_acks_get_no_answer) {
  client.send(produce_request("t", {batch_of({"a"})}, 0), kProduceVersion);
  const auto part = produce(batch_of({"b"}));  // The next answer is this request's own.
  EXPECT_EQ(part.base_offset, 1);
}

TEST_F(KafkaRecords, without_acks_that_are_refused_end_the_connection) {
  client.send(produce_request("t", {batch_of({"a"}), batch_of({"no such partition"})}, 0), kProduceVersion);
  client.send(produce_request("t", {batch_of({"b"})}), kProduceVersion);
  EXPECT_TRUE(client.closed_by_broker());
}

TEST_F(KafkaRecords, of_an_idempotent_producer_are_stored_once_and_in_order) {
  const auto identity = client.ask(decode_init_producer_id_response, InitProducerIdRequest{}, 4);
  ASSERT_EQ(identity.error_code, ErrorCode::none);
  const auto with_sequence = [&](std::int32_t sequence, std::int16_t epoch) {
    return batch_of({"a"}, 1, {.producer_id = identity.producer_id, .producer_epoch = epoch, .base_sequence = sequence});
  };
  EXPECT_EQ(produce(with_sequence(0, 0)).base_offset, 0);
  EXPECT_EQ(produce(with_sequence(1, 0)).base_offset, 1);
  const auto again = produce(with_sequence(0, 0));
  EXPECT_EQ(again.error_code, ErrorCode::none);
  EXPECT_EQ(again.base_offset, 0);
  EXPECT_EQ(produce(with_sequence(5, 0)).error_code, ErrorCode::out_of_order_sequence_number);
  EXPECT_EQ(produce(with_sequence(0, 1)).base_offset, 2);
  EXPECT_EQ(produce(with_sequence(2, 0)).error_code, ErrorCode::invalid_producer_epoch);
}

TEST_F(KafkaRecords, producer_ids_are_asked_for_whole_or_not_at_all) {
  InitProducerIdRequest half;
  half.producer_id = 5;
  EXPECT_EQ(client.ask(decode_init_producer_id_response, half, 4).error_code, ErrorCode::invalid_request);
  half.producer_epoch = 0;
  const auto fresh = client.ask(decode_init_producer_id_response, half, 4);
  EXPECT_EQ(fresh.error_code, ErrorCode::none);
  EXPECT_EQ(fresh.producer_epoch, 0);
}

TEST_F(KafkaRecords, are_stamped_where_the_topic_says_so) {
  node.create("stamped", 1, {{"message.timestamp.type", "LogAppendTime"}});
  const auto part = produce(batch_of({"a"}, 5), kProduceVersion, "stamped");
  ASSERT_EQ(part.error_code, ErrorCode::none);
  EXPECT_GT(part.log_append_time_ms, 1'600'000'000'000);
  const auto read = fetch_one(fetch_request("stamped", {0}));
  const auto header = BatchHeader::parse(read.records->at(0).view());
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->log_append_time());
  EXPECT_EQ(header->max_timestamp_ms, part.log_append_time_ms);
  EXPECT_TRUE(batch_crc_matches(read.records->at(0).view().first(header->size_bytes())));
}

TEST_F(KafkaRecords, are_packed_as_the_topic_says) {
  node.create("packed", 1, {{"compression.type", "zstd"}});
  ASSERT_EQ(produce(batch_of({"a", "b"}, 5, {.codec = Codec::gzip}), kProduceVersion, "packed").error_code, ErrorCode::none);
  const auto read = fetch_one(fetch_request("packed", {0}));
  const auto header = BatchHeader::parse(read.records->at(0).view());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->codec(), Codec::zstd);
  EXPECT_EQ(values_of(*read.records), (std::vector<std::string>{"a", "b"}));
}

// --- Fetch.

TEST_F(KafkaRecords, come_in_whole_batches_from_the_one_with_the_offset) {
  store({"a", "b"});
  store({"c"});
  EXPECT_EQ(values_of(*fetch_one(fetch_request("t", {1})).records), (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(KafkaRecords, at_least_one_batch_comes_however_small_the_bounds) {
  store({std::string(1000, 'a')});
  store({"b"});
  FetchRequest request = fetch_request("t", {0});
  request.max_bytes = 1;
  request.topics[0].partitions[0].partition_max_bytes = 1;
  EXPECT_EQ(values_of(*fetch_one(request).records).size(), 1u);
}

TEST_F(KafkaRecords, only_the_first_partition_with_data_passes_the_bounds) {
  node.create("p", 3);
  const std::string large(1000, 'x');
  const auto stored = client.ask(decode_produce_response, produce_request("p", {batch_of({"x"}), batch_of({large}), batch_of({large})}), 9);
  ASSERT_EQ(stored.responses.at(0).partition_responses.at(2).error_code, ErrorCode::none);
  FetchRequest request = fetch_request("p", {1, 0, 0});  // Nothing new in the first.
  request.max_bytes = 500;
  const auto response = fetch(request);
  const auto& parts = response.responses.at(0).partitions;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_TRUE(values_of(*parts[0].records).empty());
  EXPECT_EQ(values_of(*parts[1].records).size(), 1u);
  EXPECT_TRUE(values_of(*parts[2].records).empty());
  EXPECT_EQ(parts[2].error_code, ErrorCode::none);
  EXPECT_EQ(parts[2].high_watermark, 1);
}

TEST_F(KafkaRecords, are_waited_for_in_all_partitions_at_once) {
  node.create("p", 4);
  FetchRequest request = fetch_request("p", {0, 0, 0, 0});
  request.max_wait_ms = 2'000'000'000;
  request.min_bytes = 1;
  const std::int32_t waiting = client.send(request, kFetchVersion);
  KafkaClient producer(node.port());
  ProduceRequest stored = produce_request("p", {batch_of({"news"})});
  stored.topic_data[0].partition_data[0].index = 3;
  producer.ask(decode_produce_response, stored, kProduceVersion);
  const auto response = client.receive(decode_fetch_response, kFetchVersion, waiting);
  EXPECT_EQ(values_of(*response.responses.at(0).partitions.at(3).records), std::vector<std::string>{"news"});
}

TEST_F(KafkaRecords, are_waited_for_until_there_are_enough_bytes) {
  FetchRequest request = fetch_request("t", {0});
  request.max_wait_ms = 2'000'000'000;
  request.min_bytes = 1000;
  const std::int32_t waiting = client.send(request, kFetchVersion);
  KafkaClient producer(node.port());
  for (int i = 0; i < 2; ++i) {
    producer.ask(decode_produce_response, produce_request("t", {batch_of({std::string(600, 'x')})}), kProduceVersion);
  }
  const auto response = client.receive(decode_fetch_response, kFetchVersion, waiting);
  EXPECT_EQ(values_of(*response.responses.at(0).partitions.at(0).records).size(), 2u);
}

TEST_F(KafkaRecords, an_error_in_one_partition_ends_the_wait) {
  FetchRequest request = fetch_request("t", {0, 0});
  request.topics[0].partitions[0].fetch_offset = 17;
  request.max_wait_ms = 2'000'000'000;
  request.min_bytes = 1;
  const auto parts = fetch(request).responses.at(0).partitions;
  EXPECT_EQ(parts.at(0).error_code, ErrorCode::offset_out_of_range);
  EXPECT_EQ(parts.at(0).high_watermark, -1);
  EXPECT_EQ(parts.at(1).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST_F(KafkaRecords, sessions_are_declined) {
  FetchRequest request = fetch_request("t", {0});
  request.session_epoch = 0;
  const auto full = fetch(request);
  EXPECT_EQ(full.session_id, 0);
  EXPECT_EQ(full.responses.size(), 1u);
  request.session_id = 5;
  request.session_epoch = 1;
  const auto unknown = fetch(request);
  EXPECT_EQ(unknown.error_code, ErrorCode::fetch_session_id_not_found);
  EXPECT_TRUE(unknown.responses.empty());
}

TEST_F(KafkaRecords, a_leader_epoch_that_is_not_ours_is_refused) {
  FetchRequest request = fetch_request("t", {0});
  request.topics[0].partitions[0].current_leader_epoch = 1;
  EXPECT_EQ(fetch_one(request).error_code, ErrorCode::unknown_leader_epoch);
  request.topics[0].partitions[0].current_leader_epoch = 0;
  EXPECT_EQ(fetch_one(request).error_code, ErrorCode::none);
}

TEST_F(KafkaRecords, aborted_transactions_are_listed_for_those_who_ask_for_committed_records) {
  FetchRequest request = fetch_request("t", {0});
  EXPECT_FALSE(fetch_one(request).aborted_transactions);
  request.isolation_level = 1;
  const auto committed = fetch_one(request);
  ASSERT_TRUE(committed.aborted_transactions);
  EXPECT_TRUE(committed.aborted_transactions->empty());
}

// --- Offsets.

TEST_F(KafkaRecords, are_found_by_time) {
  store({"a", "b"}, 1000);
  store({"c"}, 5000);
  store({"d"}, 3000);
  EXPECT_EQ(offset_at(-2).offset, 0);
  EXPECT_EQ(offset_at(-1).offset, 4);
  EXPECT_EQ(offset_at(-1).timestamp, -1);
  EXPECT_EQ(offset_at(-4).offset, 0);
  EXPECT_EQ(offset_at(-5).offset, -1);
  EXPECT_EQ(offset_at(1001).offset, 1);
  EXPECT_EQ(offset_at(1002).offset, 2);
  EXPECT_EQ(offset_at(1002).timestamp, 5000);
  EXPECT_EQ(offset_at(-3).offset, 2);
  EXPECT_EQ(offset_at(-3).timestamp, 5000);
  const auto later = offset_at(5001);
  EXPECT_EQ(later.error_code, ErrorCode::none);
  EXPECT_EQ(later.offset, -1);
  EXPECT_EQ(later.timestamp, -1);
}

TEST_F(KafkaRecords, special_times_have_the_version_that_brought_them) {
  EXPECT_EQ(offset_at(-3, 6).error_code, ErrorCode::unsupported_version);
  EXPECT_EQ(offset_at(-4, 7).error_code, ErrorCode::unsupported_version);
  EXPECT_EQ(offset_at(-5, 8).error_code, ErrorCode::unsupported_version);
  EXPECT_EQ(offset_at(-6, 10).error_code, ErrorCode::unsupported_version);
  for (std::int16_t version = 1; version <= 10; ++version) EXPECT_EQ(offset_at(-1, version).offset, 0) << version;
}

TEST_F(KafkaRecords, offsets_asked_for_twice_or_of_nothing_are_refused) {
  ListOffsetsRequest request;
  request.topics = {{"t", {{.partition_index = 0, .timestamp = -1}, {.partition_index = 0, .timestamp = -2}, {.partition_index = 9}}}};
  const auto parts = client.ask(decode_list_offsets_response, request, 7).topics.at(0).partitions;
  EXPECT_EQ(parts.at(0).error_code, ErrorCode::invalid_request);
  EXPECT_EQ(parts.at(1).error_code, ErrorCode::invalid_request);
  EXPECT_EQ(parts.at(2).error_code, ErrorCode::unknown_topic_or_partition);
}

TEST_F(KafkaRecords, the_only_leader_epoch_ends_at_the_end) {
  store({"a", "b"});
  OffsetForLeaderEpochRequest request;
  request.topics = {{"t", {{.partition = 0, .leader_epoch = 0}, {.partition = 0, .leader_epoch = 1}, {.partition = 7}}}};
  const auto parts = client.ask(decode_offset_for_leader_epoch_response, request, 4).topics.at(0).partitions;
  EXPECT_EQ(parts.at(0).leader_epoch, 0);
  EXPECT_EQ(parts.at(0).end_offset, 2);
  EXPECT_EQ(parts.at(1).leader_epoch, -1);
  EXPECT_EQ(parts.at(1).end_offset, -1);
  EXPECT_EQ(parts.at(2).error_code, ErrorCode::unknown_topic_or_partition);
}

// --- Metadata.

TEST_F(KafkaRecords, metadata_tells_one_broker_at_the_address_of_the_connection) {
  const auto response = client.ask(decode_metadata_response, MetadataRequest{}, 9);
  ASSERT_EQ(response.brokers.size(), 1u);
  EXPECT_EQ(response.brokers[0].host, "127.0.0.1");
  EXPECT_EQ(response.brokers[0].port, node.port());
  EXPECT_EQ(response.controller_id, response.brokers[0].node_id);
  EXPECT_FALSE(response.cluster_id.value_or("").empty());
}

TEST_F(KafkaRecords, metadata_of_all_topics_and_of_none) {
  MetadataRequest all, none;
  none.topics.emplace();
  EXPECT_EQ(client.ask(decode_metadata_response, none, 0).topics.size(), 1u);
  for (std::int16_t version = 1; version <= 13; ++version) {
    EXPECT_EQ(client.ask(decode_metadata_response, all, version).topics.size(), 1u) << version;
    EXPECT_EQ(client.ask(decode_metadata_response, none, version).topics.size(), 0u) << version;
  }
}

TEST_F(KafkaRecords, metadata_makes_a_missing_topic_if_it_may) {
  MetadataRequest request;
  request.topics = {{{}, "new"}, {{}, "no/slash"}};
  request.allow_auto_topic_creation = false;
  const auto refused = client.ask(decode_metadata_response, request, 9);
  EXPECT_EQ(refused.topics.at(0).error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(refused.topics.at(1).error_code, ErrorCode::invalid_topic);
  request.allow_auto_topic_creation = true;
  const auto made = client.ask(decode_metadata_response, request, 9);
  EXPECT_EQ(made.topics.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(made.topics.at(0).partitions.size(), 4u);
  EXPECT_EQ(made.topics.at(1).error_code, ErrorCode::invalid_topic);
}

TEST_F(KafkaRecords, metadata_by_topic_id) {
  MetadataRequest request;
  request.topics = {{topic->id, std::nullopt}, {Uuid::from_random(1, 2), std::nullopt}};
  const auto response = client.ask(decode_metadata_response, request, 12);
  EXPECT_EQ(response.topics.at(0).name, "t");
  EXPECT_EQ(response.topics.at(0).topic_id, topic->id);
  EXPECT_EQ(response.topics.at(1).error_code, ErrorCode::unknown_topic_id);
  EXPECT_FALSE(response.topics.at(1).name);
  EXPECT_EQ(client.ask(decode_metadata_response, request, 11).topics.at(0).error_code, ErrorCode::invalid_request);
}

}  // namespace
}  // namespace tidemark::kafka
