#include "storage/state_recovery.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "storage/base/log.h"
#include "storage/log.h"
#include "storage/torn_tail.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;

std::string at(const std::string& path, FilePosition position) { return path + " at " + std::to_string(position.value) + ": "; }

std::string path_of(const std::string& directory, std::uint64_t number) { return directory + "/" + state_file_name(number); }

Result<std::vector<std::uint64_t>> list_files(FileSystem& files, const std::string& directory) {
  Result<std::vector<DirectoryEntry>> entries = files.list(directory);
  if (!entries) return std::move(entries).error();
  std::vector<std::uint64_t> numbers;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.is_directory) continue;
    if (const std::optional<std::uint64_t> number = parse_state_file_name(entry.name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    if (numbers[i] != numbers[i - 1] + 1)
      return Error{Errc::corrupt_batch, at(path_of(directory, numbers[i - 1] + 1), {}) + "the file is missing"};
  }
  return numbers;
}

/// A file gets records only when its header is durable; without one, its creation was interrupted and it never held anything.
Result<bool> is_unfinished(File& file) {
  const Result<std::uint64_t> size = file.size();
  if (!size) return size.error();
  StateFileReader reader(file, *size);
  const Result<DecodedStateHeader> header = reader.read_header();
  if (header) return false;
  if (header.error().code != Errc::corrupt_batch) return header.error();
  return *size <= kStateHeaderBytes;
}

/// Removes the last file if it never held anything.
Status drop_unfinished(FileSystem& files, const std::string& directory, std::vector<std::uint64_t>& numbers) {
  if (numbers.empty()) return {};
  const std::string path = path_of(directory, numbers.back());
  Result<std::unique_ptr<File>> file = files.open(path, OpenMode::read);
  if (!file) return std::move(file).error();
  // What a failed flush left in the cache must not pass for a header.
  (*file)->drop_cache();
  const Result<bool> unfinished = is_unfinished(**file);
  if (!unfinished) return unfinished.error();
  if (!*unfinished) return {};
  if (numbers.size() == 1 && numbers.back() != 1)
    return Error{Errc::corrupt_batch, at(path, {}) + "no header, and the files before it are gone"};
  if (const Status removed = files.remove(path); !removed) return removed;
  numbers.pop_back();
  return files.sync_directory(directory);
}

/// Cuts the file at `position`; the bytes are durable elsewhere before.
Status cut_torn_tail(FileSystem& files, File& file, FilePosition position, std::uint64_t size) {
  ByteVector torn(size - position.value);
  const Result<std::size_t> read = file.read(position, torn);
  if (!read) return read.error();
  torn.resize(*read);
  const Result<std::string> kept = set_torn_tail_aside(files, file.path(), position, torn);
  if (!kept) return kept.error();
  if (const Status cut = file.truncate(position.value); !cut) return cut;
  if (const Status synced = file.sync(); !synced) return synced;
  log_info("state log: normal after a crash: " + at(file.path(), position) + std::to_string(torn.size()) +
           " bytes of an unfinished write cut off, kept in " + *kept);
  return {};
}

struct Scan {
  FileSystem& files;
  const std::string& directory;
  RecoveredState state;

  Status file(std::uint64_t number, bool is_last);
  Status check_header(const StateFileHeader& header, std::uint64_t number, const std::string& path) const;
};

Status Scan::check_header(const StateFileHeader& header, std::uint64_t number, const std::string& path) const {
  if (header.number != number) return Error{Errc::corrupt_batch, at(path, {}) + "the header says file " + std::to_string(header.number)};
  const bool is_oldest = state.files.empty();
  if (is_oldest && number != 1) return {};  // What it followed is gone.
  const std::uint64_t previous_end = is_oldest ? 0 : state.files.back().bytes;
  if (header.previous_end == previous_end && header.previous_chain == state.chain) return {};
  const std::string& blamed = is_oldest ? path : path_of(directory, number - 1);
  return Error{Errc::corrupt_batch, at(blamed, FilePosition{previous_end}) + "ends at " + std::to_string(previous_end) +
                                        ", but the next file was begun when it ended at " + std::to_string(header.previous_end)};
}

Status Scan::file(std::uint64_t number, bool is_last) {
  const std::string path = path_of(directory, number);
  Result<std::unique_ptr<File>> opened = files.open(path, is_last ? OpenMode::read_write : OpenMode::read);
  if (!opened) return std::move(opened).error();
  File& file = **opened;
  if (is_last) file.drop_cache();  // After a failed flush the cache may hold what the disk does not.
  Result<std::uint64_t> size = file.size();
  if (!size) return std::move(size).error();

  StateFileReader reader(file, *size);
  const Result<DecodedStateHeader> header = reader.read_header();
  if (!header) return header.error();
  if (const Status fits = check_header(header->header, number, path); !fits) return fits;

  for (;;) {
    const Result<std::optional<StateFileReader::Read>> next = reader.next();
    if (!next) {
      const bool torn = is_last && next.error().code == Errc::corrupt_batch && *size - reader.position().value <= kGroupBytesMax;
      if (!torn) return next.error();
      if (const Status cut = cut_torn_tail(files, file, reader.position(), *size); !cut) return cut;
      break;
    }
    if (!*next) break;
    const Status added = state.streams->add((*next)->record, {.file = number, .position = (*next)->position});
    if (!added) return Error{Errc::corrupt_batch, at(path, (*next)->position) + added.error().detail};
  }
  state.files.push_back({.number = number, .bytes = reader.position().value});
  state.chain = reader.chain();
  if (is_last) state.active = std::move(*opened);
  return {};
}

}  // namespace

