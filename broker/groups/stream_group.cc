#include "broker/groups/stream_group.h"

#include <algorithm>

namespace tidemark::broker {
namespace {

constexpr std::size_t kPartBytes = 1024 * 1024;  ///< A state record takes 4 MiB; no single entry comes near the rest.

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }
std::string to_bytes(const Uuid& id) { return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()}; }

/// A change cut into records that are not too large.
class Parts {
 public:
  state::GroupChange& part() {
    if (bytes_ >= kPartBytes || parts_.empty()) {
      parts_.emplace_back();
      bytes_ = 0;
      topic_ = nullptr;
    }
    return parts_.back();
  }
  void wrote(std::size_t bytes) { bytes_ += bytes; }
  state::GroupChange::TopicOffsets& topic(const Uuid& id) {
    state::GroupChange& change = part();
    if (topic_ == nullptr || topic_id_ != id) {
      topic_ = change.add_topics();
      topic_->set_topic(to_bytes(id));
      topic_id_ = id;
      wrote(24);
    }
    return *topic_;
  }
  std::vector<storage::StateRecord> to_records(const storage::StreamKey& stream, bool snapshot) const {
    std::vector<storage::StateRecord> records;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      storage::StateRecordType type = storage::StateRecordType::delta;
      if (snapshot) type = i == 0 ? storage::StateRecordType::snapshot : storage::StateRecordType::snapshot_more;
      storage::StateRecord record{
          .stream = stream, .type = type, .last_part = !snapshot || i + 1 == parts_.size(), .sequence = 0, .payload = {}};
      record.payload.resize(parts_[i].ByteSizeLong());
      CHECK(parts_[i].SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
      records.push_back(std::move(record));
    }
    return records;
  }

 private:
  std::vector<state::GroupChange> parts_;
  std::size_t bytes_ = 0;
  state::GroupChange::TopicOffsets* topic_ = nullptr;
  Uuid topic_id_;
};

void write(Parts& parts, const PartitionKey& where, const StreamGroup::Progress* progress) {
  auto& entry = *parts.topic(where.topic).add_entries();
  entry.set_partition(where.partition);
  entry.set_forgotten(progress == nullptr);
  if (progress != nullptr && progress->committed) {
    entry.set_offset(progress->committed->offset.value);
    entry.set_leader_epoch(progress->committed->leader_epoch);
    entry.set_metadata(progress->committed->metadata);
    entry.set_time_ms(to_ms(progress->committed->time));
  }
  if (progress != nullptr && progress->start) entry.set_start(progress->start->value);
  parts.wrote(48 + entry.metadata().size());
}

/// Entry by entry, so that no record grows beyond its limit; replay puts them together.
void write_pending(Parts& parts, const ProducerIdentity& producer, const PartitionKey& where, const CommittedOffset& committed) {
  auto& out = *parts.part().add_pending_offsets();
  out.set_producer(producer.id);
  out.set_epoch(producer.epoch);
  auto& topic = *out.add_topics();
  topic.set_topic(to_bytes(where.topic));
  auto& entry = *topic.add_entries();
  entry.set_partition(where.partition);
  entry.set_offset(committed.offset.value);
  entry.set_leader_epoch(committed.leader_epoch);
  entry.set_metadata(committed.metadata);
  entry.set_time_ms(to_ms(committed.time));
  parts.wrote(out.ByteSizeLong());
}

void write(const SeekRecord& seek, state::GroupChange::Seek& out) {
  out.set_id(seek.id);
  out.set_time_ms(to_ms(seek.time));
  out.set_who(seek.who);
  out.set_target(seek.target);
  out.set_forced(seek.forced);
  if (seek.undid) out.set_undid(*seek.undid);
  if (seek.undone) out.set_undone(*seek.undone);
  for (const SeekRow& row : seek.rows) {
    auto& to = *out.add_rows();
    to.set_topic(row.where.topic);
    to.set_partition(row.where.partition);
    if (row.from) to.set_from(row.from->value);
    if (row.to) to.set_to(row.to->value);
    to.set_records(row.records);
    to.set_bytes(row.bytes);
    to.set_clamped(row.clamped);
  }
}

std::string to_string(const Slice& bytes) { return std::string(as_text(bytes.view())); }

