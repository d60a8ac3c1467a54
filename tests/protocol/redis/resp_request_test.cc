#include "protocol/redis/codec/resp_request.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace tidemark::redis {
namespace {

using Words = std::vector<std::string>;

std::optional<Words> split(std::string line) {
  Arguments arguments;
  const ByteView as_sent = as_bytes(line);
  const bool balanced = has_balanced_quotes(as_sent);
  const bool split = split_inline(std::as_writable_bytes(std::span(line.data(), line.size())), arguments);
  EXPECT_EQ(balanced, split);
  if (!split) return std::nullopt;
  return Words(arguments.begin(), arguments.end());
}

TEST(InlineRequest, is_split_at_blanks) {
  EXPECT_EQ(split("  XADD\tk  * f v "), (Words{"XADD", "k", "*", "f", "v"}));
  EXPECT_EQ(split(""), Words());
  EXPECT_EQ(split("   "), Words());
}

TEST(InlineRequest, knows_both_kinds_of_quotes) {
  EXPECT_EQ(split(R"(a "b c" 'd e')"), (Words{"a", "b c", "d e"}));
  EXPECT_EQ(split(R"("\x41\n\r\t\b\a\\\"\q")"), (Words{"A\n\r\t\b\a\\\"q"}));
  EXPECT_EQ(split(R"('\x41\'')"), (Words{R"(\x41')"}));
  EXPECT_EQ(split(R"("" '')"), (Words{"", ""}));
  EXPECT_EQ(split(R"(a"b c")"), (Words{"ab c"}));
}

TEST(InlineRequest, with_unbalanced_quotes_is_refused) {
  for (const char* const line : {"\"", "'", "\"a", "\"a\"b", "'a'b", "\"a\\"}) EXPECT_EQ(split(line), std::nullopt) << line;
}

TEST(Integers, are_taken_as_redis_takes_them) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-1"), -1);
  EXPECT_EQ(parse_integer("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_integer("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  for (const char* const text : {"", "-", "+1", "01", "-0", " 1", "1 ", "1x", "9223372036854775808", "0x1"}) {
    EXPECT_EQ(parse_integer(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_unsigned("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parse_unsigned("-1"), std::nullopt);
}

TEST(Request, arguments_are_views_into_its_bytes) {
  std::string bytes = "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nrest";
  Arguments arguments;
  const std::size_t size = parse_request(std::as_writable_bytes(std::span(bytes.data(), bytes.size())), arguments);
  EXPECT_EQ(size, bytes.size() - 4);
  ASSERT_EQ(arguments.size(), 2u);
  EXPECT_EQ(arguments[0].data(), bytes.data() + 8);
  EXPECT_EQ(arguments[1], "hi");
}

}  // namespace
}  // namespace tidemark::redis
