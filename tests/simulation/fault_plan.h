#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::simulation {

/// How a call fails. On a sync of any kind every effect leaves what a failed flush leaves (FileContents::lose_unsynced).
enum class FaultEffect {
  io_error,               ///< EIO, nothing done.
  disk_full,              ///< ENOSPC, nothing done.
  short_write_io_error,   ///< Half of the bytes are written, then EIO.
  short_write_disk_full,  ///< Half of the bytes are written, then ENOSPC.
};

struct FaultRule {
  std::string op = {};             ///< Empty: any.
  std::string path_contains = {};  ///< Empty: any.
  std::uint64_t nth = 1;           ///< The first to fail of the matching calls from now on.
  std::uint64_t times = 1;         ///< How many of them fail from there on.
  FaultEffect effect = FaultEffect::io_error;
};

/// Numbers the calls and says which of them fail.
class FaultPlan {
 public:
  /// Calls are counted from 1.
  std::uint64_t count_call() { return ++calls_; }
  std::uint64_t calls() const { return calls_; }

  void fail_call(std::uint64_t index, FaultEffect effect) { by_index_[index] = effect; }
  void add_rule(FaultRule rule) { rules_.push_back({.rule = std::move(rule)}); }
  void clear();

  /// What happens to the call of this index; 0 for a call that is not counted. Every rule sees the call, the first that says so fails it.
  std::optional<FaultEffect> effect_on(std::uint64_t index, std::string_view op, std::string_view path);

 private:
  struct ActiveRule {
    FaultRule rule;
    std::uint64_t matched = 0;
  };

  std::uint64_t calls_ = 0;
  std::map<std::uint64_t, FaultEffect> by_index_;
  std::vector<ActiveRule> rules_;
};

}  // namespace tidemark::simulation
