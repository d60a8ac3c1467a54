#include "tools/tidemark/group_commands.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "tools/tidemark/group_view.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

constexpr std::chrono::seconds kWatchInterval{1};

Result<GroupSettings> parse_settings(const std::vector<std::string>& texts) {
  GroupSettings settings;
  for (const std::string& text : texts) {
    Result<NameValue> setting = parse_name_value(text);
    if (!setting) return setting.error();
    settings[setting->name] = setting->value;
  }
  return settings;
}

Exit print(const std::string& text) { return write_stdout(text) ? Exit::done : Exit::failed; }

bool wide(const Globals& globals) { return globals.output == OutputFormat::wide; }

std::string lag_text(const std::vector<GroupPartitionLag>& lags, const Globals& globals) {
  return is_json(globals.output) ? lag_to_json(lags, globals.output) : lag_table(lags, wide(globals));
}

}  // namespace

Exit group_create(const GroupCreateOptions& options, const Globals& globals) {
  const Result<Position> from = parse_position(options.from);
  if (!from) return report(from.error(), globals.output);
  Result<GroupSettings> settings = parse_settings(options.settings);
  if (!settings) return report(settings.error(), globals.output);
  if (globals.dry_run) {
    write_stderr(fmt::format("would create group {} on {} at {}\n", printable_text(options.group), fmt::join(options.topics, ", "),
                             to_string(*from)));
    return Exit::done;
  }
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const NewGroup group{.name = options.group, .topics = options.topics, .start = *from, .settings = *std::move(settings)};
  const Result<GroupDescription> created = client->groups().create(group);
  if (!created) return report(created.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(group_to_json(*created));
  } else {
    write_stderr(fmt::format("created group {} at {}\n", printable_text(created->name), to_string(*from)));
  }
  return Exit::done;
}

Exit group_list(const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<GroupDescription>> groups = client->groups().list();
  if (!groups) return report(groups.error(), globals.output);
  if (!is_json(globals.output)) return print(group_table(*groups, wide(globals)));
  boost::json::array list;
  for (const GroupDescription& group : *groups) list.push_back(group_to_json(group));
  print_json_list(list, globals.output);
  return Exit::done;
}

Exit group_show(const std::string& group, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<GroupDescription> description = client->groups().describe(group);
  if (!description) return report(description.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(group_details_to_json(*description));
    return Exit::done;
  }
  const Result<std::vector<GroupPartitionLag>> lags = client->groups().lag(group);
  if (!lags) return report(lags.error(), globals.output);
  return print(group_page(*description, *lags, wide(globals)));
}

Exit group_alter(const GroupAlterOptions& options, const Globals& globals) {
  Result<GroupSettings> settings = parse_settings(options.settings);
  if (!settings) return report(settings.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  if (globals.dry_run) {
    const Result<GroupDescription> present = client->groups().describe(options.group);
    if (!present) return report(present.error(), globals.output);
    for (const auto& [key, value] : *settings) {
      const auto old = present->settings.find(key);
      write_stderr(fmt::format("would set {}: {} -> {}\n", key, old == present->settings.end() ? "(default)" : old->second,
                               value.empty() ? "(default)" : value));
    }
    return Exit::done;
  }
  const Result<GroupDescription> altered = client->groups().alter(options.group, *settings);
  if (!altered) return report(altered.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(group_details_to_json(*altered));
  } else {
    write_stderr(fmt::format("altered group {}\n", printable_text(altered->name)));
  }
  return Exit::done;
}

Exit group_remove(const std::vector<std::string>& groups, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  GroupAdmin admin = client->groups();
  std::optional<Error> failed;
  boost::json::array removed;
  for (const std::string& name : groups) {
    const Result<GroupDescription> group = admin.describe(name);
    Status done = group ? Status() : Status(group.error());
    if (group && globals.dry_run) {
      write_stderr(fmt::format("would remove group {}, its positions and its history\n", printable_text(name)));
      continue;
    }
    if (group && !confirm(fmt::format("remove group {}, its positions and its history?", printable_text(name)), globals)) {
      return Exit::failed;
    }
    if (group) done = admin.remove(name);
    if (!done) {
      failed = done.error();
      report(*failed, globals.output);
      continue;
    }
    removed.emplace_back(printable_text(name));
    if (!is_json(globals.output)) write_stderr(fmt::format("removed group {}\n", printable_text(name)));
  }
  const bool some_done = !removed.empty();
  if (is_json(globals.output) && !globals.dry_run) print_json(boost::json::object{{"removed", std::move(removed)}});
  if (!failed) return Exit::done;
  return some_done ? Exit::partial : exit_code(*failed);
}

Exit group_members(const std::string& group, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<GroupDescription> description = client->groups().describe(group);
  if (!description) return report(description.error(), globals.output);
  if (!is_json(globals.output)) return print(member_table(description->members, wide(globals)));
  print_json_list(members_to_json(description->members), globals.output);
  return Exit::done;
}

Exit group_lag(const GroupLagOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const bool redraw = options.watch && !is_json(globals.output) && ::isatty(STDOUT_FILENO) == 1;
  const auto sample = [&](bool first) {
    const Result<std::vector<GroupPartitionLag>> lags = client->groups().lag(options.group);
    if (!lags) return report(lags.error(), globals.output);
    const std::string separator = redraw ? "\x1b[H\x1b[2J" : first || is_json(globals.output) ? "" : "\n";
    return print(separator + lag_text(*lags, globals));
  };
  Exit outcome = sample(true);
  if (!options.watch) return outcome;
  const Interrupts::Listener listener(interrupts, [] {});  // Ctrl-C ends the sleep below instead of the process.
  while (outcome == Exit::done && interrupts.sleep(kWatchInterval)) outcome = sample(false);
  // A reader of the output that has gone has seen enough, and so has one who pressed Ctrl-C.
  return outcome == Exit::failed ? Exit::done : outcome;
}

}  // namespace tidemark::tools
