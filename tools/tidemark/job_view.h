#pragma once

#include <span>
#include <string>

#include <boost/json/fwd.hpp>

#include "tidemark/admin.h"

/// How jobs look: as JSON that scripts rely on, and as tables.
namespace tidemark::tools {

/// {job,state,wait,topic,into,from,to,rate,speed,filter,skip_damaged,read,records,bytes,filtered,skipped,damaged,progress,
/// records_per_second,bytes_per_second,eta_seconds,error:{code,message},created_time,created_ms,finished_time,finished_ms}; what does not
/// apply is null. `progress` goes from 0 to 1.
boost::json::object job_to_json(const JobDescription& job);
/// The same, with partition_list:[{partition,from,to,next}].
boost::json::object job_details_to_json(const JobDescription& job);

std::string job_table(std::span<const JobDescription> jobs, bool wide);
/// One job; wide: with its partitions.
std::string job_page(const JobDescription& job, bool wide);

/// "running", "waiting: disk_full", "failed".
std::string job_state_text(const JobDescription& job);

}  // namespace tidemark::tools
