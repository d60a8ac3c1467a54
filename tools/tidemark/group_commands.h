#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/tidemark/group_target.h"
#include "tools/tidemark/options.h"

/// What the verbs of `tidemark group` do, for both kinds of groups. What only queue groups have is in queue_commands.h.
namespace tidemark::tools {

struct GroupCreateOptions {
  std::string group;
  std::vector<std::string> topics;
  bool queue = false;
  std::string from = "earliest";
  std::vector<std::string> settings;
};
struct GroupAlterOptions {
  GroupName name;
  std::vector<std::string> settings;
};
struct GroupRemoveOptions {
  std::vector<std::string> groups;
  GroupName choice;  ///< Without a name.
};
struct GroupLagOptions {
  GroupName name;  ///< No group: all.
  bool watch = false;
};
struct GroupSeekOptions {
  GroupName name;  ///< With a topic, only that one is moved.
  std::string to;  ///< A position, or group:G2.
  std::optional<std::int32_t> partition;
  bool execute = false;
  bool force = false;
};
struct GroupUndoOptions {
  GroupName name;
  bool execute = false;
  bool force = false;
};
struct GroupCheckOptions {
  GroupName name;
  std::string lag_time;  ///< Durations; empty: the verdict alone counts.
  std::string critical;
};

Exit group_create(const GroupCreateOptions& options, const Globals& globals);
Exit group_list(const GroupName& choice, const Globals& globals);
Exit group_show(const GroupName& name, const Globals& globals);
Exit group_alter(const GroupAlterOptions& options, const Globals& globals);
/// `done` is what it is told to have been: "altered".
Exit alter_group(const GroupName& name, const GroupSettings& settings, std::string_view done, const Globals& globals);
Exit group_remove(const GroupRemoveOptions& options, const Globals& globals);
Exit group_members(const GroupName& name, const Globals& globals);
/// Once, or every second until it is interrupted.
Exit group_lag(const GroupLagOptions& options, const Globals& globals, Interrupts& interrupts);

/// Only the plan, unless told to execute it.
Exit group_seek(const GroupSeekOptions& options, const Globals& globals);
Exit group_undo(const GroupUndoOptions& options, const Globals& globals);
Exit group_history(const GroupName& name, const Globals& globals);

/// As a monitoring plugin: one line on stdout; 0 fine, 1 a warning, 2 critical, 3 not known, errors of any kind included.
Exit group_check(const GroupCheckOptions& options, const Globals& globals);

}  // namespace tidemark::tools
