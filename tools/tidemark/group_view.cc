#include "tools/tidemark/group_view.h"

#include <algorithm>
#include <cmath>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/check.h"
#include "storage/base/units.h"

namespace tidemark::tools {
namespace {

template <class T>
std::string or_dash(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "-";
}

std::string offset_or_dash(const std::optional<Offset>& offset) { return offset ? std::to_string(offset->value) : "-"; }

template <class T>
boost::json::value or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  return boost::json::value(*value);
}

boost::json::value offset_or_null(const std::optional<Offset>& offset) {
  if (!offset) return nullptr;
  return offset->value;
}

boost::json::value seconds_or_null(const std::optional<double>& seconds) {
  if (!seconds) return nullptr;
  return std::round(*seconds * 1000) / 1000;
}

boost::json::array partitions_to_json(const TopicPartitions& partitions) {
  boost::json::array list;
  for (const TopicPartition& where : partitions) list.push_back({{"topic", where.topic}, {"partition", where.partition}});
  return list;
}

/// "orders:0-3,7 stock:1"
std::string partitions_text(const TopicPartitions& partitions) {
  std::string text;
  for (std::size_t i = 0; i < partitions.size();) {
    const bool same_topic = i > 0 && partitions[i - 1].topic == partitions[i].topic;
    std::size_t last = i;
    while (last + 1 < partitions.size() && partitions[last + 1].topic == partitions[i].topic &&
           partitions[last + 1].partition == partitions[last].partition + 1) {
      ++last;
    }
    text += same_topic ? "," : fmt::format("{}{}:", text.empty() ? "" : " ", partitions[i].topic);
    text += std::to_string(partitions[i].partition);
    if (last > i) text += fmt::format("-{}", partitions[last].partition);
    i = last + 1;
  }
  return text.empty() ? "-" : text;
}

boost::json::value protocol_to_json(std::string_view protocol) {
  if (protocol == "classic") return "kafka";
  if (protocol == "none") return nullptr;
  return boost::json::value(protocol);
}

std::string settings_text(const GroupSettings& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

boost::json::object row_to_json(const GroupSeekRow& row) {
  boost::json::object object;
  object["topic"] = row.where.topic;
  object["partition"] = row.where.partition;
  object["from"] = offset_or_null(row.from);
  object["to"] = offset_or_null(row.to);
  object["records"] = row.records;
  object["bytes"] = row.bytes;
  object["clamped"] = row.clamped;
  return object;
}

std::int64_t records_moved(std::span<const GroupSeekRow> rows) {
  std::int64_t records = 0;
  for (const GroupSeekRow& row : rows) records += row.records;
  return records;
}

std::string seek_note(const GroupSeekRecord& record) {
  std::string note = record.forced ? "forced" : "";
  const auto add = [&note](const std::string& text) { note += (note.empty() ? "" : ", ") + text; };
  if (record.undid) add(fmt::format("undid {}", *record.undid));
  if (record.undone) add(fmt::format("undone by {}", *record.undone));
  return note;
}

std::string lag_line(const GroupPartitionLag& lag) {
  boost::json::object head, tail;
  add_name(head, "group", lag.group);
  head["topic"] = printable_text(lag.where.topic);
  head["partition"] = lag.where.partition;
  head["floor"] = offset_or_null(lag.floor);
  head["end"] = lag.end.value;
  head["lag"] = or_null(lag.lag);
  if (lag.member.empty()) {
    tail["member"] = nullptr;
  } else {
    add_name(tail, "member", lag.member);
  }
  tail["verdict"] = lag.verdict;
  if (lag.waiting) tail["waiting"] = *lag.waiting;
  if (lag.in_flight) tail["in_flight"] = *lag.in_flight;
  if (lag.retrying) tail["retrying"] = *lag.retrying;
  std::string first = boost::json::serialize(head), last = boost::json::serialize(tail);
  first.pop_back();
  return first + ",\"lag_seconds\":" + (lag.lag_seconds ? fmt::format("{:.3f}", *lag.lag_seconds) : "null") + "," + last.substr(1);
}

}  // namespace

void add_name(boost::json::object& object, std::string_view key, const std::string& name) {
  object[key] = printable_text(name);
  if (!is_utf8(name)) object[std::string(key) + "_base64"] = to_base64(name);
}

std::string lag_time_text(std::optional<double> seconds, bool estimated) {
  if (!seconds) return "-";
  return (estimated ? "~" : "") + (*seconds < 60 ? fmt::format("{:.1f}s", *seconds) : format_uptime(*seconds));
}

int severity(std::string_view verdict) {
  if (verdict == "at-risk" || verdict == "stopped" || verdict == "stalled") return 2;
  if (verdict == "slow" || verdict == "rewound") return 1;
  return 0;
}

std::string worst_verdict(std::span<const GroupDescription> groups) {
  // From the best to the worst.
  static constexpr std::string_view kVerdicts[] = {"ok", "paused", "draining", "slow", "rewound", "stalled", "stopped", "at-risk"};
  std::size_t worst = 0;
  for (const GroupDescription& group : groups) {
    const auto found = std::ranges::find(kVerdicts, group.verdict);
    if (found != std::end(kVerdicts)) worst = std::max(worst, static_cast<std::size_t>(found - std::begin(kVerdicts)));
  }
  return std::string(kVerdicts[worst]);
}

boost::json::object group_to_json(const GroupDescription& group) {
  boost::json::object object;
  add_name(object, "group", group.name);
  object["kind"] = group.kind;
  object["protocol"] = protocol_to_json(group.protocol);
  object["topics"] = boost::json::value_from(group.topics);
  object["members"] = group.members.size();
  object["state"] = group.state;
  object["verdict"] = group.verdict;
  object["cause"] = printable_text(group.cause);
  object["lag"] = or_null(group.lag);
  object["lag_seconds"] = seconds_or_null(group.lag_seconds);
  object["eta_seconds"] = seconds_or_null(group.eta_seconds);
  object["headroom_seconds"] = seconds_or_null(group.headroom_seconds);
  for (const char* const field : {"waiting", "in_flight", "retrying", "parked", "dead"}) object[field] = nullptr;  // Of work queues.
  return object;
}

boost::json::object group_details_to_json(const GroupDescription& group) {
  boost::json::object object = group_to_json(group);
  object["epoch"] = group.epoch;
  object["created_time"] = format_time(group.created);
  object["created_ms"] = group.created.time_since_epoch().count();
  object["start"] = to_string(group.start);
  boost::json::object settings;
  for (const auto& [key, value] : group.settings) settings[key] = printable_text(value);
  object["settings"] = std::move(settings);
  object["skipped_records"] = group.skipped_records;
  object["clamped_positions"] = group.clamped_positions;
  object["member_list"] = members_to_json(group.members);
  return object;
}

std::string group_table(std::span<const GroupDescription> groups, bool wide) {
  std::vector<Table::Column> columns = {{"GROUP"},         {"KIND"},      {"TOPICS"},         {"STATE"},
                                        {"MEMBERS", true}, {"LAG", true}, {"LAG TIME", true}, {"VERDICT"}};
  if (wide) columns.insert(columns.end(), {{"CAUSE"}, {"PROTOCOL"}, {"CREATED"}, {"SETTINGS"}});
  Table table(std::move(columns));
  for (const GroupDescription& group : groups) {
    std::vector<std::string> cells = {group.name,
                                      group.kind,
                                      fmt::format("{}", fmt::join(group.topics, " ")),
                                      group.state,
                                      std::to_string(group.members.size()),
                                      or_dash(group.lag),
                                      lag_time_text(group.lag_seconds),
                                      group.verdict};
    if (wide) {
      cells.insert(cells.end(), {group.cause, group.protocol, format_time(group.created), settings_text(group.settings)});
    }
    table.add(std::move(cells));
  }
  return table.to_string();
}

std::string group_page(const GroupDescription& group, std::span<const GroupPartitionLag> lags, bool wide) {
  std::string text =
      fmt::format("{}   {} group, {}, {} member{}, lag {} ({})\n", printable_text(group.name), group.kind, group.state,
                  group.members.size(), group.members.size() == 1 ? "" : "s", or_dash(group.lag), lag_time_text(group.lag_seconds));
  text += fmt::format("verdict  {}{}\n", group.verdict, group.cause.empty() ? "" : ": " + printable_text(group.cause));
  if (group.eta_seconds) text += fmt::format("done in  about {}\n", lag_time_text(group.eta_seconds));
  if (group.headroom_seconds && group.lag.value_or(0) > 0) {
    text += fmt::format("headroom {} until retention removes unread records\n", lag_time_text(group.headroom_seconds));
  }
  text += fmt::format("created  {}, starts at {}\n", format_time(group.created), to_string(group.start));
  if (group.skipped_records > 0) text += fmt::format("skipped  {} records were removed before they were read\n", group.skipped_records);
  if (group.clamped_positions > 0) text += fmt::format("clamped  {} positions lay beyond the end after a crash\n", group.clamped_positions);
  for (const auto& [key, value] : group.settings) text += fmt::format("setting  {} = {}\n", key, printable_text(value));
  text += lag_table(lags, wide);
  if (!group.members.empty()) text += "\n" + member_table(group.members, wide);
  return text;
}

std::string lag_to_json(std::span<const GroupPartitionLag> lags, OutputFormat format) {
  std::string text;
  if (format == OutputFormat::jsonl) {
    for (const GroupPartitionLag& lag : lags) text += lag_line(lag) + "\n";
    return text;
  }
  for (const GroupPartitionLag& lag : lags) text += (text.empty() ? "" : ",") + lag_line(lag);
  return "[" + text + "]\n";
}

std::string lag_table(std::span<const GroupPartitionLag> lags, bool wide, std::span<const std::string> trends) {
  CHECK(trends.empty() || trends.size() == lags.size());
  std::vector<Table::Column> columns = {{"GROUP"},     {"TOPIC"},          {"PARTITION", true}, {"FLOOR", true}, {"END", true},
                                        {"LAG", true}, {"LAG TIME", true}, {"VERDICT"},         {"MEMBER"}};
  const bool queues = std::ranges::any_of(lags, [](const GroupPartitionLag& lag) { return lag.waiting.has_value(); });
  if (queues) columns.insert(columns.end(), {{"WAITING", true}, {"IN FLIGHT", true}, {"RETRYING", true}});
  if (!trends.empty()) columns.push_back({"TREND"});
  if (wide) columns.insert(columns.end(), {{"START", true}, {"CAUSE"}});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < lags.size(); ++i) {
    const GroupPartitionLag& lag = lags[i];
    std::vector<std::string> cells = {lag.group,
                                      lag.where.topic,
                                      std::to_string(lag.where.partition),
                                      offset_or_dash(lag.floor),
                                      std::to_string(lag.end.value),
                                      or_dash(lag.lag),
                                      lag_time_text(lag.lag_seconds, lag.lag_estimated),
                                      lag.verdict,
                                      lag.member.empty() ? "-" : lag.member};
    if (queues) cells.insert(cells.end(), {or_dash(lag.waiting), or_dash(lag.in_flight), or_dash(lag.retrying)});
    if (!trends.empty()) cells.push_back(trends[i]);
    if (wide) cells.insert(cells.end(), {std::to_string(lag.log_start.value), lag.cause});
    table.add(std::move(cells));
  }
  return table.to_string();
}

