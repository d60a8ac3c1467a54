#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "broker/queues/queue_services.h"
#include "broker/queues/queue_window.h"

namespace tidemark::broker {

class QueuePartition;

/// Copies dying records of one partition into the group's dead letter topic, each exactly once:
///
///   1. the record of the move (which offsets, under which sequences) is flushed;
///   2. the copies are appended by the window's own idempotent producer, as durably as the dead letter topic is;
///   3. the entries are finished.
///
/// After a crash the move is repeated under the same sequences, and the target drops what it has. A write that is refused for the moment is
/// tried again for as long as it takes; where there is no place for a dead letter, ever, its record is parked. Nothing is dropped.
class DeadLetterMover {
 public:
  static constexpr std::size_t kMoveRecordsMax = 100;
  static constexpr std::size_t kMoveBytesMax = 1024 * 1024;
  static constexpr std::chrono::milliseconds kRetryInterval{1000};

  explicit DeadLetterMover(QueuePartition& queue, QueueServices& services) : queue_(queue), services_(services) {}

  /// After a restart: the move under way is repeated.
  void resume();
  /// There may be something to do. Does one move after another until there is not.
  void wake();
  void stop();

 private:
  void begin(std::shared_ptr<const Topic> target);
  void with_producer(std::shared_ptr<const Topic> target);
  void read(std::shared_ptr<const Topic> target);
  void append(std::shared_ptr<const Topic> target, Slice batch, std::vector<Offset> lost);
  void repeated(std::shared_ptr<const Topic> target, Slice batch, std::vector<Offset> lost);
  void judge(std::shared_ptr<const Topic> target, Result<Appended> appended, std::vector<Offset> lost);
  void finish(std::vector<Offset> lost);
  void try_later();
  void park_all(const std::string& why);
  void end();

  QueuePartition& queue_;
  QueueServices& services_;
  bool busy_ = false;
  bool stopped_ = false;
  bool repeats_ = false;  ///< The move was begun before a restart: the target may have it.
  std::optional<TimerId> timer_;
};

}  // namespace tidemark::broker
