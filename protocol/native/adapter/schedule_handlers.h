#pragma once

#include "protocol/native/adapter/request.h"
#include "protocol/native/wire.pb.h"

/// The handlers of requests about records that wait for their time; each sees to it that the request is answered.
namespace tidemark::native {

Status handle_list_scheduled(const Request& request, const wire::ListScheduled& list);
Status handle_cancel_scheduled(const Request& request, const wire::CancelScheduled& cancel);
Status handle_schedule_status(const Request& request, const wire::ScheduleStatus& status);

}  // namespace tidemark::native
