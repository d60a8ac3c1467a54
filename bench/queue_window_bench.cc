#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <malloc.h>

#include "broker/queues/queue_window.h"
#include "storage/base/check.h"
#include "storage/base/random.h"

/// What the window of a queue group costs: acknowledgements in random order with their records, memory of ten million pending records, and
/// reading those back. One thread, no disk; bytes are counted by the allocator.
namespace tidemark::broker {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::int64_t kPending = 10'000'000;
constexpr std::size_t kBatch = 100;
constexpr std::size_t kMembers = 100;
constexpr double kMiB = 1024.0 * 1024.0;

double seconds_since(SteadyClock::time_point began) { return std::chrono::duration<double>(SteadyClock::now() - began).count(); }
double allocated_mib() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd) / kMiB;
}

struct Bench {
  Bench() {
    settings->max_pending = settings->max_pending_member = 0;
    for (std::size_t i = 0; i < kMembers; ++i) members.push_back("member-" + std::to_string(i));
  }
  std::unique_ptr<QueueWindow> make() const { return std::make_unique<QueueWindow>(who, Offset{0}, settings); }

  /// Offsets up to `to` are handed out in batches; `owner` names who gets a record.
  void fill(QueueWindow& window, std::int64_t to, const std::function<std::size_t(std::int64_t)>& owner) {
    std::vector<Offset> batch;
    for (std::int64_t from = 0; from < to; from += static_cast<std::int64_t>(kBatch)) {
      window.extend({from + static_cast<std::int64_t>(kBatch)}, {});
      for (std::int64_t offset = from; offset < from + static_cast<std::int64_t>(kBatch); ++offset) {
        const bool last = offset + 1 == from + static_cast<std::int64_t>(kBatch);
        batch.push_back({offset});
        if (!last && owner(offset) == owner(offset + 1)) continue;
        window.take(members[owner(offset)], batch, {}, now);
        batch.clear();
      }
      now += std::chrono::milliseconds(1);
      keep(window.take_records());
    }
  }
  void keep(std::vector<storage::StateRecord> records) {
    for (const storage::StateRecord& record : records) record_bytes += storage::StateLog::encoded_size(record);
    if (keeps) std::ranges::move(records, std::back_inserter(log));
  }

  QueueWindow::Identity who{.group = "billing", .topic = Uuid::from_random(1, 2), .partition = 0};
  std::shared_ptr<QueueSettings> settings = std::make_shared<QueueSettings>();
  std::vector<std::string> members;
  Timestamp now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  bool keeps = false;
  std::vector<storage::StateRecord> log;
  std::size_t record_bytes = 0;
};

void measure_acks(std::int64_t pending) {
  Bench bench;
  const auto window = bench.make();
  bench.fill(*window, pending, [](std::int64_t offset) { return static_cast<std::size_t>(offset) / kBatch % kMembers; });
  std::vector<std::int64_t> order(static_cast<std::size_t>(pending));
  std::iota(order.begin(), order.end(), 0);
  Random random(1);
  std::ranges::shuffle(order, random);
  bench.record_bytes = 0;
  const auto began = SteadyClock::now();
  std::size_t acked = 0;
  for (const std::int64_t offset : order) {
    const std::string& member = bench.members[static_cast<std::size_t>(offset) / kBatch % kMembers];
    CHECK(window->ack({offset}, member, 1, bench.now) == Settled::ok);
    if (++acked % kBatch == 0) bench.keep(window->take_records());
  }
  const double seconds = seconds_since(began);
  CHECK(window->floor() == Offset{pending});
  std::printf("acks in random order of %8lld pending, records of %zu: %9.0f/s, %.1f bytes of state log an ack\n",
              static_cast<long long>(pending), kBatch, static_cast<double>(pending) / seconds,
              static_cast<double>(bench.record_bytes) / static_cast<double>(pending));
  std::fflush(stdout);
}

