#include <algorithm>
#include <limits>
#include <utility>

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_range_reply.h"
#include "protocol/redis/adapter/words.h"

/// XACK, XCLAIM, XAUTOCLAIM.
namespace tidemark::redis {
namespace {

using broker::EntryId;
using broker::StreamGroupName;

/// As many ids, of sixteen bytes, as Redis could count.
constexpr std::int64_t kIdleCountMax = std::numeric_limits<std::int64_t>::max() / 16;

/// The group a command names; where there is none, `missing` answers. nullopt: the call has been answered.
template <class Missing>
std::optional<StreamGroupName> find_group(const Call& call, const Request& request, const Missing& missing) {
  StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several) {
    call.error(key.problem);
  } else if (!key.exists()) {
    missing();
  } else {
    return StreamGroupName{std::move(key.where), std::string(request[2])};
  }
  return std::nullopt;
}

/// Entries, or their ids, in a claim's order.
void write_claimed(RespWriter& reply, const broker::StreamHistory& claimed, bool just_ids) {
  reply.array(claimed.held.size());
  for (const broker::StreamHeld& one : claimed.held) {
    if (just_ids || !one.entry)
      reply.bulk(to_text(one.id));
    else
      write_entry(reply, claimed.entries.parts[one.entry->first].entries[one.entry->second]);
  }
}

/// The words of XCLAIM behind the ids. False: the call has been answered.
bool parse_claim_options(const Call& call, const Request& request, std::size_t at, Timestamp now, broker::StreamClaim& claim) {
  const std::int64_t now_ms = now.time_since_epoch().count();
  std::int64_t delivered = -1;  // As Redis has it: -1 is none given, even if that is what comes out of the sum.
  for (; at < request.size(); ++at) {
    const bool more = at + 1 < request.size();
    const auto number = [&](std::string_view option, std::int64_t& value) {
      const std::optional<std::int64_t> parsed = parse_integer(request[++at]);
      if (parsed) value = *parsed;
      if (!parsed) call.error("ERR Invalid " + std::string(option) + " option argument for XCLAIM");
      return parsed.has_value();
    };
    if (is_word(request[at], "FORCE")) {
      claim.force = true;
    } else if (is_word(request[at], "JUSTID")) {
      claim.just_ids = true;
    } else if (is_word(request[at], "IDLE") && more) {
      std::int64_t idle = 0;
      if (!number("IDLE", idle)) return false;
      delivered = static_cast<std::int64_t>(static_cast<std::uint64_t>(now_ms) - static_cast<std::uint64_t>(idle));
    } else if (is_word(request[at], "TIME") && more) {
      if (!number("TIME", delivered)) return false;
    } else if (is_word(request[at], "RETRYCOUNT") && more) {
      std::int64_t count = -1;
      if (!number("RETRYCOUNT", count)) return false;
      claim.deliveries.reset();
      constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
      if (count >= 0) claim.deliveries = static_cast<std::uint32_t>(std::min(count, kMost));
    } else if (is_word(request[at], "LASTID") && more) {
      claim.last_id = parse_id(request[++at], 0);
      if (!claim.last_id) {
        call.error(kInvalidStreamId);
        return false;
      }
    } else {
      call.error("ERR Unrecognized XCLAIM option '" + std::string(request[at]) + "'");
      return false;
    }
  }
  if (delivered != -1) {
    const bool within = delivered >= 0 && delivered <= now_ms;
    claim.delivered = within ? Timestamp(std::chrono::milliseconds(delivered)) : now;
  }
  return true;
}

}  // namespace

void handle_xack(const Call& call, const Request& request) {
  const std::optional<StreamGroupName> name = find_group(call, request, [&call] { call.integer(0); });
  if (!name) return;
  std::vector<EntryId> ids;
  bool legal = true;
  for (std::size_t i = 3; i < request.size() && legal; ++i) {
    const std::optional<EntryId> id = parse_id(request[i], 0);
    legal = id.has_value();
    if (id) ids.push_back(*id);
  }
  // Whether the group is there is asked before the ids are judged.
  if (!legal) {
    return call.broker().queues().stream_groups().exists(call.context(), *name, [call](const Result<bool>& there) {
      if (!there) return call.error(there.error());
      *there ? call.error(kInvalidStreamId) : call.integer(0);
    });
  }
  call.broker().queues().stream_groups().ack(call.context(), *name, std::move(ids), [call](const Result<std::uint64_t>& acked) {
    if (acked) return call.integer(static_cast<std::int64_t>(*acked));
    is_unknown(acked.error()) ? call.integer(0) : call.error(acked.error());
  });
}

