#pragma once

#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "broker/runtime.h"

namespace tidemark::broker {

/// The real runtime: a thread with an event loop per shard, one committer thread, a pool for the disk.
///
/// Posting to a shard puts the task into its inbox and wakes the loop only when the inbox was empty, so many hand-overs to a busy shard
/// cost one wake-up.
class ThreadRuntime final : public Runtime {
 public:
  struct Options {
    std::size_t shards = 1;
    std::size_t disk_threads = 4;
  };

  /// Starts the threads.
  explicit ThreadRuntime(Options options);
  /// stop()
  ~ThreadRuntime() override;

  const Clock& clock() const override;
  std::size_t shard_count() const override;
  Shard& shard(std::size_t index) override;
  Executor& committer() override;
  Executor& disk_pool() override;
  std::uint64_t random() override;

  /// The event loop of a shard: sockets of its sessions live there.
  boost::asio::io_context& io(std::size_t shard);

  /// Ends and joins the threads, the running tasks finish: first the disk's, then the shards'. Not from one of them. Tasks, timers and
  /// socket handlers that did not run are destroyed on the thread they were meant for; what is posted to a thread that has ended is
  /// destroyed by the caller. Sockets must be gone before the object is.
  void stop();

 private:
  class ThreadShard;
  class Pool;

  SystemClock clock_;
  std::vector<std::unique_ptr<ThreadShard>> shards_;
  std::unique_ptr<Pool> committer_;
  std::unique_ptr<Pool> disk_pool_;
};

}  // namespace tidemark::broker
