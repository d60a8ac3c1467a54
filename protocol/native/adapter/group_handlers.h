#pragma once

#include "protocol/native/adapter/request.h"

namespace tidemark::native {

/// Requests about groups: dispatch() sends them here. An error ends the connection.
Status dispatch_group(const Request& request);

}  // namespace tidemark::native
