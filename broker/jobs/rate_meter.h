#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "storage/base/clock.h"

namespace tidemark::broker {

/// A rate over about the last ten seconds: what is older counts less and less.
class RateMeter {
 public:
  void add(double amount, SteadyTime now) {
    decay(now);
    if (!began_) began_ = now;
    weighted_ += amount;
  }
  /// A second; 0 before anything was added.
  double per_second(SteadyTime now) const {
    if (!began_) return 0;
    const double age = seconds(now - *began_);
    // What the weights of the time since the beginning add up to; at least a moment, so that the first sample is no infinite rate.
    const double weight = std::max(kWindow * (1 - std::exp(-age / kWindow)), 0.1);
    return weighted_ * std::exp(-seconds(now - *last_) / kWindow) / weight;
  }
  void restart() { *this = RateMeter(); }

 private:
  static constexpr double kWindow = 10;
  static double seconds(SteadyTime::duration duration) { return std::chrono::duration<double>(duration).count(); }
  void decay(SteadyTime now) {
    if (last_) weighted_ *= std::exp(-seconds(now - *last_) / kWindow);
    last_ = now;
  }

  double weighted_ = 0;
  std::optional<SteadyTime> began_;
  std::optional<SteadyTime> last_;
};

}  // namespace tidemark::broker
