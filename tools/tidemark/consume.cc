#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/consumption.h"
#include "tools/tidemark/group_consumption.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/queue_consumption.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

/// How much a kill -9 may make a group see again.
constexpr std::chrono::milliseconds kCommitEvery{1'000};

struct ConsumeOptions {
  std::vector<std::string> topics;
  std::string group;
  bool queue = false;
  std::string member;
  std::optional<std::string> from;
  std::string to;
  std::optional<std::int64_t> count;
  bool exit_at_end = false;
  std::string format;
  std::string filter;
  std::string delimiter = "nl";
  std::vector<std::int32_t> partitions;
  std::string ack = "auto";
};

Error invalid(std::string detail) { return {.code = Errc::invalid_argument, .detail = std::move(detail)}; }

Status check_queue(const ConsumeOptions& options) {
  if (options.group.empty()) return invalid("--queue needs a group: -g");
  if (options.topics.size() != 1) return invalid("--queue: a queue group has one topic");
  if (!options.to.empty()) return invalid("--to: a queue group has no order to stop in; --exit-at-end stops when nothing is left");
  if (!options.filter.empty()) {
    return invalid("--filter: what a queue group leaves out is a setting of the group: `tidemark group alter G filter=EXPR`");
  }
  return {};
}

Status check(const ConsumeOptions& options) {
  if (const Status sound = options.queue ? check_queue(options) : Status(); !sound) return sound;
  if (!options.member.empty() && !options.queue) return invalid("--member is for --queue");
  if (!options.to.empty() && options.exit_at_end) return invalid("--to and --exit-at-end exclude each other: both say where to stop");
  if (options.count && *options.count < 0) return invalid("-n must not be negative");
  if (options.group.empty() && options.ack == "none") return invalid("--ack needs a group: -g");
  if (!options.group.empty() && !options.partitions.empty()) return invalid("--partition: in a group the broker hands out the partitions");
  return {};
}

/// Where to stop, if anywhere.
Result<std::optional<Position>> stop_at(const ConsumeOptions& options) {
  if (options.exit_at_end) return std::optional(Position::latest());
  if (options.to.empty()) return std::optional<Position>();
  const Result<Position> to = parse_position(options.to);
  if (!to) return to.error();
  return std::optional(*to);
}

Result<ConsumptionPlan> make_plan(const ConsumeOptions& options, const Globals& globals) {
  const char delimiter = options.delimiter == "nul" ? '\0' : '\n';
  Result<RecordPrinter> printer = RecordPrinter::make(options.format, delimiter, globals.output);
  if (!printer) return printer.error();
  ConsumptionPlan plan{.printer = *std::move(printer)};
  const Result<Position> from = parse_position(options.from.value_or("latest"));
  if (!from) return from.error();
  plan.reader.from = *from;
  const Result<std::optional<Position>> to = stop_at(options);
  if (!to) return to.error();
  plan.reader.to = *to;
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

Result<GroupConsumptionPlan> make_group_plan(const ConsumeOptions& options, const Globals& globals) {
  const char delimiter = options.delimiter == "nul" ? '\0' : '\n';
  Result<RecordPrinter> printer = RecordPrinter::make(options.format, delimiter, globals.output);
  if (!printer) return printer.error();
  GroupConsumptionPlan plan{.printer = *std::move(printer)};
  const Result<Position> from = parse_position(options.from.value_or("earliest"));
  if (!from) return from.error();
  plan.stream.group = options.group;
  plan.stream.topics = options.topics;
  plan.stream.start = *from;
  plan.stream.commit_every = kCommitEvery;
  plan.start_was_named = options.from.has_value();
  plan.acknowledge = options.ack == "auto";
  const Result<std::optional<Position>> to = stop_at(options);
  if (!to) return to.error();
  plan.to = *to;
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

Exit consume_in_group(const ConsumeOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<GroupConsumptionPlan> plan = make_group_plan(options, globals);
  if (!plan) return report(plan.error(), globals.output);
  Globals patient = globals;
  patient.timeout.reset();
  Result<Client> client = connect(patient);
  if (!client) return report(client.error(), globals.output);
  return GroupConsumption(*client, *std::move(plan), interrupts).run();
}

Result<QueueConsumptionPlan> make_queue_plan(const ConsumeOptions& options, const Globals& globals) {
  const char delimiter = options.delimiter == "nul" ? '\0' : '\n';
  Result<RecordPrinter> printer = RecordPrinter::make(options.format, delimiter, globals.output);
  if (!printer) return printer.error();
  QueueConsumptionPlan plan{.printer = *std::move(printer)};
  const Result<Position> from = parse_position(options.from.value_or("earliest"));
  if (!from) return from.error();
  plan.queue.group = options.group;
  plan.queue.topic = options.topics.front();
  plan.queue.member = options.member;
  plan.queue.start = *from;
  plan.start_was_named = options.from.has_value();
  plan.acknowledge = options.ack == "auto";
  plan.exit_at_end = options.exit_at_end;
  if (options.count) plan.count_max = static_cast<std::uint64_t>(*options.count);
  plan.silence_max = globals.timeout;
  plan.output = globals.output;
  return plan;
}

Exit consume_queue(const ConsumeOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<QueueConsumptionPlan> plan = make_queue_plan(options, globals);
  if (!plan) return report(plan.error(), globals.output);
  Globals patient = globals;
  patient.timeout.reset();
  Result<Client> client = connect(patient);
  if (!client) return report(client.error(), globals.output);
  return QueueConsumption(*client, *std::move(plan), interrupts).run();
}

Exit consume(const ConsumeOptions& options, const Globals& globals, Interrupts& interrupts) {
  if (const Status sound = check(options); !sound) return report(sound.error(), globals.output);
  if (options.queue) return consume_queue(options, globals, interrupts);
  if (!options.group.empty()) return consume_in_group(options, globals, interrupts);
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
  verb->add_option("-g,--group", options->group, "Consume as a member of this group: what was printed is committed");
  verb->add_flag("--queue", options->queue,
                 "The group is a work queue: each record goes to one member, and what was printed is acknowledged");
  verb->add_option("--member", options->member, "With --queue: the name of this member; a random one by default")->type_name("NAME");
  verb->add_option("--from", options->from,
                   "Where to start: earliest, latest, 42, +5, -5, -15m, @2026-03-01T10:00; latest by default.\n"
                   "With -g for a new group only, earliest by default")
      ->type_name("POS");
  verb->add_option("--to", options->to, "Where to stop, exclusive")->type_name("POS");
  verb->add_option("-n,--count", options->count, "Stop after so many records, over all topics");
  verb->add_flag("--exit-at-end", options->exit_at_end,
                 "Stop at the ends the topics have at the start; with --queue, when none of those records is\n"
                 "available or in flight");
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
  verb->add_option("--ack", options->ack, "In a group: auto commits or acknowledges what was printed, none gives it back")
      ->check(CLI::IsMember({"auto", "none"}))
      ->capture_default_str();
  verb->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts& interrupts) { return consume(*options, globals, interrupts); };
  });
}

}  // namespace tidemark::tools
