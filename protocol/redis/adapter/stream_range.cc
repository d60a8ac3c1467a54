#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_range_reply.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

/// XRANGE key start end [COUNT n], XREVRANGE key end start [COUNT n]
void answer_range(const Call& call, const Request& request, bool backwards) {
  const std::optional<Bound> start = parse_bound(request[backwards ? 3 : 2], 0);
  if (!start) return call.error(kInvalidStreamId);
  const std::optional<broker::EntryId> first = start->exclusive ? after(start->id) : start->id;
  if (!first) return call.error("ERR invalid start ID for the interval");
  const std::optional<Bound> end = parse_bound(request[backwards ? 2 : 3], kSequenceMax);
  if (!end) return call.error(kInvalidStreamId);
  const std::optional<broker::EntryId> last = end->exclusive ? before(end->id) : end->id;
  if (!last) return call.error("ERR invalid end ID for the interval");

  broker::EntryRange range{.first = *first, .last = *last, .backwards = backwards};
  for (std::size_t i = 4; i < request.size(); i += 2) {
    if (!is_word(request[i], "COUNT") || i + 1 == request.size()) return call.error(kSyntaxError);
    const std::optional<std::int64_t> count = parse_integer(request[i + 1]);
    if (!count) return call.error(kNotAnInteger);
    range.count_max = *count < 0 ? 0 : static_cast<std::size_t>(*count);
  }
  const StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several) return call.error(key.problem);
  const auto reply_empty = [call] {
    RespWriter reply = call.writer();
    reply.array(0);
    call.reply(std::move(reply));
  };
  if (!key.exists()) return reply_empty();
  if (range.count_max == 0) return call.null_array();
  read_range(call, key.where, range, [call, reply_empty](const Result<RangeReply>& read) {
    if (!read) return read.error().code == Errc::unknown_topic ? reply_empty() : call.error(read.error());
    RespWriter reply = call.writer();
    reply.array(read->count);
    reply.raw(read->entries);
    call.reply(std::move(reply));
  });
}

}  // namespace

void handle_xrange(const Call& call, const Request& request) { answer_range(call, request, false); }
void handle_xrevrange(const Call& call, const Request& request) { answer_range(call, request, true); }

}  // namespace tidemark::redis
