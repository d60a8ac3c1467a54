#include "protocol/kafka/codec/wire_writer.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/kafka/codec/messages/fetch.h"
#include "protocol/kafka/codec/messages/join_group.h"
#include "protocol/kafka/codec/wire_reader.h"
#include "tests/protocol/kafka/golden.h"
#include "tests/protocol/kafka/message_dump.h"

namespace tidemark::kafka {
namespace {

std::vector<Slice> finished(WireWriter out) {
  Result<std::vector<Slice>> slices = std::move(out).finish();
  EXPECT_TRUE(slices) << slices.error().to_string();
  return slices ? *std::move(slices) : std::vector<Slice>();
}

Slice filled(std::size_t size, unsigned char value) {
  Slice slice = Slice::allocate(size);
  std::ranges::fill(slice.writable(), std::byte{value});
  return slice;
}

TEST(WireWriter, writes_both_forms_of_strings_bytes_and_arrays) {
  const std::vector<std::int8_t> array{7};
  for (const bool flexible : {false, true}) {
    WireWriter out(flexible);
    out.string("ab");
    out.bytes(Slice::copy_of(as_bytes("c")));
    out.array(array, [&](std::int8_t element) { out.int8(element); });
    out.nullable_string(std::nullopt, true);
    out.nullable_bytes(std::nullopt, true);
    const ByteVector expected = from_hex(flexible ? "036162 0263 0207 00 00" : "00026162 0000000163 0000000107 ffff ffffffff");
    EXPECT_EQ(out.size(), expected.size());
    EXPECT_EQ(hex(joined(finished(std::move(out)))), hex(expected));
  }
}

TEST(WireWriter, writes_null_as_empty_where_the_version_has_no_null) {
  JoinGroupResponse response;  // protocol_name: null from version 7.
  WireWriter old_version(true);
  encode(response, 6, old_version);
  const Result<JoinGroupResponse> old_decoded = decode_join_group_response(Slice::copy_of(joined(finished(std::move(old_version)))), 6);
  ASSERT_TRUE(old_decoded) << old_decoded.error().to_string();
  EXPECT_EQ(old_decoded->protocol_name, "");

  WireWriter new_version(true);
  encode(response, 7, new_version);
  const Result<JoinGroupResponse> new_decoded = decode_join_group_response(Slice::copy_of(joined(finished(std::move(new_version)))), 7);
  ASSERT_TRUE(new_decoded) << new_decoded.error().to_string();
  EXPECT_EQ(new_decoded->protocol_name, std::nullopt);
}

TEST(WireWriter, passes_record_batches_on_without_a_copy) {
  const Slice first = filled(5000, 1);
  const Slice second = filled(kCopiedBytesMax + 1, 2);
  FetchResponse response;
  response.responses.resize(1);
  response.responses[0].topic = "t";
  response.responses[0].partitions.resize(2);
  response.responses[0].partitions[0].records = std::vector{first, second};
  response.responses[0].partitions[1].records = std::vector{filled(3, 3)};
  for (const int version : {4, 12}) {
    WireWriter out(version >= FetchResponse::kFlexibleFrom);
    encode(response, version, out);
    const std::vector<Slice> slices = finished(std::move(out));
    ASSERT_EQ(slices.size(), 4U) << "head, both batches, tail";
    EXPECT_EQ(slices[1].data(), first.data());
    EXPECT_EQ(slices[2].data(), second.data());
    const Result<FetchResponse> decoded = decode_fetch_response(Slice::copy_of(joined(slices)), version);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_EQ(joined(*decoded->responses[0].partitions[0].records), joined({first, second}));
    EXPECT_EQ(joined(*decoded->responses[0].partitions[1].records), joined({filled(3, 3)}));
  }
}

TEST(WireWriter, tells_no_records_from_empty_records) {
  FetchResponse response;
  response.responses.resize(1);
  response.responses[0].partitions.resize(2);
  response.responses[0].partitions[1].records.emplace();
  for (const int version : {11, 12}) {
    WireWriter out(version >= FetchResponse::kFlexibleFrom);
    encode(response, version, out);
    const Result<FetchResponse> decoded = decode_fetch_response(Slice::copy_of(joined(finished(std::move(out)))), version);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_FALSE(decoded->responses[0].partitions[0].records);
    EXPECT_TRUE(decoded->responses[0].partitions[1].records);
  }
}

TEST(WireWriter, keeps_the_order_over_many_buffers) {
  WireWriter out(true);
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(i % 200), 'x');
    out.string(text);
    expected += text;
    if (i % 500 == 0) out.bytes(filled(2000, 'b'));
  }
  const Slice written = Slice::copy_of(joined(finished(std::move(out))));
  WireReader in(written, true);
  std::string read;
  for (int i = 0; i < 3000; ++i) {
    read += in.string("text");
    if (i % 500 == 0) EXPECT_EQ(in.bytes("bytes").size(), 2000U);
  }
  EXPECT_EQ(read, expected);
  EXPECT_TRUE(in.finish("Message", 0));
}

TEST(WireWriter, writes_tagged_fields_of_any_size) {
  FetchResponse response;
  for (int i = 0; i < 500; ++i) {
    response.node_endpoints.push_back({.node_id = i, .host = "host-" + std::to_string(i), .port = 9092, .rack = std::nullopt});
  }
  WireWriter out(true);
  encode(response, 16, out);
  const Result<FetchResponse> decoded = decode_fetch_response(Slice::copy_of(joined(finished(std::move(out)))), 16);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->node_endpoints, response.node_endpoints);
}

TEST(WireWriter, reports_a_string_that_no_client_could_read) {
  for (const bool flexible : {false, true}) {
    WireWriter longest(flexible);
    longest.string(std::string(kStringBytesMax, 'x'));
    EXPECT_TRUE(std::move(longest).finish());

    WireWriter longer(flexible);
    longer.string(std::string(kStringBytesMax + 1, 'x'));
    longer.string("fine");
    const Result<std::vector<Slice>> written = std::move(longer).finish();
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, Errc::invalid_argument);
  }
}

TEST(WireWriter, reports_an_error_inside_a_tagged_field) {
  FetchResponse response;
  response.node_endpoints.emplace_back().host = std::string(kStringBytesMax + 1, 'x');
  WireWriter out(true);
  encode(response, 16, out);
  EXPECT_FALSE(std::move(out).finish());
}

TEST(WireWriter, reports_a_message_that_has_no_length) {
  const Slice gigabyte = filled(1, 0);
  const Slice batch(std::shared_ptr<std::byte[]>(), gigabyte.data(), std::size_t{1} << 30);  // Never read: only its size counts here.
  WireWriter out(true);
  out.slices(std::vector{batch}, false);
  out.slices(std::vector{batch}, false);
  const Result<std::vector<Slice>> written = std::move(out).finish();
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace tidemark::kafka
