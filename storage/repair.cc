#include "storage/repair.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "storage/base/crc32c.h"
#include "storage/batch/filler_batch.h"
#include "storage/batch/record_batch.h"
#include "storage/seal.h"
#include "storage/segment.h"
#include "storage/segment_index.h"
#include "storage/segment_scan.h"
#include "storage/segment_swap.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kCopyBytes = 1024 * 1024;
constexpr std::size_t kLostFileBytesMax = 16 * 1024 * 1024;
constexpr std::int64_t kFillerOffsetsMax = std::int64_t{1} << 31;

/// One segment as its files show it.
struct SegmentFiles {
  std::string log_path;
  std::string index_path;
  std::string seal_path;
  std::string name;
  Offset base;
  std::optional<Offset> end;  ///< Where the next segment begins; none for the last one.
  std::unique_ptr<File> log;
  std::uint64_t bytes = 0;  ///< That belong to the log.
  SegmentIndex index;       ///< As stored: may be short, may be wrong.
  std::optional<Seal> seal;

  bool is_cleaned() const { return seal && seal->cleaned; }
};

struct Findings {
  std::vector<DamagedBytes> damage;
  SegmentIndex index;  ///< Of everything, damaged stretches included.
  /// Epochs at the start of each run of batches, to pick one that may stand between its neighbours.
  std::vector<std::pair<Offset, std::int32_t>> epochs;
};

/// The derived file at `path`, empty when it is missing or cannot be read: then there is nothing to learn from it.
ByteVector read_derived(FileSystem& files, const std::string& path) {
  Result<ByteVector> bytes = read_file(files, path, kSealFileBytesMax);
  return bytes ? *std::move(bytes) : ByteVector();
}

Result<SegmentFiles> open_segment(FileSystem& files, const std::string& directory, Offset offset) {
  const Result<std::vector<DirectoryEntry>> entries = files.list(directory);
  if (!entries) return entries.error();
  std::optional<Offset> base;
  std::optional<Offset> end;
  for (const DirectoryEntry& entry : *entries) {  // Sorted by name, which is by base offset.
    const std::optional<Offset> found = parse_segment_file_name(entry.name, ".log");
    if (!found) continue;
    if (*found <= offset) base = found;
    if (*found > offset && !end) end = found;
  }
  if (!base) return Error{Errc::not_found, fmt::format("{} has no segment that could hold offset {}", directory, offset.value)};

  SegmentFiles segment{.log_path = directory + "/" + segment_file_name(*base, ".log"),
                       .index_path = directory + "/" + segment_file_name(*base, ".idx"),
                       .seal_path = directory + "/" + segment_file_name(*base, ".seal"),
                       .name = segment_file_name(*base, ".log"),
                       .base = *base,
                       .end = end,
                       .log = nullptr,
                       .index = {},
                       .seal = std::nullopt};
  Result<std::unique_ptr<File>> log = files.open(segment.log_path, OpenMode::read);
  if (!log) return log.error();
  segment.log = *std::move(log);
  const Result<std::uint64_t> bytes = segment.log->size();
  if (!bytes) return bytes.error();
  segment.index = decode_index(read_derived(files, segment.index_path), *base);
  if (Result<Seal> seal = decode_seal(read_derived(files, segment.seal_path), *base)) segment.seal = *std::move(seal);
  segment.bytes = segment.seal ? std::min(*bytes, segment.seal->log_bytes) : *bytes;
  return segment;
}

/// Places in the file where a batch is known to begin, and the append times known for them.
std::vector<IndexEntry> landmarks_of(const SegmentFiles& segment) {
  if (!segment.seal) return segment.index.entries;
  std::vector<IndexEntry> landmarks;
  for (const SealInterval& interval : segment.seal->intervals) {
    const auto known = std::ranges::lower_bound(segment.index.entries, interval.position, {}, &IndexEntry::position);
    const bool agrees =
        known != segment.index.entries.end() && known->position == interval.position && known->first_offset == interval.first_offset;
    IndexEntry landmark =
        agrees ? *known
               : IndexEntry{.first_offset = interval.first_offset, .position = interval.position, .append_time = {}, .first_id = {}};
    if (!agrees) {
      landmark.append_time = landmarks.empty() ? segment.seal->first_append : landmarks.back().append_time;
      landmark.estimated = true;
    }
    landmarks.push_back(landmark);
  }
  return landmarks;
}

