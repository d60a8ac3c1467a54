#include "tests/simulation/simulated_file_system.h"

#include <algorithm>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::simulation {
namespace {

using storage::File;
using storage::OpenMode;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int kSeeds = 300;

class SimulatedDisk : public testing::Test {
 protected:
  std::unique_ptr<File> open(const std::string& path, OpenMode mode = OpenMode::create) {
    Result<std::unique_ptr<File>> file = disk.open(path, mode);
    CHECK(file);
    return *std::move(file);
  }
  static Status write(File& file, std::uint64_t at, std::string_view bytes) {
    const ByteView part = as_bytes(bytes);
    return file.write(FilePosition{at}, std::span(&part, 1));
  }
  static std::string read(File& file, std::uint64_t at, std::size_t count) {
    std::string bytes(count, '?');
    const Result<std::size_t> filled = file.read(FilePosition{at}, std::as_writable_bytes(std::span(bytes)));
    CHECK(filled);
    bytes.resize(*filled);
    return bytes;
  }
  static std::string sectors(std::size_t count, char fill) { return std::string(count * kSectorBytes, fill); }
  std::string after_crash(CrashPolicy policy, const std::string& path = "f") { return disk.crash_clone(policy, 1)->contents(path); }
  /// What random crashes make of a file, over many seeds.
  std::set<std::string> possible_contents(const std::string& path = "f") {
    std::set<std::string> found;
    for (int seed = 0; seed < kSeeds; ++seed)
      found.insert(disk.crash_clone(CrashPolicy::random, static_cast<std::uint64_t>(seed))->contents(path));
    return found;
  }
  std::set<std::vector<std::string>> possible_trees() {
    std::set<std::vector<std::string>> found;
    for (int seed = 0; seed < kSeeds; ++seed) found.insert(disk.crash_clone(CrashPolicy::random, static_cast<std::uint64_t>(seed))->tree());
    return found;
  }
  std::uint64_t free_bytes() { return disk.space("/")->free_bytes; }

  SimulatedFileSystem disk;
};

using Crash = SimulatedDisk;

TEST_F(Crash, without_a_sync_of_the_directory_the_name_is_lost_although_the_bytes_were_synced) {
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 0, "abc"));
  ASSERT_TRUE(file->sync());
  EXPECT_THAT(disk.crash_clone(CrashPolicy::drop_all, 1)->tree(), IsEmpty());
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_THAT(disk.crash_clone(CrashPolicy::drop_all, 1)->tree(), ElementsAre("f"));
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), "abc");
}

TEST_F(Crash, without_a_sync_of_the_file_the_bytes_are_lost_although_the_name_was_synced) {
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 0, "abc"));
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), "");
  EXPECT_EQ(after_crash(CrashPolicy::keep_all), "abc");
}

TEST_F(Crash, an_overwritten_sector_goes_back_to_the_synced_bytes) {
  disk.plant("f", "old");
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 0, "new"));
  EXPECT_EQ(read(*file, 0, 3), "new");
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), "old");
  EXPECT_EQ(after_crash(CrashPolicy::keep_all), "new");
}

TEST_F(Crash, sync_all_makes_every_byte_and_name_durable) {
  ASSERT_TRUE(disk.create_directory("d"));
  const auto first = open("d/a");
  const auto second = open("b");
  ASSERT_TRUE(write(*first, 0, "1"));
  ASSERT_TRUE(write(*second, 0, "2"));
  ASSERT_TRUE(disk.sync_all(*first));
  EXPECT_THAT(disk.crash_clone(CrashPolicy::drop_all, 1)->tree(), ElementsAre("b", "d/", "d/a"));
  EXPECT_EQ(after_crash(CrashPolicy::drop_all, "d/a"), "1");
  EXPECT_EQ(after_crash(CrashPolicy::drop_all, "b"), "2");
}

