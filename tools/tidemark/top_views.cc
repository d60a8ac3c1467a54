#include "tools/tidemark/top_views.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "storage/base/time_text.h"
#include "storage/base/units.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/output.h"
#include "tools/tidemark/sparkline.h"

namespace tidemark::tools {
namespace {

using Cell = TopTable::Cell;

constexpr std::size_t kTrendWidth = 10;

Cell count_cell(std::uint64_t count) { return Cell::of(short_count(count), static_cast<double>(count)); }
Cell rate_cell(std::optional<double> rate) { return Cell::of(short_rate(rate), rate.value_or(-1)); }
Cell seconds_cell(std::optional<double> seconds) { return Cell::of(lag_time_text(seconds), seconds.value_or(-1)); }
Cell name_cell(const std::string& name) { return Cell::of(printable_text(name)); }

Cell lag_cell(std::optional<std::int64_t> lag) {
  if (!lag) return Cell::of("-", -1);
  return count_cell(static_cast<std::uint64_t>(std::max<std::int64_t>(*lag, 0)));
}

/// Sorted by how much it needs somebody.
Cell verdict_cell(const std::string& verdict) {
  static constexpr std::string_view kOrder[] = {"", "ok", "paused", "draining", "slow", "rewound", "stalled", "stopped", "at-risk"};
  const auto found = std::ranges::find(kOrder, verdict);
  return {verdict.empty() ? "-" : verdict, static_cast<double>(found - std::begin(kOrder)), style_of(verdict)};
}

std::string group_id(const TopGroup& group) { return group.kind + " " + group.name + " " + (group.kind == "queue" ? group.topics : ""); }

TopTable group_table(const TopModel& model) {
  TopTable table{.columns = {{.title = "GROUP", .width = 14, .importance = 9, .grows = true},
                             {.title = "VERDICT", .width = 9, .importance = 9, .highest_first = true},
                             {.title = "LAG", .width = 6, .right = true, .importance = 8, .highest_first = true},
                             {.title = "LAG TIME", .width = 9, .right = true, .importance = 8, .highest_first = true},
                             {.title = "IN", .width = 7, .right = true, .importance = 6, .highest_first = true},
                             {.title = "OUT", .width = 7, .right = true, .importance = 6, .highest_first = true},
                             {.title = "ETA", .width = 7, .right = true, .importance = 7, .highest_first = true},
                             {.title = "TREND", .width = kTrendWidth, .importance = 5, .highest_first = true},
                             {.title = "MEMB", .width = 5, .right = true, .importance = 4, .highest_first = true},
                             {.title = "DEAD", .width = 6, .right = true, .importance = 3, .highest_first = true},
                             {.title = "HEADROOM", .width = 9, .right = true, .importance = 2, .highest_first = true},
                             {.title = "KIND", .width = 6, .importance = 1},
                             {.title = "TOPICS", .width = 16, .importance = 1}}};
  for (const TopGroup& group : model.groups()) {
    const std::optional<double> headroom = group.lag.value_or(0) > 0 ? group.headroom_seconds : std::nullopt;
    table.rows.push_back(
        {.id = group_id(group),
         .cells = {name_cell(group.name), verdict_cell(group.verdict), lag_cell(group.lag), seconds_cell(group.lag_seconds),
                   rate_cell(group.in_rate), rate_cell(group.out_rate), seconds_cell(group.eta_seconds),
                   Cell::of(sparkline(group.trend, kTrendWidth), static_cast<double>(group.lag.value_or(-1))),
                   count_cell(group.members.size()), group.counts ? count_cell(group.counts->dead) : Cell::of("-", -1),
                   seconds_cell(headroom), Cell::of(group.kind), name_cell(group.topics)},
         .note = printable_text(group.cause)});
  }
  return table;
}

TopTable topic_table(const TopModel& model) {
  TopTable table{.columns = {{.title = "TOPIC", .width = 16, .importance = 9, .grows = true},
                             {.title = "PART", .width = 6, .right = true, .importance = 7, .highest_first = true},
                             {.title = "RECORDS", .width = 8, .right = true, .importance = 8, .highest_first = true},
                             {.title = "SIZE", .width = 10, .right = true, .importance = 8, .highest_first = true},
                             {.title = "IN", .width = 7, .right = true, .importance = 8, .highest_first = true},
                             {.title = "GROUPS", .width = 7, .right = true, .importance = 6, .highest_first = true},
                             {.title = "WORST", .width = 9, .importance = 6, .highest_first = true},
                             {.title = "DURABILITY", .width = 11, .importance = 5}}};
  for (const TopTopic& topic : model.topics()) {
    table.rows.push_back(
        {.id = topic.about.name,
         .cells = {name_cell(topic.about.name), count_cell(static_cast<std::uint64_t>(std::max(topic.about.partitions, 0))),
                   count_cell(static_cast<std::uint64_t>(std::max<std::int64_t>(topic.about.records, 0))),
                   Cell::of(format_size(topic.about.bytes), static_cast<double>(topic.about.bytes)), rate_cell(topic.in_rate),
                   count_cell(topic.groups.size()), verdict_cell(topic.verdict), Cell::of(topic.about.durability)},
         .note = topic.groups.empty() ? "" : printable_text(fmt::format("read by {}", fmt::join(topic.groups, ", ")))});
  }
  return table;
}

TopTable client_table(const TopModel& model) {
  TopTable table{.columns = {{.title = "MEMBER", .width = 18, .importance = 9, .grows = true},
                             {.title = "GROUP", .width = 14, .importance = 8},
                             {.title = "HOLDS", .width = 18, .importance = 7},
                             {.title = "CLIENT", .width = 16, .importance = 6},
                             {.title = "HOST", .width = 16, .importance = 4},
                             {.title = "KIND", .width = 6, .importance = 3}}};
  for (const TopMember& member : model.members()) {
    table.rows.push_back(
        {.id = member.group + " " + member.member,
         .cells = {name_cell(member.member), name_cell(member.group), name_cell(member.holds),
                   member.client_id.empty() ? Cell::of("-") : name_cell(member.client_id), name_cell(member.host), Cell::of(member.kind)},
         .note = "last heard of " + format_time(member.seen)});
  }
  return table;
}

TopTable letter_table(const TopModel& model) {
  TopTable table{.columns = {{.title = "GROUP", .width = 14, .importance = 9},
                             {.title = "LETTERS", .width = 8, .right = true, .importance = 9, .highest_first = true},
                             {.title = "MOST FREQUENT REASON", .width = 24, .importance = 8, .grows = true},
                             {.title = "FROM", .width = 12, .importance = 6},
                             {.title = "NEWEST", .width = 24, .importance = 5, .highest_first = true},
                             {.title = "IN", .width = 16, .importance = 4}}};
  for (const DeadLetterSummary& summary : model.letters()) {
    const double newest = summary.newest ? static_cast<double>(summary.newest->time_since_epoch().count()) : -1;
    table.rows.push_back(
        {.id = summary.group + " " + summary.topic,
         .cells = {name_cell(summary.group), count_cell(summary.letters),
                   summary.reasons.empty() ? Cell::of("-") : name_cell(summary.reasons.front().first), name_cell(summary.topic),
                   Cell::of(summary.newest ? format_time(*summary.newest) : "-", newest), name_cell(summary.letters_topic)},
         .note = fmt::format("tidemark dlq show {}", printable_text(summary.group))});
  }
  return table;
}

// --- Details.

Line titled(std::string_view title, std::string text, Style style = Style::plain) {
  return {{fit(title, 11), Style::dim}, {std::move(text), style}};
}

std::vector<Line> group_details(const TopGroup& group, std::size_t width) {
  std::vector<Line> lines;
  lines.push_back(
      titled(" group", fmt::format("{}, {} group on {}", printable_text(group.name), group.kind, printable_text(group.topics))));
  lines.push_back(
      titled(" verdict", group.verdict + (group.cause.empty() ? "" : ": " + printable_text(group.cause)), style_of(group.verdict)));
  lines.push_back(titled(" lag", fmt::format("{}, {} behind, {} in, {} out, done in {}", group.lag ? std::to_string(*group.lag) : "-",
                                             lag_time_text(group.lag_seconds), short_rate(group.in_rate), short_rate(group.out_rate),
                                             group.eta_seconds ? "about " + lag_time_text(group.eta_seconds) : "-")));
  lines.push_back(titled(" trend", sparkline(group.trend, std::min<std::size_t>(TopModel::kTrendMax, width > 13 ? width - 13 : 1))));
  if (group.counts) {
    const QueueCounts& counts = *group.counts;
    lines.push_back(
        titled(" records", fmt::format("{} waiting, {} in flight, {} retrying, {} delayed, {} parked, {} dead, {} done", counts.waiting,
                                       counts.in_flight, counts.retrying, counts.delayed, counts.parked, counts.dead, counts.done)));
  }
  TopTable table{.columns = {{.title = "TOPIC", .width = 12, .importance = 9, .grows = true},
                             {.title = "P", .width = 4, .right = true, .importance = 9},
                             {.title = "FLOOR", .width = 9, .right = true, .importance = 7},
                             {.title = "END", .width = 9, .right = true, .importance = 7},
                             {.title = "LAG", .width = 6, .right = true, .importance = 8},
                             {.title = "LAG TIME", .width = 9, .right = true, .importance = 8},
                             {.title = "VERDICT", .width = 9, .importance = 8},
                             {.title = "MEMBER", .width = 14, .importance = 5}}};
  for (const GroupPartitionLag& row : group.partitions) {
    table.rows.push_back(
        {.id = {},
         .cells = {name_cell(row.where.topic), Cell::of(std::to_string(row.where.partition)),
                   Cell::of(row.floor ? std::to_string(row.floor->value) : "-"), Cell::of(std::to_string(row.end.value)), lag_cell(row.lag),
                   seconds_cell(row.lag_seconds), verdict_cell(row.verdict), row.member.empty() ? Cell::of("-") : name_cell(row.member)},
         .note = {}});
  }
  lines.emplace_back();
  for (Line& line : table.layout(width, table.columns.size(), false, 0, table.rows.size())) lines.push_back(std::move(line));
  if (!group.members.empty()) lines.emplace_back();
  for (const TopMember& member : group.members) {
    lines.push_back(titled(" member", fmt::format("{}  {}  {}  {}", printable_text(member.member), printable_text(member.client_id),
                                                  printable_text(member.host), printable_text(member.holds))));
  }
  return lines;
}

std::vector<Line> topic_details(const TopTopic& topic, const TopModel& model) {
  std::vector<Line> lines;
  lines.push_back(titled(" topic", fmt::format("{}, {} partition{}, {}, entry ids by {}", topic.about.name, topic.about.partitions,
                                               topic.about.partitions == 1 ? "" : "s", topic.about.durability, topic.about.entry_id)));
  lines.push_back(titled(
      " holds", fmt::format("{} records, {}, {} in", topic.about.records, format_size(topic.about.bytes), short_rate(topic.in_rate))));
  lines.push_back(titled(" created", format_time(topic.about.created)));
  for (const auto& [key, value] : topic.about.config) lines.push_back(titled(" setting", key + " = " + printable_text(value)));
  for (const TopGroup& group : model.groups()) {
    if (std::ranges::find(topic.groups, group.name) == topic.groups.end()) continue;
    lines.push_back(titled(" group",
                           fmt::format("{}  {}  lag {}  {}", printable_text(group.name), group.verdict,
                                       group.lag ? std::to_string(*group.lag) : "-", printable_text(group.cause)),
                           style_of(group.verdict)));
  }
  return lines;
}

std::vector<Line> letter_details(const DeadLetterSummary& summary) {
  std::vector<Line> lines;
  lines.push_back(titled(" group", fmt::format("{}, {} letters from {} in {}", printable_text(summary.group), summary.letters,
                                               summary.topic, printable_text(summary.letters_topic))));
  if (summary.oldest) lines.push_back(titled(" oldest", format_time(*summary.oldest)));
  if (summary.newest) lines.push_back(titled(" newest", format_time(*summary.newest)));
  for (const auto& [reason, count] : summary.reasons)
    lines.push_back(titled(" reason", fmt::format("{:>7}  {}", count, printable_text(reason))));
  lines.push_back(
      titled(" next", fmt::format("tidemark dlq show {0}     tidemark dlq redrive {0} --dry-run", printable_text(summary.group))));
  return lines;
}

std::vector<Line> member_details(const TopMember& member) {
  return {titled(" member", printable_text(member.member)),
          titled(" group", fmt::format("{}, {} group", printable_text(member.group), member.kind)),
          titled(" client", member.client_id.empty() ? "not connected" : printable_text(member.client_id)),
          titled(" host", printable_text(member.host)),
          titled(" holds", printable_text(member.holds)),
          titled(" last seen", format_time(member.seen))};
}

}  // namespace

std::string_view name_of(TopView view) {
  switch (view) {
    case TopView::groups:
      return "groups";
    case TopView::topics:
      return "topics";
    case TopView::clients:
      return "clients";
    case TopView::letters:
      return "dlq";
  }
  return "";
}

std::optional<TopView> parse_top_view(std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const TopView view : kTopViews) {
    if (name_of(view).starts_with(name)) return view;
  }
  for (const auto& [other, view] : {std::pair("dead", TopView::letters), {"letters", TopView::letters}, {"members", TopView::clients}}) {
    if (std::string_view(other).starts_with(name)) return view;
  }
  return std::nullopt;
}

