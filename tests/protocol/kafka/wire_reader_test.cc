#include "protocol/kafka/codec/wire_reader.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/kafka/codec/messages/metadata.h"
#include "protocol/kafka/codec/messages/produce.h"
#include "protocol/kafka/codec/wire_writer.h"
#include "tests/protocol/kafka/golden.h"
#include "tests/protocol/kafka/message_dump.h"

namespace tidemark::kafka {
namespace {

Slice body(const std::string& hexadecimal) { return Slice::copy_of(from_hex(hexadecimal)); }

std::string failure(WireReader& in) {
  const Status status = in.finish("Message", 7);
  if (status) return "";
  EXPECT_EQ(status.error().code, Errc::protocol_error);
  return status.error().detail;
}

TEST(WireReader, reads_integers_in_network_order) {
  WireReader in(body("80 8001 80000002 8000000000000003 02 000102030405060708090a0b0c0d0e0f"), false);
  EXPECT_EQ(in.int8("a"), -128);
  EXPECT_EQ(in.int16("b"), -32'767);
  EXPECT_EQ(in.int32("c"), -2'147'483'646);
  EXPECT_EQ(in.int64("d"), -9'223'372'036'854'775'805);
  EXPECT_TRUE(in.boolean("e"));
  EXPECT_EQ(in.uuid("f").to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
  EXPECT_EQ(failure(in), "");
}

TEST(WireReader, reads_variable_length_integers_up_to_32_bits) {
  WireReader in(body("00 7f 8001 ffffffff0f"), true);
  EXPECT_EQ(in.uvarint("a"), 0U);
  EXPECT_EQ(in.uvarint("b"), 127U);
  EXPECT_EQ(in.uvarint("c"), 128U);
  EXPECT_EQ(in.uvarint("d"), 0xffff'ffffU);
  EXPECT_EQ(failure(in), "");
}

TEST(WireReader, refuses_a_variable_length_integer_above_32_bits) {
  for (const char* const bytes : {"ffffffff10", "808080808001"}) {
    WireReader in(body(bytes), true);
    EXPECT_EQ(in.uvarint("size"), 0U);
    EXPECT_EQ(failure(in), "Message v7: size at byte 4: a variable-length integer of more than 32 bits");
  }
}

TEST(WireReader, tells_null_from_empty) {
  WireReader classic(body("ffff 0000 ffffffff 00000000"), false);
  EXPECT_EQ(classic.nullable_string("a", true), std::nullopt);
  EXPECT_EQ(classic.nullable_string("b", true), "");
  EXPECT_FALSE(classic.nullable_bytes("c", true));
  EXPECT_TRUE(classic.nullable_bytes("d", true));
  EXPECT_EQ(failure(classic), "");

  WireReader flexible(body("00010001"), true);
  EXPECT_EQ(flexible.nullable_string("a", true), std::nullopt);
  EXPECT_EQ(flexible.nullable_string("b", true), "");
  EXPECT_FALSE(flexible.nullable_bytes("c", true));
  EXPECT_TRUE(flexible.nullable_bytes("d", true));
  EXPECT_EQ(failure(flexible), "");
}

TEST(WireReader, refuses_null_where_the_version_has_none) {
  WireReader string(body("ffff"), false);
  string.string("name");
  EXPECT_EQ(failure(string), "Message v7: name at byte 2: a string of -1 bytes");
  WireReader bytes(body("00"), true);
  bytes.bytes("metadata");
  EXPECT_EQ(failure(bytes), "Message v7: metadata at byte 1: -1 bytes");
  WireReader array(body("ffffffff"), false);
  std::vector<std::int8_t> out;
  array.array("replicas", 1, out, [&](std::int8_t& element) { element = array.int8(""); });
  EXPECT_EQ(failure(array), "Message v7: replicas at byte 4: an array of -1 elements in 0 bytes");
}

TEST(WireReader, refuses_lengths_below_null) {
  WireReader string(body("fffe"), false);
  string.nullable_string("name", true);
  EXPECT_NE(failure(string), "");
  WireReader bytes(body("fffffffe"), false);
  bytes.nullable_bytes("metadata", true);
  EXPECT_NE(failure(bytes), "");
}

TEST(WireReader, takes_the_longest_string_and_refuses_one_byte_more) {
  for (const std::size_t size : {kStringBytesMax, kStringBytesMax + 1}) {
    WireWriter out(true);
    out.uvarint(static_cast<std::uint32_t>(size + 1));
    for (std::size_t i = 0; i < size; ++i) out.int8('x');
    const Result<std::vector<Slice>> written = std::move(out).finish();
    ASSERT_TRUE(written);
    WireReader in(Slice::copy_of(joined(*written)), true);
    EXPECT_EQ(in.string("name").size(), size == kStringBytesMax ? size : 0U);
    EXPECT_EQ(in.failed(), size > kStringBytesMax);
  }
}

TEST(WireReader, gives_bytes_as_pieces_of_the_body) {
  const Slice frame = body("00000003616263");
  WireReader in(frame, false);
  const Slice bytes = in.bytes("records");
  EXPECT_EQ(bytes.data(), frame.data() + 4);
  EXPECT_EQ(hex(bytes.view()), "616263");
}

TEST(WireReader, allocates_nothing_for_more_elements_than_bytes) {
  struct Counted {
    const char* count;
    bool flexible;
  };
  for (const auto& [count, flexible] : {Counted{"7fffffff000000", false}, Counted{"0000000400000000000000", false},
                                        Counted{"ffffffff0f000000", true}, Counted{"05000000000000", true}}) {
    WireReader in(body(count), flexible);
    std::vector<std::string> out;
    in.array("names", 2, out, [&](std::string& element) { element = in.string(""); });
    EXPECT_EQ(out.capacity(), 0U) << count;
    EXPECT_NE(failure(in).find("names at byte"), std::string::npos) << count;
  }
}

TEST(WireReader, allocates_nothing_beyond_the_bound_on_decoded_arrays) {
  const std::size_t count = kDecodedArrayBytesMax / sizeof(std::string) + 1;  // Two megabytes of empty strings.
  Slice bytes = Slice::allocate(4 + count * 2);
  std::ranges::fill(bytes.writable(), std::byte{0});
  store_be(bytes.data(), static_cast<std::int32_t>(count));
  WireReader in(bytes, false);
  std::vector<std::string> out;
  in.array("names", 2, out, [&](std::string& element) { element = in.string(""); });
  EXPECT_EQ(out.capacity(), 0U);
  EXPECT_EQ(failure(in), "Message v7: names at byte 4: arrays of more than 67108864 bytes once decoded");
}

TEST(WireReader, names_the_path_and_the_byte_of_the_first_bad_field) {
  // Version 3: null transactional id, acks, time-out, two topics; the second one's partition stops within its index.
  const Result<ProduceRequest> request =
      decode_produce_request(body("ffff 0001 00000064 00000002 000161 00000000 000162 00000001 0000000000000000"), 3);
  EXPECT_TRUE(request) << "the unharmed message";
  const Result<ProduceRequest> cut =
      decode_produce_request(body("ffff 0001 00000064 00000002 000161 00000000 000162 00000001 00000000 00000009"), 3);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().detail, "ProduceRequest v3: topic_data[1].partition_data[0].records at byte 34: 9 bytes wanted, 0 left");
}

TEST(WireReader, skips_tagged_fields_it_does_not_know) {
  // ApiVersions has none in its request; here Metadata v9: no topics, three flags, then tags 5 and 700.
  const Result<MetadataRequest> request = decode_metadata_request(body("01 010001 02 0502aabb bc0500"), 9);
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_TRUE(request->topics && request->topics->empty());
  EXPECT_TRUE(request->include_topic_authorized_operations);
}

TEST(WireReader, refuses_tagged_fields_out_of_order_repeated_or_too_long) {
  for (const char* const tags : {"0205000400", "0205000500", "01050900", "ffffffff0f0500"}) {
    const Result<MetadataRequest> request = decode_metadata_request(body(std::string("01010001") + tags), 9);
    ASSERT_FALSE(request) << tags;
    EXPECT_EQ(request.error().code, Errc::protocol_error) << tags;
  }
}

TEST(WireReader, refuses_a_known_tagged_field_that_is_longer_or_shorter_than_its_value) {
  // ProduceResponse v10, no topics: node_endpoints (tag 0) is an empty array, one byte.
  const auto decode = [](const std::string& tag) { return decode_produce_response(body("01 00000000 01" + tag), 10); };
  EXPECT_TRUE(decode("000101"));
  EXPECT_FALSE(decode("00020100"));
  EXPECT_FALSE(decode("0000"));
  EXPECT_EQ(decode("00020100").error().detail, "ProduceResponse v10: tagged field 0 at byte 9: 1 bytes more than its value takes");
}

TEST(WireReader, stays_silent_after_the_first_error) {
  WireReader in(body("0102"), false);
  EXPECT_EQ(in.int32("first"), 0);
  EXPECT_EQ(in.int8("second"), 0) << "although a byte is there";
  EXPECT_EQ(failure(in), "Message v7: first at byte 0: 4 bytes wanted, 2 left");
}

}  // namespace
}  // namespace tidemark::kafka
