#include "storage/cleaning.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/base/random.h"
#include "storage/segment.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/cleaning_fixture.h"

namespace tidemark::storage {
namespace {

using simulation::SimulatedFileSystem;
using std::chrono::hours;
using std::chrono::milliseconds;

class CleaningTest : public testing::Test {
 protected:
  CleaningTest() {
    make_topic_directory(disk_);
    log_.open();
  }

  void write(const std::vector<Keyed>& records, BatchBuilder::Options options = {}) {
    log_.stage(keyed_batch(records, options));
    log_.flush();
  }
  /// Some records of many keys, so that there is a segment of its own to seal.
  std::vector<KeyedRecord> records() { return contents_of(log_).records; }
  std::vector<std::int64_t> offsets_of(const std::string& key) {
    std::vector<std::int64_t> offsets;
    for (const KeyedRecord& record : records()) {
      if (record.key == key) offsets.push_back(record.offset);
    }
    return offsets;
  }

  SimulatedFileSystem disk_;
  CleaningDriver log_{disk_, LogConfig{.segment_bytes = 4000}};
};

TEST_F(CleaningTest, keeps_the_last_record_of_each_key_at_its_offset) {
  write({{"a", "1"}, {"b", "1"}, {"a", "2"}});
  write({{"c", "1"}, {"b", "2"}});
  log_.seal();
  log_.clean();
  EXPECT_EQ(records(), (std::vector<KeyedRecord>{{2, "a", "2"}, {3, "c", "1"}, {4, "b", "2"}, {5, "marker", "m5"}}));
  EXPECT_EQ(log_.log().flushed_offset(), Offset{6});
  EXPECT_EQ(log_.summary().counts.records_dropped, 2u);
}

TEST_F(CleaningTest, leaves_the_segment_being_filled_and_what_is_above_the_limit) {
  write({{"a", "1"}, {"a", "2"}});
  log_.clean();
  EXPECT_EQ(records().size(), 2u) << "nothing is sealed";
  log_.seal();
  write({{"marker", "newer"}});
  log_.clean();
  EXPECT_EQ(offsets_of("a"), std::vector<std::int64_t>{1});
  EXPECT_EQ(offsets_of("marker").size(), 2u);
}

TEST_F(CleaningTest, does_not_touch_what_was_appended_too_lately) {
  write({{"a", "1"}, {"a", "2"}});
  log_.seal();
  EXPECT_FALSE(log_.log().plan_cleaning(log_.rules(), log_.limit(), log_.now() - milliseconds(1)));
  EXPECT_EQ(log_.log().cleanable(log_.limit(), log_.now() - milliseconds(1)).segments, 0u);
  EXPECT_TRUE(log_.log().plan_cleaning(log_.rules(), log_.limit(), log_.now()));
}

TEST_F(CleaningTest, says_how_much_is_dirty) {
  write({{"a", "1"}, {"a", "2"}});
  log_.seal();
  CleanableState state = log_.log().cleanable(log_.limit(), log_.now());
  EXPECT_EQ(state.dirty_ratio(), 1.0);
  EXPECT_EQ(state.past, Offset{2});
  EXPECT_EQ(state.oldest_dirty, log_.now());
  log_.clean();
  state = log_.log().cleanable(log_.limit(), log_.now());
  EXPECT_EQ(state.dirty_bytes, 0u);
  EXPECT_GT(state.clean_bytes, 0u);
  EXPECT_EQ(state.clean_end, Offset{2});
}

TEST_F(CleaningTest, goes_on_where_it_ended_after_a_restart) {
  write({{"a", "1"}, {"b", "1"}});
  log_.seal();
  log_.clean();
  log_.open();
  ASSERT_TRUE(log_.log().clean_mark());
  EXPECT_EQ(log_.log().clean_mark()->end, Offset{2});
  write({{"a", "2"}});
  log_.seal();
  log_.clean();
  EXPECT_EQ(offsets_of("a"), std::vector<std::int64_t>{3});
  EXPECT_EQ(offsets_of("b"), std::vector<std::int64_t>{1});
}

TEST_F(CleaningTest, keeps_a_tombstone_for_its_time_and_nothing_of_its_key_after) {
  write({{"a", "1"}, {"b", "1"}});
  log_.seal();
  write({{"a", std::nullopt}});
  log_.seal();
  log_.clean();
  EXPECT_EQ(offsets_of("a"), std::vector<std::int64_t>{3});
  EXPECT_EQ(log_.log().clean_mark()->next_horizon_ms, (log_.now() + hours(24)).time_since_epoch().count());

  log_.pass(hours(24) - milliseconds(1));
  log_.clean();
  EXPECT_EQ(offsets_of("a").size(), 1u) << "a millisecond early";
  log_.pass(milliseconds(1));
  log_.clean();
  EXPECT_TRUE(offsets_of("a").empty());
  EXPECT_EQ(log_.summary().counts.tombstones_dropped, 1u);
  EXPECT_EQ(log_.log().clean_mark()->next_horizon_ms, kNoHorizon);
  EXPECT_EQ(offsets_of("b").size(), 1u);
}

TEST_F(CleaningTest, the_time_of_a_tombstone_begins_when_it_is_first_cleaned) {
  write({{"a", std::nullopt}});
  log_.pass(hours(1000));
  log_.seal();
  log_.clean();
  EXPECT_EQ(offsets_of("a").size(), 1u);
}

TEST_F(CleaningTest, merges_what_became_small_and_keeps_the_first_name) {
  for (int i = 0; i < 12; ++i) {
    for (int j = 0; j < 20; ++j) write({{"k", std::string(200, static_cast<char>('a' + i))}});
    log_.seal();
  }
  const std::size_t before = log_.log().segment_count();
  log_.clean();
  EXPECT_LT(log_.log().segment_count(), before / 2);
  const auto tree = disk_.tree();
  EXPECT_EQ(std::ranges::count_if(tree, [](const std::string& path) { return path.ends_with(".log"); }),
            static_cast<std::ptrdiff_t>(log_.log().segment_count()));
  EXPECT_TRUE(disk_.exists(LogDriver::path("00000000000000000000.log")).value());
  EXPECT_EQ(offsets_of("k").size(), 1u);
  log_.open();
  EXPECT_TRUE(log_.report().damage.empty());
  EXPECT_EQ(offsets_of("k").size(), 1u);
}

TEST_F(CleaningTest, a_map_that_is_too_small_takes_several_rounds) {
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string key = "key" + std::to_string(i % 3000);
    write({{key, std::to_string(i)}});
    expected[key] = std::to_string(i);
  }
  log_.seal();
  int rounds = 0;
  do {
    log_.clean();
    ++rounds;
  } while (log_.summary().more);
  EXPECT_GT(rounds, 1);
  std::map<std::string, std::string> state = contents_of(log_).state();
  state.erase("marker");
  EXPECT_EQ(state, expected);
  EXPECT_EQ(records().size(), 3001u);
}

TEST_F(CleaningTest, keeps_a_header_for_the_last_sequence_of_a_producer) {
  struct Advice final : CleaningAdvice {
    bool keeps_sequence(const BatchHeader& batch) const override { return batch.producer_id == 7 && batch.base_sequence == 11; }
  };
  write({{"a", "1"}}, {.producer_id = 7, .producer_epoch = 0, .base_sequence = 10});
  write({{"a", "2"}}, {.producer_id = 7, .producer_epoch = 0, .base_sequence = 11});
  write({{"a", "3"}});
  log_.seal();
  CleaningRules rules = log_.rules();
  rules.advice = std::make_shared<const Advice>();
  log_.clean(rules);
  const Contents contents = contents_of(log_);
  ASSERT_EQ(contents.batches.size(), 3u);
  EXPECT_EQ(contents.batches[0].base_sequence, 11);
  EXPECT_EQ(contents.batches[0].record_count, 0);
  EXPECT_EQ(contents.batches[0].base_offset, Offset{1});
}

TEST_F(CleaningTest, a_segment_that_loses_everything_keeps_its_last_batch_as_a_header) {
  write({{"a", "1"}});
  log_.seal();
  for (int i = 0; i < 30; ++i) write({{"a", std::string(200, 'x')}});
  log_.seal();
  CleaningRules rules = log_.rules();
  rules.segment_bytes = 1;  // Nothing is merged.
  log_.clean(rules);
  EXPECT_EQ(offsets_of("a").size(), 1u);
  const Contents contents = contents_of(log_);
  EXPECT_EQ(contents.batches.front().record_count, 0);
  log_.hints().checkpoint.reset();
  log_.open();
  EXPECT_TRUE(log_.report().damage.empty());
  EXPECT_EQ(offsets_of("a").size(), 1u);
}

// --- Transactions.

struct Transactions final : CleaningAdvice {
  std::set<std::int64_t> aborted;
  bool is_aborted(std::int64_t producer, OffsetRange) const override { return aborted.contains(producer); }
  bool marker_may_go(std::int64_t, Offset) const override { return true; }
};

Slice marker_of(std::int64_t producer, bool commit) { return build_control_batch(producer, 0, commit, 0, Timestamp(milliseconds(1000))); }

TEST_F(CleaningTest, takes_out_what_was_aborted_and_the_marker_when_its_time_is_over) {
  const auto in_transaction = [](std::int64_t producer) {
    return BatchBuilder::Options{.producer_id = producer, .producer_epoch = 0, .base_sequence = 0, .transactional = true};
  };
  write({{"a", "committed before"}});
  write({{"a", "aborted"}, {"x", "aborted"}}, in_transaction(7));
  log_.stage(marker_of(7, false));
  write({{"b", "committed"}}, in_transaction(8));
  log_.stage(marker_of(8, true));
  log_.flush();
  log_.seal();
  auto advice = std::make_shared<Transactions>();
  advice->aborted = {7};
  CleaningRules rules = log_.rules();
  rules.advice = advice;
  log_.clean(rules);
  std::vector<KeyedRecord> kept = records();
  kept.pop_back();
  EXPECT_EQ(kept, (std::vector<KeyedRecord>{{0, "a", "committed before"}, {4, "b", "committed"}}));
  const auto markers = [&] {
    std::vector<std::int64_t> producers;
    for (const BatchHeader& batch : contents_of(log_).batches) {
      if (batch.is_control() && batch.record_count > 0) producers.push_back(batch.producer_id);
    }
    return producers;
  };
  EXPECT_EQ(markers(), (std::vector<std::int64_t>{7, 8}));
  log_.pass(hours(24));
  rules.now = log_.now();
  log_.clean(rules);
  EXPECT_EQ(markers(), std::vector<std::int64_t>{8}) << "the data of 8 is still there";
  EXPECT_EQ(contents_of(log_).state().at("b"), "committed");
}

TEST_F(CleaningTest, without_advice_every_transaction_counts_as_committed_and_markers_stay) {
  write({{"a", "1"}}, {.producer_id = 7, .producer_epoch = 0, .base_sequence = 0, .transactional = true});
  log_.stage(marker_of(7, false));
  write({{"a", "2"}});
  log_.seal();
  log_.clean();
  log_.pass(hours(100));
  log_.clean();
  EXPECT_EQ(offsets_of("a"), std::vector<std::int64_t>{2});
  const Contents contents = contents_of(log_);
  EXPECT_TRUE(
      std::ranges::any_of(contents.batches, [](const BatchHeader& batch) { return batch.is_control() && batch.record_count == 1; }));
}

// --- Deleted records.

TEST_F(CleaningTest, takes_deleted_records_off_the_disk_whatever_their_keys) {
  write({{"a", "1"}, {"b", "1"}, {"c", "1"}});
  write({{"a", "2"}});
  log_.seal();
  CleaningRules rules = log_.rules();
  rules.compact = false;
  rules.deleted = {{{1}, {2}}, {{3}, {4}}};
  const std::uint64_t before = log_.log().size_bytes();
  log_.clean(rules);
  EXPECT_EQ(records(), (std::vector<KeyedRecord>{{0, "a", "1"}, {2, "c", "1"}, {4, "marker", "m4"}}));
  EXPECT_LT(log_.log().size_bytes(), before);
  EXPECT_FALSE(log_.log().clean_mark()) << "nothing was compacted";
}

TEST_F(CleaningTest, a_deleted_record_does_not_drive_out_the_one_before_it) {
  write({{"a", "1"}, {"a", "2"}});
  log_.seal();
  CleaningRules rules = log_.rules();
  rules.deleted = {{{1}, {2}}};
  log_.clean(rules);
  EXPECT_EQ(offsets_of("a"), std::vector<std::int64_t>{0});
}

// --- Damage.

TEST_F(CleaningTest, leaves_a_damaged_segment_alone_and_lets_no_tombstone_go_behind_it) {
  CleaningRules rules = log_.rules();
  rules.segment_bytes = 1;
  write({{"a", "old"}, {"b", "old"}});
  log_.seal();
  write({{"a", std::nullopt}, {"b", "new"}});
  log_.seal();
  log_.clean(rules);  // Sets the horizon.
  write({{"b", "newest"}});
  log_.seal();
  // The first value of "a" is gone from the first segment already; now the segment loses a bit.
  const std::string rotten = disk_.contents(LogDriver::path("00000000000000000000.log"));
  disk_.flip_bit(LogDriver::path("00000000000000000000.log"), rotten.size() - 1, 3);
  log_.open();
  log_.pass(hours(48));
  rules.now = log_.now();
  log_.clean(rules);
  ASSERT_EQ(log_.summary().left_alone.size(), 1u);
  EXPECT_EQ(log_.summary().left_alone.front().file, "00000000000000000000.log");
  EXPECT_EQ(log_.summary().counts.tombstones_dropped, 0u);
  EXPECT_FALSE(log_.log().damage().empty()) << "what cleaning finds is quarantined";
  EXPECT_EQ(disk_.contents(LogDriver::path("00000000000000000000.log")).size(), rotten.size());
  EXPECT_EQ(log_.log().clean_mark()->end, Offset{0});
  EXPECT_GT(log_.log().clean_mark()->tried, Offset{0});
  EXPECT_EQ(log_.log().cleanable(log_.limit(), log_.now()).dirty_bytes, 0u) << "damage does not make it run for ever";
}

TEST_F(CleaningTest, keys_of_a_damaged_segment_do_not_drive_out_sound_values) {
  CleaningRules rules = log_.rules();
  rules.segment_bytes = 1;
  write({{"a", "sound"}});
  log_.seal();
  const Offset base = log_.log().end_offset() - 1;  // The segment began with the marker.
  write({{"a", "in the damaged segment"}});
  for (int i = 0; i < 40; ++i) write({{"k" + std::to_string(i), std::string(1000, 'v')}});
  log_.seal();
  log_.open();
  // Behind the first interval, so that the first value reads well.
  const std::string path = LogDriver::path(segment_file_name(base, ".log"));
  disk_.flip_bit(path, disk_.contents(path).size() - 10, 1);
  log_.clean(rules);
  EXPECT_EQ(log_.summary().left_alone.size(), 1u);
  const Result<ReadResult> read = log_.try_read({0});
  ASSERT_TRUE(read) << read.error().to_string();
  Contents first;
  take_batches(read->batches.view(), {0}, first);
  ASSERT_FALSE(first.records.empty());
  EXPECT_EQ(first.records.front(), (KeyedRecord{0, "a", "sound"}));
}

TEST_F(CleaningTest, a_segment_that_cannot_be_read_is_left_alone) {
  write({{"a", "1"}, {"a", "2"}});
  log_.seal();
  log_.open();
  disk_.make_unreadable(LogDriver::path("00000000000000000000.log"), 0, 10);
  log_.clean();
  ASSERT_EQ(log_.summary().left_alone.size(), 1u);
  EXPECT_EQ(log_.summary().left_alone.front().reason, "read error");
  disk_.make_readable(LogDriver::path("00000000000000000000.log"));
  log_.open();
  log_.clean();
  EXPECT_EQ(offsets_of("a"), std::vector<std::int64_t>{1}) << "it is looked at again";
}

TEST_F(CleaningTest, a_full_disk_changes_nothing) {
  for (int i = 0; i < 30; ++i) write({{"a", std::string(300, 'x')}});
  log_.seal();
  const std::vector<KeyedRecord> before = records();
  disk_.add_fault({.op = "write", .path_contains = ".cleaned", .effect = simulation::FaultEffect::disk_full});
  const Status cleaned = log_.try_clean(log_.rules());
  ASSERT_FALSE(cleaned);
  EXPECT_EQ(cleaned.error().code, Errc::disk_full);
  EXPECT_EQ(records(), before);
  EXPECT_TRUE(std::ranges::none_of(disk_.tree(), [](const std::string& path) { return path.ends_with(".cleaned"); }));
  disk_.clear_faults();
  log_.clean();
  EXPECT_EQ(offsets_of("a").size(), 1u);
}

// --- Beside others.

TEST_F(CleaningTest, reads_planned_before_go_on_in_the_old_files) {
  for (int i = 0; i < 60; ++i) write({{"a", "value " + std::to_string(i)}});
  log_.seal();
  const std::vector<KeyedRecord> before = records();
  for (const bool loaded : {true, false}) {
    if (!loaded) log_.open();  // Then the plan has to load index and file after the swap.
    ReadPlan plan = log_.log().plan_read({0}, log_.log().flushed_offset(), 1 << 20);
    TimestampPlan time = log_.log().plan_timestamp(1000, log_.log().flushed_offset());
    log_.clean();
    std::vector<Damage> found;
    const Result<ReadResult> read = plan.execute(log_.files(), found);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_TRUE(found.empty());
    EXPECT_FALSE(read->batches.empty());
    const auto at = time.execute(log_.files());
    ASSERT_TRUE(at) << at.error().to_string();
    EXPECT_TRUE(at->has_value());
    write({{"a", "again"}});
    log_.seal();
  }
}

TEST_F(CleaningTest, a_trim_in_between_wins) {
  for (int i = 0; i < 60; ++i) write({{"a", std::string(100, 'x')}});
  log_.seal();
  const std::unique_ptr<Cleaning> cleaning = log_.log().plan_cleaning(log_.rules(), log_.limit(), log_.now());
  Result<Cleaning::Next> next = Cleaning::Next::step;
  while (next && *next == Cleaning::Next::step) next = cleaning->step(log_.files(), 1);
  ASSERT_TRUE(next && *next == Cleaning::Next::swap);
  log_.trim(log_.log().flushed_offset() - 1);
  const SwapPlan swap = cleaning->take_swap();
  EXPECT_FALSE(log_.log().accept(swap));
  cleaning->refused(swap);
  swap.abandon(disk_);
  while (next && *next != Cleaning::Next::done) {
    next = cleaning->step(log_.files(), 1);
    ASSERT_TRUE(next) << next.error().to_string();
    if (*next == Cleaning::Next::swap) cleaning->take_swap().abandon(disk_);
  }
  EXPECT_EQ(records().size(), 1u);
}

TEST_F(CleaningTest, a_trim_waits_for_an_exchange_under_way) {
  for (int i = 0; i < 60; ++i) write({{"a", std::string(100, 'x')}});
  log_.seal();
  const std::unique_ptr<Cleaning> cleaning = log_.log().plan_cleaning(log_.rules(), log_.limit(), log_.now());
  Result<Cleaning::Next> next = Cleaning::Next::step;
  while (next && *next == Cleaning::Next::step) next = cleaning->step(log_.files(), 1 << 20);
  ASSERT_TRUE(next && *next == Cleaning::Next::swap);
  SwapPlan swap = cleaning->take_swap();
  ASSERT_TRUE(log_.log().accept(swap));
  log_.log().set_log_start(log_.log().flushed_offset() - 1);
  EXPECT_FALSE(log_.log().take_removable());
  ASSERT_TRUE(swap.execute(log_.files()));
  log_.log().apply(std::move(swap));
  EXPECT_TRUE(log_.log().take_removable());
}

// --- Histories.

/// Random histories against a map of last values: whatever is cleaned and however often, a reader comes to the same state.
TEST(CleaningModel, a_reader_comes_to_the_same_state_over_random_histories) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "TIDEMARK_SEED=" << seed << '\n';
  Random random(seed);
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  CleaningDriver log(disk, {.segment_bytes = 30'000});
  log.open();
  std::map<std::string, std::string> model;
  std::int64_t operations = 0;
  std::uint64_t dropped = 0;
  while (operations < 100'000) {
    std::vector<Keyed> batch;
    const auto size = 1 + random() % 12;
    for (std::size_t i = 0; i < size; ++i, ++operations) {
      // A few hot keys, many cold ones.
      const std::string key = "k" + std::to_string(random() % (random() % 3 == 0 ? 5000 : 40));
      if (random() % 6 == 0) {
        batch.emplace_back(key, std::nullopt);
        model.erase(key);
      } else {
        batch.emplace_back(key, std::to_string(operations) + std::string(random() % 40, 'v'));
        model[key] = *batch.back().second;
      }
    }
    const auto codec = static_cast<Codec>(random() % 5);
    log.stage(keyed_batch(batch, {.codec = codec}));
    if (random() % 8 == 0) log.flush();
    if (random() % 400 != 0) continue;
    log.flush();
    log.pass(hours(random() % 20));
    if (random() % 2 == 0)
      log.seal();
    else
      log.checkpoint();
    model["marker"] = contents_of(log).state()["marker"];
    if (model["marker"].empty()) model.erase("marker");
    log.clean();
    dropped += log.summary().counts.records_dropped;
    if (random() % 4 == 0) {
      const Timestamp before = log.now();
      log.open();
      log.pass(before - log.now());  // Its clock begins anew.
    }
    ASSERT_EQ(contents_of(log).state(), model) << "after " << operations;
  }
  log.flush();
  log.seal();
  for (int round = 0; round < 4; ++round) {
    log.pass(hours(30));
    do {
      log.clean();
      dropped += log.summary().counts.records_dropped;
    } while (log.summary().more);
  }
  const Contents contents = contents_of(log);
  model["marker"] = contents.state().at("marker");
  EXPECT_EQ(contents.state(), model);
  // One marker more is in the segment being filled.
  const auto markers = std::ranges::count(contents.records, "marker", &KeyedRecord::key);
  EXPECT_EQ(contents.records.size() - static_cast<std::size_t>(markers), model.size() - 1)
      << "nothing but the last values, and no tombstone";
  EXPECT_GT(dropped, 50'000u);
}

}  // namespace
}  // namespace tidemark::storage
