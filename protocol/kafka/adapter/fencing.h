#pragma once

#include <optional>
#include <string>

#include "protocol/kafka/adapter/call.h"

namespace tidemark::kafka {

/// For a producer whose batch or offsets were refused: `done` gets the error to answer, now or later, on the session's shard.
///
/// invalid_transaction_state becomes stale_producer_epoch where the coordinator has a newer epoch for the transactional id: the
/// transaction was aborted over its producer's head, by its time-out or by another instance, and partitions and groups without anything
/// of it know no more than that it is gone. Clients take a stale epoch for being fenced and begin anew; a wrong state ends them (Kafka
/// Streams). Apache Kafka asks its coordinator in the same way before it appends (KIP-890). All other errors pass as they are.
void judge_fencing(const Call& call, const std::optional<std::string>& transactional_id, const broker::ProducerIdentity& producer,
                   Error refused, UniqueFunction<void(Error)> done);

}  // namespace tidemark::kafka
