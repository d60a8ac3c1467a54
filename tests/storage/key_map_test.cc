#include "storage/key_map.h"

#include <array>
#include <iostream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "storage/base/random.h"
#include "storage/base/siphash.h"

namespace tidemark::storage {
namespace {

/// The reference vectors: key 00 01 .. 0f, message 00 01 02 ... (as `openssl mac SIPHASH` with 16 bytes gives them).
TEST(SipHash, gives_the_reference_values) {
  const Hash128 seed{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  const ByteVector message = {std::byte{0}, std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                              std::byte{5}, std::byte{6}, std::byte{7}, std::byte{8}};
  EXPECT_EQ(siphash128({}, seed), (Hash128{0xe6a825ba047f81a3, 0x930255c71472f66d}));
  EXPECT_EQ(siphash128(message, seed), (Hash128{0xabbad90a06994426, 0xed716dbb028b7fc4}));
}

TEST(SipHash, depends_on_its_seed_and_every_byte) {
  const ByteView key = as_bytes("a key of some length");
  EXPECT_NE(siphash128(key, {1, 2}), siphash128(key, {1, 3}));
  EXPECT_NE(siphash128(key, {1, 2}), siphash128(as_bytes("a key of some lengti"), {1, 2}));
  EXPECT_NE(siphash128(as_bytes("a"), {1, 2}), siphash128(as_bytes(std::string("a\0", 2)), {1, 2}));
}

TEST(KeyMap, knows_the_largest_offset_of_each_key) {
  const std::uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << '\n';
  Random random(seed);
  KeyMap map(1 << 20, {random(), random()});
  std::map<std::string, std::int64_t> model;
  for (int i = 0; i < 50'000; ++i) {
    const std::string key = std::to_string(random() % 9000);
    const auto offset = static_cast<std::int64_t>(random() % 1'000'000);
    ASSERT_TRUE(map.put(as_bytes(key), {offset}));
    model[key] = std::max(model.contains(key) ? model[key] : 0, offset);
  }
  EXPECT_EQ(map.size(), model.size());
  for (const auto& [key, offset] : model) EXPECT_EQ(map.find(as_bytes(key)), Offset{offset}) << key;
  EXPECT_FALSE(map.find(as_bytes("never put")));
  map.clear();
  EXPECT_FALSE(map.find(as_bytes(model.begin()->first)));
}

TEST(KeyMap, refuses_new_keys_when_full_and_still_takes_known_ones) {
  KeyMap map(KeyMap::kBytesMin, {3, 4});
  std::int64_t next = 0;
  while (map.put(as_bytes(std::to_string(next)), {next})) ++next;
  EXPECT_EQ(static_cast<std::size_t>(next), map.capacity());
  EXPECT_GT(next, 1000);
  EXPECT_LE(map.memory_bytes(), KeyMap::kBytesMin);
  EXPECT_TRUE(map.put(as_bytes("17"), {1'000'000}));
  EXPECT_EQ(map.find(as_bytes("17")), Offset{1'000'000});
  for (std::int64_t i = 0; i < next; ++i) EXPECT_TRUE(map.find(as_bytes(std::to_string(i))));
}

TEST(KeyMap, holds_empty_and_long_keys) {
  KeyMap map(KeyMap::kBytesMin, {3, 4});
  EXPECT_FALSE(map.find({}));
  ASSERT_TRUE(map.put({}, {7}));
  ASSERT_TRUE(map.put(as_bytes(std::string(100'000, 'k')), {8}));
  EXPECT_EQ(map.find({}), Offset{7});
  EXPECT_EQ(map.find(as_bytes(std::string(100'000, 'k'))), Offset{8});
}

}  // namespace
}  // namespace tidemark::storage