Result<Findings> scan_all(const SegmentFiles& segment, std::span<const IndexEntry> landmarks, Timestamp now) {
  Findings findings;
  const auto on_batch = [&](const BatchHeader& header, ByteView) {
    if (findings.epochs.empty() || findings.epochs.back().second != header.leader_epoch) {
      findings.epochs.emplace_back(header.base_offset, header.leader_epoch);
    }
  };
  const ScanOptions options{.base = segment.base,
                            .from = {},
                            .chain = {segment.base, INT32_MIN, segment.is_cleaned()},
                            .file_bytes = segment.bytes,
                            .torn_from = std::nullopt,
                            .landmarks = landmarks,
                            .now = now,
                            .segment_end = segment.end,
                            .file_name = segment.name};
  const Result<ScanOutcome> scanned = scan_segment(*segment.log, options, findings.index, on_batch);
  if (!scanned) return scanned.error();
  for (const Damage& damage : scanned->damage) {
    const auto entry = std::ranges::find(findings.index.entries, damage.position, &IndexEntry::position);
    CHECK(entry != findings.index.entries.end());  // A damaged stretch has an interval of its own.
    findings.damage.push_back({damage, damage.position, entry->end()});
  }
  if (segment.end && scanned->end_offset < *segment.end && !segment.is_cleaned()) {
    // The file stops between two batches, before the next segment begins.
    const FilePosition at{segment.bytes};
    findings.damage.push_back({{segment.name, at, scanned->end_offset, *segment.end, "length"}, at, at});
  }
  return findings;
}

/// Intervals whose batches look right each, and do not add up to the seal all the same: a field outside the batch's own checksum lies.
Status add_sealed_damage(const SegmentFiles& segment, Findings& findings) {
  if (!segment.seal) return {};
  const Seal& seal = *segment.seal;
  ByteVector bytes;
  for (std::size_t i = 0; i < seal.intervals.size(); ++i) {
    const SealInterval& interval = seal.intervals[i];
    const FilePosition end = interval.position + seal.interval_bytes(i);
    if (end.value > segment.bytes) break;  // Missing bytes are damage already.
    const bool known =
        std::ranges::any_of(findings.damage, [&](const DamagedBytes& d) { return d.begin < end && interval.position < d.end; });
    if (known) continue;
    bytes.resize(seal.interval_bytes(i));
    const Result<std::size_t> got = segment.log->read(interval.position, bytes);
    if (!got) return got.error();
    if (*got == bytes.size() && crc32c(bytes) == interval.crc) continue;
    findings.damage.push_back(
        {{segment.name, interval.position, interval.first_offset, seal.interval_end(i), "interval"}, interval.position, end});
  }
  std::ranges::sort(findings.damage, {}, &DamagedBytes::begin);
  return {};
}

Result<Findings> inspect(const SegmentFiles& segment, Timestamp now) {
  Result<Findings> findings = scan_all(segment, landmarks_of(segment), now);
  if (!findings) return findings;
  if (const Status added = add_sealed_damage(segment, *findings); !added) return added.error();
  return findings;
}

/// The damage that makes up exactly [from, to), merged into one; nullopt if it does not.
std::optional<DamagedBytes> select(const std::vector<DamagedBytes>& damage, Offset from, Offset to) {
  std::optional<DamagedBytes> selected;
  for (const DamagedBytes& part : damage) {
    if (part.damage.from < from || part.damage.to > to) continue;
    if (!selected) {
      selected = part;
      continue;
    }
    if (part.damage.from != selected->damage.to || part.begin != selected->end) return std::nullopt;
    selected->damage.to = part.damage.to;
    selected->end = part.end;
  }
  const bool exact = selected && selected->damage.from == from && selected->damage.to == to;
  return exact ? selected : std::nullopt;
}

Error not_damaged(const SegmentFiles& segment, const std::vector<DamagedBytes>& damage, Offset from, Offset to) {
  std::string found;
  for (const DamagedBytes& part : damage) found += (found.empty() ? "" : "; ") + part.damage.to_string();
  return Error{Errc::conflict, fmt::format("offsets {}..{} are not a damaged range of {}: {}", from.value, to.value, segment.name,
                                           found.empty() ? "it is sound" : "damaged is " + found)};
}

Status append_range(File& source, FilePosition begin, FilePosition end, File& target, FilePosition at) {
  ByteVector buffer(kCopyBytes);
  while (begin < end) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, end - begin));
    const Result<std::size_t> got = source.read(begin, MutableBytes(buffer).first(wanted));
    if (!got) return got.error();
    if (*got == 0) return Error{Errc::io_error, source.path() + " became shorter while it was read"};
    const ByteView bytes = ByteView(buffer).first(*got);
    if (const Status written = target.write(at, std::span(&bytes, 1)); !written) return written;
    begin = begin + *got;
    at = at + *got;
  }
  return {};
}

/// An empty file under that name, whatever an earlier attempt left there.
Result<std::unique_ptr<File>> create_empty(FileSystem& files, const std::string& path) {
  if (const Status removed = files.remove(path); !removed && removed.error().code != Errc::not_found) return removed.error();
  return files.open(path, OpenMode::create_new);
}

