#include "storage/segment_index.h"

#include <gtest/gtest.h>

namespace tidemark::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Timestamp at_ms(std::int64_t ms) { return Timestamp(milliseconds(ms)); }

constexpr Offset kBase{1000};

/// Three intervals: offsets 1000, 1010 and 1040 at 0, 40 000 and 80 000.
SegmentIndex sample() {
  SegmentIndex index;
  index.entries = {{.first_offset = {1000},
                    .position = {0},
                    .append_time = at_ms(50),
                    .max_timestamp_ms = 7,
                    .first_id = {1, 2},
                    .bytes = 40'000,
                    .interval_crc = 0xdeadbeef},
                   {.first_offset = {1010},
                    .position = {40'000},
                    .append_time = at_ms(60),
                    .max_timestamp_ms = 90,
                    .first_id = {},
                    .bytes = 40'000,
                    .interval_crc = 1,
                    .estimated = true},
                   {.first_offset = {1040},
                    .position = {80'000},
                    .append_time = at_ms(60),
                    .max_timestamp_ms = 90,
                    .first_id = {},
                    .bytes = 100,
                    .interval_crc = 2}};
  return index;
}

ByteVector encoded(const SegmentIndex& index) {
  ByteVector bytes = encode_index_header(kBase);
  for (const IndexEntry& entry : index.entries) encode_index_entry(bytes, kBase, entry);
  return bytes;
}

struct OffsetLookup {
  const char* name;
  std::int64_t target;
  std::size_t entry;
};
void PrintTo(const OffsetLookup& lookup, std::ostream* out) { *out << lookup.name; }
class FindOffset : public testing::TestWithParam<OffsetLookup> {};
TEST_P(FindOffset, is_the_last_interval_that_begins_at_or_before) {
  EXPECT_EQ(sample().find_offset({GetParam().target}), GetParam().entry);
}
INSTANTIATE_TEST_SUITE_P(, FindOffset,
                         testing::Values(OffsetLookup{"before_all", 900, 0}, OffsetLookup{"first", 1000, 0},
                                         OffsetLookup{"inside", 1009, 0}, OffsetLookup{"exact", 1010, 1}, OffsetLookup{"last", 1040, 2},
                                         OffsetLookup{"beyond", 9999, 2}),
                         [](const auto& test_case) { return test_case.param.name; });

TEST(SegmentIndex, an_empty_one_finds_nothing) {
  EXPECT_EQ(SegmentIndex{}.find_offset({0}), std::nullopt);
  EXPECT_EQ(SegmentIndex{}.find_timestamp(0), std::nullopt);
  EXPECT_EQ(SegmentIndex{}.find_append_time(at_ms(0)), std::nullopt);
  EXPECT_EQ(SegmentIndex{}.covered(), FilePosition{0});
}

TEST(SegmentIndex, finds_the_first_interval_that_can_hold_a_record_time) {
  EXPECT_EQ(sample().find_timestamp(7), 0);
  EXPECT_EQ(sample().find_timestamp(8), 1);
  EXPECT_EQ(sample().find_timestamp(90), 1);
  EXPECT_EQ(sample().find_timestamp(91), std::nullopt);
}

TEST(SegmentIndex, finds_the_last_interval_appended_by_a_time) {
  EXPECT_EQ(sample().find_append_time(at_ms(49)), std::nullopt);
  EXPECT_EQ(sample().find_append_time(at_ms(59)), 0);
  EXPECT_EQ(sample().find_append_time(at_ms(60)), 2);
}

TEST(StartsInterval, when_32_KiB_are_full_or_a_second_has_passed) {
  IndexEntry last{.first_offset = {}, .position = {}, .append_time = at_ms(0), .first_id = {}, .bytes = 32 * 1024 - 1};
  EXPECT_FALSE(starts_interval(last, 1, at_ms(999)));
  EXPECT_TRUE(starts_interval(last, 1, at_ms(1000)));
  last.bytes = 32 * 1024;
  EXPECT_TRUE(starts_interval(last, 1, at_ms(0)));
}

TEST(StartsInterval, keeps_the_index_of_a_segment_that_fills_in_a_week_small) {
  std::size_t entries = 1;
  IndexEntry last{.first_offset = {}, .position = {}, .append_time = at_ms(0), .first_id = {}, .bytes = 100};
  for (std::int64_t second = 1; second < 7 * 24 * 3600; ++second) {
    if (starts_interval(last, entries, Timestamp(seconds(second)))) {
      last = {.first_offset = {}, .position = last.end(), .append_time = Timestamp(seconds(second)), .first_id = {}};
      ++entries;
    }
    last.bytes += 100;
  }
  EXPECT_GT(entries, 10'000u);
  EXPECT_LT(entries, 40'000u);
}

TEST(IndexFile, reads_back_what_was_written) { EXPECT_EQ(decode_index(encoded(sample()), kBase), sample()); }

TEST(IndexFile, an_entry_has_the_bytes_its_table_says) {
  const ByteVector file = encoded(sample());
  ASSERT_EQ(file.size(), kIndexHeaderBytes + 3 * kIndexEntryBytes);
  const std::byte* const second = file.data() + index_file_position(1).value;
  EXPECT_EQ(load_le<std::uint32_t>(second), 10u);
  EXPECT_EQ(load_le<std::uint32_t>(second + 4), 40'000u);
  EXPECT_EQ(load_le<std::uint32_t>(second + 8), 40'000u);
  EXPECT_EQ(load_le<std::int64_t>(second + 16), 60);
  EXPECT_EQ(load_le<std::uint32_t>(second + 48), 1u);
}

TEST(IndexFile, cut_anywhere_is_a_shorter_index) {
  const ByteVector file = encoded(sample());
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::size_t whole = size < kIndexHeaderBytes ? 0 : (size - kIndexHeaderBytes) / kIndexEntryBytes;
    EXPECT_EQ(decode_index(ByteView(file).first(size), kBase).entries.size(), whole) << size;
  }
}

TEST(IndexFile, a_flipped_bit_anywhere_never_yields_an_entry_that_was_not_written) {
  const ByteVector file = encoded(sample());
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      ByteVector damaged = file;
      damaged[at] ^= static_cast<std::byte>(1U << bit);
      const SegmentIndex index = decode_index(damaged, kBase);
      const std::size_t good = at < kIndexHeaderBytes ? 0 : (at - kIndexHeaderBytes) / kIndexEntryBytes;
      ASSERT_EQ(index.entries.size(), good) << at;
      for (std::size_t i = 0; i < good; ++i) ASSERT_EQ(index.entries[i], sample().entries[i]);
    }
  }
}

TEST(IndexFile, of_another_segment_is_empty_also_under_our_header) {
  ByteVector foreign = encode_index_header({500});
  encode_index_entry(foreign, {500}, {.first_offset = {500}, .position = {}, .append_time = {}, .first_id = {}, .bytes = 10});
  EXPECT_TRUE(decode_index(foreign, kBase).entries.empty());
  const ByteVector header = encode_index_header(kBase);
  std::copy(header.begin(), header.end(), foreign.begin());
  EXPECT_TRUE(decode_index(foreign, kBase).entries.empty());
}

TEST(IndexFile, ends_where_an_entry_does_not_adjoin_the_one_before) {
  SegmentIndex index = sample();
  index.entries[1].position = {40'001};
  EXPECT_EQ(decode_index(encoded(index), kBase).entries.size(), 1u);
}

TEST(IndexFile, zeros_are_no_entries) {
  ByteVector file = encode_index_header(kBase);
  file.resize(file.size() + 4096);
  EXPECT_TRUE(decode_index(file, kBase).entries.empty());
}

}  // namespace
}  // namespace tidemark::storage
