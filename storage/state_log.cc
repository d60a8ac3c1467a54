#include "storage/state_log.h"

#include <deque>
#include <unordered_map>
#include <utility>

#include "storage/base/log.h"
#include "storage/log.h"
#include "storage/state_record.h"
#include "storage/state_recovery.h"
#include "storage/state_streams.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kWriteBytes = 1024 * 1024;  ///< Encoded records are handed to the file in pieces of about this.

std::uint64_t round_up(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step * step; }

}  // namespace

struct StateLog::Impl {
  Impl(FileSystem& file_system, std::string path, StateLogOptions log_options)
      : files(file_system), directory(std::move(path)), options(log_options) {}

  FileSystem& files;
  const std::string directory;
  const StateLogOptions options;

  std::deque<StateFileInfo> kept;  ///< Oldest first; the last one is written to. Never empty after open().
  std::unique_ptr<StateStreams> streams;
  std::unique_ptr<File> active;
  std::vector<std::unique_ptr<File>> retired;  ///< Closed since the last flushed(): a caller may still hold their pointers.
  StateChain chain = 0;                        ///< At the end of the active file.
  std::uint64_t reserved = 0;                  ///< Bytes of the active file that have disk space.
  std::uint64_t unflushed = 0;                 ///< Written to the active file since its last flush.
  ByteVector buffer;                           ///< Encoded, not yet written.
  std::unique_ptr<File> emergency;             ///< Space set aside for the day the disk is full.
  bool emergency_held = false;
  std::optional<Error> broken;

  StateFileInfo& last() { return kept.back(); }

  Status start_file();
  Status reserve(std::uint64_t bytes);
  Status make_room(std::uint64_t bytes);
  Status take_emergency_space();
  bool give_up_emergency_space();
  Status check(std::span<const StateRecord> records) const;
  void encode(StateRecord& record);
  Status write_buffer();
  Status sync_active();

  /// A failed write or flush is final, whatever the reason: what lies behind the last good byte is unknown.
  Error break_with(const Error& error) {
    broken = Error{Errc::io_error, error.detail};
    return *broken;
  }
};

/// Everything that can find the disk full comes first, then the old file is closed for good, then the new one begins: so a header is proof
/// that the file before is whole, and recovery need not look for torn bytes there.
Status StateLog::Impl::start_file() {
  const bool is_first = kept.empty();
  StateFileHeader header{.number = 1, .previous_end = 0, .previous_chain = 0};
  if (!is_first) header = {.number = last().number + 1, .previous_end = last().bytes, .previous_chain = chain};

  const std::string path = directory + "/" + state_file_name(header.number);
  Result<std::unique_ptr<File>> next = files.open(path, OpenMode::create);  // An earlier attempt may have left it, empty.
  if (!next && next.error().code == Errc::disk_full) return std::move(next).error();
  if (!next) return break_with(next.error());
  if (const Status taken = (*next)->reserve(options.reserve_step_bytes); !taken) {
    if (taken.error().code == Errc::disk_full) return taken;
    return break_with(taken.error());
  }

  if (!is_first) {
    if (const Status cut = active->truncate(last().bytes); !cut) return break_with(cut.error());  // Gives unused space back.
    if (const Status synced = sync_active(); !synced) return synced;
  }
  ByteVector bytes;
  const StateChain header_chain = encode_state_header(header, bytes);
  const ByteView part(bytes);
  if (const Status written = (*next)->write({}, std::span(&part, 1)); !written) return break_with(written.error());
  if (const Status synced = (*next)->sync(); !synced) return break_with(synced.error());
  // Without it the name may be lost while records in the file are already acknowledged.
  if (const Status synced = files.sync_directory(directory); !synced) return break_with(synced.error());

  if (!is_first) retired.push_back(std::move(active));
  active = std::move(*next);
  kept.push_back({.number = header.number, .bytes = bytes.size()});
  chain = header_chain;
  reserved = options.reserve_step_bytes;
  unflushed = 0;
  return {};
}