/// Consumers work off what they were given: the usual case.
void measure_rounds() {
  Bench bench;
  const auto window = bench.make();
  constexpr std::int64_t kRounds = 50'000;
  const auto began = SteadyClock::now();
  for (std::int64_t round = 0; round < kRounds; ++round) {
    const std::string& member = bench.members[static_cast<std::size_t>(round) % kMembers];
    window->extend({(round + 1) * static_cast<std::int64_t>(kBatch)}, {});
    const std::vector<Offset> chosen = window->choose(member, kBatch, bench.now);
    window->take(member, chosen, {}, bench.now);
    bench.keep(window->take_records());
    for (const Offset offset : chosen) CHECK(window->ack(offset, member, 1, bench.now) == Settled::ok);
    bench.keep(window->take_records());
  }
  const double records = static_cast<double>(kRounds) * static_cast<double>(kBatch);
  std::printf("handed out and acknowledged in batches of %zu: %9.0f records/s, %.2f bytes of state log a record\n", kBatch,
              records / seconds_since(began), static_cast<double>(bench.record_bytes) / records);
  std::fflush(stdout);
}

void measure_memory(const char* shape, std::int64_t offsets, const std::function<std::size_t(std::int64_t)>& owner, bool every_second) {
  const double before = allocated_mib();
  Bench bench;
  auto window = bench.make();
  bench.fill(*window, offsets, owner);
  if (every_second) {
    for (std::int64_t offset = 0; offset < offsets; offset += 2) {
      window->ack({offset}, {}, 0, bench.now);
      if (offset % 4096 == 0) bench.keep(window->take_records());
    }
  }
  bench.keep(window->take_records());
  CHECK(window->counts().in_flight == static_cast<std::uint64_t>(kPending));
  std::printf("memory of 10 M pending, %-32s %6.0f MiB (told: %.0f MiB)\n", shape, allocated_mib() - before,
              static_cast<double>(window->memory_bytes()) / kMiB);
  std::fflush(stdout);

  bench.log.clear();
  for (const storage::StreamKey& stream : window->streams()) std::ranges::move(window->snapshot(stream), std::back_inserter(bench.log));
  std::size_t bytes = 0;
  for (const storage::StateRecord& record : bench.log) bytes += storage::StateLog::encoded_size(record);
  window.reset();
  const auto began = SteadyClock::now();
  window = bench.make();
  for (const storage::StateRecord& record : bench.log) CHECK(window->replay(record).has_value());
  window->recovered(bench.now);
  CHECK(window->counts().in_flight == static_cast<std::uint64_t>(kPending));
  std::printf("  read back from %.1f MiB of records in %.2f s\n", static_cast<double>(bytes) / kMiB, seconds_since(began));
  std::fflush(stdout);
}

/// As after a crash before any snapshot: all deltas.
void measure_recovery() {
  Bench bench;
  bench.keeps = true;
  auto window = bench.make();
  bench.fill(*window, kPending, [](std::int64_t offset) { return static_cast<std::size_t>(offset) / kBatch % kMembers; });
  const auto began = SteadyClock::now();
  window = bench.make();
  for (const storage::StateRecord& record : bench.log) CHECK(window->replay(record).has_value());
  window->recovered(bench.now);
  CHECK(window->counts().in_flight == static_cast<std::uint64_t>(kPending));
  std::printf("10 M pending read back from %zu deltas, %.1f MiB, in %.2f s\n", bench.log.size(),
              static_cast<double>(bench.record_bytes) / kMiB, seconds_since(began));
}

}  // namespace
}  // namespace tidemark::broker

int main() {
  using namespace tidemark::broker;
  measure_acks(1'000'000);
  measure_acks(10'000'000);
  measure_rounds();
  const auto in_batches = [](std::int64_t offset) { return static_cast<std::size_t>(offset) / kBatch % kMembers; };
  const auto at_random = [](std::int64_t offset) {
    return static_cast<std::size_t>((static_cast<std::uint64_t>(offset) * 0x9e3779b97f4a7c15ULL) >> 40) % kMembers;
  };
  measure_memory("batches of 100 by 100 members:", kPending, in_batches, false);
  measure_memory("every second acknowledged:", 2 * kPending, in_batches, true);
  measure_memory("owners at random:", kPending, at_random, false);
  measure_recovery();
  return 0;
}
