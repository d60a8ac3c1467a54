#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/publish_fields.h"
#include "broker/schedule/schedule.h"
#include "broker/thread_runtime.h"
#include "storage/base/check.h"
#include "storage/batch/record_batch.h"
#include "storage/posix_file_system.h"

/// How late scheduled records come while a million others wait, on a real disk: from the due time to the moment a reader has the record.
///
/// schedule_bench [DIRECTORY [WAITING]]: the data directory is made in there and removed again.
namespace tidemark::broker {
namespace {

constexpr const char* kTopic = "bench";
constexpr std::int64_t kBatch = 1000;
constexpr int kProbes = 300;
constexpr std::chrono::milliseconds kBetweenProbes{20};

class Bench {
 public:
  explicit Bench(std::string directory) : directory_(std::move(directory)) {
    std::filesystem::remove_all(directory_);
    open();
    const auto made = ask<std::shared_ptr<const Topic>>([](Broker& broker, auto done) {
      broker.create_topic({}, {kTopic, 1, {}}, std::move(done));
    });
    CHECK(made.has_value());
  }
  ~Bench() {
    close();
    std::filesystem::remove_all(directory_);
  }
  void open() {
    runtime_ = std::make_unique<ThreadRuntime>(ThreadRuntime::Options{.shards = 2, .disk_threads = 2});
    BrokerOptions options;
    options.data_directory = directory_;
    options.disk_low_water_bytes = 0;
    Result<std::unique_ptr<Broker>> opened = Broker::open(*runtime_, files_, options, [](Error error) {
      std::fprintf(stderr, "%s\n", error.to_string().c_str());
      std::abort();
    });
    CHECK(opened.has_value());
    broker_ = *std::move(opened);
  }
  void close() {
    std::promise<void> stopped;
    broker_->stop([&](Result<void>) { stopped.set_value(); });
    stopped.get_future().wait();
    runtime_->stop();  // Before the broker goes: tasks of its background work may be under way.
    broker_.reset();
    runtime_.reset();
  }
  template <class T>
  Result<T> ask(std::function<void(Broker&, Done<T>)> call) {
    std::promise<Result<T>> answer;
    runtime_->shard(0).post([&] { call(*broker_, [&](Result<T> result) { answer.set_value(std::move(result)); }); });
    return answer.get_future().get();
  }
  Timestamp now() const { return runtime_->clock().now(); }

 private:
  const std::string directory_;
  storage::PosixFileSystem files_;
  std::unique_ptr<ThreadRuntime> runtime_;
  std::unique_ptr<Broker> broker_;
};

Slice batch_due_at(const std::vector<Timestamp>& times) {
  BatchBuilder batch;
  for (const Timestamp time : times) {
    const std::string at = std::to_string(time.time_since_epoch().count());
    const HeaderView header{.name = kDeliverAtHeader, .value = as_bytes(at)};
    batch.add({.key = std::nullopt, .value = as_bytes(at), .timestamp_ms = 0, .headers = std::span(&header, 1)});
  }
  return batch.build();
}

void publish(Bench& bench, const std::vector<Timestamp>& times) {
  const auto published = bench.ask<Appended>([&](Broker& broker, auto done) {
    broker.append({}, {kTopic, 0}, batch_due_at(times), AppendOptions{.obey_headers = true}, std::move(done));
  });
  if (!published) std::fprintf(stderr, "%s\n", published.error().to_string().c_str());
  CHECK(published.has_value());
}

ScheduleStatus status(Bench& bench) {
  const auto answer = bench.ask<ScheduleStatus>([](Broker& broker, auto done) { broker.schedule().status({}, std::move(done)); });
  CHECK(answer.has_value());
  return *answer;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Milliseconds from a record's due time to its arrival, for records that become due one by one.
std::vector<double> latencies(Bench& bench) {
  std::vector<Timestamp> times;
  const Timestamp begin = bench.now() + std::chrono::seconds(1);
  for (int i = 0; i < kProbes; ++i) times.push_back(begin + i * kBetweenProbes);
  publish(bench, times);
  std::vector<double> late;
  Offset next{0};
  while (late.size() < kProbes) {
    ReadRequest request;
    request.from = next;
    request.wait_max = std::chrono::seconds(5);
    const auto reply = bench.ask<ReadReply>([&](Broker& broker, auto done) { broker.read({}, {kTopic, 0}, request, std::move(done)); });
    const Timestamp arrived = bench.now();
    CHECK(reply.has_value());
    for (Offset at = next; at < reply->next; at = at + 1) {
      late.push_back(static_cast<double>((arrived - times[late.size()]).count()));
    }
    next = reply->next;
  }
  std::ranges::sort(late);
  return late;
}

/// "≤ 1 ms: 270, ≤ 2 ms: 20, ...": how many of the sorted times lie in each step.
void print_histogram(const std::vector<double>& late) {
  std::printf("histogram:");
  auto from = late.begin();
  for (const double limit : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0}) {
    const auto to = std::ranges::upper_bound(late, limit);
    std::printf(" <= %.0f ms: %td,", limit, to - from);
    from = to;
  }
  std::printf(" more: %td\n", late.end() - from);
}

void run(const std::string& directory, std::int64_t waiting) {
  Bench bench(directory + "/schedule-bench-data");
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t seed = 88172645463325252ull;  // Spread over an hour that does not begin while the bench runs.
  for (std::int64_t put = 0; put < waiting; put += kBatch) {
    std::vector<Timestamp> times;
    for (std::int64_t i = 0; i < kBatch; ++i) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      times.push_back(bench.now() + std::chrono::hours(1) + std::chrono::milliseconds(seed % 3'600'000));
    }
    publish(bench, times);
  }
  const double seconds = seconds_since(began);
  const ScheduleStatus full = status(bench);
  std::printf("%llu waiting, scheduled in batches of %lld at %.0f/s; index %.1f bytes a record\n",
              static_cast<unsigned long long>(full.waiting), static_cast<long long>(kBatch), static_cast<double>(waiting) / seconds,
              static_cast<double>(full.index_bytes) / static_cast<double>(full.waiting));
  const std::vector<double> late = latencies(bench);
  std::printf("late by p50 %.0f ms, p99 %.0f ms, max %.0f ms (%d records, one every %lld ms)\n", late[late.size() / 2],
              late[late.size() * 99 / 100], late.back(), kProbes, static_cast<long long>(kBetweenProbes.count()));
  print_histogram(late);
  bench.close();
  const auto reopened = std::chrono::steady_clock::now();
  bench.open();
  const ScheduleStatus read = status(bench);
  std::printf("after a restart %llu waiting, read back in %.2f s\n", static_cast<unsigned long long>(read.waiting),
              seconds_since(reopened));
}

}  // namespace
}  // namespace tidemark::broker

int main(int argc, char** argv) {
  tidemark::broker::run(argc > 1 ? argv[1] : ".", argc > 2 ? std::atoll(argv[2]) : 1'000'000);
  return 0;
}
