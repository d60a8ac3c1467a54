#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/redis/adapter/command.h"
#include "storage/base/result.h"

namespace tidemark::redis {

// The commands by family. Each table stands beside its handlers.
std::span<const CommandSpec> connection_commands();
std::span<const CommandSpec> client_commands();
std::span<const CommandSpec> server_commands();
std::span<const CommandSpec> config_commands();
std::span<const CommandSpec> introspection_commands();
std::span<const CommandSpec> pubsub_commands();
std::span<const CommandSpec> transaction_commands();
std::span<const CommandSpec> stream_commands();
std::span<const CommandSpec> keyspace_commands();

/// Every command, by name.
const std::vector<const CommandSpec*>& all_commands();

/// A command by its name, in any case; null if there is none. "client|id" finds a subcommand.
const CommandSpec* find_command(std::string_view name);

/// Number of a command or subcommand, below command_count(); for counters.
std::size_t command_number(const CommandSpec& command);
std::size_t command_count();

/// The command that a request asks for, with its arity checked. An error's detail is what Redis says, with its code in front.
Result<const CommandSpec*> look_up(const Arguments& arguments);

}  // namespace tidemark::redis
