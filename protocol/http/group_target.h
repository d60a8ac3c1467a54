#pragma once

#include <functional>

#include "broker/queues/queue_types.h"
#include "protocol/http/ask.h"

namespace tidemark::http {

/// What to do with a group once it is known which one is meant.
struct GroupActions {
  std::function<void(const Ask&)> stream;  ///< Empty: there is none for stream groups; 400 says so.
  std::function<void(const Ask&, const broker::QueueName&)> queue;
};

/// Finds the group that the first path value names, with the query's `kind` (stream | queue) and `topic`: without them the stream group of
/// that name, or else the one queue group of that name. Refused: 404; 409 when there are queue groups of that name on several topics.
void with_group(const Ask& ask, GroupActions actions);

}  // namespace tidemark::http
