#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/clock.h"

namespace tidemark::tools {

/// What the values of benchmarks that look at both ends begin with: whose run it is, the record's number, and when it was due.
struct Stamp {
  static constexpr std::size_t kBytes = 24;
  std::uint64_t run = 0;
  std::uint64_t number = 0;
  SteadyTime due;
};

/// A number no other run has.
std::uint64_t new_run();
/// Over the first kBytes of the value, which has them.
void write_stamp(std::string& value, const Stamp& stamp);
/// nullopt for a record of another run on the same topic.
std::optional<Stamp> read_stamp(std::string_view value, std::uint64_t run);

}  // namespace tidemark::tools
