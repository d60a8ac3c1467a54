#pragma once

#include "tools/tidemark/options.h"

namespace tidemark::tools {

/// The verbs of `tidemark group` that only queue groups have.
void add_queue_verbs(CLI::App& group, Invocation& invocation);

}  // namespace tidemark::tools