TEST_F(Crash, at_random_each_sector_of_a_write_is_new_old_zero_or_torn) {
  disk.plant("f", sectors(3, 'o'));
  ASSERT_TRUE(write(*open("f"), 0, sectors(3, 'n')));
  std::set<std::string> kinds;
  bool mixed = false;
  for (const std::string& contents : possible_contents()) {
    ASSERT_EQ(contents.size(), 3 * kSectorBytes);
    std::string image;
    for (std::size_t s = 0; s < 3; ++s) {
      const std::string sector = contents.substr(s * kSectorBytes, kSectorBytes);
      if (sector == sectors(1, 'n'))
        image += 'n';
      else if (sector == sectors(1, 'o'))
        image += 'o';
      else if (sector == sectors(1, '\0'))
        image += '0';
      else
        image += 't';
    }
    for (const char kind : image) kinds.insert(std::string(1, kind));
    mixed = mixed || (image.front() == 'o' && image.back() == 'n');  // Later bytes may be there without the earlier ones.
  }
  EXPECT_THAT(kinds, ElementsAre("0", "n", "o", "t"));
  EXPECT_TRUE(mixed);
}

TEST_F(Crash, a_torn_sector_begins_with_new_bytes_and_ends_in_garbage) {
  disk.plant("f", sectors(1, 'o'));
  ASSERT_TRUE(write(*open("f"), 0, sectors(1, 'n')));
  EXPECT_TRUE(std::ranges::any_of(possible_contents(), [](const std::string& sector) {
    return sector.starts_with("nnnnnnnn") && !sector.ends_with("nnnnnnnn") && !sector.ends_with("oooooooo");
  }));
}

TEST_F(Crash, synced_bytes_in_the_same_sector_as_unsynced_ones_never_change) {
  disk.plant("f", std::string(100, 's'));
  ASSERT_TRUE(write(*open("f"), 100, std::string(200, 'n')));
  for (const std::string& contents : possible_contents()) EXPECT_TRUE(contents.starts_with(std::string(100, 's')));
}

TEST_F(Crash, a_file_that_grew_may_have_any_size_between_and_zeros_where_its_bytes_are_missing) {
  disk.plant("f", "");
  ASSERT_TRUE(write(*open("f"), 0, sectors(2, 'n')));
  const std::set<std::string> found = possible_contents();
  EXPECT_THAT(found, Contains(""));
  EXPECT_THAT(found, Contains(sectors(2, 'n')));
  EXPECT_THAT(found, Contains(sectors(2, '\0')));
  EXPECT_TRUE(std::ranges::any_of(found, [](const std::string& bytes) { return !bytes.empty() && bytes.size() % kSectorBytes != 0; }));
  for (const std::string& contents : found) EXPECT_LE(contents.size(), 2 * kSectorBytes);
}

TEST_F(Crash, an_unsynced_truncate_happened_or_not_and_never_mixes_old_bytes_with_later_ones) {
  disk.plant("f", sectors(4, 'o'));
  const auto file = open("f");
  ASSERT_TRUE(file->truncate(kSectorBytes));
  ASSERT_TRUE(write(*file, kSectorBytes, sectors(2, 'n')));
  const std::set<std::string> found = possible_contents();
  EXPECT_THAT(found, Contains(sectors(4, 'o')));
  EXPECT_THAT(found, Contains(sectors(1, 'o')));
  EXPECT_THAT(found, Contains(sectors(1, 'o') + sectors(2, 'n')));
  for (const std::string& contents : found) {
    if (contents == sectors(4, 'o')) continue;
    EXPECT_LE(contents.size(), 3 * kSectorBytes);
    EXPECT_THAT(contents.substr(kSectorBytes, kSectorBytes), Not(HasSubstr("ooo")));
  }
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), sectors(4, 'o'));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), sectors(1, 'o') + sectors(2, 'n'));
}

TEST_F(Crash, bytes_cut_off_do_not_come_back_when_the_file_grows_again) {
  disk.plant("f", "abcdef");
  const auto file = open("f");
  ASSERT_TRUE(file->truncate(2));
  ASSERT_TRUE(file->truncate(6));
  EXPECT_EQ(read(*file, 0, 6), std::string("ab\0\0\0\0", 6));
}

TEST_F(Crash, each_unsynced_name_is_there_or_not_on_its_own) {
  ASSERT_TRUE(open("a"));
  ASSERT_TRUE(open("b"));
  const auto found = possible_trees();
  EXPECT_EQ(found.size(), 4U);
  EXPECT_THAT(found, Contains(std::vector<std::string>{"b"}));
}

