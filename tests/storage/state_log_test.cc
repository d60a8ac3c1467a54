#include "storage/state_log.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/base/crc32c.h"
#include "storage/log.h"
#include "storage/state_record.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/state_model.h"

namespace tidemark::storage {
namespace {

using simulation::CrashPolicy;
using simulation::FaultEffect;
using simulation::SimulatedFileSystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string file(int number) { return "data/state/0000000000000000000" + std::to_string(number) + ".state"; }

class StateLogTest : public testing::Test {
 protected:
  StateLogTest() {
    EXPECT_TRUE(disk_->create_directory("data"));
    EXPECT_TRUE(disk_->sync_directory("."));
    open();
  }

  Status try_open() {
    log_.reset();
    replayed_ = {};
    Result<std::unique_ptr<StateLog>> opened =
        StateLog::open(*disk_, "data/state", options_, [this](const StateRecord& record) { return replayed_.add(record); });
    if (!opened) return std::move(opened).error();
    log_ = *std::move(opened);
    return {};
  }
  void open() {
    const Status opened = try_open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  /// Everything not flushed is lost.
  void power_loss() {
    log_.reset();
    disk_ = disk_->crash_clone(CrashPolicy::drop_all, 0);
  }
  void kill() {
    log_.reset();
    disk_ = disk_->process_crash_clone();
  }

  template <class... Records>
  Status append(Records... record) {
    std::vector<StateRecord> records;
    (records.push_back(std::move(record)), ...);
    return log_->append(records);
  }
  template <class... Records>
  void write(Records... record) {
    const Status written = append(std::move(record)...);
    ASSERT_TRUE(written) << written.error().to_string();
    const Status flushed = log_->flush();
    ASSERT_TRUE(flushed) << flushed.error().to_string();
  }
  /// Dead weight: a stream that comes and goes.
  void fill(std::uint64_t bytes) {
    for (std::uint64_t done = 0; done < bytes; done += 1000) write(delta("filler", std::string(1000, 'x')), deleted("filler"));
  }
  const StreamContents& contents() const { return replayed_.contents(); }
  std::string disk_file(int number) const { return disk_->contents(file(number)); }

  std::unique_ptr<SimulatedFileSystem> disk_ = std::make_unique<SimulatedFileSystem>();
  StateLogOptions options_{.file_bytes = 4096, .reserve_step_bytes = 1024, .emergency_bytes = 2048, .garbage_bytes_min = 2048};
  std::unique_ptr<StateLog> log_;
  Replayed replayed_;
};

// --- What is there after a restart.

TEST_F(StateLogTest, a_new_log_is_empty) {
  EXPECT_THAT(contents(), IsEmpty());
  EXPECT_EQ(log_->file_count(), 1);
  EXPECT_EQ(log_->end().file, 1);
  EXPECT_THAT(log_->unflushed_files(), IsEmpty());
}

TEST_F(StateLogTest, replays_flushed_records_in_order_after_power_loss) {
  write(delta("a", "1"), delta("b", "x"), delta("a", "2"));
  write(delta("a", "3"));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "2", "3"}}, {"b", {"x"}}}));
}

TEST_F(StateLogTest, keeps_streams_of_different_kinds_apart) {
  StateRecord same_id = delta("a", "other");
  same_id.stream.kind = StreamKind::transaction;
  write(delta("a", "1"), same_id);
  std::vector<StreamKind> kinds;
  const auto again = StateLog::open(*disk_, "data/state", options_, [&kinds](const StateRecord& record) {
    kinds.push_back(record.stream.kind);
    return Status();
  });
  ASSERT_TRUE(again);
  EXPECT_THAT(kinds, ElementsAre(StreamKind::group, StreamKind::transaction));
}

TEST_F(StateLogTest, loses_what_was_not_flushed_and_nothing_else) {
  write(delta("a", "1"));
  ASSERT_TRUE(append(delta("a", "2")));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
}

TEST_F(StateLogTest, makes_durable_what_it_replays_after_a_kill) {
  ASSERT_TRUE(append(delta("a", "1")));
  kill();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
}

TEST_F(StateLogTest, a_snapshot_replaces_what_came_before_and_deltas_follow_it) {
  write(delta("a", "1"), delta("a", "2"));
  write(snapshot("a", "1+2"), delta("a", "3"));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1+2", "3"}}}));
  EXPECT_EQ(replayed_.records(), 2);
}

