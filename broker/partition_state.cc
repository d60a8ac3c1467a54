#include "broker/partition_state.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "storage/base/bytes.h"

namespace tidemark::broker {
namespace {

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }

ProducerSession from_proto(const state::PartitionChange::Producer& in) {
  ProducerSession session{.id = in.id(),
                          .epoch = static_cast<std::int16_t>(in.epoch()),
                          .batches = {},
                          .last_append = Timestamp(std::chrono::milliseconds(in.last_append_ms()))};
  for (const auto& entry : in.batches()) {
    session.batches.push_back({entry.first_sequence(), entry.last_sequence(), Offset{entry.base_offset()}, Offset{entry.end_offset()},
                               Timestamp(std::chrono::milliseconds(entry.append_time_ms()))});
  }
  return session;
}

/// Offsets of one record: the bound keeps a damaged one from filling the memory.
Status add_deleted(const state::PartitionChange& change, DeletedOffsets& deleted) {
  constexpr auto kOffsetsMax = std::uint64_t{1} << 62;
  constexpr std::uint64_t kLengthMax = std::uint64_t{1} << 40;
  std::uint64_t behind = 0;
  for (int i = 0; i + 1 < change.deleted_size(); i += 2) {
    const std::uint64_t length = change.deleted(i + 1);
    if (change.deleted(i) > kOffsetsMax - behind || length > kLengthMax || length > kOffsetsMax - behind - change.deleted(i)) {
      return Error{Errc::corrupt_batch, "a range of deleted records is none"};
    }
    const std::uint64_t from = behind + change.deleted(i);
    deleted.add(Offset{static_cast<std::int64_t>(from)}, Offset{static_cast<std::int64_t>(from + length)});
    behind = from + length;
  }
  return {};
}

}  // namespace

void to_proto(const ProducerSession& session, state::PartitionChange::Producer& out) {
  out.set_id(session.id);
  out.set_epoch(session.epoch);
  out.set_last_append_ms(to_ms(session.last_append));
  for (const ProducedBatch& batch : session.batches) {
    auto& entry = *out.add_batches();
    entry.set_first_sequence(batch.first_sequence);
    entry.set_last_sequence(batch.last_sequence);
    entry.set_base_offset(batch.base_offset.value);
    entry.set_end_offset(batch.end_offset.value);
    entry.set_append_time_ms(to_ms(batch.append_time));
  }
}

void to_proto(const storage::LogCheckpoint& checkpoint, state::PartitionChange::Checkpoint& out) {
  out.set_segment_base(checkpoint.segment_base.value);
  out.set_position(checkpoint.position.value);
  out.set_offset(checkpoint.offset.value);
  out.set_leader_epoch(checkpoint.leader_epoch);
}

void to_proto(std::span<const OffsetRange> deleted, state::PartitionChange& out) {
  Offset behind;
  for (const OffsetRange& range : deleted) {
    out.add_deleted(static_cast<std::uint64_t>(range.from - behind));
    out.add_deleted(static_cast<std::uint64_t>(range.to - range.from));
    behind = range.to;
  }
}

storage::StateRecord to_record(const PartitionKey& key, const state::PartitionChange& change, storage::StateRecordType type) {
  storage::StateRecord record{.stream = key.stream(), .type = type, .last_part = true, .sequence = 0, .payload = {}};
  record.payload.resize(change.ByteSizeLong());
  CHECK(change.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

storage::StreamKey PartitionKey::stream() const {
  std::string id(reinterpret_cast<const char*>(topic.bytes.data()), topic.bytes.size());
  std::array<std::byte, 4> number;
  store_le(number.data(), partition);
  id.append(as_text(number));
  return {storage::StreamKind::partition, std::move(id)};
}

std::optional<PartitionKey> PartitionKey::from_stream(const storage::StreamKey& stream) {
  if (stream.kind != storage::StreamKind::partition || stream.id.size() != 20) return std::nullopt;
  PartitionKey key;
  std::memcpy(key.topic.bytes.data(), stream.id.data(), 16);
  key.partition = load_le<std::int32_t>(as_bytes(stream.id).data() + 16);
  return key;
}

Status PartitionState::apply(const state::PartitionChange& change) {
  if (change.has_log_start()) log_start = Offset{change.log_start()};
  if (change.has_checkpoint()) {
    const auto& in = change.checkpoint();
    checkpoint = storage::LogCheckpoint{Offset{in.segment_base()}, FilePosition{in.position()}, Offset{in.offset()}, in.leader_epoch()};
  }
  if (change.has_leader_epoch()) leader_epoch = change.leader_epoch();
  if (change.has_reserved_end()) reserved_end = Offset{change.reserved_end()};
  if (change.has_transactions()) {
    transactions.open.clear();
    for (const auto& in : change.transactions().open()) {
      transactions.open.push_back({{in.producer(), static_cast<std::int16_t>(in.epoch())}, Offset{in.first()}});
    }
  }
  if (change.has_aborted_gone_below()) {
    aborted_gone_below = Offset{change.aborted_gone_below()};
    std::erase_if(transactions.aborted, [&](const AbortedTransaction& one) { return one.marker < aborted_gone_below; });
  }
  for (const auto& in : change.aborted()) {
    const Offset marker{in.marker()};
    if (marker < aborted_gone_below) continue;
    if (!transactions.aborted.empty() && transactions.aborted.back().marker >= marker) continue;  // Said before.
    transactions.aborted.push_back({in.producer(), Offset{in.first()}, marker, Offset{in.last_stable()}});
  }
  for (const auto& in : change.producers()) {
    ProducerSession session = from_proto(in);
    const auto known = std::ranges::find(producers, session.id, &ProducerSession::id);
    if (known == producers.end())
      producers.push_back(std::move(session));
    else
      *known = std::move(session);
  }
  if (change.has_entries()) {
    const auto& in = change.entries();
    if (in.has_last_ms()) entries.last_id = {in.last_ms(), in.last_seq()};
    if (in.has_as_of()) last_id_as_of = Offset{in.as_of()};
    if (in.has_max_deleted_ms()) entries.max_deleted = {in.max_deleted_ms(), in.max_deleted_seq()};
    if (in.has_added_minus_end()) entries.added_minus_end = in.added_minus_end();
  }
  if (Status added = add_deleted(change, entries.deleted); !added) return added;
  entries.deleted.forget_below(log_start);
  return {};
}

Status PartitionStates::apply(const storage::StateRecord& record) {
  if (record.stream.kind != storage::StreamKind::partition) return {};
  const std::optional<PartitionKey> key = PartitionKey::from_stream(record.stream);
  if (!key) return Error{Errc::corrupt_batch, "a partition stream has a bad id"};
  if (record.type == storage::StateRecordType::deleted) {
    states_.erase(*key);
    return {};
  }
  state::PartitionChange change;
  if (!change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
    return Error{Errc::corrupt_batch, "a partition's state does not decode"};
  }
  PartitionState& state = states_[*key];
  if (record.type == storage::StateRecordType::snapshot) state = {};
  return state.apply(change);
}

PartitionState PartitionStates::take(const PartitionKey& key) {
  const auto known = states_.find(key);
  if (known == states_.end()) return {};
  PartitionState state = std::move(known->second);
  states_.erase(known);
  return state;
}

std::int32_t PartitionStates::partitions_of(Uuid topic) const {
  std::int32_t count = 0;
  for (const auto& [key, state] : states_) {
    if (key.topic == topic) count = std::max(count, key.partition + 1);
  }
  return count;
}

}  // namespace tidemark::broker
