#include <algorithm>
#include <map>

#include "broker/groups/groups.h"
#include "broker/queues/queues.h"
#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/group_json.h"
#include "protocol/http/group_target.h"
#include "protocol/http/json_text.h"
#include "protocol/http/seek_target.h"

/// Groups of both kinds: list, make, look at, alter, seek, undo, remove; and how far they are.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using broker::GroupInfo;
using broker::GroupKind;
using broker::LagRow;
using broker::LagSummary;
using broker::QueueInfo;

constexpr std::chrono::hours kHistoryMax{24 * 30};
constexpr std::int32_t kPartitionMax = 9'999;

using Lags = std::map<std::tuple<GroupKind, std::string, std::string>, LagSummary>;

Lags by_group(const std::vector<LagRow>& rows) {
  Lags lags;
  for (LagSummary& lag : broker::summarize(rows)) lags[{lag.kind, lag.group, lag.topic}] = std::move(lag);
  return lags;
}

/// Groups of both kinds, as far as they were asked for.
struct Listed {
  std::vector<GroupInfo> groups;
  std::vector<QueueInfo> queues;
  std::vector<LagRow> rows;
};

json::value show_list(const Listed& listed) {
  Lags lags = by_group(listed.rows);
  json::array list;
  for (const GroupInfo& group : listed.groups) list.push_back(group_value(group, lags[{GroupKind::stream, group.name, ""}]));
  for (const QueueInfo& queue : listed.queues) {
    list.push_back(queue_value(queue, lags[{GroupKind::queue, queue.name.group, queue.name.topic}]));
  }
  return list;
}

json::value show_first(const Listed& listed) {
  Lags lags = by_group(listed.rows);
  if (!listed.groups.empty()) {
    const GroupInfo& group = listed.groups.front();
    return group_details(group, lags[{GroupKind::stream, group.name, ""}]);
  }
  const QueueInfo& queue = listed.queues.front();
  return queue_details(queue, lags[{GroupKind::queue, queue.name.group, queue.name.topic}]);
}

/// Adds how far they are, and answers.
void finish(const Ask& ask, Listed listed, std::optional<std::string> name, json::value (*show)(const Listed&), unsigned status = 200) {
  ask.lag().rows(ask.context(), std::move(name), [ask, listed = std::move(listed), show, status](Result<std::vector<LagRow>> rows) mutable {
    // A group without partitions, or one that ended meanwhile, has no rows.
    if (!rows && rows.error().code != Errc::unknown_group) return ask.refuse(rows.error());
    if (rows) listed.rows = *std::move(rows);
    ask.reply([listed = std::move(listed), show] { return show(listed); }, status);
  });
}

void list_groups(const Ask& ask) {
  ask.broker().groups().list(ask.context(), ask.then<std::vector<GroupInfo>>([](const Ask& again, std::vector<GroupInfo> groups) {
    again.broker().queues().list(again.context(), std::nullopt,
                                 again.then<std::vector<QueueInfo>>([groups = std::move(groups)](const Ask& asked, auto queues) mutable {
                                   finish(asked, {std::move(groups), std::move(queues), {}}, std::nullopt, show_list);
                                 }));
  }));
}

broker::Done<GroupInfo> reply_with_group(const Ask& ask, unsigned status = 200) {
  return ask.then<GroupInfo>([status](const Ask& again, GroupInfo group) {
    Listed one;
    const std::string name = group.name;
    one.groups.push_back(std::move(group));
    finish(again, std::move(one), name, show_first, status);
  });
}

broker::Done<QueueInfo> reply_with_queue(const Ask& ask, unsigned status = 200) {
  return ask.then<QueueInfo>([status](const Ask& again, QueueInfo queue) {
    Listed one;
    const std::string name = queue.name.group;
    one.queues.push_back(std::move(queue));
    finish(again, std::move(one), name, show_first, status);
  });
}

void show_group(const Ask& ask) {
  with_group(
      ask,
      {.stream = [](const Ask& again) { again.broker().groups().describe(again.context(), again.path_value(0), reply_with_group(again)); },
       .queue = [](const Ask& again,
                   const broker::QueueName& name) { again.broker().queues().describe(again.context(), name, reply_with_queue(again)); }});
}

