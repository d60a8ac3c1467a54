#include <gtest/gtest.h>

#include "protocol/kafka/codec/messages/api_versions.h"
#include "protocol/kafka/codec/messages/fetch.h"
#include "protocol/kafka/codec/messages/metadata.h"
#include "protocol/kafka/codec/messages/sasl_authenticate.h"
#include "protocol/kafka/codec/messages/sasl_handshake.h"
#include "tests/protocol/kafka/hex.h"
#include "tests/protocol/kafka/kafka_node.h"

namespace tidemark::kafka {
namespace {

class KafkaServer : public testing::Test {
 protected:
  ApiVersionsRequest api_versions_request() const {
    ApiVersionsRequest request;
    request.client_software_name = "test";
    request.client_software_version = "1.0";
    return request;
  }
  /// Of a partition with nothing in it.
  static FetchRequest waiting_fetch(std::int32_t wait_ms) {
    FetchRequest request;
    request.max_wait_ms = wait_ms;
    request.min_bytes = 1;
    FetchRequest::Topic& topic = request.topics.emplace_back();
    topic.topic = "t";
    topic.partitions.emplace_back().partition_max_bytes = 1000;
    return request;
  }
  /// The connection still answers.
  void expect_alive(KafkaClient& asked) {
    EXPECT_EQ(asked.ask(decode_api_versions_response, api_versions_request(), 3).error_code, ErrorCode::none);
  }

