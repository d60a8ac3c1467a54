#include "storage/segment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "storage/base/crc32c.h"
#include "storage/base/log.h"
#include "storage/segment_scan.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kBaseDigits = 20;

/// The file if it can be had; an index or seal that is missing or larger than any can be is simply not there.
Result<ByteVector> read_derived(FileSystem& files, const std::string& path) {
  const Result<bool> there = files.exists(path);
  if (!there) return there.error();
  if (!*there) return ByteVector();
  const Result<std::uint64_t> size = files.file_size(path);
  if (!size || *size > kSealFileBytesMax) return ByteVector();
  Result<ByteVector> bytes = read_file(files, path, kSealFileBytesMax);
  if (!bytes) log_warn(path + " cannot be read and will be rebuilt: " + bytes.error().to_string());
  return bytes ? std::move(bytes) : ByteVector();
}

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }

void remember_times(Segment& segment, Timestamp first, Timestamp last, std::int64_t max_timestamp_ms) {
  segment.first_append_ms = to_ms(first);
  segment.last_append_ms = to_ms(last);
  segment.max_timestamp_ms = max_timestamp_ms;
}

/// The entry of a sealed interval whose index entry is lost: everything but the append time comes from the log.
IndexEntry rebuilt_entry(File& file, const Seal& seal, std::size_t i, const IndexEntry* previous, Timestamp opened_at) {
  const SealInterval& interval = seal.intervals[i];
  IndexEntry entry{.first_offset = interval.first_offset,
                   .position = interval.position,
                   .append_time = {},
                   .max_timestamp_ms = previous != nullptr ? previous->max_timestamp_ms : -1,
                   .first_id = {},
                   .bytes = static_cast<std::uint32_t>(seal.interval_bytes(i)),
                   .interval_crc = interval.crc,
                   .estimated = true};
  std::int64_t first_timestamp_ms = -1;
  ByteVector bytes(entry.bytes);
  if (const Result<std::size_t> got = file.read(entry.position, bytes); got && *got == bytes.size()) {
    ChainState chain{interval.first_offset, INT32_MIN, true};
    for (ByteView rest = bytes; !rest.empty();) {
      const CheckedBatch checked = check_batch(rest, chain);
      if (checked.fault != Fault::none) break;  // Damage: whoever reads it finds out.
      if (first_timestamp_ms < 0) first_timestamp_ms = checked.header.max_timestamp_ms;
      entry.max_timestamp_ms = std::max(entry.max_timestamp_ms, checked.header.max_timestamp_ms);
      chain.expected = checked.header.end_offset();
      rest = rest.subspan(checked.header.size_bytes());
    }
  }
  const Timestamp estimate = first_timestamp_ms < 0 ? opened_at : Timestamp(std::chrono::milliseconds(first_timestamp_ms));
  entry.append_time = std::clamp(estimate, seal.first_append, std::max(seal.first_append, seal.last_append));
  if (previous != nullptr) entry.append_time = std::max(entry.append_time, previous->append_time);
  return entry;
}

/// Index entries for the intervals of the seal. True in `rebuilt` if the index file did not have them all.
SegmentIndex index_from_seal(File& file, const Seal& seal, const SegmentIndex& stored, Timestamp opened_at, bool& rebuilt) {
  SegmentIndex index;
  index.entries.reserve(seal.intervals.size());
  for (std::size_t i = 0; i < seal.intervals.size(); ++i) {
    const SealInterval& interval = seal.intervals[i];
    const auto match = std::ranges::lower_bound(stored.entries, interval.position, {}, &IndexEntry::position);
    const bool agrees = match != stored.entries.end() && match->position == interval.position &&
                        match->first_offset == interval.first_offset && match->interval_crc == interval.crc &&
                        match->bytes == seal.interval_bytes(i);
    if (!agrees) rebuilt = true;
    index.entries.push_back(agrees ? *match
                                   : rebuilt_entry(file, seal, i, index.entries.empty() ? nullptr : &index.entries.back(), opened_at));
  }
  return index;
}

