#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/cleaning_fixture.h"
#include "tests/storage/crash_points.h"

namespace tidemark::storage {
namespace {

using simulation::crash_at_every_call;
using simulation::CrashPolicy;
using simulation::FaultEffect;
using simulation::SimulatedFileSystem;
using std::chrono::hours;

constexpr LogConfig kConfig{.segment_bytes = 3000};

/// Several sealed segments in which most records are superseded, one has nothing to lose, and there are tombstones.
void write_history(CleaningDriver& log) {
  log.open();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 12; ++i) {
      const std::string key = "k" + std::to_string(i % 5);
      const bool deletes = round == 3 && i == 4;
      log.stage(keyed_batch({{key, deletes ? std::nullopt : std::optional(std::to_string(round) + std::string(150, 'v'))}}));
    }
    log.stage(keyed_batch({{"only" + std::to_string(round), std::string(1500, 'o')}}));
    log.flush();
    log.seal();
  }
}

/// What a crash left: nothing is lost, nothing came back, and the next cleaning gets to the end.
void judge(SimulatedFileSystem& crashed, const CleaningDriver& before, const std::map<std::string, std::string>& state, Offset end) {
  const LogHints hints = const_cast<CleaningDriver&>(before).hints();
  CleaningDriver log(crashed, kConfig, hints);
  log.open();
  if (testing::Test::HasFailure()) return;
  EXPECT_TRUE(log.report().damage.empty()) << log.report().damage.front().to_string();
  EXPECT_EQ(log.log().flushed_offset(), end);
  EXPECT_EQ(contents_of(log).state(), state);
  EXPECT_TRUE(log.log().damage().empty());
  for (const std::string& path : crashed.tree()) {
    EXPECT_FALSE(path.ends_with(".cleaned") || path.ends_with(".swap")) << path;
  }
  // Once more, after a power cut that takes everything the start did not make durable.
  const std::unique_ptr<SimulatedFileSystem> again = crashed.crash_clone(CrashPolicy::drop_all, 0);
  CleaningDriver second(*again, kConfig, hints);
  second.open();
  EXPECT_EQ(contents_of(second).state(), state);
  EXPECT_TRUE(second.report().damage.empty());
  second.pass(hours(30));
  second.clean();
  EXPECT_EQ(contents_of(second).state(), state);
}

TEST(CleaningCrash, at_every_call_leaves_the_old_or_the_new) {
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  CleaningDriver log(disk, kConfig);
  write_history(log);
  const std::map<std::string, std::string> state = contents_of(log).state();
  const Offset end = log.log().flushed_offset();
  const std::uint64_t bytes = log.log().size_bytes();
  std::uint64_t states = 0;
  for (int round = 0; round < 2; ++round) {  // The second takes the tombstones.
    states += crash_at_every_call(
        disk, 6, [&] { log.clean(); }, [&](SimulatedFileSystem& crashed) { judge(crashed, log, state, end); });
    ASSERT_FALSE(HasFailure());
    log.pass(hours(30));
  }
  EXPECT_LT(log.log().size_bytes(), bytes / 2);
  std::cout << "crash states: " << states << '\n';
  EXPECT_GT(states, 300u);
}

TEST(CleaningCrash, twice_while_the_start_finishes_an_exchange) {
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  CleaningDriver log(disk, kConfig);
  write_history(log);
  const std::map<std::string, std::string> state = contents_of(log).state();
  const Offset end = log.log().flushed_offset();
  std::vector<std::unique_ptr<SimulatedFileSystem>> interrupted;
  disk.on_call([&](std::uint64_t, std::string_view op, const std::string&) {
    if (op == "rename" || op == "remove") {
      interrupted.push_back(disk.process_crash_clone());
      interrupted.push_back(disk.crash_clone(CrashPolicy::random, interrupted.size()));
    }
  });
  log.clean();
  disk.on_call(nullptr);
  std::uint64_t states = 0;
  for (const auto& crashed : interrupted) {
    states += crash_at_every_call(
        *crashed, 3,
        [&] {
          CleaningDriver recovering(*crashed, kConfig, log.hints());
          recovering.open();
        },
        [&](SimulatedFileSystem& twice) { judge(twice, log, state, end); });
    ASSERT_FALSE(HasFailure());
  }
  std::cout << "crash states: " << states << '\n';
  EXPECT_GT(states, 100u);
}

TEST(CleaningCrash, a_failing_call_anywhere_loses_nothing) {
  std::uint64_t runs = 0;
  for (const FaultEffect effect : {FaultEffect::io_error, FaultEffect::disk_full, FaultEffect::short_write_io_error}) {
    for (std::uint64_t call = 1; call < 200; ++call) {
      SimulatedFileSystem disk;
      make_topic_directory(disk);
      CleaningDriver log(disk, kConfig);
      write_history(log);
      const std::map<std::string, std::string> state = contents_of(log).state();
      const Offset end = log.log().flushed_offset();
      const std::uint64_t made = disk.calls();
      disk.fail_call(made + call, effect);
      const Status cleaned = log.try_clean(log.rules());
      if (cleaned && disk.calls() < made + call) break;
      ++runs;
      for (const CrashPolicy policy : {CrashPolicy::drop_all, CrashPolicy::keep_all, CrashPolicy::random}) {
        judge(*disk.crash_clone(policy, call), log, state, end);
        ASSERT_FALSE(HasFailure()) << "call " << call;
      }
    }
  }
  EXPECT_GT(runs, 60u);
}

}  // namespace
}  // namespace tidemark::storage
