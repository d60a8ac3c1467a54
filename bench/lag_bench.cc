#include <benchmark/benchmark.h>

#include "broker/lag/lag_book.h"
#include "protocol/http/metrics.h"

/// What the lag model costs with N pairs of group and partition, and what a metrics page of N partitions costs. The sampler's share of a
/// core is the time of `add` over its interval of 5 s, plus what Groups::lag takes.
namespace tidemark {
namespace {

using namespace std::chrono_literals;

std::vector<broker::PartitionLag> rows_of(std::int64_t count, std::int64_t round) {
  std::vector<broker::PartitionLag> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    broker::PartitionLag row;
    row.group = "group-" + std::to_string(i / 10);
    row.topic = "topic-" + std::to_string(i / 10 % 100);
    row.partition = static_cast<std::int32_t>(i % 10);
    row.end = Offset{1000 * round + i};
    row.lag = 100 + i % 7;
    row.floor = Offset{row.end.value - *row.lag};
    row.lag_time = 1s;
    row.member = "member";
    rows.push_back(std::move(row));
  }
  return rows;
}

/// A book that has watched for an hour of its own time.
struct Watched {
  explicit Watched(std::int64_t count) {
    for (int i = 0; i < 100; ++i) sample(rows_of(count, ++round));
  }
  void sample(const std::vector<broker::PartitionLag>& rows) {
    now += 36s;
    steady += 36s;
    benchmark::DoNotOptimize(book.add(rows, now, steady));
  }
  broker::LagBook book{32 * 1024 * 1024};
  Timestamp now{std::chrono::milliseconds(1'700'000'000'000)};
  SteadyTime steady{1h};
  std::int64_t round = 0;
};

void sample_once(benchmark::State& state) {
  Watched watched(state.range(0));
  const auto rows = rows_of(state.range(0), 101);
  for (auto _ : state) watched.sample(rows);
}
BENCHMARK(sample_once)->Arg(100)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMillisecond);

void judge_all(benchmark::State& state) {
  Watched watched(state.range(0));
  const auto rows = rows_of(state.range(0), 101);
  for (auto _ : state) {
    for (const broker::PartitionLag& row : rows) benchmark::DoNotOptimize(watched.book.judged(row, {}, watched.now, watched.steady));
  }
}
BENCHMARK(judge_all)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);

void encode_history(benchmark::State& state) {
  Watched watched(state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) bytes = watched.book.encode().size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(encode_history)->Arg(10'000)->Unit(benchmark::kMillisecond);

void metrics_page(benchmark::State& state, std::string (*text)(const http::MetricsSnapshot&)) {
  http::MetricsSnapshot snapshot;
  for (std::int64_t t = 0; t < state.range(0) / 10; ++t) {
    http::TopicMetrics& topic = snapshot.topics.emplace_back();
    topic.topic = "topic-" + std::to_string(t);
    for (std::int32_t p = 0; p < 10; ++p) topic.partitions.emplace_back().partition = p;
  }
  for (broker::PartitionLag& row : rows_of(state.range(0), 1)) {
    broker::LagRow& lag = snapshot.lag.emplace_back();
    lag.at = std::move(row);
  }
  std::size_t bytes = 0;
  for (auto _ : state) bytes = text(snapshot).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK_CAPTURE(metrics_page, by_topic, http::metrics_text)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(metrics_page, by_partition, http::partition_metrics_text)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tidemark