/// Completes an index from the log. A cleaned segment has gaps that look like damage to the strict rule; without its seal nothing says that
/// it is one, so the lenient rule is tried when the strict one complains, and believed only if nothing is left to complain about.
Result<LoadedIndex> index_from_log(File& file, const Segment& segment, SegmentIndex stored, std::uint64_t file_bytes) {
  const SegmentIndex landmarks = stored;
  while (!stored.entries.empty() && stored.entries.back().end().value > file_bytes) stored.entries.pop_back();
  ScanOptions options{.base = segment.base,
                      .from = {},
                      .chain = {segment.base, INT32_MIN, false},
                      .file_bytes = file_bytes,
                      .torn_from = std::nullopt,
                      .landmarks = landmarks.entries,
                      .now = segment.opened_at,
                      .segment_end = segment.flushed_end,
                      .file_name = segment.file_name()};
  // The offset behind the last entry is not in the index: look at its interval again.
  if (!stored.entries.empty()) {
    options.chain.expected = stored.entries.back().first_offset;
    options.from = stored.entries.back().position;
    stored.entries.pop_back();
  }
  LoadedIndex loaded{.index = stored, .end = segment.flushed_end, .damage = {}};
  Result<ScanOutcome> scanned = scan_segment(file, options, loaded.index, {});
  if (!scanned) return scanned.error();
  if (!scanned->damage.empty()) {
    options.chain.gaps_allowed = true;
    SegmentIndex lenient = std::move(stored);
    Result<ScanOutcome> again = scan_segment(file, options, lenient, {});
    if (!again) return again.error();
    if (again->damage.empty()) {
      loaded.index = std::move(lenient);
      loaded.cleaned = true;
      scanned = std::move(again);
    }
  }
  if (scanned->end_offset < segment.flushed_end && !loaded.cleaned) {
    scanned->damage.push_back({segment.file_name(), scanned->end, scanned->end_offset, segment.flushed_end, "length"});
  }
  keep_evidence(loaded.index, landmarks.entries);
  loaded.log_bytes = scanned->end.value;
  loaded.damage = std::move(scanned->damage);
  return loaded;
}

ByteVector encode_entries(const Segment& segment, std::span<const IndexEntry> entries) {
  ByteVector bytes;
  bytes.reserve(entries.size() * kIndexEntryBytes);
  for (const IndexEntry& entry : entries) encode_index_entry(bytes, segment.base, entry);
  return bytes;
}

/// Best effort: the next load would only have to rebuild it again.
void replace_index(const Segment& segment, FileSystem& files, const SegmentIndex& index) {
  if (segment.removed) return;
  ByteVector bytes = encode_index_header(segment.base);
  const ByteVector entries = encode_entries(segment, index.entries);
  bytes.insert(bytes.end(), entries.begin(), entries.end());
  if (const Status replaced = replace_file(files, segment.index_path(), bytes); !replaced) {
    log_warn("index of " + segment.log_path() + " was rebuilt but not stored: " + replaced.error().to_string());
  }
}

Error removed_error(const Segment& segment) { return {Errc::offset_out_of_range, segment.log_path() + " was removed while it was read"}; }

