#include <algorithm>
#include <limits>
#include <utility>

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/removal_options.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/words.h"

/// XNACK key group SILENT|FAIL|FATAL IDS numids id [id ...] [RETRYCOUNT count] [FORCE]: entries are given back, and wait for a claim.
namespace tidemark::redis {
namespace {

using broker::EntryGiveBack;

/// Reads the words behind the group. False: the call has been answered.
bool parse_words(const Call& call, const Request& request, broker::StreamGiveBack& asked) {
  const auto refuse = [&call](std::string_view why) {
    call.error(why);
    return false;
  };
  if (is_word(request[3], "SILENT"))
    asked.kind = EntryGiveBack::Kind::silent;
  else if (is_word(request[3], "FAIL"))
    asked.kind = EntryGiveBack::Kind::fail;
  else if (is_word(request[3], "FATAL"))
    asked.kind = EntryGiveBack::Kind::fatal;
  else
    return refuse("ERR mode must be SILENT, FAIL, or FATAL");
  if (!is_word(request[4], "IDS")) return refuse("ERR syntax error, expected IDS keyword");
  const std::optional<std::int64_t> count = parse_integer(request[5]);
  if (!count || *count < 1 || *count > std::numeric_limits<std::int32_t>::max()) return refuse("ERR numids must be a positive integer");
  constexpr std::size_t kFirstId = 6;
  const auto ids = static_cast<std::size_t>(*count);
  if (ids > request.size() - kFirstId) return refuse("ERR number of IDs doesn't match numids");
  for (std::size_t i = kFirstId + ids; i < request.size(); ++i) {
    if (is_word(request[i], "FORCE")) {
      asked.force = true;
    } else if (is_word(request[i], "RETRYCOUNT") && i + 1 < request.size()) {
      const std::optional<std::int64_t> deliveries = parse_integer(request[++i]);
      if (!deliveries || *deliveries < 0) return refuse("ERR Invalid RETRYCOUNT value, must be >= 0");
      constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
      asked.deliveries = static_cast<std::uint32_t>(std::min(*deliveries, kMost));
    } else {
      return refuse("ERR Unrecognized XNACK option '" + std::string(request[i]) + "'");
    }
  }
  std::optional<std::vector<broker::EntryId>> parsed = parse_ids(request, kFirstId, ids);
  if (!parsed) return refuse(kInvalidStreamId);
  asked.ids = *std::move(parsed);
  return true;
}

}  // namespace

void handle_xnack(const Call& call, const Request& request) {
  const std::string none = no_such_key_or_group(request[1], request[2]);
  StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several) return call.error(key.problem);
  if (!key.exists()) return call.error(none);
  broker::StreamGroupName name{std::move(key.where), std::string(request[2])};
  // Whether the group is there is asked before the arguments are judged.
  call.broker().queues().stream_groups().exists(call.context(), name, [call, request, name, none](const Result<bool>& there) {
    if (!there) return call.error(there.error());
    if (!*there) return call.error(none);
    broker::StreamGiveBack asked;
    if (!parse_words(call, request, asked)) return;
    call.broker().queues().stream_groups().give_back(call.context(), name, std::move(asked),
                                                     [call, none](const Result<std::uint64_t>& given) {
                                                       if (given) return call.integer(static_cast<std::int64_t>(*given));
                                                       is_unknown(given.error()) ? call.error(none) : call.error(given.error());
                                                     });
  });
}

}  // namespace tidemark::redis
