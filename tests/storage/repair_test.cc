#include "storage/repair.h"

#include <functional>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/batch/record_batch.h"
#include "storage/seal.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"
#include "tests/simulation/simulated_file_system.h"

namespace tidemark::storage {
namespace {

using simulation::CrashPolicy;
using simulation::SimulatedFileSystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Timestamp kNow{std::chrono::milliseconds(1'800'000'000'000)};
constexpr Timestamp kAppended{std::chrono::milliseconds(1'700'000'000'000)};
/// Large enough for every batch to begin an index interval of its own.
constexpr std::size_t kValueBytes = kIndexIntervalBytes + 1000;
constexpr std::size_t kEpochByte = 15;
constexpr std::size_t kLengthByte = 9;
constexpr std::size_t kRecordByte = 1000;

ByteVector make_batch(std::int64_t base, std::string_view names) {
  BatchBuilder builder;
  for (const char name : names) {
    const std::string value(kValueBytes, name);
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = 1000 + base, .headers = {}});
  }
  const Slice built = builder.build();
  patch_batch(built.writable(), Offset{base}, 5);
  return ByteVector(built.view().begin(), built.view().end());
}

/// A partition of segments whose batches hold records named by one letter each.
class Repair : public testing::Test {
 protected:
  static constexpr const char* kDirectory = "p";

  static std::string path(std::int64_t base, std::string_view suffix) {
    return std::string(kDirectory) + "/" + segment_file_name(Offset{base}, suffix);
  }

  void write(const std::string& name, ByteView bytes) { files->plant(name, as_text(bytes)); }

  /// Batches, given by the names of their records, in a segment of their own; positions_ learns where each begins.
  void add_segment(std::int64_t base, const std::vector<std::string>& batches, std::optional<std::int64_t> end) {
    ByteVector log;
    std::int64_t offset = base;
    for (const std::string& names : batches) {
      positions_[offset] = log.size();
      const ByteVector batch = make_batch(offset, names);
      log.insert(log.end(), batch.begin(), batch.end());
      offset += static_cast<std::int64_t>(names.size());
    }
    write(path(base, ".log"), log);
    describe(base, log.size(), end);
  }

  /// Index and, for a full segment, seal, as the log writes them.
  void describe(std::int64_t base, std::uint64_t bytes, std::optional<std::int64_t> end) {
    const auto log = files->open(path(base, ".log"), OpenMode::read);
    ASSERT_TRUE(log);
    SegmentIndex index;
    const ScanOptions options{.base = Offset{base},
                              .from = {},
                              .chain = {Offset{base}, 0, false},
                              .file_bytes = bytes,
                              .torn_from = std::nullopt,
                              .landmarks = {},
                              .now = kNow,
                              .segment_end = std::nullopt,
                              .file_name = "log"};
    ASSERT_TRUE(scan_segment(**log, options, index, {}));
    ByteVector index_file = encode_index_header(Offset{base});
    Seal seal{.base = Offset{base},
              .end = Offset{end.value_or(0)},
              .log_bytes = bytes,
              .first_append = kAppended,
              .last_append = kAppended,
              .intervals = {}};
    for (IndexEntry& entry : index.entries) {
      entry.append_time = kAppended + std::chrono::milliseconds(entry.first_offset.value);
      entry.estimated = false;
      encode_index_entry(index_file, Offset{base}, entry);
      seal.intervals.push_back({entry.first_offset, entry.position, entry.interval_crc});
    }
    write(path(base, ".idx"), index_file);
    if (end) write(path(base, ".seal"), encode_seal(seal));
  }

  void flip(std::int64_t segment, std::int64_t batch, std::size_t byte) {
    files->flip_bit(path(segment, ".log"), positions_[batch] + byte, 1);
  }

  std::vector<std::string> damage(std::int64_t offset) { return damage_on(*files, offset); }
  static std::vector<std::string> damage_on(FileSystem& disk, std::int64_t offset) {
    const auto found = find_damaged_bytes(disk, kDirectory, Offset{offset}, kNow);
    EXPECT_TRUE(found);
    std::vector<std::string> texts;
    if (!found) return texts;
    for (const DamagedBytes& part : *found) {
      texts.push_back(std::to_string(part.damage.from.value) + ".." + std::to_string(part.damage.to.value) + " " + part.damage.reason);
    }
    return texts;
  }

  Result<RepairReport> drop(std::int64_t from, std::int64_t to) {
    return drop_damaged_range(*files, kDirectory, Offset{from}, Offset{to}, kNow);
  }

