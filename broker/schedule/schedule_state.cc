#include "broker/schedule/schedule_state.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "broker/schedule_records.pb.h"
#include "storage/base/printable.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kBitsPerRecord = 1024 * 1024;
constexpr std::int64_t kSequences = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;

std::int32_t advance(std::int32_t sequence, std::size_t by) {
  return static_cast<std::int32_t>((sequence + static_cast<std::int64_t>(by)) % kSequences);
}

void to_proto(std::int32_t lane, const std::vector<std::int64_t>& offsets, state::ScheduleChange::Offsets& out) {
  out.set_lane(lane);
  std::int64_t before = 0;
  for (const std::int64_t offset : offsets) {
    out.add_deltas(offset - before);
    before = offset;
  }
}

/// False: a lane or offset that cannot be.
bool from_proto(const state::ScheduleChange::Offsets& in, std::vector<std::int64_t>& out) {
  if (in.lane() < 0 || in.lane() >= kScheduleLanes) return false;
  std::int64_t offset = 0;
  for (const std::int64_t delta : in.deltas()) {
    if (__builtin_add_overflow(offset, delta, &offset) || offset < 0) return false;
    out.push_back(offset);
  }
  return true;
}

void to_proto(const MoveBatch& batch, state::ScheduleChange::Batch& out) {
  out.set_topic(batch.target.topic.bytes.data(), batch.target.topic.bytes.size());
  out.set_partition(batch.target.partition);
  out.set_first_sequence(batch.first_sequence);
  out.set_kind(static_cast<std::uint32_t>(batch.kind));
  to_proto(batch.lane, batch.offsets, *out.mutable_sources());
  if (!batch.failure) return;
  out.set_failed_code(static_cast<std::uint32_t>(batch.failure->code));
  out.set_failed_reason(printable(batch.failure->detail));
}

bool from_proto(const state::ScheduleChange::Batch& in, MoveBatch& out) {
  if (in.topic().size() != 16 || in.kind() < 1 || in.kind() > 3 || !from_proto(in.sources(), out.offsets)) return false;
  std::memcpy(out.target.topic.bytes.data(), in.topic().data(), 16);
  out.target.partition = in.partition();
  out.first_sequence = in.first_sequence();
  out.kind = static_cast<MoveBatch::Kind>(in.kind());
  out.lane = in.sources().lane();
  if (in.failed_code() != 0) out.failure = Error{errc_from_number(in.failed_code()).value_or(Errc::internal), in.failed_reason()};
  return !out.offsets.empty();
}

storage::StateRecord to_record(const state::ScheduleChange& change, storage::StateRecordType type) {
  storage::StateRecord record{.stream = ScheduleState::stream(), .type = type, .last_part = true, .sequence = 0, .payload = {}};
  record.payload.resize(change.ByteSizeLong());
  CHECK(change.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

void add_sequence(const PartitionKey& key, std::int32_t next, state::ScheduleChange& change) {
  auto& sequence = *change.add_sequences();
  sequence.set_topic(key.topic.bytes.data(), key.topic.bytes.size());
  sequence.set_partition(key.partition);
  sequence.set_next(next);
}

}  // namespace

std::int32_t MoveBatch::next_sequence() const { return advance(first_sequence, offsets.size()); }
std::int32_t MoveBatch::last_sequence() const { return advance(first_sequence, offsets.size() - 1); }

storage::StreamKey ScheduleState::stream() { return {storage::StreamKind::job, "schedule"}; }

std::int32_t ScheduleState::next_sequence(const PartitionKey& target) const {
  const auto known = sequences.find(target);
  return known == sequences.end() ? 0 : known->second;
}

bool ScheduleState::Change::any() const {
  return chunk || !sequences.empty() || std::ranges::any_of(done, [](const auto& offsets) { return !offsets.empty(); });
}

storage::StateRecord ScheduleState::delta(const Change& what) const {
  state::ScheduleChange change;
  if (producer) change.set_producer(*producer);
  change.set_epoch(epoch);
  for (const PartitionKey& key : what.sequences) add_sequence(key, next_sequence(key), change);
  for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane) {
    const auto& offsets = what.done[static_cast<std::size_t>(lane)];
    if (!offsets.empty()) to_proto(lane, offsets, *change.add_done());
  }
  change.set_keeps_chunk(!what.chunk);
  if (what.chunk && !chunk.empty()) {
    for (const MoveBatch& batch : chunk) to_proto(batch, *change.mutable_chunk()->add_batches());
  }
  return to_record(change, storage::StateRecordType::delta);
}

