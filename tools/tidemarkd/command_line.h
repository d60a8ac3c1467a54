#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/result.h"

namespace tidemark::tools {

/// The flags of tidemarkd, as given.
struct CommandLine {
  std::optional<std::string> config_file;
  std::string ports_file;  ///< Empty: none is written.
  bool print_config = false;
  /// Settings given as flags: key, value, flag.
  struct Flag {
    std::string key, value, flag;
  };
  std::vector<Flag> flags;
  /// Set by --help and --version: print this and stop.
  std::optional<std::string> answer;
};

/// Error invalid_argument: a sentence naming the flag.
Result<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace tidemark::tools
