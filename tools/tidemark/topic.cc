#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"
#include "tools/tidemark/topic_view.h"

namespace tidemark::tools {
namespace {

struct CreateOptions {
  std::string topic;
  std::optional<std::int32_t> partitions;
  std::vector<std::string> config;
};
struct ListOptions {
  bool internal = false;
};
struct AlterOptions {
  std::string topic;
  std::vector<std::string> config;
  std::optional<std::int32_t> partitions;
};
struct TrimOptions {
  std::string topic;
  std::string before;
  std::optional<std::int32_t> partition;
};
struct RemoveOptions {
  std::vector<std::string> topics;
};

Result<TopicSettings> parse_settings(const std::vector<std::string>& texts) {
  TopicSettings settings;
  for (const std::string& text : texts) {
    Result<NameValue> setting = parse_name_value(text);
    if (!setting) return setting.error();
    settings[setting->name] = setting->value;
  }
  return settings;
}

std::string partitions_text(std::int32_t partitions) { return fmt::format("{} partition{}", partitions, partitions == 1 ? "" : "s"); }

Exit create(const CreateOptions& options, const Globals& globals) {
  Result<TopicSettings> config = parse_settings(options.config);
  if (!config) return report(config.error(), globals.output);
  if (globals.dry_run) {
    const std::string partitions = options.partitions ? partitions_text(*options.partitions) : "the broker's default of partitions";
    write_stderr(fmt::format("would create topic {} with {}\n", options.topic, partitions));
    return Exit::done;
  }
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const NewTopic topic{.name = options.topic, .partitions = options.partitions, .config = *std::move(config)};
  const Result<TopicDescription> created = client->admin().create_topic(topic);
  if (!created) return report(created.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(topic_to_json(*created, {}));  // Nobody reads it yet.
  } else {
    write_stderr(fmt::format("created topic {}: {}, {}\n", created->name, partitions_text(created->partitions), created->durability));
  }
  return Exit::done;
}

Exit list(const ListOptions& options, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<TopicDescription>> topics = client->admin().list_topics(options.internal);
  if (!topics) return report(topics.error(), globals.output);
  if (is_json(globals.output)) {
    const Result<std::vector<GroupDescription>> groups = client->groups().list();
    if (!groups) return report(groups.error(), globals.output);
    boost::json::array list;
    for (const TopicDescription& topic : *topics) list.push_back(topic_to_json(topic, *groups));
    print_json_list(list, globals.output);
    return Exit::done;
  }
  return write_stdout(topic_table(*topics, globals.output == OutputFormat::wide)) ? Exit::done : Exit::failed;
}

Exit show(const std::string& topic, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<TopicDescription> description = client->admin().describe_topic(topic);
  if (!description) return report(description.error(), globals.output);
  if (is_json(globals.output)) {
    const Result<std::vector<GroupDescription>> groups = client->groups().list();
    if (!groups) return report(groups.error(), globals.output);
    print_json(topic_details_to_json(*description, *groups));
    return Exit::done;
  }
  return write_stdout(topic_page(*description, globals.output == OutputFormat::wide)) ? Exit::done : Exit::failed;
}

Exit alter(const AlterOptions& options, const Globals& globals) {
  Result<TopicSettings> config = parse_settings(options.config);
  if (!config) return report(config.error(), globals.output);
  if (config->empty() && !options.partitions) return report_usage("nothing to alter: give KEY=VALUE or --partitions", globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  if (globals.dry_run) {
    const Result<TopicDescription> present = client->admin().describe_topic(options.topic);
    if (!present) return report(present.error(), globals.output);
    for (const auto& [key, value] : *config) {
      const auto old = present->config.find(key);
      write_stderr(fmt::format("would set {}: {} -> {}\n", key, old == present->config.end() ? "(default)" : old->second,
                               value.empty() ? "(default)" : value));
    }
    if (options.partitions) write_stderr(fmt::format("would set partitions: {} -> {}\n", present->partitions, *options.partitions));
    return Exit::done;
  }
  const TopicChange change{.config = *std::move(config), .partitions = options.partitions};
  const Result<TopicDescription> altered = client->admin().alter_topic(options.topic, change);
  if (!altered) return report(altered.error(), globals.output);
  if (is_json(globals.output)) {
    const Result<std::vector<GroupDescription>> groups = client->groups().list();
    if (!groups) return report(groups.error(), globals.output);
    print_json(topic_to_json(*altered, *groups));
  } else {
    write_stderr(fmt::format("altered topic {}\n", altered->name));
  }
  return Exit::done;
}

/// Where a trim moves the log start of one partition.
struct TrimStep {
  std::int32_t partition = 0;
  Offset from;
  Offset to;
};

Result<std::vector<TrimStep>> plan_trim(Admin& admin, const TrimOptions& options, const Position& before) {
  const Result<TopicDescription> topic = admin.describe_topic(options.topic);
  if (!topic) return topic.error();
  std::vector<TrimStep> steps;
  for (const PartitionDescription& partition : topic->partition_list) {
    if (options.partition && *options.partition != partition.partition) continue;
    const Result<FoundOffset> to = admin.find_offset(options.topic, partition.partition, before);
    if (!to) return to.error();
    steps.push_back({partition.partition, partition.log_start, std::max(partition.log_start, to->offset)});
  }
  if (steps.empty()) {
    return Error{.code = Errc::unknown_partition,
                 .detail = fmt::format("topic `{}` has {}, no partition {}", topic->name, partitions_text(topic->partitions),
                                       options.partition.value_or(0))};
  }
  return steps;
}

Exit trim(const TrimOptions& options, const Globals& globals) {
  const Result<Position> before = parse_position(options.before);
  if (!before) return report(before.error(), globals.output);
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  Admin admin = client->admin();
  const Result<std::vector<TrimStep>> steps = plan_trim(admin, options, *before);
  if (!steps) return report(steps.error(), globals.output);

  std::int64_t removed = 0;
  for (const TrimStep& step : *steps) removed += step.to - step.from;
  const std::string plan = fmt::format("remove {} records from topic {}", removed, options.topic);
  if (globals.dry_run) {
    for (const TrimStep& step : *steps) {
      write_stderr(fmt::format("would trim {}:{} from {} to {}\n", options.topic, step.partition, step.from.value, step.to.value));
    }
    return Exit::done;
  }
  if (!confirm(plan + "?", globals)) return Exit::failed;

  boost::json::array done;
  std::optional<Error> failed;
  for (const TrimStep& step : *steps) {
    const Result<Offset> start = admin.trim(options.topic, step.partition, step.to);
    if (!start) {
      failed = start.error();
      report(*failed, globals.output);
      continue;
    }
    done.push_back({{"partition", step.partition}, {"log_start", start->value}, {"removed", *start - step.from}});
  }
  const bool some_done = !done.empty();
  if (is_json(globals.output)) {
    print_json(boost::json::object{{"topic", options.topic}, {"partitions", std::move(done)}});
  } else if (!failed) {
    write_stderr(fmt::format("trimmed topic {}: {} records removed\n", options.topic, removed));
  }
  if (!failed) return Exit::done;
  return some_done ? Exit::partial : exit_code(*failed);
}

Exit remove(const RemoveOptions& options, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  Admin admin = client->admin();
  std::optional<Error> failed;
  boost::json::array removed;
  for (const std::string& name : options.topics) {
    const Result<TopicDescription> topic = admin.describe_topic(name);
    Status done = topic ? Status() : Status(topic.error());
    if (topic && globals.dry_run) {
      write_stderr(fmt::format("would remove topic {}: {} records, {}\n", name, topic->records, format_size(topic->bytes)));
      continue;
    }
    if (topic && !confirm(fmt::format("remove topic {} with {} records?", name, topic->records), globals)) return Exit::failed;
    if (topic) done = admin.delete_topic(name);
    if (!done) {
      failed = done.error();
      report(*failed, globals.output);
      continue;
    }
    removed.emplace_back(name);
    if (!is_json(globals.output)) write_stderr(fmt::format("removed topic {}\n", name));
  }
  const bool some_done = !removed.empty();
  if (is_json(globals.output) && !globals.dry_run) print_json(boost::json::object{{"removed", std::move(removed)}});
  if (!failed) return Exit::done;
  return some_done ? Exit::partial : exit_code(*failed);
}

}  // namespace

void add_topic_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const topic = root.add_subcommand("topic", "Create, look at, change and remove topics")->alias("topics");
  topic->require_subcommand(1);

