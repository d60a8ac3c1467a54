#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "tidemark/producer.h"

namespace tidemark {
namespace {

struct Vector {
  std::string key;
  std::int32_t hash;
};
void PrintTo(const Vector& vector, std::ostream* out) { *out << '"' << vector.key << '"'; }

class Murmur2 : public testing::TestWithParam<Vector> {};

TEST_P(Murmur2, agrees_with_kafka) { EXPECT_EQ(murmur2(GetParam().key), GetParam().hash); }

// From Kafka's own UtilsTest.
INSTANTIATE_TEST_SUITE_P(, Murmur2,
                         testing::Values(Vector{"21", -973932308}, Vector{"foobar", -790332482},
                                         Vector{"a-little-bit-long-string", -985981536}, Vector{"a-little-bit-longer-string", -1486304829},
                                         Vector{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971}, Vector{"abc", 479470107}));

TEST(PartitionForKey, drops_the_sign_bit_as_kafka_does) {
  EXPECT_EQ(partition_for_key("21", 1000), (-973932308 & 0x7fffffff) % 1000);
  EXPECT_EQ(partition_for_key("abc", 7), 479470107 % 7);
}

TEST(PartitionForKey, takes_bytes_above_127_as_unsigned) {
  // In Java the tail bytes are masked with 0xff; sign extension would give another hash.
  EXPECT_NE(murmur2("\xff"), murmur2("\x7f"));
  for (int byte = 0; byte < 256; ++byte) {
    const std::int32_t partition = partition_for_key(std::string(3, static_cast<char>(byte)), 12);
    EXPECT_GE(partition, 0);
    EXPECT_LT(partition, 12);
  }
}

}  // namespace
}  // namespace tidemark
