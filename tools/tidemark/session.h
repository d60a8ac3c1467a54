#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "storage/base/result.h"
#include "tidemark/client.h"
#include "tools/tidemark/options.h"

namespace tidemark::tools {

/// Connected to the broker that --server names. Errors: cannot_connect, invalid_argument.
Result<Client> connect(const Globals& globals);

/// Asks once on the terminal whether to go on with what `plan` says; yes without asking under --yes and when no terminal is there.
bool confirm(std::string_view plan, const Globals& globals);

/// Time since a moment, for summaries.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count(); }

 private:
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

Timestamp now();

}  // namespace tidemark::tools
