#include <algorithm>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/base/units.h"
#include "tools/tidemark/group_commands.h"
#include "tools/tidemark/group_view.h"
#include "tools/tidemark/queue_view.h"
#include "tools/tidemark/session.h"

/// `group check`, for monitoring.
namespace tidemark::tools {
namespace {

constexpr int kUnknown = 3;

Result<std::optional<double>> parse_seconds(const std::string& text) {
  if (text.empty()) return std::optional<double>();
  const Result<std::chrono::milliseconds> duration = parse_duration(text);
  if (!duration) return duration.error();
  return std::optional<double>(std::chrono::duration<double>(*duration).count());
}

Exit answer(int code, const std::string& text, boost::json::object object, const Globals& globals) {
  static constexpr std::string_view kNames[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  const std::string_view name = kNames[std::clamp(code, 0, kUnknown)];
  if (is_json(globals.output)) {
    object["result"] = name;
    object["message"] = text;
    print_json(object);
  } else if (!write_stdout(fmt::format("{}: {}\n", name, text))) {
    return static_cast<Exit>(kUnknown);
  }
  return static_cast<Exit>(code);
}

Exit unknown(const GroupCheckOptions& options, const Error& error, const Globals& globals) {
  return answer(kUnknown, printable_text(options.name.group) + ": " + printable_text(error.detail),
                boost::json::object{{"group", printable_text(options.name.group)}}, globals);
}

}  // namespace

Exit group_check(const GroupCheckOptions& options, const Globals& globals) {
  const Result<std::optional<double>> warning = parse_seconds(options.lag_time);
  if (!warning) return unknown(options, warning.error(), globals);
  const Result<std::optional<double>> critical = parse_seconds(options.critical);
  if (!critical) return unknown(options, critical.error(), globals);
  Result<Client> client = connect(globals);
  if (!client) return unknown(options, client.error(), globals);
  const Result<AnyGroup> found = find_group(*client, options.name);
  if (!found) return unknown(options, found.error(), globals);
  const auto* const queue = std::get_if<QueueDescription>(&*found);
  const GroupDescription group = queue != nullptr ? as_group(*queue) : std::get<GroupDescription>(*found);

  int code = severity(group.verdict);
  const double behind = group.lag_seconds.value_or(0);
  if (*warning && behind >= **warning) code = std::max(code, 1);
  if (*critical && behind >= **critical) code = std::max(code, 2);
  std::string text = fmt::format("{} {}", printable_text(group.name), group.verdict);
  if (!group.cause.empty()) text += " (" + printable_text(group.cause) + ")";
  text += fmt::format(", lag {}, {} behind", group.lag ? std::to_string(*group.lag) : "unknown", lag_time_text(group.lag_seconds));
  if (group.eta_seconds) text += fmt::format(", done in about {}", lag_time_text(group.eta_seconds));
  if (queue != nullptr) {
    const QueueCounts counts = queue->counts();
    text += fmt::format(", {} retrying, {} parked, {} dead", counts.retrying + counts.delayed, counts.parked, counts.dead);
  }
  return answer(code, text, queue != nullptr ? group_to_json(*queue) : group_to_json(group), globals);
}

}  // namespace tidemark::tools
