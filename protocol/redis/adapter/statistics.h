#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/redis/adapter/command_table.h"

namespace tidemark::redis {

/// Counters that INFO shows, since the start or CONFIG RESETSTAT. Thread-safe.
class Statistics {
 public:
  struct Command {
    std::uint64_t calls = 0, microseconds = 0, rejected = 0, failed = 0;
  };

  Statistics() : commands_(command_count()) {}

  void connection_opened() { connections_.fetch_add(1, std::memory_order_relaxed); }
  /// `time` from the start of the command to its answer, waiting included.
  void command_done(const CommandSpec& command, std::chrono::microseconds time, bool failed);
  /// Refused before it began: arity, context.
  void command_rejected(const CommandSpec& command);
  /// Any error reply; `text` begins with its code.
  void error_replied(std::string_view text);
  void bytes_read(std::size_t bytes) { input_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void bytes_written(std::size_t bytes) { output_bytes_.fetch_add(bytes, std::memory_order_relaxed); }

  std::uint64_t connections() const { return connections_.load(std::memory_order_relaxed); }
  std::uint64_t commands() const;
  std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
  std::uint64_t input_bytes() const { return input_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t output_bytes() const { return output_bytes_.load(std::memory_order_relaxed); }
  Command command(const CommandSpec& command) const;
  /// By code ("ERR", "NOGROUP"); at most kErrorCodesMax of them.
  std::map<std::string, std::uint64_t> errors_by_code() const;
  void reset();

 private:
  static constexpr std::size_t kErrorCodesMax = 128;

  struct Counters {
    std::atomic<std::uint64_t> calls = 0, microseconds = 0, rejected = 0, failed = 0;
  };
  std::vector<Counters> commands_;
  std::atomic<std::uint64_t> connections_ = 0, errors_ = 0, input_bytes_ = 0, output_bytes_ = 0;
  mutable std::mutex mutex_;  ///< Of the table below: errors are rare.
  std::map<std::string, std::uint64_t, std::less<>> by_code_;
};

}  // namespace tidemark::redis
