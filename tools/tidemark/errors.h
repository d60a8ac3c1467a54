#pragma once

#include <string>
#include <string_view>

#include "storage/base/result.h"
#include "tools/tidemark/output.h"

namespace tidemark::tools {

/// What the process answers to its caller; scripts rely on the numbers.
enum class Exit : int {
  done = 0,
  failed = 1,
  usage = 2,
  not_found = 3,
  conflict = 4,
  denied = 5,
  cannot_connect = 6,
  timed_out = 7,  ///< The outcome is unknown.
  partial = 8,    ///< Some items failed.
  interrupted = 130,
};

/// The one mapping of engine errors to exit codes. An error that may have taken effect is always `timed_out`.
Exit exit_code(const Error& error);

/// What the user can do about it; empty when there is nothing useful to say.
std::string hint_for(const Error& error);

/// The error as it is told: "tidemark: DETAIL" and a hint line for people; with json or jsonl one line
/// {"error":{"code","message","hint","retriable"}}. Ends in a newline.
std::string format_error(const Error& error, OutputFormat output);

/// Tells the error on stderr and answers its exit code.
Exit report(const Error& error, OutputFormat output);

/// A mistake on the command line: told like an error, exit 2.
Exit report_usage(std::string_view message, OutputFormat output);

}  // namespace tidemark::tools
