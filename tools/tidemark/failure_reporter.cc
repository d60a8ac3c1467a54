#include "tools/tidemark/failure_reporter.h"

#include <fmt/format.h>

#include "tools/tidemark/errors.h"

namespace tidemark::tools {

void FailureReporter::add(std::uint64_t number, const Error& error) {
  const bool shared = error.retriable() || error.maybe_done || error.code == Errc::cancelled;
  if (shared && run_ && run_->error == error) {
    run_->last = number;
    return;
  }
  flush();
  const Run run{number, number, error};
  if (shared) {
    run_ = run;
  } else {
    tell(run);
  }
}

void FailureReporter::flush() {
  if (run_) tell(*run_);
  run_.reset();
}

void FailureReporter::tell(const Run& run) const {
  Error named = run.error;
  const std::string_view what = named.detail.empty() ? to_string(named.code) : std::string_view(named.detail);
  named.detail = run.first == run.last ? fmt::format("{} {}: {}", noun_, run.first, what)
                                       : fmt::format("{}s {} to {}: {}", noun_, run.first, run.last, what);
  sink_(format_error(named, output_));
}

}  // namespace tidemark::tools
