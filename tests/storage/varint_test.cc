#include "storage/batch/varint.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/storage/batch_fixtures.h"

namespace tidemark {
namespace {

using testing_support::from_hex;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::optional<std::int64_t> varlong(std::string_view hex) {
  const ByteVector bytes = from_hex(hex);
  ByteView rest = bytes;
  return read_varlong(rest);
}
std::optional<std::int32_t> varint(std::string_view hex) {
  const ByteVector bytes = from_hex(hex);
  ByteView rest = bytes;
  return read_varint(rest);
}
std::optional<std::uint32_t> unsigned_varint(std::string_view hex) {
  const ByteVector bytes = from_hex(hex);
  ByteView rest = bytes;
  return read_unsigned_varint(rest);
}

TEST(Varint, zigzag_alternates_between_signs) {
  EXPECT_EQ(varint("00"), 0);
  EXPECT_EQ(varint("01"), -1);
  EXPECT_EQ(varint("02"), 1);
  EXPECT_EQ(varint("7f"), -64);
  EXPECT_EQ(varint("8001"), 64);
  EXPECT_EQ(varint("feffffff0f"), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(varint("ffffffff0f"), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(varlong("feffffffffffffffff01"), kMax);
  EXPECT_EQ(varlong("ffffffffffffffffff01"), kMin);
  EXPECT_EQ(unsigned_varint("ffffffff0f"), std::numeric_limits<std::uint32_t>::max());
}

TEST(Varint, refuses_truncation_and_overflow) {
  EXPECT_EQ(varint(""), std::nullopt);
  EXPECT_EQ(varint("80"), std::nullopt);
  EXPECT_EQ(varint("ffffffff"), std::nullopt);
  EXPECT_EQ(varint("ffffffff10"), std::nullopt);             // Bit 32.
  EXPECT_EQ(varint("808080808000"), std::nullopt);           // Six bytes.
  EXPECT_EQ(varlong("ffffffffffffffffff02"), std::nullopt);  // Bit 64.
  EXPECT_EQ(varlong("8080808080808080808000"), std::nullopt);
  EXPECT_EQ(unsigned_varint("ffffffff1f"), std::nullopt);
}

TEST(Varint, reads_longer_encodings_than_needed) {
  EXPECT_EQ(varint("8200"), 1);
  EXPECT_EQ(varlong("8280808000"), 1);
}

TEST(Varint, every_length_round_trips_and_leaves_what_follows) {
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::int64_t near : {-1, 0, 1}) {
      for (const std::int64_t sign : {-1, 1}) {
        const auto power = static_cast<std::int64_t>(std::uint64_t{1} << bits);
        const auto value = static_cast<std::int64_t>(static_cast<std::uint64_t>(power) * static_cast<std::uint64_t>(sign) +
                                                     static_cast<std::uint64_t>(near));
        ByteVector bytes;
        append_varlong(bytes, value);
        EXPECT_EQ(bytes.size(), varlong_size(value));
        ByteVector stored(10);
        EXPECT_EQ(store_varlong(stored.data(), value), stored.data() + bytes.size());
        bytes.push_back(std::byte{0xee});
        ByteView rest = bytes;
        EXPECT_EQ(read_varlong(rest), value);
        ASSERT_EQ(rest.size(), 1U);
        for (std::size_t cut = 0; cut + 1 < bytes.size(); ++cut) {
          ByteView short_rest = ByteView(bytes).first(cut);
          EXPECT_EQ(read_varlong(short_rest), std::nullopt);
        }
      }
    }
  }
}

TEST(Varint, unsigned_values_round_trip) {
  for (const std::uint32_t value : {0U, 1U, 127U, 128U, 16'383U, 16'384U, 2'097'151U, 268'435'456U, 4'294'967'295U}) {
    ByteVector bytes;
    append_unsigned_varint(bytes, value);
    EXPECT_EQ(bytes.size(), unsigned_varint_size(value));
    ByteView rest = bytes;
    EXPECT_EQ(read_unsigned_varint(rest), value);
    EXPECT_TRUE(rest.empty());
  }
}

}  // namespace
}  // namespace tidemark
