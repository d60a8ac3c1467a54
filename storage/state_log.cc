#include "storage/state_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <utility>

#include "storage/base/log.h"
#include "storage/log.h"
#include "storage/state_record.h"
#include "storage/torn_tail.h"

namespace tidemark::storage {
namespace {

constexpr std::string_view kSuffix = ".state";

std::string file_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits + std::string(kSuffix);
}

std::optional<std::uint64_t> number_of(std::string_view name) {
  if (name.size() != 20 + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 20, number);
  if (error != std::errc() || end != name.data() + 20) return std::nullopt;
  return number;
}

/// Where a stream's live records begin. Only what lies before the first of them, in every stream, is dead.
struct StreamBook {
  std::uint64_t next_sequence = 1;
  std::uint64_t first_live_file = 0;
  std::uint64_t live_bytes = 0;
  // A snapshot in several parts takes over only with its last one.
  std::optional<std::uint64_t> open_snapshot_file;
  std::uint64_t open_snapshot_bytes = 0;
};

struct StateFile {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
};

Result<ByteVector> read_file_start(FileSystem& files, const std::string& path, std::size_t bytes) {
  Result<std::unique_ptr<File>> file = files.open(path, OpenMode::read);
  if (!file) return file.error();
  (*file)->drop_cache();
  ByteVector start(bytes);
  const Result<std::size_t> read = (*file)->read({0}, start);
  if (!read) return read.error();
  start.resize(*read);
  return start;
}

}  // namespace

struct StateLog::Impl {
  Impl(FileSystem& files_in, std::string directory_in, StateLogOptions options_in)
      : files(files_in), directory(std::move(directory_in)), options(options_in) {}

  Status load(const Replay& replay);
  Result<bool> has_header(std::uint64_t number);
  Status load_file(std::uint64_t number, bool last, std::deque<StateRecord>& records);
  Status start_file(std::uint64_t number);
  Status reserve(std::uint64_t end);
  Status take_emergency_space();
  bool give_up_emergency_space(const Error& error);
  void book(const StateRecord& record, std::uint64_t file, std::uint64_t bytes);
  std::string path_of(std::uint64_t number) const { return directory + "/" + file_name(number); }

  FileSystem& files;
  const std::string directory;
  const StateLogOptions options;

  std::deque<StateFile> row;  ///< Oldest first; the last one is written to.
  std::unique_ptr<File> active;
  std::unique_ptr<File> emergency;
  bool emergency_held = false;
  std::uint64_t reserved = 0;
  std::uint32_t chain = 0;
  bool unflushed = false;
  std::optional<Error> broken;

  std::unordered_map<StreamKey, StreamBook> streams;
};

StateLog::StateLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateLog::~StateLog() = default;

Result<std::unique_ptr<StateLog>> StateLog::open(FileSystem& files, std::string directory, StateLogOptions options, const Replay& replay) {
  auto impl = std::make_unique<Impl>(files, std::move(directory), options);
  if (Status loaded = impl->load(replay); !loaded) return std::move(loaded).error();
  return std::unique_ptr<StateLog>(new StateLog(std::move(impl)));
}