void create_group(const Ask& ask) {
  Body body(ask.call());
  const std::string name = body.bytes("group").value_or("");
  std::vector<std::string> topics = body.texts("topics");
  const std::string kind = body.text_or("kind", "stream");
  const std::string from = body.text_or("from", "earliest");
  std::map<std::string, std::string> settings = body.settings("settings");
  const Result<broker::StartAt> start = parse_start(from, ask.runtime().clock().now());
  if (!start) body.wrong("from", "earliest, latest, an offset or a time as in \"@2026-03-01T10:00\"");
  if (name.empty()) body.wrong("group", "a name");
  if (kind != "stream" && kind != "queue") body.wrong("kind", "stream or queue");
  if (kind == "queue" && topics.size() != 1) body.wrong("topics", "one topic, for a queue group");
  if (body.problem()) return ask.refuse(*body.problem());
  if (kind == "queue") {
    broker::CreateQueueRequest request;
    request.name = {name, topics.front()};
    request.start = *start;
    request.settings = std::move(settings);
    return ask.broker().queues().create(ask.context(), std::move(request), reply_with_queue(ask, 201));
  }
  broker::CreateGroupRequest request{.name = name, .topics = std::move(topics), .start = *start, .settings = std::move(settings)};
  ask.broker().groups().create(ask.context(), std::move(request), reply_with_group(ask, 201));
}

void alter_group(const Ask& ask) {
  Body body(ask.call());
  const std::map<std::string, std::string> settings = body.settings("settings");
  if (settings.empty()) body.wrong("settings", "settings to change; null removes one");
  if (body.problem()) return ask.refuse(*body.problem());
  with_group(ask, {.stream =
                       [settings](const Ask& again) {
                         again.broker().groups().alter(again.context(), again.path_value(0), settings, reply_with_group(again));
                       },
                   .queue =
                       [settings](const Ask& again, const broker::QueueName& name) {
                         again.broker().queues().alter(again.context(), name, settings, reply_with_queue(again));
                       }});
}

void delete_group(const Ask& ask) {
  const auto done = [](const Ask& again) { return again.then<void>([](const Ask& asked) { asked.reply_empty(); }); };
  with_group(ask,
             {.stream = [done](const Ask& again) { again.broker().groups().remove(again.context(), again.path_value(0), done(again)); },
              .queue = [done](const Ask& again,
                              const broker::QueueName& name) { again.broker().queues().remove(again.context(), name, done(again)); }});
}

void reply_with_rows(const Ask& ask, std::optional<std::string> group) {
  ask.lag().rows(ask.context(), std::move(group), ask.then<std::vector<LagRow>>([](const Ask& again, auto rows) {
    const std::string topic = again.query("topic").value_or(""), kind = again.query("kind").value_or("");
    again.reply([rows = std::move(rows), topic, kind] {
      json::array list;
      for (const LagRow& row : rows) {
        if ((topic.empty() || row.at.topic == topic) && (kind.empty() || broker::to_string(row.at.kind) == kind))
          list.push_back(lag_value(row));
      }
      return json::value(std::move(list));
    });
  }));
}

void show_lag(const Ask& ask) { reply_with_rows(ask, ask.path_value(0)); }
void show_all_lag(const Ask& ask) { reply_with_rows(ask, std::nullopt); }

void show_lag_history(const Ask& ask) {
  const Result<std::int64_t> seconds = query_integer(ask.call(), "seconds", 1, std::chrono::seconds(kHistoryMax).count(), 3600);
  if (!seconds) return ask.refuse(seconds.error());
  const auto show = [span = std::chrono::seconds(*seconds)](const Ask& again, GroupKind kind, const std::string& topic) {
    again.lag().history(again.context(), {.group = again.path_value(0), .kind = kind, .topic = topic, .span = span},
                        again.then<std::vector<broker::LagPoint>>([](const Ask& asked, auto points) {
                          asked.reply([points = std::move(points)] {
                            json::array list;
                            for (const broker::LagPoint& point : points) list.push_back(point_value(point));
                            return json::value(std::move(list));
                          });
                        }));
  };
  with_group(ask, {.stream = [show](const Ask& again) { show(again, GroupKind::stream, {}); },
                   .queue = [show](const Ask& again, const broker::QueueName& name) { show(again, GroupKind::queue, name.topic); }});
}

