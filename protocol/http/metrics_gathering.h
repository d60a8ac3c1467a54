#pragma once

#include "protocol/http/broker_link.h"
#include "protocol/http/metrics.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::http {

inline constexpr std::size_t kTopicsWithMetricsMax = 10'000;
inline constexpr std::size_t kGroupsWithMetricsMax = 10'000;

/// Asks the broker for everything the metrics need, some topics at a time, so that ten thousand of them do not hold a shard up. The engine
/// must be there; `done` runs on shard 0.
void gather_metrics(const BrokerLink::Engine& engine, const ServerFacts& facts, UniqueFunction<void(Result<MetricsSnapshot>)> done);

}  // namespace tidemark::http
