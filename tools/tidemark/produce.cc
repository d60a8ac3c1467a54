#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/time_text.h"
#include "storage/base/units.h"
#include "tools/tidemark/failure_reporter.h"
#include "tools/tidemark/input.h"
#include "tools/tidemark/line_reader.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/rate.h"
#include "tools/tidemark/sender.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

struct ProduceOptions {
  std::string topic;
  std::string file = "-";
  std::optional<std::string> key;
  std::optional<std::string> key_separator;
  std::vector<std::string> headers;
  std::string delimiter = "nl";
  std::optional<std::int32_t> partition;
  std::string compression = "none";
  std::string rate;
  std::string delay;
  std::string at;
  std::optional<std::string> dedup_id;
  std::optional<int> priority;
};

/// The options, understood.
struct Plan {
  std::optional<std::string> key_separator;
  std::vector<NameValue> header_texts;
  std::vector<Header> headers;  ///< Views of header_texts.
  std::optional<Rate> rate;
  std::optional<std::chrono::milliseconds> delay;
  std::optional<Timestamp> deliver_at;
  ProducerOptions producer;
};

constexpr std::size_t kLineBytesMax = 8 * 1024 * 1024;  ///< No batch may be larger, so no record can be.
constexpr std::chrono::seconds kDeliveryTimeout{30};
/// Large, because a flush costs the same for much as for little; a slow trickle is sent at once all the same.
constexpr std::size_t kBatchBytes = 512 * 1024;
/// Shorter waits are left to add up: a timer would turn them into longer ones.
constexpr std::chrono::milliseconds kSleepMin{1};

Status make_plan(const ProduceOptions& options, const Globals& globals, Plan& plan) {
  if (options.key && options.key_separator) {
    return Error{.code = Errc::invalid_argument, .detail = "--key and --key-sep exclude each other"};
  }
  if (options.key_separator) {
    const Result<std::string> separator = unescape(*options.key_separator);
    if (!separator) return Error{.code = Errc::invalid_argument, .detail = "--key-sep: " + separator.error().detail};
    if (separator->empty()) return Error{.code = Errc::invalid_argument, .detail = "--key-sep must not be empty"};
    plan.key_separator = *separator;
  }
  for (const std::string& text : options.headers) {
    Result<NameValue> header = parse_name_value(text);
    if (!header) return header.error();
    plan.header_texts.push_back(*std::move(header));
  }
  for (const NameValue& header : plan.header_texts) plan.headers.push_back({header.name, header.value});
  if (!options.rate.empty()) {
    const Result<Rate> rate = parse_rate(options.rate);
    if (!rate) return rate.error();
    plan.rate = *rate;
  }
  if (!options.delay.empty() && !options.at.empty()) {
    return Error{.code = Errc::invalid_argument, .detail = "--delay and --at exclude each other"};
  }
  if (!options.delay.empty()) {
    const Result<std::chrono::milliseconds> delay = parse_duration(options.delay);
    if (!delay) return Error{.code = Errc::invalid_argument, .detail = "--delay: " + delay.error().detail};
    plan.delay = *delay;
  }
  if (!options.at.empty()) {
    const std::string_view text = options.at;
    const Result<Timestamp> at = parse_time(text.starts_with('@') ? text.substr(1) : text, now());
    if (!at) return Error{.code = Errc::invalid_argument, .detail = "--at: " + at.error().detail};
    plan.deliver_at = *at;
  }
  const std::optional<Codec> codec = parse_codec(options.compression);
  CHECK(codec.has_value());  // Checked while parsing.
  plan.producer.codec = *codec;
  plan.producer.batch_bytes = kBatchBytes;
  plan.producer.delivery_timeout = globals.timeout.value_or(kDeliveryTimeout);
  return {};
}

/// Prints one JSON line per record, in input order, and what was refused on stderr.
class Reporter {
 public:
  Reporter(const Globals& globals, Writer& out) : output_(globals.output), failures_("line", globals.output, write_stderr), out_(out) {}

