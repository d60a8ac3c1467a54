#include <fmt/format.h>

#include "tools/tidemark/bench.h"
#include "tools/tidemark/sender.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

Status load(Client& client, const std::string& topic, const BenchOptions& options, Interrupts& interrupts) {
  Result<Producer> producer = client.producer(topic, options.producer);
  if (!producer) return producer.error();
  Sender sender(*std::move(producer));
  const Interrupts::Listener listener(interrupts, [&sender] { sender.stop(); });
  RandomValues values(options.size);
  ProgressBar progress("load", options.records);
  for (std::uint64_t i = 0; i < options.records && sender.post({.value = values.next()}, i); ++i) progress.update(i, i * options.size);
  sender.finish();
  const Sender::Totals totals = sender.totals();
  if (totals.first_error) return *totals.first_error;
  return {};
}

Status read(Reader& reader, const BenchOptions& options, Interrupts& interrupts, BenchResult& result) {
  const Interrupts::Listener listener(interrupts, [&reader] { reader.close(); });
  while (!reader.finished() && result.records < options.records) {
    const Result<std::optional<Message>> next = reader.next(std::chrono::hours(1));
    if (interrupts.interrupted()) return {};
    if (!next) return next.error();
    if (!*next) continue;
    ++result.records;
    result.bytes += (*next)->key().value_or("").size() + (*next)->value().value_or("").size();
  }
  return {};
}

}  // namespace

Exit bench_consume(const BenchOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<BenchTopic> topic = BenchTopic::open(*client, options);
  if (!topic) return report(topic.error(), globals.output);
  if (topic->made()) {
    if (const Status loaded = load(*client, topic->name(), options, interrupts); !loaded) return report(loaded.error(), globals.output);
  }
  if (interrupts.interrupted()) return Exit::interrupted;

  BenchResult result{.name = "consume", .topic = topic->name(), .durability = topic->durability()};
  const Stopwatch stopwatch;
  Result<Reader> reader = client->reader(topic->name(), {.from = Position::earliest(), .to = Position::latest()});
  if (!reader) return report(reader.error(), globals.output);
  const Status done = read(*reader, options, interrupts, result);
  result.seconds = stopwatch.seconds();
  print_result(result, globals);
  if (interrupts.interrupted()) return Exit::interrupted;
  if (!done) return report(done.error(), globals.output);
  return Exit::done;
}

}  // namespace tidemark::tools