Result<std::string> keep_aside(FileSystem& files, const SegmentFiles& segment, const DamagedBytes& lost) {
  const std::string path = segment.log_path + ".lost-" + std::to_string(lost.begin.value);
  const Result<std::unique_ptr<File>> copy = create_empty(files, path);
  if (!copy) return copy.error();
  if (const Status copied = append_range(*segment.log, lost.begin, lost.end, **copy, {}); !copied) return copied.error();
  if (const Status synced = (*copy)->sync(); !synced) return synced.error();
  if (const Status synced = files.sync_directory(parent_directory(path)); !synced) return synced.error();
  return path;
}

/// Adds a line to the partition's file `lost`; once, however often it is tried.
Status record_loss(FileSystem& files, const std::string& directory, const DamagedBytes& lost, Timestamp now) {
  const std::string path = directory + "/lost";
  const Result<bool> there = files.exists(path);
  if (!there) return there.error();
  Result<ByteVector> contents = *there ? read_file(files, path, kLostFileBytesMax) : Result<ByteVector>(ByteVector());
  if (!contents) return contents.error();
  const std::string what =
      fmt::format(R"("file":"{}","position":{},"bytes":{},"from":{},"to":{},"reason":"{}")", lost.damage.file, lost.begin.value,
                  lost.end - lost.begin, lost.damage.from.value, lost.damage.to.value, lost.damage.reason);
  if (as_text(*contents).find(what) != std::string_view::npos) return {};
  const std::string line = fmt::format("{{\"time_ms\":{},{}}}\n", now.time_since_epoch().count(), what);
  const ByteView bytes = as_bytes(line);
  contents->insert(contents->end(), bytes.begin(), bytes.end());
  return replace_file(files, path, *contents);
}

/// An epoch that may stand at `offset`: the one in force there, or where nothing comes before, the first behind.
std::int32_t epoch_at(const Findings& findings, Offset offset) {
  std::int32_t epoch = findings.epochs.empty() ? 0 : findings.epochs.front().second;
  for (const auto& [from, value] : findings.epochs) {
    if (from < offset) epoch = value;
  }
  return epoch;
}

ByteVector filler_for(Offset from, Offset to, std::int32_t epoch) {
  ByteVector filler;
  while (from < to) {
    const Offset end = std::min(to, from + kFillerOffsetsMax);
    const Slice batch = build_filler_batch(from, end, epoch);
    filler.insert(filler.end(), batch.view().begin(), batch.view().end());
    from = end;
  }
  return filler;
}

/// Writes the segment without the lost bytes to `path`, durably but for the name.
Status write_without(FileSystem& files, const SegmentFiles& segment, const DamagedBytes& lost, ByteView filler, const std::string& path) {
  const Result<std::unique_ptr<File>> file = create_empty(files, path);
  if (!file) return file.error();
  if (const Status copied = append_range(*segment.log, {}, lost.begin, **file, {}); !copied) return copied;
  if (const Status written = (*file)->write(lost.begin, std::span(&filler, 1)); !written) return written;
  const FilePosition behind = lost.begin + filler.size();
  if (const Status copied = append_range(*segment.log, lost.end, FilePosition{segment.bytes}, **file, behind); !copied) return copied;
  return (*file)->sync();
}

Status remove_if_there(FileSystem& files, const std::string& path) {
  const Status removed = files.remove(path);
  if (!removed && removed.error().code != Errc::not_found) return removed;
  return {};
}

/// Old index entries at the places they have now; what covered the lost bytes is gone.
std::vector<IndexEntry> moved(std::vector<IndexEntry> entries, const DamagedBytes& lost, std::size_t filler_bytes) {
  std::erase_if(entries, [&](const IndexEntry& entry) { return entry.position > lost.begin && entry.position < lost.end; });
  for (IndexEntry& entry : entries) {
    if (entry.position >= lost.end && entry.first_offset >= lost.damage.to) {
      entry.position = FilePosition{entry.position.value - (lost.end - lost.begin) + filler_bytes};
    }
  }
  return entries;
}

