#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "storage/base/clock.h"
#include "storage/base/random.h"
#include "storage/base/unique_function.h"

/// Threads and timers as the engine sees them. The real one (broker/thread_runtime) runs a thread per shard, one committer and a disk pool;
/// the simulated one (tests/simulation) runs everything on one thread in seeded order and virtual time. The engine itself makes no
/// thread, timer or socket and takes no lock on its hot paths.
namespace tidemark::broker {

using Task = UniqueFunction<void()>;

/// Runs tasks one after another, in the order posted by any one thread. post() may be called from anywhere and never blocks.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
  virtual bool is_current() const = 0;
};

using TimerId = std::uint64_t;

/// One thread with the partitions and sessions it owns. Nothing on a shard blocks.
class Shard : public Executor {
 public:
  virtual std::size_t index() const = 0;
  /// Runs `task` on this shard after `delay`. Call on this shard only.
  virtual TimerId run_after(std::chrono::milliseconds delay, Task task) = 0;
  /// No effect when it ran already.
  virtual void cancel(TimerId timer) = 0;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual const Clock& clock() const = 0;
  virtual std::size_t shard_count() const = 0;
  virtual Shard& shard(std::size_t index) = 0;
  /// Serial; its tasks may block on the disk. Commit rounds run here and nothing else.
  virtual Executor& committer() = 0;
  /// Tasks run in any order, several at a time, and may block: cold reads, segment creation, recovery, checkpoints.
  virtual Executor& disk_pool() = 0;
  virtual std::uint64_t random() = 0;  ///< From any thread.
};

}  // namespace tidemark::broker
