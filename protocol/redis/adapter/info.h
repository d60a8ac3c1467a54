#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/redis/adapter/call.h"

namespace tidemark::redis {

/// The text of INFO. `sections` in any case; none, "default", "all" and "everything" are understood as in Redis.
/// (https://redis.io/docs/latest/commands/info/)
std::string info_text(const Call& call, std::span<const std::string_view> sections, const broker::BrokerStatus& status);

}  // namespace tidemark::redis