std::size_t first_sort(TopView view) { return view == TopView::groups || view == TopView::letters ? 1 : 0; }

TopTable table_of(TopView view, const TopModel& model) {
  switch (view) {
    case TopView::groups:
      return group_table(model);
    case TopView::topics:
      return topic_table(model);
    case TopView::clients:
      return client_table(model);
    case TopView::letters:
      return letter_table(model);
  }
  return {};
}

std::vector<Line> details_of(TopView view, const std::string& id, const TopModel& model, std::size_t width) {
  switch (view) {
    case TopView::groups:
      for (const TopGroup& group : model.groups()) {
        if (group_id(group) == id) return group_details(group, width);
      }
      break;
    case TopView::topics:
      for (const TopTopic& topic : model.topics()) {
        if (topic.about.name == id) return topic_details(topic, model);
      }
      break;
    case TopView::clients:
      for (const TopMember& member : model.members()) {
        if (member.group + " " + member.member == id) return member_details(member);
      }
      break;
    case TopView::letters:
      for (const DeadLetterSummary& summary : model.letters()) {
        if (summary.group + " " + summary.topic == id) return letter_details(summary);
      }
      break;
  }
  return {};
}

std::vector<Line> broker_lines(const TopModel& model, std::size_t width) {
  const BrokerStatus& status = model.status();
  // Shortest things that matter most come first: what does not fit is cut.
  const std::string traffic = fmt::format(" in {}  out {}  flush p99 {:.1f} ms  memory {} of {}  disk {} free", short_rate(model.in_rate()),
                                          short_rate(model.out_rate()), status.flush_ms_p99, format_size(status.memory_used_bytes),
                                          format_size(status.memory_limit_bytes), format_size(status.disk_free_bytes));
  std::map<std::string, std::size_t> verdicts;
  for (const TopGroup& group : model.groups()) ++verdicts[group.verdict];
  Line counts{{fmt::format(" {} topics  {} partitions  {} groups", model.topics().size(), status.partitions, model.groups().size())}};
  for (const char* const verdict : {"at-risk", "stopped", "stalled", "rewound", "slow", "draining", "paused", "ok"}) {
    if (const auto found = verdicts.find(verdict); found != verdicts.end()) {
      counts.push_back({"  "});
      counts.push_back({fmt::format("{} {}", found->second, verdict), style_of(verdict)});
    }
  }
  std::vector<Line> lines = {{{traffic}}, std::move(counts)};
  if (!status.read_only.empty()) lines[0] = {{" appends are refused: " + printable_text(status.read_only), Style::bad}};
  for (Line& line : lines) line = cut(std::move(line), width);
  return lines;
}

}  // namespace tidemark::tools
