#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/kafka/codec/messages/add_offsets_to_txn.h"
#include "protocol/kafka/codec/messages/add_partitions_to_txn.h"
#include "protocol/kafka/codec/messages/describe_producers.h"
#include "protocol/kafka/codec/messages/describe_transactions.h"
#include "protocol/kafka/codec/messages/end_txn.h"
#include "protocol/kafka/codec/messages/fetch.h"
#include "protocol/kafka/codec/messages/find_coordinator.h"
#include "protocol/kafka/codec/messages/init_producer_id.h"
#include "protocol/kafka/codec/messages/list_offsets.h"
#include "protocol/kafka/codec/messages/list_transactions.h"
#include "protocol/kafka/codec/messages/offset_fetch.h"
#include "protocol/kafka/codec/messages/produce.h"
#include "protocol/kafka/codec/messages/txn_offset_commit.h"
#include "protocol/kafka/codec/messages/write_txn_markers.h"
#include "tests/protocol/kafka/kafka_node.h"

/// Transactions as a client sees them on the wire. What they mean is tested in tests/broker/transactions.
namespace tidemark::kafka {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Producer {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
};

class KafkaTransactions : public testing::Test {
 protected:
  void SetUp() override { node.create("t", 2); }

  InitProducerIdResponse init_once(std::int16_t version = 4, std::int32_t timeout_ms = 60'000) {
    InitProducerIdRequest request;
    request.transactional_id = "x";
    request.transaction_timeout_ms = timeout_ms;
    return client.ask(decode_init_producer_id_response, request, version);
  }
  Producer init() {
    InitProducerIdResponse response = init_once();
    while (response.error_code == ErrorCode::concurrent_transactions) response = init_once();
    EXPECT_EQ(response.error_code, ErrorCode::none);
    return {response.producer_id, response.producer_epoch};
  }
  ErrorCode add(const Producer& producer, std::int32_t partition, std::int16_t version = 3, const std::string& topic = "t") {
    AddPartitionsToTxnRequest request;
    request.v3_and_below_transactional_id = "x";
    request.v3_and_below_producer_id = producer.id;
    request.v3_and_below_producer_epoch = producer.epoch;
    request.v3_and_below_topics.push_back({topic, {partition}});
    const auto response = client.ask(decode_add_partitions_to_txn_response, request, version);
    return response.results_by_topic_v3_and_below.at(0).results_by_partition.at(0).partition_error_code;
  }
  ErrorCode produce(const Producer& producer, std::int32_t partition, std::int32_t sequence, const std::string& value) {
    ProduceRequest request;
    request.acks = -1;
    request.transactional_id = "x";
    ProduceRequest::TopicData& data = request.topic_data.emplace_back();
    data.name = "t";
    data.partition_data.push_back(
        {partition,
         batch_of({value}, 1000,
                  {.producer_id = producer.id, .producer_epoch = producer.epoch, .base_sequence = sequence, .transactional = true})});
    const auto response = client.ask(decode_produce_response, request, 9);
    return response.responses.at(0).partition_responses.at(0).error_code;
  }
  ErrorCode add_group(const Producer& producer) {
    AddOffsetsToTxnRequest request;
    request.transactional_id = "x";
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.group_id = "g";
    return client.ask(decode_add_offsets_to_txn_response, request, 3).error_code;
  }
  ErrorCode commit_offset(const Producer& producer, std::int64_t offset) {
    TxnOffsetCommitRequest request;
    request.transactional_id = "x";
    request.group_id = "g";
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    TxnOffsetCommitRequest::Topic& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.partitions.emplace_back().committed_offset = offset;
    return client.ask(decode_txn_offset_commit_response, request, 3).topics.at(0).partitions.at(0).error_code;
  }
  ErrorCode end(const Producer& producer, bool commit, std::int16_t version = 3) {
    EndTxnRequest request;
    request.transactional_id = "x";
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.committed = commit;
    return client.ask(decode_end_txn_response, request, version).error_code;
  }
  FetchResponse::PartitionData fetch(std::int8_t isolation, std::int32_t partition = 0) {
    FetchRequest request;
    request.isolation_level = isolation;
    FetchRequest::Topic& wanted = request.topics.emplace_back();
    wanted.topic = "t";
    FetchRequest::Partition& place = wanted.partitions.emplace_back();
    place.partition = partition;
    place.partition_max_bytes = 1'000'000;
    return client.ask(decode_fetch_response, request, 11).responses.at(0).partitions.at(0);
  }
  std::int64_t latest(std::int8_t isolation) {
    ListOffsetsRequest request;
    request.isolation_level = isolation;
    ListOffsetsRequest::Topic& topic = request.topics.emplace_back();
    topic.name = "t";
    ListOffsetsRequest::Partition& partition = topic.partitions.emplace_back();
    partition.timestamp = -1;
    return client.ask(decode_list_offsets_response, request, 5).topics.at(0).partitions.at(0).offset;
  }
  /// Records without the markers, whose values are six bytes of the broker's own.
  static std::vector<std::string> records(const FetchResponse::PartitionData& part) {
    std::vector<std::string> values = values_of(part.records.value_or(std::vector<Slice>()));
    std::erase_if(values, [](const std::string& value) { return value.size() == 6 && value[0] == 0; });
    return values;
  }