void handle_xclaim(const Call& call, const Request& request) {
  const std::string none = no_such_key_or_group(request[1], request[2]);
  const std::optional<StreamGroupName> name = find_group(call, request, [&] { call.error(none); });
  if (!name) return;
  // Whether the group is there is asked before the arguments are judged.
  call.broker().queues().stream_groups().exists(call.context(), *name, [call, request, name = *name, none](const Result<bool>& there) {
    if (!there) return call.error(there.error());
    if (!*there) return call.error(none);
    broker::StreamClaim claim;
    claim.member = {std::string(request[3]), !call.redis_7_0()};
    const std::optional<std::int64_t> min_idle = parse_integer(request[4]);
    if (!min_idle) return call.error("ERR Invalid min-idle-time argument for XCLAIM");
    claim.min_idle = std::chrono::milliseconds(std::max<std::int64_t>(*min_idle, 0));
    std::size_t at = 5;
    for (; at < request.size(); ++at) {
      const std::optional<EntryId> id = parse_id(request[at], 0);
      if (!id) break;
      claim.ids.push_back(*id);
    }
    if (!parse_claim_options(call, request, at, call.runtime().clock().now(), claim)) return;
    const bool just_ids = claim.just_ids;
    const auto answer = [call, none, just_ids](const Result<broker::StreamClaimed>& claimed) {
      if (!claimed) return is_unknown(claimed.error()) ? call.error(none) : call.error(claimed.error());
      RespWriter reply = call.writer();
      write_claimed(reply, claimed->claimed, just_ids);
      call.reply(std::move(reply));
    };
    call.broker().queues().stream_groups().claim(call.context(), name, std::move(claim), answer);
  });
}

void handle_xautoclaim(const Call& call, const Request& request) {
  broker::StreamClaimIdle claim;
  claim.member = {std::string(request[3]), !call.redis_7_0()};
  const std::optional<std::int64_t> min_idle = parse_integer(request[4]);
  if (!min_idle) return call.error("ERR Invalid min-idle-time argument for XAUTOCLAIM");
  claim.min_idle = std::chrono::milliseconds(std::max<std::int64_t>(*min_idle, 0));
  const std::optional<Bound> start = parse_bound(request[5], 0);
  if (!start) return call.error(kInvalidStreamId);
  const std::optional<EntryId> from = start->exclusive ? after(start->id) : start->id;
  if (!from) return call.error("ERR invalid start ID for the interval");
  claim.from = *from;
  for (std::size_t i = 6; i < request.size(); ++i) {
    if (is_word(request[i], "COUNT") && i + 1 < request.size()) {
      const std::optional<std::int64_t> count = parse_integer(request[++i]);
      if (!count || *count < 1 || *count > kIdleCountMax) return call.error("ERR COUNT must be > 0");
      claim.count = static_cast<std::size_t>(*count);
    } else if (is_word(request[i], "JUSTID")) {
      claim.just_ids = true;
    } else {
      return call.error(kSyntaxError);
    }
  }
  const std::string none = no_such_key_or_group(request[1], request[2]);
  const std::optional<StreamGroupName> name = find_group(call, request, [&] { call.error(none); });
  if (!name) return;
  const bool just_ids = claim.just_ids;
  const auto answer = [call, none, just_ids](const Result<broker::StreamClaimed>& claimed) {
    if (!claimed) return is_unknown(claimed.error()) ? call.error(none) : call.error(claimed.error());
    RespWriter reply = call.writer();
    reply.array(3);
    reply.bulk(to_text(claimed->next));
    write_claimed(reply, claimed->claimed, just_ids);
    reply.array(claimed->deleted.size());
    for (const EntryId id : claimed->deleted) reply.bulk(to_text(id));
    call.reply(std::move(reply));
  };
  call.broker().queues().stream_groups().claim_idle(call.context(), *name, std::move(claim), answer);
}

}  // namespace tidemark::redis
