#include "protocol/native/codec/frame.h"

#include <random>

#include <gtest/gtest.h>

#include "protocol/native/codec/errors.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::native {
namespace {

std::string hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty()) text += ' ';
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

ByteVector unhex(std::string_view text) {
  ByteVector bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 3) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// The worked example of docs/PROTOCOL.md, section 1.
constexpr std::string_view kTrimRequest =
    "16 00 00 00 07 00 00 00 07 00 00 00 0a 00 00 00 "
    "0a 06 6f 72 64 65 72 73 18 2a";
constexpr std::string_view kTrimReply = "0e 00 00 00 07 00 01 00 07 00 00 00 02 00 00 00 08 2a";
constexpr std::string_view kTrimError =
    "38 00 00 00 07 00 03 00 08 00 00 00 2c 00 00 00 "
    "08 03 12 28 6e 6f 20 74 6f 70 69 63 20 22 6f 64 65 72 73 22 3b 20 64 69 64 20 79 6f 75 20 6d 65 61 6e 20 22 6f 72 64 65 72 73 22 3f";

FrameHeader parsed(ByteView bytes) {
  const auto header = FrameHeader::parse(bytes, kFrameBytesMax);
  EXPECT_TRUE(header && *header);
  return header && *header ? **header : FrameHeader{};
}

TEST(NativeFrame, has_the_bytes_of_the_documented_request) {
  wire::TrimTopic trim;
  trim.set_name("orders");
  trim.set_before(42);
  EXPECT_EQ(hex(encode_frame(FrameType::trim_topic, 0, 7, trim).view()), kTrimRequest);

  const ByteVector bytes = unhex(kTrimRequest);
  const FrameHeader header = parsed(bytes);
  EXPECT_EQ(header.type, FrameType::trim_topic);
  EXPECT_EQ(header.flags, 0);
  EXPECT_EQ(header.correlation, 7u);
  EXPECT_EQ(header.message_bytes, 10u);
  EXPECT_EQ(header.attachment_bytes, 0u);
  EXPECT_EQ(header.size_bytes(), bytes.size());
  wire::TrimTopic decoded;
  ASSERT_TRUE(decode_message(ByteView(bytes).subspan(kFrameHeaderBytes), decoded));
  EXPECT_EQ(decoded.name(), "orders");
  EXPECT_EQ(decoded.partition(), 0);
  EXPECT_EQ(decoded.before(), 42);
}

TEST(NativeFrame, has_the_bytes_of_the_documented_replies) {
  wire::TrimTopicReply reply;
  reply.set_log_start(42);
  EXPECT_EQ(hex(encode_frame(FrameType::trim_topic, kFlagReply, 7, reply).view()), kTrimReply);
  const Error error{Errc::unknown_topic, R"(no topic "oders"; did you mean "orders"?)"};
  EXPECT_EQ(hex(encode_frame(FrameType::trim_topic, kFlagReply | kFlagError, 8, to_wire(error)).view()), kTrimError);
}

TEST(NativeFrame, counts_attachments_in_its_length) {
  wire::Produce produce;
  auto& batch = *produce.add_batches();
  batch.set_topic("t");
  batch.set_size(100);
  const Slice frame = encode_frame(FrameType::produce, 0, 1, produce, 100);
  const FrameHeader header = parsed(frame.view());
  EXPECT_EQ(header.attachment_bytes, 100u);
  EXPECT_EQ(header.size_bytes(), frame.size() + 100);
  EXPECT_EQ(header.message_bytes, frame.size() - kFrameHeaderBytes);
}

TEST(NativeFrame, is_not_there_until_its_header_is) {
  const ByteVector bytes = unhex(kTrimRequest);
  for (std::size_t count = 0; count < kFrameHeaderBytes; ++count) {
    const auto header = FrameHeader::parse(ByteView(bytes).first(count), kFrameBytesMax);
    ASSERT_TRUE(header) << count;
    EXPECT_FALSE(*header) << count;
  }
  EXPECT_TRUE(*FrameHeader::parse(ByteView(bytes).first(kFrameHeaderBytes), kFrameBytesMax));
}

