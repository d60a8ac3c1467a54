#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/file_system.h"

namespace tidemark::tools {

struct OpenPorts {
  std::optional<std::uint16_t> native, kafka, redis, http;  ///< nullopt: off.
};

/// Writes {"native":7410,"kafka":9092,"redis":6380,"http":7480,"pid":1}, whole or not at all. null: off.
Status write_ports_file(storage::FileSystem& files, const std::string& path, const OpenPorts& ports);

/// Removes what a broker that was killed left at `path`, so that nobody takes it for ours while we start. The file of a process that
/// still lives stays, and so does anything that is not a ports file.
void remove_stale_ports_file(storage::FileSystem& files, const std::string& path);

}  // namespace tidemark::tools