void write(Parts& parts, const ClassicSnapshot& classic) {
  auto& head = *parts.part().mutable_classic();
  head.set_phase(static_cast<std::int32_t>(classic.phase));
  head.set_generation(classic.generation);
  head.set_protocol_type(classic.protocol_type);
  head.set_protocol_name(classic.protocol_name);
  head.set_leader(classic.leader);
  for (const ClassicSnapshot::Member& member : classic.members) {
    auto& out = *parts.part().add_classic_members();
    out.set_id(member.member_id);
    if (member.instance_id) out.set_instance(*member.instance_id);
    out.set_client_id(member.client_id);
    out.set_host(member.client_host);
    out.set_session_timeout_ms(static_cast<std::uint32_t>(member.session_timeout.count()));
    out.set_rebalance_timeout_ms(static_cast<std::uint32_t>(member.rebalance_timeout.count()));
    for (const ClassicProtocol& protocol : member.protocols) {
      auto& to = *out.add_protocols();
      to.set_name(protocol.name);
      to.set_metadata(to_string(protocol.metadata));
    }
    out.set_assignment(to_string(member.assignment));
    parts.wrote(out.ByteSizeLong());
  }
}

ClassicSnapshot::Member read(const state::GroupChange::ClassicMember& in) {
  ClassicSnapshot::Member member{.member_id = in.id(),
                                 .instance_id = {},
                                 .client_id = in.client_id(),
                                 .client_host = in.host(),
                                 .session_timeout = std::chrono::milliseconds(in.session_timeout_ms()),
                                 .rebalance_timeout = std::chrono::milliseconds(in.rebalance_timeout_ms()),
                                 .protocols = {},
                                 .assignment = Slice::copy_of(as_bytes(in.assignment()))};
  if (in.has_instance()) member.instance_id = in.instance();
  for (const auto& protocol : in.protocols()) member.protocols.push_back({protocol.name(), Slice::copy_of(as_bytes(protocol.metadata()))});
  return member;
}

SeekRecord read(const state::GroupChange::Seek& in) {
  SeekRecord seek{.id = in.id(),
                  .time = from_ms(in.time_ms()),
                  .who = in.who(),
                  .target = in.target(),
                  .forced = in.forced(),
                  .undid = {},
                  .undone = {},
                  .rows = {}};
  if (in.has_undid()) seek.undid = in.undid();
  if (in.has_undone()) seek.undone = in.undone();
  for (const auto& row : in.rows()) {
    SeekRow to{.where = {row.topic(), row.partition()},
               .from = {},
               .to = {},
               .records = row.records(),
               .bytes = row.bytes(),
               .clamped = row.clamped()};
    if (row.has_from()) to.from = Offset{row.from()};
    if (row.has_to()) to.to = Offset{row.to()};
    seek.rows.push_back(std::move(to));
  }
  return seek;
}

}  // namespace

void StreamGroup::begin(Timestamp created, StartAt start) {
  created_ = created;
  start_ = start;
  head_changed_ = true;
}

Status StreamGroup::alter(const std::map<std::string, std::string>& changes) {
  std::map<std::string, std::string> merged = settings_;
  for (const auto& [key, value] : changes) {
    if (value.empty())
      merged.erase(key);
    else
      merged[key] = value;
  }
  Result<GroupSettings> resolved = resolve_group_settings(merged);
  if (!resolved) return std::move(resolved).error();
  settings_ = std::move(merged);
  effective_ = *resolved;
  head_changed_ = true;
  return {};
}

StreamGroup::Progress* StreamGroup::find(const PartitionKey& where) {
  const auto found = progress_.find(where);
  return found == progress_.end() ? nullptr : &found->second;
}

void StreamGroup::commit(const PartitionKey& where, CommittedOffset committed, std::uint64_t order) {
  Progress& progress = progress_[where];
  if (order != 0 && order < progress.commit_order) return;
  progress.commit_order = std::max(progress.commit_order, order);
  progress.committed = std::move(committed);
  progress.start.reset();
  changed_positions_.insert(where);
}

void StreamGroup::set_start(const PartitionKey& where, Offset start) {
  progress_[where].start = start;
  changed_positions_.insert(where);
}

