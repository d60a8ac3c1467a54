#include "protocol/http/group_json.h"

#include <algorithm>

#include "protocol/http/json_text.h"

namespace tidemark::http {
namespace {

namespace json = boost::json;

json::value offset_value(const std::optional<Offset>& offset) {
  if (!offset) return nullptr;
  return offset->value;
}

json::value protocol_value(broker::GroupProtocol protocol) {
  switch (protocol) {
    case broker::GroupProtocol::none:
      return nullptr;
    case broker::GroupProtocol::native:
      return "native";
    case broker::GroupProtocol::classic:
      return "kafka";
  }
  return nullptr;
}

json::array partitions_value(const std::vector<broker::NamedPartition>& partitions) {
  json::array list;
  for (const broker::NamedPartition& where : partitions) list.push_back({{"topic", where.topic}, {"partition", where.partition}});
  return list;
}

json::object row_value(const broker::SeekRow& row) {
  json::object object;
  object["topic"] = row.where.topic;
  object["partition"] = row.where.partition;
  object["from"] = offset_value(row.from);
  object["to"] = offset_value(row.to);
  object["records"] = row.records;
  object["bytes"] = row.bytes;
  object["clamped"] = row.clamped;
  return object;
}

}  // namespace

std::string start_text(const broker::StartAt& start) {
  switch (start.kind) {
    case broker::StartAt::Kind::earliest:
      return "earliest";
    case broker::StartAt::Kind::latest:
      return "latest";
    case broker::StartAt::Kind::offset:
      return std::to_string(start.value);
    case broker::StartAt::Kind::time:
      return "@" + time_text(Timestamp(std::chrono::milliseconds(start.value)));
  }
  return {};
}

json::object group_value(const broker::GroupInfo& group, const std::vector<broker::PartitionLag>& rows) {
  auto worst = broker::Verdict::ok;
  std::string cause;
  std::optional<std::int64_t> lag;
  std::optional<std::chrono::milliseconds> lag_time;
  for (const broker::PartitionLag& row : rows) {
    if (row.group != group.name) continue;
    if (broker::severity(row.verdict) > broker::severity(worst)) {
      worst = row.verdict;
      cause = row.cause.empty() ? "" : row.topic + ":" + std::to_string(row.partition) + ": " + row.cause;
    }
    if (row.lag) lag = lag.value_or(0) + *row.lag;
    if (row.lag_time) lag_time = std::max(lag_time.value_or(std::chrono::milliseconds(0)), *row.lag_time);
  }
  json::object object;
  put_name(object, "group", group.name);
  object["kind"] = broker::to_string(group.kind);
  object["protocol"] = protocol_value(group.protocol);
  json::array topics;
  for (const std::string& topic : group.topics) topics.emplace_back(topic);
  object["topics"] = std::move(topics);
  object["members"] = group.members.size();
  object["state"] = group.state;
  object["verdict"] = broker::to_string(worst);
  object["cause"] = shown(cause);
  object["lag"] = or_null(lag);
  object["lag_seconds"] = seconds_value(lag_time);
  for (const char* const field : {"eta_seconds", "headroom_seconds", "waiting", "in_flight", "retrying", "parked", "dead"}) {
    object[field] = nullptr;
  }
  return object;
}

json::object group_details(const broker::GroupInfo& group, const std::vector<broker::PartitionLag>& rows) {
  json::object object = group_value(group, rows);
  object["epoch"] = group.epoch;
  put_time(object, "created", group.created);
  object["start"] = start_text(group.start);
  json::object settings;
  for (const auto& [key, value] : group.settings) settings[key] = shown(value);
  object["settings"] = std::move(settings);
  object["skipped_records"] = group.skipped_records;
  object["clamped_positions"] = group.clamped_positions;
  object["member_list"] = members_value(group.members);
  return object;
}

json::object lag_value(const broker::PartitionLag& row) {
  json::object object;
  put_name(object, "group", row.group);
  object["topic"] = shown(row.topic);
  object["partition"] = row.partition;
  object["floor"] = offset_value(row.floor);
  object["end"] = row.end.value;
  object["lag"] = or_null(row.lag);
  object["lag_seconds"] = seconds_value(row.lag_time);
  object["member"] = nullptr;
  if (!row.member.empty()) put_name(object, "member", row.member);
  object["verdict"] = broker::to_string(row.verdict);
  object["kind"] = broker::to_string(row.kind);
  object["cause"] = shown(row.cause);
  object["log_start"] = row.log_start.value;
  object["lag_estimated"] = row.lag_time_estimated;
  return object;
}

json::array members_value(const std::vector<broker::MemberInfo>& members) {
  json::array list;
  for (const broker::MemberInfo& member : members) {
    json::object object;
    put_name(object, "member", member.member);
    put_name(object, "client_id", member.client_id);
    object["host"] = shown(member.host);
    object["partitions"] = partitions_value(member.partitions);
    object["in_flight"] = nullptr;  // Of work queues.
    put_time(object, "last_seen", member.last_seen);
    object["instance"] = nullptr;
    if (!member.instance.empty()) put_name(object, "instance", member.instance);
    object["epoch"] = member.epoch;
    object["revoking"] = partitions_value(member.revoking);
    list.push_back(std::move(object));
  }
  return list;
}

json::array history_value(const std::vector<broker::SeekRecord>& seeks) {
  json::array list;
  for (const broker::SeekRecord& seek : seeks) {
    json::object object;
    object["id"] = seek.id;
    object["time"] = time_text(seek.time);
    object["time_ms"] = seek.time.time_since_epoch().count();
    object["who"] = shown(seek.who);
    object["target"] = shown(seek.target);
    object["forced"] = seek.forced;
    object["undid"] = or_null(seek.undid);
    object["undone"] = or_null(seek.undone);
    json::array rows;
    for (const broker::SeekRow& row : seek.rows) rows.push_back(row_value(row));
    object["rows"] = std::move(rows);
    list.push_back(std::move(object));
  }
  return list;
}

json::object plan_value(const std::string& group, const broker::SeekReply& plan) {
  json::object object;
  put_name(object, "group", group);
  object["executed"] = plan.executed;
  object["id"] = nullptr;
  if (plan.executed) object["id"] = plan.id;
  json::array rows;
  for (const broker::SeekRow& row : plan.rows) rows.push_back(row_value(row));
  object["rows"] = std::move(rows);
  return object;
}

}  // namespace tidemark::http
