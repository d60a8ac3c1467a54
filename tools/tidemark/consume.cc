#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/consumption.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

struct ConsumeOptions {
  std::vector<std::string> topics;
  std::string group;
  bool queue = false;
  std::string from = "latest";
  std::string to;
  std::optional<std::int64_t> count;
  bool exit_at_end = false;
  std::string format;
  std::string filter;
  std::string delimiter = "nl";
  std::vector<std::int32_t> partitions;
};

Result<ConsumptionPlan> make_plan(const ConsumeOptions& options, const Globals& globals) {
  const auto invalid = [](std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; };
  if (!options.group.empty()) return invalid("-g: consumer groups are not in this build yet; read without a group, from a position");
  if (options.queue) return invalid("--queue needs a group (-g), and groups are not in this build yet");
  if (!options.to.empty() && options.exit_at_end) return invalid("--to and --exit-at-end exclude each other: both say where to stop");
  if (options.count && *options.count < 0) return invalid("-n must not be negative");

  const char delimiter = options.delimiter == "nul" ? '\0' : '\n';
  Result<RecordPrinter> printer = RecordPrinter::make(options.format, delimiter, globals.output);
  if (!printer) return printer.error();
  ConsumptionPlan plan{.printer = *std::move(printer)};
  const Result<Position> from = parse_position(options.from);
  if (!from) return from.error();
  plan.reader.from = *from;
  if (options.exit_at_end) plan.reader.to = Position::latest();
  if (!options.to.empty()) {
    const Result<Position> to = parse_position(options.to);
    if (!to) return to.error();
    plan.reader.to = *to;
  }
  plan.reader.partitions = options.partitions;
  if (!options.filter.empty()) {
    Result<broker::RecordFilter> filter = broker::RecordFilter::parse(options.filter, now());
    if (!filter) return filter.error();
    plan.filter = *std::move(filter);
  }
  if (options.count) plan.count_max = static_cast<std::uint64_t>(*options.count);
  plan.silence_max = globals.timeout;
  plan.output = globals.output;
  return plan;
}

Exit consume(const ConsumeOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<ConsumptionPlan> plan = make_plan(options, globals);
  if (!plan) return report(plan.error(), globals.output);
  Globals patient = globals;
  patient.timeout.reset();  // Here it is the longest silence, not a bound on requests.
  Result<Client> client = connect(patient);
  if (!client) return report(client.error(), globals.output);
  return Consumption(*client, *std::move(plan), interrupts).run(options.topics);
}

}  // namespace

void add_consume_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("consume", "Print the records of topics");
  const auto options = std::make_shared<ConsumeOptions>();
  verb->add_option("topics", options->topics)->required();
  verb->add_option("-g,--group", options->group, "Consumer group (not in this build yet)");
  verb->add_flag("--queue", options->queue, "The group is a work queue (not in this build yet)");
  verb->add_option("--from", options->from, "Where to start: earliest, latest, 42, +5, -5, -15m, @2026-03-01T10:00")
      ->type_name("POS")
      ->capture_default_str();
  verb->add_option("--to", options->to, "Where to stop, exclusive")->type_name("POS");
  verb->add_option("-n,--count", options->count, "Stop after so many records, over all topics");
  verb->add_flag("--exit-at-end", options->exit_at_end, "Stop at the ends the topics have at the start");
  verb->add_option("-f,--format", options->format,
                   "What to print: %t topic %p partition %o offset %k key %v value %h headers %T time in ms %D deliveries\n"
                   "%K %V base64; \\n \\t \\0; a newline is added unless FMT ends in one")
      ->type_name("FMT");
  verb->add_option("--filter", options->filter, "Only records for which this holds: key = \"42\" and header.type ^= \"order.\"")
      ->type_name("EXPR");
  verb->add_option("--delimiter", options->delimiter, "What is printed after a value: nl or nul")
      ->check(CLI::IsMember({"nl", "nul"}))
      ->capture_default_str();
  verb->add_option("-p,--partition", options->partitions, "Only this partition; may be repeated")->allow_extra_args(false);
  verb->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts& interrupts) { return consume(*options, globals, interrupts); };
  });
}

}  // namespace tidemark::tools
