#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/tidemark/failure_reporter.h"
#include "tools/tidemark/merged_reader.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/rate.h"
#include "tools/tidemark/record_printer.h"
#include "tools/tidemark/sender.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

struct ReplayOptions {
  std::string topic;
  std::string into;
  std::string from;
  std::string to = "latest";
  std::string rate;
  std::string speed;
  std::string filter;
};

struct Plan {
  MergedReader::Options reader;
  std::optional<RateLimiter> limiter;
  std::optional<SpeedPacer> pacer;
  std::optional<broker::RecordFilter> filter;
};

constexpr std::chrono::seconds kDeliveryTimeout{30};
/// Large, because a flush costs the same for much as for little; a slow trickle is sent at once all the same.
constexpr std::size_t kBatchBytes = 512 * 1024;
constexpr std::chrono::milliseconds kSleepMin{1};  ///< Shorter waits add up until a timer can keep them.

Status make_plan(const ReplayOptions& options, Plan& plan) {
  const auto invalid = [](std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; };
  if (!options.rate.empty() && !options.speed.empty()) return invalid("--rate and --speed exclude each other");
  const Result<Position> from = parse_position(options.from);
  if (!from) return from.error();
  const Result<Position> to = parse_position(options.to);
  if (!to) return to.error();
  plan.reader = {.from = *from, .to = *to, .by_time = !options.speed.empty()};
  if (!options.rate.empty()) {
    const Result<Rate> rate = parse_rate(options.rate);
    if (!rate) return rate.error();
    plan.limiter.emplace(*rate);
  }
  if (!options.speed.empty()) {
    const Result<double> speed = parse_speed(options.speed);
    if (!speed) return speed.error();
    plan.pacer.emplace(*speed);
  }
  if (!options.filter.empty()) {
    Result<broker::RecordFilter> filter = broker::RecordFilter::parse(options.filter, now());
    if (!filter) return filter.error();
    plan.filter = *std::move(filter);
  }
  return {};
}

/// A message as a record to send on: time, key, value and headers stay. Its partition keeps its number, so that the order within it is
/// kept too; a target with fewer partitions folds several into one.
Record record_of(const Message& message, std::span<const Header> headers, std::int32_t partitions) {
  return {.key = message.key(),
          .value = message.value(),
          .headers = headers,
          .timestamp = message.timestamp(),
          .partition = message.partition() % partitions};
}

/// How long this record has to wait for its turn.
std::chrono::nanoseconds pace(Plan& plan, const Message& message) {
  const SteadyTime time = std::chrono::steady_clock::now();
  if (plan.pacer) return plan.pacer->wait_before(message.timestamp().time_since_epoch().count(), time);
  if (plan.limiter) return plan.limiter->reserve(message.key().value_or("").size() + message.value().value_or("").size(), time);
  return std::chrono::nanoseconds(0);
}

struct Copied {
  std::uint64_t read = 0;
  std::optional<Error> read_error;  ///< The first one; reading went on.
};

Copied copy(MergedReader& reader, Plan& plan, Sender& sender, std::int32_t partitions, const Globals& globals,
            const Interrupts& interrupts) {
  Copied copied;
  ProgressBar progress("replay", reader.total());
  std::uint64_t bytes = 0;
  for (;;) {
    const Result<std::optional<Message>> next = reader.next();
    if (interrupts.interrupted() || sender.stopped()) return copied;
    if (!next) {
      report(next.error(), globals.output);
      if (!copied.read_error) copied.read_error = next.error();
      continue;
    }
    if (!*next) return copied;
    const Message& message = **next;
    progress.update(++copied.read, bytes += message.value().value_or("").size());
    if (plan.filter && !matches(*plan.filter, message)) continue;
    const auto wait = pace(plan, message);
    if (wait >= kSleepMin && !interrupts.sleep(wait)) return copied;
    const std::vector<Header> headers = message.headers();
    if (!sender.post(record_of(message, headers, partitions), copied.read)) return copied;
  }
}

boost::json::object totals_to_json(const ReplayOptions& options, const Copied& copied, const Sender::Totals& totals, double seconds) {
  boost::json::object object;
  object["topic"] = options.topic;
  object["into"] = options.into;
  object["read"] = copied.read;
  object["records"] = totals.records;
  object["bytes"] = totals.bytes;
  object["failed"] = totals.failed;
  object["duplicates"] = totals.duplicates;
  object["durability"] = totals.durability;
  object["seconds"] = seconds;
  return object;
}

