#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/tidemark/options.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

constexpr std::uint32_t kPage = 1000;

struct ListOptions {
  std::string topic;
  std::optional<std::uint64_t> limit;
};

boost::json::object to_json(const ScheduledRecord& record) {
  boost::json::object object;
  object["id"] = record.id;
  object["topic"] = printable_text(record.topic);
  object["partition"] = nullptr;
  if (record.partition) object["partition"] = *record.partition;
  object["due_time"] = format_time(record.due);
  object["due_ms"] = record.due.time_since_epoch().count();
  object["state"] = record.state;
  object["reason"] = nullptr;
  if (!record.reason.empty()) object["reason"] = printable_text(record.reason);
  return object;
}

std::string time_left(const ScheduledRecord& record) {
  const auto left = record.due - now();
  return left.count() <= 0 ? std::string("due") : format_uptime(std::chrono::duration<double>(left).count());
}

std::string to_table(const std::vector<ScheduledRecord>& records) {
  Table table({{"ID"}, {"TOPIC"}, {"PARTITION", true}, {"DUE"}, {"IN", true}, {"STATE"}, {"REASON"}});
  for (const ScheduledRecord& record : records) {
    table.add({record.id, record.topic, record.partition ? std::to_string(*record.partition) : "by key", format_time(record.due),
               time_left(record), record.state, record.reason});
  }
  return table.to_string();
}

Exit list(const ListOptions& options, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  std::vector<ScheduledRecord> records;
  std::string page;
  bool more = true;
  while (more) {
    Result<ScheduledPage> found = client->admin().list_scheduled(options.topic, page, kPage);
    if (!found) return report(found.error(), globals.output);
    for (ScheduledRecord& record : found->records) {
      if (!options.limit || records.size() < *options.limit) records.push_back(std::move(record));
    }
    page = found->next;
    more = !page.empty() && (!options.limit || records.size() < *options.limit);
  }
  if (is_json(globals.output)) {
    boost::json::array list;
    for (const ScheduledRecord& record : records) list.push_back(to_json(record));
    print_json_list(list, globals.output);
    return Exit::done;
  }
  return write_stdout(to_table(records)) ? Exit::done : Exit::failed;
}

Exit cancel(const std::string& id, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  if (globals.dry_run) {
    write_stderr(fmt::format("would cancel {}\n", printable_text(id)));
    return Exit::done;
  }
  const Result<ScheduledRecord> record = client->admin().cancel_scheduled(id);
  if (!record) return report(record.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(to_json(*record));
  } else {
    write_stderr(fmt::format("cancelled {}: it was due at {} for topic {}\n", record->id, format_time(record->due), record->topic));
  }
  return Exit::done;
}

}  // namespace

void add_schedule_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const noun = root.add_subcommand("schedule", "Records that wait for their time (produce --delay, --at)");
  noun->require_subcommand(1);

  CLI::App* const list_verb = noun->add_subcommand("ls", "List them by due time")->alias("list");
  const auto options = std::make_shared<ListOptions>();
  list_verb->add_option("--topic", options->topic, "Only those for this topic")->type_name("TOPIC");
  list_verb->add_option("-n", options->limit, "At most so many");
  list_verb->callback(
      [&invocation, options] { invocation.action = [options](const Globals& globals, Interrupts&) { return list(*options, globals); }; });

  CLI::App* const cancel_verb = noun->add_subcommand("cancel", "Do not deliver a record; also removes one that has failed");
  const auto id = std::make_shared<std::string>();
  cancel_verb->add_option("id", *id, "Its id, such as 3-1042")->required();
  cancel_verb->callback(
      [&invocation, id] { invocation.action = [id](const Globals& globals, Interrupts&) { return cancel(*id, globals); }; });
}

}  // namespace tidemark::tools
