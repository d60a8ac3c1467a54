#include <algorithm>
#include <array>
#include <utility>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/glob.h"
#include "protocol/redis/adapter/help.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

constexpr std::array<std::pair<CommandFlag, std::string_view>, 13> kFlagNames = {{
    {kWrite, "write"},
    {kReadonly, "readonly"},
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kPubSub, "pubsub"},
    {kNoScript, "noscript"},
    {kBlocking, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kMovableKeys, "movablekeys"},
    {kNoMulti, "no_multi"},
}};

std::string_view name_of(CommandGroup group) {
  switch (group) {
    case CommandGroup::connection:
      return "connection";
    case CommandGroup::generic:
      return "generic";
    case CommandGroup::pubsub:
      return "pubsub";
    case CommandGroup::scripting:
      return "scripting";
    case CommandGroup::server:
      return "server";
    case CommandGroup::stream:
      return "stream";
    case CommandGroup::transactions:
      return "transactions";
    case CommandGroup::cluster:
      return "cluster";
  }
  return "generic";
}

/// The categories of Redis's ACLs, which follow from flags and group.
std::vector<std::string> categories_of(const CommandSpec& command) {
  std::vector<std::string> categories;
  const auto add = [&](bool condition, const char* name) {
    if (condition) categories.emplace_back(name);
  };
  const std::uint32_t flags = command.flags;
  add(command.group == CommandGroup::generic && command.keys.first != 0, "@keyspace");
  add((flags & kReadonly) != 0, "@read");
  add((flags & kWrite) != 0, "@write");
  add(command.group == CommandGroup::stream, "@stream");
  add((flags & kPubSub) != 0, "@pubsub");
  add((flags & kAdmin) != 0, "@admin");
  add((flags & kFast) != 0, "@fast");
  add((flags & kFast) == 0, "@slow");
  add((flags & kBlocking) != 0, "@blocking");
  add((flags & kAdmin) != 0, "@dangerous");
  add(command.group == CommandGroup::connection, "@connection");
  add(command.group == CommandGroup::transactions, "@transaction");
  add(command.group == CommandGroup::scripting, "@scripting");
  return categories;
}

void write_info(RespWriter& reply, const CommandSpec& command) {
  reply.array(10);
  reply.bulk(command.name);
  reply.integer(command.arity);
  std::vector<std::string_view> flags;
  for (const auto& [flag, name] : kFlagNames) {
    if ((command.flags & flag) != 0) flags.push_back(name);
  }
  reply.set(flags.size());
  for (const std::string_view flag : flags) reply.simple(flag);
  reply.integer(command.keys.first);
  reply.integer(command.keys.last);
  reply.integer(command.keys.step);
  const std::vector<std::string> categories = categories_of(command);
  reply.set(categories.size());
  for (const std::string& category : categories) reply.simple(category);
  reply.array(0);  // Hints for routers of clusters.
  reply.array(0);  // Key specifications: first, last and step say what there is to say.
  reply.array(command.subcommands.size());
  for (const CommandSpec& subcommand : command.subcommands) write_info(reply, subcommand);
}

