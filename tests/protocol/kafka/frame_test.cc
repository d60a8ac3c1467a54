#include "protocol/kafka/codec/frame.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/kafka/codec/messages/api_versions.h"
#include "protocol/kafka/codec/messages/heartbeat.h"
#include "tests/protocol/kafka/golden.h"
#include "tests/protocol/kafka/message_dump.h"

namespace tidemark::kafka {
namespace {

Slice bytes(const std::string& hexadecimal) { return Slice::copy_of(from_hex(hexadecimal)); }

std::string frame_of(const Result<std::vector<Slice>>& frame) { return frame ? hex(joined(*frame)) : frame.error().to_string(); }

TEST(FrameLength, is_known_from_the_fourth_byte_on) {
  const Slice frame = bytes("0000000712");
  EXPECT_EQ(frame_length(frame.view().first(3), 100).value(), std::nullopt);
  EXPECT_EQ(frame_length(frame.view().first(4), 100).value(), 7U);
  EXPECT_EQ(frame_length(frame.view(), 7).value(), 7U);
}

TEST(FrameLength, above_the_bound_or_negative_is_an_error) {
  EXPECT_EQ(frame_length(bytes("00000008").view(), 7).error().code, Errc::frame_too_large);
  EXPECT_EQ(frame_length(bytes("ffffffff").view(), 7).error().code, Errc::protocol_error);
}

TEST(RequestHeader, of_a_classic_version_ends_with_the_client_id) {
  const Result<RequestFrame> request = split_request(bytes("000c 0003 01020304 0002 6d65 aabb"));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->header.api, ApiKey::heartbeat);
  EXPECT_EQ(request->header.version, 3);
  EXPECT_EQ(request->header.correlation_id, 0x01020304);
  EXPECT_EQ(request->header.client_id, "me");
  EXPECT_EQ(hex(request->body.view()), "aabb");
}

TEST(RequestHeader, of_a_flexible_version_has_a_classic_client_id_and_tags) {
  const Result<RequestFrame> request = split_request(bytes("000c 0004 01020304 0002 6d65 01 09 01 ff aabb"));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->header.client_id, "me");
  EXPECT_EQ(hex(request->body.view()), "aabb");
}

TEST(RequestHeader, may_have_no_client_id) {
  const Result<RequestFrame> request = split_request(bytes("000c 0003 01020304 ffff"));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->header.client_id, std::nullopt);
  EXPECT_TRUE(request->body.empty());
}

TEST(RequestHeader, cut_anywhere_is_a_protocol_error) {
  const Slice header = bytes("000c 0004 01020304 0002 6d65 01 09 01 ff");
  for (std::size_t size = 0; size < header.size(); ++size) {
    const Result<RequestFrame> request = split_request(Slice::copy_of(header.view().first(size)));
    ASSERT_FALSE(request) << size;
    EXPECT_EQ(request.error().code, Errc::protocol_error) << size;
  }
}

TEST(RequestHeader, of_an_api_or_version_that_is_not_served_is_refused) {
  for (const char* const start : {"0004 0000",     // An API between brokers.
                                  "7fff 0000",     // No API at all.
                                  "ffff 0000",     //
                                  "000c 0005",     // Heartbeat beyond its last version.
                                  "000c ffff",     //
                                  "0000 0002",     // Produce with old message sets: advertised and refused.
                                  "0044 0001"}) {  // ConsumerGroupHeartbeat: known to the codec only.
    const Result<RequestFrame> request = split_request(bytes(std::string(start) + "01020304 ffff 00"));
    ASSERT_FALSE(request) << start;
    EXPECT_EQ(request.error().code, Errc::unsupported_version) << start;
  }
  EXPECT_TRUE(split_request(bytes("0000 0003 01020304 ffff")));
}

TEST(RequestHeader, of_api_versions_is_read_whatever_its_version) {
  const Result<RequestFrame> request = split_request(bytes("0012 0063 01020304 0002 6d65 00 1234"));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_FALSE(request->version_served);
  EXPECT_EQ(request->header.correlation_id, 0x01020304);
  const Result<RequestFrame> known = split_request(bytes("0012 0004 01020304 0002 6d65 00 1234"));
  ASSERT_TRUE(known);
  EXPECT_TRUE(known->version_served);
}

TEST(Frame, of_a_request_is_split_again_into_header_and_body) {
  for (const std::int16_t version : std::initializer_list<std::int16_t>{0, 3, 4}) {
    const RequestHeader header{.api = ApiKey::heartbeat, .version = version, .correlation_id = 77, .client_id = "someone"};
    HeartbeatRequest message;
    message.group_id = "g";
    message.generation_id = 5;
    message.member_id = "m";
    WireWriter out = begin_request(header);
    encode(message, version, out);
    const Result<std::vector<Slice>> frame = finish_frame(std::move(out));
    ASSERT_TRUE(frame);
    const ByteVector whole = joined(*frame);
    EXPECT_EQ(frame_length(whole, kFrameBytesMax).value(), whole.size() - kFrameSizeBytes);

    const Result<RequestFrame> request = split_request(Slice::copy_of(ByteView(whole).subspan(kFrameSizeBytes)));
    ASSERT_TRUE(request) << request.error().to_string();
    EXPECT_EQ(request->header.correlation_id, 77);
    EXPECT_EQ(request->header.client_id, "someone");
    const Result<HeartbeatRequest> decoded = decode_heartbeat_request(request->body, version);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(*decoded, message);
  }
}

