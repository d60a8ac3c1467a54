#include <array>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/help.h"
#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

using Kind = PubSub::Kind;

/// One connection keeps no more names than this in the broker's memory.
constexpr std::size_t kSubscriptionsMax = 100'000;

void write_change(RespWriter& reply, std::string_view what, const std::string* name, std::size_t count) {
  reply.push(3);
  reply.bulk(what);
  name == nullptr ? reply.null() : reply.bulk(*name);
  reply.integer(static_cast<std::int64_t>(count));
}

void subscribe(const Call& call, const Request& request, Kind kind) {
  SessionCore& session = call.session();
  if (session.subscription_count() + request.size() > kSubscriptionsMax) return call.error("ERR too many subscriptions on one connection");
  RespWriter reply = call.writer();
  for (std::size_t i = 1; i < request.size(); ++i) {
    const std::string name(request[i]);
    if (session.subscriptions(kind).insert(name).second) call.server().pubsub.subscribe(call.shard().index(), kind, name, session);
    write_change(reply, kind == Kind::channel ? "subscribe" : "psubscribe", &name, session.subscription_count());
  }
  call.reply(std::move(reply));
}

void unsubscribe(const Call& call, const Request& request, Kind kind) {
  SessionCore& session = call.session();
  const std::string_view what = kind == Kind::channel ? "unsubscribe" : "punsubscribe";
  std::vector<std::string> names(request.arguments.begin() + 1, request.arguments.end());
  if (names.empty()) names.assign(session.subscriptions(kind).begin(), session.subscriptions(kind).end());
  RespWriter reply = call.writer();
  for (const std::string& name : names) {
    if (session.subscriptions(kind).erase(name) > 0) call.server().pubsub.unsubscribe(call.shard().index(), kind, name, session);
    write_change(reply, what, &name, session.subscription_count());
  }
  if (names.empty()) write_change(reply, what, nullptr, session.subscription_count());
  call.reply(std::move(reply));
}

void handle_subscribe(const Call& call, const Request& request) { subscribe(call, request, Kind::channel); }
void handle_psubscribe(const Call& call, const Request& request) { subscribe(call, request, Kind::pattern); }
void handle_unsubscribe(const Call& call, const Request& request) { unsubscribe(call, request, Kind::channel); }
void handle_punsubscribe(const Call& call, const Request& request) { unsubscribe(call, request, Kind::pattern); }

void handle_publish(const Call& call, const Request& request) {
  call.server().pubsub.publish(call.shard(), std::string(request[1]), std::string(request[2]),
                               [call](std::size_t receivers) { call.integer(static_cast<std::int64_t>(receivers)); });
}

void handle_channels(const Call& call, const Request& request) {
  if (request.size() > 3) return call.error(wrong_subcommand(request[1], "PUBSUB"));
  call.server().pubsub.channels(call.shard(), request.size() == 3 ? std::string(request[2]) : std::string(),
                                [call](const std::vector<std::string>& names) {
                                  RespWriter reply = call.writer();
                                  reply.array(names.size());
                                  for (const std::string& name : names) reply.bulk(name);
                                  call.reply(std::move(reply));
                                });
}

void handle_numsub(const Call& call, const Request& request) {
  const std::vector<std::string> names(request.arguments.begin() + 2, request.arguments.end());
  call.server().pubsub.subscribers(call.shard(), names, [call, names](const std::vector<std::size_t>& counts) {
    RespWriter reply = call.writer();
    reply.array(names.size() * 2);
    for (std::size_t i = 0; i < names.size(); ++i) {
      reply.bulk(names[i]);
      reply.integer(static_cast<std::int64_t>(counts[i]));
    }
    call.reply(std::move(reply));
  });
}

void handle_numpat(const Call& call, const Request&) {
  call.server().pubsub.patterns(call.shard(), [call](std::size_t count) { call.integer(static_cast<std::int64_t>(count)); });
}

constexpr CommandGroup kGroup = CommandGroup::pubsub;
constexpr std::uint32_t kSubscribing = kPubSub | kNoScript | kLoading | kStale;
constexpr std::uint32_t kAsking = kPubSub | kLoading | kStale;
constexpr std::array kPubSubSubcommands = {
    CommandSpec{"pubsub|channels", -2, kAsking, kGroup, "2.8.0", "Channels that somebody listens to", handle_channels},
    CommandSpec{"pubsub|help", 2, kLoading | kStale, kGroup, "6.2.0", "Prints this help", handle_help},
    CommandSpec{"pubsub|numpat", 2, kAsking, kGroup, "2.8.0", "How many patterns somebody listens to", handle_numpat},
    CommandSpec{"pubsub|numsub", -2, kAsking, kGroup, "2.8.0", "How many listen to each channel", handle_numsub},
};
// Subscriptions change what may come between replies, so they wait until nothing else is under way.
constexpr std::array kCommands = {
    CommandSpec{"psubscribe", -2, kSubscribing, kGroup, "2.0.0", "Listens to channels that match a pattern", handle_psubscribe,
                Ordering::alone},
    CommandSpec{"publish", 3, kPubSub | kLoading | kStale | kFast, kGroup, "2.0.0", "Hands a message to who listens now", handle_publish},
    CommandSpec{.name = "pubsub",
                .arity = -2,
                .group = kGroup,
                .since = "2.8.0",
                .summary = "Commands about subscriptions",
                .subcommands = kPubSubSubcommands},
    CommandSpec{"punsubscribe", -1, kSubscribing, kGroup, "2.0.0", "Stops listening to patterns", handle_punsubscribe, Ordering::alone},
    CommandSpec{"subscribe", -2, kSubscribing, kGroup, "2.0.0", "Listens to channels", handle_subscribe, Ordering::alone},
    CommandSpec{"unsubscribe", -1, kSubscribing, kGroup, "2.0.0", "Stops listening to channels", handle_unsubscribe, Ordering::alone},
};

}  // namespace

std::span<const CommandSpec> pubsub_commands() { return kCommands; }

}  // namespace tidemark::redis
