#pragma once

#include <string>
#include <string_view>

#include "broker/groups/group_types.h"
#include "broker/jobs/job.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"

/// Places in a log as people write them: `earliest latest committed 42 +5 -5 -15m @2026-03-01T10:00 @-1h @now`, the command line's grammar.
/// Times without an offset are the server's. Relative times count from `now`.
namespace tidemark::http {

/// Also `group:NAME`. Error invalid_argument.
Result<broker::SeekTarget> parse_seek_target(const std::string& text, Timestamp now);
/// `earliest`, `latest`, an offset or a time. Error invalid_argument.
Result<broker::StartAt> parse_start(const std::string& text, Timestamp now);
/// All but `committed`. Error invalid_argument.
Result<broker::ReplayPosition> parse_replay_position(const std::string& text, Timestamp now);

}  // namespace tidemark::http
