#include "broker/jobs/replay_state.h"

#include <charconv>
#include <cstring>

#include "storage/base/check.h"

namespace tidemark::broker {
namespace {

using Change = state::ReplayChange;

constexpr std::uint32_t kSequenceMask = 0x7fffffffu;  ///< After 2147483647 comes 0.

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

// Numbers on the disk are one more than the enumerators, so that 0 is never a state or position.
void to_proto(const ReplayPosition& position, Change::Position& out) {
  out.set_kind(static_cast<std::uint32_t>(position.kind) + 1);
  out.set_value(position.value);
}

bool from_proto(const Change::Position& in, ReplayPosition& position) {
  if (in.kind() < 1 || in.kind() > static_cast<std::uint32_t>(ReplayPosition::Kind::timestamp_ms) + 1) return false;
  position = {static_cast<ReplayPosition::Kind>(in.kind() - 1), in.value()};
  return true;
}

bool from_proto(const std::string& bytes, Uuid& id) {
  if (bytes.size() != id.bytes.size()) return false;
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return true;
}

void put_spec(const ReplayState& state, Change::Spec& out) {
  out.set_source(state.spec.source);
  out.set_into(state.spec.into);
  to_proto(state.spec.from, *out.mutable_from());
  to_proto(state.spec.to, *out.mutable_to());
  out.set_pace_kind(static_cast<std::uint32_t>(state.spec.pace.kind));
  out.set_pace_value(state.spec.pace.value);
  out.set_filter(state.spec.filter);
  out.set_skip_damaged(state.spec.skip_damaged);
  out.set_source_id(state.source.bytes.data(), state.source.bytes.size());
  out.set_target_id(state.target.bytes.data(), state.target.bytes.size());
  out.set_target_partitions(state.target_partitions);
  out.set_created_ms(to_ms(state.created));
}

bool take_spec(const Change::Spec& in, ReplayState& state) {
  if (in.pace_kind() > static_cast<std::uint32_t>(ReplayPace::Kind::speed) || in.target_partitions() < 1) return false;
  state.spec.source = in.source();
  state.spec.into = in.into();
  state.spec.pace = {static_cast<ReplayPace::Kind>(in.pace_kind()), in.pace_value()};
  state.spec.filter = in.filter();
  state.spec.skip_damaged = in.skip_damaged();
  state.target_partitions = in.target_partitions();
  state.created = from_ms(in.created_ms());
  return from_proto(in.from(), state.spec.from) && from_proto(in.to(), state.spec.to) && from_proto(in.source_id(), state.source) &&
         from_proto(in.target_id(), state.target);
}

void put_chunk(const OpenChunk& chunk, Change::Chunk& out) {
  for (const ReplayRange& range : chunk.ranges) {
    auto& entry = *out.add_ranges();
    entry.set_partition(range.partition);
    entry.set_from(range.from.value);
    entry.set_to(range.to.value);
  }
  for (const ChunkBatch& batch : chunk.batches) {
    auto& entry = *out.add_batches();
    entry.set_partition(batch.partition);
    entry.set_first_sequence(batch.first_sequence);
    entry.set_records(batch.records);
    entry.set_appended(batch.appended);
  }
}

bool take_chunk(const Change::Chunk& in, const ReplayState& state, OpenChunk& chunk) {
  for (const auto& entry : in.ranges()) {
    if (entry.partition() < 0 || static_cast<std::size_t>(entry.partition()) >= state.partitions.size() || entry.to() < entry.from()) {
      return false;
    }
    chunk.ranges.push_back({entry.partition(), Offset{entry.from()}, Offset{entry.to()}});
  }
  for (const auto& entry : in.batches()) {
    if (entry.partition() < 0 || entry.partition() >= state.target_partitions || entry.first_sequence() < 0 || entry.records() < 1) {
      return false;
    }
    chunk.batches.push_back({entry.partition(), entry.first_sequence(), entry.records(), entry.appended()});
  }
  return true;
}

void put_progress(const ReplayProgress& progress, Change& out) {
  auto& entry = *out.add_progress();
  entry.set_partition(progress.partition);
  entry.set_from(progress.from.value);
  entry.set_to(progress.to.value);
  entry.set_next(progress.next.value);
}

void put_sequence(std::int32_t partition, std::int32_t next, Change& out) {
  auto& entry = *out.add_sequences();
  entry.set_partition(partition);
  entry.set_next(next);
}

/// What every record carries.
Change changing_part(const ReplayState& state) {
  Change change;
  change.set_state(static_cast<std::uint32_t>(state.state) + 1);
  if (state.error) {
    change.set_error_code(static_cast<std::uint32_t>(state.error->code));
    change.set_error(state.error->detail);
  }
  if (state.finished) change.set_finished_ms(to_ms(*state.finished));
  change.set_epoch(state.epoch);
  if (state.chunk) put_chunk(*state.chunk, *change.mutable_chunk());
  change.set_records(state.totals.records);
  change.set_bytes(state.totals.bytes);
  change.set_filtered(state.totals.filtered);
  change.set_skipped(state.totals.skipped);
  change.set_damaged(state.totals.damaged);
  return change;
}

storage::StateRecord to_record(JobId id, Change change, storage::StateRecordType type) {
  state::JobChange job;
  *job.mutable_replay() = std::move(change);
  storage::StateRecord record{.stream = ReplayState::stream(id), .type = type, .last_part = true, .sequence = 0, .payload = {}};
  record.payload.resize(job.ByteSizeLong());
  CHECK(job.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

bool take(const Change& change, ReplayState& state) {
  if (change.has_spec() && !take_spec(change.spec(), state)) return false;
  if (change.state() < 1 || change.state() > static_cast<std::uint32_t>(JobState::cancelled) + 1) return false;
  if (change.epoch() < 0 || change.epoch() > 0x7fff) return false;
  state.state = static_cast<JobState>(change.state() - 1);
  state.error.reset();
  if (change.error_code() != 0) state.error = Error{errc_from_number(change.error_code()).value_or(Errc::internal), change.error()};
  state.finished.reset();
  if (change.has_finished_ms()) state.finished = from_ms(change.finished_ms());
  if (change.epoch() > state.epoch) state.next_sequences.clear();
  state.epoch = static_cast<std::int16_t>(change.epoch());
  for (const auto& entry : change.progress()) {
    const auto index = static_cast<std::size_t>(entry.partition());
    if (entry.partition() < 0 || index > state.partitions.size()) return false;  // A snapshot has them all, in order.
    const ReplayProgress progress{entry.partition(), Offset{entry.from()}, Offset{entry.to()}, Offset{entry.next()}};
    if (index == state.partitions.size())
      state.partitions.push_back(progress);
    else
      state.partitions[index] = progress;
  }
  for (const auto& entry : change.sequences()) {
    if (entry.next() < 0) return false;
    state.next_sequences[entry.partition()] = entry.next();
  }
  state.chunk.reset();
  if (change.has_chunk() && !take_chunk(change.chunk(), state, state.chunk.emplace())) return false;
  state.totals = {change.records(), change.bytes(), change.filtered(), change.skipped(), change.damaged()};
  return true;
}

}  // namespace

std::int32_t ChunkBatch::last_sequence() const {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(first_sequence) + static_cast<std::uint32_t>(records) - 1) & kSequenceMask);
}

std::int32_t ChunkBatch::next_sequence() const {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(first_sequence) + static_cast<std::uint32_t>(records)) & kSequenceMask);
}

