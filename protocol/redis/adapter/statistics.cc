#include "protocol/redis/adapter/statistics.h"

namespace tidemark::redis {

void Statistics::command_done(const CommandSpec& command, std::chrono::microseconds time, bool failed) {
  Counters& counters = commands_[command_number(command)];
  counters.calls.fetch_add(1, std::memory_order_relaxed);
  counters.microseconds.fetch_add(static_cast<std::uint64_t>(time.count()), std::memory_order_relaxed);
  if (failed) counters.failed.fetch_add(1, std::memory_order_relaxed);
}

void Statistics::command_rejected(const CommandSpec& command) {
  commands_[command_number(command)].rejected.fetch_add(1, std::memory_order_relaxed);
}

void Statistics::error_replied(std::string_view text) {
  errors_.fetch_add(1, std::memory_order_relaxed);
  const std::string_view code = text.substr(0, text.find(' '));
  const std::lock_guard lock(mutex_);
  const auto known = by_code_.find(code);
  if (known != by_code_.end())
    ++known->second;
  else if (by_code_.size() < kErrorCodesMax)
    by_code_.emplace(code, 1);
}

std::uint64_t Statistics::commands() const {
  std::uint64_t total = 0;
  for (const Counters& counters : commands_) total += counters.calls.load(std::memory_order_relaxed);
  return total;
}

Statistics::Command Statistics::command(const CommandSpec& command) const {
  const Counters& counters = commands_[command_number(command)];
  return {counters.calls.load(std::memory_order_relaxed), counters.microseconds.load(std::memory_order_relaxed),
          counters.rejected.load(std::memory_order_relaxed), counters.failed.load(std::memory_order_relaxed)};
}

std::map<std::string, std::uint64_t> Statistics::errors_by_code() const {
  const std::lock_guard lock(mutex_);
  return {by_code_.begin(), by_code_.end()};
}

void Statistics::reset() {
  for (Counters& counters : commands_) {
    for (std::atomic<std::uint64_t>* const counter : {&counters.calls, &counters.microseconds, &counters.rejected, &counters.failed})
      counter->store(0, std::memory_order_relaxed);
  }
  for (std::atomic<std::uint64_t>* const counter : {&connections_, &errors_, &input_bytes_, &output_bytes_})
    counter->store(0, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  by_code_.clear();
}

}  // namespace tidemark::redis
