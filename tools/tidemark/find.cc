#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/base/units.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/record_printer.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

struct FindOptions {
  std::string topic;
  std::optional<std::string> key;
  std::vector<std::string> headers;
  std::optional<std::string> text;
  std::string filter;
  std::string since;
  std::string from;
  std::string to;
  std::string format;
  std::optional<std::uint64_t> count;
};

/// What a record must have; everything that was asked for.
struct Wanted {
  std::optional<std::string> key;
  std::vector<NameValue> headers;
  std::optional<std::string> text;
  std::optional<broker::RecordFilter> filter;

  bool matches(const Message& message) const {
    if (key && message.key() != std::string_view(*key)) return false;
    for (const NameValue& header : headers) {
      const std::vector<Header> present = message.headers();
      const bool there =
          std::ranges::any_of(present, [&](const Header& h) { return h.name == header.name && h.value == std::string_view(header.value); });
      if (!there) return false;
    }
    if (text && message.value().value_or("").find(*text) == std::string_view::npos) return false;
    return !filter || tools::matches(*filter, message);
  }
};

struct Plan {
  Wanted wanted;
  ReaderOptions reader;
};

Status make_plan(const FindOptions& options, Plan& plan) {
  const auto invalid = [](std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; };
  if (!options.key && options.headers.empty() && !options.text && options.filter.empty()) {
    return invalid("say what to find: --key K, --header NAME=VALUE, --text S or --filter EXPR");
  }
  if (!options.since.empty() && !options.from.empty()) return invalid("--since and --from exclude each other");
  plan.wanted.key = options.key;
  plan.wanted.text = options.text;
  for (const std::string& text : options.headers) {
    Result<NameValue> header = parse_name_value(text);
    if (!header) return header.error();
    plan.wanted.headers.push_back(*std::move(header));
  }
  if (!options.filter.empty()) {
    Result<broker::RecordFilter> filter = broker::RecordFilter::parse(options.filter, now());
    if (!filter) return filter.error();
    plan.wanted.filter = *std::move(filter);
  }
  plan.reader.from = Position::earliest();
  plan.reader.to = Position::latest();
  if (!options.since.empty()) {
    const Result<std::chrono::milliseconds> since = parse_duration(options.since);
    if (!since) return since.error();
    plan.reader.from = Position::ago(*since);
  }
  if (!options.from.empty()) {
    const Result<Position> from = parse_position(options.from);
    if (!from) return from.error();
    plan.reader.from = *from;
  }
  if (!options.to.empty()) {
    const Result<Position> to = parse_position(options.to);
    if (!to) return to.error();
    plan.reader.to = *to;
  }
  return {};
}

/// For a table of hits: an address to give to `get`, when, and the beginning of key and value.
void append_hit(const Message& message, std::string& out) {
  constexpr std::size_t kShownBytesMax = 80;
  const auto shown = [](std::optional<std::string_view> bytes) {
    if (!bytes) return std::string("(null)");
    return printable_text(bytes->substr(0, kShownBytesMax)) + (bytes->size() > kShownBytesMax ? "..." : "");
  };
  fmt::format_to(std::back_inserter(out), "{}:{}:{}  {}  {}  {}\n", message.topic(), message.partition(), message.offset().value,
                 format_time(message.timestamp()), shown(message.key()), shown(message.value()));
}

Exit find(const FindOptions& options, const Globals& globals, Interrupts& interrupts) {
  Plan plan;
  if (const Status planned = make_plan(options, plan); !planned) return report(planned.error(), globals.output);
  const Result<RecordPrinter> printer = RecordPrinter::make(options.format, '\n', globals.output);
  if (!printer) return report(printer.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<TopicDescription> topic = client->admin().describe_topic(options.topic);
  if (!topic) return report(topic.error(), globals.output);
  Result<Reader> reader = client->reader(options.topic, plan.reader);
  if (!reader) return report(reader.error(), globals.output);

  const Interrupts::Listener listener(interrupts, [&reader] { reader->close(); });
  ProgressBar progress("find", static_cast<std::uint64_t>(std::max<std::int64_t>(topic->records, 0)));
  Writer out(STDOUT_FILENO);
  std::optional<Error> failed;
  std::uint64_t read = 0, bytes = 0, hits = 0;
  std::string text;
  while (!reader->finished() && !out.broken_pipe() && (!options.count || hits < *options.count)) {
    const Result<std::optional<Message>> next = reader->next(std::chrono::hours(1));
    if (interrupts.interrupted()) break;
    if (!next) {
      report(next.error(), globals.output);
      if (!failed) failed = next.error();
      continue;
    }
    if (!*next) continue;
    const Message& message = **next;
    progress.update(++read, bytes += message.value().value_or("").size());
    if (!plan.wanted.matches(message)) continue;
    ++hits;
    text.clear();
    if (options.format.empty() && globals.output == OutputFormat::table) {
      append_hit(message, text);
    } else {
      printer->append(message, text);
    }
    // Hits are rare and somebody is waiting for them.
    Status written = out.write(text);
    if (written) written = out.flush();
    if (!written) return report(written.error(), globals.output);
  }
  if (out.broken_pipe()) return Exit::done;
  if (interrupts.interrupted()) return Exit::interrupted;
  if (failed) return hits > 0 ? Exit::partial : exit_code(*failed);
  if (hits > 0) return Exit::done;
  return report(Error{.code = Errc::not_found, .detail = fmt::format("no such record among {} of topic {}", read, options.topic)},
                globals.output);
}

}  // namespace

void add_find_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("find", "Search a topic; every condition given must hold; exit 3 without a hit");
  const auto options = std::make_shared<FindOptions>();
  verb->add_option("topic", options->topic)->required();
  verb->add_option("-k,--key", options->key, "Records with this key");
  verb->add_option("-H,--header", options->headers, "Records with this header NAME=VALUE; may be repeated")->allow_extra_args(false);
  verb->add_option("--text", options->text, "Records whose value contains this");
  verb->add_option("--filter", options->filter, "Records for which this holds, as in consume")->type_name("EXPR");
  verb->add_option("--since", options->since, "Only the last so much time, such as 1h")->type_name("DURATION");
  verb->add_option("--from", options->from, "Where to start; earliest by default")->type_name("POS");
  verb->add_option("--to", options->to, "Where to stop, exclusive; the present end by default")->type_name("POS");
  verb->add_option("-f,--format", options->format, "What to print, as in consume")->type_name("FMT");
  verb->add_option("-n,--count", options->count, "Stop after so many hits");
  verb->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts& interrupts) { return find(*options, globals, interrupts); };
  });
}

}  // namespace tidemark::tools
