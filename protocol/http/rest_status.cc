#include "broker/groups/groups.h"
#include "protocol/http/ask.h"
#include "protocol/http/json_text.h"
#include "protocol/http/status_json.h"

/// The broker at a glance, its health, its settings.
namespace tidemark::http {

namespace json = boost::json;

namespace {

json::object connections_value(const ServerFacts& facts) {
  json::object object;
  if (facts.connections) {
    for (const auto& [listener, count] : facts.connections()) object[listener] = count;
  }
  return object;
}

}  // namespace

broker::Verdict worst_of(const std::vector<broker::LagRow>& rows) {
  auto worst = broker::Verdict::ok;
  for (const broker::LagRow& row : rows) {
    if (broker::severity(row.at.verdict) > broker::severity(worst)) worst = row.at.verdict;
  }
  return worst;
}

json::object status_value(const broker::BrokerStatus& status, const ServerFacts& facts, broker::Verdict worst) {
  json::object object;
  object["version"] = facts.version;
  object["data_dir"] = shown(status.data_directory);
  object["cluster_id"] = status.cluster_id.to_string();
  object["uptime_seconds"] = seconds_value(status.uptime);
  object["flush_ms_p50"] = status.flush.p50_ms;
  object["flush_ms_p99"] = status.flush.p99_ms;
  object["topics"] = status.topics;
  object["partitions"] = status.partitions;
  object["groups"] = status.groups;
  object["connections"] = connections_value(facts);
  object["disk_free_bytes"] = status.disk_free_bytes;
  object["disk_total_bytes"] = status.disk_total_bytes;
  object["memory_used_bytes"] = status.memory_used_bytes;
  object["memory_limit_bytes"] = status.memory_limit_bytes;
  object["read_only"] = status.read_only_reason.has_value();
  object["read_only_reason"] = shown(status.read_only_reason.value_or(""));
  object["worst_verdict"] = broker::to_string(worst);
  object["clean_start"] = status.clean_start;
  object["recovery_seconds"] = seconds_value(status.recovery_duration);
  object["recovery_scanned_bytes"] = status.recovery_scanned_bytes;
  return object;
}

namespace {

void show_status(const Ask& ask) {
  ask.lag().rows(ask.context(), std::nullopt, ask.then<std::vector<broker::LagRow>>([](const Ask& again, const auto& rows) {
    again.broker().status(again.context(), again.then<broker::BrokerStatus>([worst = worst_of(rows)](const Ask& asked, auto status) {
      asked.reply([status = std::move(status), worst, asked] { return json::value(status_value(status, asked.facts(), worst)); });
    }));
  }));
}

void show_doctor(const Ask& ask) {
  if (!ask.facts().doctor) return ask.refuse(Error{Errc::not_found, "this server has no doctor"});
  // The checks touch the disk; the reply is made where that is allowed.
  ask.reply([ask] {
    json::array list;
    for (const ServerFacts::Check& check : ask.facts().doctor()) {
      list.push_back({{"check", check.check}, {"result", check.result}, {"value", shown(check.value)}, {"advice", shown(check.advice)}});
    }
    return json::value(std::move(list));
  });
}

void show_config(const Ask& ask) {
  ask.reply([ask] {
    json::array list;
    if (!ask.facts().settings) return json::value(std::move(list));
    for (const ServerFacts::Setting& setting : ask.facts().settings()) {
      list.push_back({{"key", setting.key},
                      {"value", shown(setting.value)},
                      {"source", shown(setting.source)},
                      {"default", shown(setting.default_value)},
                      {"help", setting.help}});
    }
    return json::value(std::move(list));
  });
}

}  // namespace

void add_status_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/status", show_status);
  add_route(router, link, "GET", "/api/v1/doctor", show_doctor);
  add_route(router, link, "GET", "/api/v1/config", show_config);
}

}  // namespace tidemark::http
