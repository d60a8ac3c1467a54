#include <gtest/gtest.h>

#include "storage/base/crc32c.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/log_driver.h"

namespace tidemark::storage {
namespace {

using simulation::SimulatedFileSystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Seen = std::vector<SeenRecord>;

constexpr const char* kFirstLog = "topics/t/0/00000000000000000000.log";
constexpr const char* kFirstIndex = "topics/t/0/00000000000000000000.idx";
constexpr const char* kFirstSeal = "topics/t/0/00000000000000000000.seal";

class LogRecoveryTest : public testing::Test, public LogDriver {
 protected:
  LogRecoveryTest() : LogDriver(disk_) {
    make_topic_directory(disk_);
    open();
  }
  SimulatedFileSystem& sim() { return disk_; }
  std::string contents(const char* path) { return disk_.contents(path); }
  void add_to(const char* path, const std::string& bytes) { disk_.plant(path, contents(path) + bytes); }
  void cut(const char* path, std::size_t bytes) { disk_.plant(path, contents(path).substr(0, bytes)); }
  std::vector<std::string> files_there() {
    std::vector<std::string> names;
    const Result<std::vector<DirectoryEntry>> entries = disk_.list(kDirectory);
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }
  void expect_sound() {
    EXPECT_TRUE(report().damage.empty()) << report().damage.front().to_string();
    EXPECT_FALSE(log().append_error());
  }
  static constexpr std::size_t kSmall = 69;  ///< Bytes of a batch with one record of one letter.

 private:
  SimulatedFileSystem disk_;
};

// --- What is normal.

TEST_F(LogRecoveryTest, finds_what_was_flushed) {
  write({"a", "b"});
  log().roll();
  write({"c"});
  open();
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}, {2, "c"}}));
  EXPECT_EQ(scanned(), (std::vector<std::int64_t>{0, 2}));
  expect_sound();
  EXPECT_EQ(write({"d"}), Offset{3});
  EXPECT_EQ(read_all().back(), (SeenRecord{3, "d"}));
}

TEST_F(LogRecoveryTest, reads_and_shows_only_what_lies_behind_the_checkpoint) {
  write({"a"});
  log().roll();
  write({"b"});
  checkpoint();
  write({"c"});
  open();
  EXPECT_EQ(report().scanned_bytes, kSmall);
  EXPECT_EQ(scanned(), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(log().bytes_since_checkpoint(), kSmall);
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}, {2, "c"}}));
}

TEST_F(LogRecoveryTest, reads_nothing_when_the_checkpoint_is_the_end) {
  for (int i = 0; i < 5; ++i) {
    write({"a"});
    log().roll();
  }
  write({"b"});
  checkpoint();
  sim().add_fault({.op = "read", .path_contains = ".log", .times = 1000});
  open();
  sim().clear_faults();
  EXPECT_EQ(report().scanned_bytes, 0u);
  EXPECT_EQ(read_all().size(), 6u);
}

TEST_F(LogRecoveryTest, keeps_the_leader_epoch) {
  log().set_leader_epoch(4);
  write({"a"});
  open();
  EXPECT_EQ(log().leader_epoch(), 4);
  checkpoint();
  open();
  EXPECT_EQ(log().leader_epoch(), 4);
}

TEST_F(LogRecoveryTest, keeps_exact_append_times_below_the_checkpoint_and_estimates_the_rest) {
  const Timestamp start = now();
  write({"a"});
  checkpoint();
  pass(seconds(5));
  write({"b"}, start.time_since_epoch().count() + 4'500);
  pass(hours(1));
  open();
  EXPECT_EQ(log().place_of({0})->append_time, start);
  EXPECT_EQ(log().place_of({1})->append_time, start);  // Same interval as far as the log tells: never later than the truth.
}

TEST_F(LogRecoveryTest, an_empty_segment_at_the_end_is_the_active_one) {
  write({"a"});
  log().roll();
  ASSERT_TRUE(try_make_space(100));
  open();
  EXPECT_EQ(log().segment_count(), 2u);
  EXPECT_EQ(write({"b"}), Offset{1});
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}}));
}

TEST_F(LogRecoveryTest, an_empty_segment_made_for_a_group_that_got_lost_is_removed) {
  write({"a"});
  sim().plant(path("00000000000000000009.log"), "");
  open();
  expect_sound();
  EXPECT_EQ(files_there(), (std::vector<std::string>{"00000000000000000000.log"}));
  EXPECT_EQ(write({"b"}), Offset{1});
}