std::vector<storage::StateRecord> ScheduleState::snapshot(const TopicTable& known) const {
  std::vector<storage::StateRecord> parts;
  state::ScheduleChange change;
  const auto finish_part = [&] {
    parts.push_back(to_record(change, parts.empty() ? storage::StateRecordType::snapshot : storage::StateRecordType::snapshot_more));
    parts.back().last_part = false;
    change.Clear();
    change.set_keeps_chunk(true);
  };
  if (producer) change.set_producer(*producer);
  change.set_epoch(epoch);
  for (const auto& [key, next] : sequences) {
    const bool moving = std::ranges::find(chunk, key, &MoveBatch::target) != chunk.end();
    if (moving || known.by_id.contains(key.topic)) add_sequence(key, next, change);
  }
  for (const MoveBatch& batch : chunk) to_proto(batch, *change.mutable_chunk()->add_batches());
  finish_part();
  for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane) {
    const OffsetSet& offsets = done[static_cast<std::size_t>(lane)];
    for (Offset from = offsets.base(); from < offsets.limit(); from = from + static_cast<std::int64_t>(kBitsPerRecord) * 8) {
      const ByteVector bits = offsets.bits(from, kBitsPerRecord);
      if (bits.empty()) continue;
      auto& out = *change.add_done_bits();
      out.set_lane(lane);
      out.set_from(from.value);
      out.set_bits(bits.data(), bits.size());
      finish_part();
    }
  }
  parts.back().last_part = true;
  return parts;
}

Status ScheduleState::apply(const storage::StateRecord& record) {
  const Error bad{Errc::corrupt_batch, "the schedule's state does not decode"};
  state::ScheduleChange change;
  if (!change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) return bad;
  if (record.type == storage::StateRecordType::snapshot) *this = {};
  if (change.has_producer() && change.producer() != producer) {
    producer = change.producer();
    sequences.clear();
  }
  if (change.has_epoch() && change.epoch() != epoch) {
    epoch = static_cast<std::int16_t>(change.epoch());
    sequences.clear();
  }
  for (const auto& in : change.sequences()) {
    if (in.topic().size() != 16) return bad;
    PartitionKey key;
    std::memcpy(key.topic.bytes.data(), in.topic().data(), 16);
    key.partition = in.partition();
    sequences[key] = in.next();
  }
  for (const auto& in : change.done()) {
    std::vector<std::int64_t> offsets;
    if (!from_proto(in, offsets)) return bad;
    for (const std::int64_t offset : offsets) done[static_cast<std::size_t>(in.lane())].insert({offset});
  }
  for (const auto& in : change.done_bits()) {
    if (in.lane() < 0 || in.lane() >= kScheduleLanes || in.from() < 0) return bad;
    done[static_cast<std::size_t>(in.lane())].insert_bits({in.from()}, as_bytes(in.bits()));
  }
  if (change.keeps_chunk()) return {};
  chunk.clear();
  for (const auto& in : change.chunk().batches()) {
    MoveBatch batch;
    if (!from_proto(in, batch)) return bad;
    chunk.push_back(std::move(batch));
  }
  if (!chunk.empty() && !producer) return bad;
  return {};
}

}  // namespace tidemark::broker
