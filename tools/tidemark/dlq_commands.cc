#include <boost/json.hpp>
#include <fmt/format.h>

#include "broker/record_filter.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/queue_commands.h"
#include "tools/tidemark/queue_view.h"
#include "tools/tidemark/rate.h"
#include "tools/tidemark/session.h"

/// `tidemark dlq`: looking at dead letters, giving them back, throwing them away.
namespace tidemark::tools {
namespace {

std::string letters_text(std::uint64_t count) { return fmt::format("{} dead letter{}", count, count == 1 ? "" : "s"); }

Result<Redrive> make_redrive(const RedriveOptions& options) {
  Redrive redrive{.group = options.group, .match = options.match, .max = options.max};
  if (!options.topic.empty()) redrive.topic = options.topic;
  if (!options.to.empty()) redrive.to = options.to;
  if (!options.match.empty()) {
    const Result<broker::RecordFilter> filter = broker::RecordFilter::parse(options.match, now());
    if (!filter) return filter.error();
  }
  if (!options.rate.empty()) {
    const Result<Rate> rate = parse_rate(options.rate);
    if (!rate) return rate.error();
    if (rate->unit != Rate::Unit::records)
      return Error{.code = Errc::invalid_argument, .detail = "--rate: records a second, such as 100/s"};
    redrive.records_per_second = rate->per_second;
  }
  return redrive;
}

std::string destination(const RedriveOptions& options) {
  return options.to.empty() ? "to group " + printable_text(options.group) : "to everybody, in topic " + options.to;
}

void print_redriven(const std::string& group, const RedriveReport& result, bool executed) {
  boost::json::object object;
  add_name(object, "group", group);
  object["matched"] = result.matched;
  object["redriven"] = result.redriven;
  object["gone"] = result.gone;
  object["skipped"] = result.skipped;
  object["executed"] = executed;
  print_json(object);
}

Exit conclude(const RedriveOptions& options, const RedriveReport& result, const Globals& globals) {
  if (is_json(globals.output)) {
    print_redriven(options.group, result, true);
  } else {
    write_stderr(fmt::format("{} given back {}\n", letters_text(result.redriven), destination(options)));
    if (result.gone > 0) {
      write_stderr(fmt::format("{} not: the record is no longer in the topic it came from; --to TOPIC publishes the letter itself\n",
                               letters_text(result.gone)));
    }
  }
  if (result.gone == 0) return Exit::done;
  return result.redriven > 0 ? Exit::partial : Exit::failed;
}

}  // namespace

Exit dlq_list(const std::optional<std::string>& group, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<DeadLetterSummary>> summaries = client->queues().dead_letters(group);
  if (!summaries) return report(summaries.error(), globals.output);
  if (!is_json(globals.output)) return write_stdout(dead_letters_table(*summaries)) ? Exit::done : Exit::failed;
  print_json_list(dead_letters_to_json(*summaries), globals.output);
  return Exit::done;
}

Exit dlq_show(const std::string& group, std::size_t count, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<DeadLetter>> letters = client->queues().show_dead_letters(group, count);
  if (!letters) return report(letters.error(), globals.output);
  if (!is_json(globals.output)) {
    return write_stdout(letters_table(*letters, globals.output == OutputFormat::wide)) ? Exit::done : Exit::failed;
  }
  print_json_list(letters_to_json(*letters), globals.output);
  return Exit::done;
}

Exit dlq_redrive(const RedriveOptions& options, const Globals& globals) {
  Result<Redrive> redrive = make_redrive(options);
  if (!redrive) return report(redrive.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  redrive->dry_run = true;
  const Result<RedriveReport> planned = client->queues().redrive(*redrive);
  if (!planned) return report(planned.error(), globals.output);
  const std::string plan = fmt::format("{}, and leave out {}", letters_text(planned->matched), planned->skipped);
  if (globals.dry_run) {
    if (is_json(globals.output)) print_redriven(options.group, *planned, false);
    if (!is_json(globals.output)) write_stderr(fmt::format("would give back {}: {}\n", destination(options), plan));
    return Exit::done;
  }
  if (planned->matched > 0 && !confirm(fmt::format("give back {}: {}?", destination(options), plan), globals)) return Exit::failed;
  redrive->dry_run = false;
  const Result<RedriveReport> done = client->queues().redrive(*redrive);
  if (!done) return report(done.error(), globals.output);
  return conclude(options, *done, globals);
}

Exit dlq_purge(const std::string& group, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<DeadLetterSummary>> summaries = client->queues().dead_letters(group);
  if (!summaries) return report(summaries.error(), globals.output);
  std::uint64_t letters = 0;
  for (const DeadLetterSummary& summary : *summaries) letters += summary.letters;
  const std::string what = fmt::format("the {} of group {}", letters_text(letters), printable_text(group));
  if (globals.dry_run) {
    write_stderr(fmt::format("would remove {}\n", what));
    return Exit::done;
  }
  if (letters > 0 && !confirm(fmt::format("remove {} for good?", what), globals)) return Exit::failed;
  const Result<std::uint64_t> removed = client->queues().purge_dead_letters(group);
  if (!removed) return report(removed.error(), globals.output);
  if (is_json(globals.output)) {
    boost::json::object object;
    add_name(object, "group", group);
    object["removed"] = *removed;
    print_json(object);
  } else {
    write_stderr(fmt::format("removed {} of group {}\n", letters_text(*removed), printable_text(group)));
  }
  return Exit::done;
}

}  // namespace tidemark::tools
