#include <algorithm>

#include "broker/queues/queues.h"
#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/group_target.h"
#include "protocol/http/json_text.h"
#include "storage/base/time_text.h"

/// What an operator does with work queues: pending records, settling, releasing, pausing, purging; and dead letters.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using broker::QueueAction;
using broker::QueueName;

constexpr std::int32_t kPartitionMax = 9'999;
constexpr std::int64_t kLettersMax = 1'000;

std::string text_of(const ByteVector& bytes) { return to_string(ByteView(bytes)); }

json::object pending_value(const std::string& topic, const broker::PendingRow& row) {
  json::object object;
  object["topic"] = shown(topic);
  object["partition"] = row.partition;
  object["offset"] = row.offset.value;
  object["id"] = topic + ":" + std::to_string(row.partition) + ":" + std::to_string(row.offset.value);
  object["member"] = nullptr;
  if (!row.member.empty()) put_name(object, "member", row.member);
  object["idle_ms"] = nullptr;
  if (row.idle) object["idle_ms"] = row.idle->count();
  object["deliveries"] = row.deliveries;
  object["failures"] = row.failures;
  object["due_time"] = nullptr;
  if (row.due) object["due_time"] = time_text(*row.due);
  object["state"] = broker::to_string(row.state);
  object["reason"] = shown(row.reason);
  return object;
}

void show_pending(const Ask& ask) {
  broker::PendingQuery query;
  const Result<std::int64_t> older = query_integer(ask.call(), "older_ms", 0, INT64_MAX, 0);
  const Result<std::int64_t> limit = query_integer(ask.call(), "limit", 1, broker::kPendingRowsMax, 1000);
  const Result<std::int64_t> partition = query_integer(ask.call(), "partition", 0, kPartitionMax, -1);
  for (const Result<std::int64_t>* const number : {&older, &limit, &partition}) {
    if (!*number) return ask.refuse(number->error());
  }
  query.older = std::chrono::milliseconds(*older);
  query.max = static_cast<std::size_t>(*limit);
  if (*partition >= 0) query.partition = static_cast<std::int32_t>(*partition);
  query.member = ask.query("member");
  with_group(ask, {.stream = {}, .queue = [query](const Ask& again, const QueueName& name) {
                     broker::PendingQuery there = query;
                     there.name = name;
                     again.broker().queues().pending(
                         again.context(), std::move(there),
                         again.then<std::vector<broker::PendingRow>>([topic = name.topic](const Ask& asked, auto rows) {
                           asked.reply([topic, rows = std::move(rows)] {
                             json::array list;
                             for (const broker::PendingRow& row : rows) list.push_back(pending_value(topic, row));
                             return json::value(std::move(list));
                           });
                         }));
                   }});
}

// --- Settling.

std::optional<broker::Settlement::Kind> settlement_kind(std::string_view text) {
  using Kind = broker::Settlement::Kind;
  if (text == "ack") return Kind::ack;
  if (text == "retry") return Kind::retry;
  if (text == "release") return Kind::release;
  if (text == "reject") return Kind::reject;
  return std::nullopt;
}

json::object settled_value(const broker::SettleReply& reply) {
  json::array failures;
  for (const broker::SettleReply::Failure& failure : reply.failures) {
    failures.push_back({{"partition", failure.partition},
                        {"offset", failure.offset.value},
                        {"code", to_string(failure.error.code)},
                        {"message", shown(failure.error.detail)}});
  }
  return {{"settled", reply.settled}, {"failures", std::move(failures)}};
}

