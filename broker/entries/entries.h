#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/entries/entry_types.h"

namespace tidemark::broker {

struct EntriesImpl;

/// A partition seen as a stream of entries with ids, as Redis has them; every topic can be seen so, and the other protocols read the same
/// records. Part of the Broker; same rules: calls are made on a shard, `done` runs there once, and what is answered is durable.
///
/// Ids. Topics with `entry.id = time` give each record an id when it is staged, whoever appends it: of its own time, strictly ascending,
/// never given twice, not even after a restart or after all entries have gone. All other topics read as `<offset + 1>-0`.
///
/// Order. append() takes effect in call order and pipelines: none waits for another's flush. remove(), trim() and set_id() take effect in
/// call order, too, each behind the appends made before it: an entry appended before a trim() is counted by it, one appended after is not.
/// Appends behind a set_id() wait for it. Looking (read, stats, info, find) shows flushed entries and changes only: who must see its own
/// appends asks after their answers.
///
/// Errors of all calls: unknown_topic, unknown_partition, shutting_down; of those that change: disk_full, overloaded. Then nothing was
/// changed. A crash leaves each change done or not begun; an answered one is done.
class Entries {
 public:
  explicit Entries(std::shared_ptr<EntriesImpl> impl) : impl_(std::move(impl)) {}

  // --- Records.

  /// Further errors: batch_too_large (the entry against max.message.bytes), quarantined, invalid_argument (an id, or `once`, was asked for
  /// where ids follow from offsets), invalid_topic_name (with `create`).
  /// The window of what was added once is durable: it is read back from the log after a restart. Entries below the log start then are
  /// forgotten.
  void append(const RequestContext& context, TopicPartition where, EntryAppend entry, Done<EntryAppended> done);
  /// Deletes; answers per id whether it was there. Moves max_deleted. Of every protocol's readers, none is served a deleted record again.
  /// Further errors: quarantined, io_error (an entry cannot be looked up).
  void remove(const RequestContext& context, TopicPartition where, std::vector<EntryId> ids, Done<std::vector<bool>> done);
  /// Answers the number of entries removed. Pending entries of groups are theirs to settle.
  void trim(const RequestContext& context, TopicPartition where, EntryTrim trim, Done<std::uint64_t> done);
  /// invalid_argument where ids follow from offsets.
  void set_id(const RequestContext& context, TopicPartition where, EntrySetId values, Done<EntryRefusal> done);

  /// Where a setting differs from the one there is, what was added once is forgotten. invalid_config: out of range.
  void set_once(const RequestContext& context, TopicPartition where, OnceSettings settings, Done<void> done);

  // --- Looking.

  /// Errors quarantined, io_error as Broker::read().
  void read(const RequestContext& context, TopicPartition where, EntryRange range, Done<EntryBatch> done);
  /// Per id: where that entry is, nullopt if there is none.
  void find(const RequestContext& context, TopicPartition where, std::vector<EntryId> ids,
            Done<std::vector<std::optional<EntryPlace>>> done);
  /// The first entry (deleted ones do not count) at `from` or behind it; nullopt at the end. For groups, which count in offsets.
  void entry_at(const RequestContext& context, TopicPartition where, Offset from, Done<std::optional<EntryPlace>> done);
  /// Where the first id that is not below `id` lies or would lie, deleted ones included; the end when all are below.
  void offset_of(const RequestContext& context, TopicPartition where, EntryId id, Done<Offset> done);
  void stats(const RequestContext& context, TopicPartition where, Done<EntryStats> done);
  void info(const RequestContext& context, TopicPartition where, std::uint32_t node_entries, Done<EntryInfo> done);

  /// Calls `news` once, on the calling shard and never before this returns: when there is an entry with an id above `after`, or, with
  /// `or_gone`, when the topic has gone or does not exist. Otherwise a watch lasts over deletion and creation of the topic: it waits for
  /// an entry in whatever topic has the name. The watches of a partition are told in the order in which they began.
  std::unique_ptr<EntryWatch> watch(const RequestContext& context, TopicPartition where, EntryId after, bool or_gone,
                                    UniqueFunction<void(EntryNews)> news);

  // --- Streams as keys.

  /// A topic with one partition, `entry.id = time`, kept for ever. Answers the one there is if it has that kind; topic_exists otherwise.
  void create(const RequestContext& context, std::string name, Done<std::shared_ptr<const Topic>> done);
  /// By name. As this shard sees the topics now, and without those whose time has come. Internal topics are left out.
  std::vector<EntryKey> keys() const;
  /// nullopt: no such key; also for topics of the other kind.
  std::optional<EntryKey> key(std::string_view name) const;
  /// In one step; a topic that has the new name goes. Groups and expiry come along. `only_if_absent`: conflict when there is one.
  void rename(const RequestContext& context, std::string from, std::string to, bool only_if_absent, Done<void> done);
  /// All entries with their ids, last id and counters, without groups; appears in one step. Conflict when `to` exists and not `replace`.
  void copy(const RequestContext& context, std::string from, std::string to, bool replace, Done<void> done);
  /// When the topic goes by itself; nullopt: never. A time that has passed deletes it at once.
  void expire(const RequestContext& context, std::string name, std::optional<Timestamp> when, Done<void> done);

 private:
  std::shared_ptr<EntriesImpl> impl_;
};

}  // namespace tidemark::broker