TEST_F(Crash, a_renamed_file_has_the_old_name_the_new_one_or_both_and_is_never_lost) {
  disk.plant("old", "x");
  ASSERT_TRUE(disk.rename("old", "new"));
  using Names = std::vector<std::string>;
  EXPECT_THAT(possible_trees(), ElementsAre(Names{"new"}, Names{"new", "old"}, Names{"old"}));
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_THAT(possible_trees(), ElementsAre(Names{"new"}));
}

TEST_F(Crash, two_names_left_by_a_rename_lead_to_one_file) {
  disk.plant("old", "x");
  ASSERT_TRUE(disk.rename("old", "new"));
  for (std::uint64_t seed = 0;; ++seed) {
    const auto after = disk.crash_clone(CrashPolicy::random, seed);
    if (after->tree().size() != 2) continue;
    ASSERT_TRUE((*after->open("old", OpenMode::read_write))->truncate(0));
    EXPECT_EQ(after->contents("new"), "");
    break;
  }
}

TEST_F(Crash, a_removed_file_may_come_back_with_its_bytes) {
  disk.plant("f", "x");
  ASSERT_TRUE(disk.remove("f"));
  EXPECT_FALSE(*disk.exists("f"));
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), "x");
  EXPECT_THAT(possible_trees(), ElementsAre(std::vector<std::string>{}, std::vector<std::string>{"f"}));
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_THAT(disk.crash_clone(CrashPolicy::drop_all, 1)->tree(), IsEmpty());
}

TEST_F(Crash, a_file_in_a_directory_whose_own_name_was_not_synced_is_lost) {
  ASSERT_TRUE(disk.create_directory("d"));
  ASSERT_TRUE(open("d/f")->sync());
  ASSERT_TRUE(disk.sync_directory("d"));
  EXPECT_THAT(disk.crash_clone(CrashPolicy::drop_all, 1)->tree(), IsEmpty());
  EXPECT_THAT(disk.crash_clone(CrashPolicy::keep_all, 1)->tree(), ElementsAre("d/", "d/f"));
}

TEST_F(Crash, nothing_of_a_crashed_disk_is_unsynced) {
  ASSERT_TRUE(write(*open("f"), 0, "abc"));
  const auto after = disk.crash_clone(CrashPolicy::keep_all, 1);
  EXPECT_EQ(after->crash_clone(CrashPolicy::drop_all, 2)->contents("f"), "abc");
}

TEST_F(Crash, the_same_seed_gives_the_same_disk) {
  ASSERT_TRUE(write(*open("f"), 0, sectors(20, 'n')));
  EXPECT_EQ(disk.crash_clone(CrashPolicy::random, 7)->image_hash(), disk.crash_clone(CrashPolicy::random, 7)->image_hash());
}

TEST_F(Crash, a_clone_and_its_origin_do_not_see_each_others_later_changes) {
  disk.plant("f", "abc");
  const auto file = open("f");
  const auto killed = disk.process_crash_clone();
  const auto lost_power = disk.crash_clone(CrashPolicy::keep_all, 1);
  ASSERT_TRUE(write(*file, 0, "A"));
  ASSERT_TRUE(write(**killed->open("f", OpenMode::read_write), 1, "B"));
  ASSERT_TRUE(write(**lost_power->open("f", OpenMode::read_write), 2, "C"));
  EXPECT_EQ(disk.contents("f"), "Abc");
  EXPECT_EQ(killed->contents("f"), "aBc");
  EXPECT_EQ(lost_power->contents("f"), "abC");
}

TEST_F(Crash, clones_of_one_disk_are_used_on_several_threads) {
  disk.plant("f", sectors(64, 'x'));
  const auto file = open("f");
  std::vector<std::unique_ptr<SimulatedFileSystem>> clones;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    ASSERT_TRUE(write(*file, seed * kSectorBytes, "y"));
    clones.push_back(disk.crash_clone(CrashPolicy::keep_all, seed));
  }
  std::vector<std::thread> threads;
  for (const auto& clone : clones) {
    threads.emplace_back([&clone] {
      const auto own = *clone->open("f", OpenMode::read_write);
      CHECK(write(*own, 0, sectors(64, 'z')) && own->sync() && clone->image_hash() != 0);
    });
  }
  for (std::uint64_t i = 4; i < 64; ++i) EXPECT_TRUE(write(*file, i * kSectorBytes, "y"));
  for (std::thread& thread : threads) thread.join();
  for (const auto& clone : clones) EXPECT_EQ(clone->contents("f"), sectors(64, 'z'));
}