TEST_F(StateLogTest, a_snapshot_in_parts_counts_with_its_last_part) {
  write(delta("a", "1"), snapshot("a", "s1", false), snapshot_more("a", "s2", false), snapshot_more("a", "s3", true), delta("a", "2"));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"s1", "s2", "s3", "2"}}}));
}

TEST_F(StateLogTest, an_unfinished_snapshot_leaves_the_records_it_was_to_replace) {
  write(delta("a", "1"), snapshot("a", "s1", false), snapshot_more("a", "s2", false));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
  write(delta("a", "2"));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "2"}}}));
}

TEST_F(StateLogTest, a_delta_between_the_parts_abandons_the_snapshot) {
  write(delta("a", "1"), snapshot("a", "s1", false), delta("a", "2"));
  const Status more = append(snapshot_more("a", "s2", true));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::invalid_argument);
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "2"}}}));
}

TEST_F(StateLogTest, a_snapshot_begun_again_forgets_the_first_attempt) {
  write(snapshot("a", "old1", false), snapshot_more("a", "old2", false));
  write(snapshot("a", "new1", false), snapshot_more("a", "new2", true));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"new1", "new2"}}}));
}

TEST_F(StateLogTest, a_snapshot_cannot_be_continued_after_a_restart) {
  write(snapshot("a", "s1", false));
  open();
  const Status more = append(snapshot_more("a", "s2", true));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::invalid_argument);
}

TEST_F(StateLogTest, a_deleted_stream_is_gone_and_may_come_back) {
  write(delta("a", "1"), delta("b", "1"), deleted("a"));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"b", {"1"}}}));
  write(delta("a", "anew"));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"anew"}}, {"b", {"1"}}}));
}

TEST_F(StateLogTest, numbers_the_records_of_each_stream) {
  std::vector<StateRecord> records{delta("a", "1"), delta("b", "1"), delta("a", "2")};
  ASSERT_TRUE(log_->append(records));
  EXPECT_EQ(records[0].sequence, 1);
  EXPECT_EQ(records[1].sequence, 1);
  EXPECT_EQ(records[2].sequence, 2);
  ASSERT_TRUE(log_->flush());
  open();
  std::vector<StateRecord> more{delta("a", "3")};
  ASSERT_TRUE(log_->append(more));
  EXPECT_EQ(more[0].sequence, 3);
}

TEST_F(StateLogTest, open_returns_what_replay_returns) {
  write(delta("a", "1"));
  const auto opened = StateLog::open(*disk_, "data/state", options_, [](const StateRecord&) {
    return Status(Error{Errc::unsupported_version, "too new"});
  });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported_version);
  EXPECT_THAT(opened.error().detail, HasSubstr("too new"));
}

TEST_F(StateLogTest, ignores_other_names_in_its_directory) {
  write(delta("a", "1"));
  disk_->plant("data/state/notes.txt", "hello");
  disk_->plant("data/state/1.state", "hello");
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
}

// --- Flushing.

TEST_F(StateLogTest, names_the_file_to_flush_until_it_is_flushed) {
  ASSERT_TRUE(append(delta("a", "1")));
  const std::vector<File*> files = log_->unflushed_files();
  ASSERT_EQ(files.size(), 1);
  EXPECT_EQ(files[0]->path(), file(1));
  ASSERT_TRUE(files[0]->sync());
  log_->flushed();
  EXPECT_THAT(log_->unflushed_files(), IsEmpty());
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
}

TEST_F(StateLogTest, an_empty_append_changes_nothing) {
  const StateLogPosition before = log_->end();
  ASSERT_TRUE(log_->append({}));
  EXPECT_EQ(log_->end(), before);
  EXPECT_THAT(log_->unflushed_files(), IsEmpty());
}

TEST_F(StateLogTest, encoded_size_is_what_append_writes) {
  const StateRecord record = delta("stream", "payload");
  const std::uint64_t before = log_->end().position.value;
  write(record);
  EXPECT_EQ(log_->end().position.value - before, StateLog::encoded_size(record));
  EXPECT_EQ(disk_file(1).size(), log_->end().position.value);
}

