#pragma once

#include <string>

#include "storage/base/bytes.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/file_system.h"

namespace tidemark::storage {

/// Keeps what recovery is about to cut off a file: writes it, durably, to `<path>.torn-<position>`, so that nothing is ever destroyed by a
/// start. At most the newest kTornTailsKept of a directory stay. Returns the path of the copy.
inline constexpr std::size_t kTornTailsKept = 4;
Result<std::string> set_torn_tail_aside(FileSystem& files, const std::string& path, FilePosition position, ByteView bytes);

}  // namespace tidemark::storage
