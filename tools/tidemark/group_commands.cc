#include "tools/tidemark/group_commands.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/tidemark/group_view.h"
#include "tools/tidemark/queue_view.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/sparkline.h"
#include "tools/tidemark/terminal.h"
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

std::size_t widest_line(std::string_view text) {
  std::size_t widest = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    widest = std::max(widest, columns_of(line));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return widest;
}

/// How the lag of each row has gone while it was watched.
class LagTrends {
 public:
  /// One sparkline a row; rows that are not there any more are forgotten.
  std::vector<std::string> add(const std::vector<GroupPartitionLag>& lags) {
    std::map<Key, std::vector<double>> known;
    std::vector<std::string> lines;
    for (const GroupPartitionLag& lag : lags) {
      const Key key{lag.kind, lag.group, lag.where};
      std::vector<double>& trend = known[key] = std::move(trends_[key]);
      trend.push_back(static_cast<double>(lag.lag.value_or(0)));
      if (trend.size() > kTrendWidth) trend.erase(trend.begin());
      lines.push_back(sparkline(trend, kTrendWidth));
    }
    trends_ = std::move(known);
    return lines;
  }

 private:
  using Key = std::tuple<std::string, std::string, TopicPartition>;
  static constexpr std::size_t kTrendWidth = 12;
  std::map<Key, std::vector<double>> trends_;
};

template <class Description>
Result<AnyGroup> any_group(Result<Description> description) {
  if (!description) return description.error();
  return AnyGroup(*std::move(description));
}

/// "group billing", "queue group billing on orders"
std::string described(const AnyGroup& group) {
  if (const auto* const queue = std::get_if<QueueDescription>(&group)) return queue_title(*queue);
  return "group " + printable_text(std::get<GroupDescription>(group).name);
}

std::string what_goes(const AnyGroup& group) {
  if (const auto* const queue = std::get_if<QueueDescription>(&group)) {
    const QueueCounts counts = queue->counts();
    return fmt::format("{} and what it knows of {} unfinished records", described(group),
                       counts.waiting + counts.in_flight + counts.retrying + counts.delayed + counts.parked + counts.dying);
  }
  return described(group) + ", its positions and its history";
}

Status remove(Client& client, const AnyGroup& group) {
  if (const auto* const queue = std::get_if<QueueDescription>(&group)) return client.queues().remove(queue->group, queue->topic);
  return client.groups().remove(std::get<GroupDescription>(group).name);
}

}  // namespace

Exit group_create(const GroupCreateOptions& options, const Globals& globals) {
  if (options.queue && options.topics.size() != 1) return report_usage("a queue group has one topic", globals.output);
  const Result<Position> from = parse_position(options.from);
  if (!from) return report(from.error(), globals.output);
  Result<GroupSettings> settings = parse_settings(options.settings);
  if (!settings) return report(settings.error(), globals.output);
  if (globals.dry_run) {
    write_stderr(fmt::format("would create {}group {} on {} at {}\n", options.queue ? "queue " : "", printable_text(options.group),
                             fmt::join(options.topics, ", "), to_string(*from)));
    return Exit::done;
  }
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const std::string topic = options.topics.front();
  Result<AnyGroup> created =
      options.queue
          ? any_group(client->queues().create({.group = options.group, .topic = topic, .start = *from, .settings = *settings}))
          : any_group(client->groups().create({.name = options.group, .topics = options.topics, .start = *from, .settings = *settings}));
  if (!created) return report(created.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(std::visit([](const auto& group) { return group_to_json(group); }, *created));
  } else {
    write_stderr(fmt::format("created {} at {}\n", described(*created), to_string(*from)));
  }
  return Exit::done;
}

Exit group_list(const GroupName& choice, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  Result<std::vector<GroupDescription>> groups = client->groups().list();
  if (!groups) return report(groups.error(), globals.output);
  Result<std::vector<QueueDescription>> queues = client->queues().list();
  if (!queues) return report(queues.error(), globals.output);
  std::erase_if(*groups, [&choice](const GroupDescription& group) { return group.kind != "stream" || !chosen(choice, group); });
  std::erase_if(*queues, [&choice](const QueueDescription& queue) { return !chosen(choice, queue); });
  if (!is_json(globals.output)) {
    for (const QueueDescription& queue : *queues) groups->push_back(as_group(queue));
    return print(group_table(*groups, wide(globals)));
  }
  boost::json::array list;
  for (const GroupDescription& group : *groups) list.push_back(group_to_json(group));
  for (const QueueDescription& queue : *queues) list.push_back(group_to_json(queue));
  print_json_list(list, globals.output);
  return Exit::done;
}

Exit group_show(const GroupName& name, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<AnyGroup> found = find_group(*client, name);
  if (!found) return report(found.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(std::visit([](const auto& group) { return group_details_to_json(group); }, *found));
    return Exit::done;
  }
  if (const auto* const queue = std::get_if<QueueDescription>(&*found)) return print(queue_page(*queue, wide(globals)));
  Result<std::vector<GroupPartitionLag>> lags = client->groups().lag(name.group);
  if (!lags) return report(lags.error(), globals.output);
  std::erase_if(*lags, [](const GroupPartitionLag& lag) { return lag.kind == "queue"; });
  return print(group_page(std::get<GroupDescription>(*found), *lags, wide(globals)));
}