TEST_F(LogRecoveryTest, finishes_a_removal_that_was_interrupted) {
  write({"a"});
  log().roll();
  write({"b"});
  checkpoint();
  hints().log_start = {1};  // Recorded; then the crash, between the renames.
  ASSERT_TRUE(disk().rename(kFirstSeal, std::string(kFirstSeal) + ".deleted"));
  open();
  EXPECT_EQ(files_there(), (std::vector<std::string>{"00000000000000000001.idx", "00000000000000000001.log"}));
  EXPECT_EQ(read_all(), (Seen{{1, "b"}}));
  expect_sound();
}

TEST_F(LogRecoveryTest, removes_what_is_derived_from_a_segment_that_is_trimmed_and_gone) {
  write({"a"});
  log().roll();
  write({"b"});
  checkpoint();
  hints().log_start = {1};
  ASSERT_TRUE(disk().remove(kFirstLog));
  open();
  EXPECT_EQ(files_there(), (std::vector<std::string>{"00000000000000000001.idx", "00000000000000000001.log"}));
  expect_sound();
}

TEST_F(LogRecoveryTest, a_log_trimmed_to_nothing_goes_on_at_its_start) {
  write({"a"});
  checkpoint();
  log().roll();
  trim({1});
  open();
  expect_sound();
  EXPECT_EQ(log().end_offset(), Offset{1});
  EXPECT_EQ(write({"b"}), Offset{1});
  open();
  EXPECT_EQ(read_all(), (Seen{{1, "b"}}));
}

// --- Torn tails.

TEST_F(LogRecoveryTest, a_torn_tail_is_cut_and_kept_aside) {
  write({"a"});
  add_to(kFirstLog, "half a batch");
  open();
  expect_sound();
  ASSERT_TRUE(report().torn);
  EXPECT_EQ(report().torn->position.value, kSmall);
  EXPECT_EQ(report().torn->bytes, 12u);
  EXPECT_EQ(report().torn->kept, std::string(kFirstLog) + ".torn-69");
  EXPECT_EQ(sim().contents(report().torn->kept), "half a batch");
  EXPECT_EQ(*disk().file_size(kFirstLog), kSmall);
  EXPECT_EQ(read_all(), (Seen{{0, "a"}}));
  open();
  EXPECT_FALSE(report().torn);
}

TEST_F(LogRecoveryTest, every_cut_of_an_unflushed_group_leaves_its_whole_batches) {
  write({"a"});
  const std::string before = contents(kFirstLog);
  stage(batch_of({"b"}));
  stage(batch_of({"c"}));
  flush();
  const std::string after = contents(kFirstLog);
  for (std::size_t size = before.size(); size <= after.size(); ++size) {
    sim().plant(kFirstLog, after.substr(0, size));
    open();
    expect_sound();
    Seen expected = {{0, "a"}, {1, "b"}, {2, "c"}};
    expected.resize(size / kSmall);
    EXPECT_EQ(read_all(), expected) << size;
    EXPECT_EQ(report().torn.has_value(), size % kSmall != 0) << size;
  }
}

TEST_F(LogRecoveryTest, zeros_at_the_end_are_cut_without_a_copy) {
  write({"a"});
  add_to(kFirstLog, std::string(5000, '\0'));
  open();
  ASSERT_TRUE(report().torn);
  EXPECT_EQ(report().torn->kept, "");
  EXPECT_EQ(files_there().size(), 1u);
  expect_sound();
}

TEST_F(LogRecoveryTest, the_newest_four_torn_tails_are_kept) {
  for (int i = 0; i < 6; ++i) {
    write({"a"});
    add_to(kFirstLog, "torn");
    open();
    ASSERT_TRUE(report().torn);
  }
  EXPECT_EQ(files_there().size(), 1 + 4u);
  EXPECT_EQ(read_all().size(), 6u);
}

TEST_F(LogRecoveryTest, a_full_disk_does_not_keep_the_log_from_opening) {
  write({"a"});
  add_to(kFirstLog, "half a batch");
  sim().set_capacity(0);
  open();
  ASSERT_TRUE(report().torn);
  EXPECT_EQ(report().torn->kept, "");
  EXPECT_EQ(read_all(), (Seen{{0, "a"}}));
}

