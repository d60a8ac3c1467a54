#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/damage.h"
#include "storage/file_system.h"
#include "storage/log.h"
#include "storage/state_log.h"

/// Reading a data directory without changing a byte of it: what `tidemark log verify` stands on. Works on a directory in use.
namespace tidemark::storage {

struct PartitionCheck {
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  std::optional<TornTail> torn;  ///< Behind the checkpoint: normal after a crash, or a write under way. `kept` is empty.
  std::vector<Damage> damage;
};

/// Reads every byte of every segment in `directory` and holds it against seals, checksums and the chain of offsets. What lies behind the
/// checkpoint is never called damaged. A missing directory is an empty partition. Error io_error.
Result<PartitionCheck> verify_partition(FileSystem& files, const std::string& directory, Offset log_start,
                                        const std::optional<LogCheckpoint>& checkpoint);

struct StateCheck {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::optional<TornTail> torn;
};

/// Reads the state log in `directory` and shows every record, dead ones too, in log order. Errors: corrupt_batch naming file and position
/// where it is damaged, foreign_data, io_error.
Result<StateCheck> read_state_log(FileSystem& files, const std::string& directory, const std::function<void(const StateRecord&)>& show);

}  // namespace tidemark::storage
