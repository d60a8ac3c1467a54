#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "broker/runtime.h"

namespace tidemark::redis {

class SessionCore;

/// Live messages between connections, in memory only: who does not listen when a message is published never sees it. Each shard knows the
/// subscriptions of its own connections; a message visits the shards that have any.
/// (https://redis.io/docs/latest/develop/interact/pubsub/)
class PubSub {
 public:
  explicit PubSub(broker::Runtime& runtime) : runtime_(runtime), shards_(runtime.shard_count()) {}

  enum class Kind { channel, pattern };

  // On the session's shard. A session unsubscribes from everything before it goes.
  void subscribe(std::size_t shard, Kind kind, const std::string& name, SessionCore& session);
  void unsubscribe(std::size_t shard, Kind kind, const std::string& name, SessionCore& session);

  /// Hands the message to every subscriber; messages from one connection arrive in their order. `done` gets the number of receivers.
  void publish(broker::Shard& home, std::string channel, std::string message, std::function<void(std::size_t)> done);

  // What PUBSUB asks; answered on `home`.
  /// Channels with subscribers (patterns do not count) that match `pattern`; empty: all.
  void channels(broker::Shard& home, std::string pattern, std::function<void(std::vector<std::string>)> done);
  void subscribers(broker::Shard& home, std::vector<std::string> channels, std::function<void(std::vector<std::size_t>)> done);
  void patterns(broker::Shard& home, std::function<void(std::size_t)> done);

 private:
  using Subscribers = std::unordered_map<std::string, std::unordered_set<SessionCore*>>;
  struct Shard {
    Subscribers channels, patterns;      ///< Touched by the shard only.
    std::atomic<std::size_t> count = 0;  ///< Of subscriptions; publishers look at it.
  };
  std::size_t deliver(std::size_t shard, const std::string& channel, const std::string& message);

  broker::Runtime& runtime_;
  std::vector<Shard> shards_;
};

}  // namespace tidemark::redis
