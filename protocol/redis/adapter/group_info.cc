#include <array>
#include <utility>

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"

/// XINFO GROUPS, CONSUMERS and HELP. XINFO STREAM: stream_info.cc.
namespace tidemark::redis {
namespace {

/// The key of a question about it; nullopt: the call has been answered.
std::optional<broker::TopicPartition> find_key(const Call& call, const Request& request) {
  StreamKey key = find_stream(call.broker(), request[2]);
  if (key.state == StreamKey::State::several) {
    call.error(key.problem);
  } else if (!key.exists()) {
    call.error(kNoSuchKey);
  } else {
    return std::move(key.where);
  }
  return std::nullopt;
}

}  // namespace

void write_lag(const Call& call, RespWriter& reply, const broker::StreamGroupInfo& group) {
  const std::optional<std::uint64_t> lag = call.server().facts.lag_as_redis ? group.lag_of_redis : group.lag;
  lag ? reply.integer(static_cast<std::int64_t>(*lag)) : reply.null();
}

void handle_xinfo_groups(const Call& call, const Request& request) {
  const std::optional<broker::TopicPartition> where = find_key(call, request);
  if (!where) return;
  const auto answer = [call](const Result<std::vector<broker::StreamGroupInfo>>& groups) {
    if (!groups) return is_unknown(groups.error()) ? call.error(kNoSuchKey) : call.error(groups.error());
    RespWriter reply = call.writer();
    reply.array(groups->size());
    for (const broker::StreamGroupInfo& group : *groups) {
      reply.map(6);
      reply.bulk("name");
      reply.bulk(group.name);
      reply.bulk("consumers");
      reply.integer(static_cast<std::int64_t>(group.members.size()));
      reply.bulk("pending");
      reply.integer(static_cast<std::int64_t>(group.pending));
      reply.bulk("last-delivered-id");
      reply.bulk(to_text(group.last_id));
      reply.bulk("entries-read");
      group.entries_read ? reply.integer(static_cast<std::int64_t>(*group.entries_read)) : reply.null();
      reply.bulk("lag");
      write_lag(call, reply, group);
    }
    call.reply(std::move(reply));
  };
  call.broker().queues().stream_groups().list(call.context(), *where, {}, answer);
}

void handle_xinfo_consumers(const Call& call, const Request& request) {
  const std::optional<broker::TopicPartition> where = find_key(call, request);
  if (!where) return;
  const auto answer = [call, none = no_such_group(request[2], request[3])](const Result<broker::StreamGroupInfo>& group) {
    if (!group) return is_unknown(group.error()) ? call.error(none) : call.error(group.error());
    const Timestamp now = call.runtime().clock().now();
    RespWriter reply = call.writer();
    reply.array(group->members.size());
    for (const broker::StreamMemberInfo& member : group->members) {
      reply.map(call.redis_7_0() ? 3 : 4);
      reply.bulk("name");
      reply.bulk(member.name);
      reply.bulk("pending");
      reply.integer(static_cast<std::int64_t>(member.pending));
      reply.bulk("idle");
      reply.integer(std::max<std::int64_t>((now - member.seen).count(), 0));
      if (call.redis_7_0()) continue;
      reply.bulk("inactive");
      reply.integer(member.active == Timestamp{} ? -1 : std::max<std::int64_t>((now - member.active).count(), 0));
    }
    call.reply(std::move(reply));
  };
  call.broker().queues().stream_groups().describe(call.context(), {*where, std::string(request[3])}, answer);
}

void handle_xinfo_help(const Call& call, const Request&) {
  static constexpr std::array<std::string_view, 9> kLines = {
      "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "CONSUMERS <key> <groupname>",
      "    Show consumers of <groupname>.",
      "GROUPS <key>",
      "    Show the stream consumer groups.",
      "STREAM <key> [FULL [COUNT <count>]",
      "    Show information about the stream.",
      "HELP",
      "    Prints this help.",
  };
  reply_lines(call, kLines);
}

}  // namespace tidemark::redis
