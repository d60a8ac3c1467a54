#pragma once

#include <chrono>

#include "broker/groups/group_types.h"
#include "protocol/native/adapter/request.h"
#include "protocol/native/wire.pb.h"

/// Values that requests about stream groups and about queue groups share, on the wire and in the engine.
namespace tidemark::native {

inline std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
inline double to_seconds(std::chrono::milliseconds duration) { return static_cast<double>(duration.count()) / 1000; }

/// Error invalid_argument: a kind that only a newer client knows.
Result<broker::StartAt> to_start(const wire::StartAt& start);
void to_wire(const broker::StartAt& start, wire::StartAt& out);

/// False, and answered with invalid_argument, when a request names more partitions than one may.
bool within_bounds(const Request& request, int entries);
broker::CommitRequest to_commit(const wire::CommitOffsets& in);
/// Answers with CommitOffsetsReply.
void reply_committed(const Request& request, const broker::CommitReply& reply);

/// Error invalid_argument: a target that only a newer client knows.
Result<broker::SeekRequest> to_seek(const wire::SeekGroup& in);
void to_wire(const broker::SeekRow& row, wire::SeekRow& out);
/// Answers with SeekReply.
broker::Done<broker::SeekReply> answer_seek(const Request& request);

}  // namespace tidemark::native