TEST_F(Crash, power_loss_starts_a_new_boot_and_kill_does_not) {
  disk.set_boot_id("b");
  EXPECT_EQ(disk.process_crash_clone()->boot_id(), "b");
  EXPECT_NE(disk.crash_clone(CrashPolicy::keep_all, 1)->boot_id(), "b");
}

TEST_F(Crash, kill_keeps_what_was_written_and_makes_none_of_it_durable) {
  ASSERT_TRUE(write(*open("f"), 0, "abc"));
  const auto after = disk.process_crash_clone();
  EXPECT_EQ(after->contents("f"), "abc");
  EXPECT_THAT(after->crash_clone(CrashPolicy::drop_all, 1)->tree(), IsEmpty());
}

TEST_F(Crash, locks_end_with_the_process) {
  const auto held = disk.lock("lock");
  ASSERT_TRUE(held);
  EXPECT_EQ(disk.lock("lock").error().code, Errc::locked);
  EXPECT_TRUE(disk.process_crash_clone()->lock("lock"));
  EXPECT_TRUE(disk.crash_clone(CrashPolicy::keep_all, 1)->lock("lock"));
}

using FailedSync = SimulatedDisk;

TEST_F(FailedSync, leaves_pages_clean_cached_and_never_durable) {
  disk.plant("f", "old");
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 0, "new"));
  disk.add_fault({.op = "sync"});
  EXPECT_EQ(file->sync().error().code, Errc::io_error);
  EXPECT_EQ(read(*file, 0, 3), "new");
  EXPECT_TRUE(file->sync());  // The lie: nothing is dirty any more.
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), "old");
  EXPECT_EQ(after_crash(CrashPolicy::keep_all), "old");
  EXPECT_THAT(possible_contents(), ElementsAre("old"));
  EXPECT_EQ(disk.process_crash_clone()->contents("f"), "new");
  file->drop_cache();
  EXPECT_EQ(read(*file, 0, 3), "old");
}

TEST_F(FailedSync, leaves_a_file_that_grew_with_zeros_where_the_bytes_were_lost) {
  disk.plant("f", "old");
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 3, "new"));
  disk.add_fault({.op = "sync"});
  ASSERT_FALSE(file->sync());
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), std::string("old\0\0\0", 6));
  file->drop_cache();
  EXPECT_EQ(read(*file, 0, 6), std::string("old\0\0\0", 6));
}

TEST_F(FailedSync, does_not_stop_later_writes_to_other_sectors_from_becoming_durable) {
  disk.plant("f", sectors(2, 'o'));
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 0, sectors(1, 'n')));
  disk.add_fault({.op = "sync"});
  ASSERT_FALSE(file->sync());
  ASSERT_TRUE(write(*file, kSectorBytes, sectors(1, 'm')));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), sectors(1, 'o') + sectors(1, 'm'));
  ASSERT_TRUE(write(*file, 0, sectors(1, 'n')));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), sectors(1, 'n') + sectors(1, 'm'));
}

TEST_F(FailedSync, of_a_directory_loses_its_new_names_for_good) {
  ASSERT_TRUE(open("f"));
  disk.add_fault({.op = "sync_directory"});
  EXPECT_EQ(disk.sync_directory("/").error().code, Errc::io_error);
  EXPECT_TRUE(disk.sync_directory("/"));
  EXPECT_TRUE(*disk.exists("f"));
  EXPECT_THAT(disk.crash_clone(CrashPolicy::keep_all, 1)->tree(), IsEmpty());
}

TEST_F(FailedSync, of_everything_loses_everything_unsynced) {
  disk.plant("f", "old");
  const auto file = open("f");
  ASSERT_TRUE(write(*file, 0, "new"));
  ASSERT_TRUE(open("g"));
  disk.add_fault({.op = "sync_all"});
  EXPECT_FALSE(disk.sync_all(*file));
  EXPECT_TRUE(disk.sync_all(*file));
  EXPECT_EQ(after_crash(CrashPolicy::keep_all), "old");
  EXPECT_THAT(disk.crash_clone(CrashPolicy::keep_all, 1)->tree(), ElementsAre("f"));
}