TEST_F(LogRecoveryTest, a_tail_larger_than_a_group_is_not_torn) {
  write({"a"});
  const std::string megabyte(1'000'000, 'x');
  for (int i = 0; i < 9; ++i) write({megabyte});
  sim().flip_bit(kFirstLog, kSmall + 500, 0);
  open();
  EXPECT_FALSE(report().torn);
  ASSERT_EQ(report().damage.size(), 1u);
  EXPECT_EQ(report().damage.front().from, Offset{1});
  EXPECT_EQ(report().damage.front().to, Offset{2});
  EXPECT_EQ(read_from({2}).size(), 8u);
  EXPECT_EQ(try_read({1}).error().code, Errc::quarantined);
  open();
  EXPECT_EQ(report().damage.size(), 1u);
}

TEST_F(LogRecoveryTest, only_the_last_segment_with_data_can_be_torn) {
  write({"a"});
  write({"b"});
  log().roll();
  write({"c"});
  cut(kFirstLog, kSmall + 20);
  open();
  EXPECT_FALSE(report().torn);
  ASSERT_EQ(report().damage.size(), 1u);
  EXPECT_EQ(report().damage.front().from, Offset{1});
  EXPECT_EQ(report().damage.front().to, Offset{2});
  EXPECT_EQ(read_from({2}), (Seen{{2, "c"}}));
  EXPECT_FALSE(log().append_error());
  EXPECT_EQ(contents(kFirstLog).size(), kSmall + 20);  // Kept as it is.
}

// --- Damage.

TEST_F(LogRecoveryTest, an_end_before_the_checkpoint_is_damage_and_stops_appends) {
  write({"a"});
  write({"b"});
  write({"c"});
  checkpoint();
  for (const std::size_t size : {2 * kSmall, 2 * kSmall - 5, kSmall, std::size_t{10}}) {
    cut(kFirstLog, size);
    open();
    EXPECT_FALSE(report().torn) << size;
    ASSERT_EQ(report().damage.size(), 1u) << size;
    EXPECT_EQ(report().damage.front().from.value, static_cast<std::int64_t>(size / kSmall)) << size;
    EXPECT_EQ(report().damage.front().to, Offset{3});
    EXPECT_EQ(log().end_offset(), Offset{3});
    ASSERT_TRUE(log().append_error());
    EXPECT_EQ(log().append_error()->code, Errc::quarantined);
    EXPECT_EQ(read_all().size(), size / kSmall);
  }
}

TEST_F(LogRecoveryTest, an_empty_file_below_the_checkpoint_is_damage) {
  write({"a"});
  checkpoint();
  cut(kFirstLog, 0);
  open();
  ASSERT_EQ(report().damage.size(), 1u);
  EXPECT_EQ(report().damage.front().from, Offset{0});
  EXPECT_EQ(report().damage.front().to, Offset{1});
  EXPECT_EQ(log().end_offset(), Offset{1});
  EXPECT_EQ(try_read({0}).error().code, Errc::quarantined);
}

TEST_F(LogRecoveryTest, a_lost_directory_is_damage_up_to_the_checkpoint) {
  write({"a"});
  checkpoint();
  for (const std::string& name : files_there()) ASSERT_TRUE(disk().remove(path(name)));
  ASSERT_TRUE(disk().remove_directory(kDirectory));
  open();
  ASSERT_EQ(report().damage.size(), 1u);
  EXPECT_EQ(report().damage.front().reason, "missing");
  EXPECT_EQ(log().end_offset(), Offset{1});
  EXPECT_EQ(try_read({0}).error().code, Errc::quarantined);
  EXPECT_EQ(write({"b"}), Offset{1});
  EXPECT_EQ(read_from({1}), (Seen{{1, "b"}}));
}

