#pragma once

#include <optional>
#include <span>
#include <vector>

#include "broker/partition.h"
#include "broker/queues/queue_partition.h"
#include "broker/queues/stream_group_types.h"

/// Between the offsets that a queue group counts in and the ids of Redis; on the shard of the partition.
namespace tidemark::broker {

/// Calls `visit` for what is pending (QueueWindow::is_pending) from `from` on, in order, until it answers false; with `member`, only what
/// that one has.
void visit_pending(QueueWindow& window, Offset from, std::optional<std::string_view> member,
                   const std::function<bool(const PendingEntry&)>& visit);

/// The id of an unfinished entry, where it is known without reading.
std::optional<EntryId> known_id(const QueuePartition& queue, const PendingEntry& entry);

/// Where the unfinished entries with these ids are; nullopt: there is none. In the order of the ids.
void find_unfinished(const std::shared_ptr<QueuePartition>& queue, std::vector<EntryId> ids, Done<std::vector<std::optional<Offset>>> done);
/// The offset from which on unfinished entries have ids not below `id`.
void first_from(const std::shared_ptr<QueuePartition>& queue, EntryId id, Done<Offset> done);

/// An entry somebody has.
struct HeldEntry {
  Offset offset;
  EntryId id;
  bool there = true;  ///< It is in the stream still.
  StreamPendingRow row;
};
/// Fills in ids that have to be read from the log. What is gone there, and has no id, is left out.
void name_all(const std::shared_ptr<QueuePartition>& queue, std::vector<HeldEntry> held, Done<std::vector<HeldEntry>> done);
HeldEntry held_entry(const QueuePartition& queue, const PendingEntry& entry);

/// Whether there is an entry at the offset, as far as is known without reading.
bool is_there(const Partition& log, const DeletedOffsets& deleted, Offset offset);

/// The entries of those that are there: `held` in the order given. Stops behind kStreamReplyBytesMax: `held` is cut off then.
void fetch_entries(const std::shared_ptr<QueuePartition>& queue, std::vector<HeldEntry> held,
                   UniqueFunction<void(Result<std::pair<std::vector<HeldEntry>, StreamHistory>>)> done);

/// The group's position; derived from the cursor if somebody has moved that without ids.
void stream_position_of(const std::shared_ptr<QueuePartition>& queue, Done<StreamPosition> done);

/// How many entries there were up to an id, by Redis's rules (streamEstimateDistanceFromFirstEverEntry), from what is known of a stream.
struct StreamCounters {
  EntryStats stats;
  EntryId first_id;  ///< 0-0: it is empty.
  bool tombstones_from(EntryId id) const;
  std::optional<std::uint64_t> distance_to(EntryId id) const;
  std::optional<std::uint64_t> lag(const StreamPosition& position) const;
};
void stream_counters_of(const std::shared_ptr<QueuePartition>& queue, Done<StreamCounters> done);

}  // namespace tidemark::broker
