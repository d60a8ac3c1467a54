#pragma once

#include "protocol/kafka/adapter/call.h"

namespace tidemark::kafka {

/// Decodes the request and hands it to its handler, which answers the call. An error (the body is not that request): nobody answers, the
/// caller ends the connection. `version_served` false: ApiVersions in a version that we do not know.
Status dispatch(const Call& call, const Slice& body, bool version_served);

}  // namespace tidemark::kafka
