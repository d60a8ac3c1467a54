#include "storage/state_streams.h"

namespace tidemark::storage {

std::optional<std::uint64_t> StateStreams::Stream::needed_file() const {
  if (live) return live->file;  // An open snapshot lies behind the live run.
  if (open_snapshot) return open_snapshot->file;
  return std::nullopt;
}

StateStreams::Next StateStreams::next(const StreamKey& stream) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return {};
  return {.sequence = found->second.sequence + 1, .begins = !found->second.live};
}

bool StateStreams::snapshot_open(const StreamKey& stream) const {
  const auto found = streams_.find(stream);
  return found != streams_.end() && found->second.open_snapshot;
}

Status StateStreams::add(const StateRecordFrame& record, StatePlace place) {
  const auto [entry, is_new] = streams_.try_emplace(StreamKey{record.kind, std::string(record.id)});
  Stream& stream = entry->second;
  // The first record seen of a stream may be any one: those before it lay in files that are gone.
  if (!is_new && record.sequence != stream.sequence + 1)
    return Error{Errc::corrupt_batch,
                 describe(entry->first) + ": sequence " + std::to_string(record.sequence) + " after " + std::to_string(stream.sequence)};
  const std::optional<std::uint64_t> needed_before = stream.needed_file();

  if (record.type == StateRecordType::deleted) {
    live_bytes_ -= stream.live_bytes;
    move_need(entry->first, needed_before, std::nullopt);
    streams_.erase(entry);
    return {};
  }
  if (record.type == StateRecordType::snapshot_more && is_new) {
    start_run(stream, place, record.bytes, false);
  } else if (const Status stepped = step(stream, record, place); !stepped) {
    return Error{Errc::corrupt_batch, describe(entry->first) + ": " + stepped.error().detail};
  }
  stream.sequence = record.sequence;
  move_need(entry->first, needed_before, stream.needed_file());
  return {};
}

Status StateStreams::step(Stream& stream, const StateRecordFrame& record, StatePlace place) {
  switch (record.type) {
    case StateRecordType::delta:
      if (record.begins && stream.live) return Error{Errc::corrupt_batch, "begins a second time"};
      stream.open_snapshot.reset();  // Its parts no longer say all: they are dead.
      if (!stream.live) {
        start_run(stream, place, record.bytes, record.begins);
      } else {
        stream.live_bytes += record.bytes;
        live_bytes_ += record.bytes;
      }
      return {};
    case StateRecordType::snapshot:
      stream.open_snapshot.reset();
      if (record.last_part) {
        start_run(stream, place, record.bytes, true);
      } else {
        stream.open_snapshot = place;
        stream.open_bytes = record.bytes;
      }
      return {};
    case StateRecordType::snapshot_more:
      if (!stream.open_snapshot) {
        if (stream.has_beginning) return Error{Errc::corrupt_batch, "a snapshot's further part without its first"};
        stream.live_bytes += record.bytes;  // The first part's file is gone, so this is dead: finish_replay() insists on it.
        live_bytes_ += record.bytes;
        return {};
      }
      stream.open_bytes += record.bytes;
      if (record.last_part) {
        const StatePlace start = *stream.open_snapshot;
        stream.open_snapshot.reset();
        start_run(stream, start, stream.open_bytes, true);
      }
      return {};
    case StateRecordType::deleted:
      break;  // Taken care of by add().
  }
  check_failed("every record type is handled", __FILE__, __LINE__);
}

void StateStreams::start_run(Stream& stream, StatePlace place, std::uint64_t bytes, bool has_beginning) {
  live_bytes_ += bytes;
  live_bytes_ -= stream.live_bytes;
  stream.live = place;
  stream.live_bytes = bytes;
  stream.has_beginning = has_beginning;
}

void StateStreams::move_need(const StreamKey& key, std::optional<std::uint64_t> from, std::optional<std::uint64_t> to) {
  if (from == to) return;
  if (from) {
    const auto needing = needs_.find(*from);
    CHECK(needing != needs_.end() && needing->second.erase(&key) == 1);
    if (needing->second.empty()) needs_.erase(needing);
  }
  if (to) needs_[*to].insert(&key);
}

Status StateStreams::finish_replay(StatePlace& place) {
  for (auto& [key, stream] : streams_) {
    if (stream.live && !stream.has_beginning) {
      place = *stream.live;
      return Error{Errc::corrupt_batch, describe(key) + " goes on here, but its beginning is missing"};
    }
    const std::optional<std::uint64_t> needed_before = stream.needed_file();
    stream.open_snapshot.reset();
    move_need(key, needed_before, stream.needed_file());
  }
  return {};
}

std::optional<StatePlace> StateStreams::live_start(const StreamKey& stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? std::nullopt : found->second.live;
}

std::optional<std::uint64_t> StateStreams::first_needed_file() const {
  return needs_.empty() ? std::nullopt : std::optional(needs_.begin()->first);
}

std::vector<StreamKey> StateStreams::needing(std::uint64_t file) const {
  std::vector<StreamKey> streams;
  const auto needing = needs_.find(file);
  if (needing == needs_.end()) return streams;
  streams.reserve(needing->second.size());
  for (const StreamKey* const key : needing->second) streams.push_back(*key);
  return streams;
}

}  // namespace tidemark::storage