void StreamGroup::forget(const PartitionKey& where) {
  if (progress_.erase(where) > 0) changed_positions_.insert(where);
}

void StreamGroup::commit_pending(const ProducerIdentity& producer, const PartitionKey& where, CommittedOffset committed,
                                 std::uint64_t order) {
  PendingOffsets& pending = pending_[producer.id];
  pending.epoch = producer.epoch;
  pending.offsets[where] = {std::move(committed), order};
  changed_pending_.emplace(producer.id, where);
}

void StreamGroup::end_pending(std::int64_t producer_id, bool commit, const TopicTable& table) {
  const auto found = pending_.find(producer_id);
  if (found == pending_.end()) return;
  const PendingOffsets pending = std::move(found->second);
  pending_.erase(found);
  ended_pending_.insert(producer_id);
  if (!commit) return;
  for (const auto& [where, offset] : pending.offsets) {
    if (table.by_id.contains(where.topic)) this->commit(where, offset.committed, offset.order);
  }
}

bool StreamGroup::is_pending(const PartitionKey& where) const {
  return std::ranges::any_of(pending_, [&](const auto& entry) { return entry.second.offsets.contains(where); });
}

void StreamGroup::count_skipped(std::int64_t records) {
  skipped_records_ += static_cast<std::uint64_t>(records);
  counters_changed_ = true;
}

void StreamGroup::count_clamped() {
  ++clamped_positions_;
  counters_changed_ = true;
}

void StreamGroup::take_up(const Topic& topic) {
  if (topics_.emplace(topic.id, TopicNote{topic.partitions}).second) changed_topics_.insert(topic.id);
}

StartAt StreamGroup::start_in(const PartitionKey& where) const {
  const auto note = topics_.find(where.topic);
  const bool came_later = note != topics_.end() && where.partition >= note->second.partitions_at_start;
  return came_later ? StartAt{} : start_;
}

std::vector<const Topic*> StreamGroup::topics(const TopicTable& table) const {
  std::set<Uuid> ids = members_.subscribed();
  for (const auto& [id, note] : topics_) ids.insert(id);
  for (const auto& [where, progress] : progress_) ids.insert(where.topic);
  std::vector<const Topic*> topics;
  for (const Uuid& id : ids) {
    const auto topic = table.by_id.find(id);
    if (topic != table.by_id.end()) topics.push_back(topic->second.get());
  }
  std::ranges::sort(topics, {}, &Topic::name);
  return topics;
}

void StreamGroup::topics_changed(const TopicTable& table) {
  const auto gone = [&](const Uuid& id) { return !table.by_id.contains(id); };
  std::erase_if(progress_, [&](const auto& entry) {
    if (!gone(entry.first.topic)) return false;
    changed_topics_.insert(entry.first.topic);
    return true;
  });
  std::erase_if(topics_, [&](const auto& entry) {
    if (!gone(entry.first)) return false;
    changed_topics_.insert(entry.first);
    return true;
  });
  if (!members_.empty()) members_.topics_changed(table);
  for (const Uuid& id : members_.subscribed()) {
    const auto topic = table.by_id.find(id);
    if (topic != table.by_id.end()) take_up(*topic->second);
  }
}

void StreamGroup::set_classic(ClassicSnapshot snapshot) {
  classic_ = std::move(snapshot);
  classic_changed_ = true;
}

SeekRecord& StreamGroup::add_seek(SeekRecord seek) {
  seek.id = next_seek_++;
  changed_seeks_.insert(seek.id);
  history_.push_back(std::move(seek));
  if (history_.size() > kSeekHistoryMax) history_.pop_front();
  return history_.back();
}

SeekRecord* StreamGroup::find_seek(std::uint64_t id) {
  const auto found = std::ranges::find(history_, id, &SeekRecord::id);
  return found == history_.end() ? nullptr : &*found;
}