using Faults = SimulatedDisk;

TEST_F(Faults, every_call_that_changes_or_syncs_is_counted_and_shown_before_it_takes_effect) {
  std::vector<std::string> seen;
  disk.on_call([&](std::uint64_t index, std::string_view op, const std::string& path) {
    EXPECT_EQ(index, seen.size() + 1);
    seen.push_back(std::string(op) + " " + path + " of " + std::to_string(disk.tree().size()));
  });
  ASSERT_TRUE(disk.create_directory("d"));
  const auto file = open("d/f");
  ASSERT_TRUE(file->reserve(10));
  ASSERT_TRUE(write(*file, 0, "x"));
  ASSERT_TRUE(file->truncate(0));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(disk.sync_directory("d"));
  ASSERT_TRUE(disk.sync_all(*file));
  ASSERT_TRUE(disk.rename("d/f", "d/g"));
  ASSERT_TRUE(disk.remove("d/g"));
  ASSERT_TRUE(disk.remove_directory("d"));
  ASSERT_TRUE(disk.lock("l"));
  EXPECT_THAT(seen, ElementsAre("create_directory d of 0", "open d/f of 1", "reserve d/f of 2", "write d/f of 2", "truncate d/f of 2",
                                "sync d/f of 2", "sync_directory d of 2", "sync_all d/f of 2", "rename d/f of 2", "remove d/g of 2",
                                "remove_directory d of 1", "lock l of 0"));
  EXPECT_EQ(disk.calls(), seen.size());
}

TEST_F(Faults, calls_that_only_look_are_not_counted) {
  disk.plant("f", "abc");
  const auto file = open("f");
  EXPECT_EQ(read(*file, 0, 3), "abc");
  EXPECT_EQ(*file->size(), 3U);
  EXPECT_TRUE(disk.list("/"));
  EXPECT_EQ(disk.calls(), 0U);
}

TEST_F(Faults, the_hook_can_clone_the_disk_as_it_was_before_the_call) {
  std::string before;
  disk.plant("f", "old");
  disk.on_call([&](std::uint64_t, std::string_view, const std::string&) { before = disk.process_crash_clone()->contents("f"); });
  ASSERT_TRUE(write(*open("f"), 0, "new"));
  EXPECT_EQ(before, "old");
}

TEST_F(Faults, a_call_fails_by_its_number) {
  disk.fail_call(2, FaultEffect::disk_full);
  const auto file = open("f");
  EXPECT_EQ(write(*file, 0, "x").error().code, Errc::disk_full);
  EXPECT_EQ(disk.contents("f"), "");
  EXPECT_TRUE(write(*file, 0, "x"));
}

TEST_F(Faults, a_rule_picks_calls_by_kind_path_and_count) {
  disk.add_fault({.op = "write", .path_contains = ".log", .nth = 2, .times = 2});
  const auto log = open("a.log");
  const auto index = open("a.idx");
  EXPECT_TRUE(write(*log, 0, "1"));
  EXPECT_TRUE(write(*index, 0, "1"));
  EXPECT_TRUE(log->sync());
  const Status failed = write(*log, 1, "2");
  EXPECT_EQ(failed.error().code, Errc::io_error);
  EXPECT_THAT(failed.error().detail, HasSubstr("a.log"));
  EXPECT_TRUE(write(*index, 1, "2"));
  EXPECT_FALSE(write(*log, 1, "2"));
  EXPECT_TRUE(write(*log, 1, "2"));
}

TEST_F(Faults, a_short_write_leaves_half_of_the_bytes) {
  const auto file = open("f");
  disk.add_fault({.op = "write", .effect = FaultEffect::short_write_disk_full});
  EXPECT_EQ(write(*file, 0, "abcd").error().code, Errc::disk_full);
  EXPECT_EQ(disk.contents("f"), "ab");
  disk.add_fault({.op = "write", .effect = FaultEffect::short_write_io_error});
  EXPECT_EQ(write(*file, 2, "xyzw").error().code, Errc::io_error);
  EXPECT_EQ(disk.contents("f"), "abxy");
}