std::int32_t ReplayState::next_sequence(std::int32_t target_partition) const {
  const auto known = next_sequences.find(target_partition);
  return known == next_sequences.end() ? 0 : known->second;
}

storage::StateRecord ReplayState::snapshot() const {
  Change change = changing_part(*this);
  put_spec(*this, *change.mutable_spec());
  for (const ReplayProgress& progress : partitions) put_progress(progress, change);
  for (const auto& [partition, next] : next_sequences) put_sequence(partition, next, change);
  return to_record(id, std::move(change), storage::StateRecordType::snapshot);
}

storage::StateRecord ReplayState::delta(const std::set<std::int32_t>& progress, const std::set<std::int32_t>& sequences) const {
  Change change = changing_part(*this);
  for (const std::int32_t partition : progress) put_progress(partitions.at(static_cast<std::size_t>(partition)), change);
  for (const std::int32_t partition : sequences) put_sequence(partition, next_sequence(partition), change);
  return to_record(id, std::move(change), storage::StateRecordType::delta);
}

Status ReplayState::apply(const storage::StateRecord& record) {
  state::JobChange job;
  const std::optional<JobId> number = job_of(record.stream);
  if (!number || !job.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
    return Error{Errc::corrupt_batch, "a job's state does not decode"};
  }
  if (!job.has_replay()) return Error{Errc::unsupported_version, "the state log has a job of a newer version"};
  if (record.type == storage::StateRecordType::snapshot) *this = {};
  id = *number;
  if (!take(job.replay(), *this)) return Error{Errc::corrupt_batch, "the state of job " + std::to_string(id) + " does not add up"};
  return {};
}

storage::StreamKey ReplayState::stream(JobId id) { return {storage::StreamKind::job, std::to_string(id)}; }

std::optional<JobId> ReplayState::job_of(const storage::StreamKey& stream) {
  JobId id = 0;
  const char* const end = stream.id.data() + stream.id.size();
  if (stream.kind != storage::StreamKind::job) return std::nullopt;
  const auto [stop, failure] = std::from_chars(stream.id.data(), end, id);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return id;
}

}  // namespace tidemark::broker
