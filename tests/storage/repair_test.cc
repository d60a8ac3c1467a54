#include "storage/repair.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/segments_on_disk.h"

namespace tidemark::storage {
namespace {

using simulation::CrashPolicy;
using simulation::SimulatedFileSystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Repair : public SegmentsOnDisk {
 protected:
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

TEST_F(Repair, replaces_a_segment_that_is_missing) {
  add_segment(0, {"ab"}, 2);
  add_segment(5, {"f"}, std::nullopt);
  EXPECT_EQ(drop(2, 4).error().code, Errc::conflict);
  const Result<RepairReport> report = drop(2, 5);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->file, segment_file_name(Offset{2}, ".log"));
  EXPECT_EQ(records(2, 5), "");
  EXPECT_THAT(damage(2), IsEmpty());
  EXPECT_THAT(files->contents("p/lost"), HasSubstr(R"("reason":"missing")"));
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
