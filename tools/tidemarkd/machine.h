#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "storage/base/result.h"

/// What the broker stands on: memory, descriptors, disk, clock. Linux only; what cannot be found out is empty, never guessed.
namespace tidemark::tools {

struct Machine {
  std::size_t processors = 1;
  std::uint64_t memory_bytes = 0;    ///< Of the machine, or what the control group allows if that is less.
  std::size_t open_files_max = 256;  ///< Descriptors this process may have.
};

/// Raises the soft limit of descriptors to the hard one first.
Machine inspect_machine();

struct DiskFacts {
  std::string file_system;        ///< "ext4", "tmpfs", ...; the magic number in hex if we know no name.
  bool volatile_storage = false;  ///< Its contents are gone after a restart of the machine.
  bool network = false;
  std::optional<bool> rotational;  ///< A disk that seeks.
  std::uint64_t free_bytes = 0, total_bytes = 0;
};
/// Of the file system that holds `path`, which must exist.
Result<DiskFacts> inspect_disk(const std::string& path);

struct FlushTime {
  std::chrono::microseconds median{}, worst{};
  std::size_t flushes = 0;
};
/// Appends 4 KiB and flushes, again and again for about 50 ms, in a nameless file in `directory`. Errors: io_error, disk_full.
Result<FlushTime> measure_flush_time(const std::string& directory);

/// Whether the kernel says that something keeps the clock right; nullopt: it does not tell.
std::optional<bool> clock_synchronised();

}  // namespace tidemark::tools
