#include "tools/tidemark/queue_commands.h"

#include <array>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "broker/record_filter.h"
#include "storage/base/units.h"
#include "tools/tidemark/group_commands.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/queue_view.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

Error invalid(std::string detail) { return {.code = Errc::invalid_argument, .detail = std::move(detail)}; }

/// The engine's words, and those of the counts.
Result<std::string> state_named(const std::string& name) {
  struct State {
    std::string_view name;
    std::string_view state;
  };
  static constexpr std::array kStates = {State{"available", "available"}, State{"retrying", "available"}, State{"acquired", "acquired"},
                                         State{"in_flight", "acquired"},  State{"delayed", "delayed"},    State{"parked", "parked"},
                                         State{"dying", "dying"}};
  for (const State& each : kStates) {
    if (each.name == name) return std::string(each.state);
  }
  return invalid(fmt::format("--state is available, acquired (or in_flight), retrying, delayed, parked or dying, not `{}`", name));
}

Result<std::chrono::milliseconds> parse_age(const std::string& text) {
  if (text.empty()) return std::chrono::milliseconds(0);
  return parse_duration(text);
}

/// The records named on the command line; they are all of one topic, which a name without --topic then gets.
Status parse_records(const std::vector<std::string>& texts, GroupName& name, QueueAction& action) {
  for (const std::string& text : texts) {
    const Result<RecordAddress> record = parse_record_address(text);
    if (!record) return record.error();
    if (name.topic.empty()) name.topic = record->topic;
    if (record->topic != name.topic) return invalid(fmt::format("`{}` is not of topic {}", text, name.topic));
    action.offsets.emplace_back(record->partition, Offset{record->offset});
  }
  return {};
}

struct ActionWords {
  std::string_view verb;  ///< "release 3 records of queue group billing on orders"
  std::string_view done;
};

ActionWords words_of(QueueAction::Kind kind) {
  switch (kind) {
    case QueueAction::Kind::release:
      return {"release", "released"};
    case QueueAction::Kind::kick:
      return {"make available", "made available"};
    case QueueAction::Kind::purge:
      return {"finish, unworked,", "finished, unworked,"};
  }
  check_failed("the kinds of actions are listed above", __FILE__, __LINE__);
}

void print_action(const QueueDescription& queue, std::uint64_t records, bool executed) {
  boost::json::object object;
  add_name(object, "group", queue.group);
  object["topic"] = queue.topic;
  object["records"] = records;
  object["executed"] = executed;
  print_json(object);
}

/// Counts first, asks, and does it.
Exit plan_and_act(const GroupName& name, QueueAction action, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<QueueDescription> queue = find_queue(*client, name);
  if (!queue) return report(queue.error(), globals.output);
  action.group = queue->group;
  action.topic = queue->topic;
  action.execute = false;
  const Result<std::uint64_t> planned = client->queues().act(action);
  if (!planned) return report(planned.error(), globals.output);
  const ActionWords words = words_of(action.kind);
  const std::string what = fmt::format("{} record{} of {}", *planned, *planned == 1 ? "" : "s", queue_title(*queue));
  const bool json = is_json(globals.output);
  if (globals.dry_run) {
    if (json) print_action(*queue, *planned, false);
    if (!json) write_stderr(fmt::format("would {} {}\n", words.verb, what));
    return Exit::done;
  }
  if (*planned > 0 && !confirm(fmt::format("{} {}?", words.verb, what), globals)) return Exit::failed;
  action.execute = true;
  const Result<std::uint64_t> done = client->queues().act(action);
  if (!done) return report(done.error(), globals.output);
  if (json) {
    print_action(*queue, *done, true);
  } else {
    write_stderr(fmt::format("{} {} record{} of {}\n", words.done, *done, *done == 1 ? "" : "s", queue_title(*queue)));
  }
  return Exit::done;
}

/// What `paused.until` is set to.
Result<std::string> parse_pause(const std::string& text) {
  if (text.empty()) return std::string("forever");
  if (const Result<std::chrono::milliseconds> span = parse_span(text)) return format_time(now() + *span);
  const Result<Timestamp> time = parse_time(text.starts_with('@') ? text.substr(1) : text, now());
  if (!time) return time.error();
  if (*time <= now()) return invalid(fmt::format("--until: {} is over", text));
  return format_time(*time);
}

/// Pause and resume are for queue groups: a member of a stream group moves by itself.
Exit alter_queue(GroupName name, const std::string& until, std::string_view done, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<QueueDescription> queue = find_queue(*client, name);
  if (!queue) return report(queue.error(), globals.output);
  return alter_group({.group = queue->group, .topic = queue->topic, .kind = "queue"}, {{"paused.until", until}}, done, globals);
}

}  // namespace

Exit group_pending(const GroupPendingOptions& options, const Globals& globals) {
  QueuePendingQuery query{.group = options.name.group, .topic = {}, .partition = options.partition, .member = options.member};
  query.max = options.count;
  const Result<std::chrono::milliseconds> older = parse_age(options.older);
  if (!older) return report(older.error(), globals.output);
  query.older = *older;
  for (const std::string& text : options.states) {
    const Result<std::string> state = state_named(text);
    if (!state) return report(state.error(), globals.output);
    query.states.push_back(*state);
  }
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<QueueDescription> queue = find_queue(*client, options.name);
  if (!queue) return report(queue.error(), globals.output);
  query.topic = queue->topic;
  const Result<std::vector<QueuePendingRow>> rows = client->queues().pending(query);
  if (!rows) return report(rows.error(), globals.output);
  if (is_json(globals.output)) {
    print_json_list(pending_to_json(queue->topic, *rows), globals.output);
  } else if (!write_stdout(pending_table(queue->topic, *rows, globals.output == OutputFormat::wide))) {
    return Exit::failed;
  }
  if (rows->size() == options.count) write_stderr(fmt::format("only the first {} are shown; -n shows more\n", rows->size()));
  return Exit::done;
}

Exit group_pause(const GroupPauseOptions& options, const Globals& globals) {
  const Result<std::string> until = parse_pause(options.until);
  if (!until) return report(until.error(), globals.output);
  return alter_queue(options.name, *until, "paused", globals);
}

Exit group_resume(const GroupName& name, const Globals& globals) { return alter_queue(name, "", "resumed", globals); }

Exit group_purge(const GroupName& name, const Globals& globals) {
  return plan_and_act(name, {.group = {}, .topic = {}, .kind = QueueAction::Kind::purge}, globals);
}

Exit group_release(const GroupReleaseOptions& options, const Globals& globals) {
  GroupName name = options.name;
  QueueAction action{.group = {}, .topic = {}, .kind = QueueAction::Kind::release, .member = options.member};
  const Result<std::chrono::milliseconds> older = parse_age(options.older);
  if (!older) return report(older.error(), globals.output);
  action.older = *older;
  if (const Status parsed = parse_records(options.records, name, action); !parsed) return report(parsed.error(), globals.output);
  return plan_and_act(name, std::move(action), globals);
}

Exit group_kick(const GroupKickOptions& options, const Globals& globals) {
  GroupName name = options.name;
  QueueAction action{.group = {}, .topic = {}, .kind = QueueAction::Kind::kick, .match = options.match};
  if (!options.match.empty()) {
    const Result<broker::RecordFilter> filter = broker::RecordFilter::parse(options.match, now());
    if (!filter) return report(filter.error(), globals.output);
  }
  if (const Status parsed = parse_records(options.records, name, action); !parsed) return report(parsed.error(), globals.output);
  return plan_and_act(name, std::move(action), globals);
}

}  // namespace tidemark::tools
