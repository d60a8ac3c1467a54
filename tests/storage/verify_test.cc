#include "storage/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/segments_on_disk.h"

namespace tidemark::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Verify : public SegmentsOnDisk {
 protected:
  PartitionCheck check(const LogHints& hints) {
    Result<PartitionCheck> found = verify_partition(*files, kDirectory, hints.log_start, hints.checkpoint);
    EXPECT_TRUE(found) << found.error().to_string();
    return found.value_or({});
  }
  /// "file from..to reason", the file by its base offset.
  static std::vector<std::string> texts(const PartitionCheck& found) {
    std::vector<std::string> texts;
    for (const Damage& damage : found.damage) {
      texts.push_back(std::to_string(std::stoll(damage.file)) + ": " + std::to_string(damage.from.value) + ".." +
                      std::to_string(damage.to.value) + " " + damage.reason);
    }
    return texts;
  }
  std::uint64_t log_bytes(std::int64_t base) { return files->contents(path(base, ".log")).size(); }
  void cut_log(std::int64_t base, std::uint64_t bytes) {
    const auto log = files->open(path(base, ".log"), OpenMode::read_write);
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->truncate(bytes));
  }
  static LogHints trimmed_to(std::int64_t offset) { return {.log_start = Offset{offset}, .checkpoint = std::nullopt}; }
  /// Everything up to the batch at `offset` of the last segment is flushed and checked.
  LogHints checkpoint_at(std::int64_t segment, std::int64_t offset) {
    return {.log_start = Offset{0}, .checkpoint = LogCheckpoint{Offset{segment}, FilePosition{positions_[offset]}, Offset{offset}, 5}};
  }
};

TEST_F(Verify, finds_a_whole_partition_sound) {
  add_segment(0, {"ab", "c"}, 3);
  add_segment(3, {"d", "e"}, std::nullopt);
  const PartitionCheck found = check({});
  EXPECT_THAT(texts(found), IsEmpty());
  EXPECT_FALSE(found.torn);
  EXPECT_EQ(found.segments, 2u);
  EXPECT_EQ(found.bytes, log_bytes(0) + log_bytes(3));
}

TEST_F(Verify, takes_a_partition_without_files_for_an_empty_one) { EXPECT_EQ(check({}).segments, 0u); }