/// Index and seal of the rewritten segment. The last segment gets no seal, and index entries only for what lies before the lost bytes:
/// its checkpoint speaks of places that have moved, so the next start must read the rest.
Status describe_anew(FileSystem& files, const SegmentFiles& old, const Findings& findings, const DamagedBytes& lost,
                     std::size_t filler_bytes, Timestamp now) {
  Result<SegmentFiles> segment = open_segment(files, parent_directory(old.log_path), old.base);
  if (!segment) return segment.error();
  const std::vector<IndexEntry> landmarks = moved(landmarks_of(old), lost, filler_bytes);
  Result<Findings> fresh = scan_all(*segment, landmarks, now);
  if (!fresh) return fresh.error();
  std::vector<IndexEntry>& entries = fresh->index.entries;
  for (const DamagedBytes& other : findings.damage) {
    // What only the old seal knew must not be forgotten with it.
    if (other.damage.reason != "interval" || (other.begin >= lost.begin && other.end <= lost.end)) continue;
    const auto entry = std::ranges::find(entries, other.damage.from, &IndexEntry::first_offset);
    if (entry != entries.end()) entry->interval_crc = ~entry->interval_crc;
  }
  if (!old.end) std::erase_if(entries, [&](const IndexEntry& entry) { return entry.end() > lost.begin; });
  ByteVector index = encode_index_header(old.base);
  for (const IndexEntry& entry : entries) encode_index_entry(index, old.base, entry);
  if (const Status replaced = replace_file(files, old.index_path, index); !replaced) return replaced;
  if (!old.end || entries.empty()) return {};

  Seal seal{.base = old.base,
            .end = *old.end,
            .log_bytes = segment->bytes,
            .max_timestamp_ms = entries.back().max_timestamp_ms,
            .first_append = old.seal ? old.seal->first_append : entries.front().append_time,
            .last_append = old.seal ? old.seal->last_append : entries.back().append_time,
            .cleaned = old.is_cleaned(),
            .intervals = {}};
  for (const IndexEntry& entry : entries) seal.intervals.push_back({entry.first_offset, entry.position, entry.interval_crc});
  return replace_file(files, old.seal_path, encode_seal(seal));
}

/// The file between two segments is gone: one that holds nothing but the offsets takes its place.
Result<RepairReport> replace_missing_segment(FileSystem& files, const std::string& directory, const Findings& findings, Offset from,
                                             Offset to, Timestamp now) {
  const std::string name = segment_file_name(from, ".log");
  const DamagedBytes lost{{name, {}, from, to, "missing"}, {}, {}};
  if (const Status recorded = record_loss(files, directory, lost, now); !recorded) return recorded.error();
  const ByteVector filler = filler_for(from, to, epoch_at(findings, from));
  if (const Status replaced = replace_file(files, directory + "/" + name, filler); !replaced) return replaced.error();
  return RepairReport{name, {}, 0, {}, from, to};
}

}  // namespace

Result<std::vector<DamagedBytes>> find_damaged_bytes(FileSystem& files, const std::string& directory, Offset offset, Timestamp now) {
  const Result<SegmentFiles> segment = open_segment(files, directory, offset);
  if (!segment) return segment.error();
  Result<Findings> findings = inspect(*segment, now);
  if (!findings) return findings.error();
  return std::move(findings->damage);
}

Result<RepairReport> drop_damaged_range(FileSystem& files, const std::string& directory, Offset from, Offset to, Timestamp now) {
  // What a crash left of a cleaning belongs to the places that are about to move.
  if (const Status finished = finish_swaps(files, directory); !finished) return finished.error();
  const Result<SegmentFiles> segment = open_segment(files, directory, from);
  if (!segment) return segment.error();
  const Result<Findings> findings = inspect(*segment, now);
  if (!findings) return findings.error();
  if (segment->seal && segment->seal->end == from && segment->end == to && from < to) {
    return replace_missing_segment(files, directory, *findings, from, to, now);
  }
  const std::optional<DamagedBytes> lost = select(findings->damage, from, to);
  if (!lost) return not_damaged(*segment, findings->damage, from, to);

  const Result<std::string> kept = keep_aside(files, *segment, *lost);
  if (!kept) return kept.error();
  if (const Status recorded = record_loss(files, directory, *lost, now); !recorded) return recorded.error();

  const ByteVector filler = filler_for(from, to, epoch_at(*findings, from));
  const std::string rewritten = segment->log_path + ".tmp";  // A start removes it.
  if (const Status written = write_without(files, *segment, *lost, filler, rewritten); !written) {
    Error error = written.error();
    if (const Status removed = remove_if_there(files, rewritten); !removed) error.detail += "; left behind: " + removed.error().detail;
    return error;
  }
  // Index and seal speak of places that move: durably gone first, so that a crash never leaves them beside the new bytes.
  if (const Status removed = remove_if_there(files, segment->seal_path); !removed) return removed.error();
  if (const Status removed = remove_if_there(files, segment->index_path); !removed) return removed.error();
  if (const Status synced = files.sync_directory(directory); !synced) return synced.error();
  if (const Status renamed = files.rename(rewritten, segment->log_path); !renamed) return renamed.error();
  if (const Status synced = files.sync_directory(directory); !synced) return synced.error();
  if (const Status described = describe_anew(files, *segment, *findings, *lost, filler.size(), now); !described) return described.error();
  return RepairReport{segment->name, lost->begin, lost->end - lost->begin, *kept, from, to};
}

}  // namespace tidemark::storage
