#include "storage/log.h"

#include <gtest/gtest.h>

#include "storage/batch/filler_batch.h"
#include "storage/segment.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/log_driver.h"

namespace tidemark::storage {
namespace {

using simulation::FaultEffect;
using simulation::SimulatedFileSystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Seen = std::vector<SeenRecord>;

constexpr const char* kFirstLog = "topics/t/0/00000000000000000000.log";

class LogTest : public testing::Test, public LogDriver {
 protected:
  LogTest() : LogDriver(disk_) {
    make_topic_directory(disk_);
    open();
  }
  SimulatedFileSystem& sim() { return disk_; }
  std::string big(char letter, std::size_t bytes = 10'000) { return std::string(bytes, letter); }
  void open_with(LogConfig config) {
    this->config() = config;
    open();
  }
  /// One segment per record: "a" at 0, "b" at 1, ...
  void write_segments(std::string_view letters) {
    for (const char letter : letters) {
      write({std::string(1, letter)});
      log().roll();
    }
  }

 private:
  SimulatedFileSystem disk_;
};

// --- Appending.

TEST_F(LogTest, a_new_one_is_empty_and_on_no_disk) {
  EXPECT_EQ(log().end_offset(), Offset{0});
  EXPECT_EQ(log().flushed_offset(), Offset{0});
  EXPECT_EQ(log().segment_count(), 0u);
  EXPECT_FALSE(*disk().exists(kDirectory));
}

TEST_F(LogTest, gives_batches_their_offsets_and_its_epoch) {
  log().set_leader_epoch(7);
  EXPECT_EQ(write({"a", "b"}), Offset{0});
  EXPECT_EQ(write({"c"}), Offset{2});
  EXPECT_EQ(log().end_offset(), Offset{3});
  const Result<ReadResult> read = try_read({2});
  ASSERT_TRUE(read);
  EXPECT_EQ(BatchHeader::parse(read->batches.view())->leader_epoch, 7);
  EXPECT_EQ(BatchHeader::parse(read->batches.view())->base_offset, Offset{2});
}

TEST_F(LogTest, shows_readers_only_what_is_flushed) {
  write({"a"});
  stage(batch_of({"b"}));
  EXPECT_EQ(log().end_offset(), Offset{2});
  EXPECT_EQ(log().flushed_offset(), Offset{1});
  EXPECT_EQ(read_all(), (Seen{{0, "a"}}));
  flush();
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}}));
}

TEST_F(LogTest, has_one_group_in_flight_which_takes_all_that_is_staged) {
  stage(batch_of({"a"}));
  stage(batch_of({"b"}));
  WriteGroup group = log().take_group();
  EXPECT_TRUE(log().group_in_flight());
  EXPECT_EQ(group.first, Offset{0});
  EXPECT_EQ(group.end, Offset{2});
  stage(batch_of({"c"}));
  EXPECT_EQ(log().staged_bytes(), batch_of({"c"}).size());
  ASSERT_TRUE(group.write(files()));
  log().flushed(std::move(group), true);
  EXPECT_EQ(log().flushed_offset(), Offset{2});
  flush();
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}, {2, "c"}}));
}

TEST_F(LogTest, a_group_keeps_below_its_bound_but_takes_one_batch) {
  const std::size_t bytes = batch_of({big('a')}).size();
  for (int i = 0; i < 3; ++i) stage(batch_of({big('a')}));
  WriteGroup two = log().take_group(2 * bytes);
  EXPECT_EQ(two.batches.size(), 2u);
  ASSERT_TRUE(two.write(files()));
  log().flushed(std::move(two), true);
  WriteGroup one = log().take_group(1);
  EXPECT_EQ(one.batches.size(), 1u);
}

TEST_F(LogTest, the_file_is_as_long_as_what_was_written_and_not_as_what_was_reserved) {
  const Slice batch = batch_of({"a"});
  stage(batch);
  EXPECT_EQ(*disk().file_size(kFirstLog), 0u);
  flush();
  EXPECT_EQ(*disk().file_size(kFirstLog), batch.size());
}

