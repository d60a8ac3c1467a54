#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark::redis {

/// The keys that blocked commands wait for, of all connections; INFO counts them. Thread-safe: a command that blocks waits for far longer
/// than for this lock.
class BlockingKeys {
 public:
  /// `on_nokey`: the command wants to hear that the key has gone, too.
  void add(std::span<const std::string> keys, bool on_nokey) { change(keys, on_nokey, 1); }
  void remove(std::span<const std::string> keys, bool on_nokey) { change(keys, on_nokey, -1); }

  /// How many keys there are, and how many of them somebody waits for with on_nokey.
  std::pair<std::size_t, std::size_t> counts() const {
    const std::lock_guard lock(mutex_);
    return {all_.size(), on_nokey_.size()};
  }

 private:
  using Counts = std::map<std::string, int, std::less<>>;

  void change(std::span<const std::string> keys, bool on_nokey, int by) {
    const std::lock_guard lock(mutex_);
    for (const std::string& key : keys) {
      change(all_, key, by);
      if (on_nokey) change(on_nokey_, key, by);
    }
  }
  static void change(Counts& counts, const std::string& key, int by) {
    const auto count = counts.try_emplace(key, 0).first;
    count->second += by;
    if (count->second == 0) counts.erase(count);
  }

  mutable std::mutex mutex_;
  Counts all_, on_nokey_;
};

}  // namespace tidemark::redis