TEST_F(Verify, writes_nothing) {
  add_segment(0, {"ab", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  flip(0, 0, kRecordByte);
  cut_log(3, log_bytes(3) - 1);
  const std::uint64_t before = files->image_hash();
  EXPECT_FALSE(texts(check({})).empty());
  EXPECT_EQ(files->image_hash(), before);
}

TEST_F(Verify, names_every_damaged_range) {
  add_segment(0, {"ab", "c", "d"}, 4);
  add_segment(4, {"e", "f"}, 6);
  add_segment(6, {"g"}, std::nullopt);
  flip(0, 2, kRecordByte);
  flip(4, 5, kEpochByte);
  EXPECT_THAT(texts(check({})), ElementsAre("0: 2..3 crc", "4: 5..6 interval"));
}

TEST_F(Verify, takes_bad_bytes_behind_the_checkpoint_for_a_torn_tail) {
  add_segment(0, {"a", "b"}, std::nullopt);
  cut_log(0, log_bytes(0) - 7);
  const PartitionCheck found = check(checkpoint_at(0, 1));
  EXPECT_THAT(found.damage, IsEmpty());
  ASSERT_TRUE(found.torn);
  EXPECT_EQ(found.torn->position.value, positions_[1]);
  EXPECT_EQ(found.torn->bytes, log_bytes(0) - positions_[1]);
}

TEST_F(Verify, takes_bad_bytes_below_the_checkpoint_for_damage) {
  add_segment(0, {"a", "b", "c"}, std::nullopt);
  flip(0, 1, kRecordByte);
  EXPECT_THAT(texts(check(checkpoint_at(0, 2))), ElementsAre("0: 1..2 crc"));
}

TEST_F(Verify, takes_bytes_that_end_below_the_checkpoint_for_damage) {
  add_segment(0, {"a", "b", "c"}, std::nullopt);
  const LogHints hints = checkpoint_at(0, 2);
  cut_log(0, positions_[1]);
  EXPECT_THAT(texts(check(hints)), ElementsAre("0: 1..2 length"));
}

TEST_F(Verify, misses_files) {
  add_segment(0, {"a"}, 1);
  add_segment(1, {"b"}, 2);
  add_segment(2, {"c"}, std::nullopt);
  const LogHints hints{.log_start = Offset{0}, .checkpoint = LogCheckpoint{Offset{2}, FilePosition{log_bytes(2)}, Offset{3}, 5}};
  ASSERT_THAT(texts(check(hints)), IsEmpty());
  ASSERT_TRUE(files->remove(path(1, ".log")));
  EXPECT_THAT(texts(check(hints)), ElementsAre("1: 1..2 missing"));
  ASSERT_TRUE(files->remove(path(2, ".log")));
  EXPECT_THAT(texts(check(hints)), ElementsAre("2: 1..3 missing"));
  ASSERT_TRUE(files->remove(path(0, ".log")));
  EXPECT_THAT(texts(check(hints)), ElementsAre("2: 0..3 missing"));
}

TEST_F(Verify, misses_bytes_between_two_batches) {
  add_segment(0, {"a", "b"}, 2);
  add_segment(2, {"c"}, std::nullopt);
  cut_log(0, positions_[1]);
  EXPECT_THAT(texts(check({})), ElementsAre("0: 1..2 length"));
  ASSERT_TRUE(files->remove(path(0, ".seal")));
  EXPECT_THAT(texts(check({})), ElementsAre("0: 1..2 length"));
}

TEST_F(Verify, does_not_miss_what_was_trimmed) {
  add_segment(0, {"a"}, 1);
  add_segment(1, {"bcd"}, 4);
  add_segment(4, {"e"}, std::nullopt);
  flip(0, 0, kRecordByte);
  EXPECT_THAT(texts(check(trimmed_to(2))), IsEmpty());
  ASSERT_TRUE(files->remove(path(0, ".log")));
  EXPECT_THAT(texts(check(trimmed_to(2))), IsEmpty());
  EXPECT_THAT(texts(check(trimmed_to(0))), ElementsAre("0: 0..1 missing"));
}

TEST_F(Verify, passes_over_space_taken_for_the_next_segment) {
  add_segment(0, {"a", "b"}, std::nullopt);
  files->plant(path(9, ".log"), "");  // Made before the batches in between were written.
  EXPECT_THAT(texts(check({})), IsEmpty());
}

TEST_F(Verify, needs_neither_index_nor_seal) {
  add_segment(0, {"ab", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  for (const std::int64_t base : {0, 3}) ASSERT_TRUE(files->remove(path(base, ".idx")));
  ASSERT_TRUE(files->remove(path(0, ".seal")));
  EXPECT_THAT(texts(check({})), IsEmpty());
  flip(0, 0, kRecordByte);
  EXPECT_THAT(texts(check({})), ElementsAre("0: 0..2 crc"));
}

/// Sealed segments answer for every byte, fields outside the batch's own checksum included.
TEST_F(Verify, finds_every_flipped_byte_of_a_sealed_segment) {
  add_segment(0, {"a", "b"}, 2);
  add_segment(2, {"c"}, std::nullopt);
  const std::uint64_t bytes = log_bytes(0);
  for (std::uint64_t at = 0; at < bytes; at += at % positions_[1] < kBatchHeaderBytes + 8 ? 1 : 997) {
    files->flip_bit(path(0, ".log"), at, 3);
    const std::vector<std::string> found = texts(check({}));
    EXPECT_FALSE(found.empty()) << "byte " << at;
    for (const std::string& text : found) EXPECT_EQ(text.substr(0, 2), "0:");
    files->flip_bit(path(0, ".log"), at, 3);
  }
  EXPECT_THAT(texts(check({})), IsEmpty());
}

}  // namespace
}  // namespace tidemark::storage
