#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/random.h"

/// The bytes of one simulated file, twice: what reads see (the page cache) and what the disk holds.
namespace tidemark::simulation {

inline constexpr std::uint64_t kSectorBytes = 512;
inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kSectorsPerPage = kPageBytes / kSectorBytes;

/// What a power loss does with everything that was not synced.
enum class CrashPolicy {
  drop_all,  ///< Only what was synced is there.
  keep_all,  ///< Everything had reached the disk by chance.
  random,    ///< Each unsynced sector, size, reservation and name on its own; see FileContents and DirectoryContents.
};

/// Copy-on-write without counting references: an object is changed in place only by the disk of its generation. Cloning a disk gives both
/// sides a new generation, and with that freezes everything they share, also for clones on other threads.
using Generation = std::uint64_t;
Generation next_generation();

struct Page {
  explicit Page(Generation generation) : owner(generation) {}
  Page(Generation generation, const Page& other) : owner(generation), bytes(other.bytes) {}

  std::uint64_t hash() const;

  Generation owner;
  std::array<std::byte, kPageBytes> bytes{};
  mutable std::atomic<std::uint64_t> cached_hash{0};  ///< 0: not computed since the last change.
};

/// Pages of one version of a file. A missing page reads as zeros, and so do bytes of the last page past the size.
struct FileImage {
  std::uint64_t size = 0;
  std::uint64_t reserved = 0;  ///< Disk space taken by reserve(), counted from the start of the file.
  std::vector<std::shared_ptr<Page>> pages;

  const Page* page(std::uint64_t index) const { return index < pages.size() ? pages[index].get() : nullptr; }
  void set_page(std::uint64_t index, std::shared_ptr<Page> page);
  /// Shrinks to `bytes`; the page cut through is replaced, never changed.
  void cut(Generation generation, std::uint64_t bytes);
  std::uint64_t hash() const;
};

/// Power loss, policy random: bytes that differ from the durable ones, or lie past the durable size, are per sector kept, dropped, zeroed
/// or torn (new bytes up to some place in the sector, then garbage); no other byte of the sector changes, as on real drives. A grown size
/// stays, grows in part or not at all, independent of the data, so there may be zeros at the end or data may be missing. A truncate
/// happened or not; if not, nothing written past it is there, because a file system orders the two.
class FileContents {
 public:
  std::uint64_t size() const { return current_.size; }
  std::uint64_t reserved() const { return current_.reserved; }
  /// Disk space taken.
  std::uint64_t footprint() const { return std::max(current_.size, current_.reserved); }

  std::size_t read(std::uint64_t at, MutableBytes into) const;
  void write(Generation generation, std::uint64_t at, ByteView bytes);
  void truncate(Generation generation, std::uint64_t bytes);
  void reserve(std::uint64_t bytes) { current_.reserved = std::max(current_.reserved, bytes); }

  void sync(Generation generation);
  /// What a failed fsync leaves: every unsynced page counts as clean, reads still find the new bytes, and no later sync() writes them. A
  /// sector written again is unsynced again. The size stays unsynced: metadata is in the journal, and the next sync() makes it durable.
  void lose_unsynced(Generation generation);
  /// Reads find the durable bytes where a failed sync lost the new ones. Unsynced pages stay, as in the kernel.
  void drop_cache(Generation generation);

  /// Bit rot: flips the bit in the cache and on the disk.
  void flip_bit(Generation generation, std::uint64_t at, unsigned bit);

  /// Nothing that a power loss could change.
  bool settled() const;
  FileContents after_power_loss(CrashPolicy policy, Random& random, unsigned keep_percent, Generation generation) const;
  std::uint64_t hash() const;

 private:
  using SectorMask = std::uint8_t;
  static_assert(kSectorsPerPage == 8);

  Page& writable(Generation generation, std::uint64_t index);
  void mark_unsynced(std::uint64_t index);  ///< Twice does no harm.
  SectorMask lost_sectors(std::uint64_t index) const;
  FileImage random_image(Random& random, unsigned keep_percent, Generation generation) const;

  FileImage current_;
  FileImage durable_;
  std::vector<std::uint64_t> unsynced_;        ///< Pages that may differ from the durable ones and that sync() writes.
  std::map<std::uint64_t, SectorMask> lost_;   ///< Sectors that differ although they count as clean, by page.
  std::optional<std::uint64_t> unsynced_cut_;  ///< The smallest size since the last sync, if below the durable size.
};

/// Mixes `value` into a running 64-bit hash.
std::uint64_t hash_mix(std::uint64_t hash, std::uint64_t value);
std::uint64_t hash_bytes(std::uint64_t hash, ByteView bytes);

}  // namespace tidemark::simulation
