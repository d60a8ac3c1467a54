#pragma once

#include "protocol/redis/adapter/command.h"

namespace tidemark::redis {

/// HELP of a command with subcommands: those that are served, in the form that Redis lists them in. (XGROUP and XINFO have Redis's own
/// lines.)
void handle_help(const Call& call, const Request& request);

}  // namespace tidemark::redis