Status StateLog::Impl::load(const Replay& replay) {
  const Result<bool> exists = files.exists(directory);
  if (!exists) return exists.error();
  if (!*exists) {
    if (Status made = files.create_directory(directory); !made) return made;
    if (Status synced = files.sync_directory(parent_directory(directory)); !synced) return synced;
  }
  const Result<std::vector<DirectoryEntry>> entries = files.list(directory);
  if (!entries) return entries.error();
  std::vector<std::uint64_t> numbers;
  for (const DirectoryEntry& entry : *entries) {
    if (const auto number = number_of(entry.name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  if (!numbers.empty()) {
    const Result<bool> begun = has_header(numbers.back());
    if (!begun) return begun.error();
    if (!*begun) numbers.pop_back();
  }

  // Only the live tail of each stream is replayed: records in log order, a finished snapshot drops what it replaces.
  std::deque<StateRecord> records;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && numbers[i] != numbers[i - 1] + 1) {
      return Error{Errc::corrupt_batch, path_of(numbers[i - 1] + 1) + ": missing, the state log has a hole"};
    }
    if (Status loaded = load_file(numbers[i], i + 1 == numbers.size(), records); !loaded) return loaded;
  }

  // The last complete snapshot (or deletion) of each stream, and whether a later one was left unfinished.
  std::unordered_map<StreamKey, std::size_t> starts;
  std::unordered_map<StreamKey, std::size_t> opened;
  std::vector<bool> skip(records.size(), false);
  std::unordered_map<StreamKey, std::vector<std::size_t>> open_parts;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const StateRecord& record = records[i];
    if (record.type == StateRecordType::snapshot || record.type == StateRecordType::snapshot_more) {
      if (record.type == StateRecordType::snapshot) {
        for (const std::size_t part : open_parts[record.stream]) skip[part] = true;  // An earlier attempt that never ended.
        open_parts[record.stream].clear();
        opened[record.stream] = i;
      }
      open_parts[record.stream].push_back(i);
      if (record.last_part) {
        open_parts[record.stream].clear();
        starts[record.stream] = opened[record.stream];
      }
    } else if (record.type == StateRecordType::deleted) {
      starts[record.stream] = i;
    }
  }
  for (const auto& [stream, parts] : open_parts) {
    for (const std::size_t part : parts) skip[part] = true;
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (skip[i]) continue;
    const auto start = starts.find(records[i].stream);
    if (start != starts.end() && i < start->second) continue;
    if (records[i].type == StateRecordType::deleted) continue;  // What came before it was passed over already.
    if (Status replayed = replay(records[i]); !replayed) {
      Error error = std::move(replayed).error();
      error.detail = directory + ": " + error.detail;
      return error;
    }
  }

  if (row.empty()) {
    if (Status started = start_file(numbers.empty() ? 1 : numbers.back() + 1); !started) return started;
  }
  return take_emergency_space();
}

/// False, and the file is gone, when a crash interrupted its creation: it cannot hold records yet.
Result<bool> StateLog::Impl::has_header(std::uint64_t number) {
  const std::string path = path_of(number);
  const Result<ByteVector> start = read_file_start(files, path, kStateFileHeaderBytes);
  if (!start) return start.error();
  if (check_state_file_header(*start, number)) return true;
  const Result<std::uint64_t> size = files.file_size(path);
  if (!size) return size.error();
  if (*size > kStateFileHeaderBytes) return true;  // Damage, not a crash: load_file() names it.
  if (const Status removed = files.remove(path); !removed) return removed.error();
  if (const Status synced = files.sync_directory(directory); !synced) return synced.error();
  return false;
}

/// Reads one file, books its records, and for the last one cuts what a crash left unfinished.
Status StateLog::Impl::load_file(std::uint64_t number, bool last, std::deque<StateRecord>& records) {
  const std::string path = path_of(number);
  Result<std::unique_ptr<File>> file = files.open(path, last ? OpenMode::read_write : OpenMode::read);
  if (!file) return file.error();
  if (last) (*file)->drop_cache();
  const Result<std::uint64_t> size = (*file)->size();
  if (!size) return size.error();
  ByteVector bytes(*size);
  const Result<std::size_t> read = (*file)->read({0}, bytes);
  if (!read) return read.error();
  bytes.resize(*read);

  if (const Status header = check_state_file_header(bytes, number); !header) {
    return Error{header.error().code, path + ": " + header.error().detail};
  }
  std::size_t at = kStateFileHeaderBytes;
  std::uint32_t crc = load_le<std::uint32_t>(bytes.data() + 20);
  row.push_back({number, at});
  while (at < bytes.size()) {
    std::optional<DecodedStateRecord> decoded = decode_state_record(ByteView(bytes).subspan(at), crc);
    if (!decoded) break;
    crc = decoded->crc;
    at += decoded->size;
    book(decoded->record, number, decoded->size);
    records.push_back(std::move(decoded->record));
  }
  if (at < bytes.size()) {
    if (!last || bytes.size() - at > kGroupBytesMax) {
      return Error{Errc::corrupt_batch, path + " at " + std::to_string(at) + ": damaged; `tidemark log verify` says more"};
    }
    const Result<std::string> kept = set_torn_tail_aside(files, path, {at}, ByteView(bytes).subspan(at));
    if (!kept) return kept.error();
    if (Status cut = (*file)->truncate(at); !cut) return cut;
    log_info("state log: normal after a crash: " + std::to_string(bytes.size() - at) + " bytes of an unfinished write cut from " + path);
  }
  row.back().bytes = at;
  if (!last) return {};
  // What is shown from here on must not be taken back by a power cut.
  if (Status synced = (*file)->sync(); !synced) return synced;
  if (Status synced = files.sync_directory(directory); !synced) return synced;
  active = *std::move(file);
  chain = crc;
  reserved = at;
  return {};
}

