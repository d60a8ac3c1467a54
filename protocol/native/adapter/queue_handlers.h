#pragma once

#include "protocol/native/adapter/request.h"

namespace tidemark::native {

/// Requests about queue groups: dispatch() sends them here. An error ends the connection.
Status dispatch_queue(const Request& request);
/// Those of operators.
Status dispatch_queue_admin(const Request& request);

}  // namespace tidemark::native
