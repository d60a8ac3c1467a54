#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "storage/base/random.h"
#include "storage/state_log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/storage/crash_points.h"
#include "tests/storage/state_model.h"

namespace tidemark::storage {
namespace {

using simulation::crash_at_every_call;
using simulation::CrashPolicy;
using simulation::SimulatedFileSystem;

constexpr const char* kDirectory = "state";
constexpr StateLogOptions kOptions{.file_bytes = 2048, .reserve_step_bytes = 512, .emergency_bytes = 1024, .garbage_bytes_min = 1024};

Result<std::unique_ptr<StateLog>> open_log(FileSystem& files, Replayed& replayed) {
  return StateLog::open(files, kDirectory, kOptions, [&replayed](const StateRecord& record) { return replayed.add(record); });
}

/// A log beside the model of what it must hold: every state since the last flush is a possible one.
class ModelledLog {
 public:
  explicit ModelledLog(FileSystem& files) : files_(files) {}

  void open() {
    log_.reset();
    Replayed replayed;
    Result<std::unique_ptr<StateLog>> opened = open_log(files_, replayed);
    ASSERT_TRUE(opened) << opened.error().to_string();
    log_ = *std::move(opened);
    ASSERT_TRUE(is_possible(replayed.contents()));
    // What was shown must stay from here on.
    drop_states_but(replayed.contents());
  }
  void append(std::vector<StateRecord> records) {
    // Before the call: a crash inside may leave any number of them.
    for (const StateRecord& record : records) {
      model_.apply(record);
      possible_.push_back(model_.contents());
    }
    const Status written = log_->append(records);
    ASSERT_TRUE(written) << written.error().to_string();
  }
  void flush() {
    const Status flushed = log_->flush();
    ASSERT_TRUE(flushed) << flushed.error().to_string();
    possible_.erase(possible_.begin(), possible_.end() - 1);
  }
  void write(std::vector<StateRecord> records) {
    append(std::move(records));
    flush();
  }
  void remove_dead_files() {
    const Status removed = log_->remove_dead_files();
    ASSERT_TRUE(removed) << removed.error().to_string();
  }
  bool is_possible(const StreamContents& contents) const { return std::ranges::find(possible_, contents) != possible_.end(); }
  /// For a log that goes on after a crash: the state recovery came to.
  void continue_with(StateModel model) {
    model_ = std::move(model);
    possible_ = {model_.contents()};
  }
  StateLog& log() { return *log_; }
  const StateModel& model() const { return model_; }

 private:
  void drop_states_but(const StreamContents& contents) {
    model_.forget_unfinished();
    possible_ = {contents};
  }

