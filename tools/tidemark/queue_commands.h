#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tools/tidemark/group_target.h"
#include "tools/tidemark/options.h"

/// What the verbs do that only queue groups have: on unfinished records, and on dead letters.
namespace tidemark::tools {

struct GroupPendingOptions {
  GroupName name;
  std::string older;  ///< A duration; empty: whatever its age.
  std::optional<std::string> member;
  std::vector<std::string> states;
  std::optional<std::int32_t> partition;
  std::size_t count = 1000;  ///< 1 to 10 000.
};
struct GroupPauseOptions {
  GroupName name;
  std::string until;  ///< A time, or a duration from now; empty: for ever.
};
struct GroupReleaseOptions {
  GroupName name;
  std::optional<std::string> member;
  std::string older;
  std::vector<std::string> records;  ///< T:P:OFF
};
struct GroupKickOptions {
  GroupName name;
  std::string match;
  std::vector<std::string> records;
};

/// Unfinished records, by partition and offset.
Exit group_pending(const GroupPendingOptions& options, const Globals& globals);
Exit group_pause(const GroupPauseOptions& options, const Globals& globals);
Exit group_resume(const GroupName& name, const Globals& globals);
// These tell how many records it is about, ask, and do it.
Exit group_purge(const GroupName& name, const Globals& globals);
Exit group_release(const GroupReleaseOptions& options, const Globals& globals);
Exit group_kick(const GroupKickOptions& options, const Globals& globals);

struct RedriveOptions {
  std::string group;
  std::string topic;
  std::string match;
  std::size_t max = 0;  ///< 0: all.
  std::string rate;
  std::string to;
};

/// nullopt: of all groups.
Exit dlq_list(const std::optional<std::string>& group, const Globals& globals);
Exit dlq_show(const std::string& group, std::size_t count, const Globals& globals);
Exit dlq_redrive(const RedriveOptions& options, const Globals& globals);
Exit dlq_purge(const std::string& group, const Globals& globals);

}  // namespace tidemark::tools
