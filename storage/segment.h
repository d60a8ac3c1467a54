#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "storage/damage.h"
#include "storage/file_cache.h"
#include "storage/seal.h"
#include "storage/segment_index.h"

namespace tidemark::storage {

/// No segment grows past this, whatever the configuration says: index and seal hold positions in 32 bits.
inline constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{2} * 1024 * 1024 * 1024;

/// "00000000000000000042" + suffix; suffix ".log", ".idx" or ".seal".
std::string segment_file_name(Offset base, std::string_view suffix);
/// The base offset of a file name with that suffix; nullopt for any other name.
std::optional<Offset> parse_segment_file_name(std::string_view name, std::string_view suffix);

/// The index of a segment to which nothing is added any more, and what it says about the file. Immutable, shared by plans under way.
struct LoadedIndex {
  SegmentIndex index;
  std::uint64_t log_bytes = 0;  ///< What belongs to the log; the file may be shorter (damage) or longer (unflushed when the plan was made).
  Offset end;                   ///< Behind the last interval.
  bool cleaned = false;         ///< Gaps between batches are normal.
  std::vector<Damage> damage;   ///< Found while loading.
  std::uint64_t interval_bytes(std::size_t i) const { return index.entries[i].bytes; }
  Offset interval_end(std::size_t i) const { return i + 1 < index.entries.size() ? index.entries[i + 1].first_offset : end; }
  std::size_t memory_bytes() const { return sizeof *this + index.entries.capacity() * sizeof(IndexEntry); }
};

/// The books of one segment file, shared between its log and the plans under way.
///
/// Life: growing (batches are staged into it) -> ended (no more are staged) -> frozen (ended, and the last group is flushed: nothing about
/// it changes but its removal) -> sealed (the seal is on the disk). Plans look only at frozen segments, or at copies the shard made for
/// them.
struct Segment {
  static constexpr std::int64_t kUnknownTime = INT64_MIN;

  Segment(std::string directory_path, Offset base_offset)
      : directory(std::move(directory_path)), base(base_offset), staged_end(base_offset), flushed_end(base_offset) {}

  const std::string directory;
  const Offset base;

  std::string log_path() const { return directory + "/" + segment_file_name(base, ".log"); }
  std::string index_path() const { return directory + "/" + segment_file_name(base, ".idx"); }
  std::string seal_path() const { return directory + "/" + segment_file_name(base, ".seal"); }
  std::string file_name() const { return segment_file_name(base, ".log"); }

  // --- The shard's. Plans may read the first two groups once the segment is frozen.
  Offset staged_end;
  Offset flushed_end;              ///< Of a frozen one: where the next segment begins.
  std::uint64_t staged_bytes = 0;  ///< File size when everything staged is written.
  std::uint64_t flushed_bytes = 0;
  Timestamp opened_at{};  ///< Found by open() at this time: everything in it was appended before.

  std::uint64_t reserved_bytes = 0;
  std::uint64_t reserve_step = 0;
  bool ended = false;
  bool sealed = false;
  bool unsynced = false;                      ///< Holds bytes that may not be durable.
  bool held = false;                          ///< Another segment is taking its place: its files may not be removed now.
  SegmentIndex index;                         ///< While it is not frozen: covers [0, flushed_bytes).
  std::size_t indexed = 0;                    ///< Leading entries that are in the index file for good.
  std::shared_ptr<const LoadedIndex> pinned;  ///< Frozen, and not sealed yet: the index, if it is in memory.

  bool frozen() const { return ended && flushed_bytes == staged_bytes; }
  bool empty() const { return staged_bytes == 0; }

  // --- Anybody's.
  std::atomic<bool> removed = false;  ///< Given up by the log; its files may be gone.
  std::atomic<std::int64_t> first_append_ms = kUnknownTime;
  std::atomic<std::int64_t> last_append_ms = kUnknownTime;
  std::atomic<std::int64_t> max_timestamp_ms = kUnknownTime;

  std::mutex loading;  ///< Held while the index is loaded or the segment sealed: one does it, others wait.
  std::mutex cached_mutex;
  std::shared_ptr<const LoadedIndex> cached;  ///< Guarded by cached_mutex; the IndexCache drops it.

  /// Null if neither memory nor retire() has it.
  std::shared_ptr<const LoadedIndex> cached_index() {
    const std::lock_guard lock(cached_mutex);
    return retired_index ? retired_index : cached;
  }

  // --- After cleaning put another segment in its place: plans that still look at this one see it as it was.
  std::mutex opening;                                ///< Held while the log file is opened by name, and while that name changes hands.
  std::shared_ptr<File> retired_log;                 ///< Guarded by `opening`.
  std::shared_ptr<const LoadedIndex> retired_index;  ///< Guarded by cached_mutex.

  /// Blocking: the log file of this segment, whatever has its name by now. Errors as FileCache::open().
  Result<std::shared_ptr<File>> open_log(FileCache& files);
  /// From now on this is its file and its index. Pre: frozen; `loading` is held.
  void retire(std::shared_ptr<File> log, std::shared_ptr<const LoadedIndex> loaded, FileCache& files);
};

/// Blocking: the index of a frozen segment, from memory or from its files. The seal is the evidence; index entries that agree with it
/// are used, the others are rebuilt from the log and the index file is replaced. Without a seal a whole index is taken as it is, and
/// what it lacks is rebuilt. Also fills in the times of the segment.
/// Errors: io_error; offset_out_of_range when the segment was removed meanwhile. A missing file is damage, not an error.
Result<std::shared_ptr<const LoadedIndex>> load_index(const std::shared_ptr<Segment>& segment, FileCache& files);

/// Blocking: first and last append time and largest timestamp from the seal's header, else by loading the index. Afterwards they are known:
/// where nothing can be read they are the time of opening, which deletes nothing early. Error io_error is reported all the same.
Status load_times(const std::shared_ptr<Segment>& segment, FileCache& files);

/// Blocking: makes the index file and the seal of a frozen segment durable. `loaded` may be null. Skipped when it was removed.
Status seal_segment(const std::shared_ptr<Segment>& segment, std::shared_ptr<const LoadedIndex> loaded, std::size_t indexed,
                    FileCache& files);

/// Writes index entries from number `first` on and makes them durable, the name included when the file is new. `entries` is encoded.
Status write_index(const Segment& segment, FileSystem& files, std::size_t first, ByteView entries);

/// The indexes of sealed segments, least recently used first out. Thread-safe.
class IndexCache {
 public:
  explicit IndexCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  /// Keeps `loaded` in the segment until others need the room.
  void insert(const std::shared_ptr<Segment>& segment, std::shared_ptr<const LoadedIndex> loaded);
  std::size_t bytes() const;

 private:
  struct Entry {
    std::weak_ptr<Segment> segment;
    std::size_t bytes;
  };
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::list<Entry> by_age_;  ///< Oldest first.
  std::size_t bytes_ = 0;
};

}  // namespace tidemark::storage