  KafkaNode node;
  KafkaClient client{node.port()};
};

TEST_F(KafkaServer, tells_its_ranges_in_every_version_of_api_versions) {
  for (std::int16_t version = 0; version <= 4; ++version) {
    SCOPED_TRACE(version);
    const auto response = client.ask(decode_api_versions_response, api_versions_request(), version);
    EXPECT_EQ(response.error_code, ErrorCode::none);
    EXPECT_TRUE(response.finalized_features.empty());
    std::size_t advertised = 0;
    for (const ApiInfo& api : apis()) advertised += api.advertised ? 1 : 0;
    ASSERT_EQ(response.api_keys.size(), advertised);
    EXPECT_EQ(response.api_keys[0], (ApiVersionsResponse::Api{0, 0, 13}));  // Produce 0: old librdkafka compresses only if it is there.
  }
}

TEST_F(KafkaServer, answers_an_unknown_version_of_api_versions_in_version_0_and_goes_on) {
  client.send_bytes(from_hex("00000014 0012 7fff 00000007 0004 74657374 00 0102030405"));
  const auto frame = client.receive_frame();
  ASSERT_TRUE(frame);
  const auto split = split_response(ApiKey::api_versions, 0, *frame);
  ASSERT_TRUE(split);
  EXPECT_EQ(split->correlation_id, 7);
  const auto response = decode_api_versions_response(split->body, 0);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->error_code, ErrorCode::unsupported_version);
  EXPECT_EQ(response->api_keys, (std::vector<ApiVersionsResponse::Api>{{18, 0, 4}}));
  expect_alive(client);
}

TEST_F(KafkaServer, refuses_a_client_name_that_is_none) {
  ApiVersionsRequest request = api_versions_request();
  request.client_software_name = "-test";
  EXPECT_EQ(client.ask(decode_api_versions_response, request, 3).error_code, ErrorCode::invalid_request);
  expect_alive(client);
}

TEST_F(KafkaServer, has_no_sasl_to_negotiate) {
  EXPECT_EQ(client.ask(decode_sasl_handshake_response, SaslHandshakeRequest{"PLAIN"}, 1).error_code, ErrorCode::illegal_sasl_state);
  EXPECT_EQ(client.ask(decode_sasl_authenticate_response, SaslAuthenticateRequest{}, 2).error_code, ErrorCode::illegal_sasl_state);
}

struct BadInput {
  const char* name;
  const char* bytes;
};
class KafkaBadInput : public KafkaServer, public testing::WithParamInterface<BadInput> {};

TEST_P(KafkaBadInput, closes_this_connection_and_no_other) {
  KafkaClient other(node.port());
  expect_alive(other);
  client.send_bytes(from_hex(GetParam().bytes));
  EXPECT_TRUE(client.closed_by_broker());
  expect_alive(other);
}

void PrintTo(const BadInput& input, std::ostream* out) { *out << input.name; }

INSTANTIATE_TEST_SUITE_P(, KafkaBadInput,
                         testing::Values(BadInput{"unknown_api", "0000000a 03e7 0000 00000001 ffff"},
                                         BadInput{"unknown_version", "0000000a 0003 03e7 00000001 ffff"},
                                         BadInput{"produce_v2_is_advertised_and_refused", "0000000a 0000 0002 00000001 ffff"},
                                         BadInput{"known_to_the_codec_only", "0000000a 0044 0000 00000001 ffff"},
                                         BadInput{"negative_length", "ffffffff"}, BadInput{"oversized_length", "06400001"},
                                         BadInput{"empty_frame", "00000000"}, BadInput{"header_cut_off", "00000006 0003 0000 0000"},
                                         BadInput{"client_id_beyond_the_frame", "0000000a 0003 0000 00000001 0010"},
                                         BadInput{"array_beyond_the_frame", "0000000e 0003 0001 00000001 ffff 7fffffff"},
                                         BadInput{"bytes_left_over", "00000010 0003 0001 00000001 ffff 00000000 ffff"}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST_F(KafkaServer, answers_requests_before_a_bad_one) {
  ByteVector both = KafkaClient::encoded(api_versions_request(), 0, 1);
  const ByteVector bad = from_hex("0000000a 03e7 0000 00000002 ffff");
  both.insert(both.end(), bad.begin(), bad.end());
  client.send_bytes(both);
  EXPECT_EQ(client.receive(decode_api_versions_response, 0, 1).error_code, ErrorCode::none);
  EXPECT_TRUE(client.closed_by_broker());
}

TEST_F(KafkaServer, keeps_the_order_of_pipelined_requests_behind_one_that_waits) {
  node.create("t");
  const FetchRequest fetch = waiting_fetch(50);
  const std::int32_t first = client.send(fetch, 11);
  const std::int32_t second = client.send(api_versions_request(), 3);
  EXPECT_EQ(client.receive(decode_fetch_response, 11, first).responses.size(), 1u);
  EXPECT_EQ(client.receive(decode_api_versions_response, 3, second).error_code, ErrorCode::none);
}

TEST_F(KafkaServer, takes_frames_in_pieces) {
  const ByteVector frame = KafkaClient::encoded(api_versions_request(), 3, 9);
  for (const std::byte byte : frame) client.send_bytes(ByteView(&byte, 1));
  EXPECT_EQ(client.receive(decode_api_versions_response, 3, 9).error_code, ErrorCode::none);
}

TEST_F(KafkaServer, a_stop_answers_a_fetch_that_waits) {
  node.create("t");
  // Both in one piece: once the first is answered, the second has been started, too.
  ByteVector both = KafkaClient::encoded(api_versions_request(), 3, 1);
  const ByteVector fetch = KafkaClient::encoded(waiting_fetch(2'000'000'000), 11, 2);
  both.insert(both.end(), fetch.begin(), fetch.end());
  client.send_bytes(both);
  client.receive(decode_api_versions_response, 3, 1);
  node.server().stop();
  EXPECT_EQ(client.receive(decode_fetch_response, 11, 2).responses.size(), 1u);
  EXPECT_TRUE(client.closed_by_broker());
}

TEST_F(KafkaServer, a_fetch_that_waits_goes_with_its_connection) {
  node.create("t");
  const FetchRequest fetch = waiting_fetch(2'000'000'000);
  const std::int32_t waiting = client.send(fetch, 11);
  client.end_sending();
  client.receive(decode_fetch_response, 11, waiting);
  EXPECT_TRUE(client.closed_by_broker());
}

}  // namespace
}  // namespace tidemark::kafka
