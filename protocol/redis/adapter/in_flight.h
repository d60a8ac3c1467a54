#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocol/redis/adapter/command.h"

namespace tidemark::redis {

/// The commands of one connection that are under way, by the keys they touch: what says whether the next may start beside them. A reader
/// of a key sees what its own connection has written, and nothing waits that need not.
class InFlight {
 public:
  /// The keys of one command under way; handed back to end().
  class Use;

  /// `alone` commands neither begin beside others nor let others begin.
  bool may_begin(const Request& request) const;
  Use begin(const Request& request);
  void end(const Use& use);
  bool empty() const { return count_ == 0; }

 private:
  struct Key {
    std::size_t readers = 0, appenders = 0, writers = 0;
    bool admits(Ordering ordering) const;
    std::size_t& users(Ordering ordering) {
      return ordering == Ordering::read ? readers : ordering == Ordering::append ? appenders : writers;
    }
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Keys = std::unordered_map<std::string, Key, Hash, std::equal_to<>>;

  Keys keys_;
  std::size_t count_ = 0;
  bool alone_ = false;

 public:
  class Use {
   private:
    friend class InFlight;
    Ordering ordering_ = Ordering::free;
    Keys::pointer first_ = nullptr;  ///< Nearly every command has one key at most.
    std::vector<Keys::pointer> rest_;
  };
};

}  // namespace tidemark::redis