void write_docs(RespWriter& reply, const CommandSpec& command) {
  reply.bulk(command.name);
  reply.map(command.subcommands.empty() ? 3 : 4);
  reply.bulk("summary");
  reply.bulk(command.summary);
  reply.bulk("since");
  reply.bulk(command.since);
  reply.bulk("group");
  reply.bulk(name_of(command.group));
  if (command.subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(command.subcommands.size());
  for (const CommandSpec& subcommand : command.subcommands) write_docs(reply, subcommand);
}

void write_all(const Call& call) {
  RespWriter reply = call.writer();
  reply.array(all_commands().size());
  for (const CommandSpec* const command : all_commands()) write_info(reply, *command);
  call.reply(std::move(reply));
}

void handle_command(const Call& call, const Request&) { write_all(call); }

void handle_count(const Call& call, const Request&) { call.integer(static_cast<std::int64_t>(all_commands().size())); }

void handle_info(const Call& call, const Request& request) {
  if (request.size() == 2) return write_all(call);
  RespWriter reply = call.writer();
  reply.array(request.size() - 2);
  for (std::size_t i = 2; i < request.size(); ++i) {
    const CommandSpec* const command = find_command(request[i]);
    command == nullptr ? reply.null_array() : write_info(reply, *command);
  }
  call.reply(std::move(reply));
}

void handle_docs(const Call& call, const Request& request) {
  std::vector<const CommandSpec*> wanted;
  for (std::size_t i = 2; i < request.size(); ++i) {
    const CommandSpec* const command = find_command(request[i]);
    if (command != nullptr && std::ranges::find(wanted, command) == wanted.end()) wanted.push_back(command);
  }
  if (request.size() == 2) wanted = all_commands();
  RespWriter reply = call.writer();
  reply.map(wanted.size());
  for (const CommandSpec* const command : wanted) write_docs(reply, *command);
  call.reply(std::move(reply));
}

void handle_list(const Call& call, const Request& request) {
  std::string_view pattern = "*";
  if (request.size() == 5 && is_word(request[2], "FILTERBY") && is_word(request[3], "PATTERN"))
    pattern = request[4];
  else if (request.size() != 2)
    return call.error(kSyntaxError);
  std::vector<std::string_view> names;
  for (const CommandSpec* const command : all_commands()) {
    if (matches_glob_in_any_case(pattern, command->name)) names.push_back(command->name);
  }
  RespWriter reply = call.writer();
  reply.array(names.size());
  for (const std::string_view name : names) reply.bulk(name);
  call.reply(std::move(reply));
}

void handle_getkeys(const Call& call, const Request& request) {
  if (call.redis_7_0() && request.size() == 3) return call.error("ERR wrong number of arguments for 'command|getkeys' command");
  const Arguments arguments(request.arguments.begin() + 2, request.arguments.end());
  const Result<const CommandSpec*> command = look_up(arguments);
  if (!command) {
    const bool known = find_command(arguments[0]) != nullptr;
    return call.error(known ? "ERR Invalid number of arguments specified for command" : "ERR Invalid command specified");
  }
  const std::vector<std::size_t> positions = key_positions(**command, arguments);
  if (positions.empty()) {
    const bool takes_keys = (*command)->keys.first != 0 || (*command)->find_keys != nullptr;
    return call.error(takes_keys ? "ERR Invalid arguments specified for command" : "ERR The command has no key arguments");
  }
  RespWriter reply = call.writer();
  reply.array(positions.size());
  for (const std::size_t position : positions) reply.bulk(arguments[position]);
  call.reply(std::move(reply));
}

constexpr std::uint32_t kFlags = kLoading | kStale;
constexpr CommandGroup kGroup = CommandGroup::server;
constexpr std::array kSubcommands = {
    CommandSpec{"command|count", 2, kFlags, kGroup, "2.8.13", "How many commands there are", handle_count},
    CommandSpec{"command|docs", -2, kFlags, kGroup, "7.0.0", "What commands do", handle_docs},
    CommandSpec{"command|getkeys", -3, kFlags, kGroup, "2.8.13", "The keys among the arguments of a command", handle_getkeys},
    CommandSpec{"command|help", 2, kFlags, kGroup, "5.0.0", "Prints this help", handle_help},
    CommandSpec{"command|info", -2, kFlags, kGroup, "2.8.13", "Arity, flags and keys of commands", handle_info},
    CommandSpec{"command|list", -2, kFlags, kGroup, "7.0.0", "Names of the commands", handle_list},
};
constexpr std::array kCommands = {
    CommandSpec{.name = "command",
                .arity = -1,
                .flags = kFlags,
                .group = kGroup,
                .since = "2.8.13",
                .summary = "All about all commands",
                .handler = handle_command,
                .subcommands = kSubcommands},
};

}  // namespace

std::span<const CommandSpec> introspection_commands() { return kCommands; }

}  // namespace tidemark::redis