TEST_F(StateLogTest, has_never_more_in_flight_than_recovery_takes_for_torn) {
  write(delta("a", "1"));
  const std::string big(kStatePayloadBytesMax, 'x');
  ASSERT_TRUE(
      append(snapshot("a", big, false), snapshot_more("a", big, false), snapshot_more("a", big, false), snapshot_more("a", big, true)));
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    auto crashed = disk_->crash_clone(CrashPolicy::random, seed);
    const auto opened = StateLog::open(*crashed, "data/state", options_, [](const StateRecord&) { return Status(); });
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
}

TEST_F(StateLogTest, refuses_records_over_the_limits_and_stays_as_it_was) {
  const StateLogPosition before = log_->end();
  for (const StateRecord& record : {delta("a", std::string(kStatePayloadBytesMax + 1, 'x')), delta(std::string(1025, 'i'), "1")}) {
    const Status refused = append(delta("a", "1"), record);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  }
  EXPECT_EQ(log_->end(), before);
  write(delta(std::string(1024, 'i'), "1"));
  open();
  EXPECT_EQ(contents(), (StreamContents{{std::string(1024, 'i'), {"1"}}}));
}

// --- Files.

TEST_F(StateLogTest, goes_on_in_a_new_file_when_the_present_one_is_full) {
  write(delta("a", std::string(5000, 'x')));
  EXPECT_EQ(log_->file_count(), 1);
  write(delta("a", "2"), delta("a", "3"));
  EXPECT_EQ(log_->file_count(), 2);
  EXPECT_EQ(log_->end().file, 2);
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {std::string(5000, 'x'), "2", "3"}}}));
}

TEST_F(StateLogTest, the_records_of_one_call_stay_in_one_file) {
  std::vector<StateRecord> records;
  for (int i = 0; i < 10; ++i) records.push_back(delta("a", std::string(1000, 'x')));
  ASSERT_TRUE(log_->append(records));
  EXPECT_EQ(log_->end().position.value, disk_file(static_cast<int>(log_->end().file)).size());
  EXPECT_GT(log_->end().position.value, 10'000U);
}

TEST_F(StateLogTest, a_switch_makes_the_old_file_durable_first) {
  ASSERT_TRUE(append(delta("a", std::string(5000, 'x'))));
  const std::vector<File*> before = log_->unflushed_files();
  ASSERT_TRUE(append(delta("a", "2")));
  ASSERT_EQ(before.size(), 1);
  EXPECT_EQ(before[0]->path(), file(1));  // Still good: a caller may be about to flush it.
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {std::string(5000, 'x')}}}));
}

TEST_F(StateLogTest, asks_for_snapshots_of_the_streams_that_hold_the_oldest_file) {
  write(delta("cold", "1"), delta("colder", "1"), delta("gone", "1"), deleted("gone"));
  EXPECT_THAT(log_->snapshots_wanted(), IsEmpty());
  fill(10'000);
  write(delta("warm", "1"));
  const std::vector<StreamKey> wanted = log_->snapshots_wanted();
  EXPECT_THAT(wanted, UnorderedElementsAre(StreamKey{StreamKind::group, "cold"}, StreamKey{StreamKind::group, "colder"}));
}

TEST_F(StateLogTest, asks_for_nothing_while_most_of_it_lives) {
  write(delta("cold", "1"));
  for (int i = 0; i < 12; ++i) write(delta("big", std::string(1000, 'x')));
  fill(3000);
  EXPECT_GT(log_->file_count(), 2U);
  EXPECT_THAT(log_->snapshots_wanted(), IsEmpty());
}

TEST_F(StateLogTest, removes_the_oldest_files_once_nothing_in_them_lives) {
  write(delta("cold", "1"));
  fill(10'000);
  ASSERT_TRUE(log_->remove_dead_files());
  EXPECT_TRUE(*disk_->exists(file(1)));
  const std::uint64_t before = log_->size_bytes();

  write(snapshot("cold", "1"));
  ASSERT_TRUE(log_->remove_dead_files());
  EXPECT_FALSE(*disk_->exists(file(1)));
  EXPECT_EQ(log_->file_count(), 1);
  EXPECT_LT(log_->size_bytes(), before);
  EXPECT_THAT(log_->snapshots_wanted(), IsEmpty());
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"cold", {"1"}}}));
}

TEST_F(StateLogTest, removes_nothing_before_its_replacement_is_flushed) {
  write(delta("cold", "1"));
  fill(10'000);
  ASSERT_TRUE(append(snapshot("cold", "1")));
  ASSERT_TRUE(log_->remove_dead_files());
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"cold", {"1"}}}));
}