boost::json::array members_to_json(std::span<const GroupMemberDescription> members) {
  boost::json::array list;
  for (const GroupMemberDescription& member : members) {
    boost::json::object object;
    add_name(object, "member", member.member);
    add_name(object, "client_id", member.client_id);
    object["host"] = printable_text(member.host);
    object["partitions"] = partitions_to_json(member.partitions);
    object["in_flight"] = nullptr;  // Of queue groups.
    object["last_seen_time"] = format_time(member.last_seen);
    object["last_seen_ms"] = member.last_seen.time_since_epoch().count();
    object["instance"] = nullptr;
    if (!member.instance.empty()) add_name(object, "instance", member.instance);
    object["epoch"] = member.epoch;
    object["revoking"] = partitions_to_json(member.revoking);
    list.push_back(std::move(object));
  }
  return list;
}

std::string member_table(std::span<const GroupMemberDescription> members, bool wide) {
  std::vector<Table::Column> columns = {{"MEMBER"}, {"CLIENT"}, {"HOST"}, {"LAST SEEN"}, {"PARTITIONS"}};
  if (wide) columns.insert(columns.end(), {{"INSTANCE"}, {"EPOCH", true}, {"REVOKING"}});
  Table table(std::move(columns));
  for (const GroupMemberDescription& member : members) {
    std::vector<std::string> cells = {member.member, member.client_id, member.host, format_time(member.last_seen),
                                      partitions_text(member.partitions)};
    if (wide) {
      cells.insert(cells.end(),
                   {member.instance.empty() ? "-" : member.instance, std::to_string(member.epoch), partitions_text(member.revoking)});
    }
    table.add(std::move(cells));
  }
  return table.to_string();
}

