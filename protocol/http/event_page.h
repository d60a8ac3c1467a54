#pragma once

#include <memory>

#include "protocol/http/broker_link.h"
#include "protocol/http/reply.h"
#include "storage/base/unique_function.h"

namespace tidemark::http {

/// How things are, as the events of /api/v1/events: `status` (as GET /status), `lag` (a summary of each group, worst first, at most 1000),
/// `group` (the same of one group, when its verdict or lag has changed; with `verdict` null when it was removed, or when there are more
/// than 1000 and it is not among the worst any more), `topic` (how many there are and their revision: changes when one is made, altered or
/// removed). 503 without a broker.
void make_events(const std::shared_ptr<BrokerLink>& link, UniqueFunction<void(Reply)> done);

}  // namespace tidemark::http
