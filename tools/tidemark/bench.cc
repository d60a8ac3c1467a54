#include "tools/tidemark/bench.h"

#include <algorithm>
#include <memory>
#include <random>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

std::string temporary_topic_name() {
  std::random_device device;
  return fmt::format("bench-{:08x}", device());
}

/// The options as typed, before their units are understood.
struct BenchTexts {
  std::string size = "100";
  std::string batch;
  std::string linger;
  std::string compression = "none";
  std::string rate;
  std::string duration = "10s";
};

Status understand(const BenchTexts& texts, BenchOptions& options) {
  const Result<std::uint64_t> size = parse_size(texts.size);
  if (!size) return size.error();
  if (*size > 8 * 1024 * 1024) return Error{.code = Errc::invalid_argument, .detail = "--size: at most 8MiB"};
  options.size = *size;
  if (!texts.batch.empty()) {
    const Result<std::uint64_t> batch = parse_size(texts.batch);
    if (!batch) return batch.error();
    options.producer.batch_bytes = *batch;
  }
  if (!texts.linger.empty()) {
    const Result<std::chrono::milliseconds> linger = parse_duration(texts.linger);
    if (!linger) return linger.error();
    options.producer.linger = *linger;
  }
  if (!texts.rate.empty()) {
    const Result<Rate> rate = parse_rate(texts.rate);
    if (!rate) return rate.error();
    options.rate = *rate;
  }
  const Result<std::chrono::milliseconds> duration = parse_duration(texts.duration);
  if (!duration) return duration.error();
  options.duration = *duration;
  options.producer.codec = parse_codec(texts.compression).value_or(Codec::none);
  return {};
}

struct BenchArguments {
  BenchOptions options;
  BenchTexts texts;
};

void add_common_options(CLI::App& verb, BenchArguments& arguments) {
  verb.add_option("-t,--topic", arguments.options.topic, "Run on this topic; by default one is made and removed again");
  verb.add_option("--size", arguments.texts.size, "Bytes of a value")->type_name("SIZE")->capture_default_str();
  verb.add_option("-p,--partitions", arguments.options.partitions, "Partitions of the topic it makes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb.add_option("--durability", arguments.options.durability, "Of the topic it makes: fsync, interval or os")
      ->check(CLI::IsMember({"fsync", "interval", "os"}))
      ->capture_default_str();
  verb.add_flag("--keep", arguments.options.keep, "Do not remove the topic it made");
}

void add_producer_options(CLI::App& verb, BenchArguments& arguments) {
  verb.add_option("--batch", arguments.texts.batch, "Bytes after which a batch is sent; 64KiB by default")->type_name("SIZE");
  verb.add_option("--linger", arguments.texts.linger, "How long a batch waits for more records; 0 by default")->type_name("DURATION");
  verb.add_option("--in-flight", arguments.options.producer.in_flight_max, "Batches per partition without an answer, 1 to 5")
      ->check(CLI::Range(1, 5))
      ->capture_default_str();
  verb.add_option("--compression", arguments.texts.compression, "none, gzip, snappy, lz4 or zstd")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();
}

using BenchFunction = Exit (*)(const BenchOptions&, const Globals&, Interrupts&);

void run_with(CLI::App& verb, Invocation& invocation, const std::shared_ptr<BenchArguments>& arguments, BenchFunction function) {
  verb.callback([&invocation, arguments, function] {
    invocation.action = [arguments, function](const Globals& globals, Interrupts& interrupts) {
      if (const Status understood = understand(arguments->texts, arguments->options); !understood) {
        return report(understood.error(), globals.output);
      }
      return function(arguments->options, globals, interrupts);
    };
  });
}

void add_queue_verb(CLI::App& bench, Invocation& invocation) {
  CLI::App* const verb = bench.add_subcommand(
      "queue", "Publish and work off a queue group, acknowledgements durable; time from when a record was due to a worker");
  const auto arguments = std::make_shared<BenchArguments>();
  BenchOptions& options = arguments->options;
  verb->add_option("-n,--count,--records", options.records, "Number of records")->check(CLI::Range(1, 100'000'000))->capture_default_str();
  add_common_options(*verb, *arguments);
  verb->add_option("--workers", options.workers, "Members of the group, each with a connection of its own")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  verb->add_option("--batch", options.receive_max, "Records a worker receives and acknowledges at a time")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  verb->add_option("--prefetch", options.prefetch, "Records that may lie ready for a worker meanwhile")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  verb->add_option("--ordering", options.ordering, "none, key or single; with key, each record has one of 1000 keys")
      ->check(CLI::IsMember({"none", "key", "single"}))
      ->capture_default_str();
  verb->add_option("--rate", arguments->texts.rate, "Publish at most so much: 500/s; as fast as it goes by default")->type_name("RATE");
  run_with(*verb, invocation, arguments, &bench_queue);
}

void add_fsync_verb(CLI::App& bench, Invocation& invocation) {
  CLI::App* const verb = bench.add_subcommand("fsync", "The disk alone: append and fdatasync, one after the other; no broker");
  const auto options = std::make_shared<FsyncOptions>();
  const auto size = std::make_shared<std::string>("4KiB");
  verb->add_option("directory", options->directory, "Where to write a temporary file")->capture_default_str();
  verb->add_option("-n,--count", options->writes, "Number of writes")->check(CLI::PositiveNumber)->capture_default_str();
  verb->add_option("--size", *size, "Bytes of a write")->type_name("SIZE")->capture_default_str();
  verb->add_flag("--preallocate", options->preallocate, "Take the space first, as the broker does");
  verb->callback([&invocation, options, size] {
    invocation.action = [options, size](const Globals& globals, Interrupts& interrupts) {
      const Result<std::uint64_t> bytes = parse_size(*size);
      if (!bytes) return report(bytes.error(), globals.output);
      if (*bytes == 0 || *bytes > 64 * 1024 * 1024) return report_usage("--size is 1 to 64MiB", globals.output);
      options->size = *bytes;
      return bench_fsync(*options, globals, interrupts);
    };
  });
}

}  // namespace