void StateLog::Impl::book(const StateRecord& record, std::uint64_t file, std::uint64_t bytes) {
  StreamBook& stream = streams[record.stream];
  stream.next_sequence = record.sequence + 1;
  if (stream.live_bytes == 0) stream.first_live_file = file;
  stream.live_bytes += bytes;
  switch (record.type) {
    case StateRecordType::delta:
      return;
    case StateRecordType::deleted:
      streams.erase(record.stream);
      return;
    case StateRecordType::snapshot:
      stream.open_snapshot_file = file;
      stream.open_snapshot_bytes = bytes;
      break;
    case StateRecordType::snapshot_more:
      stream.open_snapshot_bytes += bytes;
      break;
  }
  if (!record.last_part || !stream.open_snapshot_file) return;
  stream.first_live_file = *std::exchange(stream.open_snapshot_file, std::nullopt);
  stream.live_bytes = stream.open_snapshot_bytes;
}

Status StateLog::Impl::start_file(std::uint64_t number) {
  const std::string path = path_of(number);
  Result<std::unique_ptr<File>> file = files.open(path, OpenMode::create);
  if (!file) return file.error();
  const ByteVector header = encode_state_file_header(number);
  const std::array<ByteView, 1> parts = {ByteView(header)};
  Status ready = (*file)->truncate(0);  // An earlier attempt on a full disk may have left it.
  if (ready) ready = (*file)->reserve(options.reserve_step_bytes);
  if (ready) ready = (*file)->write({0}, parts);
  // The name and the header before any record: a crash leaves this file empty or not there.
  if (ready) ready = (*file)->sync();
  if (ready) ready = files.sync_directory(directory);
  if (!ready) return ready;
  active = *std::move(file);
  row.push_back({number, header.size()});
  reserved = options.reserve_step_bytes;
  chain = load_le<std::uint32_t>(header.data() + 20);
  return {};
}

/// Space set aside for the day the disk is full: what frees space (trims, deletions) must still be recorded then.
Status StateLog::Impl::take_emergency_space() {
  if (!emergency) {
    Result<std::unique_ptr<File>> file = files.open(directory + "/reserve", OpenMode::create);
    if (!file) return file.error();
    emergency = *std::move(file);
  }
  const Status taken = emergency->reserve(options.emergency_bytes);
  emergency_held = taken.has_value();
  if (!taken && taken.error().code != Errc::disk_full) return taken;
  return {};
}

bool StateLog::Impl::give_up_emergency_space(const Error& error) {
  if (error.code != Errc::disk_full || !emergency_held) return false;
  emergency_held = false;
  log_warn("the disk is full: the state log goes on with its reserve");
  return emergency->truncate(0).has_value();
}

Status StateLog::Impl::reserve(std::uint64_t end) {
  if (end <= reserved) return {};
  const std::uint64_t step = options.reserve_step_bytes;
  const std::uint64_t wanted = (end + step - 1) / step * step;
  if (Status taken = active->reserve(wanted); !taken) {
    if (Status exact = active->reserve(end); !exact) return exact;
    reserved = end;
    return {};
  }
  reserved = wanted;
  return {};
}

std::size_t StateLog::encoded_size(const StateRecord& record) {
  return kStateRecordHeaderBytes + record.stream.id.size() + record.payload.size();
}

