#include "tests/protocol/kafka/golden.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/protocol/kafka/message_dump.h"

namespace tidemark::kafka {
namespace {

class Golden : public testing::TestWithParam<MessageCodec> {
 protected:
  std::vector<GoldenMessage> messages() const {
    std::vector<GoldenMessage> found = golden_messages(std::string(GetParam().file));
    std::erase_if(found, [&](const GoldenMessage& message) { return message.kind != GetParam().kind; });
    EXPECT_FALSE(found.empty());
    return found;
  }
  Result<RoundTrip> round_trip(ByteView bytes, int version) const {
    return GetParam().round_trip(Slice::copy_of(bytes), version);  // A copy of its own: asan sees a read past its end.
  }
};

TEST_P(Golden, decodes_to_the_recorded_values_and_encodes_to_the_same_bytes) {
  for (const GoldenMessage& message : messages()) {
    SCOPED_TRACE("v" + std::to_string(message.version) + " " + message.variant);
    const Result<RoundTrip> result = round_trip(message.bytes, message.version);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(result->text, message.text);
    EXPECT_EQ(hex(result->encoded), hex(message.bytes));
  }
}

TEST_P(Golden, every_truncation_is_an_error) {
  for (const GoldenMessage& message : messages()) {
    for (std::size_t size = 0; size < message.bytes.size(); ++size) {
      const Result<RoundTrip> result = round_trip(ByteView(message.bytes).first(size), message.version);
      ASSERT_FALSE(result) << "v" << message.version << ", " << size << " of " << message.bytes.size() << " bytes";
      ASSERT_EQ(result.error().code, Errc::protocol_error);
    }
  }
}

TEST_P(Golden, bytes_behind_a_message_are_an_error) {
  for (const GoldenMessage& message : messages()) {
    ByteVector longer = message.bytes;
    longer.push_back(std::byte{0});
    const Result<RoundTrip> result = round_trip(longer, message.version);
    ASSERT_FALSE(result) << "v" << message.version;
    EXPECT_EQ(result.error().code, Errc::protocol_error);
    EXPECT_NE(result.error().detail.find("1 bytes follow the last field"), std::string::npos) << result.error().detail;
  }
}

TEST_P(Golden, flipped_bytes_are_an_error_or_a_message_that_survives_a_round_trip) {
  std::mt19937 random(20'240'917);
  for (const GoldenMessage& message : messages()) {
    for (int i = 0; i < 100 && !message.bytes.empty(); ++i) {
      ByteVector bytes = message.bytes;
      const std::size_t flips = 1 + random() % 4;
      for (std::size_t flip = 0; flip < flips; ++flip) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
      const Result<RoundTrip> first = round_trip(bytes, message.version);
      if (!first) {
        EXPECT_EQ(first.error().code, Errc::protocol_error);
        continue;
      }
      const Result<RoundTrip> second = round_trip(first->encoded, message.version);
      ASSERT_TRUE(second) << hex(bytes) << ": " << second.error().to_string();
      EXPECT_EQ(second->text, first->text) << hex(bytes);
    }
  }
}

std::vector<MessageCodec> every_message() { return all_message_codecs(); }

INSTANTIATE_TEST_SUITE_P(, Golden, testing::ValuesIn(every_message()),
                         [](const auto& test_case) { return std::string(test_case.param.file) + "_" + std::string(test_case.param.kind); });

TEST(MessageCodecs, have_golden_messages_of_every_version_that_is_offered) {
  for (const MessageCodec& codec : all_message_codecs()) {
    SCOPED_TRACE(std::string(codec.file) + " " + std::string(codec.kind));
    std::set<int> versions;
    for (const GoldenMessage& message : golden_messages(std::string(codec.file))) {
      if (message.kind == codec.kind && message.variant == "all") versions.insert(message.version);
    }
    const ApiInfo& api = api_info(codec.api);
    for (int version = api.served_from; version <= api.max_version; ++version) EXPECT_TRUE(versions.contains(version)) << version;
    EXPECT_EQ(versions.size(), static_cast<std::size_t>(codec.max_version - codec.min_version + 1));
  }
}

TEST(MessageCodecs, agree_with_the_table_of_apis) {
  for (const MessageCodec& codec : all_message_codecs()) {
    const ApiInfo& api = api_info(codec.api);
    EXPECT_EQ(codec.flexible_from, api.flexible_from) << api.name;
    EXPECT_LE(codec.min_version, api.served_from) << api.name;
    EXPECT_GE(codec.max_version, api.max_version) << api.name;
  }
}

TEST(MessageCodecs, refuse_versions_they_do_not_know) {
  for (const MessageCodec& codec : all_message_codecs()) {
    for (const int version : {-1, codec.min_version - 1, codec.max_version + 1, 32'767}) {
      const Result<RoundTrip> result = codec.round_trip(Slice(), version);
      ASSERT_FALSE(result) << codec.file << " v" << version;
      EXPECT_EQ(result.error().code, Errc::unsupported_version) << codec.file << " v" << version;
    }
  }
}

TEST(MessageCodecs, are_there_for_both_directions_of_every_api) {
  std::set<std::pair<ApiKey, std::string_view>> known;
  for (const MessageCodec& codec : all_message_codecs()) known.emplace(codec.api, codec.kind);
  for (const ApiInfo& api : apis()) {
    EXPECT_TRUE(known.contains({api.key, "request"})) << api.name;
    EXPECT_TRUE(known.contains({api.key, "response"})) << api.name;
  }
  EXPECT_EQ(known.size(), 2 * apis().size());
}

}  // namespace

void PrintTo(const MessageCodec& codec, std::ostream* out) { *out << codec.file << " " << codec.kind; }

}  // namespace tidemark::kafka