GroupInfo StreamGroup::describe(const TopicTable& table) const {
  GroupInfo info{.name = name_,
                 .kind = GroupKind::stream,
                 .protocol = members_.empty() ? GroupProtocol::none : GroupProtocol::native,
                 .state = members_.state(),
                 .epoch = members_.epoch(),
                 .created = created_,
                 .start = start_,
                 .settings = settings_,
                 .effective = effective_,
                 .topics = {},
                 .members = members_.describe(table),
                 .skipped_records = skipped_records_,
                 .clamped_positions = clamped_positions_,
                 .classic = {}};
  for (const Topic* const topic : topics(table)) info.topics.push_back(topic->name);
  return info;
}

// --- Records.

void StreamGroup::write_head(state::GroupChange& change) const {
  auto& head = *change.mutable_head();
  head.set_created_ms(to_ms(created_));
  head.set_start_kind(static_cast<std::int32_t>(start_.kind));
  head.set_start_value(start_.value);
  for (const auto& [key, value] : settings_) (*head.mutable_settings())[key] = value;
}

namespace {

/// Member by member and seek by seek, since either can be large.
void write(Parts& parts, state::GroupChange& membership) {
  if (membership.has_epoch()) parts.part().set_epoch(membership.epoch());
  for (std::string& id : *membership.mutable_removed_members()) {
    parts.wrote(id.size() + 4);
    parts.part().add_removed_members(std::move(id));
  }
  for (state::GroupChange::Member& member : *membership.mutable_members()) {
    state::GroupChange::Member& out = *parts.part().add_members();
    out.Swap(&member);
    parts.wrote(out.ByteSizeLong());
  }
}
void write(Parts& parts, const SeekRecord& seek) {
  state::GroupChange::Seek& out = *parts.part().add_seeks();
  write(seek, out);
  parts.wrote(out.ByteSizeLong());
}

}  // namespace

std::vector<storage::StateRecord> StreamGroup::take_records() {
  Parts parts;
  if (head_changed_) write_head(parts.part());
  if (counters_changed_) {
    parts.part().set_skipped_records(skipped_records_);
    parts.part().set_clamped_positions(clamped_positions_);
  }
  for (const Uuid& id : changed_topics_) {
    const auto note = topics_.find(id);
    if (note != topics_.end())
      parts.topic(id).set_partitions_at_start(note->second.partitions_at_start);
    else
      parts.topic(id).set_forgotten(true);
  }
  for (const PartitionKey& where : changed_positions_) {
    const auto progress = progress_.find(where);
    if (progress != progress_.end() || !changed_topics_.contains(where.topic))
      write(parts, where, progress == progress_.end() ? nullptr : &progress->second);
  }
  state::GroupChange membership;
  if (members_.take_change(membership)) write(parts, membership);
  for (const std::uint64_t id : changed_seeks_) {
    if (const SeekRecord* const seek = find_seek(id)) write(parts, *seek);
  }
  if (classic_changed_) write(parts, *classic_);
  // Behind the positions: where a crash leaves only the first of these records, the transaction is ended once more.
  for (const std::int64_t producer : ended_pending_) {
    auto& out = *parts.part().add_pending_offsets();
    out.set_producer(producer);
    out.set_ended(true);
    parts.wrote(out.ByteSizeLong());
  }
  for (const auto& [producer, where] : changed_pending_) {
    const auto pending = pending_.find(producer);
    if (pending == pending_.end()) continue;
    const auto offset = pending->second.offsets.find(where);
    if (offset != pending->second.offsets.end()) write_pending(parts, {producer, pending->second.epoch}, where, offset->second.committed);
  }
  ended_pending_.clear();
  changed_pending_.clear();
  head_changed_ = counters_changed_ = classic_changed_ = false;
  changed_topics_.clear();
  changed_positions_.clear();
  changed_seeks_.clear();
  return parts.to_records(stream(), false);
}

std::vector<storage::StateRecord> StreamGroup::snapshot() const {
  Parts parts;
  write_head(parts.part());
  parts.part().set_skipped_records(skipped_records_);
  parts.part().set_clamped_positions(clamped_positions_);
  parts.wrote(parts.part().ByteSizeLong());
  state::GroupChange membership;
  members_.write_all(membership);
  write(parts, membership);
  if (classic_) write(parts, *classic_);
  for (const SeekRecord& seek : history_) write(parts, seek);
  for (const auto& [id, note] : topics_) parts.topic(id).set_partitions_at_start(note.partitions_at_start);
  for (const auto& [where, progress] : progress_) write(parts, where, &progress);
  for (const auto& [producer, pending] : pending_) {
    for (const auto& [where, offset] : pending.offsets) write_pending(parts, {producer, pending.epoch}, where, offset.committed);
  }
  return parts.to_records(stream(), true);
}

