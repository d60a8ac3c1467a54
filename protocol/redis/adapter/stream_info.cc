#include <memory>
#include <utility>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_range_reply.h"
#include "protocol/redis/adapter/stream_trim_options.h"
#include "protocol/redis/adapter/words.h"

/// XINFO STREAM key [FULL [COUNT n]]
namespace tidemark::redis {
namespace {

using broker::StreamGroupInfo;

struct FullOptions {
  bool full = false;
  std::size_t count = 10;  ///< 0: all.
};

/// nullopt: the call has been answered.
std::optional<FullOptions> parse_options(const Call& call, const Request& request) {
  FullOptions options;
  if (request.size() == 3) return options;
  const bool with_count = request.size() == 6;
  if ((request.size() != 4 && !with_count) || !is_word(request[3], "FULL") || (with_count && !is_word(request[4], "COUNT"))) {
    call.error(wrong_subcommand(request[1], "XINFO"));
    return std::nullopt;
  }
  options.full = true;
  if (!with_count) return options;
  const std::optional<std::int64_t> count = parse_integer(request[5]);
  if (!count) {
    call.error(kNotAnInteger);
    return std::nullopt;
  }
  if (*count >= 0) options.count = static_cast<std::size_t>(*count);
  return options;
}

void write_number(RespWriter& reply, std::string_view name, std::uint64_t value) {
  reply.bulk(name);
  reply.integer(static_cast<std::int64_t>(value));
}
void write_id(RespWriter& reply, std::string_view name, broker::EntryId id) {
  reply.bulk(name);
  reply.bulk(to_text(id));
}
std::uint64_t ms_of(Timestamp time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

void write_first(RespWriter& reply, const broker::EntryBatch& entries) {
  entries.entries.empty() ? reply.null() : write_entry(reply, entries.entries.front());
}

/// What both forms have in common: seven pairs.
void write_head(RespWriter& reply, const broker::EntryInfo& info) {
  write_number(reply, "length", info.stats.length);
  write_number(reply, "radix-tree-keys", info.nodes);
  write_number(reply, "radix-tree-nodes", info.nodes + 1);  // The tree has its root besides.
  write_id(reply, "last-generated-id", info.stats.last_id);
  write_id(reply, "max-deleted-entry-id", info.stats.max_deleted);
  write_number(reply, "entries-added", info.stats.entries_added);
  write_id(reply, "recorded-first-entry-id", info.first_id.value_or(broker::EntryId::min()));
}

void write_rows(RespWriter& reply, const std::vector<broker::StreamPendingRow>& rows, bool with_member) {
  reply.bulk("pending");
  reply.array(rows.size());
  for (const broker::StreamPendingRow& row : rows) {
    reply.array(with_member ? 4 : 3);
    reply.bulk(to_text(row.id));
    if (with_member) reply.bulk(row.member);
    reply.integer(static_cast<std::int64_t>(ms_of(row.delivered)));
    reply.integer(shown_deliveries(row.deliveries));
  }
}

void write_group(const Call& call, RespWriter& reply, const StreamGroupInfo& group) {
  reply.map(7);
  reply.bulk("name");
  reply.bulk(group.name);
  write_id(reply, "last-delivered-id", group.last_id);
  reply.bulk("entries-read");
  group.entries_read ? reply.integer(static_cast<std::int64_t>(*group.entries_read)) : reply.null();
  reply.bulk("lag");
  write_lag(call, reply, group);
  write_number(reply, "pel-count", group.pending);
  write_rows(reply, group.held, true);
  reply.bulk("consumers");
  reply.array(group.members.size());
  for (const broker::StreamMemberInfo& member : group.members) {
    reply.map(call.redis_7_0() ? 4 : 5);
    reply.bulk("name");
    reply.bulk(member.name);
    write_number(reply, "seen-time", ms_of(member.seen));
    if (!call.redis_7_0()) {
      reply.bulk("active-time");
      reply.integer(member.active == Timestamp{} ? -1 : static_cast<std::int64_t>(ms_of(member.active)));
    }
    write_number(reply, "pel-count", member.pending);
    write_rows(reply, member.held, false);
  }
}

/// Gathers what the reply says: the stream, its groups, and for FULL its first entries.
struct InfoCall : std::enable_shared_from_this<InfoCall> {
  InfoCall(const Call& call_in, broker::TopicPartition where_in, FullOptions options_in)
      : call(call_in), where(std::move(where_in)), options(options_in) {}

  void start() {
    const std::uint64_t node_entries = call.server().stream_node_entries.load(std::memory_order_relaxed);
    const auto take = [self = shared_from_this()](Result<broker::EntryInfo> info) {
      if (!info) return self->fail(info.error());
      self->info = *std::move(info);
      self->ask_groups();
    };
    call.broker().entries().info(call.context(), where, node_size(node_entries), take);
  }
  void ask_groups() {
    const broker::StreamGroupsQuery query{.held = options.full, .held_max = options.count};
    const auto take = [self = shared_from_this()](Result<std::vector<StreamGroupInfo>> groups) {
      if (!groups) return self->fail(groups.error());
      self->groups = *std::move(groups);
      self->options.full ? self->ask_entries() : self->reply_short();
    };
    call.broker().queues().stream_groups().list(call.context(), where, query, take);
  }
  void ask_entries() {
    const broker::EntryRange range{.count_max = options.count == 0 ? SIZE_MAX : options.count};
    read_range(call, where, range,
               [self = shared_from_this()](const Result<RangeReply>& read) { read ? self->reply_full(*read) : self->fail(read.error()); });
  }

  void reply_short() {
    RespWriter reply = call.writer();
    reply.map(10);
    write_head(reply, info);
    write_number(reply, "groups", groups.size());
    reply.bulk("first-entry");
    write_first(reply, info.first);
    reply.bulk("last-entry");
    write_first(reply, info.last);
    call.reply(std::move(reply));
  }
  void reply_full(const RangeReply& entries) {
    RespWriter reply = call.writer();
    reply.map(9);
    write_head(reply, info);
    reply.bulk("entries");
    reply.array(entries.count);
    reply.raw(entries.entries);
    reply.bulk("groups");
    reply.array(groups.size());
    for (const StreamGroupInfo& group : groups) write_group(call, reply, group);
    call.reply(std::move(reply));
  }
  void fail(const Error& error) { error.code == Errc::unknown_topic ? call.error(kNoSuchKey) : call.error(error); }

  const Call call;
  const broker::TopicPartition where;
  const FullOptions options;
  broker::EntryInfo info;
  std::vector<StreamGroupInfo> groups;
};

}  // namespace

void handle_xinfo_stream(const Call& call, const Request& request) {
  StreamKey key = find_stream(call.broker(), request[2]);
  if (key.state == StreamKey::State::several) return call.error(key.problem);
  if (!key.exists()) return call.error(kNoSuchKey);
  const std::optional<FullOptions> options = parse_options(call, request);
  if (options) std::make_shared<InfoCall>(call, std::move(key.where), *options)->start();
}

}  // namespace tidemark::redis
