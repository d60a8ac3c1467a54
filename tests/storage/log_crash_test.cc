#include <array>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/base/random.h"
#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/crash_points.h"
#include "tests/storage/log_driver.h"

namespace tidemark::storage {
namespace {

using simulation::crash_at_every_call;
using simulation::CrashPolicy;
using simulation::FaultEffect;
using simulation::SimulatedFileSystem;
using std::chrono::seconds;

constexpr LogConfig kConfig{.segment_bytes = 3000};

/// What happens to a log, in the order it happens.
enum class Step { append, append_large, append_two, roll, trim_one, trim_all, checkpoint, restart };
constexpr std::array kSteps = {Step::append,   Step::append_large, Step::append_two, Step::roll,
                               Step::trim_one, Step::trim_all,     Step::checkpoint, Step::restart};

std::string name_of(Step step);
void PrintTo(Step step, std::ostream* out) { *out << name_of(step); }

std::string name_of(Step step) {
  switch (step) {
    case Step::append:
      return "append";
    case Step::append_large:
      return "append_large";
    case Step::append_two:
      return "append_two";
    case Step::roll:
      return "roll";
    case Step::trim_one:
      return "trim_one";
    case Step::trim_all:
      return "trim_all";
    case Step::checkpoint:
      return "checkpoint";
    case Step::restart:
      return "restart";
  }
  return "?";
}

/// A log and what is known about it from outside: what was staged, what was confirmed, what the state log says.
class History {
 public:
  explicit History(SimulatedFileSystem& disk) : driver_(disk, kConfig) { driver_.open(); }

  void run(Step step) {
    switch (step) {
      case Step::append:
        stage(400);
        flush();
        break;
      case Step::append_large:
        stage(2500);
        flush();
        break;
      case Step::append_two:
        stage(100);
        stage(900);
        flush();
        break;
      case Step::roll:
        driver_.log().roll();
        break;
      case Step::trim_one:
        driver_.trim(std::min(driver_.log().log_start() + 1, driver_.log().flushed_offset()));
        break;
      case Step::trim_all:
        driver_.log().roll();
        driver_.trim(driver_.log().flushed_offset());
        break;
      case Step::checkpoint:
        driver_.checkpoint();
        break;
      case Step::restart:
        driver_.open();
        break;
    }
    driver_.pass(seconds(2));
  }

  /// Staged, not flushed.
  void stage(std::size_t bytes) {
    const std::int64_t next = driver_.log().end_offset().value;
    std::string value = std::to_string(next) + ":";
    value.resize(bytes, static_cast<char>('a' + next % 26));
    values_[next] = value;
    driver_.stage(batch_of({value}));
  }
  void flush() {
    driver_.flush();
    confirmed_ = driver_.log().flushed_offset();
  }

  /// Opens what a crash left, twice, the second time after another crash, and judges it.
  void judge(SimulatedFileSystem& crashed) const {
    for (const bool with_checkpoint : {true, false}) {
      const std::unique_ptr<SimulatedFileSystem> disk = crashed.process_crash_clone();
      LogHints hints = driver_hints();
      if (!with_checkpoint) hints.checkpoint.reset();
      const testing::ScopedTrace trace(__FILE__, __LINE__, with_checkpoint ? "with its checkpoint" : "without a checkpoint");
      LogDriver first(*disk, kConfig, hints);
      const std::vector<SeenRecord> shown = judge_open(first);
      if (testing::Test::HasFailure()) return;
      // Whatever was shown must survive the next power cut, without any further call.
      const std::unique_ptr<SimulatedFileSystem> again = disk->crash_clone(CrashPolicy::drop_all, 0);
      LogDriver second(*again, kConfig, hints);
      EXPECT_EQ(judge_open(second), shown);
      if (testing::Test::HasFailure()) return;
      // And the log goes on; what it then confirms survives as well.
      first.write({"more"});
      std::vector<SeenRecord> longer = shown;
      longer.push_back({first.log().end_offset().value - 1, "more"});
      const std::unique_ptr<SimulatedFileSystem> after = disk->crash_clone(CrashPolicy::drop_all, 0);
      LogDriver third(*after, kConfig, hints);
      third.open();
      EXPECT_EQ(third.read_all(), longer);
      third.checkpoint();
      third.open();
      EXPECT_EQ(third.read_all(), longer);
    }
  }

  LogDriver& driver() { return driver_; }

 private:
  LogHints driver_hints() const { return const_cast<LogDriver&>(driver_).hints(); }

  std::vector<SeenRecord> judge_open(LogDriver& log) const {
    const Status opened = log.try_open();
    EXPECT_TRUE(opened) << opened.error().to_string();
    if (!opened) return {};
    EXPECT_TRUE(log.report().damage.empty()) << log.report().damage.front().to_string();
    EXPECT_FALSE(log.log().append_error()) << log.log().append_error()->detail;
    EXPECT_GE(log.log().end_offset(), confirmed_) << "a confirmed record is lost";
    std::vector<SeenRecord> seen = log.read_all();
    EXPECT_FALSE(log.read_error()) << log.read_error()->to_string();
    std::int64_t expected = log.log().log_start().value;
    for (const SeenRecord& record : seen) {
      EXPECT_EQ(record.offset, expected) << "a hole, or a record twice";
      const auto staged = values_.find(record.offset);
      EXPECT_TRUE(staged != values_.end() && staged->second == record.value) << "a record nobody wrote at " << record.offset;
      expected = record.offset + 1;
    }
    EXPECT_EQ(expected, log.log().end_offset().value);
    return seen;
  }

