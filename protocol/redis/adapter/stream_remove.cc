#include <utility>

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/removal_options.h"
#include "protocol/redis/adapter/stream_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"

/// XDELEX and XACKDEL: entries that go with regard to groups (https://redis.io/docs/latest/commands/xdelex/).
namespace tidemark::redis {
namespace {

using broker::EntryId;
using broker::StreamRemoved;

constexpr std::int64_t to_reply(StreamRemoved one) {
  switch (one) {
    case StreamRemoved::not_there:
      return -1;
    case StreamRemoved::removed:
      return 1;
    case StreamRemoved::needed:
      return 2;
  }
  return -1;
}

void reply_none(const Call& call, std::size_t count) {
  RespWriter reply = call.writer();
  reply.array(count);
  for (std::size_t i = 0; i < count; ++i) reply.integer(to_reply(StreamRemoved::not_there));
  call.reply(std::move(reply));
}

broker::Done<std::vector<StreamRemoved>> answer_to(const Call& call, std::size_t count) {
  return [call, count](const Result<std::vector<StreamRemoved>>& removed) {
    if (!removed) return is_unknown(removed.error()) ? reply_none(call, count) : call.error(removed.error());
    RespWriter reply = call.writer();
    reply.array(removed->size());
    for (const StreamRemoved one : *removed) reply.integer(to_reply(one));
    call.reply(std::move(reply));
  };
}

/// What is read the same way of both commands. nullopt: the call has been answered.
std::optional<broker::TopicPartition> find_or_answer(const Call& call, const Request& request, const RemovalOptions& options) {
  StreamKey key = find_stream(call.broker(), request[1]);
  if (key.state == StreamKey::State::several) {
    call.error(key.problem);
  } else if (!options.error.empty()) {
    call.error(options.error);
  } else if (!key.exists()) {
    reply_none(call, options.ids);
  } else if (broker::is_internal_topic(key.where.topic)) {
    call.error("ERR the broker keeps topic '" + key.where.topic + "' for itself");
  } else {
    return std::move(key.where);
  }
  return std::nullopt;
}

}  // namespace

void handle_xdelex(const Call& call, const Request& request) {
  const RemovalOptions options = parse_removal_options(request, 2);
  const std::optional<broker::TopicPartition> where = find_or_answer(call, request, options);
  if (!where) return;
  std::optional<std::vector<EntryId>> ids = parse_ids(request, options.first_id, options.ids);
  if (!ids) return call.error(kInvalidStreamId);
  call.broker().queues().stream_groups().remove(call.context(), *where, *std::move(ids), options.references, answer_to(call, options.ids));
}

void handle_xackdel(const Call& call, const Request& request) {
  const RemovalOptions options = parse_removal_options(request, 3);
  std::optional<broker::TopicPartition> where = find_or_answer(call, request, options);
  if (!where) return;
  broker::StreamGroupName name{*std::move(where), std::string(request[2])};
  std::optional<std::vector<EntryId>> ids = parse_ids(request, options.first_id, options.ids);
  if (!ids) {
    // Whether the group is there is asked before the ids are judged.
    return call.broker().queues().stream_groups().exists(call.context(), std::move(name), [call, options](const Result<bool>& there) {
      if (!there) return call.error(there.error());
      *there ? call.error(kInvalidStreamId) : reply_none(call, options.ids);
    });
  }
  call.broker().queues().stream_groups().ack_and_remove(call.context(), std::move(name), *std::move(ids), options.references,
                                                        answer_to(call, options.ids));
}

}  // namespace tidemark::redis