  /// "0:a 1:b" of every record in the segment file; also checks that its batches follow one another.
  static std::string records_on(SimulatedFileSystem& disk, std::int64_t base, std::optional<std::int64_t> end) {
    const std::string log = disk.contents(path(base, ".log"));
    ByteView rest = as_bytes(log);
    Offset expected{base};
    std::string text;
    while (!rest.empty()) {
      const Result<BatchHeader> header = BatchHeader::parse(rest);
      if (!header || header->size_bytes() > rest.size()) return text + " then no batch";
      EXPECT_EQ(header->base_offset, expected);
      EXPECT_TRUE(batch_crc_matches(rest.first(header->size_bytes())));
      expected = header->end_offset();
      Result<BatchReader> reader = BatchReader::open(rest.first(header->size_bytes()));
      EXPECT_TRUE(reader);
      RecordView record;
      while (reader && *reader->next(record)) {
        if (!text.empty()) text += ' ';
        text += std::to_string(record.offset.value) + ":" + static_cast<char>((*record.value)[0]);
      }
      rest = rest.subspan(header->size_bytes());
    }
    if (end) EXPECT_EQ(expected, Offset{*end});
    return text;
  }
  std::string records(std::int64_t base, std::optional<std::int64_t> end) { return records_on(*files, base, end); }

  std::unique_ptr<SimulatedFileSystem> files = std::make_unique<SimulatedFileSystem>();
  std::map<std::int64_t, std::size_t> positions_;  ///< By base offset of the batch.
};