Status StateLog::Impl::reserve(std::uint64_t bytes) {
  if (bytes <= reserved) return {};
  std::uint64_t wanted = round_up(bytes, options.reserve_step_bytes);
  Status taken = active->reserve(wanted);
  if (!taken && taken.error().code == Errc::disk_full && wanted != bytes) {
    wanted = bytes;  // Not a whole step left, but perhaps enough.
    taken = active->reserve(wanted);
  }
  if (!taken && taken.error().code != Errc::disk_full) return break_with(taken.error());
  if (taken) reserved = wanted;
  return taken;
}

/// A file with disk space for `bytes` more.
Status StateLog::Impl::make_room(std::uint64_t bytes) {
  if (last().bytes >= options.file_bytes) {
    if (const Status started = start_file(); !started) return started;
  }
  return reserve(last().bytes + bytes);
}

/// What frees space (trims, deletions, snapshots) must still be recorded when the disk is full.
Status StateLog::Impl::take_emergency_space() {
  if (emergency_held) return {};
  if (!emergency) {
    Result<std::unique_ptr<File>> file = files.open(directory + "/reserve", OpenMode::create);
    if (!file) return file.error().code == Errc::disk_full ? Status() : Status(file.error());
    emergency = *std::move(file);
  }
  const Status taken = emergency->reserve(options.emergency_bytes);
  if (!taken && taken.error().code != Errc::disk_full) return taken;
  emergency_held = taken.has_value();
  return {};
}

bool StateLog::Impl::give_up_emergency_space() {
  if (!emergency_held) return false;
  emergency_held = false;
  const Status given = emergency->truncate(0);
  log_warn("the disk is full: the state log goes on with its reserve" + (given ? "" : "; " + given.error().to_string()));
  return given.has_value();
}

Status StateLog::Impl::check(std::span<const StateRecord> records) const {
  std::unordered_map<StreamKey, bool> snapshot_open;  // As it will be behind the records checked so far.
  for (const StateRecord& record : records) {
    if (record.stream.id.size() > kStateIdBytesMax || record.payload.size() > kStatePayloadBytesMax)
      return Error{Errc::invalid_argument,
                   "state record of " + describe(record.stream) + " is too large: " + std::to_string(record.payload.size()) + " bytes"};
    const bool is_snapshot = record.type == StateRecordType::snapshot || record.type == StateRecordType::snapshot_more;
    if (!is_snapshot && snapshot_open.empty()) continue;
    const auto entry = snapshot_open.try_emplace(record.stream, streams->snapshot_open(record.stream)).first;
    if (record.type == StateRecordType::snapshot_more && !entry->second)
      return Error{Errc::invalid_argument, describe(record.stream) + ": a snapshot's further part without its first"};
    entry->second = is_snapshot && !record.last_part;
  }
  return {};
}

void StateLog::Impl::encode(StateRecord& record) {
  const StateStreams::Next next = streams->next(record.stream);
  record.sequence = next.sequence;
  const bool begins = next.begins && record.type == StateRecordType::delta;
  const StatePlace place{.file = last().number, .position = FilePosition{last().bytes + buffer.size()}};
  chain = encode_state_record(record, begins, chain, buffer);
  const Status added = streams->add({.type = record.type,
                                     .last_part = record.last_part,
                                     .begins = begins,
                                     .sequence = record.sequence,
                                     .kind = record.stream.kind,
                                     .id = record.stream.id,
                                     .payload = record.payload,
                                     .bytes = StateLog::encoded_size(record)},
                                    place);
  CHECK(added.has_value());  // check() has let it through.
}

Status StateLog::Impl::write_buffer() {
  if (buffer.empty()) return {};
  const ByteView part(buffer);
  if (const Status written = active->write(FilePosition{last().bytes}, std::span(&part, 1)); !written) return break_with(written.error());
  last().bytes += buffer.size();
  unflushed += buffer.size();
  buffer.clear();
  return {};
}

Status StateLog::Impl::sync_active() {
  if (const Status synced = active->sync(); !synced) return break_with(synced.error());
  unflushed = 0;
  return {};
}

StateLog::StateLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateLog::~StateLog() = default;

