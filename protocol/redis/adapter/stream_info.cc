#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_range_reply.h"
#include "protocol/redis/adapter/stream_trim_options.h"

namespace tidemark::redis {
namespace {

void write_first(RespWriter& reply, const broker::EntryBatch& entries) {
  entries.entries.empty() ? reply.null() : write_entry(reply, entries.entries.front());
}

void write_info(RespWriter& reply, const broker::EntryInfo& info) {
  const auto number = [&reply](std::string_view name, std::uint64_t value) {
    reply.bulk(name);
    reply.integer(static_cast<std::int64_t>(value));
  };
  const auto id = [&reply](std::string_view name, broker::EntryId value) {
    reply.bulk(name);
    reply.bulk(to_text(value));
  };
  reply.map(10);
  number("length", info.stats.length);
  number("radix-tree-keys", info.nodes);
  number("radix-tree-nodes", info.nodes + 1);  // The tree has its root besides.
  id("last-generated-id", info.stats.last_id);
  id("max-deleted-entry-id", info.stats.max_deleted);
  number("entries-added", info.stats.entries_added);
  id("recorded-first-entry-id", info.first_id.value_or(broker::EntryId::min()));
  number("groups", 0);
  reply.bulk("first-entry");
  write_first(reply, info.first);
  reply.bulk("last-entry");
  write_first(reply, info.last);
}

}  // namespace

void handle_xinfo_stream(const Call& call, const Request& request) {
  const StreamKey key = find_stream(call.broker(), request[2]);
  if (key.state == StreamKey::State::several) return call.error(key.problem);
  if (!key.exists()) return call.error(kNoSuchKey);
  if (request.size() > 3) return call.error(wrong_subcommand(request[1], "XINFO"));
  const std::uint64_t node_entries = call.server().stream_node_entries.load(std::memory_order_relaxed);
  call.broker().entries().info(call.context(), key.where, node_size(node_entries), [call](const Result<broker::EntryInfo>& info) {
    if (!info) return info.error().code == Errc::unknown_topic ? call.error(kNoSuchKey) : call.error(info.error());
    RespWriter reply = call.writer();
    write_info(reply, *info);
    call.reply(std::move(reply));
  });
}

}  // namespace tidemark::redis
