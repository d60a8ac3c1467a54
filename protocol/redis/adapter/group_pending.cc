#include <algorithm>
#include <utility>

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/words.h"

/// XPENDING key group [[IDLE ms] start end count [consumer]]
namespace tidemark::redis {
namespace {

using broker::EntryId;

/// Reads the words behind the group; false: the call has been answered.
bool parse_range(const Call& call, const Request& request, broker::StreamPendingQuery& query) {
  const auto refuse = [&call](std::string_view why) {
    call.error(why);
    return false;
  };
  std::size_t at = 3;
  if (is_word(request[at], "IDLE")) {
    const std::optional<std::int64_t> idle = parse_integer(request[at + 1]);
    if (!idle) return refuse(kNotAnInteger);
    if (request.size() < 8) return refuse(kSyntaxError);
    query.idle = std::chrono::milliseconds(std::max<std::int64_t>(*idle, 0));
    at += 2;
  }
  const std::optional<std::int64_t> count = parse_integer(request[at + 2]);
  if (!count) return refuse(kNotAnInteger);
  query.count = static_cast<std::size_t>(std::max<std::int64_t>(*count, 0));
  const std::optional<Bound> start = parse_bound(request[at], 0);
  if (!start) return refuse(kInvalidStreamId);
  const std::optional<EntryId> first = start->exclusive ? after(start->id) : start->id;
  if (!first) return refuse("ERR invalid start ID for the interval");
  const std::optional<Bound> end = parse_bound(request[at + 1], kSequenceMax);
  if (!end) return refuse(kInvalidStreamId);
  const std::optional<EntryId> last = end->exclusive ? before(end->id) : end->id;
  if (!last) return refuse("ERR invalid end ID for the interval");
  query.first = *first;
  query.last = *last;
  if (at + 3 < request.size()) query.member = std::string(request[at + 3]);
  return true;
}

void reply_summary(const Call& call, const broker::StreamPending& pending) {
  RespWriter reply = call.writer();
  reply.array(4);
  reply.integer(static_cast<std::int64_t>(pending.total));
  if (pending.total == 0) {
    reply.null();
    reply.null();
    reply.null_array();
  } else {
    reply.bulk(to_text(pending.first));
    reply.bulk(to_text(pending.last));
    reply.array(pending.members.size());
    for (const auto& [member, count] : pending.members) {
      reply.array(2);
      reply.bulk(member);
      reply.bulk(std::to_string(count));
    }
  }
  call.reply(std::move(reply));
}

}  // namespace

void handle_xpending(const Call& call, const Request& request) {
  broker::StreamPendingQuery query;
  const bool summary = request.size() == 3;
  if (!summary && (request.size() < 6 || request.size() > 9)) return call.error(kSyntaxError);
  if (!summary && !parse_range(call, request, query)) return;
  const std::string none = no_such_key_or_group(request[1], request[2]);
  StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several) return call.error(key.problem);
  if (!key.exists()) return call.error(none);
  broker::StreamGroupName name{std::move(key.where), std::string(request[2])};
  const auto fail = [call, none](const Error& error) { is_unknown(error) ? call.error(none) : call.error(error); };
  broker::StreamGroups groups = call.broker().queues().stream_groups();
  if (summary) {
    return groups.pending(call.context(), std::move(name), [call, fail](const Result<broker::StreamPending>& pending) {
      pending ? reply_summary(call, *pending) : fail(pending.error());
    });
  }
  groups.pending_rows(call.context(), std::move(name), std::move(query),
                      [call, fail](const Result<std::vector<broker::StreamPendingRow>>& rows) {
                        if (!rows) return fail(rows.error());
                        RespWriter reply = call.writer();
                        reply.array(rows->size());
                        for (const broker::StreamPendingRow& row : *rows) {
                          reply.array(4);
                          reply.bulk(to_text(row.id));
                          reply.bulk(row.member);
                          reply.integer(row.idle.count());
                          reply.integer(shown_deliveries(row.deliveries));
                        }
                        call.reply(std::move(reply));
                      });
}

}  // namespace tidemark::redis
