#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/tidemark/options.h"

/// What the verbs of `tidemark group` do.
namespace tidemark::tools {

struct GroupCreateOptions {
  std::string group;
  std::vector<std::string> topics;
  std::string from = "earliest";
  std::vector<std::string> settings;
};
struct GroupAlterOptions {
  std::string group;
  std::vector<std::string> settings;
};
struct GroupLagOptions {
  std::optional<std::string> group;
  bool watch = false;
};
struct GroupSeekOptions {
  std::string group;
  std::string to;  ///< A position, or group:G2.
  std::optional<std::string> topic;
  std::optional<std::int32_t> partition;
  bool execute = false;
  bool force = false;
};
struct GroupUndoOptions {
  std::string group;
  bool execute = false;
  bool force = false;
};
struct GroupCheckOptions {
  std::string group;
  std::string lag_time;  ///< Durations; empty: the verdict alone counts.
  std::string critical;
};

Exit group_create(const GroupCreateOptions& options, const Globals& globals);
Exit group_list(const Globals& globals);
Exit group_show(const std::string& group, const Globals& globals);
Exit group_alter(const GroupAlterOptions& options, const Globals& globals);
Exit group_remove(const std::vector<std::string>& groups, const Globals& globals);
Exit group_members(const std::string& group, const Globals& globals);
/// Once, or every second until it is interrupted.
Exit group_lag(const GroupLagOptions& options, const Globals& globals, Interrupts& interrupts);

/// Only the plan, unless told to execute it.
Exit group_seek(const GroupSeekOptions& options, const Globals& globals);
Exit group_undo(const GroupUndoOptions& options, const Globals& globals);
Exit group_history(const std::string& group, const Globals& globals);

/// As a monitoring plugin: one line on stdout; 0 fine, 1 a warning, 2 critical, 3 not known, errors of any kind included.
Exit group_check(const GroupCheckOptions& options, const Globals& globals);

}  // namespace tidemark::tools