Status StateLog::append(std::span<StateRecord> records) {
  Impl& log = *impl_;
  if (log.broken) return *log.broken;
  if (records.empty()) return {};
  std::uint64_t bytes = 0;
  for (const StateRecord& record : records) bytes += encoded_size(record);
  if (log.row.back().bytes > kStateFileHeaderBytes && log.row.back().bytes + bytes > log.options.file_bytes) {
    // Only the last file may look torn after a crash, so the one before it is whole first.
    if (Status flushed_first = flush(); !flushed_first) return flushed_first;
    Status started = log.start_file(log.row.back().number + 1);
    if (!started && log.give_up_emergency_space(started.error())) started = log.start_file(log.row.back().number + 1);
    if (!started) {
      if (started.error().code != Errc::disk_full) log.broken = started.error();
      return started;
    }
    if (!log.emergency_held) {
      if (Status taken = log.take_emergency_space(); !taken) log_warn("state log: " + taken.error().to_string());
    }
  }
  Status reserved = log.reserve(log.row.back().bytes + bytes);
  if (!reserved && log.give_up_emergency_space(reserved.error())) reserved = log.reserve(log.row.back().bytes + bytes);
  if (!reserved) {
    if (reserved.error().code != Errc::disk_full) log.broken = reserved.error();
    return reserved;
  }
  std::unordered_map<StreamKey, std::uint64_t> next;
  ByteVector encoded;
  encoded.reserve(bytes);
  std::uint32_t chain = log.chain;
  for (StateRecord& record : records) {
    auto [sequence, fresh] = next.try_emplace(record.stream, 0);
    if (fresh) {
      const auto known = log.streams.find(record.stream);
      sequence->second = known == log.streams.end() ? 1 : known->second.next_sequence;
    }
    record.sequence = sequence->second++;
    chain = encode_state_record(encoded, record, chain);
  }
  StateFile& file = log.row.back();
  const std::array<ByteView, 1> parts = {ByteView(encoded)};
  if (Status written = log.active->write({file.bytes}, parts); !written) {
    // Part of it may be there. Space was taken before, so even a full disk is a surprise the disk should not have.
    log.broken = Error{Errc::io_error, written.error().detail};
    return *log.broken;
  }
  log.chain = chain;
  log.unflushed = true;
  for (const StateRecord& record : records) {
    file.bytes += encoded_size(record);
    log.book(record, file.number, encoded_size(record));
  }
  return {};
}

std::vector<File*> StateLog::unflushed_files() {
  std::vector<File*> files;
  if (impl_->unflushed) files.push_back(impl_->active.get());
  return files;
}

void StateLog::flushed() { impl_->unflushed = false; }

Status StateLog::flush() {
  if (impl_->broken) return *impl_->broken;
  for (File* const file : unflushed_files()) {
    if (Status synced = file->sync(); !synced) {
      impl_->broken = synced.error();
      return synced;
    }
  }
  flushed();
  return {};
}

StateLogPosition StateLog::end() const { return {impl_->row.back().number, {impl_->row.back().bytes}}; }

std::uint64_t StateLog::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const StateFile& file : impl_->row) bytes += file.bytes;
  return bytes;
}

std::size_t StateLog::file_count() const { return impl_->row.size(); }

std::vector<StreamKey> StateLog::snapshots_wanted() const {
  const Impl& log = *impl_;
  if (log.row.size() < 2) return {};
  std::uint64_t live = 0;
  for (const auto& [key, stream] : log.streams) live += stream.live_bytes;
  const std::uint64_t total = size_bytes();
  const std::uint64_t dead = total > live ? total - live : 0;
  if (dead < log.options.garbage_bytes_min || dead < total / 2) return {};
  std::vector<StreamKey> wanted;
  for (const auto& [key, stream] : log.streams) {
    if (stream.first_live_file <= log.row.front().number) wanted.push_back(key);
  }
  return wanted;
}

Status StateLog::remove_dead_files() {
  Impl& log = *impl_;
  std::uint64_t first_live = log.row.back().number;
  for (const auto& [key, stream] : log.streams) first_live = std::min(first_live, stream.first_live_file);
  bool removed = false;
  while (log.row.size() > 1 && log.row.front().number < first_live) {
    if (Status gone = log.files.remove(log.path_of(log.row.front().number)); !gone) return gone;
    log.row.pop_front();
    removed = true;
  }
  return removed ? log.files.sync_directory(log.directory) : Status();
}

}  // namespace tidemark::storage
