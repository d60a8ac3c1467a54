#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/jobs/job.h"
#include "broker/jobs/job_services.h"
#include "broker/jobs/replay_chunk.h"

namespace tidemark::broker {

/// What came of reading some windows of a source.
struct SourceRead {
  std::vector<SourceWindow> windows;  ///< As asked for; `from` moved past what is gone, `end` as far as was read.
  std::optional<Error> error;         ///< Nothing else counts then.
};

/// Reads stretches of a topic's partitions as any reader would, from the tail cache or through the bounded cold reads, and passes over what
/// is not there any more: below the log start, beyond the end, and, if it may, quarantined ranges.
class SourceReader {
 public:
  struct Options {
    Uuid topic;
    std::string name;  ///< For errors.
    bool skip_damaged = false;
    std::size_t bytes_max = 1024 * 1024;  ///< Of one read; a single larger batch comes all the same.
    bool whole = false;                   ///< Read every window to its `to`; otherwise one read each.
  };

  /// Begins at each window's `from`. `done` runs on the calling shard.
  static void read(const JobServices& services, Options options, std::vector<SourceWindow> windows, UniqueFunction<void(SourceRead)> done);
};

}  // namespace tidemark::broker