// --- Space.

TEST_F(LogTest, space_grows_in_steps_that_double_and_end_at_the_segment) {
  open_with({.segment_bytes = 1024 * 1024});
  std::vector<std::uint64_t> steps;
  for (int i = 0; i < 120 && log().segment_count() < 2; ++i) {
    const Slice batch = batch_of({big('a')});
    if (!log().has_space(batch.size(), now())) {
      SpacePlan plan = log().plan_space(batch.size(), now());
      if (plan.creates && log().segment_count() == 1) {
        log().abandon(std::move(plan));
        break;
      }
      steps.push_back(plan.reserve_to);
      ASSERT_TRUE(plan.execute(files()));
      log().apply(std::move(plan));
    }
    const BatchHeader header = *BatchHeader::parse(batch.view());
    log().stage(batch, header, now());
    flush();
  }
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{64 << 10, 192 << 10, 448 << 10, 960 << 10, 1024 << 10}));
}

TEST_F(LogTest, a_full_disk_refuses_before_anything_changes) {
  write({"a"});
  sim().set_capacity(0);
  const Result<Offset> refused = try_stage(batch_of({std::string(100'000, 'x')}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::disk_full);
  EXPECT_EQ(log().end_offset(), Offset{1});
  sim().set_capacity(SimulatedFileSystem::kDefaultCapacity);
  write({std::string(100'000, 'y')});
  EXPECT_EQ(read_all().size(), 2u);
}

TEST_F(LogTest, a_full_disk_at_a_roll_leaves_the_old_segment_and_no_new_one) {
  write({"a"});
  log().roll();
  sim().set_capacity(0);
  EXPECT_EQ(try_stage(batch_of({"b"})).error().code, Errc::disk_full);
  EXPECT_EQ(log().segment_count(), 1u);
  EXPECT_FALSE(*disk().exists(path("00000000000000000001.log")));
  sim().set_capacity(SimulatedFileSystem::kDefaultCapacity);
  write({"b"});
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}}));
}

TEST_F(LogTest, takes_nothing_while_the_next_segment_is_made) {
  write({"a"});
  SpacePlan plan = [&] {
    log().roll();
    return log().plan_space(100, now());
  }();
  EXPECT_FALSE(log().has_space(1, now()));
  log().abandon(std::move(plan));
  EXPECT_FALSE(log().has_space(1, now()));  // Rolled: it needs a new one all the same.
}

TEST_F(LogTest, a_new_segment_is_durable_with_its_name_before_it_is_written) {
  std::vector<std::string> calls;
  sim().on_call([&](std::uint64_t, std::string_view op, const std::string& path) { calls.push_back(std::string(op) + " " + path); });
  write({"a"});
  sim().on_call(nullptr);
  EXPECT_EQ(calls,
            (std::vector<std::string>{"create_directory topics/t/0", std::string("open ") + kFirstLog, std::string("reserve ") + kFirstLog,
                                      std::string("sync ") + kFirstLog, "sync_directory topics/t/0", "sync_directory topics/t",
                                      std::string("write ") + kFirstLog, std::string("sync ") + kFirstLog}));
}

// --- Rolling.

TEST_F(LogTest, rolls_before_a_batch_would_pass_the_segment_size) {
  open_with({.segment_bytes = 25'000});
  for (const char letter : {'a', 'b', 'c', 'd', 'e'}) write({big(letter)});
  EXPECT_EQ(log().segment_count(), 3u);
  EXPECT_LE(*disk().file_size(kFirstLog), 25'000u);
  EXPECT_TRUE(*disk().exists(path("00000000000000000002.log")));
  EXPECT_EQ(read_all().size(), 5u);
}

TEST_F(LogTest, an_empty_segment_takes_a_batch_of_any_size) {
  open_with({.segment_bytes = 100});
  write({big('a', 1'000'000)});
  write({big('b', 1'000'000)});
  EXPECT_EQ(log().segment_count(), 2u);
}

TEST_F(LogTest, rolls_at_the_first_append_after_the_segment_age) {
  open_with({.segment_age = hours(1)});
  write({"a"});
  pass(hours(1) - milliseconds(1));
  write({"b"});
  EXPECT_EQ(log().segment_count(), 1u);
  pass(milliseconds(1));
  write({"c"});
  EXPECT_EQ(log().segment_count(), 2u);
}

TEST_F(LogTest, rolls_before_offsets_pass_what_a_segment_can_number) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 30;
  for (int i = 0; i < 3; ++i) stage(build_filler_batch({i * kHuge}, {(i + 1) * kHuge}, 0));
  flush();
  EXPECT_EQ(log().end_offset(), Offset{3 * kHuge});
  EXPECT_EQ(log().segment_count(), 2u);
}

TEST_F(LogTest, a_group_never_spans_two_segments) {
  open_with({.segment_bytes = 15'000});
  for (const char letter : {'a', 'b', 'c'}) stage(batch_of({big(letter)}));
  EXPECT_EQ(log().segment_count(), 3u);
  for (const char letter : {'a', 'b', 'c'}) {
    WriteGroup group = log().take_group();
    EXPECT_EQ(group.batches.size(), 1u) << letter;
    ASSERT_TRUE(group.write(files()));
    ASSERT_TRUE(group.file->sync());
    log().flushed(std::move(group), true);
    log().check_invariants();
  }
  EXPECT_EQ(read_all().size(), 3u);
}

TEST_F(LogTest, rolling_an_empty_segment_does_nothing) {
  ASSERT_TRUE(try_make_space(100));
  log().roll();
  write({"a"});
  EXPECT_EQ(log().segment_count(), 1u);
}

TEST_F(LogTest, a_clock_that_goes_back_does_not_take_append_times_along) {
  write({"a"});
  const Timestamp first = now();
  pass(-hours(5));
  write({"b"});
  EXPECT_EQ(log().place_of({1})->append_time, first);
}

// --- Reading.

TEST_F(LogTest, a_read_starts_with_the_batch_that_contains_the_offset) {
  write({"a", "b", "c"});
  write({"d"});
  const Result<ReadResult> read = try_read({1});
  ASSERT_TRUE(read);
  EXPECT_EQ(records_of(read->batches.view()).front().offset, 0);
  EXPECT_EQ(read->next, Offset{4});
}

TEST_F(LogTest, a_read_ends_before_the_limit) {
  for (const char letter : {'a', 'b', 'c'}) write({std::string(1, letter)});
  std::vector<Damage> found;
  const Result<ReadResult> read = log().plan_read({0}, {2}, 1 << 20).execute(files(), found);
  ASSERT_TRUE(read);
  EXPECT_EQ(records_of(read->batches.view()), (Seen{{0, "a"}, {1, "b"}}));
  EXPECT_EQ(read->next, Offset{2});
}

TEST_F(LogTest, a_read_keeps_below_its_bytes_but_returns_one_batch) {
  for (int i = 0; i < 6; ++i) write({big('x')});
  const std::size_t bytes = batch_of({big('x')}).size();
  EXPECT_EQ(try_read({0}, 2 * bytes + 1)->batches.size(), 2 * bytes);
  EXPECT_EQ(try_read({0}, 1)->batches.size(), bytes);
  EXPECT_EQ(try_read({4}, 1)->next, Offset{5});
}

TEST_F(LogTest, reads_of_every_size_from_every_offset_see_every_record_once) {
  open_with({.segment_bytes = 150'000});
  Seen written;
  for (int i = 0; i < 60; ++i) {
    const std::string value(static_cast<std::size_t>(1000 + 537 * i % 9000), static_cast<char>('a' + i % 26));
    write({value, "x"});
    written.push_back({2 * i, value});
    written.push_back({2 * i + 1, "x"});
  }
  for (const std::size_t bytes : {1UL, 20'000UL, 40'000UL, 100'000UL, 1'000'000UL}) {
    for (std::int64_t from = 0; from < 120; from += 7) {
      EXPECT_EQ(read_from({from}, bytes), Seen(written.begin() + from, written.end())) << from << " by " << bytes;
    }
  }
  checkpoint();
  open();
  for (const std::size_t bytes : {1UL, 40'000UL, 1'000'000UL}) EXPECT_EQ(read_from({0}, bytes), written);
}

TEST_F(LogTest, a_plan_sees_what_was_flushed_when_it_was_made) {
  write({"a"});
  std::vector<Damage> found;
  ReadPlan plan = log().plan_read({0}, {1}, 1 << 20);
  write({"b"});
  log().roll();
  write({"c"});
  checkpoint();
  EXPECT_EQ(records_of(plan.execute(files(), found)->batches.view()), (Seen{{0, "a"}}));
  EXPECT_TRUE(found.empty());
}

TEST_F(LogTest, a_read_whose_segment_is_trimmed_meanwhile_is_out_of_range) {
  write_segments("ab");
  checkpoint();
  std::vector<Damage> found;
  ReadPlan plan = log().plan_read({0}, {2}, 1 << 20);
  trim({1});
  const Result<ReadResult> read = plan.execute(files(), found);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::offset_out_of_range);
  EXPECT_TRUE(found.empty());
}

TEST_F(LogTest, passes_over_batches_that_cleaning_emptied) {
  write({"a"});
  stage(build_filler_batch({1}, {50}, 0));
  flush();
  write({"b"});
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {50, "b"}}));
}

// --- Damage met by reads.

TEST_F(LogTest, a_damaged_batch_is_quarantined_and_its_neighbours_are_read) {
  for (const char letter : {'a', 'b', 'c', 'd'}) write({std::string(1, letter)});
  const std::size_t batch = batch_of({"a"}).size();
  sim().flip_bit(kFirstLog, 2 * batch - 1, 0);
  EXPECT_EQ(read_all(), (Seen{{0, "a"}}));
  ASSERT_TRUE(read_error());
  EXPECT_EQ(read_error()->code, Errc::quarantined);
  EXPECT_EQ(read_error()->detail, "00000000000000000000.log at " + std::to_string(batch) + ": offsets 1..2: crc");
  EXPECT_EQ(read_from({2}), (Seen{{2, "c"}, {3, "d"}}));
  ASSERT_NE(log().damage_at({1}), nullptr);
  EXPECT_EQ(log().damage_at({2}), nullptr);
}

TEST_F(LogTest, damage_in_the_active_segment_stops_appends_until_that_segment_is_gone) {
  write({"a"});
  sim().flip_bit(kFirstLog, 66, 0);
  read_all();
  ASSERT_TRUE(log().append_error());
  EXPECT_EQ(log().append_error()->code, Errc::quarantined);
  log().roll();
  trim({1});
  EXPECT_FALSE(log().append_error());
  write({"b"});
  EXPECT_EQ(read_all(), (Seen{{1, "b"}}));
}

TEST_F(LogTest, damage_in_a_sealed_segment_lets_appends_go_on) {
  write_segments("ab");
  checkpoint();
  sim().flip_bit(kFirstLog, 66, 0);
  EXPECT_TRUE(read_all().empty());
  EXPECT_FALSE(log().append_error());
  write({"c"});
  EXPECT_EQ(read_from({1}), (Seen{{1, "b"}, {2, "c"}}));
}

TEST_F(LogTest, a_flipped_epoch_which_no_batch_checksum_covers_is_found) {
  write({"a"});
  write({"b"});
  sim().flip_bit(kFirstLog, 15, 3);  // The first leader epoch becomes 8: the second is lower then.
  read_all();
  ASSERT_TRUE(read_error());
  EXPECT_EQ(read_error()->code, Errc::quarantined);
}

TEST_F(LogTest, what_the_disk_cannot_read_is_an_io_error_and_quarantined_after) {
  for (int i = 0; i < 12; ++i) write({big('x')});  // Intervals of four.
  sim().make_unreadable(kFirstLog, 45'000, 10);
  EXPECT_EQ(try_read({4}).error().code, Errc::io_error);
  ASSERT_NE(log().damage_at({4}), nullptr);
  EXPECT_EQ(log().damage_at({4})->reason, "read error");
  EXPECT_EQ(try_read({4}).error().code, Errc::quarantined);
  EXPECT_EQ(read_all().size(), 4u);
  EXPECT_EQ(read_from({8}).size(), 4u);
}

TEST_F(LogTest, a_segment_file_that_vanishes_is_damage) {
  write_segments("abc");
  checkpoint();
  open();
  ASSERT_TRUE(disk().remove(path("00000000000000000001.log")));
  std::vector<Damage> jumped;
  EXPECT_EQ(read_around_damage(jumped), (Seen{{0, "a"}, {2, "c"}}));
  ASSERT_EQ(jumped.size(), 1u);
  EXPECT_EQ(jumped.front().reason, "missing");
}

// --- Time.

TEST_F(LogTest, finds_the_first_record_at_or_after_a_time) {
  stage(batch_of({"a", "b", "c"}, 100, 10));
  stage(batch_of({"d"}, 50));
  stage(batch_of({"e"}, 200));
  flush();
  const auto offset_of = [&](std::int64_t time) { return find_time(time).value()->offset.value; };
  EXPECT_EQ(offset_of(0), 0);
  EXPECT_EQ(offset_of(101), 1);
  EXPECT_EQ(offset_of(120), 2);
  EXPECT_EQ(offset_of(121), 4);
  EXPECT_EQ(find_time(200).value()->timestamp_ms, 200);
  EXPECT_EQ(*find_time(201), std::nullopt);
}

TEST_F(LogTest, a_time_is_looked_up_above_the_log_start_and_across_segments) {
  for (int i = 0; i < 6; ++i) {
    write({"x"}, 1000 - 100 * i);  // Falling: the first record has the largest time.
    if (i % 2 == 1) log().roll();
  }
  checkpoint();
  open();
  EXPECT_EQ(find_time(450).value()->offset, Offset{0});
  trim({1});
  EXPECT_EQ(find_time(450).value()->offset, Offset{1});
  EXPECT_EQ(find_time(650).value()->offset, Offset{1});
  trim({4});
  EXPECT_EQ(find_time(450).value()->offset, Offset{4});
  EXPECT_EQ(*find_time(1000), std::nullopt);
}

TEST_F(LogTest, a_time_that_damage_may_hide_is_not_guessed) {
  write({"a"}, 100);
  write({"b"}, 200);
  write({"c"}, 300);
  sim().flip_bit(kFirstLog, batch_of({"a"}).size() + 66, 1);
  EXPECT_EQ(find_time(100).value()->offset, Offset{0});
  EXPECT_EQ(find_time(150).error().code, Errc::quarantined);
}

TEST_F(LogTest, append_times_are_exact_to_a_second) {
  const Timestamp start = now();
  for (int i = 0; i < 5; ++i) {
    write({"x"});
    pass(seconds(1));
  }
  EXPECT_EQ(log().place_of({0})->append_time, start);
  EXPECT_EQ(log().place_of({3})->append_time, start + seconds(3));
}

TEST_F(LogTest, append_times_survive_sealing_and_a_restart) {
  const Timestamp start = now();
  write({"a"});
  pass(seconds(10));
  write({"b"});
  log().roll();
  write({"c"});
  checkpoint();
  open();
  EXPECT_FALSE(log().times_known());
  EXPECT_FALSE(log().place_of({1}).has_value());
  ASSERT_TRUE(log().plan_times().execute(files()));
  EXPECT_TRUE(log().times_known());
  const Result<Place> place = log().plan_place({1}).execute(files());
  ASSERT_TRUE(place) << place.error().to_string();
  EXPECT_EQ(place->append_time, start + seconds(10));
  EXPECT_FALSE(place->estimated);
  EXPECT_EQ(place->bytes_before, batch_of({"a"}).size());
  EXPECT_EQ(log().place_of({1})->append_time, start + seconds(10));
  EXPECT_EQ(log().place_of({2})->bytes_before, 2 * batch_of({"a"}).size());
}

// --- Trim and retention.

TEST_F(LogTest, trimming_removes_segments_wholly_below_the_start) {
  write_segments("abcd");
  trim({2});
  EXPECT_EQ(log().segment_count(), 2u);
  EXPECT_FALSE(*disk().exists(kFirstLog));
  EXPECT_EQ(disk().list(kDirectory)->size(), 2u);
  EXPECT_EQ(read_all(), (Seen{{2, "c"}, {3, "d"}}));
}

TEST_F(LogTest, trimming_into_a_segment_keeps_it) {
  write({"a", "b"});
  write({"c"});
  trim({1});
  EXPECT_EQ(log().log_start(), Offset{1});
  EXPECT_EQ(read_all(), (Seen{{1, "b"}, {2, "c"}}));
  open();
  EXPECT_EQ(read_all(), (Seen{{1, "b"}, {2, "c"}}));
}

TEST_F(LogTest, trimmed_to_its_end_and_rolled_holds_nothing_and_goes_on) {
  write({"a"});
  log().roll();
  trim({1});
  EXPECT_EQ(log().segment_count(), 0u);
  EXPECT_EQ(log().size_bytes(), 0u);
  open();
  EXPECT_EQ(log().end_offset(), Offset{1});
  EXPECT_EQ(write({"b"}), Offset{1});
  EXPECT_EQ(read_all(), (Seen{{1, "b"}}));
}

TEST_F(LogTest, retention_by_age_asks_for_whole_segments) {
  write_segments("a");
  pass(hours(1));
  write_segments("b");
  pass(hours(1));
  write({"c"});
  EXPECT_EQ(log().retention_start(now(), hours(3), {}), Offset{0});
  EXPECT_EQ(log().retention_start(now(), std::chrono::minutes(90), {}), Offset{1});
  EXPECT_EQ(log().retention_start(now() + hours(5), hours(1), {}), Offset{3});
}

TEST_F(LogTest, retention_by_age_takes_the_active_segment_once_it_is_rolled) {
  write({"a"});
  EXPECT_EQ(log().retention_start(now() + hours(2), hours(1), {}), Offset{1});
  log().roll();
  trim({1});
  EXPECT_EQ(log().segment_count(), 0u);
}

TEST_F(LogTest, retention_by_size_keeps_at_least_that_much_and_the_active_segment) {
  write_segments("abcd");
  write({"e"});
  const std::uint64_t one = log().size_bytes() / 5;
  EXPECT_EQ(log().retention_start(now(), {}, 5 * one), Offset{0});
  EXPECT_EQ(log().retention_start(now(), {}, 3 * one), Offset{2});
  EXPECT_EQ(log().retention_start(now(), {}, 3 * one + 1), Offset{1});
  EXPECT_EQ(log().retention_start(now(), {}, 0), Offset{4});
}

TEST_F(LogTest, retention_waits_for_times_it_does_not_know) {
  write_segments("ab");
  write({"c"});
  checkpoint();
  open();
  EXPECT_EQ(log().retention_start(now() + hours(1000), hours(1), {}), Offset{0});
  ASSERT_TRUE(log().plan_times().execute(files()));
  EXPECT_EQ(log().retention_start(now() + hours(1000), hours(1), {}), Offset{3});
}

// --- Checkpoints.

TEST_F(LogTest, a_checkpoint_covers_what_is_flushed) {
  write({"a"});
  EXPECT_EQ(log().bytes_since_checkpoint(), batch_of({"a"}).size());
  stage(batch_of({"b"}));
  checkpoint();
  EXPECT_EQ(log().bytes_since_checkpoint(), 0u);
  EXPECT_EQ(hints().checkpoint, (LogCheckpoint{{0}, {batch_of({"a"}).size()}, {1}, 0}));
}

TEST_F(LogTest, a_checkpoint_seals_what_is_full) {
  write_segments("ab");
  write({"c"});
  checkpoint();
  EXPECT_TRUE(*disk().exists(path("00000000000000000000.seal")));
  EXPECT_TRUE(*disk().exists(path("00000000000000000001.seal")));
  EXPECT_FALSE(*disk().exists(path("00000000000000000002.seal")));
  const Result<ByteVector> bytes = read_file(disk(), path("00000000000000000001.seal"), 1 << 20);
  const Result<Seal> seal = decode_seal(*bytes, {1});
  ASSERT_TRUE(seal);
  EXPECT_EQ(seal->end, Offset{2});
  EXPECT_EQ(seal->intervals.size(), 1u);
}

TEST_F(LogTest, a_checkpoint_under_way_lets_appends_go_on) {
  write({"a"});
  CheckpointPlan plan = log().plan_checkpoint();
  write({"b"});
  ASSERT_TRUE(plan.execute(files()));
  hints().checkpoint = log().apply(std::move(plan));
  EXPECT_EQ(hints().checkpoint->offset, Offset{1});
  EXPECT_EQ(log().bytes_since_checkpoint(), batch_of({"b"}).size());
  checkpoint();
  open();
  EXPECT_EQ(report().scanned_bytes, 0u);
  EXPECT_EQ(read_all(), (Seen{{0, "a"}, {1, "b"}}));
}

TEST_F(LogTest, a_checkpoint_flushes_what_was_only_written) {
  stage(batch_of({"a"}));
  WriteGroup group = log().take_group();
  ASSERT_TRUE(group.write(files()));
  log().flushed(std::move(group), false);
  checkpoint();
  const std::unique_ptr<SimulatedFileSystem> crashed = sim().crash_clone(simulation::CrashPolicy::drop_all, 0);
  EXPECT_EQ(*crashed->file_size(kFirstLog), batch_of({"a"}).size());
}

// --- The cache of open files.

TEST_F(LogTest, open_files_are_bounded_and_a_file_in_use_stays_open) {
  FileCache cache(disk(), 2);
  for (const char* name : {"x", "y", "z"}) sim().plant(name, "abc");
  const Result<std::shared_ptr<File>> x = cache.open("x");
  ASSERT_TRUE(x);
  EXPECT_EQ(cache.open("x").value(), *x);
  ASSERT_TRUE(cache.open("y"));
  ASSERT_TRUE(cache.open("z"));
  EXPECT_EQ(cache.open_files(), 2u);
  std::array<std::byte, 3> bytes;
  EXPECT_EQ(*(*x)->read({0}, bytes), 3u);
  cache.forget("z");
  EXPECT_EQ(cache.open_files(), 1u);
  EXPECT_EQ(cache.open("missing").error().code, Errc::not_found);
}

TEST_F(LogTest, loaded_indexes_are_bounded) {
  write_segments("abcdefgh");
  checkpoint();
  FileCache small(disk(), 4, 500);
  RecoveryReport ignored;
  Result<std::unique_ptr<Log>> reopened = Log::open(small, kDirectory, {}, hints(), now(), {}, ignored);
  ASSERT_TRUE(reopened);
  std::vector<Damage> found;
  for (std::int64_t from = 0; from < 8; ++from) {
    const Result<ReadResult> read = (*reopened)->plan_read({from}, {8}, 1).execute(small, found);
    ASSERT_TRUE(read);
    EXPECT_EQ(records_of(read->batches.view()).front().offset, from);
    EXPECT_LE(small.indexes().bytes(), 500u);
  }
}

}  // namespace
}  // namespace tidemark::storage
