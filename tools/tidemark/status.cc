#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/queue_view.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

boost::json::object status_to_json(const BrokerStatus& status, const std::string& verdict) {
  boost::json::object connections;
  for (const auto& [listener, count] : status.connections) connections[listener] = count;
  boost::json::object object;
  object["version"] = status.version;
  object["data_dir"] = printable_text(status.data_dir);
  object["cluster_id"] = status.cluster_id;
  object["uptime_seconds"] = status.uptime_seconds;
  object["flush_ms_p50"] = status.flush_ms_p50;
  object["flush_ms_p99"] = status.flush_ms_p99;
  object["topics"] = status.topics;
  object["partitions"] = status.partitions;
  object["groups"] = status.groups;
  object["connections"] = std::move(connections);
  object["disk_free_bytes"] = status.disk_free_bytes;
  object["disk_total_bytes"] = status.disk_total_bytes;
  object["memory_used_bytes"] = status.memory_used_bytes;
  object["memory_limit_bytes"] = status.memory_limit_bytes;
  object["read_only"] = !status.read_only.empty();
  object["read_only_reason"] = printable_text(status.read_only);
  object["worst_verdict"] = verdict;
  object["clean_start"] = status.clean_start;
  object["recovery_seconds"] = status.recovery_seconds;
  object["recovery_scanned_bytes"] = status.recovery_scanned_bytes;
  return object;
}

std::string status_page(const BrokerStatus& status, const std::string& verdict, const std::string& server) {
  std::string connections;
  for (const auto& [listener, count] : status.connections) {
    connections += fmt::format("{}{} {}", connections.empty() ? "" : ", ", printable_text(listener), count);
  }
  std::string page = fmt::format("tidemark {} at {}, up {}\n", status.version, server, format_uptime(status.uptime_seconds));
  page += fmt::format("data         {} ({} of {} free)\n", printable_text(status.data_dir), format_size(status.disk_free_bytes),
                      format_size(status.disk_total_bytes));
  page += fmt::format("start        {}, {:.3f} s, {} scanned\n", status.clean_start ? "clean" : "after a crash", status.recovery_seconds,
                      format_size(status.recovery_scanned_bytes));
  page += fmt::format("flush        p50 {:.2f} ms, p99 {:.2f} ms\n", status.flush_ms_p50, status.flush_ms_p99);
  page += fmt::format("topics       {}, {} partitions\n", status.topics, status.partitions);
  page += fmt::format("groups       {}, the worst is {}\n", status.groups, verdict);
  page += fmt::format("connections  {}\n", connections.empty() ? "none" : connections);
  page += fmt::format("memory       {} of {}\n", format_size(status.memory_used_bytes), format_size(status.memory_limit_bytes));
  page += fmt::format("appends      {}\n", status.read_only.empty() ? "taken" : "refused: " + printable_text(status.read_only));
  return page;
}

struct Health {
  BrokerStatus status;
  std::vector<GroupDescription> groups;  ///< Of both kinds.
};

Result<Health> ask_health(const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return client.error();
  Result<BrokerStatus> status = client->admin().status();
  if (!status) return status.error();
  Result<std::vector<GroupDescription>> groups = client->groups().list();
  if (!groups) return groups.error();
  const Result<std::vector<QueueDescription>> queues = client->queues().list();
  if (!queues) return queues.error();
  std::erase_if(*groups, [](const GroupDescription& group) { return group.kind == "queue"; });
  for (const QueueDescription& queue : *queues) groups->push_back(as_group(queue));
  return Health{*std::move(status), *std::move(groups)};
}