  FileSystem& files_;
  std::unique_ptr<StateLog> log_;
  StateModel model_;
  std::vector<StreamContents> possible_{{}};
};

/// Recovery of a crashed disk, twice, then a further record: nothing is lost, halved, doubled or brought back.
void check_recovery(SimulatedFileSystem& crashed, const ModelledLog& expected) {
  Replayed first;
  {
    const auto log = open_log(crashed, first);
    ASSERT_TRUE(log) << log.error().to_string();
    ASSERT_TRUE(expected.is_possible(first.contents()));
  }
  // What the first recovery showed is durable, whatever comes.
  const auto again = crashed.crash_clone(CrashPolicy::drop_all, 0);
  StreamContents more = first.contents();
  {
    Replayed second;
    const auto log = open_log(*again, second);
    ASSERT_TRUE(log) << log.error().to_string();
    ASSERT_EQ(second.contents(), first.contents());
    std::vector<StateRecord> record{delta("after", "crash")};
    ASSERT_TRUE((*log)->append(record));
    ASSERT_TRUE((*log)->flush());
    ASSERT_TRUE((*log)->remove_dead_files());
    more["after"].push_back("crash");
  }
  const auto at_last = again->crash_clone(CrashPolicy::drop_all, 0);
  Replayed third;
  const auto log = open_log(*at_last, third);
  ASSERT_TRUE(log) << log.error().to_string();
  ASSERT_EQ(third.contents(), more);
}

std::string text(std::size_t bytes, char fill = 'x') { return std::string(bytes, fill); }

class StateLogCrash : public testing::Test {
 protected:
  void crash_everywhere(const std::function<void(ModelledLog&)>& work) {
    SimulatedFileSystem disk;
    ModelledLog log(disk);
    const std::uint64_t states = crash_at_every_call(
        disk, 6, [&] { work(log); }, [&](SimulatedFileSystem& crashed) { check_recovery(crashed, log); });
    std::cout << states << " crash states\n";
    EXPECT_GT(states, 50U);
  }
};

TEST_F(StateLogCrash, in_the_creation_of_a_log) {
  crash_everywhere([](ModelledLog& log) {
    log.open();
    log.write({delta("a", "1")});
  });
}

TEST_F(StateLogCrash, in_appends_and_flushes) {
  crash_everywhere([](ModelledLog& log) {
    log.open();
    log.write({delta("a", "1"), delta("b", text(600))});
    log.append({delta("a", "2")});
    log.append({delta("a", text(300)), delta("b", "2"), delta("c", "1")});
    log.flush();
    log.append({deleted("b")});
    log.append({delta("b", "anew")});
    log.flush();
    log.append({delta("a", "3")});
  });
}

TEST_F(StateLogCrash, in_a_switch_of_files) {
  crash_everywhere([](ModelledLog& log) {
    log.open();
    for (int i = 0; i < 6; ++i) {
      log.append({delta("a", text(900)), delta("b", std::to_string(i))});
      if (i % 2 == 1) log.flush();
    }
  });
}

TEST_F(StateLogCrash, in_a_snapshot_of_several_parts) {
  crash_everywhere([](ModelledLog& log) {
    log.open();
    log.write({delta("a", "1"), delta("a", "2"), delta("b", "1")});
    log.append({snapshot("a", text(700, 's'), false)});
    log.append({snapshot_more("a", text(700, 't'), false), delta("b", "2")});
    log.append({snapshot_more("a", text(700, 'u'), true), delta("a", "3")});
    log.flush();
    log.write({snapshot("b", "half", false)});
  });
}

TEST_F(StateLogCrash, in_the_removal_of_dead_files) {
  crash_everywhere([](ModelledLog& log) {
    log.open();
    log.write({delta("cold", "1"), delta("gone", "1")});
    // Several files of garbage, and a deletion that lies in a file of its own: removed in the wrong order it would bring "gone" back.
    for (int i = 0; i < 3; ++i) log.write({delta("filler", text(1500)), delta("filler", text(600))});
    log.write({deleted("gone"), deleted("filler"), delta("filler", text(2100)), deleted("filler")});
    log.write({snapshot("cold", "1+")});
    EXPECT_GE(log.log().file_count(), 5U);
    log.remove_dead_files();
    EXPECT_LE(log.log().file_count(), 2U);
    log.write({delta("cold", "2")});
  });
}

TEST_F(StateLogCrash, in_the_recovery_from_a_crash) {
  SimulatedFileSystem origin;
  ModelledLog before(origin);
  before.open();
  before.write({delta("a", text(1500)), delta("b", "1")});
  before.append({delta("a", text(700)), snapshot("b", "1+", true), delta("a", "3")});
  before.append({delta("a", text(700))});
  std::uint64_t states = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto crashed = origin.crash_clone(CrashPolicy::random, seed);
    states += crash_at_every_call(
        *crashed, 4,
        [&] {
          Replayed replayed;
          ASSERT_TRUE(open_log(*crashed, replayed));
        },
        [&](SimulatedFileSystem& again) { check_recovery(again, before); });
  }
  std::cout << states << " crash states\n";
  EXPECT_GT(states, 300U);
}

/// Every call of a life fails once, each in every way. What was flushed before stays, and a failed call is never taken for a done one.
TEST(StateLogFaults, at_every_call) {
  using simulation::FaultEffect;
  std::uint64_t failures = 0;
  for (const FaultEffect effect : {FaultEffect::io_error, FaultEffect::disk_full, FaultEffect::short_write_io_error}) {
    for (std::uint64_t call = 1;; ++call) {
      SCOPED_TRACE("call " + std::to_string(call) + " effect " + std::to_string(static_cast<int>(effect)));
      SimulatedFileSystem disk;
      disk.fail_call(call, effect);
      StateModel written;  // With everything that append() accepted.
      std::vector<StreamContents> possible{{}};
      bool failed = false;
      const auto live = [&]() -> Status {
        Replayed replayed;
        const auto log = open_log(disk, replayed);
        if (!log) return log.error();
        for (int i = 0; i < 8; ++i) {
          std::vector<StateRecord> records{delta("a", text(700)), delta("b", std::to_string(i))};
          if (i % 3 == 2) records.push_back(snapshot("a", "short"));
          const Status appended = (*log)->append(records);
          if (!appended && appended.error().code == Errc::disk_full) {
            failed = true;
            continue;  // As if it had not been called.
          }
          for (const StateRecord& record : records) {
            written.apply(record);
            possible.push_back(written.contents());
          }
          if (!appended) return appended;
          if (const Status flushed = (*log)->flush(); !flushed) return flushed;
          possible.erase(possible.begin(), possible.end() - 1);
          if (const Status removed = (*log)->remove_dead_files(); !removed) return removed;
        }
        return {};
      };
      failed = !live() || failed;
      const auto crashed = disk.crash_clone(CrashPolicy::random, call);
      Replayed replayed;
      const auto log = open_log(*crashed, replayed);
      ASSERT_TRUE(log) << log.error().to_string();
      ASSERT_TRUE(std::ranges::find(possible, replayed.contents()) != possible.end());
      if (disk.calls() < call) break;  // The life was over before this call.
      failures += failed ? 1 : 0;
    }
  }
  std::cout << failures << " failures\n";
  EXPECT_GT(failures, 80U);
}

/// Hours of a broker's life in a few seconds: every owner keeps its stream short with snapshots, files come and go, the machine fails.
TEST(StateLogLongRun, agrees_with_the_model) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "TIDEMARK_SEED=" << seed << "\n";
  SCOPED_TRACE("TIDEMARK_SEED=" + std::to_string(seed));
  Random random(seed);
  const auto below = [&random](std::uint64_t n) { return random() % n; };

