#include <array>
#include <memory>
#include <utility>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/key_fences.h"
#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/adapter/steps.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/transaction.h"

namespace tidemark::redis {
namespace {

/// Looks at keys, one after another: a text that is another one when the key has been changed in between.
struct KeyStates : std::enable_shared_from_this<KeyStates> {
  KeyStates(const Call& call_in, std::vector<std::string> keys_in, std::function<void(std::vector<WatchedKey>)> done_in)
      : call(call_in), keys(std::move(keys_in)), done(std::move(done_in)) {}

  void run() {
    steps.run([this] {
      if (found.size() < keys.size()) {
        look();
        return true;
      }
      done(std::move(found));
      return false;
    });
  }
  void look() {
    const std::string& name = keys[found.size()];
    const StreamKey key = find_stream(call.broker(), name);
    if (!key.exists()) return take("");
    const std::shared_ptr<const broker::TopicTable> topics = call.broker().topics();
    const broker::Topic* const topic = topics->find(key.where.topic);
    // A topic deleted and made anew has another id.
    std::string identity = topic == nullptr ? std::string() : topic->id.to_string();
    if (topic != nullptr && topic->expires) identity += " " + std::to_string(topic->expires->time_since_epoch().count());
    call.broker().entries().stats(call.context(), key.where,
                                  [self = shared_from_this(), identity = std::move(identity)](const Result<broker::EntryStats>& stats) {
                                    if (!stats) return self->take(stats.error().code == Errc::unknown_topic ? "" : "?");
                                    self->take(identity + " " + to_text(stats->last_id) + " " + to_text(stats->max_deleted) + " " +
                                               std::to_string(stats->entries_added) + " " + std::to_string(stats->length));
                                  });
  }
  void take(std::string state) {
    const std::string& name = keys[found.size()];
    found.push_back({name, std::move(state)});
    if (steps.ended()) run();
  }

  const Call call;
  const std::vector<std::string> keys;
  const std::function<void(std::vector<WatchedKey>)> done;
  std::vector<WatchedKey> found;
  Steps steps;
};

void look_at_keys(const Call& call, std::vector<std::string> keys, std::function<void(std::vector<WatchedKey>)> done) {
  std::make_shared<KeyStates>(call, std::move(keys), std::move(done))->run();
}

void handle_multi(const Call& call, const Request&) {
  MultiState& multi = call.session().multi();
  if (multi.active) return call.error("ERR MULTI calls can not be nested");
  multi.clear();
  multi.active = true;
  call.ok();
}

void handle_discard(const Call& call, const Request&) {
  MultiState& multi = call.session().multi();
  if (!multi.active) return call.error("ERR DISCARD without MULTI");
  multi.clear();
  multi.watched.clear();
  call.ok();
}

void handle_watch(const Call& call, const Request& request) {
  if (call.session().multi().active) return call.error("ERR WATCH inside MULTI is not allowed");
  std::vector<std::string> keys;
  for (std::size_t i = 1; i < request.size(); ++i) keys.emplace_back(request[i]);
  look_at_keys(call, std::move(keys), [call](std::vector<WatchedKey> states) {
    std::vector<WatchedKey>& watched = call.session().multi().watched;
    std::ranges::move(states, std::back_inserter(watched));
    call.ok();
  });
}

void handle_unwatch(const Call& call, const Request&) {
  call.session().multi().watched.clear();
  call.ok();
}

/// With the keys to itself.
void run_if_unchanged(const Call& call, std::vector<Request> queued, std::vector<WatchedKey> watched, std::function<void()> ended) {
  std::vector<std::string> keys;
  for (const WatchedKey& key : watched) keys.push_back(key.key);
  auto compare = [call, queued = std::move(queued), watched = std::move(watched),
                  ended = std::move(ended)](const std::vector<WatchedKey>& now) {
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].state == now[i].state) continue;
      ended();
      return call.null_array();
    }
    Transaction::run(call, queued, ended);
  };
  look_at_keys(call, std::move(keys), std::move(compare));
}

void handle_exec(const Call& call, const Request&) {
  MultiState& multi = call.session().multi();
  if (!multi.active) return call.error("ERR EXEC without MULTI");
  const bool failed = multi.failed;
  std::vector<Request> queued = std::move(multi.queued);
  std::vector<WatchedKey> watched = std::move(multi.watched);
  multi.clear();
  multi.watched.clear();
  if (failed) return call.error("EXECABORT Transaction discarded because of previous errors.");
  FencedKeys keys;
  for (const WatchedKey& key : watched) keys.names.insert(key.key);
  for (const Request& request : queued) keys.add(request);
  const auto run = [call, queued = std::move(queued), watched = std::move(watched)](KeyFences::Ticket ticket) {
    run_if_unchanged(call, queued, watched, [fences = call.server().fences, ticket] { fences->release(ticket); });
  };
  call.server().fences->acquire(call.shard(), std::move(keys), run);
}

constexpr CommandGroup kGroup = CommandGroup::transactions;
constexpr std::uint32_t kFlags = kNoScript | kLoading | kStale | kFast;
constexpr std::array kCommands = {
    CommandSpec{"discard", 1, kFlags, kGroup, "2.0.0", "Forgets the commands of a transaction", handle_discard},
    CommandSpec{"exec", 1, kNoScript | kLoading | kStale, kGroup, "1.2.0", "Runs the commands of a transaction", handle_exec,
                Ordering::alone},
    CommandSpec{"multi", 1, kFlags, kGroup, "1.2.0", "Begins a transaction", handle_multi},
    CommandSpec{"unwatch", 1, kFlags, kGroup, "2.2.0", "Forgets the keys of WATCH", handle_unwatch, Ordering::alone},
    CommandSpec{
        "watch", -2, kFlags, kGroup, "2.2.0", "Lets EXEC do nothing if a key has changed", handle_watch, Ordering::alone, {1, -1, 1}},
};

}  // namespace

std::span<const CommandSpec> transaction_commands() { return kCommands; }

}  // namespace tidemark::redis