  CLI::App* const create_verb = topic->add_subcommand("create", "Make a topic");
  const auto creating = std::make_shared<CreateOptions>();
  create_verb->add_option("topic", creating->topic, "Name: 1 to 249 bytes of [A-Za-z0-9._:{}/-]")->required();
  create_verb->add_option("-p,--partitions", creating->partitions, "Number of partitions; the broker's num.partitions by default");
  create_verb->add_option("-c,--config", creating->config, "Setting KEY=VALUE, such as retention.ms=7d; may be repeated")
      ->allow_extra_args(false);
  create_verb->callback([&invocation, creating] {
    invocation.action = [creating](const Globals& globals, Interrupts&) { return create(*creating, globals); };
  });

  CLI::App* const list_verb = topic->add_subcommand("ls", "List the topics")->alias("list");
  const auto listing = std::make_shared<ListOptions>();
  list_verb->add_flag("-a,--internal", listing->internal, "The broker's own topics too");
  list_verb->callback(
      [&invocation, listing] { invocation.action = [listing](const Globals& globals, Interrupts&) { return list(*listing, globals); }; });

  CLI::App* const show_verb = topic->add_subcommand("show", "A topic's settings and partitions")->alias("describe");
  const auto shown = std::make_shared<std::string>();
  show_verb->add_option("topic", *shown)->required();
  show_verb->callback(
      [&invocation, shown] { invocation.action = [shown](const Globals& globals, Interrupts&) { return show(*shown, globals); }; });

