#include "broker/groups/group_types.h"

#include "storage/base/closest_word.h"
#include "storage/base/units.h"

namespace tidemark::broker {
namespace {

Error bad_setting(std::string_view key, std::string_view value, std::string_view rule) {
  return {Errc::invalid_config, std::string(key) + " = " + std::string(value) + ": " + std::string(rule)};
}

}  // namespace

std::string_view to_string(GroupKind kind) { return kind == GroupKind::queue ? "queue" : "stream"; }

std::string_view to_string(GroupProtocol protocol) {
  switch (protocol) {
    case GroupProtocol::none:
      return "none";
    case GroupProtocol::native:
      return "native";
    case GroupProtocol::classic:
      return "classic";
  }
  return "unknown";
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::draining:
      return "draining";
    case Verdict::slow:
      return "slow";
    case Verdict::stalled:
      return "stalled";
    case Verdict::stopped:
      return "stopped";
    case Verdict::rewound:
      return "rewound";
    case Verdict::paused:
      return "paused";
    case Verdict::at_risk:
      return "at-risk";
  }
  return "unknown";
}

int severity(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return 0;
    case Verdict::paused:
      return 1;
    case Verdict::draining:
      return 2;
    case Verdict::slow:
      return 3;
    case Verdict::rewound:
      return 4;
    case Verdict::stalled:
      return 5;
    case Verdict::stopped:
      return 6;
    case Verdict::at_risk:
      return 7;
  }
  return 0;
}

Status validate_group_name(std::string_view name) {
  if (!name.empty() && name.size() <= kGroupNameBytesMax) return {};
  return Error{Errc::invalid_argument,
               "a group name has 1 to " + std::to_string(kGroupNameBytesMax) + " bytes, not " + std::to_string(name.size())};
}

Result<GroupSettings> resolve_group_settings(const std::map<std::string, std::string>& settings) {
  GroupSettings resolved;
  for (const auto& [key, value] : settings) {
    if (key == "on.gone") {
      if (value != "fail" && value != "earliest" && value != "latest") return bad_setting(key, value, "must be fail, earliest or latest");
      resolved.when_gone = value == "fail" ? WhenGone::fail : value == "latest" ? WhenGone::latest : WhenGone::earliest;
    } else if (key == "offsets.retention" || key == "lag.objective") {
      const Result<std::chrono::milliseconds> duration = parse_duration(value);
      if (!duration || duration->count() <= 0) return bad_setting(key, value, "must be a duration such as 7d or 30s");
      if (key == "lag.objective")
        resolved.lag_objective = *duration;
      else
        resolved.offsets_retention = *duration;
    } else {
      ClosestWord close(key);
      for (const std::string_view known : {"on.gone", "offsets.retention", "lag.objective"}) close.offer(known);
      const std::string hint = close.best().empty() ? "" : "; did you mean '" + close.best() + "'?";
      return Error{Errc::invalid_config, "unknown group setting '" + key + "'" + hint};
    }
  }
  return resolved;
}

}  // namespace tidemark::broker