TEST_F(Repair, finds_nothing_in_a_sound_segment) {
  add_segment(0, {"ab", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  EXPECT_THAT(damage(1), IsEmpty());
  EXPECT_THAT(damage(3), IsEmpty());
}

TEST_F(Repair, gives_up_the_range_and_keeps_its_bytes) {
  add_segment(0, {"ab", "cd", "e"}, 5);
  add_segment(5, {"f"}, std::nullopt);
  flip(0, 2, kRecordByte);
  const std::string bad = files->contents(path(0, ".log")).substr(positions_[2], positions_[4] - positions_[2]);
  ASSERT_THAT(damage(0), ElementsAre("2..4 crc"));

  const Result<RepairReport> report = drop(2, 4);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->bytes, bad.size());
  EXPECT_EQ(report->kept, path(0, ".log") + ".lost-" + std::to_string(positions_[2]));
  EXPECT_EQ(files->contents(report->kept), bad);
  EXPECT_EQ(records(0, 5), "0:a 1:b 4:e");
  EXPECT_THAT(damage(0), IsEmpty());
  EXPECT_THAT(files->contents("p/lost"), HasSubstr(R"("from":2,"to":4,"reason":"crc")"));
}

TEST_F(Repair, keeps_append_times) {
  add_segment(0, {"a", "b", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  flip(0, 1, kRecordByte);
  ASSERT_TRUE(drop(1, 2));
  const std::string index_file = files->contents(path(0, ".idx"));
  const SegmentIndex index = decode_index(as_bytes(index_file), Offset{0});
  const auto last = index.entries.at(*index.find_offset(Offset{2}));
  EXPECT_EQ(last.first_offset, Offset{2});
  EXPECT_EQ(last.append_time, kAppended + std::chrono::milliseconds(2));
  EXPECT_FALSE(last.estimated);
  EXPECT_EQ(index.covered().value, files->contents(path(0, ".log")).size());
}

TEST_F(Repair, makes_a_seal_that_holds) {
  add_segment(0, {"a", "b", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  flip(0, 1, kRecordByte);
  ASSERT_TRUE(drop(1, 2));
  const std::string seal_file = files->contents(path(0, ".seal"));
  const Result<Seal> seal = decode_seal(as_bytes(seal_file), Offset{0});
  ASSERT_TRUE(seal) << seal.error().to_string();
  EXPECT_EQ(seal->end, Offset{3});
  EXPECT_EQ(seal->log_bytes, files->contents(path(0, ".log")).size());
  flip(0, 0, kEpochByte);  // Only the seal can see that.
  EXPECT_THAT(damage(0), SizeIs(testing::Ge(1u)));
}

TEST_F(Repair, never_drops_what_is_sound) {
  add_segment(0, {"ab", "cd", "e"}, 5);
  add_segment(5, {"f"}, std::nullopt);
  EXPECT_EQ(drop(0, 2).error().code, Errc::conflict);
  flip(0, 2, kRecordByte);
  const std::string before = files->contents(path(0, ".log"));
  for (const auto& [from, to] : {std::pair{0, 5}, {2, 3}, {2, 5}, {0, 4}, {3, 4}, {4, 5}, {4, 2}}) {
    const Result<RepairReport> report = drop(from, to);
    ASSERT_FALSE(report) << from << ".." << to;
    EXPECT_EQ(report.error().code, Errc::conflict);
    EXPECT_THAT(report.error().detail, HasSubstr("2..4"));
  }
  EXPECT_EQ(files->contents(path(0, ".log")), before);
}

TEST_F(Repair, takes_ranges_next_to_each_other_together) {
  add_segment(0, {"a", "b", "c", "d"}, 4);
  add_segment(4, {"e"}, std::nullopt);
  flip(0, 1, kRecordByte);
  flip(0, 2, kRecordByte);
  ASSERT_TRUE(drop(1, 3));
  EXPECT_EQ(records(0, 4), "0:a 3:d");
}

TEST_F(Repair, leaves_other_damage_to_be_found) {
  add_segment(0, {"a", "b", "c", "d"}, 4);
  add_segment(4, {"e"}, std::nullopt);
  flip(0, 1, kRecordByte);
  flip(0, 3, kEpochByte);
  ASSERT_THAT(damage(0), ElementsAre("1..2 crc", "3..4 interval"));
  ASSERT_TRUE(drop(1, 2));
  EXPECT_THAT(damage(0), ElementsAre("3..4 interval"));
  ASSERT_TRUE(drop(3, 4));
  EXPECT_EQ(records(0, 4), "0:a 2:c");
  EXPECT_THAT(damage(0), IsEmpty());
}

TEST_F(Repair, finds_the_next_batch_behind_a_lying_length) {
  add_segment(0, {"a", "b", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  flip(0, 1, kLengthByte);
  ASSERT_THAT(damage(0), ElementsAre(HasSubstr("1..2")));
  ASSERT_TRUE(drop(1, 2));
  EXPECT_EQ(records(0, 3), "0:a 2:c");
}

TEST_F(Repair, replaces_bytes_that_are_missing_at_the_end) {
  add_segment(0, {"a", "b", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  {
    const auto log = files->open(path(0, ".log"), OpenMode::read_write);
    ASSERT_TRUE((*log)->truncate(positions_[2]));
  }
  ASSERT_THAT(damage(0), ElementsAre("2..3 length"));
  const Result<RepairReport> report = drop(2, 3);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->bytes, 0u);
  EXPECT_EQ(records(0, 3), "0:a 1:b");
  EXPECT_THAT(damage(0), IsEmpty());
}

TEST_F(Repair, makes_the_next_start_read_the_rest_of_the_last_segment) {
  add_segment(0, {"a", "b", "c"}, std::nullopt);
  flip(0, 1, kRecordByte);
  ASSERT_TRUE(drop(1, 2));
  EXPECT_EQ(records(0, std::nullopt), "0:a 2:c");
  const std::string index_file = files->contents(path(0, ".idx"));
  EXPECT_LE(decode_index(as_bytes(index_file), Offset{0}).covered().value, positions_[1]);
  EXPECT_FALSE(*files->exists(path(0, ".seal")));
}

TEST_F(Repair, knows_no_segment_below_the_first) {
  add_segment(10, {"a"}, std::nullopt);
  EXPECT_EQ(drop(5, 6).error().code, Errc::not_found);
}

TEST_F(Repair, changes_nothing_on_a_full_disk) {
  add_segment(0, {"a", "b", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  flip(0, 1, kRecordByte);
  const std::string before = files->contents(path(0, ".log"));
  const Result<SpaceInfo> space = files->space("/");
  ASSERT_TRUE(space);
  // Room for the copy of the lost bytes, not for the rewritten segment.
  files->set_capacity(space->total_bytes - space->free_bytes + 2 * kValueBytes);
  const Result<RepairReport> report = drop(1, 2);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::disk_full);
  EXPECT_EQ(files->contents(path(0, ".log")), before);
  EXPECT_THAT(damage(0), ElementsAre("1..2 crc"));
}

/// Power fails before every single call; what is left is repaired again.
TEST_F(Repair, survives_a_crash_at_every_call) {
  add_segment(0, {"a", "b", "c"}, 3);
  add_segment(3, {"d"}, std::nullopt);
  flip(0, 1, kRecordByte);
  const std::string bad = files->contents(path(0, ".log")).substr(positions_[1], positions_[2] - positions_[1]);
  std::vector<std::unique_ptr<SimulatedFileSystem>> crashes;
  files->on_call([&](std::uint64_t index, std::string_view, const std::string&) {
    for (const CrashPolicy policy : {CrashPolicy::drop_all, CrashPolicy::keep_all, CrashPolicy::random})
      crashes.push_back(files->crash_clone(policy, index + crashes.size()));
    crashes.push_back(files->process_crash_clone());
  });
  ASSERT_TRUE(drop(1, 2));
  files->on_call({});
  ASSERT_THAT(crashes, SizeIs(testing::Gt(20u)));

  for (std::size_t i = 0; i < crashes.size(); ++i) {
    SCOPED_TRACE("crash " + std::to_string(i));
    SimulatedFileSystem& disk = *crashes[i];
    if (!damage_on(disk, 0).empty()) {
      const Result<RepairReport> again = drop_damaged_range(disk, kDirectory, Offset{1}, Offset{2}, kNow);
      ASSERT_TRUE(again) << again.error().to_string();
    }
    EXPECT_EQ(records_on(disk, 0, 3), "0:a 2:c");
    EXPECT_THAT(damage_on(disk, 0), IsEmpty());
    EXPECT_EQ(disk.contents(path(0, ".log") + ".lost-" + std::to_string(positions_[1])), bad);
    const std::string lost = disk.contents("p/lost");
    EXPECT_EQ(std::ranges::count(lost, '\n'), 1);
  }
}

}  // namespace
}  // namespace tidemark::storage
