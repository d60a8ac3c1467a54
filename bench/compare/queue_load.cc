#include "bench/compare/queue_load.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <sys/resource.h>
#include <thread>

namespace tidemark::bench {
namespace {

constexpr std::size_t kNoiseBytes = 1 << 20;

std::optional<std::uint64_t> hexadecimal(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

QueueRun::QueueRun(std::size_t count, std::size_t size, std::size_t rate)
    : count_(count),
      rate_(rate),
      noise_(noise(kNoiseBytes + size)),
      value_(std::max(size, kStampBytes), ' '),
      seen_(std::make_unique<std::atomic<bool>[]>(count)),
      latency_ms_(count) {}

std::string_view QueueRun::next_value(std::size_t number) {
  Clock::time_point due = Clock::now();
  if (rate_ > 0) {
    due = began_ + std::chrono::nanoseconds(number * 1'000'000'000 / rate_);
    std::this_thread::sleep_until(due);
  }
  char stamp[kStampBytes + 1];
  std::snprintf(stamp, sizeof stamp, "%016llx%016llx", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(std::chrono::nanoseconds(due - began_).count()));
  value_.replace(0, kStampBytes, stamp, kStampBytes);
  value_.replace(kStampBytes, std::string::npos, noise_, number * 7919 % kNoiseBytes, value_.size() - kStampBytes);
  return value_;
}

bool QueueRun::received(std::string_view value) {
  const Clock::time_point now = Clock::now();
  if (value.size() < kStampBytes) return false;
  const auto number = hexadecimal(value.substr(0, 16));
  const auto due = hexadecimal(value.substr(16, 16));
  if (!number || !due || *number >= count_) return false;
  if (seen_[*number].exchange(true)) {
    ++duplicated_;
    return true;
  }
  latency_ms_[*number] = std::chrono::duration<float, std::milli>(now - began_ - std::chrono::nanoseconds(*due)).count();
  return true;
}

void QueueRun::settled(std::size_t records) {
  const Clock::time_point now = Clock::now();
  const std::size_t before = settled_.fetch_add(records);
  if (before < count_ && before + records >= count_) ended_ = now;  // Read after the workers were joined.
}

void QueueRun::print() const {
  std::vector<float> sorted = latency_ms_;
  std::ranges::sort(sorted);
  const auto at = [&](std::size_t percent) { return static_cast<double>(sorted[(sorted.size() - 1) * percent / 100]); };
  const std::size_t seen =
      static_cast<std::size_t>(std::count_if(seen_.get(), seen_.get() + count_, [](const auto& one) { return one.load(); }));
  const double seconds = std::chrono::duration<double>(ended_ - began_).count();
  std::printf(
      "{\"records\": %zu, \"seconds\": %.4f, \"records_per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"lost\": %zu, "
      "\"duplicated\": %zu, \"client_cpu_seconds\": %.3f}\n",
      count_, seconds, static_cast<double>(count_) / seconds, at(50), at(99), count_ - seen, duplicated_.load(), cpu_seconds());
}

std::string noise(std::size_t bytes) {
  std::mt19937_64 random(1);
  std::string text(bytes, ' ');
  for (char& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Address parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) die("address", text);
  return {std::string(text.substr(0, colon)), std::atoi(std::string(text.substr(colon + 1)).c_str())};
}

void die(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(what.size()), what.data(), static_cast<int>(why.size()), why.data());
  std::exit(1);
}

}  // namespace tidemark::bench
