#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/groups/classic_messages.h"
#include "broker/groups/group_types.h"
#include "broker/groups/native_membership.h"
#include "broker/partition_state.h"
#include "broker/topic.h"
#include "storage/state_log.h"

namespace tidemark::broker {

/// One stream group: its positions, its members, its settings, and the seeks made. Pure state: no clock, no I/O.
///
/// A change is made here at once and noted; take_records() gives the notes as state records, whose flush the answer waits for. Records hold
/// values, not operations, so replay may repeat them. If a record could not be written, the next one is the whole group.
class StreamGroup {
 public:
  /// What the group knows of one partition.
  struct Progress {
    std::optional<CommittedOffset> committed;
    std::optional<Offset> start;  ///< Where it starts, resolved once and kept until the first commit.

    // Not recorded.
    std::uint64_t commit_order = 0;  ///< Of the request that wrote it last: an older one that comes late is passed over.
    struct Known {
      Offset floor;
      Timestamp append_time;
      bool estimated = false;
    };
    std::optional<Known> known;  ///< Append time of the record at the floor, looked up once.
  };

  explicit StreamGroup(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  Timestamp created() const { return created_; }
  const StartAt& start() const { return start_; }
  const std::map<std::string, std::string>& settings() const { return settings_; }
  const GroupSettings& effective() const { return effective_; }
  NativeMembership& members() { return members_; }
  const NativeMembership& members() const { return members_; }
  const std::map<PartitionKey, Progress>& progress() const { return progress_; }
  const std::deque<SeekRecord>& history() const { return history_; }
  std::uint64_t skipped_records() const { return skipped_records_; }
  std::uint64_t clamped_positions() const { return clamped_positions_; }
  /// Nobody is in it and nothing is known but its beginning.
  bool unused() const {
    return members_.empty() && progress_.empty() && topics_.empty() && settings_.empty() && !classic_ && pending_.empty();
  }

  void begin(Timestamp created, StartAt start);
  /// Errors: invalid_config. Nothing changed then.
  Status alter(const std::map<std::string, std::string>& changes);

  Progress* find(const PartitionKey& where);
  void commit(const PartitionKey& where, CommittedOffset committed, std::uint64_t order = 0);
  void set_start(const PartitionKey& where, Offset start);
  void forget(const PartitionKey& where);

  // --- Offsets of transactions.

  /// Counts once the producer's transaction commits. Of two for one partition the later `order` counts, as in commit().
  void commit_pending(const ProducerIdentity& producer, const PartitionKey& where, CommittedOffset committed, std::uint64_t order);
  /// The producer's transaction has ended. Offsets in topics that are gone are dropped with them.
  void end_pending(std::int64_t producer_id, bool commit, const TopicTable& table);
  bool is_pending(const PartitionKey& where) const;
  bool has_pending() const { return !pending_.empty(); }

  void count_skipped(std::int64_t records);
  void count_clamped();

  /// The group has to do with the topic from now on.
  void take_up(const Topic& topic);
  /// Where it starts in a partition it has no position in: partitions that came after it had taken up the topic are read from their
  /// beginning, so that nothing is missed between their making and their assignment.
  StartAt start_in(const PartitionKey& where) const;
  /// Subscribed, taken up, or committed.
  std::vector<const Topic*> topics(const TopicTable& table) const;
  /// Topics came, went or grew: what belongs to topics that are gone is forgotten, members get new targets.
  void topics_changed(const TopicTable& table);

  SeekRecord& add_seek(SeekRecord seek);
  SeekRecord* find_seek(std::uint64_t id);
  void seek_changed(std::uint64_t id) { changed_seeks_.insert(id); }

  /// What outlives a restart of the members that assign themselves; they live beside this object (HomedGroup).
  const std::optional<ClassicSnapshot>& classic() const { return classic_; }
  void set_classic(ClassicSnapshot snapshot);

  GroupInfo describe(const TopicTable& table) const;

  /// State records of what changed; empty: nothing did.
  std::vector<storage::StateRecord> take_records();
  std::vector<storage::StateRecord> snapshot() const;
  storage::StreamKey stream() const { return {storage::StreamKind::group, name_}; }
  /// A record of the stream, in order. Error corrupt_batch when it does not decode.
  Status replay(const storage::StateRecord& record);
  /// After replay.
  void recovered(const TopicTable& table, SteadyTime now, Timestamp wall);

 private:
  struct TopicNote {
    std::int32_t partitions_at_start = 0;
  };
  void write_head(state::GroupChange& change) const;

  const std::string name_;
  Timestamp created_{};
  StartAt start_;
  std::map<std::string, std::string> settings_;
  GroupSettings effective_;
  std::map<PartitionKey, Progress> progress_;
  struct PendingOffset {
    CommittedOffset committed;
    std::uint64_t order = 0;
  };
  struct PendingOffsets {
    std::int16_t epoch = 0;
    std::map<PartitionKey, PendingOffset> offsets;
  };
  std::map<std::int64_t, PendingOffsets> pending_;  ///< By producer id.
  std::map<Uuid, TopicNote> topics_;
  NativeMembership members_;
  std::optional<ClassicSnapshot> classic_;
  std::deque<SeekRecord> history_;  ///< At most kSeekHistoryMax, oldest first.
  std::uint64_t next_seek_ = 1;
  std::uint64_t skipped_records_ = 0;
  std::uint64_t clamped_positions_ = 0;

  // Changes not taken yet.
  bool head_changed_ = false;
  bool counters_changed_ = false;
  bool classic_changed_ = false;
  std::set<PartitionKey> changed_positions_;
  std::set<std::pair<std::int64_t, PartitionKey>> changed_pending_;
  std::set<std::int64_t> ended_pending_;
  std::set<Uuid> changed_topics_;
  std::set<std::uint64_t> changed_seeks_;
};

}  // namespace tidemark::broker
