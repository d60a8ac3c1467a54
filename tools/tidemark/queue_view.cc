#include "tools/tidemark/queue_view.h"

#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "tools/tidemark/group_view.h"

namespace tidemark::tools {
namespace {

/// What of a value or a reason stands in a table; JSON has it whole.
constexpr std::size_t kCellMax = 60;

std::string cut(std::string_view text) {
  if (text.size() <= kCellMax) return printable_text(text);
  std::size_t end = kCellMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;  // Not within a character.
  return printable_text(text.substr(0, end)) + "..";
}

std::string cell_of(const std::optional<std::string>& text) { return text ? cut(*text) : "-"; }
std::string dash_if_empty(const std::string& text) { return text.empty() ? "-" : text; }
std::string time_or_dash(const std::optional<Timestamp>& time) { return time ? format_time(*time) : "-"; }

void add_time(boost::json::object& object, const std::string& name, const std::optional<Timestamp>& time) {
  object[name + "_time"] = nullptr;
  object[name + "_ms"] = nullptr;
  if (!time) return;
  object[name + "_time"] = format_time(*time);
  object[name + "_ms"] = time->time_since_epoch().count();
}

std::optional<Timestamp> unless_never(Timestamp time) { return time == Timestamp() ? std::nullopt : std::optional(time); }

void add_bytes(boost::json::object& object, const std::string& name, const std::optional<std::string>& bytes) {
  if (bytes && !is_utf8(*bytes)) {
    object[name + "_base64"] = to_base64(*bytes);
    return;
  }
  object[name] = nullptr;
  if (bytes) object[name] = *bytes;
}

void add_member(boost::json::object& object, const std::string& member) {
  object["member"] = nullptr;
  if (!member.empty()) add_name(object, "member", member);
}

void add_counts(boost::json::object& object, const QueueCounts& counts) {
  object["waiting"] = counts.waiting;
  object["in_flight"] = counts.in_flight;
  object["retrying"] = counts.retrying;
  object["delayed"] = counts.delayed;
  object["parked"] = counts.parked;
  object["dying"] = counts.dying;
  object["dead"] = counts.dead;
  object["done"] = counts.done;
}

void add_totals(boost::json::object& object, const QueueCounts& counts) {
  object["filtered"] = counts.filtered;
  object["gone"] = counts.gone;
  object["redelivered"] = counts.redelivered;
  object["timed_out"] = counts.timed_out;
}

boost::json::object settings_to_json(const QueueSettings& settings) {
  boost::json::object object;
  for (const auto& [key, value] : settings) object[key] = printable_text(value);
  return object;
}

boost::json::object partition_to_json(const QueuePartition& partition) {
  boost::json::object object;
  object["partition"] = partition.partition;
  object["log_start"] = partition.log_start.value;
  object["end"] = partition.end.value;
  object["floor"] = partition.floor.value;
  object["cursor"] = partition.cursor.value;
  add_counts(object, partition.counts);
  add_totals(object, partition.counts);
  add_time(object, "oldest", partition.oldest);
  object["oldest_estimated"] = partition.oldest_estimated;
  object["stalled"] = nullptr;
  if (!partition.stalled.empty()) object["stalled"] = printable_text(partition.stalled);
  boost::json::array blocked;
  for (const QueuePartition::Blocked& key : partition.blocked_keys) {
    boost::json::object entry;
    add_name(entry, "key", key.key);
    entry["by"] = key.by.value;
    entry["state"] = key.state;
    entry["waiting"] = key.waiting;
    blocked.push_back(std::move(entry));
  }
  object["blocked_keys"] = std::move(blocked);
  object["memory_bytes"] = partition.memory_bytes;
  return object;
}

std::string partition_table(std::span<const QueuePartition> partitions) {
  Table table({{"PARTITION", true},
               {"FLOOR", true},
               {"CURSOR", true},
               {"END", true},
               {"WAITING", true},
               {"IN FLIGHT", true},
               {"RETRYING", true},
               {"DELAYED", true},
               {"PARKED", true},
               {"OLDEST"},
               {"STALLED"}});
  for (const QueuePartition& partition : partitions) {
    const QueueCounts& counts = partition.counts;
    table.add({std::to_string(partition.partition), std::to_string(partition.floor.value), std::to_string(partition.cursor.value),
               std::to_string(partition.end.value), std::to_string(counts.waiting), std::to_string(counts.in_flight),
               std::to_string(counts.retrying), std::to_string(counts.delayed), std::to_string(counts.parked),
               (partition.oldest && partition.oldest_estimated ? "~" : "") + time_or_dash(partition.oldest),
               dash_if_empty(partition.stalled)});
  }
  return table.to_string();
}

std::string blocked_text(std::span<const QueuePartition> partitions) {
  std::string text;
  for (const QueuePartition& partition : partitions) {
    for (const QueuePartition::Blocked& key : partition.blocked_keys) {
      text += fmt::format("blocked  {} records of key {} in partition {} wait for {}, which is {}\n", key.waiting, cut(key.key),
                          partition.partition, key.by.value, key.state);
    }
  }
  return text;
}

std::string in_flight_by_partition(const QueueMemberDescription& member) {
  std::string text;
  for (const auto& [partition, in_flight] : member.partitions)
    text += fmt::format("{}{}:{}", text.empty() ? "" : " ", partition, in_flight);
  return dash_if_empty(text);
}

std::string reasons_text(const DeadLetterSummary& summary) {
  std::string text;
  for (const auto& [reason, count] : summary.reasons) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", cut(reason), count);
  return dash_if_empty(text);
}

std::string place(const TopicPartition& where, Offset offset) {
  return fmt::format("{}:{}:{}", where.topic, where.partition, offset.value);
}

std::string headers_text(const DeadLetter& letter) {
  std::string text;
  for (const auto& [name, value] : letter.headers) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", printable_text(name), value ? cut(*value) : "");
  }
  return dash_if_empty(text);
}

}  // namespace

