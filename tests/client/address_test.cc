#include "client/src/address.h"

#include <ostream>

#include <gtest/gtest.h>

namespace tidemark::detail {

void PrintTo(const Address& address, std::ostream* out) { *out << address.host << " port " << address.port; }

namespace {

TEST(ParseAddress, takes_names_numbers_and_bracketed_ipv6) {
  EXPECT_EQ(parse_address("127.0.0.1:7410").value_or({}), (Address{"127.0.0.1", 7410}));
  EXPECT_EQ(parse_address("[::1]:7410").value_or({}), (Address{"::1", 7410}));
  EXPECT_EQ(parse_address("localhost:1").value_or({}), (Address{"localhost", 1}));
  EXPECT_EQ(parse_address("broker.example.org:65535").value_or({}), (Address{"broker.example.org", 65535}));
}

class BadAddress : public testing::TestWithParam<const char*> {};

TEST_P(BadAddress, is_refused_and_named) {
  const Result<Address> parsed = parse_address(GetParam());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::invalid_argument);
  EXPECT_NE(parsed.error().detail.find(GetParam()), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(, BadAddress,
                         testing::Values("localhost", ":7410", "localhost:", "localhost:0", "localhost:65536", "localhost:74x", "::1:7410",
                                         "[]:7410", "[::1]7410", "[::1]", "localhost:-1"));

}  // namespace
}  // namespace tidemark::detail