/// Pre: `loading` is held.
Result<LoadedIndex> load_from_files(Segment& segment, FileCache& files, bool& rebuilt, std::optional<Seal>& seal) {
  const Result<std::shared_ptr<File>> file = segment.open_log(files);
  if (!file && file.error().code == Errc::not_found) {
    if (segment.removed) return removed_error(segment);
    return LoadedIndex{
        .index = {}, .end = segment.base, .damage = {{segment.file_name(), {}, segment.base, segment.flushed_end, "missing"}}};
  }
  if (!file) return file.error();
  const Result<std::uint64_t> file_bytes = (*file)->size();
  if (!file_bytes) return file_bytes.error();
  const Result<ByteVector> seal_bytes = read_derived(files.file_system(), segment.seal_path());
  if (!seal_bytes) return seal_bytes.error();
  const Result<ByteVector> index_bytes = read_derived(files.file_system(), segment.index_path());
  if (!index_bytes) return index_bytes.error();

  SegmentIndex stored = decode_index(*index_bytes, segment.base);
  Result<Seal> decoded = decode_seal(*seal_bytes, segment.base);
  if (decoded && decoded->end <= segment.flushed_end) {
    seal = std::move(*decoded);
    LoadedIndex loaded{.index = index_from_seal(**file, *seal, stored, segment.opened_at, rebuilt),
                       .log_bytes = seal->log_bytes,
                       .end = seal->end,
                       .cleaned = seal->cleaned,
                       .damage = {}};
    if (seal->end < segment.flushed_end) {
      loaded.damage.push_back({segment_file_name(seal->end, ".log"), {}, seal->end, segment.flushed_end, "missing"});
    }
    return loaded;
  }
  if (!seal_bytes->empty())
    log_warn(segment.seal_path() + " is not used: " + (decoded ? "it overlaps the next segment" : decoded.error().detail));
  Result<LoadedIndex> loaded = index_from_log(**file, segment, stored, *file_bytes);
  rebuilt = loaded && !(loaded->index == stored);
  return loaded;
}

/// Pre: `loading` is held.
Result<std::shared_ptr<const LoadedIndex>> load_locked(const std::shared_ptr<Segment>& segment, FileCache& files) {
  if (std::shared_ptr<const LoadedIndex> cached = segment->cached_index()) return cached;
  bool rebuilt = false;
  std::optional<Seal> seal;
  Result<LoadedIndex> loaded = load_from_files(*segment, files, rebuilt, seal);
  if (!loaded) return loaded.error();
  if (rebuilt) replace_index(*segment, files.file_system(), loaded->index);
  const std::vector<IndexEntry>& entries = loaded->index.entries;
  if (seal) {
    remember_times(*segment, seal->first_append, seal->last_append, seal->max_timestamp_ms);
  } else if (!entries.empty()) {
    // The last batch may be up to an interval younger than the last entry, but no younger than the opening.
    remember_times(*segment, entries.front().append_time,
                   std::max(entries.back().append_time, std::min(segment->opened_at, entries.back().append_time + std::chrono::seconds(1))),
                   entries.back().max_timestamp_ms);
  } else {
    remember_times(*segment, segment->opened_at, segment->opened_at, -1);
  }
  auto shared = std::make_shared<const LoadedIndex>(std::move(*loaded));
  files.indexes().insert(segment, shared);
  return shared;
}

}  // namespace

std::string segment_file_name(Offset base, std::string_view suffix) {
  std::string digits = std::to_string(base.value);
  return std::string(kBaseDigits - digits.size(), '0') + digits + std::string(suffix);
}

std::optional<Offset> parse_segment_file_name(std::string_view name, std::string_view suffix) {
  if (name.size() != kBaseDigits + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  Offset base;
  const char* const end = name.data() + kBaseDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, base.value);
  if (error != std::errc() || stop != end || base.value < 0) return std::nullopt;
  return base;
}

Result<std::shared_ptr<File>> Segment::open_log(FileCache& files) {
  const std::lock_guard lock(opening);
  if (retired_log) return retired_log;
  return files.open(log_path());
}

void Segment::retire(std::shared_ptr<File> log, std::shared_ptr<const LoadedIndex> loaded, FileCache& files) {
  {
    const std::lock_guard lock(cached_mutex);
    retired_index = std::move(loaded);
    cached = nullptr;
  }
  const std::lock_guard lock(opening);
  retired_log = std::move(log);
  files.forget(log_path());  // Whoever asks for the name from now on means the file that gets it.
}

Result<std::shared_ptr<const LoadedIndex>> load_index(const std::shared_ptr<Segment>& segment, FileCache& files) {
  if (std::shared_ptr<const LoadedIndex> cached = segment->cached_index()) return cached;
  const std::lock_guard lock(segment->loading);
  return load_locked(segment, files);
}