GroupDescription as_group(const QueueDescription& queue) {
  const bool connected = std::ranges::any_of(queue.members, &QueueMemberDescription::connected);
  GroupDescription group;
  group.name = queue.group;
  group.kind = "queue";
  group.protocol = queue.flavor == "share" ? "kafka" : queue.flavor;
  group.state = connected ? "stable" : "empty";
  group.created = queue.created;
  group.start = queue.start;
  group.settings = queue.settings;
  group.topics = {queue.topic};
  for (const QueueMemberDescription& member : queue.members) {
    GroupMemberDescription& named = group.members.emplace_back();
    named.member = member.member;
    named.client_id = member.client_id;
    named.host = member.host;
    named.last_seen = member.seen;
  }
  group.verdict = queue.verdict;
  group.cause = queue.cause;
  group.lag = queue.lag;
  group.lag_seconds = queue.lag_seconds;
  return group;
}

std::string queue_title(const QueueDescription& queue) {
  return fmt::format("queue group {} on {}", printable_text(queue.group), queue.topic);
}

boost::json::object group_to_json(const QueueDescription& queue) {
  boost::json::object object = group_to_json(as_group(queue));
  add_counts(object, queue.counts());
  return object;
}

boost::json::object group_details_to_json(const QueueDescription& queue) {
  boost::json::object object = group_to_json(queue);
  add_totals(object, queue.counts());
  object["created_time"] = format_time(queue.created);
  object["created_ms"] = queue.created.time_since_epoch().count();
  object["start"] = to_string(queue.start);
  object["settings"] = settings_to_json(queue.settings);
  object["effective"] = settings_to_json(queue.effective);
  boost::json::array partitions;
  for (const QueuePartition& partition : queue.partitions) partitions.push_back(partition_to_json(partition));
  object["partition_list"] = std::move(partitions);
  object["member_list"] = queue_members_to_json(queue);
  return object;
}

