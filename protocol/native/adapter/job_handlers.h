#pragma once

#include "protocol/native/adapter/request.h"
#include "protocol/native/wire.pb.h"

/// The handlers of requests about jobs; each sees to it that the request is answered.
namespace tidemark::native {

Status handle_create_replay(const Request& request, const wire::CreateReplay& create);
Status handle_list_jobs(const Request& request, const wire::ListJobs& list);
Status handle_describe_job(const Request& request, const wire::DescribeJob& describe);
Status handle_control_job(const Request& request, const wire::ControlJob& control);

}  // namespace tidemark::native