boost::json::object plan_to_json(std::string_view group, const GroupSeekPlan& plan) {
  boost::json::object object;
  add_name(object, "group", std::string(group));
  object["executed"] = plan.executed;
  object["id"] = nullptr;
  if (plan.executed) object["id"] = plan.id;
  boost::json::array rows;
  for (const GroupSeekRow& row : plan.rows) rows.push_back(row_to_json(row));
  object["rows"] = std::move(rows);
  return object;
}

std::string plan_table(std::span<const GroupSeekRow> rows) {
  Table table({{"TOPIC"}, {"PARTITION", true}, {"FROM", true}, {"TO", true}, {"RECORDS", true}, {"SIZE", true}, {"NOTE"}});
  for (const GroupSeekRow& row : rows) {
    table.add({row.where.topic, std::to_string(row.where.partition), offset_or_dash(row.from), offset_or_dash(row.to),
               fmt::format("{:+}", row.records), format_size(row.bytes), row.clamped ? "clamped to the log" : ""});
  }
  return table.to_string();
}

boost::json::array history_to_json(std::span<const GroupSeekRecord> records) {
  boost::json::array list;
  for (const GroupSeekRecord& record : records) {
    boost::json::object object;
    object["id"] = record.id;
    object["time"] = format_time(record.time);
    object["time_ms"] = record.time.time_since_epoch().count();
    object["who"] = printable_text(record.who);
    object["target"] = printable_text(record.target);
    object["forced"] = record.forced;
    object["undid"] = or_null(record.undid);
    object["undone"] = or_null(record.undone);
    boost::json::array rows;
    for (const GroupSeekRow& row : record.rows) rows.push_back(row_to_json(row));
    object["rows"] = std::move(rows);
    list.push_back(std::move(object));
  }
  return list;
}

std::string history_table(std::span<const GroupSeekRecord> records) {
  Table table({{"ID", true}, {"TIME"}, {"WHO"}, {"TO"}, {"PARTITIONS", true}, {"RECORDS", true}, {"NOTE"}});
  for (const GroupSeekRecord& record : records) {
    table.add({std::to_string(record.id), format_time(record.time), record.who, record.target, std::to_string(record.rows.size()),
               fmt::format("{:+}", records_moved(record.rows)), seek_note(record)});
  }
  return table.to_string();
}

}  // namespace tidemark::tools