TEST_F(Faults, a_failed_name_change_changes_nothing) {
  disk.plant("f", "x");
  for (const char* op : {"open", "remove", "rename", "create_directory", "lock"}) disk.add_fault({.op = op});
  EXPECT_EQ(disk.open("g", OpenMode::create).error().code, Errc::io_error);
  EXPECT_EQ(disk.remove("f").error().code, Errc::io_error);
  EXPECT_EQ(disk.rename("f", "g").error().code, Errc::io_error);
  EXPECT_EQ(disk.create_directory("d").error().code, Errc::io_error);
  EXPECT_EQ(disk.lock("l").error().code, Errc::io_error);
  EXPECT_THAT(disk.tree(), ElementsAre("f"));
}

TEST_F(Faults, a_read_fails_where_the_medium_is_bad_also_after_a_crash) {
  disk.plant("f", "abcdef");
  disk.make_unreadable("f", 2, 2);
  const auto after = disk.crash_clone(CrashPolicy::drop_all, 1);
  for (SimulatedFileSystem* each : {&disk, after.get()}) {
    const auto file = *each->open("f", OpenMode::read);
    std::array<std::byte, 2> bytes;
    EXPECT_TRUE(file->read(FilePosition{0}, bytes));
    EXPECT_EQ(file->read(FilePosition{1}, bytes).error().code, Errc::io_error);
    EXPECT_TRUE(file->read(FilePosition{4}, bytes));
    each->make_readable("f");
    EXPECT_TRUE(file->read(FilePosition{1}, bytes));
  }
}

TEST_F(Faults, a_flipped_bit_is_seen_at_once_and_after_a_crash) {
  disk.plant("f", "abc");
  const auto before = disk.process_crash_clone();
  disk.flip_bit("f", 1, 0);
  EXPECT_EQ(disk.contents("f"), "acc");
  EXPECT_EQ(after_crash(CrashPolicy::drop_all), "acc");
  EXPECT_EQ(before->contents("f"), "abc");
}

using Space = SimulatedDisk;

TEST_F(Space, a_write_beyond_the_capacity_does_what_fits) {
  disk.set_capacity(4);
  const auto file = open("f");
  EXPECT_EQ(write(*file, 0, "abcdef").error().code, Errc::disk_full);
  EXPECT_EQ(disk.contents("f"), "abcd");
  EXPECT_EQ(free_bytes(), 0U);
  EXPECT_TRUE(write(*file, 0, "xy"));  // Overwriting takes nothing.
}

TEST_F(Space, reserved_bytes_are_taken_at_once_and_used_by_later_writes) {
  disk.set_capacity(10);
  const auto file = open("f");
  ASSERT_TRUE(file->reserve(8));
  EXPECT_EQ(*file->size(), 0U);
  EXPECT_EQ(free_bytes(), 2U);
  EXPECT_EQ(file->reserve(11).error().code, Errc::disk_full);
  EXPECT_EQ(free_bytes(), 2U);
  ASSERT_TRUE(write(*open("g"), 0, "12"));
  EXPECT_TRUE(write(*file, 0, "12345678"));
  EXPECT_EQ(free_bytes(), 0U);
}

TEST_F(Space, truncate_and_remove_give_space_back_and_an_open_file_keeps_it) {
  disk.set_capacity(10);
  auto file = open("f");
  ASSERT_TRUE(file->reserve(8));
  ASSERT_TRUE(file->truncate(3));
  EXPECT_EQ(free_bytes(), 7U);
  ASSERT_TRUE(disk.remove("f"));
  EXPECT_EQ(free_bytes(), 7U);
  EXPECT_EQ(read(*file, 0, 3).size(), 3U);
  file.reset();
  EXPECT_EQ(free_bytes(), 10U);
}

TEST_F(Space, a_replaced_file_gives_its_space_back) {
  disk.set_capacity(10);
  disk.plant("a", "12345");
  disk.plant("b", "123");
  ASSERT_TRUE(disk.rename("b", "a"));
  EXPECT_EQ(free_bytes(), 7U);
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_EQ(disk.crash_clone(CrashPolicy::drop_all, 1)->space("/")->free_bytes, 7U);
}

