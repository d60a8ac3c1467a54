#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_set>

namespace tidemark::broker {

/// Producers whose sessions no partition may forget, however long they are silent: those of unfinished jobs. After a crash a job repeats
/// its last append, perhaps days later, and only the session knows that it is a repeat. From any thread.
class ProducerHolds {
 public:
  void hold(std::int64_t id) {
    const std::lock_guard lock(mutex_);
    ids_.insert(id);
  }
  void release(std::int64_t id) {
    const std::lock_guard lock(mutex_);
    ids_.erase(id);
  }
  bool contains(std::int64_t id) const {
    const std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }

 private:
  mutable std::mutex mutex_;  ///< Taken when sessions expire and when jobs begin or end; never held over a call.
  std::unordered_set<std::int64_t> ids_;
};

}  // namespace tidemark::broker
