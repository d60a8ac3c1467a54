#include "tools/tidemark/segment_file.h"

#include <algorithm>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/simulation/simulated_file_system.h"

namespace tidemark::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SegmentFileWalk : public testing::Test {
 protected:
  static ByteVector batch(std::int64_t base, std::initializer_list<std::string_view> values) {
    BatchBuilder builder;
    for (const std::string_view value : values)
      builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1000, .headers = {}});
    const Slice built = builder.build();
    patch_batch(built.writable(), Offset{base}, 3);
    return ByteVector(built.view().begin(), built.view().end());
  }
  void append(const ByteVector& bytes) { contents.insert(contents.end(), bytes.begin(), bytes.end()); }
  SegmentFile open() {
    Result<std::unique_ptr<storage::File>> file = files.open("s.log", storage::OpenMode::create);
    CHECK(file);
    const ByteView part = contents;
    CHECK((*file)->write(FilePosition{0}, std::span(&part, 1)));
    Result<SegmentFile> segment = SegmentFile::open(files, "s.log");
    CHECK(segment);
    return *std::move(segment);
  }
  /// "base..end" of each batch, with " bad" where the checksum is; the error, if any, in `error`.
  std::vector<std::string> walk() {
    SegmentFile segment = open();
    std::vector<std::string> seen;
    for (;;) {
      const Result<std::optional<SegmentFile::Batch>> next = segment.next();
      if (!next) {
        error = next.error().detail;
        return seen;
      }
      if (!*next) return seen;
      const SegmentFile::Batch& found = **next;
      seen.push_back(std::to_string(found.header.base_offset.value) + ".." + std::to_string(found.header.end_offset().value) +
                     (found.crc_valid ? "" : " bad"));
    }
  }

  simulation::SimulatedFileSystem files;
  ByteVector contents;
  std::string error;
};

TEST_F(SegmentFileWalk, finds_every_batch) {
  append(batch(10, {"a", "b"}));
  append(batch(12, {"c"}));
  append(batch(20, {std::string(3'000'000, 'x')}));  // Larger than one read.
  append(batch(21, {"d"}));
  EXPECT_THAT(walk(), ElementsAre("10..12", "12..13", "20..21", "21..22"));
  EXPECT_EQ(error, "");
}

TEST_F(SegmentFileWalk, finds_nothing_in_an_empty_file) { EXPECT_THAT(walk(), ElementsAre()); }

TEST_F(SegmentFileWalk, takes_zeros_at_the_end_for_unused_space) {
  append(batch(0, {"a"}));
  append(ByteVector(5000));
  EXPECT_THAT(walk(), ElementsAre("0..1"));
  EXPECT_EQ(error, "");
}

TEST_F(SegmentFileWalk, marks_a_batch_whose_checksum_is_wrong_and_goes_on) {
  append(batch(0, {"a"}));
  contents.back() ^= std::byte{1};
  append(batch(1, {"b"}));
  EXPECT_THAT(walk(), ElementsAre("0..1 bad", "1..2"));
}

TEST_F(SegmentFileWalk, stops_where_no_batch_is) {
  append(batch(0, {"a"}));
  const std::size_t position = contents.size();
  append(ByteVector(100, std::byte{0x55}));
  EXPECT_THAT(walk(), ElementsAre("0..1"));
  EXPECT_THAT(error, HasSubstr("s.log at " + std::to_string(position)));
}

TEST_F(SegmentFileWalk, stops_at_zeros_with_something_behind_them) {
  append(ByteVector(2'000'000));
  append(batch(0, {"a"}));
  EXPECT_THAT(walk(), ElementsAre());
  EXPECT_THAT(error, HasSubstr("s.log at 0"));
}

TEST_F(SegmentFileWalk, stops_at_a_batch_that_the_end_cuts_off) {
  append(batch(0, {"a"}));
  append(batch(1, {"bcdefgh"}));
  contents.pop_back();
  EXPECT_THAT(walk(), ElementsAre("0..1"));
  EXPECT_THAT(error, HasSubstr("cut off"));
}

TEST_F(SegmentFileWalk, survives_every_single_flipped_byte) {
  append(batch(0, {"a", "b"}));
  append(batch(2, {"c"}));
  const ByteVector sound = contents;
  for (std::size_t i = 0; i < sound.size(); ++i) {
    contents = sound;
    contents[i] ^= std::byte{0xff};
    error.clear();
    const std::vector<std::string> seen = walk();
    // Base offset, leader epoch and the length that leads to the next batch lie outside the checksum; every other flip must show.
    const bool covered = i >= 16 && i < batch(0, {"a", "b"}).size();
    const bool noticed = !error.empty() || std::ranges::any_of(seen, [](const std::string& s) { return s.ends_with("bad"); });
    if (covered) EXPECT_TRUE(noticed) << "byte " << i;
    EXPECT_LE(seen.size(), 2u);
  }
}

}  // namespace
}  // namespace tidemark::tools
