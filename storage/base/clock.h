#pragma once

#include <chrono>

namespace tidemark {

/// Wall-clock time in milliseconds since 1970 UTC: record time and append time. Never drives a timer.
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;
/// Monotonic time: deadlines, timers, intervals.
using SteadyTime = std::chrono::steady_clock::time_point;

/// Where time comes from. Real or simulated; nothing in the engine reads the system's clock itself.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;
  virtual SteadyTime steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  Timestamp now() const override { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); }
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace tidemark
