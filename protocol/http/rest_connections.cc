#include <charconv>

#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/json_text.h"

/// Connections of all listeners: list them, end one.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using net::ConnectionTable;

constexpr std::int64_t kLimitMax = 1'000;

json::object connection_value(const ConnectionTable::Row& row) {
  json::object object;
  object["id"] = row.id;
  object["listener"] = row.listener;
  object["peer"] = row.peer;
  object["client_id"] = nullptr;
  if (!row.client_id.empty()) put_name(object, "client_id", row.client_id);
  put_time(object, "opened", row.opened);
  return object;
}

void list_connections(const Ask& ask) {
  if (const Status known = query_has_only(ask.call(), {"listener", "after", "limit"}); !known) return ask.refuse(known.error());
  const Result<std::int64_t> after = query_integer(ask.call(), "after", 0, INT64_MAX, 0);
  if (!after) return ask.refuse(after.error());
  const Result<std::int64_t> limit = query_integer(ask.call(), "limit", 1, kLimitMax, kLimitMax);
  if (!limit) return ask.refuse(limit.error());
  ask.reply([ask, after = static_cast<std::uint64_t>(*after), limit = static_cast<std::size_t>(*limit)] {
    json::array list;
    for (const ConnectionTable::Row& row : ask.facts().connection_table->list(ask.query("listener").value_or(""), after, limit)) {
      list.push_back(connection_value(row));
    }
    return json::value(std::move(list));
  });
}

void end_connection(const Ask& ask) {
  const std::string& text = ask.path_value(0);
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return ask.refuse(Error{Errc::not_found, "no connection '" + text + "'"});
  if (const Status ended = ask.facts().connection_table->end(id); !ended) return ask.refuse(ended.error());
  ask.reply_empty();
}

}  // namespace

void add_connection_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/connections", list_connections);
  add_route(router, link, "DELETE", "/api/v1/connections/{id}", end_connection);
}

}  // namespace tidemark::http