void add_bench_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const bench = root.add_subcommand("bench", "Measure broker and disk");
  bench->require_subcommand(1);

  CLI::App* const produce = bench->add_subcommand("produce", "Write as fast as it goes, or at a rate; time to the answer");
  const auto producing = std::make_shared<BenchArguments>();
  produce->add_option("-n,--count", producing->options.records, "Number of records")->capture_default_str();
  add_common_options(*produce, *producing);
  add_producer_options(*produce, *producing);
  produce->add_option("--rate", producing->texts.rate, "At most so much: 5k/s, 10MB/s")->type_name("RATE");
  produce->add_flag("--one", producing->options.one_outstanding, "One outstanding record: each waits for the answer to the one before");
  run_with(*produce, invocation, producing, &bench_produce);

  CLI::App* const consume = bench->add_subcommand("consume", "Read a topic from its start to its end");
  const auto consuming = std::make_shared<BenchArguments>();
  consuming->options.records = 1'000'000;
  consume->add_option("-n,--count", consuming->options.records, "Number of records it loads, or reads at most")->capture_default_str();
  add_common_options(*consume, *consuming);
  add_producer_options(*consume, *consuming);
  run_with(*consume, invocation, consuming, &bench_consume);

  CLI::App* const e2e = bench->add_subcommand("e2e", "Write at a rate and read live; time from when a record was due to when it is there");
  const auto end_to_end = std::make_shared<BenchArguments>();
  end_to_end->texts.rate = "1k/s";
  add_common_options(*e2e, *end_to_end);
  add_producer_options(*e2e, *end_to_end);
  e2e->add_option("--rate", end_to_end->texts.rate, "Records a second")->type_name("RATE")->capture_default_str();
  e2e->add_option("-d,--duration", end_to_end->texts.duration, "How long")->type_name("DURATION")->capture_default_str();
  run_with(*e2e, invocation, end_to_end, &bench_e2e);

  add_queue_verb(*bench, invocation);
  add_fsync_verb(*bench, invocation);
}

