#include "storage/seal.h"

#include <gtest/gtest.h>

namespace tidemark::storage {
namespace {

Seal sample() {
  return {.base = {42},
          .end = {90},
          .log_bytes = 70'000,
          .max_timestamp_ms = 12'345,
          .first_append = Timestamp(std::chrono::milliseconds(100)),
          .last_append = Timestamp(std::chrono::milliseconds(200)),
          .cleaned = true,
          .intervals = {{{42}, {0}, 7}, {{50}, {33'000}, 8}, {{80}, {66'000}, 0xffffffff}}};
}

TEST(Seal, reads_back_what_was_written) {
  const Result<Seal> seal = decode_seal(encode_seal(sample()), {42});
  ASSERT_TRUE(seal) << seal.error().to_string();
  EXPECT_EQ(*seal, sample());
}

TEST(Seal, of_an_empty_segment_has_no_intervals) {
  const Seal empty{.base = {5}, .end = {5}, .first_append = {}, .last_append = {}, .intervals = {}};
  const Result<Seal> seal = decode_seal(encode_seal(empty), {5});
  ASSERT_TRUE(seal) << seal.error().to_string();
  EXPECT_EQ(*seal, empty);
}

TEST(Seal, knows_where_its_intervals_end) {
  EXPECT_EQ(sample().interval_bytes(0), 33'000u);
  EXPECT_EQ(sample().interval_bytes(2), 4'000u);
  EXPECT_EQ(sample().interval_end(0), Offset{50});
  EXPECT_EQ(sample().interval_end(2), Offset{90});
}

TEST(Seal, header_alone_has_everything_but_the_intervals) {
  const ByteVector file = encode_seal(sample());
  const Result<Seal> header = decode_seal_header(ByteView(file).first(kSealHeaderBytes), {42});
  ASSERT_TRUE(header);
  Seal expected = sample();
  expected.intervals.clear();
  EXPECT_EQ(*header, expected);
}

TEST(Seal, of_another_segment_is_refused) { EXPECT_FALSE(decode_seal(encode_seal(sample()), {43})); }

TEST(Seal, cut_or_grown_is_refused) {
  ByteVector file = encode_seal(sample());
  for (std::size_t size = 0; size < file.size(); ++size) EXPECT_FALSE(decode_seal(ByteView(file).first(size), {42})) << size;
  file.push_back(std::byte{0});
  EXPECT_FALSE(decode_seal(file, {42}));
}

TEST(Seal, with_any_bit_flipped_is_refused) {
  const ByteVector file = encode_seal(sample());
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      ByteVector damaged = file;
      damaged[at] ^= static_cast<std::byte>(1U << bit);
      EXPECT_FALSE(decode_seal(damaged, {42})) << at;
    }
  }
}

TEST(Seal, whose_intervals_do_not_adjoin_is_refused_whatever_its_checksum_says) {
  Seal seal = sample();
  seal.intervals[0].position = {1};
  EXPECT_FALSE(decode_seal(encode_seal(seal), {42}));
  seal = sample();
  seal.intervals[2].first_offset = {50};
  EXPECT_FALSE(decode_seal(encode_seal(seal), {42}));
  seal = sample();
  seal.log_bytes = 66'000;
  EXPECT_FALSE(decode_seal(encode_seal(seal), {42}));
}

}  // namespace
}  // namespace tidemark::storage
