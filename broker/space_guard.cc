#include "broker/space_guard.h"

#include <algorithm>

#include "storage/base/log.h"
#include "storage/base/units.h"

namespace tidemark::broker {

SpaceGuard::SpaceGuard(storage::FileSystem& files, std::string path, std::uint64_t low_water_bytes)
    : files_(files), path_(std::move(path)), low_water_bytes_(low_water_bytes) {}

std::uint64_t SpaceGuard::mark() const { return std::min(low_water_bytes_, total_bytes() / 20); }

void SpaceGuard::look() {
  const Result<storage::SpaceInfo> space = files_.space(path_);
  if (!space) return;
  total_ = space->total_bytes;
  free_ = space->free_bytes;
  const bool refused = refuses_appends();
  if (!refused && space->free_bytes < mark()) {
    refuses_ = true;
    log_warn("read-only: " + reason().value_or(""));
  } else if (refused && space->free_bytes >= mark() + mark() / 10) {
    refuses_ = false;
    log_info("appends are taken again: " + format_size(space->free_bytes) + " free on the disk of " + path_);
  }
}

std::optional<std::string> SpaceGuard::reason() const {
  if (!refuses_appends()) return std::nullopt;
  return format_size(free_bytes()) + " free on the disk of " + path_ + ", appends need " + format_size(mark());
}

}  // namespace tidemark::broker
