#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "broker/committer.h"
#include "broker/queues/queue_window.h"
#include "broker/runtime.h"

namespace tidemark::broker {

/// Gets what a window has noted into the state log, and holds answers back until what they show is flushed. On the window's shard.
///
/// Records that could not be written (a full disk) are not lost: their streams are written whole as soon as there is room, and until then
/// answers say disk_full.
class QueueRecorder : public std::enable_shared_from_this<QueueRecorder> {
 public:
  static constexpr std::chrono::milliseconds kRetryInterval{1000};

  /// `began` and `ended` frame every submission: a stop of the broker waits for them.
  QueueRecorder(QueueWindow& window, Committer& committer, Shard& shard, std::function<void()> began, std::function<void()> ended);

  /// Submits what the window has noted; `then` runs once that, and everything submitted before, is flushed.
  void record(Committer::StateDone then);
  /// For changes nobody waits for.
  void record() {
    record([](const Status&) {});  // A failure is kept and told to those who come next.
  }
  /// Something could not be recorded so far: changes are refused.
  bool behind() const { return !unrecorded_.empty(); }
  Error behind_error() const;
  /// Nothing more is submitted; the window goes.
  void close();

 private:
  void submit(std::vector<storage::StateRecord> records, std::unordered_set<storage::StreamKey> restated);
  void submitted(std::uint64_t number, const std::vector<storage::StreamKey>& streams,
                 const std::unordered_set<storage::StreamKey>& restated, Status recorded);
  void arm_retry();

  QueueWindow* window_;  ///< Null once closed.
  Committer& committer_;
  Shard& shard_;
  std::function<void()> began_;
  std::function<void()> ended_;
  std::uint64_t submitted_ = 0;
  std::uint64_t settled_ = 0;
  std::deque<std::pair<std::uint64_t, Committer::StateDone>> waiting_;
  std::unordered_set<storage::StreamKey> unrecorded_;
  std::optional<TimerId> retry_;
};

}  // namespace tidemark::broker
