#include <algorithm>

#include "broker/groups/groups.h"
#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/group_json.h"
#include "protocol/http/json_text.h"
#include "protocol/http/seek_target.h"

/// Stream groups: list, make, look at, alter, seek, undo, remove; and how far they are.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using broker::GroupInfo;
using broker::PartitionLag;

/// Answers with groups and how far they are.
void reply_with_lag(const Ask& ask, std::vector<GroupInfo> groups, std::optional<std::string> name,
                    json::value (*show)(const std::vector<GroupInfo>&, const std::vector<PartitionLag>&), unsigned status = 200) {
  ask.broker().groups().lag(ask.context(), std::move(name),
                            ask.then<std::vector<PartitionLag>>(
                                [groups = std::move(groups), show, status](const Ask& again, std::vector<PartitionLag> rows) mutable {
                                  again.reply([groups = std::move(groups), rows = std::move(rows), show] { return show(groups, rows); },
                                              status);
                                }));
}

json::value show_list(const std::vector<GroupInfo>& groups, const std::vector<PartitionLag>& rows) {
  json::array list;
  for (const GroupInfo& group : groups) list.push_back(group_value(group, rows));
  return list;
}

json::value show_one(const std::vector<GroupInfo>& groups, const std::vector<PartitionLag>& rows) {
  return group_details(groups.front(), rows);
}

void list_groups(const Ask& ask) {
  ask.broker().groups().list(ask.context(), ask.then<std::vector<GroupInfo>>([](const Ask& again, std::vector<GroupInfo> groups) {
    reply_with_lag(again, std::move(groups), std::nullopt, show_list);
  }));
}

broker::Done<GroupInfo> reply_with_group(const Ask& ask, unsigned status = 200) {
  return ask.then<GroupInfo>([status](const Ask& again, GroupInfo group) {
    const std::string name = group.name;
    std::vector<GroupInfo> one;
    one.push_back(std::move(group));
    reply_with_lag(again, std::move(one), name, show_one, status);
  });
}

void show_group(const Ask& ask) { ask.broker().groups().describe(ask.context(), ask.path_value(0), reply_with_group(ask)); }

void create_group(const Ask& ask) {
  Body body(ask.call());
  broker::CreateGroupRequest request;
  request.name = body.bytes("group").value_or("");
  request.topics = body.texts("topics");
  const std::string from = body.text_or("from", "earliest");
  request.settings = body.settings("settings");
  const Result<broker::StartAt> start = parse_start(from, ask.runtime().clock().now());
  if (!start) body.wrong("from", "earliest, latest, an offset or a time as in \"@2026-03-01T10:00\"");
  if (request.name.empty()) body.wrong("group", "a name");
  if (body.problem()) return ask.refuse(*body.problem());
  request.start = *start;
  ask.broker().groups().create(ask.context(), std::move(request), reply_with_group(ask, 201));
}

void alter_group(const Ask& ask) {
  Body body(ask.call());
  std::map<std::string, std::string> settings = body.settings("settings");
  if (settings.empty()) body.wrong("settings", "settings to change; null removes one");
  if (body.problem()) return ask.refuse(*body.problem());
  ask.broker().groups().alter(ask.context(), ask.path_value(0), std::move(settings), reply_with_group(ask));
}

void delete_group(const Ask& ask) {
  ask.broker().groups().remove(ask.context(), ask.path_value(0), ask.then<void>([](const Ask& again) { again.reply_empty(); }));
}

void reply_with_rows(const Ask& ask, std::optional<std::string> group) {
  ask.broker().groups().lag(ask.context(), std::move(group), ask.then<std::vector<PartitionLag>>([](const Ask& again, auto rows) {
    again.reply([rows = std::move(rows)] {
      json::array list;
      for (const PartitionLag& row : rows) list.push_back(lag_value(row));
      return json::value(std::move(list));
    });
  }));
}

void show_lag(const Ask& ask) { reply_with_rows(ask, ask.path_value(0)); }
void show_all_lag(const Ask& ask) { reply_with_rows(ask, std::nullopt); }

void show_members(const Ask& ask) {
  ask.broker().groups().describe(ask.context(), ask.path_value(0), ask.then<GroupInfo>([](const Ask& again, GroupInfo group) {
    again.reply([group = std::move(group)] { return json::value(members_value(group.members)); });
  }));
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
  if (body.has("partition")) request.partition = static_cast<std::int32_t>(body.integer_or("partition", 0, 9'999, 0));
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
  ask.broker().groups().seek(ask.context(), std::move(request), reply_with_plan(ask));
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
  add_route(router, link, "GET", "/api/v1/groups/{group}/members", show_members);
  add_route(router, link, "GET", "/api/v1/groups/{group}/history", show_history);
  add_route(router, link, "POST", "/api/v1/groups/{group}/seek", seek_group);
  add_route(router, link, "POST", "/api/v1/groups/{group}/undo", undo_seek);
}

}  // namespace tidemark::http
