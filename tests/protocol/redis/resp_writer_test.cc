#include "protocol/redis/codec/resp_writer.h"

#include <limits>

#include <gtest/gtest.h>

namespace tidemark::redis {
namespace {

template <class Write>
std::string written(Protocol protocol, const Write& write) {
  RespWriter writer(protocol);
  write(writer);
  return std::move(writer).take();
}

TEST(RespWriter, writes_what_both_versions_have_alike) {
  for (const Protocol protocol : {Protocol::resp2, Protocol::resp3}) {
    EXPECT_EQ(written(protocol, [](RespWriter& out) { out.simple("OK"); }), "+OK\r\n");
    EXPECT_EQ(written(protocol, [](RespWriter& out) { out.integer(std::numeric_limits<std::int64_t>::min()); }),
              ":-9223372036854775808\r\n");
    EXPECT_EQ(written(protocol, [](RespWriter& out) { out.bulk(std::string("a\r\nb\0", 5)); }), std::string("$5\r\na\r\nb\0\r\n", 11));
    EXPECT_EQ(written(protocol, [](RespWriter& out) { out.array(0); }), "*0\r\n");
  }
}

TEST(RespWriter, lets_no_error_end_its_reply) {
  EXPECT_EQ(written(Protocol::resp2, [](RespWriter& out) { out.error("ERR a\r\n+OK"); }), "-ERR a  +OK\r\n");
}

struct Difference {
  const char* name;
  void (*write)(RespWriter&);
  std::string resp2, resp3;
};
void PrintTo(const Difference& difference, std::ostream* out) { *out << difference.name; }
class Versions : public testing::TestWithParam<Difference> {};
TEST_P(Versions, differ_in) {
  EXPECT_EQ(written(Protocol::resp2, GetParam().write), GetParam().resp2);
  EXPECT_EQ(written(Protocol::resp3, GetParam().write), GetParam().resp3);
}
INSTANTIATE_TEST_SUITE_P(, Versions,
                         testing::Values(Difference{"null", [](RespWriter& out) { out.null(); }, "$-1\r\n", "_\r\n"},
                                         Difference{"null_array", [](RespWriter& out) { out.null_array(); }, "*-1\r\n", "_\r\n"},
                                         Difference{"map", [](RespWriter& out) { out.map(3); }, "*6\r\n", "%3\r\n"},
                                         Difference{"set", [](RespWriter& out) { out.set(3); }, "*3\r\n", "~3\r\n"},
                                         Difference{"push", [](RespWriter& out) { out.push(3); }, "*3\r\n", ">3\r\n"},
                                         Difference{"boolean", [](RespWriter& out) { out.boolean(true); }, ":1\r\n", "#t\r\n"},
                                         Difference{"verbatim", [](RespWriter& out) { out.verbatim("a"); }, "$1\r\na\r\n",
                                                    "=5\r\ntxt:a\r\n"}),
                         [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace tidemark::redis