using ImageHash = SimulatedDisk;

TEST_F(ImageHash, tells_disks_apart_by_name_size_bytes_and_what_is_durable) {
  std::set<std::uint64_t> hashes{disk.image_hash()};
  const auto is_new = [&] { return hashes.insert(disk.image_hash()).second; };
  const auto file = open("f");
  EXPECT_TRUE(is_new());
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_TRUE(is_new());
  ASSERT_TRUE(write(*file, 0, "a"));
  EXPECT_TRUE(is_new());
  ASSERT_TRUE(file->sync());
  EXPECT_TRUE(is_new());
  ASSERT_TRUE(file->truncate(2));
  EXPECT_TRUE(is_new());
  ASSERT_TRUE(disk.rename("f", "g"));
  EXPECT_TRUE(is_new());
}

TEST_F(ImageHash, differs_between_synced_disks) {
  std::set<std::uint64_t> hashes;
  for (int byte = 0; byte < 256; ++byte) {
    disk.plant("f", std::string(1, static_cast<char>(byte)) + sectors(20, 'x'));
    hashes.insert(disk.image_hash());
  }
  EXPECT_EQ(hashes.size(), 256U);
}

TEST_F(ImageHash, is_the_same_for_the_same_contents_made_in_another_way) {
  SimulatedFileSystem other;
  other.plant("d/f", "abc");
  ASSERT_TRUE(disk.create_directory("d"));
  const auto file = open("d/f");
  ASSERT_TRUE(write(*file, 0, "xxxxxx"));
  ASSERT_TRUE(file->truncate(0));
  ASSERT_TRUE(write(*file, 0, "abc"));
  EXPECT_NE(disk.image_hash(), other.image_hash());
  ASSERT_TRUE(disk.sync_all(*file));
  EXPECT_EQ(disk.image_hash(), other.image_hash());
}

/// Two plain strings instead of pages: what is seen and what is durable.
class Model : public SimulatedDisk, public testing::WithParamInterface<std::uint64_t> {
 protected:
  void SetUp() override {
    disk.plant("f", "");
    file = open("f");
  }
  void write_somewhere() {
    const std::uint64_t at = random() % 12'000;
    const std::string bytes(1 + random() % 9'000, static_cast<char>('a' + random() % 26));
    ASSERT_TRUE(write(*file, at, bytes));
    seen.resize(std::max(seen.size(), at + bytes.size()));
    seen.replace(at, bytes.size(), bytes);
  }
  void truncate() {
    const std::uint64_t bytes = random() % 20'000;
    ASSERT_TRUE(file->truncate(bytes));
    seen.resize(bytes);
  }
  void sync() {
    ASSERT_TRUE(file->sync());
    durable = seen;
  }
  void check() {
    ASSERT_EQ(disk.contents("f"), seen);
    ASSERT_EQ(after_crash(CrashPolicy::drop_all), durable);
    ASSERT_EQ(after_crash(CrashPolicy::keep_all), seen);
    ASSERT_EQ(disk.process_crash_clone()->contents("f"), seen);
    // Where nothing is unsynced, chance changes nothing.
    const std::string by_chance = disk.crash_clone(CrashPolicy::random, random())->contents("f");
    ASSERT_LE(by_chance.size(), std::max(seen.size(), durable.size()));
    if (seen == durable) ASSERT_EQ(by_chance, seen);
  }

  Random random{GetParam()};
  std::unique_ptr<File> file;
  std::string seen;
  std::string durable;
};

TEST_P(Model, agrees_with_plain_strings_under_random_writes_truncates_and_syncs) {
  for (int step = 0; step < 300; ++step) {
    switch (random() % 4) {
      case 0:
        sync();
        break;
      case 1:
        truncate();
        break;
      default:
        write_somewhere();
        break;
    }
    check();
    if (HasFatalFailure()) FAIL() << "step " << step << " of seed " << GetParam();
  }
}
INSTANTIATE_TEST_SUITE_P(, Model, testing::Range<std::uint64_t>(1, 11));

}  // namespace
}  // namespace tidemark::simulation
