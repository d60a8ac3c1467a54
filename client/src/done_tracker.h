#pragma once

#include <cstddef>
#include <map>

#include "storage/base/offset.h"

namespace tidemark::detail {

/// What of one partition has been given to the caller and what of that he is done with, in whatever order; and from both the offset that
/// may be committed: everything below it is done or holds no record. Offsets that were passed over (control records, what compaction
/// removed) count as done.
///
/// Memory grows with the number of separate stretches that are done above the first record that is not.
class DoneTracker {
 public:
  DoneTracker() = default;
  explicit DoneTracker(Offset start) : floor_(start), end_(start) {}

  /// Given to the caller; ascending. One that was given before is passed over.
  void deliver(Offset offset);
  /// Nothing below `next` will be given out any more.
  void skip_to(Offset next);
  /// What was given out from `offset` on has been taken back.
  void take_back(Offset offset);
  /// Of a record that was not given out, nothing is noted.
  void finish(Offset offset);
  /// All below, given out or not.
  void finish_below(Offset end);

  Offset floor() const { return floor_; }  ///< To be committed.
  Offset end() const { return end_; }      ///< Behind the last record given out and the gap after it.
  bool all_done() const { return floor_ == end_; }
  std::size_t stretches() const { return done_.size(); }

 private:
  void add(Offset from, Offset to);

  Offset floor_;
  Offset end_;
  std::map<Offset, Offset> done_;  ///< [from, to) above the floor and below the end; neither overlapping nor touching.
};

}  // namespace tidemark::detail