  auto disk = std::make_unique<SimulatedFileSystem>();
  auto log = std::make_unique<ModelledLog>(*disk);
  log->open();
  std::uint64_t records = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t removed_files = 0;
  std::uint64_t restarts = 0;
  while (records < 20'000 && !testing::Test::HasFatalFailure()) {
    std::vector<StateRecord> group;
    for (std::uint64_t n = 1 + below(6); n > 0; --n) {
      const std::string id = "stream" + std::to_string(below(12) * below(4));
      const std::uint64_t what = below(100);
      if (what < 4) {
        group.push_back(deleted(id));
      } else if (what < 8) {
        group.push_back(snapshot(id, text(below(300)), what < 6));
        if (what == 7) group.push_back(snapshot_more(id, "end", true));
      } else {
        group.push_back(delta(id, text(below(120), static_cast<char>('a' + below(26)))));
      }
    }
    records += group.size();
    log->append(std::move(group));
    if (below(3) == 0) log->flush();
    if (below(10) == 0) {
      for (const StreamKey& stream : log->log().snapshots_wanted()) {
        const auto contents = log->model().contents().find(stream.id);
        if (contents == log->model().contents().end()) continue;  // Only the start of a snapshot lies there.
        // Owners write their state anew; here a stream keeps its last few payloads, so that the model stays small too.
        const std::size_t keep = std::min<std::size_t>(contents->second.size(), 5);
        std::vector<StateRecord> parts;
        for (std::size_t i = contents->second.size() - keep; i < contents->second.size(); ++i) {
          const bool last = i + 1 == contents->second.size();
          parts.push_back(parts.empty() ? snapshot(stream.id, contents->second[i], last)
                                        : snapshot_more(stream.id, contents->second[i], last));
        }
        log->append(std::move(parts));
        ++snapshots;
      }
      log->flush();
      const std::size_t files_before = log->log().file_count();
      log->remove_dead_files();
      removed_files += files_before - log->log().file_count();
      EXPECT_LT(log->log().size_bytes(), 200'000U);  // Twice the live state and a file or two.
    }
    if (below(400) == 0) {
      ++restarts;
      switch (below(3)) {
        case 0:
          break;
        case 1:
          disk = disk->process_crash_clone();
          break;
        case 2:
          disk = disk->crash_clone(CrashPolicy::random, random());
          break;
      }
      auto restarted = std::make_unique<ModelledLog>(*disk);
      Replayed replayed;
      {
        const auto opened = open_log(*disk, replayed);
        ASSERT_TRUE(opened) << opened.error().to_string();
      }
      ASSERT_TRUE(log->is_possible(replayed.contents()));
      StateModel model;
      for (const auto& [id, payloads] : replayed.contents()) {
        for (const std::string& payload : payloads) model.apply(delta(id, payload));
      }
      restarted->continue_with(std::move(model));
      restarted->open();
      log = std::move(restarted);
    }
  }
  std::cout << records << " records, " << snapshots << " snapshots, " << removed_files << " files removed, " << restarts << " restarts\n";
  EXPECT_GT(snapshots, 100U);
  EXPECT_GT(removed_files, 100U);
  EXPECT_GT(restarts, 5U);
}

}  // namespace
}  // namespace tidemark::storage
