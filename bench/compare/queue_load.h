#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::bench {

using Clock = std::chrono::steady_clock;

/// What one run of a queue saw: each record once, when it was due, when it came, when the last one was settled. For any number of threads.
///
/// Values begin with a stamp of kStampBytes: number and due time in nanoseconds since the run began, 16 hexadecimal digits each; noise
/// follows.
class QueueRun {
 public:
  static constexpr std::size_t kStampBytes = 32;

  /// `size` is raised to a stamp's; `rate` in records a second, 0 for none.
  QueueRun(std::size_t count, std::size_t size, std::size_t rate);

  std::size_t count() const { return count_; }
  bool paced() const { return rate_ > 0; }
  void begin() { began_ = Clock::now(); }
  /// Waits until the record is due where there is a rate. The view lasts until the next call.
  std::string_view next_value(std::size_t number);
  /// False for bytes that are no record of this run.
  bool received(std::string_view value);
  void settled(std::size_t records);
  bool finished() const { return settled_ >= count_; }
  /// One line of JSON. Only when all threads of the run are joined.
  void print() const;

 private:
  const std::size_t count_;
  const std::size_t rate_;
  const std::string noise_;
  std::string value_;
  Clock::time_point began_ = Clock::now();
  Clock::time_point ended_{};  ///< Written by whoever settles the last record.
  std::atomic<std::size_t> settled_ = 0;
  std::atomic<std::size_t> duplicated_ = 0;
  std::unique_ptr<std::atomic<bool>[]> seen_;
  std::vector<float> latency_ms_;  ///< By number: only the one who sees a record first writes its place.
};

/// Printable noise, the same at each call.
std::string noise(std::size_t bytes);

/// User and system time of this process so far.
double cpu_seconds();

struct Address {
  std::string host;
  int port = 0;
};
/// Of "HOST:PORT"; ends the program if there is no port.
Address parse_address(std::string_view text);

/// Says why on stderr and ends the program: a figure of a run that failed is worth nothing.
[[noreturn]] void die(std::string_view what, std::string_view why);

}  // namespace tidemark::bench