TEST(Frame, of_a_response_has_tags_in_its_header_if_the_version_is_flexible) {
  HeartbeatResponse message;
  message.error_code = ErrorCode::rebalance_in_progress;
  WireWriter classic = begin_response(ApiKey::heartbeat, 3, 0x01020304);
  encode(message, 3, classic);
  EXPECT_EQ(frame_of(finish_frame(std::move(classic))), hex(from_hex("0000000a 01020304 00000000 001b")));
  WireWriter flexible = begin_response(ApiKey::heartbeat, 4, 0x01020304);
  encode(message, 4, flexible);
  EXPECT_EQ(frame_of(finish_frame(std::move(flexible))), hex(from_hex("0000000c 01020304 00 00000000 001b 00")));
}

TEST(Frame, of_an_api_versions_response_never_has_tags_in_its_header) {
  ApiVersionsResponse message;
  message.api_keys.push_back({.api_key = 18, .min_version = 0, .max_version = 4});
  WireWriter out = begin_response(ApiKey::api_versions, 3, 0x01020304);
  encode(message, 3, out);
  EXPECT_EQ(frame_of(finish_frame(std::move(out))), hex(from_hex("00000013 01020304 0000 02 0012 0000 0004 00 00000000 00")));

  message.error_code = ErrorCode::unsupported_version;  // The answer to a version from the future has the form of version 0.
  WireWriter refusal = begin_response(ApiKey::api_versions, 0, 0x01020304);
  encode(message, 0, refusal);
  EXPECT_EQ(frame_of(finish_frame(std::move(refusal))), hex(from_hex("00000010 01020304 0023 00000001 0012 0000 0004")));
}

TEST(Frame, of_a_response_is_split_by_the_client) {
  const Result<ResponseFrame> classic = split_response(ApiKey::heartbeat, 3, bytes("01020304 aabb"));
  const Result<ResponseFrame> flexible = split_response(ApiKey::heartbeat, 4, bytes("01020304 00 aabb"));
  const Result<ResponseFrame> api_versions = split_response(ApiKey::api_versions, 3, bytes("01020304 aabb"));
  for (const Result<ResponseFrame>* const response : {&classic, &flexible, &api_versions}) {
    ASSERT_TRUE(*response);
    EXPECT_EQ((*response)->correlation_id, 0x01020304);
    EXPECT_EQ(hex((*response)->body.view()), "aabb");
  }
  EXPECT_FALSE(split_response(ApiKey::heartbeat, 4, bytes("01020304")));
}

TEST(Apis, are_sorted_and_found_by_key) {
  std::int16_t previous = -1;
  for (const ApiInfo& api : apis()) {
    const auto key = static_cast<std::int16_t>(api.key);
    EXPECT_LT(previous, key);
    previous = key;
    EXPECT_EQ(find_api(key), &api);
    EXPECT_LE(api.min_version, api.max_version) << api.name;
  }
  EXPECT_EQ(find_api(4), nullptr);
  EXPECT_EQ(find_api(-1), nullptr);
}

TEST(Apis, begin_at_the_versions_that_old_clients_look_for) {
  struct Wanted {
    ApiKey key;
    int min;
    int max;
  };
  // librdkafka before 2.11.1 asks whether these exact versions lie in our ranges before it uses compression, batches and groups.
  for (const auto& [key, min, max] :
       {Wanted{ApiKey::produce, 0, 7}, Wanted{ApiKey::fetch, 4, 12}, Wanted{ApiKey::find_coordinator, 0, 0},
        Wanted{ApiKey::join_group, 0, 0}, Wanted{ApiKey::sync_group, 0, 0}, Wanted{ApiKey::heartbeat, 0, 0},
        Wanted{ApiKey::leave_group, 0, 0}, Wanted{ApiKey::offset_commit, 2, 2}, Wanted{ApiKey::offset_fetch, 1, 1},
        Wanted{ApiKey::list_offsets, 1, 1}, Wanted{ApiKey::metadata, 0, 9}, Wanted{ApiKey::sasl_handshake, 0, 1},
        Wanted{ApiKey::sasl_authenticate, 0, 0}, Wanted{ApiKey::init_producer_id, 0, 0}}) {
    const ApiInfo& api = api_info(key);
    EXPECT_TRUE(api.advertised) << api.name;
    EXPECT_LE(api.min_version, min) << api.name;
    EXPECT_GE(api.max_version, max) << api.name;
  }
}

}  // namespace
}  // namespace tidemark::kafka