Exit group_alter(const GroupAlterOptions& options, const Globals& globals) {
  Result<GroupSettings> settings = parse_settings(options.settings);
  if (!settings) return report(settings.error(), globals.output);
  return alter_group(options.name, *settings, "altered", globals);
}

Exit alter_group(const GroupName& name, const GroupSettings& settings, std::string_view done, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<AnyGroup> present = find_group(*client, name);
  if (!present) return report(present.error(), globals.output);
  if (globals.dry_run) {
    const GroupSettings& set = std::visit([](const auto& group) -> const GroupSettings& { return group.settings; }, *present);
    for (const auto& [key, value] : settings) {
      const auto old = set.find(key);
      write_stderr(
          fmt::format("would set {}: {} -> {}\n", key, old == set.end() ? "(default)" : old->second, value.empty() ? "(default)" : value));
    }
    return Exit::done;
  }
  const auto* const queue = std::get_if<QueueDescription>(&*present);
  const Result<AnyGroup> altered = queue != nullptr ? any_group(client->queues().alter(queue->group, queue->topic, settings))
                                                    : any_group(client->groups().alter(name.group, settings));
  if (!altered) return report(altered.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(std::visit([](const auto& group) { return group_details_to_json(group); }, *altered));
  } else {
    write_stderr(fmt::format("{} {}\n", done, described(*altered)));
  }
  return Exit::done;
}

Exit group_remove(const GroupRemoveOptions& options, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  std::optional<Error> failed;
  boost::json::array removed;
  for (const std::string& name : options.groups) {
    const Result<AnyGroup> group = find_group(*client, {.group = name, .topic = options.choice.topic, .kind = options.choice.kind});
    Status done = group ? Status() : Status(group.error());
    if (group && globals.dry_run) {
      write_stderr(fmt::format("would remove {}\n", what_goes(*group)));
      continue;
    }
    if (group && !confirm(fmt::format("remove {}?", what_goes(*group)), globals)) return Exit::failed;
    if (group) done = remove(*client, *group);
    if (!done) {
      failed = done.error();
      report(*failed, globals.output);
      continue;
    }
    removed.emplace_back(printable_text(name));
    if (!is_json(globals.output)) write_stderr(fmt::format("removed {}\n", described(*group)));
  }
  const bool some_done = !removed.empty();
  if (is_json(globals.output) && !globals.dry_run) print_json(boost::json::object{{"removed", std::move(removed)}});
  if (!failed) return Exit::done;
  return some_done ? Exit::partial : exit_code(*failed);
}

Exit group_members(const GroupName& name, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<AnyGroup> found = find_group(*client, name);
  if (!found) return report(found.error(), globals.output);
  const auto* const queue = std::get_if<QueueDescription>(&*found);
  if (!is_json(globals.output)) {
    return print(queue != nullptr ? queue_member_table(*queue, wide(globals))
                                  : member_table(std::get<GroupDescription>(*found).members, wide(globals)));
  }
  print_json_list(queue != nullptr ? queue_members_to_json(*queue) : members_to_json(std::get<GroupDescription>(*found).members),
                  globals.output);
  return Exit::done;
}

Exit group_lag(const GroupLagOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const bool redraw = options.watch && !is_json(globals.output) && stdout_draws();
  LagTrends trends;
  const GroupName& name = options.name;
  const std::optional<std::string> group = name.group.empty() ? std::nullopt : std::optional(name.group);
  const auto sample = [&](bool first) {
    Result<std::vector<GroupPartitionLag>> lags = client->groups().lag(group);
    if (!lags) return report(lags.error(), globals.output);
    std::erase_if(*lags, [&name](const GroupPartitionLag& lag) {
      return (!name.kind.empty() && name.kind != lag.kind) || (!name.topic.empty() && name.topic != lag.where.topic);
    });
    const std::string separator = redraw ? "\x1b[H\x1b[2J" : first || is_json(globals.output) ? "" : "\n";
    if (is_json(globals.output)) return print(separator + lag_to_json(*lags, globals.output));
    std::string table = lag_table(*lags, wide(globals));
    if (redraw && stdout_shows_utf8()) {
      std::string with_trends = lag_table(*lags, wide(globals), trends.add(*lags));
      if (widest_line(with_trends) <= terminal_size().width) table = std::move(with_trends);
    }
    return print(separator + table);
  };
  Exit outcome = sample(true);
  if (!options.watch) return outcome;
  const Interrupts::Listener listener(interrupts, [] {});  // Ctrl-C ends the sleep below instead of the process.
  while (outcome == Exit::done && interrupts.sleep(kWatchInterval)) outcome = sample(false);
  // A reader of the output that has gone has seen enough, and so has one who pressed Ctrl-C.
  return outcome == Exit::failed ? Exit::done : outcome;
}

}  // namespace tidemark::tools