void settle(const Ask& ask) {
  Body body(ask.call());
  std::optional<std::string> member = body.bytes("member");
  std::vector<broker::Settlement> settlements;
  for (Body& entry : body.list("settlements", 10'000)) {
    broker::Settlement settlement;
    settlement.partition = static_cast<std::int32_t>(entry.integer_or("partition", 0, kPartitionMax, 0));
    const std::int64_t first = entry.integer_or("offset", 0, INT64_MAX - 1, 0);
    const std::int64_t count = entry.integer_or("count", 1, static_cast<std::int64_t>(broker::kSettlementsMax), 1);
    settlement.offsets = {Offset{first}, count};
    settlement.deliveries = static_cast<std::uint32_t>(entry.integer_or("deliveries", 0, UINT32_MAX, 0));
    const auto kind = settlement_kind(entry.text_or("kind", "ack"));
    if (!kind) entry.wrong("kind", "ack, retry, release or reject");
    settlement.kind = kind.value_or(broker::Settlement::Kind::ack);
    settlement.delay = entry.duration("delay");
    settlement.reason = entry.text_or("reason", "");
    body.adopt(entry);
    settlements.push_back(std::move(settlement));
  }
  if (settlements.empty()) body.wrong("settlements", "a list of at least one record");
  if (body.problem()) return ask.refuse(*body.problem());
  with_group(ask, {.stream = {}, .queue = [member, settlements](const Ask& again, const QueueName& name) {
                     again.broker().queues().settle(again.context(), name, member, settlements,
                                                    again.then<broker::SettleReply>([](const Ask& asked, broker::SettleReply reply) {
                                                      asked.reply([reply = std::move(reply)] { return json::value(settled_value(reply)); });
                                                    }));
                   }});
}

/// release, kick, purge: what is chosen, and whether it is to be done or only counted.
void act(const Ask& ask, QueueAction::Kind kind) {
  Body body(ask.call());
  QueueAction action;
  action.kind = kind;
  action.execute = body.flag_or("execute", false);
  if (kind == QueueAction::Kind::release) {
    action.member = body.bytes("member");
    action.older = body.duration("older").value_or(std::chrono::milliseconds(0));
  }
  if (kind == QueueAction::Kind::kick) action.match = body.text_or("match", "");
  if (kind != QueueAction::Kind::purge) {
    for (Body& entry : body.list("records", 10'000)) {
      action.offsets.emplace_back(static_cast<std::int32_t>(entry.integer_or("partition", 0, kPartitionMax, 0)),
                                  Offset{entry.integer_or("offset", 0, INT64_MAX, 0)});
      body.adopt(entry);
    }
  }
  if (body.problem()) return ask.refuse(*body.problem());
  with_group(ask, {.stream = {}, .queue = [action](const Ask& again, const QueueName& name) {
                     QueueAction there = action;
                     there.name = name;
                     again.broker().queues().act(
                         again.context(), std::move(there),
                         again.then<broker::QueueActionReply>([execute = action.execute](const Ask& asked, auto reply) {
                           asked.reply([reply, execute] { return json::value({{"records", reply.records}, {"executed", execute}}); });
                         }));
                   }});
}

void release(const Ask& ask) { act(ask, QueueAction::Kind::release); }
void kick(const Ask& ask) { act(ask, QueueAction::Kind::kick); }
void purge(const Ask& ask) { act(ask, QueueAction::Kind::purge); }

void alter(const Ask& ask, const std::map<std::string, std::string>& settings) {
  with_group(ask, {.stream = {}, .queue = [settings](const Ask& again, const QueueName& name) {
                     again.broker().queues().alter(again.context(), name, settings,
                                                   again.then<broker::QueueInfo>([](const Ask& asked, const broker::QueueInfo& queue) {
                                                     asked.reply([name = queue.name, settings = queue.effective] {
                                                       json::object object;
                                                       put_name(object, "group", name.group);
                                                       object["topic"] = shown(name.topic);
                                                       object["paused"] = settings.paused;
                                                       object["paused_until"] = nullptr;
                                                       if (settings.paused && settings.paused_until)
                                                         object["paused_until"] = time_text(*settings.paused_until);
                                                       return json::value(std::move(object));
                                                     });
                                                   }));
                   }});
}

void pause(const Ask& ask) {
  Body body(ask.call());
  const std::string until = body.text_or("until", "forever");
  std::string setting = until;
  if (until != "forever") {
    // Also "30m": from now.
    const Timestamp now = ask.runtime().clock().now();
    const Result<std::chrono::milliseconds> span = parse_span(until);
    const Result<Timestamp> time = span ? Result<Timestamp>(now + *span) : parse_time(until, now);
    if (time) {
      setting = time_text(*time);
    } else {
      body.wrong("until", "forever, a duration such as \"30m\", or a time such as \"2026-03-01T10:00Z\"");
    }
  }
  if (body.problem()) return ask.refuse(*body.problem());
  alter(ask, {{"paused.until", setting}});
}

void resume(const Ask& ask) {
  Body body(ask.call());
  if (body.problem()) return ask.refuse(*body.problem());
  alter(ask, {{"paused.until", ""}});
}

// --- Dead letters.

json::object summary_value(const broker::DeadLetterSummary& summary) {
  json::object object;
  put_name(object, "group", summary.name.group);
  object["source"] = shown(summary.name.topic);
  object["topic"] = shown(summary.topic);
  object["letters"] = summary.letters;
  put_time(object, "oldest", summary.oldest);
  put_time(object, "newest", summary.newest);
  json::array reasons;
  for (const auto& [reason, letters] : summary.reasons) reasons.push_back({{"reason", shown(reason)}, {"letters", letters}});
  object["reasons"] = std::move(reasons);
  return object;
}

json::object letter_value(const broker::DeadLetter& letter) {
  json::object object;
  object["topic"] = shown(letter.topic);
  object["partition"] = letter.partition;
  object["offset"] = letter.offset.value;
  put_name(object, "group", letter.from.group);
  object["source"] = {{"topic", shown(letter.from.topic)}, {"partition", letter.from_partition}, {"offset", letter.from_offset.value}};
  object["reason"] = shown(letter.reason);
  object["deliveries"] = letter.deliveries;
  object["failures"] = letter.failures;
  object["member"] = nullptr;
  if (!letter.member.empty()) put_name(object, "member", letter.member);
  put_time(object, "died", letter.died);
  object["timestamp_ms"] = letter.timestamp_ms;
  const auto put = [&object](std::string_view name, const std::optional<ByteVector>& bytes) {
    if (!bytes) return put_bytes(object, name, std::nullopt);
    put_bytes(object, name, text_of(*bytes));
  };
  put("key", letter.key);
  put("value", letter.value);
  json::array headers;
  for (const auto& [name, value] : letter.headers) {
    json::object header;
    put_bytes(header, "name", name);
    if (value) {
      put_bytes(header, "value", text_of(*value));
    } else {
      header["value"] = nullptr;
    }
    headers.push_back(std::move(header));
  }
  object["headers"] = std::move(headers);
  return object;
}

void list_dead_letters(const Ask& ask) {
  ask.broker().queues().dead_letters(ask.context(), std::nullopt,
                                     ask.then<std::vector<broker::DeadLetterSummary>>([](const Ask& again, auto all) {
                                       again.reply([all = std::move(all)] {
                                         json::array list;
                                         for (const broker::DeadLetterSummary& summary : all) list.push_back(summary_value(summary));
                                         return json::value(std::move(list));
                                       });
                                     }));
}

void show_dead_letters(const Ask& ask) {
  const Result<std::int64_t> limit = query_integer(ask.call(), "limit", 1, kLettersMax, 20);
  if (!limit) return ask.refuse(limit.error());
  ask.broker().queues().show_dead_letters(ask.context(), ask.path_value(0), static_cast<std::size_t>(*limit),
                                          ask.then<std::vector<broker::DeadLetter>>([](const Ask& again, auto letters) {
                                            again.reply([letters = std::move(letters)] {
                                              json::array list;
                                              for (const broker::DeadLetter& letter : letters) list.push_back(letter_value(letter));
                                              return json::value(std::move(list));
                                            });
                                          }));
}

void redrive(const Ask& ask) {
  Body body(ask.call());
  broker::RedriveRequest request;
  request.group = ask.path_value(0);
  const std::string topic = body.text_or("topic", ""), to = body.text_or("to", "");
  if (!topic.empty()) request.topic = topic;
  if (!to.empty()) request.to = to;
  request.match = body.text_or("match", "");
  request.max = static_cast<std::size_t>(body.integer_or("max", 0, INT32_MAX, 0));
  request.records_per_second = body.number("rate").value_or(0);
  const bool execute = body.flag_or("execute", false);
  request.dry_run = !execute;
  if (body.problem()) return ask.refuse(*body.problem());
  ask.broker().queues().redrive(ask.context(), std::move(request), ask.then<broker::RedriveReply>([execute](const Ask& again, auto reply) {
    again.reply([reply, execute] {
      return json::value({{"matched", reply.matched},
                          {"redriven", reply.redriven},
                          {"gone", reply.gone},
                          {"skipped", reply.skipped},
                          {"executed", execute}});
    });
  }));
}

/// Without `execute` it says how many there are.
void purge_dead_letters(const Ask& ask) {
  Body body(ask.call());
  const bool execute = body.flag_or("execute", false);
  if (body.problem()) return ask.refuse(*body.problem());
  if (execute) {
    return ask.broker().queues().purge_dead_letters(
        ask.context(), ask.path_value(0), ask.then<std::uint64_t>([](const Ask& again, std::uint64_t letters) {
          again.reply([letters] { return json::value({{"letters", letters}, {"executed", true}}); });
        }));
  }
  ask.broker().queues().dead_letters(ask.context(), ask.path_value(0),
                                     ask.then<std::vector<broker::DeadLetterSummary>>([](const Ask& again, const auto& all) {
                                       std::uint64_t letters = 0;
                                       for (const broker::DeadLetterSummary& summary : all) letters += summary.letters;
                                       again.reply([letters] { return json::value({{"letters", letters}, {"executed", false}}); });
                                     }));
}

}  // namespace

void add_queue_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/groups/{group}/pending", show_pending);
  add_route(router, link, "POST", "/api/v1/groups/{group}/settle", settle);
  add_route(router, link, "POST", "/api/v1/groups/{group}/release", release);
  add_route(router, link, "POST", "/api/v1/groups/{group}/kick", kick);
  add_route(router, link, "POST", "/api/v1/groups/{group}/purge", purge);
  add_route(router, link, "POST", "/api/v1/groups/{group}/pause", pause);
  add_route(router, link, "POST", "/api/v1/groups/{group}/resume", resume);
  add_route(router, link, "GET", "/api/v1/dlq", list_dead_letters);
  add_route(router, link, "GET", "/api/v1/dlq/{group}", show_dead_letters);
  add_route(router, link, "POST", "/api/v1/dlq/{group}/redrive", redrive);
  add_route(router, link, "POST", "/api/v1/dlq/{group}/purge", purge_dead_letters);
}

}  // namespace tidemark::http
