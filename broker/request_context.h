#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/clock.h"

namespace tidemark::broker {

/// Who asks, how, and until when. Every engine call takes one: authorisation, quotas, audit and deadlines hang on it.
struct RequestContext {
  std::string principal = "anonymous";
  std::string listener;   ///< "native", "kafka", "redis", "http" or "internal".
  std::string client_id;  ///< As the client calls itself; may be empty.
  std::optional<SteadyTime> deadline;
  std::uint64_t correlation_id = 0;
};

}  // namespace tidemark::broker
