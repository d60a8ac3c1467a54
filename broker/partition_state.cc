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

void PartitionState::apply(const state::PartitionChange& change) {
  if (change.has_log_start()) log_start = Offset{change.log_start()};
  if (change.has_checkpoint()) {
    const auto& in = change.checkpoint();
    checkpoint = storage::LogCheckpoint{Offset{in.segment_base()}, FilePosition{in.position()}, Offset{in.offset()}, in.leader_epoch()};
  }
  if (change.has_leader_epoch()) leader_epoch = change.leader_epoch();
  if (change.has_reserved_end()) reserved_end = Offset{change.reserved_end()};
  for (const auto& in : change.producers()) {
    ProducerSession session = from_proto(in);
    const auto known = std::ranges::find(producers, session.id, &ProducerSession::id);
    if (known == producers.end())
      producers.push_back(std::move(session));
    else
      *known = std::move(session);
  }
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
  state.apply(change);
  return {};
}

PartitionState PartitionStates::find(Uuid topic, std::int32_t partition) const {
  const auto known = states_.find({topic, partition});
  return known == states_.end() ? PartitionState() : known->second;
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