  void operator()(const Sender::Answer& answer) {
    if (answer.error) failures_.add(answer.tag, *answer.error);
    if (output_ != OutputFormat::jsonl) return;
    boost::json::object line;
    if (answer.error) {
      line["line"] = answer.tag;
      line["error"] = {{"code", to_string(answer.error->code)}, {"message", printable_text(answer.error->detail)}};
    } else {
      line["partition"] = answer.partition;
      line["offset"] = answer.offset;
      line["timestamp_ms"] = answer.timestamp_ms;
      if (answer.duplicate) line["duplicate"] = true;
      if (!answer.scheduled.empty()) {
        line["offset"] = nullptr;
        line["scheduled"] = answer.scheduled;
        line["due_time"] = format_time(Timestamp(std::chrono::milliseconds(answer.due_ms)));
        line["due_ms"] = answer.due_ms;
      }
    }
    // A failure to write is kept by the writer and told at the end: the records are stored all the same.
    [[maybe_unused]] const Status written = out_.write(boost::json::serialize(line) + "\n");
  }

  void finish() { failures_.flush(); }

 private:
  OutputFormat output_;
  FailureReporter failures_;
  Writer& out_;
};

/// Reads line by line and posts; the error that stopped the reading, if any.
Status post_lines(LineReader& lines, const ProduceOptions& options, const Plan& plan, Sender& sender, const Interrupts& interrupts) {
  std::optional<RateLimiter> limiter;
  if (plan.rate) limiter.emplace(*plan.rate);
  Record record;
  if (options.key) record.key = *options.key;
  record.headers = plan.headers;
  record.partition = options.partition;
  record.delay = plan.delay;
  record.deliver_at = plan.deliver_at;
  record.dedup_id = options.dedup_id;
  record.priority = options.priority;
  for (;;) {
    const Result<LineReader::Line> line = lines.next();
    if (!line) return line.error();
    if (line->kind == LineReader::Kind::end) return {};
    if (line->kind == LineReader::Kind::too_long) {
      sender.refuse(line->number, Error{.code = Errc::batch_too_large, .detail = fmt::format("longer than {} bytes", kLineBytesMax)});
      continue;
    }
    record.value = line->text;
    if (plan.key_separator) {
      const std::size_t at = line->text.find(*plan.key_separator);
      record.key.reset();  // No separator, no key.
      if (at != std::string_view::npos) {
        record.key = line->text.substr(0, at);
        record.value = line->text.substr(at + plan.key_separator->size());
      }
    }
    if (limiter) {
      const auto wait = limiter->reserve(line->text.size(), std::chrono::steady_clock::now());
      if (wait >= kSleepMin && !interrupts.sleep(wait)) return Error{.code = Errc::cancelled, .detail = "interrupted"};
    }
    if (!sender.post(record, line->number)) {
      return Error{.code = Errc::cancelled, .detail = fmt::format("stopped at line {}", line->number)};
    }
  }
}

boost::json::object totals_to_json(const std::string& topic, const Sender::Totals& totals, double seconds) {
  boost::json::array partitions;
  for (const auto& [partition, range] : totals.partitions) {
    partitions.push_back({{"partition", partition}, {"first", range.first}, {"last", range.last}});
  }
  boost::json::object object;
  object["topic"] = topic;
  object["records"] = totals.records;
  object["bytes"] = totals.bytes;
  object["failed"] = totals.failed;
  object["duplicates"] = totals.duplicates;
  object["scheduled"] = totals.scheduled;
  object["durability"] = totals.durability;
  object["seconds"] = seconds;
  object["partitions"] = std::move(partitions);
  return object;
}