Status load_times(const std::shared_ptr<Segment>& segment, FileCache& files) {
  if (segment->last_append_ms != Segment::kUnknownTime) return {};
  std::array<std::byte, kSealHeaderBytes> header;
  if (const Result<std::unique_ptr<File>> file = files.file_system().open(segment->seal_path(), OpenMode::read)) {
    const Result<std::size_t> got = (*file)->read({0}, header);
    const Result<Seal> seal = got ? decode_seal_header(ByteView(header).first(*got), segment->base) : Result<Seal>(got.error());
    if (seal) {
      remember_times(*segment, seal->first_append, seal->last_append, seal->max_timestamp_ms);
      return {};
    }
  }
  const Result<std::shared_ptr<const LoadedIndex>> loaded = load_index(segment, files);
  if (loaded) return {};
  remember_times(*segment, segment->opened_at, segment->opened_at, INT64_MAX);
  return loaded.error();
}

Status write_index(const Segment& segment, FileSystem& files, std::size_t first, ByteView entries) {
  const Result<std::unique_ptr<File>> file = files.open(segment.index_path(), OpenMode::create);
  if (!file) return file.error();
  const ByteVector header = encode_index_header(segment.base);
  const std::array<ByteView, 2> whole = {header, entries};
  const Status written = first == 0 ? (*file)->write({0}, whole) : (*file)->write(index_file_position(first), std::span(whole).subspan(1));
  if (!written) return written;
  if (const Status synced = (*file)->sync(); !synced) return synced;
  // The append times are nowhere else, so the name must last too.
  return first == 0 ? files.sync_directory(segment.directory) : Status();
}

Status seal_segment(const std::shared_ptr<Segment>& segment, std::shared_ptr<const LoadedIndex> loaded, std::size_t indexed,
                    FileCache& files) {
  const std::lock_guard lock(segment->loading);
  if (segment->removed) return {};
  if (loaded) {
    const ByteVector entries = encode_entries(*segment, std::span(loaded->index.entries).subspan(indexed));
    if (const Status written = write_index(*segment, files.file_system(), indexed, entries); !written) return written;
  } else {
    const Result<std::shared_ptr<const LoadedIndex>> from_files = load_locked(segment, files);
    if (!from_files) return segment->removed ? Status() : from_files.error();
    loaded = *from_files;
  }
  Seal seal{.base = segment->base,
            .end = segment->flushed_end,
            .log_bytes = loaded->log_bytes,
            .max_timestamp_ms = segment->max_timestamp_ms,
            .first_append = Timestamp(std::chrono::milliseconds(segment->first_append_ms)),
            .last_append = Timestamp(std::chrono::milliseconds(segment->last_append_ms)),
            .cleaned = loaded->cleaned,
            .intervals = {}};
  for (const IndexEntry& entry : loaded->index.entries) seal.intervals.push_back({entry.first_offset, entry.position, entry.interval_crc});
  return replace_file(files.file_system(), segment->seal_path(), encode_seal(seal));
}

void IndexCache::insert(const std::shared_ptr<Segment>& segment, std::shared_ptr<const LoadedIndex> loaded) {
  const std::size_t bytes = loaded->memory_bytes();
  {
    const std::lock_guard lock(segment->cached_mutex);
    segment->cached = std::move(loaded);
  }
  std::list<Entry> evicted;
  {
    const std::lock_guard lock(mutex_);
    by_age_.push_back({segment, bytes});
    bytes_ += bytes;
    while (bytes_ > bytes_max_ && by_age_.size() > 1) {
      bytes_ -= by_age_.front().bytes;
      evicted.splice(evicted.end(), by_age_, by_age_.begin());
    }
  }
  for (const Entry& entry : evicted) {
    const std::shared_ptr<Segment> owner = entry.segment.lock();
    if (!owner || owner == segment) continue;
    const std::lock_guard lock(owner->cached_mutex);
    owner->cached = nullptr;
  }
}

std::size_t IndexCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace tidemark::storage
