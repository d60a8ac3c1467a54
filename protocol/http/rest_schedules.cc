#include "broker/schedule/schedule.h"
#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/json_text.h"

/// Records that wait for their time: list them, cancel one. They are made by producing with a delay.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using broker::ScheduledInfo;
using broker::SchedulePage;
using broker::ScheduleStatus;

json::object scheduled_value(const ScheduledInfo& info) {
  json::object object;
  object["id"] = info.id.to_string();
  object["topic"] = shown(info.topic);
  object["partition"] = or_null(info.partition);
  put_time(object, "due", info.due);
  object["state"] = broker::to_string(info.state);
  object["reason"] = nullptr;
  if (!info.reason.empty()) object["reason"] = shown(info.reason);
  return object;
}

json::object page_value(const SchedulePage& page, const ScheduleStatus& status) {
  json::array records;
  for (const ScheduledInfo& info : page.records) {
    json::object record = scheduled_value(info);
    std::optional<std::string_view> key;
    record["bytes"] = nullptr;
    if (info.content) {
      if (info.content->key) key = *info.content->key;
      record["bytes"] = info.content->bytes;
    }
    put_bytes(record, "key", key);
    records.push_back(std::move(record));
  }
  json::object object;
  object["records"] = std::move(records);
  object["next"] = nullptr;
  if (!page.next.empty()) object["next"] = page.next;
  object["waiting"] = status.waiting;
  object["failed"] = status.failed;
  return object;
}

void list_schedules(const Ask& ask) {
  if (const Status known = query_has_only(ask.call(), {"topic", "page", "limit"}); !known) return ask.refuse(known.error());
  const Result<std::int64_t> limit =
      query_integer(ask.call(), "limit", 1, static_cast<std::int64_t>(broker::ScheduleQuery::kContentPageMax), 100);
  if (!limit) return ask.refuse(limit.error());
  broker::ScheduleQuery query;
  query.topic = ask.query("topic").value_or("");
  query.page = ask.query("page").value_or("");
  query.limit = static_cast<std::size_t>(*limit);
  query.with_content = true;
  ask.broker().schedule().list(ask.context(), std::move(query), ask.then<SchedulePage>([](const Ask& again, SchedulePage page) {
    again.broker().schedule().status(
        again.context(), again.then<ScheduleStatus>([page = std::move(page)](const Ask& asked, ScheduleStatus status) mutable {
          asked.reply([page = std::move(page), status = std::move(status)] { return json::value(page_value(page, status)); });
        }));
  }));
}

void cancel_scheduled(const Ask& ask) {
  const auto id = broker::ScheduledId::parse(ask.path_value(0));
  if (!id) return ask.refuse(Error{Errc::not_found, "'" + ask.path_value(0) + "' is no id of a scheduled record, such as 3-1042"});
  ask.broker().schedule().cancel(ask.context(), *id, ask.then<ScheduledInfo>([](const Ask& again, ScheduledInfo info) {
    again.reply([info = std::move(info)] { return json::value(scheduled_value(info)); });
  }));
}

}  // namespace

void add_schedule_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/schedules", list_schedules);
  add_route(router, link, "DELETE", "/api/v1/schedules/{id}", cancel_scheduled);
}

}  // namespace tidemark::http