struct BadHeader {
  const char* name;
  std::uint32_t length;
  std::uint32_t message_bytes;
  Errc code;
};
void PrintTo(const BadHeader& bad, std::ostream* out) { *out << bad.name; }

class BadFrame : public testing::TestWithParam<BadHeader> {};

TEST_P(BadFrame, is_refused_by_its_header) {
  ByteVector bytes(kFrameHeaderBytes);
  store_le(bytes.data(), GetParam().length);
  store_le(bytes.data() + 12, GetParam().message_bytes);
  const auto header = FrameHeader::parse(bytes, kHelloFrameBytesMax);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, GetParam().code);
}

constexpr auto kHelloMax = static_cast<std::uint32_t>(kHelloFrameBytesMax);
INSTANTIATE_TEST_SUITE_P(, BadFrame,
                         testing::Values(BadHeader{"empty", 0, 0, Errc::protocol_error},
                                         BadHeader{"no_room_for_the_header", 11, 0, Errc::protocol_error},
                                         BadHeader{"message_longer_than_the_frame", 20, 9, Errc::protocol_error},
                                         BadHeader{"message_of_4_gib", 20, 0xffffffff, Errc::protocol_error},
                                         BadHeader{"one_byte_too_long", kHelloMax - 3, 0, Errc::frame_too_large},
                                         BadHeader{"http_instead", 0x20544547, 0x48202f20, Errc::frame_too_large},  // "GET "
                                         BadHeader{"all_ones", 0xffffffff, 0xffffffff, Errc::frame_too_large}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST(NativeFrame, may_be_as_long_as_the_limit) {
  ByteVector bytes(kFrameHeaderBytes);
  store_le(bytes.data(), kHelloMax - 4);
  const auto header = FrameHeader::parse(bytes, kHelloFrameBytesMax);
  ASSERT_TRUE(header && *header);
  EXPECT_EQ((*header)->size_bytes(), kHelloFrameBytesMax);
}

TEST(NativeFrame, too_long_a_length_is_judged_before_the_rest_arrives) {
  const ByteVector bytes = unhex("ff ff ff ff");
  EXPECT_EQ(FrameHeader::parse(bytes, kFrameBytesMax).error().code, Errc::frame_too_large);
}

TEST(NativeFrame, leaves_unknown_types_to_the_caller) {
  ByteVector bytes = unhex(kTrimRequest);
  store_le(bytes.data() + 4, std::uint16_t{999});
  EXPECT_EQ(static_cast<std::uint16_t>(parsed(bytes).type), 999);
  EXPECT_FALSE(known_frame_type(0));
  EXPECT_TRUE(known_frame_type(1));
  EXPECT_TRUE(known_frame_type(17));
  EXPECT_TRUE(known_frame_type(40));
  EXPECT_TRUE(known_frame_type(43));
  EXPECT_TRUE(known_frame_type(48));
  EXPECT_TRUE(known_frame_type(50));
  EXPECT_FALSE(known_frame_type(51));
  EXPECT_TRUE(known_frame_type(58));
  EXPECT_TRUE(known_frame_type(59));
  EXPECT_TRUE(known_frame_type(62));
  EXPECT_FALSE(known_frame_type(63));
  EXPECT_EQ(to_string(FrameType::produce), "produce");
  EXPECT_EQ(to_string(FrameType::doctor), "doctor");
  EXPECT_EQ(to_string(FrameType::control_job), "control_job");
  EXPECT_EQ(to_string(FrameType::end_transaction), "end_transaction");
  EXPECT_EQ(to_string(static_cast<FrameType>(999)), "unknown");
}

TEST(NativeMessage, cut_off_anywhere_is_refused_or_another_message_but_never_read_beyond) {
  wire::Produce produce;
  for (int i = 0; i < 3; ++i) {
    auto& batch = *produce.add_batches();
    batch.set_topic("topic");
    batch.set_partition(i);
    batch.set_size(61);
  }
  const std::string bytes = produce.SerializeAsString();
  for (std::size_t count = 0; count < bytes.size(); ++count) {
    // Of its own size on the heap, so that the address sanitizer sees a read beyond.
    const ByteVector cut(as_bytes(bytes).begin(), as_bytes(bytes).begin() + static_cast<std::ptrdiff_t>(count));
    wire::Produce decoded;
    if (decode_message(cut, decoded)) EXPECT_LT(decoded.batches_size(), 3) << count;
  }
}

TEST(NativeMessage, garbage_never_trips_the_decoder) {
  std::mt19937_64 random(20240229);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    ByteVector bytes(random() % 64);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    wire::CreateTopic create;
    if (!decode_message(bytes, create)) ++refused;
    const auto header = FrameHeader::parse(bytes, kFrameBytesMax);
    if (header && *header) EXPECT_LE((*header)->size_bytes(), kFrameBytesMax);
  }
  EXPECT_GT(refused, 10'000);
}

TEST(NativeErrors, keep_code_detail_and_flags) {
  const Error lost{Errc::connection_lost, "gone", true};
  const wire::ErrorReply reply = to_wire(lost);
  EXPECT_EQ(reply.code(), 28u);
  EXPECT_TRUE(reply.retriable());
  EXPECT_TRUE(reply.maybe_done());
  EXPECT_FALSE(reply.fatal());
  EXPECT_EQ(from_wire(reply), lost);
  EXPECT_TRUE(to_wire({Errc::stale_producer_epoch, ""}).fatal());
  EXPECT_FALSE(to_wire({Errc::corrupt_batch, ""}).retriable());
}

TEST(NativeErrors, of_a_newer_broker_keep_their_number) {
  wire::ErrorReply reply;
  reply.set_code(4711);
  reply.set_detail("new");
  reply.set_maybe_done(true);
  const Error error = from_wire(reply);
  EXPECT_EQ(error.code, Errc::internal);
  EXPECT_NE(error.detail.find("4711"), std::string::npos);
  EXPECT_TRUE(error.maybe_done);
}

TEST(NativeErrors, of_bytes_that_are_no_text_still_decode) {
  const Error error{Errc::io_error, "cannot open /data/\xff\xc0\xaf"};
  const std::string bytes = to_wire(error).SerializeAsString();
  wire::ErrorReply decoded;
  ASSERT_TRUE(decode_message(as_bytes(bytes), decoded));
  EXPECT_EQ(decoded.detail(), R"(cannot open /data/\xff\xc0\xaf)");
}

struct Text {
  const char* name;
  std::string_view raw;
  std::string_view shown;
};
void PrintTo(const Text& text, std::ostream* out) { *out << text.name; }

class PrintableText : public testing::TestWithParam<Text> {};
TEST_P(PrintableText, is_utf8) { EXPECT_EQ(printable(GetParam().raw), GetParam().shown); }

using namespace std::string_view_literals;
INSTANTIATE_TEST_SUITE_P(
    , PrintableText,
    testing::Values(Text{"plain", "orders", "orders"}, Text{"empty", "", ""}, Text{"nul", "a\0b"sv, "a\0b"sv},
                    Text{"two_three_four_bytes", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8a", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8a"},
                    Text{"lone_continuation", "\x80", R"(\x80)"}, Text{"overlong", "\xe0\x80\x80", R"(\xe0\x80\x80)"},
                    Text{"surrogate", "\xed\xa0\x80", R"(\xed\xa0\x80)"}, Text{"too_high", "\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
                    Text{"cut_off", "a\xe2\x82", R"(a\xe2\x82)"}, Text{"bad_then_good", "\xff\xc3\xa9", "\\xff\xc3\xa9"}),
    [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace tidemark::native
