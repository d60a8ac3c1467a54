#include "broker/jobs/pacer.h"

#include <algorithm>
#include <cmath>

namespace tidemark::broker {
namespace {

constexpr double kUnusedSecondsKept = 1.0;
constexpr double kWaitSecondsMax = 3600;

std::chrono::milliseconds to_wait(double seconds) {
  const double bounded = std::min(seconds, kWaitSecondsMax);
  return std::max(std::chrono::milliseconds(1), std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(bounded * 1e3))));
}

}  // namespace

void Pacer::look(SteadyTime now) {
  const double passed = now_ ? std::chrono::duration<double>(now - *now_).count() : 0;
  now_ = now;
  // A rate below one a second must still come to one record.
  const double most = std::max(1.0, pace_.value * kUnusedSecondsKept);
  allowance_ = std::min(allowance_ + passed * pace_.value, most);
}

bool Pacer::admit(std::int64_t timestamp_ms, std::uint64_t bytes) {
  switch (pace_.kind) {
    case ReplayPace::Kind::unbounded:
      return true;
    case ReplayPace::Kind::records:
      return admit_at_rate(1);
    case ReplayPace::Kind::bytes:
      return admit_at_rate(static_cast<double>(bytes));
    case ReplayPace::Kind::speed:
      return admit_in_time(timestamp_ms);
  }
  return true;
}

/// A record goes when it fits, or when as much has been saved up as may be: one that is larger than that goes into debt.
bool Pacer::admit_at_rate(double amount) {
  const double needed = std::min(amount, std::max(1.0, pace_.value * kUnusedSecondsKept));
  constexpr double kRounding = 1e-6;
  if (allowance_ + kRounding >= needed) {
    allowance_ -= amount;
    return true;
  }
  wait_ = to_wait((needed - allowance_) / pace_.value);
  return false;
}

bool Pacer::admit_in_time(std::int64_t timestamp_ms) {
  if (timestamp_ms < 0) return true;
  if (!first_due_) {
    first_due_ = now_;
    first_timestamp_ms_ = timestamp_ms;
  }
  const double due = static_cast<double>(timestamp_ms - first_timestamp_ms_) / 1e3 / pace_.value;
  const double passed = first_due_ && now_ ? std::chrono::duration<double>(*now_ - *first_due_).count() : 0;
  if (due <= passed) return true;
  wait_ = to_wait(due - passed);
  return false;
}

void Pacer::restart() { *this = Pacer(pace_); }

}  // namespace tidemark::broker
