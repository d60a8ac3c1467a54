#pragma once

#include <memory>
#include <vector>

#include "broker/jobs/job.h"
#include "broker/jobs/job_services.h"
#include "broker/topic.h"

namespace tidemark::broker {

/// Resolves both positions in every partition of `source`; a range whose end lies before its start is empty. Everything up to the high
/// watermark is there to be read. Errors: offset_out_of_range naming the partition and its range, quarantined, io_error, unknown_topic.
void resolve_replay_ranges(const JobServices& services, std::shared_ptr<const Topic> source, ReplayPosition from, ReplayPosition to,
                           Done<std::vector<ReplayProgress>> done);

}  // namespace tidemark::broker
