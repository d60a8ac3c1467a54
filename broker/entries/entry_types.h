#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/entries/entry_record.h"
#include "broker/entry_id.h"
#include "broker/topic.h"
#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/offset.h"

/// The values of broker/entries/entries.h.
namespace tidemark::broker {

/// Which id an entry should get (https://redis.io/docs/latest/commands/xadd/).
struct EntryIdAsked {
  enum class Kind {
    automatic,      ///< `*`: the time now and 0, or the one after the last id.
    automatic_seq,  ///< `ms-*`: the next one of that millisecond.
    exact,          ///< `ms-seq`.
  } kind = Kind::automatic;
  EntryId id;  ///< Of automatic_seq: its ms.
};

/// Why an id or a change of the last id was refused; not an error of the engine: nothing was changed, the caller asked for something else
/// than there is. In the order in which they are judged.
enum class EntryRefusal {
  none,
  id_zero,                     ///< 0-0 is no id.
  ids_exhausted,               ///< The last id is the largest there is.
  id_not_above_last,           ///< Equal to or smaller than the last id.
  id_below_given_max_deleted,  ///< set_id: the last id would be below the max_deleted given with it.
  id_below_max_deleted,        ///< set_id: below an entry that was deleted.
  id_below_top,                ///< set_id: below an entry that is there.
  entries_added_below_length,  ///< set_id.
};

/// What to drop from the beginning of a stream.
struct EntryTrim {
  enum class Kind { max_length, min_id } kind = Kind::max_length;
  std::uint64_t max_length = 0;  ///< Entries to keep.
  EntryId min_id;                ///< The first id to keep.
  /// Whole nodes only: node k is the offsets [k * node_entries, (k + 1) * node_entries). A node goes if what is left without it is at least
  /// max_length, or all of it lies below min_id; the first node that stays ends it.
  bool approximate = false;
  std::uint64_t limit = 0;           ///< With approximate: ends before the node that would remove more than this; 0 = no bound.
  std::uint32_t node_entries = 100;  ///< At least 1.
};

/// What becomes of an entry that is to go while a group needs it: it was not given to it yet, or is not finished.
enum class EntryReferences {
  keep,     ///< It goes; what groups remember of it stays theirs (Redis KEEPREF).
  drop,     ///< It goes, and groups forget it (DELREF).
  respect,  ///< It stays (ACKED).
};

struct EntryAppend {
  EntryIdAsked id;
  std::vector<EntryField> fields;  ///< At least one.
  Slice owner;                     ///< Keeps the bytes of `fields`.
  /// Where ids are times: an entry that was added once in the topic's window (`once.duration.ms`, `once.entries`) is not added again; the
  /// answer is the first one's.
  std::optional<EntryOnce> once;
  /// After the append, so that the entry itself can go; the answer comes when both are durable.
  std::optional<EntryTrim> trim;
  /// A topic that does not exist is made (Entries::create); otherwise the answer is unknown_topic.
  bool create = false;
};

struct EntryAppended {
  EntryRefusal refused = EntryRefusal::none;  ///< Anything else: nothing was appended, the rest says nothing.
  EntryId id;
  Offset offset;
  bool duplicate = false;  ///< It was there already (EntryAppend::once); nothing was appended or trimmed.
};

/// What XCFGSET sets. What is absent stays.
struct OnceSettings {
  std::optional<std::chrono::milliseconds> duration;  ///< 1 s to a day.
  std::optional<std::uint32_t> entries;               ///< Of each producer; 1 to 10 000.
};

/// XSETID. What is absent stays.
struct EntrySetId {
  EntryId last_id;
  std::optional<std::uint64_t> entries_added;
  std::optional<EntryId> max_deleted;  ///< 0-0 changes nothing, as in Redis.
};

/// Entries from `first` to `last`, both included; backwards: from `last` down to `first`.
struct EntryRange {
  EntryId first = EntryId::min();
  EntryId last = EntryId::max();
  bool backwards = false;
  std::size_t count_max = SIZE_MAX;     ///< 0 finds nothing.
  std::size_t bytes_max = 1024 * 1024;  ///< Of fields, at least one entry comes; at most 8 MiB.
};

/// An entry; its fields live as long as the EntryBatch it came in.
struct Entry {
  EntryId id;
  Offset offset;
  std::span<const EntryField> fields;
};

/// Entries that were read, with the bytes they point to. Cheap to move; copies share.
struct EntryBatch {
  std::vector<Entry> entries;
  /// There may be more in the range: go on behind (backwards: before) `resume_at`, which counts as read. False: the range ended, or
  /// count_max is reached.
  bool more = false;
  EntryId resume_at;
  std::shared_ptr<const void> owner;
};

/// What a stream is known by, without reading it. All of it is durable.
struct EntryStats {
  std::uint64_t length = 0;  ///< Entries that are there.
  EntryId last_id;           ///< The largest ever given, or set; 0-0 if none.
  EntryId max_deleted;       ///< 0-0 if none. Trimming does not count.
  std::uint64_t entries_added = 0;
  Offset log_start;
  Offset end;  ///< Of what is readable.
};

/// What XINFO STREAM shows.
struct EntryInfo {
  EntryStats stats;
  std::uint64_t nodes = 0;  ///< Virtual nodes (EntryTrim::approximate) between the log start and the end.
  std::optional<EntryId> first_id;
  EntryBatch first;  ///< One entry, or none.
  EntryBatch last;
};

/// Where an entry lies.
struct EntryPlace {
  EntryId id;
  Offset offset;
};

enum class EntryNews {
  entries,  ///< There is a readable entry behind the id watched.
  gone,     ///< The topic was deleted, renamed away, or is of another kind now.
};

/// A watch; it ends when this is destroyed, on the shard that began it.
class EntryWatch {
 public:
  virtual ~EntryWatch() = default;
};

/// A topic that the keyspace commands see: entry.id = time.
struct EntryKey {
  std::string name;
  std::optional<Timestamp> expires;
};

}  // namespace tidemark::broker