Result<BenchTopic> BenchTopic::open(Client& client, const BenchOptions& options) {
  Admin admin = client.admin();
  if (!options.topic.empty()) {
    Result<TopicDescription> found = admin.describe_topic(options.topic);
    if (!found) return found.error();
    return BenchTopic(client, *std::move(found), false, true);
  }
  const NewTopic topic{.name = temporary_topic_name(), .partitions = options.partitions, .config = {{"durability", options.durability}}};
  Result<TopicDescription> made = admin.create_topic(topic);
  if (!made) return made.error();
  return BenchTopic(client, *std::move(made), true, options.keep);
}

BenchTopic::BenchTopic(BenchTopic&& other) noexcept
    : client_(std::exchange(other.client_, nullptr)), description_(std::move(other.description_)), made_(other.made_), keep_(other.keep_) {}

BenchTopic::~BenchTopic() {
  if (client_ == nullptr || keep_) return;
  if (const Status removed = client_->admin().delete_topic(name()); !removed) {
    write_stderr(fmt::format("the topic {} is left behind: {}\n", name(), removed.error().to_string()));
  }
}

RandomValues::RandomValues(std::size_t size) : size_(size) {
  // A fixed seed: runs are comparable.
  Random random(42);
  pool_.resize(std::max<std::size_t>(1024 * 1024, size * 2));
  for (char& c : pool_) c = static_cast<char>('!' + random() % 94);
}

std::string_view RandomValues::next() {
  if (pool_.size() - at_ < size_) at_ = (at_ * 31 + 7) % 61;
  const std::string_view value(pool_.data() + at_, size_);
  at_ += size_ + 1;
  return value;
}

void print_result(const BenchResult& result, const Globals& globals) {
  const double records_per_second = result.seconds > 0 ? static_cast<double>(result.records) / result.seconds : 0;
  const double bytes_per_second = result.seconds > 0 ? static_cast<double>(result.bytes) / result.seconds : 0;
  if (is_json(globals.output)) {
    boost::json::object object;
    object["bench"] = result.name;
    if (!result.topic.empty()) object["topic"] = result.topic;
    if (!result.durability.empty()) object["durability"] = result.durability;
    if (result.workers) object["workers"] = *result.workers;
    if (result.batch) object["batch"] = *result.batch;
    object["records"] = result.records;
    object["bytes"] = result.bytes;
    object["failed"] = result.failed;
    if (result.lost) object["lost"] = *result.lost;
    if (result.duplicated) object["duplicated"] = *result.duplicated;
    object["seconds"] = result.seconds;
    object["records_per_second"] = records_per_second;
    object["bytes_per_second"] = bytes_per_second;
    if (result.latency.count() > 0) object["latency_ms"] = latency_to_json(result.latency);
    print_json(object);
    return;
  }
  std::string text = fmt::format("{}  {} records, {}, {:.2f} s{}{}\n", result.name, result.records, format_bytes_decimal(result.bytes),
                                 result.seconds, result.durability.empty() ? "" : ", ", result.durability);
  if (result.workers) text += fmt::format("by  {} workers, {} records at a time\n", *result.workers, result.batch.value_or(1));
  text +=
      fmt::format("rate  {:.0f} records/s, {}/s\n", records_per_second, format_bytes_decimal(static_cast<std::uint64_t>(bytes_per_second)));
  if (result.failed > 0) text += fmt::format("failed  {}\n", result.failed);
  if (result.lost) text += fmt::format("lost  {}   duplicated  {}\n", *result.lost, result.duplicated.value_or(0));
  if (result.latency.count() > 0) text += latency_line(result.latency) + "\n";
  [[maybe_unused]] const bool written = write_stdout(text);
}

}  // namespace tidemark::tools
