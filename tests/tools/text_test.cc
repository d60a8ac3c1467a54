#include "tools/tidemark/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using namespace std::string_literals;

TEST(Unescape, replaces_known_escapes_and_refuses_others) {
  EXPECT_EQ(*unescape(R"(a\tb\n\0\\\"\x7f)"), "a\tb\n\0\\\"\x7f"s);
  for (const char* const text : {R"(\q)", R"(a\)", R"(\x)", R"(\x1)", R"(\xzz)"}) EXPECT_FALSE(unescape(text)) << text;
}

TEST(ParseNameValue, splits_at_the_first_equals_sign) {
  EXPECT_EQ(parse_name_value("a=b=c")->name, "a");
  EXPECT_EQ(parse_name_value("a=b=c")->value, "b=c");
  EXPECT_EQ(parse_name_value("a=")->value, "");
  EXPECT_FALSE(parse_name_value("a"));
  EXPECT_FALSE(parse_name_value("=b"));
}

TEST(ParsePartitionAddress, splits_from_the_right) {
  EXPECT_EQ(parse_partition_address("a:b:2")->topic, "a:b");
  EXPECT_EQ(parse_partition_address("a:b:2")->partition, 2);
  for (const char* const text : {"", "t", "t:", ":0", "t:x", "t:-1"}) EXPECT_FALSE(parse_partition_address(text)) << text;
}

TEST(ParseRecordAddress, splits_from_the_right) {
  const Result<RecordAddress> address = parse_record_address("a:b:2:17");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->topic, "a:b");
  EXPECT_EQ(address->partition, 2);
  EXPECT_EQ(address->offset, 17);
}

TEST(ParseRecordAddress, refuses_what_is_not_one) {
  for (const char* const text : {"", "t", "t:0", ":0:0", "t:x:0", "t:0:", "t:0:-1", "t:-1:0", "0:0", "t:0:1x", "t:99999999999:0"}) {
    EXPECT_FALSE(parse_record_address(text)) << text;
  }
}

}  // namespace
}  // namespace tidemark::tools