TEST_F(LogRecoveryTest, a_missing_segment_is_quarantined_wherever_it_lies) {
  for (const char letter : {'a', 'b', 'c', 'd'}) {
    write({std::string(1, letter)});
    log().roll();
  }
  checkpoint();
  const std::vector<std::string> names = files_there();
  for (std::int64_t missing = 0; missing < 4; ++missing) {
    for (const bool with_seals : {true, false}) {
      const std::unique_ptr<SimulatedFileSystem> clone = sim().process_crash_clone();
      ASSERT_TRUE(clone->remove(path(segment_file_name({missing}, ".log"))));
      if (!with_seals) {
        for (const std::string& name : names) {
          if (name.ends_with(".seal")) ASSERT_TRUE(clone->remove(path(name)));
        }
      }
      LogDriver other(*clone, config(), hints());
      other.open();
      std::vector<Damage> jumped;
      Seen expected = {{0, "a"}, {1, "b"}, {2, "c"}, {3, "d"}};
      expected.erase(expected.begin() + missing);
      EXPECT_EQ(other.read_around_damage(jumped), expected) << missing;
      ASSERT_EQ(jumped.size(), 1u) << missing;
      EXPECT_EQ(jumped.front().from, Offset{missing});
      EXPECT_EQ(jumped.front().to, Offset{missing + 1});
      EXPECT_EQ(other.log().end_offset(), Offset{4});
    }
  }
}

TEST_F(LogRecoveryTest, an_error_of_the_disk_fails_the_opening_and_changes_nothing) {
  write({"a"});
  add_to(kFirstLog, "half a batch");
  sim().add_fault({.op = "read", .path_contains = ".log"});
  const Status opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::io_error);
  EXPECT_EQ(contents(kFirstLog).size(), kSmall + 12);
  open();
  EXPECT_EQ(read_all(), (Seen{{0, "a"}}));
}

TEST_F(LogRecoveryTest, what_a_failed_flush_left_in_the_cache_only_is_not_shown) {
  write({"a"});
  stage(batch_of({"b"}));
  sim().add_fault({.op = "sync"});
  EXPECT_FALSE(try_flush());
  sim().clear_faults();
  open();
  EXPECT_EQ(read_all(), (Seen{{0, "a"}}));
}

// --- The clean marker.

TEST_F(LogRecoveryTest, after_a_clean_stop_only_the_last_batch_is_read) {
  for (int i = 0; i < 10; ++i) {
    write({std::string(20'000, 'x')});
  }
  checkpoint();
  hints().clean = true;
  open();
  EXPECT_EQ(report().scanned_bytes, 0u);
  EXPECT_EQ(read_all().size(), 10u);
  sim().flip_bit(kFirstLog, *disk().file_size(kFirstLog) - 5, 0);
  open();
  ASSERT_EQ(report().damage.size(), 1u);
  EXPECT_EQ(report().damage.front().from, Offset{9});
  EXPECT_TRUE(log().append_error());
}

TEST_F(LogRecoveryTest, a_clean_marker_beside_a_longer_file_is_not_believed) {
  write({"a"});
  checkpoint();
  write({"b"});
  hints().clean = true;
  open();
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}}));
}

// --- Derived files.

/// Four batches in three intervals, sealed, and one batch behind.
class SealedSegmentTest : public LogRecoveryTest {
 protected:
  SealedSegmentTest() {
    write({"a"});
    write({"b", "b2"});
    pass(seconds(2));
    write({"c"});
    pass(seconds(2));
    write({"d"});
    write({"e"});
    log().roll();
    write({"last"});
    checkpoint();
    expected_ = read_all();
    boundaries_ = {0, 3, 4, 6};
    const Result<Seal> seal = decode_seal(*read_file(disk(), kFirstSeal, 1 << 20), {0});
    EXPECT_TRUE(seal);
    for (const SealInterval& interval : seal->intervals) positions_.push_back(interval.position.value);
    positions_.push_back(seal->log_bytes);
    EXPECT_EQ(positions_.size(), boundaries_.size());
  }

  /// Reads everything of `disk` and judges it: what is read is what was written, what is not is quarantined. The quarantined ranges.
  std::vector<Damage> judge(FileSystem& disk) {
    LogDriver other(disk, config(), hints());
    std::vector<Damage> jumped;
    other.open();
    if (HasFatalFailure()) return jumped;
    const Seen seen = other.read_around_damage(jumped);
    Seen left = expected_;
    std::erase_if(left, [&](const SeenRecord& record) {
      return std::ranges::any_of(jumped, [&](const Damage& damage) { return damage.contains({record.offset}); });
    });
    EXPECT_EQ(seen, left);
    EXPECT_EQ(other.log().end_offset(), Offset{7});
    return jumped;
  }