/// As a monitoring plugin: one line, and 0, 1, 2 or 3.
Exit check_status(const Globals& globals) {
  static constexpr std::string_view kNames[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  constexpr int kUnknown = 3;
  constexpr double kDiskFreeMin = 0.1;
  int code = 0;
  std::string text;
  boost::json::object object;
  if (const Result<Health> health = ask_health(globals); !health) {
    code = kUnknown;
    text = printable_text(health.error().detail);
  } else {
    const BrokerStatus& status = health->status;
    std::string troubles;
    const auto trouble = [&](int how_bad, const std::string& what) {
      code = std::max(code, how_bad);
      troubles += (troubles.empty() ? "" : ", ") + what;
    };
    if (!status.read_only.empty()) trouble(2, "appends are refused: " + printable_text(status.read_only));
    if (static_cast<double>(status.disk_free_bytes) < kDiskFreeMin * static_cast<double>(status.disk_total_bytes)) {
      trouble(1, "the disk is nearly full");
    }
    for (const GroupDescription& group : health->groups) {
      if (severity(group.verdict) > 0) trouble(severity(group.verdict), printable_text(group.name) + " " + group.verdict);
    }
    text = fmt::format("{}{} groups, flush p99 {:.1f} ms, {} free", troubles.empty() ? "" : troubles + "; ", health->groups.size(),
                       status.flush_ms_p99, format_size(status.disk_free_bytes));
    object = status_to_json(status, worst_verdict(health->groups));
  }
  if (is_json(globals.output)) {
    object["result"] = kNames[code];
    object["message"] = text;
    print_json(object);
  } else if (!write_stdout(fmt::format("{}: {}\n", kNames[code], text))) {
    return static_cast<Exit>(kUnknown);
  }
  return static_cast<Exit>(code);
}

Exit show_status(const Globals& globals) {
  const Result<Health> health = ask_health(globals);
  if (!health) return report(health.error(), globals.output);
  const BrokerStatus* const status = &health->status;
  const std::string verdict = worst_verdict(health->groups);
  if (is_json(globals.output)) {
    print_json(status_to_json(*status, verdict));
    return Exit::done;
  }
  return write_stdout(status_page(*status, verdict, globals.server)) ? Exit::done : Exit::failed;
}

/// What only this side can see: whether client and broker are of one version.
DoctorCheck check_version(const std::string& broker_version) {
  const bool same = broker_version == TIDEMARK_VERSION;
  return {.check = "client version",
          .result = same ? "ok" : "warn",
          .value = fmt::format("{} here, {} at the broker", TIDEMARK_VERSION, broker_version),
          .advice = same ? "" : "use a command line of the broker's version"};
}

Exit run_doctor(const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  Admin admin = client->admin();
  Result<std::vector<DoctorCheck>> checks = admin.doctor();
  if (!checks) return report(checks.error(), globals.output);
  const Result<BrokerStatus> status = admin.status();
  if (!status) return report(status.error(), globals.output);
  checks->push_back(check_version(status->version));

  bool failed = false;
  boost::json::array list;
  Table table({{"CHECK"}, {"RESULT"}, {"VALUE"}, {"ADVICE"}});
  for (const DoctorCheck& check : *checks) {
    failed |= check.result == "fail";
    list.push_back({{"check", printable_text(check.check)},
                    {"result", check.result},
                    {"value", printable_text(check.value)},
                    {"advice", printable_text(check.advice)}});
    table.add({check.check, check.result, check.value, check.advice});
  }
  if (is_json(globals.output)) {
    print_json_list(list, globals.output);
  } else if (!write_stdout(table.to_string())) {
    return Exit::failed;
  }
  return failed ? Exit::failed : Exit::done;
}

Exit show_version(const Globals& globals) {
  if (is_json(globals.output)) {
    print_json(boost::json::object{{"version", TIDEMARK_VERSION}});
    return Exit::done;
  }
  return write_stdout(fmt::format("tidemark {}\n", TIDEMARK_VERSION)) ? Exit::done : Exit::failed;
}

}  // namespace

void add_status_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const status = root.add_subcommand("status", "The broker at a glance");
  const auto check = std::make_shared<bool>(false);
  status->add_flag("--check", *check, "For monitoring: one line; exit 0 fine, 1 warning, 2 critical, 3 unknown");
  status->callback([&invocation, check] {
    invocation.action = [check](const Globals& globals, Interrupts&) { return *check ? check_status(globals) : show_status(globals); };
  });
  root.add_subcommand("doctor", "Check disk, limits and settings of the broker; say what to change; exit 1 if a check fails")
      ->callback([&invocation] { invocation.action = [](const Globals& globals, Interrupts&) { return run_doctor(globals); }; });
  root.add_subcommand("version", "Version of this program")->callback([&invocation] {
    invocation.action = [](const Globals& globals, Interrupts&) { return show_version(globals); };
  });
}

}  // namespace tidemark::tools