void show_members(const Ask& ask) {
  with_group(ask, {.stream =
                       [](const Ask& again) {
                         again.broker().groups().describe(
                             again.context(), again.path_value(0), again.then<GroupInfo>([](const Ask& asked, GroupInfo group) {
                               asked.reply([group = std::move(group)] { return json::value(members_value(group.members)); });
                             }));
                       },
                   .queue =
                       [](const Ask& again, const broker::QueueName& name) {
                         again.broker().queues().describe(
                             again.context(), name, again.then<QueueInfo>([](const Ask& asked, QueueInfo queue) {
                               asked.reply([queue = std::move(queue)] { return json::value(members_value(queue)); });
                             }));
                       }});
}

void show_history(const Ask& ask) {
  ask.broker().groups().history(ask.context(), ask.path_value(0),
                                ask.then<std::vector<broker::SeekRecord>>([](const Ask& again, auto seeks) {
                                  again.reply([seeks = std::move(seeks)] { return json::value(history_value(seeks)); });
                                }));
}

broker::Done<broker::SeekReply> reply_with_plan(const Ask& ask) {
  return ask.then<broker::SeekReply>([](const Ask& again, broker::SeekReply plan) {
    again.reply([group = again.path_value(0), plan = std::move(plan)] { return json::value(plan_value(group, plan)); });
  });
}

void seek_group(const Ask& ask) {
  Body body(ask.call());
  broker::SeekRequest request;
  request.group = ask.path_value(0);
  const std::string to = body.text("to");
  const std::string topic = body.text_or("topic", "");
  if (!topic.empty()) request.topic = topic;
  if (body.has("partition")) request.partition = static_cast<std::int32_t>(body.integer_or("partition", 0, kPartitionMax, 0));
  request.execute = body.flag_or("execute", false);
  request.force = body.flag_or("force", false);
  if (!body.problem()) {
    Result<broker::SeekTarget> target = parse_seek_target(to, ask.runtime().clock().now());
    if (target) {
      request.target = *std::move(target);
    } else {
      body.wrong("to", target.error().detail);
    }
  }
  if (body.problem()) return ask.refuse(*body.problem());
  with_group(ask,
             {.stream = [request](const Ask& again) { again.broker().groups().seek(again.context(), request, reply_with_plan(again)); },
              .queue =
                  [request](const Ask& again, const broker::QueueName& name) {
                    broker::SeekRequest there = request;
                    there.topic = name.topic;
                    again.broker().queues().seek(again.context(), std::move(there), reply_with_plan(again));
                  }});
}

void undo_seek(const Ask& ask) {
  Body body(ask.call());
  const bool execute = body.flag_or("execute", false);
  const bool force = body.flag_or("force", false);
  if (body.problem()) return ask.refuse(*body.problem());
  ask.broker().groups().undo(ask.context(), ask.path_value(0), execute, force, reply_with_plan(ask));
}

}  // namespace

void add_group_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/groups", list_groups);
  add_route(router, link, "POST", "/api/v1/groups", create_group);
  add_route(router, link, "GET", "/api/v1/lag", show_all_lag);
  add_route(router, link, "GET", "/api/v1/groups/{group}", show_group);
  add_route(router, link, "PATCH", "/api/v1/groups/{group}", alter_group);
  add_route(router, link, "DELETE", "/api/v1/groups/{group}", delete_group);
  add_route(router, link, "GET", "/api/v1/groups/{group}/lag", show_lag);
  add_route(router, link, "GET", "/api/v1/groups/{group}/lag/history", show_lag_history);
  add_route(router, link, "GET", "/api/v1/groups/{group}/members", show_members);
  add_route(router, link, "GET", "/api/v1/groups/{group}/history", show_history);
  add_route(router, link, "POST", "/api/v1/groups/{group}/seek", seek_group);
  add_route(router, link, "POST", "/api/v1/groups/{group}/undo", undo_seek);
}

}  // namespace tidemark::http