Exit replay(const ReplayOptions& options, const Globals& globals, Interrupts& interrupts) {
  Plan plan;
  if (const Status planned = make_plan(options, plan); !planned) return report(planned.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<TopicDescription> source = client->admin().describe_topic(options.topic);
  if (!source) return report(source.error(), globals.output);
  const Result<TopicDescription> target = client->admin().describe_topic(options.into);
  if (!target) return report(target.error(), globals.output);
  Result<MergedReader> reader = MergedReader::open(*client, *source, plan.reader);
  if (!reader) return report(reader.error(), globals.output);
  if (globals.dry_run) {
    write_stderr(fmt::format("would replay at most {} records of topic {} into {}\n", reader->total(), options.topic, options.into));
    return Exit::done;
  }
  ProducerOptions producer_options;
  producer_options.delivery_timeout = globals.timeout.value_or(kDeliveryTimeout);
  producer_options.batch_bytes = kBatchBytes;
  Result<Producer> producer = client->producer(options.into, producer_options);
  if (!producer) return report(producer.error(), globals.output);

  const Stopwatch stopwatch;
  FailureReporter failures("record", globals.output, write_stderr);
  Sender sender(*std::move(producer), [&failures](const Sender::Answer& answer) {
    if (answer.error) failures.add(answer.tag, *answer.error);
  });
  Copied copied;
  {
    const Interrupts::Listener listener(interrupts, [&] {
      sender.stop();
      reader->close();
    });
    copied = copy(*reader, plan, sender, target->partitions, globals, interrupts);
  }
  if (interrupts.interrupted()) client->close();  // What is under way gets a moment.
  sender.finish();
  failures.flush();
  Sender::Totals totals = sender.totals();
  if (totals.durability.empty()) totals.durability = target->durability;
  const double seconds = stopwatch.seconds();
  if (is_json(globals.output)) print_json(totals_to_json(options, copied, totals, seconds));
  write_stderr(summary(totals, seconds));
  if (interrupts.interrupted()) return Exit::interrupted;
  if (copied.read_error && !totals.maybe_done) return totals.records > 0 ? Exit::partial : exit_code(*copied.read_error);
  return exit_code(totals);
}

/// These words will name operations on replay jobs that run in the broker; a topic of that name is written after `--`.
bool is_reserved_word(const std::string& word) {
  static constexpr std::string_view kWords[] = {"ls", "list", "show", "describe", "pause", "resume", "cancel"};
  return std::ranges::find(kWords, word) != std::end(kWords);
}

}  // namespace

void add_replay_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("replay", "Copy a stretch of a topic into another one, at a rate or in its own time");
  const auto options = std::make_shared<ReplayOptions>();
  verb->add_option("topic", options->topic)->required();
  verb->add_option("--from", options->from, "Where to start: earliest, 42, -7d, @2026-03-01T10:00")->required()->type_name("POS");
  verb->add_option("--to", options->to, "Where to stop, exclusive; latest is the end at the start")
      ->type_name("POS")
      ->capture_default_str();
  verb->add_option("--into", options->into, "Topic to write to; it must exist")->required()->type_name("TOPIC");
  verb->add_option("--rate", options->rate, "At most so much: 500, 5k/s, 10MB/s")->type_name("RATE");
  verb->add_option("--speed", options->speed, "In record time, so many times faster: 1x, 4x")->type_name("SPEED");
  verb->add_option("--filter", options->filter, "Only records for which this holds, as in consume")->type_name("EXPR");
  verb->callback([&invocation, options] {
    const bool escaped = std::ranges::find(invocation.arguments, "--") != invocation.arguments.end();
    invocation.action = [options, escaped](const Globals& globals, Interrupts& interrupts) {
      if (is_reserved_word(options->topic) && !escaped) {
        return report_usage(
            fmt::format("replay {}: jobs in the broker are not in this build; a topic of that name is written `replay -- {}`",
                        options->topic, options->topic),
            globals.output);
      }
      return replay(*options, globals, interrupts);
    };
  });
}

}  // namespace tidemark::tools
