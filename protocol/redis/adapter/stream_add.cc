#include <array>
#include <span>
#include <utility>

#include "broker/entries/entries.h"
#include "broker/queues/stream_groups.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/stream_trim_options.h"

namespace tidemark::redis {
namespace {

using broker::EntryAppended;
using broker::EntryRefusal;

constexpr std::string_view kNotAboveZero = "ERR The ID specified in XADD must be greater than 0-0";

void reply_refused(const Call& call, EntryRefusal why) {
  switch (why) {
    case EntryRefusal::id_zero:
      return call.error(kNotAboveZero);
    case EntryRefusal::ids_exhausted:
      return call.error("ERR The stream has exhausted the last possible ID, unable to add more items");
    case EntryRefusal::none:
    case EntryRefusal::id_not_above_last:
    case EntryRefusal::id_below_given_max_deleted:
    case EntryRefusal::id_below_max_deleted:
    case EntryRefusal::id_below_top:
    case EntryRefusal::entries_added_below_length:
      return call.error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
}

void reply_appended(const Call& call, const Result<EntryAppended>& appended) {
  if (appended) {
    if (appended->refused != EntryRefusal::none) return reply_refused(call, appended->refused);
    return call.bulk(IdText(appended->id));
  }
  switch (appended.error().code) {
    case Errc::unknown_topic:  // Without `create`: NOMKSTREAM, or the topic has just gone.
    case Errc::unknown_partition:
      return call.null();
    case Errc::batch_too_large:
      return call.error("ERR Elements are too large to be stored");
    default:
      return call.error(appended.error());
  }
}

/// By what an entry is told that is added once. Without a name of its own it is told by its fields, whatever their order.
broker::EntryOnce once_of(const StreamOptions& options, std::span<const broker::EntryField> fields) {
  const auto sized = [](std::string_view text) { return std::to_string(text.size()) + ":" + std::string(text); };
  std::string entry;
  if (options.once) {
    entry = "i" + std::string(*options.once);
  } else {
    broker::DedupId sum, parity;
    for (const broker::EntryField& field : fields) {
      const broker::DedupId one = broker::DedupId::of(sized(field.name) + std::string(field.value));
      sum.high += one.high;
      sum.low += one.low;
      parity.high ^= one.high;
      parity.low ^= one.low;
    }
    for (const broker::DedupId& id : {sum, parity}) {
      const std::array<char, 16> bytes = id.bytes();
      entry.append(bytes.data(), bytes.size());
    }
    entry.insert(0, "f");
  }
  return {broker::DedupId::of(*options.producer), broker::DedupId::of(sized(*options.producer) + entry)};
}

/// Trims with regard to the groups, once the entry is there: what is appended meanwhile counts, too.
void trim_behind(const Call& call, const broker::TopicPartition& where, const broker::EntryTrim& trim, broker::EntryReferences references,
                 const EntryAppended& appended) {
  const auto answer = [call, appended](const Result<std::uint64_t>& trimmed) {
    // A key that has just gone has nothing left to trim.
    const bool gone = !trimmed && trimmed.error().code == Errc::unknown_topic;
    trimmed || gone ? reply_appended(call, appended) : call.error(trimmed.error());
  };
  call.broker().queues().stream_groups().trim(call.context(), where, trim, references, answer);
}

}  // namespace

void handle_xadd(const Call& call, const Request& request) {
  const StreamOptions options = parse_stream_options(request, true, call.server().stream_node_entries.load(std::memory_order_relaxed));
  if (!options.error.empty()) return call.error(options.error);
  const std::size_t at = options.fields_at;
  if (request.size() < at + 2 || (request.size() - at) % 2 != 0) return call.error("ERR wrong number of arguments for 'xadd' command");
  if (options.id && options.id->sequence_given && options.id->id == broker::EntryId::min()) return call.error(kNotAboveZero);

  const StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several || key.state == StreamKey::State::illegal) return call.error(key.problem);
  // With NOMKSTREAM the engine is asked all the same: an earlier XADD of this connection may be making the topic.
  if (key.state == StreamKey::State::missing && !options.no_mkstream) {
    if (!key.bare) return call.error("ERR there is no partition '" + std::string(request[1]) + "': only a bare name makes a stream");
    if (!call.server().facts.auto_create_topics) return call.error("ERR no topic '" + key.where.topic + "', and auto.create.topics is off");
  }
  if (broker::is_internal_topic(key.where.topic)) return call.error("ERR the broker keeps topic '" + key.where.topic + "' for itself");

  broker::EntryAppend entry;
  if (options.id) {
    entry.id.kind = options.id->sequence_given ? broker::EntryIdAsked::Kind::exact : broker::EntryIdAsked::Kind::automatic_seq;
    entry.id.id = options.id->id;
  }
  entry.fields.reserve((request.size() - at) / 2);
  for (std::size_t i = at; i < request.size(); i += 2) entry.fields.push_back({request[i], request[i + 1]});
  // The memory of all requests that came with it. What it keeps beyond itself is bounded with the requests in flight: those behind it
  // cannot be answered before it.
  entry.owner = request.bytes;
  if (options.producer) entry.once = once_of(options, entry.fields);
  const bool with_groups = options.trim && options.references != broker::EntryReferences::keep;
  if (!with_groups) entry.trim = options.trim;
  entry.create = key.bare && !options.no_mkstream;
  const auto answer = [call, with_groups, where = key.where, trim = options.trim,
                       references = options.references](const Result<EntryAppended>& appended) {
    const bool added = appended && appended->refused == EntryRefusal::none && !appended->duplicate;
    if (added && with_groups) return trim_behind(call, where, *trim, references, *appended);
    reply_appended(call, appended);
  };
  call.broker().entries().append(call.context(), key.where, std::move(entry), answer);
}

}  // namespace tidemark::redis
