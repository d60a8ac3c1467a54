#include "protocol/http/event_page.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <tuple>

#include <boost/json/serialize.hpp>

#include "protocol/http/ask.h"
#include "protocol/http/group_json.h"
#include "protocol/http/json_text.h"
#include "protocol/http/status_json.h"

namespace tidemark::http {
namespace {

namespace json = boost::json;

constexpr std::size_t kGroupsMax = 1'000;

/// The worst first.
std::vector<broker::LagSummary> sorted_groups(const std::vector<broker::LagRow>& rows) {
  std::vector<broker::LagSummary> groups = broker::summarize(rows);
  std::ranges::sort(groups, std::greater(), [](const broker::LagSummary& group) {
    return std::tuple(broker::severity(group.verdict), group.lag_time.value_or(std::chrono::milliseconds(0)),
                      std::string_view(group.group));
  });
  if (groups.size() > kGroupsMax) groups.resize(kGroupsMax);
  return groups;
}

json::array lag_event(const std::vector<broker::LagSummary>& groups) {
  json::array list;
  for (const broker::LagSummary& group : groups) list.push_back(summary_value(group));
  return list;
}

/// Told when verdict or lag change: what else there is changes with every look.
Event group_event(const broker::LagSummary& group) {
  json::object identity;
  put_name(identity, "group", group.group);
  identity["kind"] = broker::to_string(group.kind);
  identity["topic"] = nullptr;
  if (group.kind == broker::GroupKind::queue) identity["topic"] = shown(group.topic);
  Event event{.name = "group", .data = json::serialize(summary_value(group)), .key = json::serialize(identity)};
  event.version = std::string(broker::to_string(group.verdict)) + (group.lag ? " " + std::to_string(*group.lag) : "");
  identity["verdict"] = nullptr;
  event.gone = json::serialize(identity);
  return event;
}

}  // namespace

void make_events(const std::shared_ptr<BrokerLink>& link, UniqueFunction<void(Reply)> done) {
  BrokerLink::Engine engine = link->engine();
  if (engine.broker == nullptr) return done({.status = 503, .body = engine.absent_reason});
  broker::Shard& shard = engine.runtime->shard(0);
  const Ask ask(link, std::move(engine), {}, std::move(done));
  shard.post([ask] {
    ask.lag().rows(ask.context(), std::nullopt, ask.then<std::vector<broker::LagRow>>([](const Ask& again, auto rows) {
      again.broker().status(again.context(), again.then<broker::BrokerStatus>([rows = std::move(rows)](const Ask& asked, auto status) {
        const auto topics = asked.broker().topics();
        const json::object table = {{"topics", topics->by_name.size()}, {"revision", topics->revision}};
        asked.runtime().disk_pool().post([asked, rows, status = std::move(status), table] {
          Reply reply;
          reply.events.push_back({"status", json::serialize(status_value(status, asked.facts(), worst_of(rows)))});
          const std::vector<broker::LagSummary> groups = sorted_groups(rows);
          reply.events.push_back({"lag", json::serialize(lag_event(groups))});
          for (const broker::LagSummary& group : groups) reply.events.push_back(group_event(group));
          reply.events.push_back({"topic", json::serialize(table)});
          asked.answer(std::move(reply));
        });
      }));
    }));
  });
}

}  // namespace tidemark::http