  LogDriver driver_;
  std::map<std::int64_t, std::string> values_;
  Offset confirmed_;
};

/// Crashes at every call of the history. Returns the number of states judged.
std::uint64_t crash_in(const std::vector<Step>& steps, std::uint64_t seeds) {
  std::string name;
  for (const Step step : steps) name += name_of(step) + " ";
  const testing::ScopedTrace trace(__FILE__, __LINE__, name);
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  History history(disk);
  return crash_at_every_call(
      disk, seeds,
      [&] {
        for (const Step step : steps) {
          if (!testing::Test::HasFailure()) history.run(step);
        }
      },
      [&](SimulatedFileSystem& crashed) { history.judge(crashed); });
}

/// Every history of three steps between two appends, by its first step.
class LogCrashShort : public testing::TestWithParam<Step> {};
TEST_P(LogCrashShort, at_every_call_nothing_confirmed_is_lost) {
  std::uint64_t states = 0;
  for (const Step second : kSteps) {
    for (const Step third : kSteps) {
      states += crash_in({Step::append, GetParam(), second, third, Step::append}, 1);
      ASSERT_FALSE(HasFailure());
    }
  }
  std::cout << "crash states: " << states << '\n';
  EXPECT_GT(states, 3'000u);
}
INSTANTIATE_TEST_SUITE_P(, LogCrashShort, testing::ValuesIn(kSteps), [](const auto& test_case) { return name_of(test_case.param); });

TEST(LogCrash, at_every_call_of_long_random_histories_nothing_confirmed_is_lost) {
  std::uint64_t states = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Random random(seed);
    std::vector<Step> steps;
    for (int i = 0; i < 60; ++i) steps.push_back(kSteps[random() % kSteps.size()]);
    const testing::ScopedTrace trace(__FILE__, __LINE__, "history seed " + std::to_string(seed));
    states += crash_in(steps, 6);
    ASSERT_FALSE(HasFailure());
  }
  std::cout << "crash states: " << states << '\n';
  EXPECT_GT(states, 8'000u);
}

/// Groups that end in the middle of sectors and of each other.
TEST(LogCrash, many_seeds_of_one_unflushed_group) {
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  History history(disk);
  history.run(Step::append);
  for (int i = 0; i < 3; ++i) history.stage(700);
  WriteGroup group = history.driver().log().take_group();
  ASSERT_TRUE(group.write(history.driver().files()));
  simulation::crash_here(disk, 500, "between write and flush", [&](SimulatedFileSystem& crashed) { history.judge(crashed); });
}

TEST(LogCrash, a_crash_at_every_call_of_recovery_changes_nothing) {
  std::uint64_t states = 0;
  SimulatedFileSystem disk;
  make_topic_directory(disk);
  History history(disk);
  for (const Step step :
       {Step::append, Step::append_large, Step::append, Step::checkpoint, Step::append, Step::append_large, Step::append}) {
    history.run(step);
  }
  history.stage(500);
  history.stage(1500);
  WriteGroup group = history.driver().log().take_group();
  ASSERT_TRUE(group.write(history.driver().files()));
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const std::unique_ptr<SimulatedFileSystem> crashed = disk.crash_clone(CrashPolicy::random, seed);
    states += crash_at_every_call(
        *crashed, 3,
        [&] {
          LogDriver recovering(*crashed, kConfig, history.driver().hints());
          recovering.open();
        },
        [&](SimulatedFileSystem& twice) { history.judge(twice); });
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  std::cout << "crash states: " << states << '\n';
  EXPECT_GT(states, 300u);
}

/// A call fails instead; then the process ends, as it must after a failed write or flush.
TEST(LogCrash, a_failing_call_anywhere_loses_nothing_confirmed) {
  const std::vector<Step> steps = {Step::append, Step::append_two, Step::append_large, Step::checkpoint,   Step::append,
                                   Step::roll,   Step::append,     Step::checkpoint,   Step::append_large, Step::append};
  std::uint64_t runs = 0;
  for (const FaultEffect effect : {FaultEffect::io_error, FaultEffect::disk_full, FaultEffect::short_write_io_error}) {
    for (std::uint64_t call = 1; call < 200; ++call) {
      SimulatedFileSystem disk;
      make_topic_directory(disk);
      const std::uint64_t made = disk.calls();
      disk.fail_call(made + call, effect);
      LogDriver log(disk, kConfig);
      log.open();
      Offset confirmed;
      bool failed = false;
      for (const Step step : steps) {
        Status done;
        if (step == Step::checkpoint) {
          done = log.try_checkpoint();
        } else if (step == Step::roll) {
          log.log().roll();
        } else {
          const Result<Offset> staged = log.try_stage(batch_of({std::string(step == Step::append_large ? 2500 : 400, 'x')}));
          done = staged ? log.try_flush() : Status(staged.error());
        }
        confirmed = log.log().flushed_offset();
        failed = !done;
        if (failed) break;
      }
      if (!failed) {
        EXPECT_LT(disk.calls(), made + call) << "call " << call << " failed and nobody said so";
        break;
      }
      ++runs;
      for (const CrashPolicy policy : {CrashPolicy::drop_all, CrashPolicy::keep_all, CrashPolicy::random}) {
        const std::unique_ptr<SimulatedFileSystem> crashed = disk.crash_clone(policy, call);
        LogDriver after(*crashed, kConfig, log.hints());
        after.open();
        EXPECT_TRUE(after.report().damage.empty()) << "call " << call;
        EXPECT_GE(after.log().end_offset(), confirmed) << "call " << call;
        EXPECT_EQ(after.read_all().size(), static_cast<std::size_t>(after.log().end_offset().value)) << "call " << call;
        ASSERT_FALSE(HasFailure()) << "call " << call;
      }
    }
  }
  EXPECT_GT(runs, 60u);
}

}  // namespace
}  // namespace tidemark::storage