  /// Flips every bit of the log, with these files removed.
  void flip_every_bit(const std::vector<const char*>& without, bool epoch_is_covered) {
    for (std::size_t interval = 0; interval + 1 < positions_.size(); ++interval) {
      for (std::uint64_t at = positions_[interval]; at < positions_[interval + 1]; ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
          const std::unique_ptr<SimulatedFileSystem> disk = sim().process_crash_clone();
          for (const char* file : without) ASSERT_TRUE(disk->remove(file));
          disk->flip_bit(kFirstLog, at, bit);
          const std::vector<Damage> jumped = judge(*disk);
          if (epoch_is_covered) ASSERT_FALSE(jumped.empty()) << "byte " << at << " bit " << bit << " went unnoticed";
          for (const Damage& damage : jumped) {
            if (!epoch_is_covered) break;
            ASSERT_GE(damage.from.value, boundaries_[interval]) << at;
            ASSERT_LE(damage.to.value, boundaries_[interval + 1]) << at;
          }
          ASSERT_FALSE(HasFailure()) << "byte " << at << " bit " << bit;
        }
      }
    }
  }

  Seen expected_;
  std::vector<std::int64_t> boundaries_;  ///< Offsets where intervals begin.
  std::vector<std::uint64_t> positions_;
};

TEST_F(SealedSegmentTest, no_flipped_bit_goes_unnoticed_and_none_costs_more_than_its_interval) { flip_every_bit({}, true); }
TEST_F(SealedSegmentTest, the_seal_alone_finds_every_flipped_bit) { flip_every_bit({kFirstIndex}, true); }
TEST_F(SealedSegmentTest, the_index_alone_finds_every_flipped_bit) { flip_every_bit({kFirstSeal}, true); }
TEST_F(SealedSegmentTest, without_seal_and_index_no_wrong_record_is_shown) { flip_every_bit({kFirstIndex, kFirstSeal}, false); }

TEST_F(SealedSegmentTest, one_damaged_batch_costs_its_own_offsets_only) {
  sim().flip_bit(kFirstLog, positions_[1] - 1, 0);  // In "b".
  const std::vector<Damage> jumped = judge(disk());
  ASSERT_EQ(jumped.size(), 1u);
  EXPECT_EQ(jumped.front().from, Offset{1});
  EXPECT_EQ(jumped.front().to, Offset{3});
}

