#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/runtime.h"
#include "storage/file_system.h"

namespace tidemark::broker {

/// Watches the disk's free space: below the low-water mark the broker takes no more records, everything else goes on, and appends resume by
/// themselves once there is a tenth more than the mark.
class SpaceGuard {
 public:
  /// The mark is `low_water_bytes`, or 5 % of the disk if that is less.
  SpaceGuard(storage::FileSystem& files, std::string path, std::uint64_t low_water_bytes);

  /// Blocking: looks now. An unreadable figure leaves the state as it was.
  void look();

  bool refuses_appends() const { return refuses_.load(std::memory_order_relaxed); }
  /// "3.1 MiB free on the disk of /data, appends need 1 GiB"; nullopt while appends are taken.
  std::optional<std::string> reason() const;
  std::uint64_t free_bytes() const { return free_.load(std::memory_order_relaxed); }
  std::uint64_t total_bytes() const { return total_.load(std::memory_order_relaxed); }

 private:
  std::uint64_t mark() const;

  storage::FileSystem& files_;
  const std::string path_;
  const std::uint64_t low_water_bytes_;
  std::atomic<std::uint64_t> free_ = 0;
  std::atomic<std::uint64_t> total_ = 0;
  std::atomic<bool> refuses_ = false;
};

}  // namespace tidemark::broker
