#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "broker/broker.h"
#include "broker/duration_histogram.h"
#include "broker/runtime.h"
#include "storage/log.h"
#include "storage/state_log.h"

namespace tidemark::broker {

/// Makes staged groups and state records durable, many at a time.
///
/// A *round* takes what is queued (bounded in bytes), writes it, flushes it, and then tells the owners on their shards. What is submitted
/// meanwhile waits in the committer's queue and forms the next round: the slower the disk, the larger the rounds.
/// After the first failed write or flush nothing is completed any more, ever: `fatal` is called once and the process must end.
///
/// submit() may be called from any shard. Completions run on the shard given, in submission order per shard.
class Committer {
 public:
  using GroupDone = UniqueFunction<void(storage::WriteGroup&&)>;
  using StateDone = UniqueFunction<void(Status)>;
  /// Asks the owners of these streams for snapshots; called on the committer.
  using WantSnapshots = std::function<void(std::vector<storage::StreamKey>)>;

  Committer(Runtime& runtime, storage::FileCache& files, std::unique_ptr<storage::StateLog> state_log, BrokerOptions::FlushMethod method,
            std::function<void(Error)> fatal);

  void set_want_snapshots(WantSnapshots callback) { want_snapshots_ = std::move(callback); }

  void submit(storage::WriteGroup group, Shard& home, GroupDone done);
  /// Records of one call stay together. Status disk_full: none of them was written.
  void submit(std::vector<storage::StateRecord> records, Shard& home, StateDone done);

  /// For topics that do not wait for flushes: written on the disk pool at once, not queued behind a flush, not flushed.
  void write_only(storage::WriteGroup group, Shard& home, GroupDone done);

  /// Figures so far, as of some recent round. From any thread.
  FlushStats stats() const;
  std::uint64_t state_log_bytes() const;

  /// Blocking, after the runtime's committer has nothing left to do: the end of the state log, or why there is none.
  Result<storage::StateLogPosition> finish();
  bool failed() const;

 private:
  struct GroupWork {
    storage::WriteGroup group;
    Shard* home;
    GroupDone done;
  };
  struct StateWork {
    std::vector<storage::StateRecord> records;
    Shard* home;
    StateDone done;
    Status status;
  };

  void schedule_round();
  void run_round();
  Status flush_files(std::vector<storage::File*> files);
  void fail(Error error);
  void maintain_state_log();

  Runtime& runtime_;
  storage::FileCache& files_;
  std::unique_ptr<storage::StateLog> state_log_;
  BrokerOptions::FlushMethod method_;
  std::function<void(Error)> fatal_;
  WantSnapshots want_snapshots_;

  // Only the committer's own tasks touch these.
  std::deque<GroupWork> groups_;
  std::deque<StateWork> states_;
  bool round_scheduled_ = false;
  bool snapshots_under_way_ = false;
  std::size_t round_bytes_max_ = 1024 * 1024;
  double fdatasync_cost_ = 0;  ///< Moving average, seconds per file.
  double syncfs_cost_ = 0;     ///< Moving average, seconds per call.
  std::uint64_t flushes_of_many_ = 0;

  mutable std::mutex stats_mutex_;  ///< Guards the copies below, for readers elsewhere; taken once a round.
  DurationHistogram flush_durations_;
  std::uint64_t rounds_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t state_log_bytes_ = 0;
  bool failed_ = false;
};

}  // namespace tidemark::broker