Exit produce(const ProduceOptions& options, const Globals& globals, Interrupts& interrupts) {
  Plan plan;
  if (const Status planned = make_plan(options, globals, plan); !planned) return report(planned.error(), globals.output);
  Result<Input> input = Input::open(options.file, interrupts);
  if (!input) return report(input.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<TopicDescription> topic = client->admin().describe_topic(options.topic);
  if (!topic) return report(topic.error(), globals.output);
  if (options.partition && (*options.partition < 0 || *options.partition >= topic->partitions)) {
    const Error error{
        .code = Errc::unknown_partition,
        .detail = fmt::format("topic `{}` has partitions 0 to {}, no {}", options.topic, topic->partitions - 1, *options.partition)};
    return report(error, globals.output);
  }
  if (globals.dry_run) {
    write_stderr(fmt::format("would write the lines of {} to topic {}\n", options.file, options.topic));
    return Exit::done;
  }
  Result<Producer> producer = client->producer(options.topic, plan.producer);
  if (!producer) return report(producer.error(), globals.output);
  if (input->is_terminal()) write_stderr("one record per line; end with Ctrl-D\n");

  const Stopwatch stopwatch;
  Writer out(STDOUT_FILENO);
  Reporter reporter(globals, out);
  Sender sender(*std::move(producer), [&reporter](const Sender::Answer& answer) { reporter(answer); });
  Status read;
  {
    const Interrupts::Listener listener(interrupts, [&sender] { sender.stop(); });
    const LineReader::Options line_options{.delimiter = options.delimiter == "nul" ? '\0' : '\n', .line_bytes_max = kLineBytesMax};
    LineReader lines([&input](MutableBytes into) { return input->read(into); }, line_options);
    read = post_lines(lines, options, plan, sender, interrupts);
  }
  if (interrupts.interrupted()) {
    client->close();  // What is under way gets a moment; the rest is answered `cancelled`.
  }
  sender.finish();
  reporter.finish();
  Sender::Totals totals = sender.totals();
  if (totals.durability.empty()) totals.durability = topic->durability;
  const double seconds = stopwatch.seconds();
  if (globals.output == OutputFormat::json) print_json(totals_to_json(options.topic, totals, seconds));
  const Status written = out.flush();
  write_stderr(summary(totals, seconds));
  if (interrupts.interrupted()) return Exit::interrupted;
  if (!read && read.error().code != Errc::cancelled) return report(read.error(), globals.output);
  if (!read) write_stderr("tidemark: " + read.error().detail + "; later lines were not sent\n");
  if (!written) return report(written.error(), globals.output);
  return exit_code(totals);
}

}  // namespace

void add_produce_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("produce", "Write records, one per line of a file or of standard input");
  const auto options = std::make_shared<ProduceOptions>();
  verb->add_option("topic", options->topic)->required();
  verb->add_option("file", options->file, "File, or - for standard input")->capture_default_str();
  verb->add_option("-k,--key", options->key, "Key of every record");
  verb->add_option("--key-sep", options->key_separator, "Key and value of a line are separated by this; \\t, \\n and \\0 are understood");
  verb->add_option("-H,--header", options->headers, "Header NAME=VALUE of every record; may be repeated")->allow_extra_args(false);
  verb->add_option("--delimiter", options->delimiter, "What ends a record: nl or nul")
      ->check(CLI::IsMember({"nl", "nul"}))
      ->capture_default_str();
  verb->add_option("-p,--partition", options->partition, "Write to this partition; else by the key's hash, or in turn");
  verb->add_option("--compression", options->compression, "none, gzip, snappy, lz4 or zstd")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();
  verb->add_option("--delay", options->delay, "Deliver so long from now: 5m, 1h30m; `schedule ls` shows what waits")->type_name("DURATION");
  verb->add_option("--at", options->at, "Deliver then: 2026-03-01T10:00, +offset or Z; local time without")->type_name("TIME");
  verb->add_option("--dedup", options->dedup_id,
                   "Dedup id of every record: within the topic's window only the first of a partition is stored")
      ->type_name("ID");
  verb->add_option("--priority", options->priority, "0 to 9, for queue groups; higher comes earlier")->check(CLI::Range(0, 9));
  verb->add_option("--rate", options->rate, "At most so much: 500, 5k/s, 10MB/s")->type_name("RATE");
  verb->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts& interrupts) { return produce(*options, globals, interrupts); };
  });
}

}  // namespace tidemark::tools
