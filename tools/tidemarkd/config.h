#pragma once

#include <cstdint>
#include <string>

#include "broker/broker.h"
#include "storage/base/log.h"
#include "storage/base/result.h"
#include "tools/tidemarkd/listen_address.h"
#include "tools/tidemarkd/machine.h"
#include "tools/tidemarkd/settings.h"

namespace tidemark::tools {

/// What the server runs with: the settings, checked.
struct Config {
  ListenAddress native, kafka, redis, http;
  bool insecure_listen = false;
  std::string kafka_advertised_host;  ///< Empty: the address that a client has connected to.
  std::uint16_t kafka_advertised_port = 0;
  bool kafka_accept_replication = false;
  bool auto_create_topics = true;
  bool redis_lag_as_redis = false;  ///< `redis.lag = redis`
  bool redis_compat_7_0 = false;    ///< `redis.compat = 7.0`
  std::size_t shards = 1;
  LogLevel log_level = LogLevel::info;
  broker::BrokerOptions broker;
};

/// Checks every value, also of what this build does not use yet. `machine` resolves the values that say "auto". Error invalid_config names
/// the setting, its value, where that comes from, and the rule.
Result<Config> make_config(const Settings& settings, const Machine& machine);

}  // namespace tidemark::tools
