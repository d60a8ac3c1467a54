#include <fmt/format.h>

#include "tools/tidemark/bench.h"
#include "tools/tidemark/sender.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

/// A moment as the tag that travels with a record, and back.
std::uint64_t to_tag(SteadyTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
SteadyTime from_tag(std::uint64_t tag) { return SteadyTime(SteadyTime::duration(static_cast<std::int64_t>(tag))); }

/// One after the other, each waiting for its answer: what a lone caller of send() sees.
Status send_one_by_one(Producer& producer, const BenchOptions& options, const Interrupts& interrupts, BenchResult& result) {
  RandomValues values(options.size);
  for (std::uint64_t i = 0; i < options.records && !interrupts.interrupted(); ++i) {
    const SteadyTime started = std::chrono::steady_clock::now();
    const Result<Stored> stored = producer.send({.value = values.next()});
    if (!stored) return stored.error();
    result.latency.record(std::chrono::steady_clock::now() - started);
    ++result.records;
    result.bytes += options.size;
  }
  return {};
}

/// As fast as the buffer takes them. At a rate, latency counts from the moment a record was due: a stall of the broker is not hidden by
/// records that were sent late.
Status send_pipelined(Producer producer, const BenchOptions& options, Interrupts& interrupts, BenchResult& result) {
  Sender sender(std::move(producer), [&result](const Sender::Answer& answer) {
    if (!answer.error) result.latency.record(std::chrono::steady_clock::now() - from_tag(answer.tag));
  });
  const Interrupts::Listener listener(interrupts, [&sender] { sender.stop(); });
  RandomValues values(options.size);
  std::optional<RateLimiter> limiter;
  if (options.rate) limiter.emplace(*options.rate);
  ProgressBar progress("produce", options.records);
  for (std::uint64_t i = 0; i < options.records; ++i) {
    SteadyTime due = std::chrono::steady_clock::now();
    if (limiter) {
      const auto wait = limiter->reserve(options.size, due);
      due += wait;
      if (wait >= std::chrono::milliseconds(1) && !interrupts.sleep(wait)) break;
    }
    if (!sender.post({.value = values.next()}, to_tag(due))) break;
    progress.update(i, i * options.size);
  }
  sender.finish();
  const Sender::Totals totals = sender.totals();
  result.records = totals.records;
  result.bytes = totals.bytes;
  result.failed = totals.failed;
  if (totals.first_error) return *totals.first_error;
  return {};
}

}  // namespace

Exit bench_produce(const BenchOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<BenchTopic> topic = BenchTopic::open(*client, options);
  if (!topic) return report(topic.error(), globals.output);
  Result<Producer> producer = client->producer(topic->name(), options.producer);
  if (!producer) return report(producer.error(), globals.output);

  BenchResult result{.name = "produce", .topic = topic->name(), .durability = topic->durability()};
  const Stopwatch stopwatch;
  const Status sent = options.one_outstanding ? send_one_by_one(*producer, options, interrupts, result)
                                              : send_pipelined(*producer, options, interrupts, result);
  result.seconds = stopwatch.seconds();
  print_result(result, globals);
  if (interrupts.interrupted()) return Exit::interrupted;
  if (!sent) return report(sent.error(), globals.output);
  return Exit::done;
}

}  // namespace tidemark::tools