  CLI::App* const alter_verb = topic->add_subcommand("alter", "Change settings or add partitions");
  const auto altering = std::make_shared<AlterOptions>();
  alter_verb->add_option("topic", altering->topic)->required();
  alter_verb->add_option("settings", altering->config, "KEY=VALUE; an empty value goes back to the default");
  alter_verb->add_option("-p,--partitions", altering->partitions, "New number of partitions; it only grows");
  alter_verb->callback([&invocation, altering] {
    invocation.action = [altering](const Globals& globals, Interrupts&) { return alter(*altering, globals); };
  });

  CLI::App* const trim_verb = topic->add_subcommand("trim", "Remove the oldest records");
  const auto trimming = std::make_shared<TrimOptions>();
  trim_verb->add_option("topic", trimming->topic)->required();
  trim_verb->add_option("--before", trimming->before, "Position of the first record to keep: 1000, -5, -7d, @2026-03-01T10:00, latest")
      ->required()
      ->type_name("POS");
  trim_verb->add_option("--partition", trimming->partition, "Only this partition");
  trim_verb->callback([&invocation, trimming] {
    invocation.action = [trimming](const Globals& globals, Interrupts&) { return trim(*trimming, globals); };
  });

  CLI::App* const remove_verb = topic->add_subcommand("rm", "Remove topics and their records")->alias("delete");
  const auto removing = std::make_shared<RemoveOptions>();
  remove_verb->add_option("topics", removing->topics)->required();
  remove_verb->callback([&invocation, removing] {
    invocation.action = [removing](const Globals& globals, Interrupts&) { return remove(*removing, globals); };
  });
}

}  // namespace tidemark::tools