Result<std::unique_ptr<StateLog>> StateLog::open(FileSystem& files, std::string directory, StateLogOptions options, const Replay& replay) {
  CHECK(options.reserve_step_bytes >= kStateHeaderBytes);
  Result<RecoveredState> state = recover_state(files, directory);
  if (!state) return std::move(state).error();
  if (const Status replayed = replay_state(files, directory, *state, replay); !replayed) return replayed.error();

  auto impl = std::make_unique<Impl>(files, std::move(directory), options);
  impl->kept.assign(state->files.begin(), state->files.end());
  impl->streams = std::move(state->streams);
  impl->active = std::move(state->active);
  impl->chain = state->chain;
  if (impl->kept.empty()) {
    if (const Status started = impl->start_file(); !started) return started.error();
  }
  if (const Status taken = impl->take_emergency_space(); !taken) return taken.error();
  return std::unique_ptr<StateLog>(new StateLog(std::move(impl)));
}

std::size_t StateLog::encoded_size(const StateRecord& record) {
  return kStateRecordOverhead + record.stream.id.size() + record.payload.size();
}

Status StateLog::append(std::span<StateRecord> records) {
  Impl& log = *impl_;
  if (log.broken) return *log.broken;
  if (records.empty()) return {};
  if (const Status valid = log.check(records); !valid) return valid;
  std::uint64_t bytes = 0;
  for (const StateRecord& record : records) bytes += encoded_size(record);
  Status room = log.make_room(bytes);
  if (!room && room.error().code == Errc::disk_full && log.give_up_emergency_space()) room = log.make_room(bytes);
  if (!room) return room;

  for (StateRecord& record : records) {
    const std::size_t size = encoded_size(record);
    if (!log.buffer.empty() && log.buffer.size() + size > kWriteBytes) {
      if (const Status written = log.write_buffer(); !written) return written;
    }
    if (log.unflushed + log.buffer.size() + size > kGroupBytesMax) {
      // Recovery takes at most this much for torn, so no more may ever be in flight. Early durability does no harm.
      if (const Status written = log.write_buffer(); !written) return written;
      if (const Status synced = log.sync_active(); !synced) return synced;
    }
    log.encode(record);
  }
  return log.write_buffer();
}

std::vector<File*> StateLog::unflushed_files() {
  if (impl_->unflushed == 0) return {};
  return {impl_->active.get()};
}

void StateLog::flushed() {
  impl_->unflushed = 0;
  impl_->retired.clear();
}

Status StateLog::flush() {
  if (impl_->broken) return *impl_->broken;
  if (impl_->unflushed > 0) {
    if (const Status synced = impl_->sync_active(); !synced) return synced;
  }
  flushed();
  return {};
}

StateLogPosition StateLog::end() const { return {.file = impl_->kept.back().number, .position = FilePosition{impl_->kept.back().bytes}}; }

std::uint64_t StateLog::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const StateFileInfo& file : impl_->kept) bytes += file.bytes;
  return bytes;
}

std::vector<StreamKey> StateLog::snapshots_wanted() const {
  const std::uint64_t total = size_bytes() - impl_->kept.size() * kStateHeaderBytes;
  const std::uint64_t dead = total - impl_->streams->live_bytes();
  const bool worth_it = impl_->kept.size() > 1 && dead >= impl_->options.garbage_bytes_min && dead >= total / 2;
  if (!worth_it) return {};
  return impl_->streams->needing(impl_->kept.front().number);
}

Status StateLog::remove_dead_files() {
  Impl& log = *impl_;
  if (log.broken) return *log.broken;
  if (log.unflushed > 0) return {};                                           // What killed the old records must be durable first.
  if (const Status taken = log.take_emergency_space(); !taken) return taken;  // Given up on a full disk, and perhaps there is room again.
  while (log.kept.size() > 1) {
    const std::uint64_t number = log.kept.front().number;
    const std::optional<std::uint64_t> needed = log.streams->first_needed_file();
    if (needed && *needed <= number) break;
    if (const Status removed = log.files.remove(log.directory + "/" + state_file_name(number)); !removed) return removed;
    log.kept.pop_front();
    // One by one and oldest first: a gap could bring back records whose deletion lay in a file that is gone.
    if (const Status synced = log.files.sync_directory(log.directory); !synced) return log.break_with(synced.error());
  }
  return {};
}

std::size_t StateLog::file_count() const { return impl_->kept.size(); }

}  // namespace tidemark::storage
