#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "storage/base/result.h"
#include "tools/tidemark/output.h"

namespace tidemark::tools {

/// Tells which records failed, by number. A refused record gets a message of its own; when the broker is out of reach, every record
/// behind the first fails alike, and one message names them all: "lines 17 to 4711: ...".
class FailureReporter {
 public:
  using Sink = std::function<void(std::string_view text)>;
  /// `noun` is what the numbers count: "line", "record".
  FailureReporter(std::string noun, OutputFormat output, Sink sink) : noun_(std::move(noun)), output_(output), sink_(std::move(sink)) {}

  /// In ascending order of `number`.
  void add(std::uint64_t number, const Error& error);
  /// Tells what is gathered; call it at the end.
  void flush();

 private:
  struct Run {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    Error error;
  };
  void tell(const Run& run) const;

  std::string noun_;
  OutputFormat output_;
  Sink sink_;
  std::optional<Run> run_;
};

}  // namespace tidemark::tools