Status StreamGroup::replay(const storage::StateRecord& record) {
  state::GroupChange change;
  if (!change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
    return Error{Errc::corrupt_batch, "the state of a group does not decode"};
  }
  if (change.has_head()) {
    created_ = from_ms(change.head().created_ms());
    start_ = {static_cast<StartAt::Kind>(change.head().start_kind()), change.head().start_value()};
    settings_ = {change.head().settings().begin(), change.head().settings().end()};
    // Checked before they were written; a setting of another version is kept and has no effect.
    if (Result<GroupSettings> resolved = resolve_group_settings(settings_)) effective_ = *resolved;
  }
  for (const auto& topic : change.topics()) {
    PartitionKey where;
    if (topic.topic().size() != where.topic.bytes.size()) return Error{Errc::corrupt_batch, "the state of a group names no topic"};
    std::copy(topic.topic().begin(), topic.topic().end(), where.topic.bytes.begin());
    if (topic.forgotten()) {
      topics_.erase(where.topic);
      std::erase_if(progress_, [&](const auto& entry) { return entry.first.topic == where.topic; });
    }
    if (topic.has_partitions_at_start()) topics_[where.topic] = {topic.partitions_at_start()};
    for (const auto& entry : topic.entries()) {
      where.partition = entry.partition();
      if (entry.forgotten()) {
        progress_.erase(where);
        continue;
      }
      Progress progress;
      if (entry.has_offset()) {
        progress.committed = CommittedOffset{Offset{entry.offset()}, entry.leader_epoch(), entry.metadata(), from_ms(entry.time_ms())};
      }
      if (entry.has_start()) progress.start = Offset{entry.start()};
      progress_[where] = std::move(progress);
    }
  }
  for (const auto& in : change.pending_offsets()) {
    if (in.ended()) {
      pending_.erase(in.producer());
      continue;
    }
    PendingOffsets& pending = pending_[in.producer()];
    pending.epoch = static_cast<std::int16_t>(in.epoch());
    for (const auto& topic : in.topics()) {
      PartitionKey where;
      if (topic.topic().size() != where.topic.bytes.size()) return Error{Errc::corrupt_batch, "pending offsets of a group name no topic"};
      std::copy(topic.topic().begin(), topic.topic().end(), where.topic.bytes.begin());
      for (const auto& entry : topic.entries()) {
        where.partition = entry.partition();
        pending.offsets[where] = {{Offset{entry.offset()}, entry.leader_epoch(), entry.metadata(), from_ms(entry.time_ms())}, 0};
      }
    }
  }
  members_.apply(change);
  if (change.has_classic()) {
    const auto& head = change.classic();
    classic_ = ClassicSnapshot{.phase = static_cast<ClassicSnapshot::Phase>(head.phase()),
                               .generation = head.generation(),
                               .protocol_type = head.protocol_type(),
                               .protocol_name = head.protocol_name(),
                               .leader = head.leader(),
                               .members = {}};
  }
  if (change.classic_members_size() > 0 && !classic_) return Error{Errc::corrupt_batch, "the state of a group has members without a head"};
  for (const auto& in : change.classic_members()) classic_->members.push_back(read(in));
  for (const auto& in : change.seeks()) {
    SeekRecord seek = read(in);
    next_seek_ = std::max(next_seek_, seek.id + 1);
    if (SeekRecord* const known = find_seek(seek.id))
      *known = std::move(seek);
    else
      history_.push_back(std::move(seek));
  }
  while (history_.size() > kSeekHistoryMax) history_.pop_front();
  if (change.has_skipped_records()) skipped_records_ = change.skipped_records();
  if (change.has_clamped_positions()) clamped_positions_ = change.clamped_positions();
  return {};
}

void StreamGroup::recovered(const TopicTable& table, SteadyTime now, Timestamp wall) {
  members_.recovered(table, now, wall);
  topics_changed(table);
}

}  // namespace tidemark::broker
