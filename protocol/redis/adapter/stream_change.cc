#include <algorithm>

#include "broker/entries/entries.h"
#include "broker/queues/stream_groups.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_trim_options.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

using broker::EntryId;
using broker::EntryRefusal;

/// The key that a changing command names, if it exists; otherwise the call has been answered: with `missing`, or with why not.
std::optional<broker::TopicPartition> find_or_answer(const Call& call, std::string_view name, void (*missing)(const Call&)) {
  const StreamKey key = find_stream(call.broker(), name);
  if (key.state == StreamKey::State::several) {
    call.error(key.problem);
  } else if (!key.exists()) {
    missing(call);
  } else if (broker::is_internal_topic(key.where.topic)) {
    call.error("ERR the broker keeps topic '" + key.where.topic + "' for itself");
  } else {
    return key.where;
  }
  return std::nullopt;
}

void answer_zero(const Call& call) { call.integer(0); }
void answer_no_such_key(const Call& call) { call.error(kNoSuchKey); }

void reply_set(const Call& call, EntryRefusal refused) {
  switch (refused) {
    case EntryRefusal::none:
      return call.ok();
    case EntryRefusal::id_below_given_max_deleted:
      return call.error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
    case EntryRefusal::id_below_max_deleted:
      return call.error("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
    case EntryRefusal::entries_added_below_length:
      return call.error("ERR The entries_added specified in XSETID is smaller than the target stream length");
    case EntryRefusal::id_zero:
    case EntryRefusal::ids_exhausted:
    case EntryRefusal::id_not_above_last:
    case EntryRefusal::id_below_top:
      return call.error("ERR The ID specified in XSETID is smaller than the target stream top item");
  }
}

}  // namespace

void handle_xlen(const Call& call, const Request& request) {
  const StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several) return call.error(key.problem);
  if (!key.exists()) return call.integer(0);
  call.broker().entries().stats(call.context(), key.where, [call](const Result<broker::EntryStats>& stats) {
    if (stats) return call.integer(static_cast<std::int64_t>(stats->length));
    stats.error().code == Errc::unknown_topic ? call.integer(0) : call.error(stats.error());
  });
}

void handle_xdel(const Call& call, const Request& request) {
  const std::optional<broker::TopicPartition> where = find_or_answer(call, request[1], answer_zero);
  if (!where) return;
  std::vector<EntryId> ids;
  for (std::size_t i = 2; i < request.size(); ++i) {
    const std::optional<EntryId> id = parse_id(request[i], 0);
    if (!id) return call.error(kInvalidStreamId);
    ids.push_back(*id);
  }
  call.broker().entries().remove(call.context(), *where, std::move(ids), [call](const Result<std::vector<bool>>& removed) {
    if (removed) return call.integer(std::ranges::count(*removed, true));
    removed.error().code == Errc::unknown_topic ? call.integer(0) : call.error(removed.error());
  });
}

void handle_xtrim(const Call& call, const Request& request) {
  const StreamOptions options = parse_stream_options(request, false, call.server().stream_node_entries.load(std::memory_order_relaxed));
  if (!options.error.empty()) return call.error(options.error);
  const std::optional<broker::TopicPartition> where = find_or_answer(call, request[1], answer_zero);
  if (!where) return;
  call.broker().queues().stream_groups().trim(call.context(), *where, *options.trim, options.references,
                                              [call](const Result<std::uint64_t>& removed) {
                                                if (removed) return call.integer(static_cast<std::int64_t>(*removed));
                                                removed.error().code == Errc::unknown_topic ? call.integer(0) : call.error(removed.error());
                                              });
}

void handle_xcfgset(const Call& call, const Request& request) {
  const std::optional<broker::TopicPartition> where = find_or_answer(call, request[1], answer_no_such_key);
  if (!where) return;
  broker::OnceSettings settings;
  for (std::size_t i = 2; i < request.size(); ++i) {
    const bool more = i + 1 < request.size();
    const bool duration = more && is_word(request[i], "IDMP-DURATION");
    if (!duration && !(more && is_word(request[i], "IDMP-MAXSIZE"))) return call.error(kSyntaxError);
    if (duration && settings.duration) return call.error("ERR IDMP-DURATION specified multiple times");
    if (!duration && settings.entries) return call.error("ERR IDMP-MAXSIZE specified multiple times");
    const std::optional<std::int64_t> value = parse_integer(request[++i]);
    if (!value) return call.error(kNotAnInteger);
    constexpr std::int64_t kSecondsMax = 86'400, kEntriesMax = 10'000;
    if (duration && (*value < 1 || *value > kSecondsMax)) return call.error("ERR IDMP-DURATION must be between 1 and 86400 seconds");
    if (!duration && (*value < 1 || *value > kEntriesMax)) return call.error("ERR IDMP-MAXSIZE must be between 1 and 10000 entries");
    if (duration)
      settings.duration = std::chrono::seconds(*value);
    else
      settings.entries = static_cast<std::uint32_t>(*value);
  }
  if (!settings.duration && !settings.entries) return call.error("ERR At least one parameter must be specified");
  call.broker().entries().set_once(call.context(), *where, settings, [call](const Status& set) {
    if (set) return call.ok();
    set.error().code == Errc::unknown_topic ? call.error(kNoSuchKey) : call.error(set.error());
  });
}

void handle_xsetid(const Call& call, const Request& request) {
  const std::optional<EntryId> id = parse_id(request[2], 0);
  if (!id) return call.error(kInvalidStreamId);
  broker::EntrySetId values;
  values.last_id = *id;
  for (std::size_t i = 3; i < request.size(); i += 2) {
    if (i + 1 == request.size()) return call.error(kSyntaxError);
    if (is_word(request[i], "ENTRIESADDED")) {
      const std::optional<std::int64_t> added = parse_integer(request[i + 1]);
      if (!added) return call.error(kNotAnInteger);
      if (*added < 0) return call.error("ERR entries_added must be positive");
      values.entries_added = static_cast<std::uint64_t>(*added);
    } else if (is_word(request[i], "MAXDELETEDID")) {
      const std::optional<EntryId> deleted = parse_id(request[i + 1], 0);
      if (!deleted) return call.error(kInvalidStreamId);
      // Judged where it stands: an option behind it may be wrong, too.
      if (*id < *deleted) return reply_set(call, EntryRefusal::id_below_given_max_deleted);
      values.max_deleted = deleted;
    } else {
      return call.error(kSyntaxError);
    }
  }
  const std::optional<broker::TopicPartition> where = find_or_answer(call, request[1], answer_no_such_key);
  if (!where) return;
  call.broker().entries().set_id(call.context(), *where, values, [call](const Result<EntryRefusal>& set) {
    if (set) return reply_set(call, *set);
    set.error().code == Errc::unknown_topic ? call.error(kNoSuchKey) : call.error(set.error());
  });
}

}  // namespace tidemark::redis
