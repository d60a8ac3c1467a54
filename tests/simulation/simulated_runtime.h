#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "broker/runtime.h"

namespace tidemark::simulation {

/// A clock that stands still until it is moved.
class SimulatedClock final : public Clock {
 public:
  Timestamp now() const override { return wall_; }
  SteadyTime steady() const override { return steady_; }
  void advance(std::chrono::milliseconds by) {
    wall_ += by;
    steady_ += by;
  }
  /// The wall clock alone jumps, as real ones do.
  void set_wall(Timestamp wall) { wall_ = wall; }

 private:
  Timestamp wall_{std::chrono::milliseconds(1'700'000'000'000)};
  SteadyTime steady_{std::chrono::hours(1)};
};

/// All of the engine's threads on one, in virtual time. Which executor runs next is drawn from the seed, so a seed is a schedule.
class SimulatedRuntime final : public broker::Runtime {
 public:
  SimulatedRuntime(std::uint64_t seed, std::size_t shards);
  ~SimulatedRuntime() override;

  const Clock& clock() const override { return clock_; }
  std::size_t shard_count() const override { return shards_.size(); }
  broker::Shard& shard(std::size_t index) override;
  broker::Executor& committer() override;
  broker::Executor& disk_pool() override;
  std::uint64_t random() override { return random_(); }

  SimulatedClock& time() { return clock_; }
  /// Runs one task; false if there is none.
  bool step();
  /// Runs tasks until none is left; timers that are not due stay.
  void run();
  /// Moves time on, firing timers in order and running what follows from each.
  void advance(std::chrono::milliseconds by);
  /// Runs, and moves time on where nothing else is left to do, until `done` holds; false when nothing at all is left or after an hour of
  /// virtual time.
  bool run_until(const std::function<bool()>& done);

 private:
  class Queue;
  class SimulatedShard;

  SimulatedClock clock_;
  Random random_;
  std::vector<std::unique_ptr<SimulatedShard>> shards_;
  std::unique_ptr<Queue> committer_;
  std::unique_ptr<Queue> disk_pool_;
  const void* current_ = nullptr;
  std::uint64_t next_timer_ = 1;
  std::map<std::pair<SteadyTime, std::uint64_t>, std::pair<SimulatedShard*, broker::Task>> timers_;
};

}  // namespace tidemark::simulation
