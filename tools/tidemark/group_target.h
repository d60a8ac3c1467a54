#pragma once

#include <string>
#include <variant>

#include "storage/base/result.h"
#include "tidemark/client.h"

namespace CLI {
class App;
}

namespace tidemark::tools {

/// A group as the command line names it. A stream group is named by its name, a queue group by name and topic; most names are unique, and
/// then the name alone will do.
struct GroupName {
  std::string group;
  std::string topic = {};  ///< --topic; empty: not said.
  std::string kind = {};   ///< --kind: stream or queue; empty: either.
};

/// The option --topic and the option --kind, for the verbs on groups.
void add_group_choice(CLI::App& verb, GroupName& name);
/// The same, behind the group's name.
void add_group_name(CLI::App& verb, GroupName& name);

/// Whether --topic and --kind leave room for this group, whatever its name.
bool chosen(const GroupName& name, const GroupDescription& group);
bool chosen(const GroupName& name, const QueueDescription& queue);

using AnyGroup = std::variant<GroupDescription, QueueDescription>;

/// The group that is meant. Errors: unknown_group; invalid_argument listing the candidates when there are several.
Result<AnyGroup> find_group(Client& client, const GroupName& name);
/// The same for verbs that only queue groups have; invalid_argument when it is a stream group.
Result<QueueDescription> find_queue(Client& client, const GroupName& name);
/// The same for verbs that only stream groups have; `verb` is named in the error.
Result<GroupDescription> find_stream(Client& client, const GroupName& name, std::string_view verb);

}  // namespace tidemark::tools