TEST_F(StateLogTest, keeps_the_first_parts_of_a_snapshot_that_goes_on) {
  write(snapshot("slow", "s1", false));
  fill(10'000);
  ASSERT_TRUE(log_->remove_dead_files());
  write(snapshot_more("slow", "s2", true));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"slow", {"s1", "s2"}}}));
}

TEST_F(StateLogTest, a_snapshot_abandoned_by_a_restart_holds_no_file) {
  write(snapshot("slow", "s1", false));
  fill(10'000);
  open();
  ASSERT_TRUE(log_->remove_dead_files());
  EXPECT_EQ(log_->file_count(), 1);
  open();
  EXPECT_THAT(contents(), IsEmpty());
}

TEST_F(StateLogTest, survives_the_removal_of_a_file_with_leftovers_of_a_stream_that_goes_on_elsewhere) {
  write(delta("a", "1"));
  fill(5000);
  write(delta("a", "2"), snapshot("a", "half", false));
  fill(5000);
  write(snapshot("a", "1+2"));
  fill(5000);
  write(delta("a", "3"));
  ASSERT_TRUE(log_->remove_dead_files());
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1+2", "3"}}}));
}

// --- Errors of the disk.

TEST_F(StateLogTest, a_full_disk_refuses_before_anything_changed) {
  write(delta("a", "1"));
  const StateLogPosition before = log_->end();
  disk_->set_capacity(0);
  const Status refused = append(delta("a", std::string(3000, 'x')));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::disk_full);
  EXPECT_EQ(log_->end(), before);

  disk_->set_capacity(SimulatedFileSystem::kDefaultCapacity);
  write(delta("a", "2"));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "2"}}}));
}

TEST_F(StateLogTest, a_full_disk_refuses_a_new_file_and_stays_as_it_was) {
  write(delta("a", std::string(5000, 'x')));
  disk_->add_fault({.op = "reserve", .times = 1000, .effect = FaultEffect::disk_full});
  const StateLogPosition before = log_->end();
  for (int i = 0; i < 2; ++i) {
    const Status refused = append(delta("a", "2"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::disk_full);
  }
  EXPECT_EQ(log_->end(), before);
  disk_->clear_faults();
  write(delta("a", "2"));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {std::string(5000, 'x'), "2"}}}));
}

TEST_F(StateLogTest, keeps_space_aside_to_write_on_a_full_disk) {
  write(delta("a", "1"));
  disk_->set_capacity(disk_->space("data")->total_bytes - disk_->space("data")->free_bytes);  // Full from here on.
  write(delta("a", std::string(1500, 'x')));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", std::string(1500, 'x')}}}));
}

class StateLogFault : public StateLogTest, public testing::WithParamInterface<FaultEffect> {};

TEST_P(StateLogFault, a_failed_write_is_final) {
  write(delta("a", "1"));
  disk_->add_fault({.op = "write", .effect = GetParam()});
  const Status failed = append(delta("a", "2"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::io_error);
  EXPECT_EQ(append(delta("a", "3")).error(), failed.error());
  EXPECT_EQ(log_->flush().error(), failed.error());
  EXPECT_EQ(log_->remove_dead_files().error(), failed.error());
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
}

TEST_P(StateLogFault, a_failed_flush_is_final_and_its_bytes_do_not_come_back) {
  write(delta("a", "1"));
  ASSERT_TRUE(append(delta("a", "2")));
  disk_->add_fault({.op = "sync", .effect = GetParam()});
  const Status failed = log_->flush();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::io_error);
  EXPECT_EQ(append(delta("a", "3")).error(), failed.error());
  EXPECT_EQ(log_->flush().error(), failed.error());

  // The page cache still shows the record; the disk does not have it.
  kill();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
  write(delta("a", "4"));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "4"}}}));
}

INSTANTIATE_TEST_SUITE_P(, StateLogFault,
                         testing::Values(FaultEffect::io_error, FaultEffect::disk_full, FaultEffect::short_write_io_error,
                                         FaultEffect::short_write_disk_full),
                         [](const auto& effect) { return "effect_" + std::to_string(static_cast<int>(effect.param)); });