  KafkaNode node;
  KafkaClient client{node.port()};
};

TEST_F(KafkaTransactions, are_coordinated_here) {
  FindCoordinatorRequest request;
  request.key = "x";
  request.key_type = 1;
  const auto response = client.ask(decode_find_coordinator_response, request, 2);
  EXPECT_EQ(response.error_code, ErrorCode::none);
  EXPECT_EQ(response.port, node.port());
}

TEST_F(KafkaTransactions, are_read_by_isolation_level) {
  const Producer producer = init();
  ASSERT_EQ(add(producer, 0), ErrorCode::none);
  ASSERT_EQ(produce(producer, 0, 0, "v"), ErrorCode::none);
  EXPECT_THAT(records(fetch(0)), ElementsAre("v"));
  const auto open = fetch(1);
  EXPECT_THAT(records(open), IsEmpty());
  EXPECT_EQ(open.high_watermark, 1);
  EXPECT_EQ(open.last_stable_offset, 0);
  EXPECT_EQ(latest(0), 1);
  EXPECT_EQ(latest(1), 0);
  ASSERT_EQ(end(producer, true), ErrorCode::none);
  EXPECT_THAT(records(fetch(1)), ElementsAre("v"));
  EXPECT_EQ(latest(1), 2);
}

TEST_F(KafkaTransactions, that_were_aborted_are_listed) {
  const Producer producer = init();
  ASSERT_EQ(add(producer, 0), ErrorCode::none);
  ASSERT_EQ(produce(producer, 0, 0, "v"), ErrorCode::none);
  ASSERT_EQ(end(producer, false), ErrorCode::none);
  const auto part = fetch(1);
  ASSERT_TRUE(part.aborted_transactions);
  ASSERT_EQ(part.aborted_transactions->size(), 1u);
  EXPECT_EQ(part.aborted_transactions->at(0).producer_id, producer.id);
  EXPECT_EQ(part.aborted_transactions->at(0).first_offset, 0);
  EXPECT_FALSE(fetch(0).aborted_transactions);
}

TEST_F(KafkaTransactions, refuse_what_is_not_part_of_them) {
  const Producer producer = init();
  EXPECT_EQ(produce(producer, 0, 0, "v"), ErrorCode::invalid_txn_state);
  EXPECT_EQ(end(producer, true), ErrorCode::invalid_txn_state);
  EXPECT_EQ(add(producer, 0, 3, "nothing"), ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(add({producer.id + 1, 0}, 0), ErrorCode::invalid_producer_id_mapping);
}

TEST_F(KafkaTransactions, fence_older_instances_in_the_words_of_the_version) {
  const Producer old = init();
  ASSERT_EQ(add(old, 0), ErrorCode::none);
  ASSERT_EQ(produce(old, 0, 0, "old"), ErrorCode::none);
  EXPECT_EQ(init_once().error_code, ErrorCode::concurrent_transactions);
  const Producer taken = init();
  EXPECT_EQ(taken.id, old.id);
  EXPECT_EQ(add(old, 0), ErrorCode::producer_fenced);
  EXPECT_EQ(add(old, 0, 1), ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(end(old, true), ErrorCode::producer_fenced);
  EXPECT_EQ(end(old, true, 1), ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(produce(old, 0, 1, "zombie"), ErrorCode::invalid_producer_epoch);
  EXPECT_THAT(records(fetch(0)), ElementsAre("old"));
}

TEST_F(KafkaTransactions, tell_a_fenced_producer_so_where_nothing_of_it_has_come_yet) {
  const Producer old = init();
  ASSERT_EQ(add(old, 1), ErrorCode::none);
  ASSERT_EQ(add_group(old), ErrorCode::none);
  const Producer taken = init();  // Aborts the transaction; partition 1 and the group have nothing to remember it by.
  EXPECT_EQ(produce(old, 1, 0, "zombie"), ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(commit_offset(old, 7), ErrorCode::invalid_producer_epoch);
  // Without a newer epoch there is only no transaction.
  EXPECT_EQ(produce(taken, 1, 0, "too early"), ErrorCode::invalid_txn_state);
  EXPECT_EQ(commit_offset(taken, 7), ErrorCode::invalid_txn_state);
  EXPECT_EQ(commit_offset({taken.id + 1, 0}, 7), ErrorCode::invalid_txn_state);
  EXPECT_THAT(records(fetch(0, 1)), IsEmpty());
}

TEST_F(KafkaTransactions, have_a_bounded_time) {
  EXPECT_EQ(init_once(4, 0).error_code, ErrorCode::invalid_transaction_timeout);
  EXPECT_EQ(init_once(4, 15 * 60 * 1000 + 1).error_code, ErrorCode::invalid_transaction_timeout);
}

TEST_F(KafkaTransactions, commit_offsets_that_are_unstable_before) {
  const Producer producer = init();
  EXPECT_EQ(commit_offset(producer, 7), ErrorCode::invalid_txn_state);
  ASSERT_EQ(add_group(producer), ErrorCode::none);
  ASSERT_EQ(commit_offset(producer, 7), ErrorCode::none);

  OffsetFetchRequest ask;
  ask.group_id = "g";
  ask.topics.emplace();
  OffsetFetchRequest::Topic& asked = ask.topics->emplace_back();
  asked.name = "t";
  asked.partition_indexes = {0};
  const auto fetch_offset = [&] { return client.ask(decode_offset_fetch_response, ask, 7).topics.at(0).partitions.at(0); };
  ask.require_stable = true;
  EXPECT_EQ(fetch_offset().error_code, ErrorCode::unstable_offset_commit);
  ask.require_stable = false;
  EXPECT_EQ(fetch_offset().committed_offset, -1);
  ASSERT_EQ(end(producer, true), ErrorCode::none);
  ask.require_stable = true;
  EXPECT_EQ(fetch_offset().error_code, ErrorCode::none);
  EXPECT_EQ(fetch_offset().committed_offset, 7);
}

TEST_F(KafkaTransactions, take_no_markers_from_clients) {
  WriteTxnMarkersRequest request;
  WriteTxnMarkersRequest::Marker& marker = request.markers.emplace_back();
  WriteTxnMarkersRequest::Topic& topic = marker.topics.emplace_back();
  topic.name = "t";
  topic.partition_indexes = {0};
  const auto response = client.ask(decode_write_txn_markers_response, request, 1);
  EXPECT_EQ(response.markers.at(0).topics.at(0).partitions.at(0).error_code, ErrorCode::cluster_authorization_failed);
}

TEST_F(KafkaTransactions, are_described_and_listed) {
  const Producer producer = init();
  ASSERT_EQ(add(producer, 1), ErrorCode::none);
  ASSERT_EQ(produce(producer, 1, 0, "v"), ErrorCode::none);
  DescribeTransactionsRequest describe;
  describe.transactional_ids = {"x", "nobody"};
  const auto described = client.ask(decode_describe_transactions_response, describe, 0);
  ASSERT_EQ(described.transaction_states.size(), 2u);
  EXPECT_EQ(described.transaction_states[0].transaction_state, "Ongoing");
  EXPECT_EQ(described.transaction_states[0].producer_id, producer.id);
  EXPECT_THAT(described.transaction_states[0].topics.at(0).partitions, ElementsAre(1));
  EXPECT_EQ(described.transaction_states[1].error_code, ErrorCode::transactional_id_not_found);

  ListTransactionsRequest list;
  list.state_filters = {"Ongoing", "Sleeping"};
  const auto listed = client.ask(decode_list_transactions_response, list, 1);
  EXPECT_THAT(listed.unknown_state_filters, ElementsAre("Sleeping"));
  ASSERT_EQ(listed.transaction_states.size(), 1u);
  EXPECT_EQ(listed.transaction_states[0].transactional_id, "x");
  list.state_filters = {"Empty"};
  EXPECT_TRUE(client.ask(decode_list_transactions_response, list, 1).transaction_states.empty());
  list.state_filters.clear();
  list.transactional_id_pattern = "(";
  EXPECT_EQ(client.ask(decode_list_transactions_response, list, 2).error_code, ErrorCode::invalid_regular_expression);

  DescribeProducersRequest producers;
  DescribeProducersRequest::Topic& topic = producers.topics.emplace_back();
  topic.name = "t";
  topic.partition_indexes = {1, 9};
  const auto active = client.ask(decode_describe_producers_response, producers, 0);
  ASSERT_EQ(active.topics.at(0).partitions.at(0).active_producers.size(), 1u);
  EXPECT_EQ(active.topics[0].partitions[0].active_producers[0].current_txn_start_offset, 0);
  EXPECT_EQ(active.topics[0].partitions.at(1).error_code, ErrorCode::unknown_topic_or_partition);
}

}  // namespace
}  // namespace tidemark::kafka