std::string queue_page(const QueueDescription& queue, bool wide) {
  const QueueCounts counts = queue.counts();
  const GroupDescription group = as_group(queue);
  std::string text =
      fmt::format("{}   queue group on {}, {}, {} member{}, lag {} ({})\n", printable_text(queue.group), queue.topic, group.state,
                  queue.members.size(), queue.members.size() == 1 ? "" : "s", queue.lag, lag_time_text(queue.lag_seconds));
  text += fmt::format("verdict  {}{}\n", queue.verdict, queue.cause.empty() ? "" : ": " + printable_text(queue.cause));
  text += fmt::format("created  {}, starts at {}\n", format_time(queue.created), to_string(queue.start));
  text += fmt::format("records  {} waiting, {} in flight, {} delayed, {} retrying, {} parked, {} dying, {} dead, {} done\n", counts.waiting,
                      counts.in_flight, counts.delayed, counts.retrying, counts.parked, counts.dying, counts.dead, counts.done);
  text += fmt::format("so far   {} redelivered, {} timed out, {} left out by the filter, {} removed from the log before they were done\n",
                      counts.redelivered, counts.timed_out, counts.filtered, counts.gone);
  for (const auto& [key, value] : wide ? queue.effective : queue.settings) {
    text += fmt::format("setting  {} = {}{}\n", key, printable_text(value), wide && !queue.settings.contains(key) ? "  (default)" : "");
  }
  text += blocked_text(queue.partitions);
  text += partition_table(queue.partitions);
  if (!queue.members.empty()) text += "\n" + queue_member_table(queue, wide);
  return text;
}

boost::json::array queue_members_to_json(const QueueDescription& queue) {
  boost::json::array list;
  for (const QueueMemberDescription& member : queue.members) {
    boost::json::object object;
    add_name(object, "member", member.member);
    add_name(object, "client_id", member.client_id);
    object["host"] = printable_text(member.host);
    object["connected"] = member.connected;
    boost::json::array partitions;
    for (const auto& [partition, in_flight] : member.partitions) {
      partitions.push_back({{"topic", queue.topic}, {"partition", partition}, {"in_flight", in_flight}});
    }
    object["partitions"] = std::move(partitions);
    object["in_flight"] = member.in_flight;
    add_time(object, "created", member.created);
    add_time(object, "last_seen", member.seen);
    add_time(object, "last_active", unless_never(member.active));
    list.push_back(std::move(object));
  }
  return list;
}

std::string queue_member_table(const QueueDescription& queue, bool wide) {
  std::vector<Table::Column> columns = {{"MEMBER"}, {"CLIENT"}, {"CONNECTED"}, {"IN FLIGHT", true}, {"LAST SEEN"}, {"LAST RECORD"}};
  if (wide) columns.insert(columns.end(), {{"HOST"}, {"SINCE"}, {"BY PARTITION"}});
  Table table(std::move(columns));
  for (const QueueMemberDescription& member : queue.members) {
    std::vector<std::string> cells = {member.member,
                                      dash_if_empty(member.client_id),
                                      member.connected ? "yes" : "no",
                                      std::to_string(member.in_flight),
                                      format_time(member.seen),
                                      time_or_dash(unless_never(member.active))};
    if (wide) cells.insert(cells.end(), {dash_if_empty(member.host), format_time(member.created), in_flight_by_partition(member)});
    table.add(std::move(cells));
  }
  return table.to_string();
}

boost::json::array pending_to_json(const std::string& topic, std::span<const QueuePendingRow> rows) {
  boost::json::array list;
  for (const QueuePendingRow& row : rows) {
    boost::json::object object;
    object["topic"] = topic;
    object["partition"] = row.partition;
    object["offset"] = row.offset.value;
    object["id"] = fmt::format("{}:{}:{}", topic, row.partition, row.offset.value);
    add_member(object, row.member);
    object["idle_ms"] = nullptr;
    if (row.idle) object["idle_ms"] = row.idle->count();
    object["deliveries"] = row.deliveries;
    object["failures"] = row.failures;
    add_time(object, "due", row.due);
    object["state"] = row.state;
    object["reason"] = nullptr;
    if (!row.reason.empty()) object["reason"] = printable_text(row.reason);
    list.push_back(std::move(object));
  }
  return list;
}