TEST_F(SealedSegmentTest, any_damage_to_the_index_is_repaired_from_the_log) {
  const std::string index = contents(kFirstIndex);
  for (std::size_t at = 0; at < index.size(); ++at) {
    const std::unique_ptr<SimulatedFileSystem> flipped = sim().process_crash_clone();
    flipped->flip_bit(kFirstIndex, at, 2);
    EXPECT_TRUE(judge(*flipped).empty()) << at;
    const std::unique_ptr<SimulatedFileSystem> shorter = sim().process_crash_clone();
    shorter->plant(kFirstIndex, index.substr(0, at));
    EXPECT_TRUE(judge(*shorter).empty()) << at;
    const SegmentIndex repaired = decode_index(as_bytes(shorter->contents(kFirstIndex)), {0});
    EXPECT_EQ(repaired.entries.size(), 3u) << at;
  }
  sim().plant(kFirstIndex, std::string(10'000, 'g'));
  EXPECT_TRUE(judge(disk()).empty());
}

TEST_F(SealedSegmentTest, any_damage_to_the_seal_costs_nothing_else) {
  const std::string seal = contents(kFirstSeal);
  for (std::size_t at = 0; at < seal.size(); ++at) {
    const std::unique_ptr<SimulatedFileSystem> flipped = sim().process_crash_clone();
    flipped->flip_bit(kFirstSeal, at, 5);
    EXPECT_TRUE(judge(*flipped).empty()) << at;
  }
  ASSERT_TRUE(disk().remove(kFirstSeal));
  EXPECT_TRUE(judge(disk()).empty());
}

TEST_F(SealedSegmentTest, a_lost_seal_is_written_again_by_the_next_checkpoint) {
  const std::string before = contents(kFirstSeal);
  ASSERT_TRUE(disk().remove(kFirstSeal));
  open();
  write({"more"});
  checkpoint();
  const Result<Seal> seal = decode_seal(as_bytes(contents(kFirstSeal)), {0});
  ASSERT_TRUE(seal);
  EXPECT_EQ(seal->intervals, decode_seal(as_bytes(before), {0})->intervals);
}

TEST_F(SealedSegmentTest, cut_anywhere_it_loses_the_rest_and_no_more) {
  const std::string whole = contents(kFirstLog);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::unique_ptr<SimulatedFileSystem> disk = sim().process_crash_clone();
    disk->plant(kFirstLog, whole.substr(0, size));
    const std::vector<Damage> jumped = judge(*disk);
    ASSERT_FALSE(jumped.empty()) << size;
    std::size_t batches = 0;  // Whole ones before the cut.
    std::int64_t kept = 0;
    for (ByteView rest = as_bytes(std::string_view(whole).substr(0, size)); !rest.empty();) {
      const Result<BatchHeader> header = BatchHeader::parse(rest);
      if (!header || header->size_bytes() > rest.size()) break;
      kept = header->end_offset().value;
      rest = rest.subspan(header->size_bytes());
      ++batches;
    }
    EXPECT_EQ(jumped.front().from.value, kept) << size << " after " << batches;
    EXPECT_EQ(jumped.back().to, Offset{6}) << size;
  }
}

TEST_F(SealedSegmentTest, bytes_behind_its_end_are_not_the_logs) {
  add_to(kFirstLog, "garbage");
  EXPECT_TRUE(judge(disk()).empty());
}

TEST_F(SealedSegmentTest, a_gap_that_cleaning_left_is_legal) {
  // Without offsets 1 and 2: the second batch is gone.
  const std::string whole = contents(kFirstLog);
  const std::size_t first = 69;
  const std::size_t second = BatchHeader::parse(as_bytes(std::string_view(whole).substr(first)))->size_bytes();
  const std::string cleaned = whole.substr(0, first) + whole.substr(first + second);
  sim().plant(kFirstLog, cleaned);
  Seal seal = *decode_seal(as_bytes(contents(kFirstSeal)), {0});
  seal.cleaned = true;
  seal.log_bytes = cleaned.size();
  seal.intervals = {{{0}, {0}, crc32c(as_bytes(cleaned))}};
  sim().plant(kFirstSeal, as_text(encode_seal(seal)));
  std::erase_if(expected_, [](const SeenRecord& record) { return record.offset == 1 || record.offset == 2; });
  EXPECT_TRUE(judge(disk()).empty());
  open();
  EXPECT_EQ(read_from({1}).front().offset, 3);
  EXPECT_EQ(read_from({2}).front().offset, 3);
}

TEST_F(LogRecoveryTest, the_active_segments_index_finds_flipped_bits_below_the_checkpoint) {
  write({"a"});
  write({"b"});
  checkpoint();
  for (std::uint64_t at = 0; at < 2 * kSmall; ++at) {
    const std::unique_ptr<SimulatedFileSystem> disk = sim().process_crash_clone();
    disk->flip_bit(kFirstLog, at, 4);
    LogDriver other(*disk, config(), hints());
    other.open();
    EXPECT_FALSE(other.report().torn) << at;
    std::vector<Damage> jumped;
    for (const SeenRecord& record : other.read_around_damage(jumped)) {
      EXPECT_EQ(record, (SeenRecord{record.offset, record.offset == 0 ? "a" : "b"})) << at;
    }
    EXPECT_FALSE(jumped.empty()) << at;
    EXPECT_TRUE(other.log().append_error()) << at;
  }
}

TEST_F(LogRecoveryTest, the_active_segments_index_may_be_lost) {
  write({"a"});
  pass(seconds(3));
  write({"b"});
  checkpoint();
  write({"c"});
  const std::string index = contents(kFirstIndex);
  for (std::size_t size = 0; size <= index.size(); ++size) {
    sim().plant(kFirstIndex, index.substr(0, size));
    open();
    expect_sound();
    EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}, {2, "c"}})) << size;
  }
  ASSERT_TRUE(disk().remove(kFirstIndex));
  open();
  EXPECT_EQ(report().indexes_rebuilt, 1u);
  EXPECT_EQ(scanned(), (std::vector<std::int64_t>{2}));  // Producers know what lies below the checkpoint.
  EXPECT_EQ(read_all().size(), 3u);
}

TEST_F(LogRecoveryTest, opening_twice_gives_the_same_log) {
  write({"a"});
  log().roll();
  write({"b"});
  checkpoint();
  write({"c"});
  add_to(path("00000000000000000001.log").c_str(), "torn");
  open();
  const std::uint64_t first = sim().image_hash();
  const Seen seen = read_all();
  open();
  EXPECT_EQ(sim().image_hash(), first);
  EXPECT_EQ(read_all(), seen);
}

}  // namespace
}  // namespace tidemark::storage
