#pragma once

#include <string>
#include <string_view>

#include "broker/broker.h"

namespace tidemark::redis {

/// What a key of a Redis client names: a topic with one partition by its bare name, partition P of any topic as `name#P`. (A `#` is in no
/// topic's name.)
struct StreamKey {
  enum class State {
    found,
    missing,
    several,  ///< A bare name, and the topic has more than one partition: pretending that they have an order would be a lie.
    illegal,  ///< No topic can have this name.
  } state = State::missing;
  broker::TopicPartition where;
  std::string problem;  ///< Of several and illegal: the error, in full.
  bool bare = true;     ///< No `#P`: XADD may make it.

  bool exists() const { return state == State::found; }
};

/// As this shard sees the topics now. A topic whose time to expire has come is missing.
StreamKey find_stream(broker::Broker& broker, std::string_view key);

}  // namespace tidemark::redis