Error StateFileReader::error_here(const Error& error) const { return {error.code, at(file_.path(), position_) + error.detail}; }

Status StateFileReader::fill(std::size_t bytes) {
  const std::size_t have = buffer_.size() - start_;
  if (have >= bytes) return {};
  const std::uint64_t left = bytes_ - position_.value - have;
  const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(left, std::max(bytes - have, kPieceBytes)));
  if (want == 0) return {};
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(start_));
  start_ = 0;
  buffer_.resize(have + want);
  const Result<std::size_t> read = file_.read(position_ + have, MutableBytes(buffer_).subspan(have));
  if (!read) return read.error();
  buffer_.resize(have + *read);
  return {};
}

Result<DecodedStateHeader> StateFileReader::read_header() {
  CHECK(position_ == FilePosition{});
  if (const Status filled = fill(kStateHeaderBytes); !filled) return filled.error();
  Result<DecodedStateHeader> decoded = decode_state_header(window());
  if (!decoded) return error_here(decoded.error());
  chain_ = decoded->chain;
  start_ += kStateHeaderBytes;
  position_ = position_ + kStateHeaderBytes;
  return decoded;
}

Result<std::optional<StateFileReader::Read>> StateFileReader::next() {
  if (const Status filled = fill(kStateRecordOverhead); !filled) return filled.error();
  if (window().empty()) return std::optional<Read>();
  if (window().size() >= kStateRecordOverhead) {
    const std::optional<std::size_t> claimed = claimed_state_record_bytes(window());
    if (!claimed) return error_here({Errc::corrupt_batch, "length"});
    if (const Status filled = fill(*claimed); !filled) return filled.error();
  }
  const Result<StateRecordFrame> record = decode_state_record(window(), chain_);
  if (!record) return error_here(record.error());
  const Read read{.record = *record, .position = position_};
  start_ += record->bytes;
  position_ = position_ + record->bytes;
  return std::optional(read);
}

Result<RecoveredState> recover_state(FileSystem& files, const std::string& directory) {
  const Result<bool> exists = files.exists(directory);
  if (!exists) return exists.error();
  if (!*exists) {
    if (const Status created = files.create_directory(directory); !created) return created.error();
  }
  // Names first: no decision may rest on one that a power loss could still take.
  if (const Status synced = files.sync_directory(parent_directory(directory)); !synced) return synced.error();
  if (const Status synced = files.sync_directory(directory); !synced) return synced.error();

  Result<std::vector<std::uint64_t>> numbers = list_files(files, directory);
  if (!numbers) return std::move(numbers).error();
  if (const Status dropped = drop_unfinished(files, directory, *numbers); !dropped) return dropped.error();

  Scan scan{.files = files, .directory = directory, .state = {}};
  scan.state.streams = std::make_unique<StateStreams>();
  for (const std::uint64_t number : *numbers) {
    if (const Status scanned = scan.file(number, number == numbers->back()); !scanned) return scanned.error();
  }
  StatePlace place;
  if (const Status sound = scan.state.streams->finish_replay(place); !sound)
    return Error{sound.error().code, at(path_of(directory, place.file), place.position) + sound.error().detail};
  if (scan.state.active) {
    // After kill -9 the tail may be only in the cache, and it is going to be shown.
    if (const Status synced = scan.state.active->sync(); !synced) return synced.error();
  }
  return std::move(scan.state);
}

Status replay_state(FileSystem& files, const std::string& directory, const RecoveredState& state, const StateLog::Replay& replay) {
  StateRecord record;
  // Streams whose run begins with a snapshot in parts, while its parts go by; later unfinished snapshots of a stream are not in here.
  std::unordered_set<StreamKey> in_own_snapshot;
  for (const StateFileInfo& info : state.files) {
    Result<std::unique_ptr<File>> file = files.open(path_of(directory, info.number), OpenMode::read);
    if (!file) return std::move(file).error();
    StateFileReader reader(**file, info.bytes);
    if (const Result<DecodedStateHeader> header = reader.read_header(); !header) return header.error();
    for (;;) {
      const Result<std::optional<StateFileReader::Read>> next = reader.next();
      if (!next) return next.error();
      if (!*next) break;
      const StateRecordFrame& frame = (*next)->record;
      record.stream.kind = frame.kind;
      record.stream.id.assign(frame.id);
      const std::optional<StatePlace> start = state.streams->live_start(record.stream);
      const StatePlace place{.file = info.number, .position = (*next)->position};
      if (!start || place < *start || frame.type == StateRecordType::deleted) continue;
      if (frame.type == StateRecordType::snapshot && place != *start) continue;
      if (frame.type == StateRecordType::snapshot && !frame.last_part) in_own_snapshot.insert(record.stream);
      if (frame.type == StateRecordType::snapshot_more) {
        if (!in_own_snapshot.contains(record.stream)) continue;
        if (frame.last_part) in_own_snapshot.erase(record.stream);
      }
      record.type = frame.type;
      record.last_part = frame.last_part;
      record.sequence = frame.sequence;
      record.payload.assign(frame.payload.begin(), frame.payload.end());
      if (const Status replayed = replay(record); !replayed) return replayed;
    }
  }
  return {};
}

}  // namespace tidemark::storage
