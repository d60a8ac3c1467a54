#pragma once

#include <string_view>

#include "protocol/kafka/codec/errors.h"
#include "storage/base/result.h"

namespace tidemark::kafka {

/// What a call about a group answers: the codes that clients of the coordinator act upon.
ErrorCode group_error(const Error& error);

/// Error invalid_group_id otherwise.
bool legal_group_id(std::string_view group);

}  // namespace tidemark::kafka
