#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/glob.h"
#include "protocol/redis/adapter/help.h"
#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

constexpr std::string_view kNodeEntries = "stream-node-max-entries";

/// The settings of Redis that clients and tools ask for, and what is true of them here. Settings of the broker itself are elsewhere:
/// tidemarkd's own, and those of topics.
std::map<std::string, std::string> settings_of(const Call& call) {
  return {
      {"appendfsync", "always"},
      {"appendonly", "yes"},
      {"databases", "1"},
      {"maxclients", "10000"},
      {"maxmemory", "0"},
      {"maxmemory-policy", "noeviction"},
      {"notify-keyspace-events", ""},
      {"port", std::to_string(call.server().facts.port)},
      {"proto-max-bulk-len", std::to_string(call.session().limits().request.bulk_bytes_max)},
      {"requirepass", ""},
      {"save", ""},
      {"stream-node-max-bytes", "0"},
      {std::string(kNodeEntries), std::to_string(call.server().stream_node_entries.load())},
      {"tcp-keepalive", "0"},
      {"timeout", "0"},
  };
}

void handle_get(const Call& call, const Request& request) {
  std::map<std::string, std::string> found;
  for (const auto& [name, value] : settings_of(call)) {
    for (std::size_t i = 2; i < request.size(); ++i) {
      if (matches_glob_in_any_case(request[i], name)) found.emplace(name, value);
    }
  }
  RespWriter reply = call.writer();
  reply.map(found.size());
  for (const auto& [name, value] : found) {
    reply.bulk(name);
    reply.bulk(value);
  }
  call.reply(std::move(reply));
}

/// Why a value cannot be set; empty: it can, or is what it was.
std::string judge_change(const std::map<std::string, std::string>& now, std::string_view name, std::string_view value) {
  const auto setting = now.find(lower(name));
  if (setting == now.end()) return "ERR Unknown option or number of arguments for CONFIG SET - '" + std::string(name) + "'";
  const std::string failed = "ERR CONFIG SET failed (possibly related to argument '" + std::string(name) + "') - ";
  if (setting->first == kNodeEntries) {
    const std::optional<std::int64_t> entries = parse_integer(value);
    if (!entries) return failed + "argument couldn't be parsed into an integer";
    if (*entries < 0) return failed + "argument must be between 0 and 9223372036854775807 inclusive";
    return {};
  }
  return is_word(value, setting->second) ? std::string() : failed + "can't set immutable config";
}

/// All or none, as in Redis.
void handle_set(const Call& call, const Request& request) {
  if (request.size() % 2 != 0) return call.error(kSyntaxError);
  const std::map<std::string, std::string> now = settings_of(call);
  for (std::size_t i = 2; i < request.size(); i += 2) {
    const std::string refusal = judge_change(now, request[i], request[i + 1]);
    if (!refusal.empty()) return call.error(refusal);
  }
  for (std::size_t i = 2; i < request.size(); i += 2) {
    if (is_word(request[i], kNodeEntries))
      call.server().stream_node_entries.store(static_cast<std::uint64_t>(parse_integer(request[i + 1]).value_or(0)));
  }
  call.ok();
}

void handle_resetstat(const Call& call, const Request&) {
  call.server().statistics.reset();
  call.ok();
}

void handle_rewrite(const Call& call, const Request&) { call.error("ERR The server is running without a config file"); }

constexpr std::uint32_t kFlags = kAdmin | kNoScript | kLoading | kStale;
constexpr CommandGroup kGroup = CommandGroup::server;
constexpr std::array kSubcommands = {
    CommandSpec{"config|get", -3, kFlags, kGroup, "2.0.0", "Settings by name or pattern", handle_get},
    CommandSpec{"config|help", 2, kFlags, kGroup, "5.0.0", "Prints this help", handle_help},
    CommandSpec{"config|resetstat", 2, kFlags, kGroup, "2.0.0", "Sets the counters of INFO to zero", handle_resetstat},
    CommandSpec{"config|rewrite", 2, kFlags, kGroup, "2.8.0", "Refused: settings are the broker's", handle_rewrite},
    CommandSpec{"config|set", -4, kFlags, kGroup, "2.0.0", "Changes stream-node-max-entries", handle_set},
};
constexpr std::array kCommands = {
    CommandSpec{.name = "config",
                .arity = -2,
                .group = kGroup,
                .since = "2.0.0",
                .summary = "Commands about settings",
                .subcommands = kSubcommands},
};

}  // namespace

std::span<const CommandSpec> config_commands() { return kCommands; }

}  // namespace tidemark::redis
