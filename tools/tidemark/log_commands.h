#pragma once

#include <cstdint>
#include <string>

#include "tools/tidemark/options.h"

namespace tidemark::tools {

struct LogDumpOptions {
  std::string file;
  bool records = false;
  std::string format;  ///< With records: as in consume.
};

struct LogRepairOptions {
  std::string directory;
  std::string partition;  ///< T:P
  std::string drop;       ///< FROM..TO
  bool yes_lose = false;
};

// Offline: on files, without a broker. None but repair writes anything.

/// Batches or records of one `.log` file, without its index. Damage is told on stderr with its position: exit 1.
Exit log_dump(const LogDumpOptions& options, const Globals& globals);
/// Reads every byte of a data directory, also of one in use, and says what does not add up: exit 0 sound (a torn tail behind the checkpoint
/// is normal after a crash), 1 damaged, 3 no data directory.
Exit log_verify(const std::string& directory, const Globals& globals);
/// Topics and partitions as the files show them.
Exit log_stat(const std::string& directory, const Globals& globals);
/// Gives up a damaged range for good, keeping its bytes aside.
Exit log_repair(const LogRepairOptions& options, const Globals& globals);

}  // namespace tidemark::tools
