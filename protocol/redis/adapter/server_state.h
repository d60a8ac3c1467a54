#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "broker/broker.h"
#include "broker/runtime.h"
#include "protocol/redis/adapter/blocking_keys.h"
#include "protocol/redis/adapter/clients.h"
#include "protocol/redis/adapter/key_fences.h"
#include "protocol/redis/adapter/pubsub.h"
#include "protocol/redis/adapter/statistics.h"

namespace tidemark::redis {

/// What the server main knows and the engine does not.
struct ServerFacts {
  enum class Compat { v7_0, v7_2 };

  std::string version;             ///< Of Tidemark.
  Compat compat = Compat::v7_2;    ///< `redis.compat`: which Redis to be in version string, reply shapes and error texts.
  bool auto_create_topics = true;  ///< Whether XADD makes a stream.
  bool lag_as_redis = false;       ///< `redis.lag = redis`: XINFO does not know lag where Redis does not.
  std::uint16_t port = 0;          ///< Filled in by the server.

  std::string redis_version() const { return compat == Compat::v7_2 ? "7.2.6" : "7.0.15"; }
};

/// What the connections of one Redis listener share. Outlives them.
struct ServerState {
  ServerState(broker::Broker& broker_in, broker::Runtime& runtime_in, ServerFacts facts_in)
      : broker(broker_in),
        runtime(runtime_in),
        facts(std::move(facts_in)),
        started(runtime.clock().now()),
        clients(runtime),
        pubsub(runtime),
        fences(std::make_shared<KeyFences>(runtime)) {}

  broker::Broker& broker;
  broker::Runtime& runtime;
  ServerFacts facts;
  const Timestamp started;
  std::string run_id;  ///< 40 hex digits, anew at each start.
  Clients clients;
  PubSub pubsub;
  const std::shared_ptr<KeyFences> fences;
  Statistics statistics;
  BlockingKeys blocking_keys;
  /// `stream-node-max-entries`: how many entries approximate trimming takes as one, as if they shared a node of Redis's radix tree.
  std::atomic<std::uint64_t> stream_node_entries = 100;
};

}  // namespace tidemark::redis
