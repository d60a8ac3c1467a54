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

/// What every group has of its lag.
void put_lag(json::object& object, const broker::LagSummary& lag) {
  object["verdict"] = broker::to_string(lag.verdict);
  object["cause"] = shown(lag.cause);
  object["lag"] = or_null(lag.lag);
  object["lag_seconds"] = seconds_value(lag.lag_time);
  object["eta_seconds"] = seconds_value(lag.eta_seconds);
  object["headroom_seconds"] = seconds_value(lag.headroom);
  object["in_rate"] = seconds_value(std::optional(lag.in_rate));
  object["out_rate"] = seconds_value(std::optional(lag.out_rate));
  object["skew"] = seconds_value(lag.skew);
  object["objective_seconds"] = seconds_value(std::optional(lag.objective));
}

json::object queue_partition_value(const broker::QueuePartitionInfo& info) {
  json::object object;
  object["partition"] = info.partition;
  object["log_start"] = info.log_start.value;
  object["end"] = info.end.value;
  object["floor"] = info.floor.value;
  object["cursor"] = info.cursor.value;
  object["waiting"] = info.waiting;
  object["in_flight"] = info.counts.in_flight;
  object["retrying"] = info.counts.retrying;
  object["delayed"] = info.counts.delayed;
  object["parked"] = info.counts.parked;
  object["stalled"] = shown(info.stalled);
  json::array blocked;
  for (const broker::QueuePartitionInfo::Blocked& key : info.blocked_keys) {
    blocked.push_back({{"key", shown(key.key)}, {"by", key.by.value}, {"state", broker::to_string(key.state)}, {"waiting", key.waiting}});
  }
  object["blocked_keys"] = std::move(blocked);
  return object;
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

json::object group_value(const broker::GroupInfo& group, const broker::LagSummary& lag) {
  json::object object;
  put_name(object, "group", group.name);
  object["kind"] = broker::to_string(group.kind);
  object["protocol"] = protocol_value(group.protocol);
  json::array topics;
  for (const std::string& topic : group.topics) topics.emplace_back(topic);
  object["topics"] = std::move(topics);
  object["members"] = group.members.size();
  object["state"] = group.state;
  put_lag(object, lag);
  for (const char* const field : {"waiting", "in_flight", "retrying", "parked", "dead"}) object[field] = nullptr;
  return object;
}

json::object queue_value(const broker::QueueInfo& queue, const broker::LagSummary& lag) {
  const broker::QueueCounts counts = queue.counts();
  json::object object;
  put_name(object, "group", queue.name.group);
  object["kind"] = broker::to_string(broker::GroupKind::queue);
  object["protocol"] = queue.flavor == broker::QueueFlavor::redis   ? "redis"
                       : queue.flavor == broker::QueueFlavor::share ? "kafka"
                                                                    : "native";
  object["topics"] = json::array{json::value(queue.name.topic)};
  object["members"] = queue.members.size();
  const bool connected = std::ranges::any_of(queue.members, &broker::QueueMember::connected);
  object["state"] = queue.effective.paused ? "paused" : connected ? "stable" : "empty";
  put_lag(object, lag);
  object["waiting"] = counts.waiting;
  object["in_flight"] = counts.in_flight;
  object["retrying"] = counts.retrying;
  object["delayed"] = counts.delayed;
  object["parked"] = counts.parked;
  object["dead"] = counts.dead;
  object["done"] = counts.done;
  return object;
}

json::object group_details(const broker::GroupInfo& group, const broker::LagSummary& lag) {
  json::object object = group_value(group, lag);
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

json::object queue_details(const broker::QueueInfo& queue, const broker::LagSummary& lag) {
  json::object object = queue_value(queue, lag);
  put_time(object, "created", queue.created);
  object["start"] = start_text(queue.start);
  json::object settings;
  for (const auto& [key, value] : queue.settings) settings[key] = shown(value);
  object["settings"] = std::move(settings);
  const broker::QueueCounts counts = queue.counts();
  object["redelivered"] = counts.redelivered;
  object["timed_out"] = counts.timed_out;
  object["gone"] = counts.gone;
  object["filtered"] = counts.filtered;
  json::array partitions;
  for (const broker::QueuePartitionInfo& info : queue.partitions) partitions.push_back(queue_partition_value(info));
  object["partition_list"] = std::move(partitions);
  object["member_list"] = members_value(queue);
  return object;
}

json::object lag_value(const broker::LagRow& row) {
  const broker::PartitionLag& at = row.at;
  json::object object;
  put_name(object, "group", at.group);
  object["topic"] = shown(at.topic);
  object["partition"] = at.partition;
  object["floor"] = offset_value(at.floor);
  object["end"] = at.end.value;
  object["lag"] = or_null(at.lag);
  object["lag_seconds"] = seconds_value(at.lag_time);
  object["member"] = nullptr;
  if (!at.member.empty()) put_name(object, "member", at.member);
  object["verdict"] = broker::to_string(at.verdict);
  object["kind"] = broker::to_string(at.kind);
  object["cause"] = shown(at.cause);
  object["log_start"] = at.log_start.value;
  object["lag_estimated"] = at.lag_time_estimated;
  object["in_rate"] = row.in_rate;
  object["out_rate"] = row.out_rate;
  object["eta_seconds"] = seconds_value(row.eta_seconds);
  object["headroom_seconds"] = seconds_value(row.headroom);
  object["objective_seconds"] = seconds_value(std::optional(row.objective));
  if (at.kind == broker::GroupKind::queue) {
    object["waiting"] = or_null(at.waiting);
    object["in_flight"] = or_null(at.in_flight);
    object["retrying"] = or_null(at.retrying);
  }
  return object;
}

json::object summary_value(const broker::LagSummary& lag) {
  json::object object;
  put_name(object, "group", lag.group);
  object["kind"] = broker::to_string(lag.kind);
  object["topic"] = nullptr;
  if (lag.kind == broker::GroupKind::queue) object["topic"] = shown(lag.topic);
  put_lag(object, lag);
  object["waiting"] = or_null(lag.waiting);
  object["in_flight"] = or_null(lag.in_flight);
  object["retrying"] = or_null(lag.retrying);
  return object;
}

json::object point_value(const broker::LagPoint& point) {
  json::object object;
  object["time_ms"] = point.time.time_since_epoch().count();
  object["lag"] = point.lag;
  object["lag_seconds"] = seconds_value(std::optional(point.lag_time));
  object["in_flight"] = point.in_flight;
  object["retrying"] = point.retrying;
  object["in_rate"] = seconds_value(point.in_rate);
  object["out_rate"] = seconds_value(point.out_rate);
  return object;
}

json::array members_value(const broker::QueueInfo& queue) {
  json::array list;
  for (const broker::QueueMember& member : queue.members) {
    json::object object;
    put_name(object, "member", member.member);
    put_name(object, "client_id", member.client_id);
    object["host"] = shown(member.host);
    json::array partitions;
    for (const auto& [partition, in_flight] : member.partitions) {
      partitions.push_back({{"topic", queue.name.topic}, {"partition", partition}, {"in_flight", in_flight}});
    }
    object["partitions"] = std::move(partitions);
    object["in_flight"] = member.in_flight;
    put_time(object, "last_seen", member.seen);
    object["connected"] = member.connected;
    list.push_back(std::move(object));
  }
  return list;
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