TEST_F(StateLogTest, a_failed_flush_of_the_old_file_stops_the_switch) {
  ASSERT_TRUE(append(delta("a", std::string(5000, 'x'))));
  disk_->add_fault({.op = "sync", .path_contains = file(1)});
  const Status failed = append(delta("a", "2"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::io_error);
  kill();
  open();
  EXPECT_THAT(contents(), IsEmpty());
}

// --- Torn tails and damage.

TEST_F(StateLogTest, cuts_a_torn_tail_and_keeps_it_aside) {
  write(delta("a", "1"));
  const std::uint64_t end = log_->end().position.value;
  log_.reset();
  disk_->plant(file(1), disk_file(1) + std::string(100, '\0') + "half a record");
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1"}}}));
  EXPECT_EQ(disk_file(1).size(), end);
  EXPECT_EQ(disk_->contents(file(1) + ".torn-" + std::to_string(end)), std::string(100, '\0') + "half a record");
  write(delta("a", "2"));
  power_loss();
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "2"}}}));
}

TEST_F(StateLogTest, keeps_the_newest_torn_tails_only) {
  std::vector<std::string> names;
  for (int i = 0; i < 12; ++i) {
    write(delta("a", std::string(97, 'x')));
    names.push_back(file(1) + ".torn-" + std::to_string(log_->end().position.value));
    log_.reset();
    disk_->plant(file(1), disk_file(1) + "torn");
    open();
  }
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(*disk_->exists(names[i]), i + 4 >= names.size()) << names[i];
}

TEST_F(StateLogTest, zeros_are_no_records) {
  log_.reset();
  const std::string header = disk_file(1);
  for (const std::size_t zeros : {1U, 24U, 4096U}) {
    disk_->plant(file(1), header + std::string(zeros, '\0'));
    open();
    EXPECT_THAT(contents(), IsEmpty());
    EXPECT_EQ(disk_file(1), header);
  }
}

TEST_F(StateLogTest, every_flipped_bit_of_the_last_record_costs_that_record_only) {
  write(delta("a", "1"));
  const std::uint64_t begin = log_->end().position.value;
  write(delta("a", "2"));
  log_.reset();
  const std::string whole = disk_file(1);
  for (std::uint64_t at = begin; at < whole.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      disk_->plant(file(1), whole);
      disk_->flip_bit(file(1), at, bit);
      open();
      ASSERT_EQ(contents(), (StreamContents{{"a", {"1"}}})) << "byte " << at << " bit " << bit;
    }
  }
}

TEST_F(StateLogTest, stale_records_behind_the_tail_do_not_come_back) {
  write(delta("a", "1"), delta("a", "2"), delta("a", "3"));
  log_.reset();
  const std::string old = disk_file(1);
  const std::uint64_t record = StateLog::encoded_size(delta("a", "1"));
  disk_->plant(file(1), old.substr(0, old.size() - 2 * record));
  open();
  write(delta("a", "4"));
  log_.reset();
  // As if the disk had kept the sector behind: a whole, sound record that was written behind another one.
  disk_->plant(file(1), disk_file(1) + old.substr(old.size() - record));
  open();
  EXPECT_EQ(contents(), (StreamContents{{"a", {"1", "4"}}}));
}

TEST_F(StateLogTest, damage_further_from_the_end_than_a_write_group_is_an_error) {
  options_.file_bytes = 64 * 1024 * 1024;
  open();
  write(delta("a", "1"));
  const std::uint64_t position = log_->end().position.value;
  for (int i = 0; i < 3; ++i) write(delta("a", std::string(kStatePayloadBytesMax, 'x')));
  const std::string before = disk_file(1);
  disk_->flip_bit(file(1), position + 1000, 3);
  const Status opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::corrupt_batch);
  EXPECT_THAT(opened.error().detail, HasSubstr(file(1) + " at " + std::to_string(position)));
  EXPECT_EQ(disk_file(1).size(), before.size());  // Nothing was cut.
}

class StateLogWithTwoFiles : public StateLogTest {
 protected:
  StateLogWithTwoFiles() {
    write(delta("a", std::string(2000, 'x')));
    last_position_ = log_->end().position.value;
    write(delta("a", std::string(3000, 'y')));
    write(delta("a", "2"));
    EXPECT_EQ(log_->file_count(), 2);
    log_.reset();
  }
  void expect_corrupt(const std::string& where) {
    const auto tree = disk_->tree();
    const Status opened = try_open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::corrupt_batch) << opened.error().to_string();
    EXPECT_THAT(opened.error().detail, HasSubstr(where));
    EXPECT_EQ(disk_->tree(), tree);
  }
  std::uint64_t last_position_ = 0;
};

