#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/tidemark/group_commands.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/session.h"

/// Moving a group: seek, undo, history.
namespace tidemark::tools {
namespace {

constexpr std::string_view kGroupTarget = "group:";

Result<GroupSeek> parse_seek(const GroupSeekOptions& options) {
  GroupSeek seek{.group = options.name.group, .partition = options.partition, .force = options.force};
  if (!options.name.topic.empty()) seek.topic = options.name.topic;
  if (options.to.starts_with(kGroupTarget)) {
    seek.to_group = options.to.substr(kGroupTarget.size());
    if (seek.to_group.empty()) return Error{.code = Errc::invalid_argument, .detail = "--to group: needs the other group's name behind it"};
    return seek;
  }
  const Result<Position> to = parse_position(options.to);
  if (!to) return to.error();
  seek.to = *to;
  return seek;
}

/// Shows the plan, or carries it out and shows what was done. `run(execute)` asks the broker.
template <class Run>
Exit plan_and_run(const std::string& group, bool execute, bool can_undo, const Globals& globals, Run run) {
  const bool really = execute && !globals.dry_run;
  Result<GroupSeekPlan> plan = run(false);
  if (!plan) return report(plan.error(), globals.output);
  const bool json = is_json(globals.output);
  if (!json && !write_stdout(plan_table(plan->rows))) return Exit::failed;
  if (really) {
    if (!confirm(fmt::format("move group {} so?", printable_text(group)), globals)) return Exit::failed;
    const std::vector<GroupSeekRow> planned = plan->rows;
    plan = run(true);
    if (!plan) return report(plan.error(), globals.output);
    const auto same = [](const GroupSeekRow& a, const GroupSeekRow& b) { return a.where == b.where && a.from == b.from && a.to == b.to; };
    // The log went on, or somebody committed, between plan and deed.
    if (!json && !std::ranges::equal(planned, plan->rows, same) && !write_stdout("done:\n" + plan_table(plan->rows))) return Exit::failed;
  }
  if (json) {
    print_json(plan_to_json(group, *plan));
  } else if (really && !can_undo) {
    write_stderr(fmt::format("moved group {}; all its records from there on are new to it\n", printable_text(group)));
  } else if (really) {
    write_stderr(fmt::format("moved group {}; `tidemark group undo` takes it back (move {})\n", printable_text(group), plan->id));
  } else {
    write_stderr("nothing was moved; --execute does it\n");
  }
  return Exit::done;
}

}  // namespace

Exit group_seek(const GroupSeekOptions& options, const Globals& globals) {
  Result<GroupSeek> seek = parse_seek(options);
  if (!seek) return report(seek.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<AnyGroup> group = find_group(*client, options.name);
  if (!group) return report(group.error(), globals.output);
  const auto* const queue = std::get_if<QueueDescription>(&*group);
  if (queue != nullptr) seek->topic = queue->topic;
  return plan_and_run(options.name.group, options.execute, queue == nullptr, globals, [&](bool execute) {
    seek->execute = execute;
    return queue != nullptr ? client->queues().seek(*seek) : client->groups().seek(*seek);
  });
}

Exit group_undo(const GroupUndoOptions& options, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<GroupDescription> group = find_stream(*client, options.name, "undo");
  if (!group) return report(group.error(), globals.output);
  return plan_and_run(group->name, options.execute, true, globals,
                      [&](bool execute) { return client->groups().undo(group->name, execute, options.force); });
}

Exit group_history(const GroupName& name, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<GroupDescription> group = find_stream(*client, name, "history");
  if (!group) return report(group.error(), globals.output);
  const Result<std::vector<GroupSeekRecord>> history = client->groups().history(group->name);
  if (!history) return report(history.error(), globals.output);
  if (!is_json(globals.output)) return write_stdout(history_table(*history)) ? Exit::done : Exit::failed;
  print_json_list(history_to_json(*history), globals.output);
  return Exit::done;
}

}  // namespace tidemark::tools
