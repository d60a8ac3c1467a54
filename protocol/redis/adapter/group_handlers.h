#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "broker/queues/stream_groups.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command.h"

/// The commands of consumer groups; stream_commands.cc has their table. (https://redis.io/docs/latest/commands/xgroup/)
namespace tidemark::redis {

void handle_xack(const Call& call, const Request& request);
void handle_xackdel(const Call& call, const Request& request);
void handle_xautoclaim(const Call& call, const Request& request);
void handle_xclaim(const Call& call, const Request& request);
void handle_xgroup_create(const Call& call, const Request& request);
void handle_xgroup_createconsumer(const Call& call, const Request& request);
void handle_xgroup_delconsumer(const Call& call, const Request& request);
void handle_xgroup_destroy(const Call& call, const Request& request);
void handle_xgroup_help(const Call& call, const Request& request);
void handle_xgroup_setid(const Call& call, const Request& request);
void handle_xinfo_consumers(const Call& call, const Request& request);
void handle_xinfo_groups(const Call& call, const Request& request);
void handle_xinfo_help(const Call& call, const Request& request);
void handle_xnack(const Call& call, const Request& request);
void handle_xpending(const Call& call, const Request& request);
void handle_xreadgroup(const Call& call, const Request& request);

// --- What they share.

inline std::string no_such_key_or_group(std::string_view key, std::string_view group) {
  return "NOGROUP No such key '" + std::string(key) + "' or consumer group '" + std::string(group) + "'";
}
inline std::string no_such_group(std::string_view key, std::string_view group) {
  return "NOGROUP No such consumer group '" + std::string(group) + "' for key name '" + std::string(key) + "'";
}
/// How often an entry was handed out. The largest the engine counts to stands for Redis's, which XNACK FATAL sets.
inline std::int64_t shown_deliveries(std::uint32_t count) {
  return count == std::numeric_limits<std::uint32_t>::max() ? std::numeric_limits<std::int64_t>::max() : count;
}
/// The engine knows no such thing: Redis has texts of its own for that.
inline bool is_unknown(const Error& error) { return error.code == Errc::unknown_group || error.code == Errc::unknown_topic; }

/// A lag, as `redis.lag` wants it.
void write_lag(const Call& call, RespWriter& reply, const broker::StreamGroupInfo& group);
/// Ends a reply that began with an array of lines.
void reply_lines(const Call& call, std::span<const std::string_view> lines);

}  // namespace tidemark::redis