TEST_F(StateLogWithTwoFiles, damage_in_the_first_is_an_error_with_its_place) {
  disk_->flip_bit(file(1), last_position_ + 40, 0);
  expect_corrupt(file(1) + " at " + std::to_string(last_position_));
}

TEST_F(StateLogWithTwoFiles, a_first_that_lost_its_last_record_is_damage) {
  disk_->plant(file(1), disk_file(1).substr(0, last_position_));
  expect_corrupt(file(1));
}

TEST_F(StateLogWithTwoFiles, a_first_that_grew_is_damage) {
  disk_->plant(file(1), disk_file(1) + std::string(10, '\0'));
  expect_corrupt(file(1));
}

TEST_F(StateLogWithTwoFiles, a_missing_beginning_is_damage) {
  ASSERT_TRUE(disk_->remove(file(1)));
  expect_corrupt(file(2));
}

TEST_F(StateLogWithTwoFiles, a_hole_is_damage) {
  ASSERT_TRUE(disk_->rename(file(2), file(3)));
  expect_corrupt(file(2));
}

TEST_F(StateLogWithTwoFiles, a_file_under_another_number_is_damage) {
  disk_->plant(file(3), disk_file(2));
  expect_corrupt(file(3));
}

TEST_F(StateLogWithTwoFiles, a_bad_header_of_a_file_with_records_is_damage) {
  disk_->flip_bit(file(2), 9, 0);
  const Status opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().detail, HasSubstr(file(2)));
}

TEST_F(StateLogWithTwoFiles, an_unreadable_place_is_an_io_error_and_changes_nothing) {
  const auto tree = disk_->tree();
  for (const int number : {1, 2}) {
    disk_->make_unreadable(file(number), 10, 1);
    const Status opened = try_open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::io_error);
    disk_->make_readable(file(number));
  }
  EXPECT_EQ(disk_->tree(), tree);
  open();
}

class StateLogUnfinishedFile : public StateLogWithTwoFiles, public testing::WithParamInterface<std::size_t> {};

TEST_P(StateLogUnfinishedFile, whose_header_is_not_whole_is_removed) {
  disk_->plant(file(3), disk_file(2).substr(0, GetParam()));
  open();
  EXPECT_EQ(log_->end().file, 2);
  write(delta("a", "3"));
  open();
  EXPECT_EQ(contents().at("a").back(), "3");
}

TEST_P(StateLogUnfinishedFile, of_zeros_is_removed) {
  disk_->plant(file(3), std::string(GetParam(), '\0'));
  open();
  EXPECT_EQ(log_->end().file, 2);
}

INSTANTIATE_TEST_SUITE_P(, StateLogUnfinishedFile, testing::Values(0, 1, kStateHeaderBytes - 4, kStateHeaderBytes - 1),
                         [](const auto& bytes) { return "of_" + std::to_string(bytes.param) + "_bytes"; });

TEST_F(StateLogTest, a_record_of_a_newer_version_is_not_taken_for_torn) {
  write(delta("a", "1"));
  const StateLogPosition before_last = log_->end();
  write(delta("a", "2"));
  log_.reset();
  // A sound record by its checksum, with a type that this version does not know.
  std::string bytes = disk_file(1);
  std::string last = bytes.substr(before_last.position.value);
  ByteVector encoded(as_bytes(last).begin(), as_bytes(last).end());
  const std::uint32_t chain =
      load_le<std::uint32_t>(as_bytes(bytes).data() + before_last.position.value - StateLog::encoded_size(delta("a", "1")));
  encoded[9] = std::byte{99};  // The type.
  store_le(encoded.data(), crc32c(ByteView(encoded).subspan(4), chain));
  bytes.replace(before_last.position.value, last.size(), to_string(encoded));
  disk_->plant(file(1), bytes);

  const Status opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::foreign_data);
  EXPECT_THAT(opened.error().detail, HasSubstr(file(1) + " at " + std::to_string(before_last.position.value)));
  EXPECT_EQ(disk_file(1), bytes);
}

}  // namespace
}  // namespace tidemark::storage