std::string pending_table(const std::string& topic, std::span<const QueuePendingRow> rows, bool wide) {
  Table table({{"RECORD"}, {"STATE"}, {"MEMBER"}, {"IDLE", true}, {"DELIVERIES", true}, {"FAILURES", true}, {"DUE"}, {"REASON"}});
  for (const QueuePendingRow& row : rows) {
    const std::optional<double> idle = row.idle ? std::optional(std::chrono::duration<double>(*row.idle).count()) : std::nullopt;
    table.add({fmt::format("{}:{}:{}", topic, row.partition, row.offset.value), row.state, dash_if_empty(row.member), lag_time_text(idle),
               std::to_string(row.deliveries), std::to_string(row.failures), time_or_dash(row.due),
               dash_if_empty(wide ? row.reason : cut(row.reason))});
  }
  return table.to_string();
}

boost::json::array dead_letters_to_json(std::span<const DeadLetterSummary> summaries) {
  boost::json::array list;
  for (const DeadLetterSummary& summary : summaries) {
    boost::json::object object;
    add_name(object, "group", summary.group);
    object["topic"] = nullptr;  // Of no letters.
    if (!summary.topic.empty()) object["topic"] = summary.topic;
    object["letters_topic"] = summary.letters_topic;
    object["letters"] = summary.letters;
    add_time(object, "oldest", summary.oldest);
    add_time(object, "newest", summary.newest);
    boost::json::array reasons;
    for (const auto& [reason, count] : summary.reasons) reasons.push_back({{"reason", printable_text(reason)}, {"letters", count}});
    object["reasons"] = std::move(reasons);
    list.push_back(std::move(object));
  }
  return list;
}

std::string dead_letters_table(std::span<const DeadLetterSummary> summaries) {
  Table table({{"GROUP"}, {"TOPIC"}, {"LETTERS", true}, {"IN"}, {"OLDEST"}, {"NEWEST"}, {"REASONS"}});
  for (const DeadLetterSummary& summary : summaries) {
    table.add({summary.group, dash_if_empty(summary.topic), std::to_string(summary.letters), summary.letters_topic,
               time_or_dash(summary.oldest), time_or_dash(summary.newest), reasons_text(summary)});
  }
  return table.to_string();
}

boost::json::array letters_to_json(std::span<const DeadLetter> letters) {
  boost::json::array list;
  for (const DeadLetter& letter : letters) {
    boost::json::object object;
    object["topic"] = letter.where.topic;
    object["partition"] = letter.where.partition;
    object["offset"] = letter.offset.value;
    add_name(object, "group", letter.group);
    object["from_topic"] = letter.from.topic;
    object["from_partition"] = letter.from.partition;
    object["from_offset"] = letter.from_offset.value;
    object["reason"] = printable_text(letter.reason);
    object["deliveries"] = letter.deliveries;
    object["failures"] = letter.failures;
    add_member(object, letter.member);
    add_time(object, "died", letter.died);
    object["time"] = nullptr;
    if (letter.timestamp) object["time"] = format_time(*letter.timestamp);
    object["timestamp_ms"] = letter.timestamp ? letter.timestamp->time_since_epoch().count() : -1;
    add_bytes(object, "key", letter.key);
    add_bytes(object, "value", letter.value);
    boost::json::array headers;
    for (const auto& [name, value] : letter.headers) {
      boost::json::object header;
      add_bytes(header, "name", name);
      add_bytes(header, "value", value);
      headers.push_back(std::move(header));
    }
    object["headers"] = std::move(headers);
    list.push_back(std::move(object));
  }
  return list;
}

std::string letters_table(std::span<const DeadLetter> letters, bool wide) {
  std::vector<Table::Column> columns = {{"FROM"}, {"DIED"}, {"FAILURES", true}, {"REASON"}, {"KEY"}, {"VALUE"}};
  if (wide) columns.insert(columns.end(), {{"LETTER"}, {"DELIVERIES", true}, {"MEMBER"}, {"HEADERS"}});
  Table table(std::move(columns));
  for (const DeadLetter& letter : letters) {
    std::vector<std::string> cells = {place(letter.from, letter.from_offset), format_time(letter.died), std::to_string(letter.failures),
                                      dash_if_empty(cut(letter.reason)),      cell_of(letter.key),      cell_of(letter.value)};
    if (wide) {
      cells.insert(cells.end(), {place(letter.where, letter.offset), std::to_string(letter.deliveries), dash_if_empty(letter.member),
                                 headers_text(letter)});
    }
    table.add(std::move(cells));
  }
  return table.to_string();
}

}  // namespace tidemark::tools
