#pragma once

#include <cstdint>
#include <string>

namespace tidemark::kafka {

/// The only broker of the cluster, as Kafka clients see it.
inline constexpr std::int32_t kNodeId = 1;

/// What the server main knows and the engine does not.
struct ServerFacts {
  std::string version;
  /// Where clients are told to connect: `kafka.advertised`, or the address this connection came in on.
  std::string advertised_host;
  std::int32_t advertised_port = 0;
  bool accept_replication = false;  ///< A replication factor above 1 is taken as 1 instead of refused.
  bool auto_create_topics = true;
};

}  // namespace tidemark::kafka
