#include "storage/log_recovery.h"

#include <algorithm>
#include <utility>

#include "storage/base/crc32c.h"
#include "storage/base/log.h"
#include "storage/clean_mark.h"
#include "storage/segment_swap.h"
#include "storage/torn_tail.h"

namespace tidemark::storage {
namespace {

bool is_leftover(std::string_view name) { return name.ends_with(".deleted") || name.ends_with(".tmp"); }

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

LogRecovery::LogRecovery(FileCache& files, std::string directory, LogConfig config, LogHints hints, Timestamp now,
                         const Log::OnBatch& on_batch, RecoveryReport& report)
    : files_(files),
      file_system_(files.file_system()),
      directory_(std::move(directory)),
      hints_(hints),
      now_(now),
      on_batch_(on_batch),
      report_(report),
      log_(new Log(files, directory_, config)),
      end_(hints.log_start) {}

Result<std::unique_ptr<Log>> LogRecovery::run() {
  if (const Status listed = list_segments(); !listed) return listed.error();
  if (const Status removed = remove_trimmed(); !removed) return removed.error();
  if (!found_.empty() && found_.front().base > hints_.log_start && found_.front().bytes > 0) {
    add_damage({segment_file_name(hints_.log_start, ".log"), {}, hints_.log_start, found_.front().base, "missing"});
  }
  log_->leader_epoch_ = hints_.checkpoint ? hints_.checkpoint->leader_epoch : 0;

  std::size_t with_data = found_.size();  // Segments up to the last that holds a byte.
  while (with_data > 0 && found_[with_data - 1].bytes == 0) --with_data;
  const std::size_t examined = std::min(first_examined(), with_data > 0 ? with_data - 1 : 0);
  for (std::size_t i = 0; i < with_data; ++i) {
    if (i < examined) {
      trust(i);
      continue;
    }
    if (i > 0) check_joint(end_, found_[i]);
    if (const Status done = examine(i, i + 1 == with_data); !done) return done.error();
  }
  check_promised_end();
  if (const Status settled = settle_empty_segments(with_data); !settled) return settled.error();
  if (names_unsynced_) {
    if (const Status synced = file_system_.sync_directory(directory_); !synced) return synced.error();
    if (const Status synced = file_system_.sync_directory(parent_directory(directory_)); !synced) return synced.error();
  }

  log_->log_start_ = hints_.log_start;
  end_ = std::max(end_, hints_.log_start);  // What is missing below had been trimmed.
  if (!log_->segments_.empty() && log_->segments_.back()->staged_end != end_) log_->segments_.back()->ended = true;
  log_->end_offset_ = log_->flushed_offset_ = end_;
  for (const auto& segment : log_->segments_) log_->freeze_if_done(*segment);
  log_->damage_ = report_.damage;
  log_->check_invariants();
  return std::move(log_);
}

Status LogRecovery::list_segments() {
  Result<std::vector<DirectoryEntry>> entries = file_system_.list(directory_);
  if (!entries && entries.error().code == Errc::not_found) return {};
  if (!entries) return entries.error();
  const Result<bool> swapped = finish_swaps(file_system_, directory_, *entries);
  if (!swapped) return swapped.error();
  if (*swapped) entries = file_system_.list(directory_);
  if (!entries) return entries.error();
  std::vector<Offset> seals;
  std::vector<Offset> indexes;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.is_directory) continue;
    const std::string path = directory_ + "/" + entry.name;
    if (is_leftover(entry.name)) {
      if (const Status removed = file_system_.remove(path); !removed) return removed;
    } else if (const std::optional<Offset> base = parse_segment_file_name(entry.name, ".log")) {
      const Result<std::uint64_t> bytes = file_system_.file_size(path);
      if (!bytes) return bytes.error();
      found_.push_back({*base, *bytes, false});
    } else if (const std::optional<Offset> sealed = parse_segment_file_name(entry.name, ".seal")) {
      seals.push_back(*sealed);
    } else if (const std::optional<Offset> indexed = parse_segment_file_name(entry.name, ".idx")) {
      indexes.push_back(*indexed);
    } else if (entry.name == kCleanMarkName) {
      log_->clean_mark_ = read_clean_mark(file_system_, directory_);
    }
  }
  std::ranges::sort(found_, {}, &Found::base);
  std::ranges::sort(seals);
  for (Found& segment : found_) segment.has_seal = std::ranges::binary_search(seals, segment.base);
  if (const Status removed = remove_orphans(seals, ".seal"); !removed) return removed;
  return remove_orphans(indexes, ".idx");
}

Status LogRecovery::remove_orphans(const std::vector<Offset>& bases, std::string_view suffix) {
  for (const Offset base : bases) {
    // One at or above the log start stays: it is a witness that a segment is missing.
    if (base >= hints_.log_start || std::ranges::binary_search(found_, base, {}, &Found::base)) continue;
    if (const Status removed = file_system_.remove(directory_ + "/" + segment_file_name(base, suffix)); !removed) return removed;
  }
  return {};
}

Status LogRecovery::remove_trimmed() {
  std::size_t trimmed = 0;
  while (trimmed + 1 < found_.size() && found_[trimmed + 1].base <= hints_.log_start) ++trimmed;
  if (trimmed == 0) return {};
  for (std::size_t i = 0; i < trimmed; ++i) {
    for (const std::string_view suffix : {".idx", ".seal", ".log"}) {
      const Status removed = file_system_.remove(directory_ + "/" + segment_file_name(found_[i].base, suffix));
      if (!removed && removed.error().code != Errc::not_found) return removed;
    }
  }
  found_.erase(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(trimmed));
  return file_system_.sync_directory(directory_);
}

std::size_t LogRecovery::first_examined() const {
  if (!hints_.checkpoint) return 0;
  const auto first = std::ranges::lower_bound(found_, hints_.checkpoint->segment_base, {}, &Found::base);
  return static_cast<std::size_t>(first - found_.begin());
}

FilePosition LogRecovery::checked_until(Offset base) const {
  if (!hints_.checkpoint || base > hints_.checkpoint->segment_base) return {};
  if (base == hints_.checkpoint->segment_base) return hints_.checkpoint->position;
  return {UINT64_MAX};
}

Offset LogRecovery::end_of(std::size_t i) const { return i + 1 < found_.size() ? found_[i + 1].base : end_; }

std::shared_ptr<Segment> LogRecovery::make_segment(Offset base) const {
  auto segment = std::make_shared<Segment>(directory_, base);
  segment->opened_at = now_;
  return segment;
}

void LogRecovery::trust(std::size_t i) {
  const Found& found = found_[i];
  const std::shared_ptr<Segment> segment = make_segment(found.base);
  segment->ended = true;
  segment->sealed = found.has_seal;
  segment->staged_bytes = segment->flushed_bytes = found.bytes;
  segment->staged_end = segment->flushed_end = end_ = end_of(i);
  log_->segments_.push_back(segment);
}

void LogRecovery::add_damage(Damage damage) {
  damage.from = std::max(damage.from, hints_.log_start);
  if (damage.from < damage.to) merge_damage(report_.damage, {damage});
}

void LogRecovery::check_joint(Offset previous_end, const Found& found) {
  if (found.base > previous_end) add_damage({segment_file_name(previous_end, ".log"), {}, previous_end, found.base, "missing"});
  if (found.base < previous_end) add_damage({segment_file_name(found.base, ".log"), {}, found.base, previous_end, "overlap"});
}

Status LogRecovery::examine(std::size_t i, bool last_with_data) {
  const Found& found = found_[i];
  const std::shared_ptr<Segment> segment = make_segment(found.base);
  log_->segments_.push_back(segment);
  end_ = found.base;
  if (found.has_seal) {
    Result<ByteVector> bytes = read_file(file_system_, segment->seal_path(), kSealFileBytesMax);
    const Result<Seal> seal = bytes ? decode_seal(*bytes, found.base) : Result<Seal>(bytes.error());
    const bool fits = seal && (last_with_data || seal->end <= found_[i + 1].base);
    if (fits) return examine_sealed(i, segment, *seal);
    log_warn(segment->seal_path() +
             " is not used and will be written again: " + (seal ? "it overlaps the next segment" : seal.error().to_string()));
  }
  return examine_unsealed(i, segment, last_with_data);
}

Result<ScanOutcome> LogRecovery::scan(Segment& segment, ScanOptions options, SegmentIndex& index) {
  const Result<std::shared_ptr<File>> file = files_.open(segment.log_path());
  if (!file) return file.error();
  (*file)->drop_cache();  // After a failed flush the cache may hold what the disk does not.
  const Offset producers_known_until = hints_.checkpoint ? hints_.checkpoint->offset : Offset{0};
  report_.scanned_bytes += options.file_bytes - std::min(options.file_bytes, options.from.value);
  Result<ScanOutcome> outcome = scan_segment(**file, options, index, [&](const BatchHeader& header, ByteView batch) {
    if (on_batch_ && header.base_offset >= producers_known_until) on_batch_(header, batch);
  });
  if (!outcome) return outcome;
  log_->leader_epoch_ = std::max(log_->leader_epoch_, outcome->leader_epoch);
  for (const Damage& damage : outcome->damage) add_damage(damage);
  return outcome;
}

Status LogRecovery::examine_sealed(std::size_t i, const std::shared_ptr<Segment>& segment, const Seal& seal) {
  // The seal was written after the last flush: nothing in here can be torn. Only the producers may need its batches.
  const FilePosition checked = checked_until(segment->base);
  segment->ended = segment->sealed = true;
  segment->staged_bytes = segment->flushed_bytes = std::min(found_[i].bytes, seal.log_bytes);
  segment->staged_end = segment->flushed_end = end_ = seal.end;
  segment->first_append_ms = seal.first_append.time_since_epoch().count();
  segment->last_append_ms = seal.last_append.time_since_epoch().count();
  segment->max_timestamp_ms = seal.max_timestamp_ms;
  names_unsynced_ = true;  // The seal may be younger than the last flush of the directory.
  if (found_[i].bytes < seal.log_bytes) {
    if (const Status judged = judge_short_file(*segment, seal, found_[i].bytes); !judged) return judged;
  }
  if (checked.value >= seal.log_bytes || checked.value >= found_[i].bytes) return {};
  const bool from_checkpoint = checked.value > 0;
  SegmentIndex scratch;
  if (from_checkpoint)
    scratch.entries.push_back({.first_offset = segment->base,
                               .position = {},
                               .append_time = {},
                               .first_id = {},
                               .bytes = static_cast<std::uint32_t>(checked.value)});
  const Result<ScanOutcome> outcome = scan(*segment,
                                           {.base = segment->base,
                                            .from = checked,
                                            .chain = {from_checkpoint ? hints_.checkpoint->offset : segment->base, INT32_MIN, seal.cleaned},
                                            .file_bytes = segment->flushed_bytes,
                                            .torn_from = std::nullopt,
                                            .landmarks = {},
                                            .now = now_,
                                            .segment_end = seal.end,
                                            .file_name = segment->file_name()},
                                           scratch);
  return outcome ? Status() : Status(outcome.error());
}

Status LogRecovery::judge_short_file(const Segment& segment, const Seal& seal, std::uint64_t file_bytes) {
  std::size_t cut = 0;  // The first interval that is not all there.
  while (seal.intervals[cut].position.value + seal.interval_bytes(cut) <= file_bytes) ++cut;
  const SealInterval& interval = seal.intervals[cut];
  const Result<std::shared_ptr<File>> file = files_.open(segment.log_path());
  if (!file) return file.error();
  ByteVector bytes(file_bytes - std::min(file_bytes, interval.position.value));
  const Result<std::size_t> got = (*file)->read(interval.position, bytes);
  if (!got) return got.error();
  const IndexEntry entry{.first_offset = interval.first_offset,
                         .position = interval.position,
                         .append_time = {},
                         .first_id = {},
                         .bytes = static_cast<std::uint32_t>(seal.interval_bytes(cut))};
  IntervalFindings findings =
      inspect_interval(ByteView(bytes).first(*got), entry, seal.interval_end(cut), seal.cleaned, segment.file_name());
  if (findings.damage.empty()) findings.damage.push_back({segment.file_name(), {file_bytes}, seal.interval_end(cut), seal.end, "length"});
  findings.damage.back().to = seal.end;
  for (Damage& damage : findings.damage) add_damage(std::move(damage));
  return {};
}

Result<bool> LogRecovery::last_interval_matches(const Segment& segment) {
  if (segment.index.entries.empty()) return segment.flushed_bytes == 0;
  const IndexEntry& last = segment.index.entries.back();
  const Result<std::shared_ptr<File>> file = files_.open(segment.log_path());
  if (!file) return file.error();
  ByteVector bytes(last.bytes);
  const Result<std::size_t> got = (*file)->read(last.position, bytes);
  if (!got) return got.error();
  return *got == bytes.size() && crc32c(bytes) == last.interval_crc;
}

Status LogRecovery::examine_unsealed(std::size_t i, const std::shared_ptr<Segment>& segment, bool last_with_data) {
  const std::uint64_t file_bytes = found_[i].bytes;
  const FilePosition checked = checked_until(segment->base);
  const std::uint64_t trusted = std::min(checked.value, file_bytes);

  // The leading index entries whose intervals lie wholly in the checked part; the rest only as landmarks.
  const Result<bool> has_index = file_system_.exists(segment->index_path());
  if (!has_index) return has_index.error();
  SegmentIndex stored;
  if (*has_index) {
    const Result<ByteVector> bytes = read_file(file_system_, segment->index_path(), kSealFileBytesMax);
    if (bytes) stored = decode_index(*bytes, segment->base);
    if (!bytes) log_warn(segment->index_path() + " is rebuilt: " + bytes.error().to_string());
  }
  SegmentIndex& index = segment->index;
  ScanOptions options{.base = segment->base,
                      .from = {},
                      .chain = {segment->base, INT32_MIN, false},
                      .file_bytes = file_bytes,
                      .torn_from = std::nullopt,
                      .landmarks = stored.entries,
                      .now = now_,
                      .segment_end = last_with_data ? std::nullopt : std::optional(found_[i + 1].base),
                      .file_name = segment->file_name()};
  for (const IndexEntry& entry : stored.entries) {
    if (entry.end().value > trusted) break;
    index.entries.push_back(entry);
  }
  if (hints_.checkpoint && checked == hints_.checkpoint->position && segment->base == hints_.checkpoint->segment_base &&
      index.covered() == checked) {
    options.from = checked;
    options.chain.expected = hints_.checkpoint->offset;
    options.chain.leader_epoch = hints_.checkpoint->leader_epoch;
  } else if (!index.entries.empty()) {
    // Only the checkpoint knows which offset follows; without it the last interval is read again.
    options.from = index.entries.back().position;
    options.chain.expected = index.entries.back().first_offset;
    index.entries.pop_back();
  }
  if (trusted > index.covered().value && trusted - index.covered().value > kGroupBytesMax)
    ++report_.indexes_rebuilt;
  else if (trusted > 0 && stored.entries.empty())
    ++report_.indexes_rebuilt;
  segment->indexed = index.entries.empty() ? 0 : index.entries.size() - 1;
  if (last_with_data && checked.value <= file_bytes) options.torn_from = checked;

  bool scans = options.from.value < file_bytes;
  if (!scans && hints_.clean) {
    segment->flushed_bytes = file_bytes;
    const Result<bool> matches = last_interval_matches(*segment);
    if (!matches) return matches.error();
    if (!*matches) {
      options.from = index.entries.back().position;
      options.chain = {index.entries.back().first_offset, INT32_MIN, false};
      index.entries.pop_back();
      segment->indexed = index.entries.empty() ? 0 : index.entries.size() - 1;
      scans = true;
    }
  }
  ScanOutcome outcome;
  outcome.end = options.from;
  outcome.end_offset = options.chain.expected;
  if (scans) {
    Result<ScanOutcome> scanned = scan(*segment, options, index);
    if (!scanned) return scanned.error();
    outcome = std::move(*scanned);
    std::erase_if(stored.entries, [&](const IndexEntry& entry) { return entry.end().value > trusted; });
    keep_evidence(index, stored.entries);
  }
  if (outcome.torn_at) {
    if (const Status cut = cut_torn_tail(*segment, *outcome.torn_at, file_bytes); !cut) return cut;
  }
  if (file_bytes > trusted || outcome.torn_at) {
    if (const Status synced = sync(*segment); !synced) return synced;
  }
  segment->staged_bytes = segment->flushed_bytes = outcome.end.value;
  segment->staged_end = segment->flushed_end = end_ = outcome.end_offset;
  segment->reserved_bytes = segment->flushed_bytes;
  segment->ended = !last_with_data || outcome.rest_lost;
  if (!index.entries.empty()) {
    segment->first_append_ms = index.entries.front().append_time.time_since_epoch().count();
    segment->last_append_ms = index.entries.back().append_time.time_since_epoch().count();
    segment->max_timestamp_ms = index.entries.back().max_timestamp_ms;
  }
  log_->bytes_since_checkpoint_ += segment->flushed_bytes - std::min(trusted, segment->flushed_bytes);
  if (!last_with_data) return {};

  const bool damaged_below = std::ranges::any_of(outcome.damage, [&](const Damage& damage) { return damage.position < checked; });
  if (damaged_below || outcome.rest_lost) {
    log_->append_error_ = Error{Errc::quarantined, "appends stopped: " + directory_ + "/" + outcome.damage.back().to_string()};
  }
  return {};
}

Status LogRecovery::cut_torn_tail(Segment& segment, FilePosition at, std::uint64_t file_bytes) {
  const Result<std::shared_ptr<File>> file = files_.open(segment.log_path());
  if (!file) return file.error();
  ByteVector tail(file_bytes - at.value);
  const Result<std::size_t> got = (*file)->read(at, tail);
  if (!got) return got.error();
  tail.resize(*got);
  TornTail torn{.file = segment.file_name(), .position = at, .bytes = file_bytes - at.value, .kept = {}};
  if (!all_zero(tail)) {
    Result<std::string> kept = set_torn_tail_aside(file_system_, segment.log_path(), at, tail);
    // A full disk must not keep the log from opening: nothing in the tail was ever acknowledged.
    if (!kept && kept.error().code != Errc::disk_full) return kept.error();
    if (!kept) log_warn("torn tail of " + segment.log_path() + " is not kept: " + kept.error().to_string());
    if (kept) torn.kept = std::move(*kept);
  }
  report_.torn = std::move(torn);
  return (*file)->truncate(at.value);
}

Status LogRecovery::sync(const Segment& segment) {
  names_unsynced_ = true;
  const Result<std::shared_ptr<File>> file = files_.open(segment.log_path());
  return file ? (*file)->sync() : Status(file.error());
}

void LogRecovery::check_promised_end() {
  if (!hints_.checkpoint || end_ >= hints_.checkpoint->offset) return;
  const Offset promised = hints_.checkpoint->offset;
  const bool has_segment = !log_->segments_.empty();
  const std::string file = has_segment ? log_->segments_.back()->file_name() : segment_file_name(hints_.checkpoint->segment_base, ".log");
  const FilePosition position{has_segment ? log_->segments_.back()->flushed_bytes : 0};
  const bool same_segment = has_segment && log_->segments_.back()->base == hints_.checkpoint->segment_base;
  // Where the file itself ends in damage, that damage goes on to here.
  const auto open_ended =
      std::ranges::find_if(report_.damage, [&](const Damage& damage) { return damage.file == file && damage.to == end_; });
  if (same_segment && open_ended != report_.damage.end())
    open_ended->to = promised;
  else
    add_damage({file, position, end_, promised, same_segment ? "length" : "missing"});
  end_ = promised;
  if (!has_segment) return;
  log_->segments_.back()->ended = true;  // The next batch does not follow what is in this file.
  if (promised <= hints_.log_start) return;
  log_->append_error_ = Error{Errc::quarantined, "appends stopped: " + directory_ + "/" + report_.damage.back().to_string()};
}

Status LogRecovery::settle_empty_segments(std::size_t first_empty) {
  if (first_empty == found_.size()) return {};
  bool removed_any = false;
  bool kept = false;
  for (std::size_t i = first_empty; i < found_.size(); ++i) {
    // Without a byte anywhere else and no checkpoint, an empty segment is the only witness of how far the log had come.
    const bool only_witness =
        log_->segments_.empty() && !hints_.checkpoint && i + 1 == found_.size() && found_[i].base > end_ && i == first_empty;
    if (only_witness) {
      add_damage({segment_file_name(end_, ".log"), {}, end_, found_[i].base, "missing"});
      end_ = found_[i].base;
    }
    if (!kept && found_[i].base == end_ && !log_->append_error_) {
      const std::shared_ptr<Segment> segment = make_segment(found_[i].base);
      if (!log_->segments_.empty()) log_->segments_.back()->ended = true;
      log_->segments_.push_back(segment);
      if (const Status synced = sync(*segment); !synced) return synced;
      kept = true;
      continue;
    }
    // Made for a group that never became durable.
    files_.forget(directory_ + "/" + segment_file_name(found_[i].base, ".log"));
    if (const Status removed = file_system_.remove(directory_ + "/" + segment_file_name(found_[i].base, ".log")); !removed) return removed;
    removed_any = true;
  }
  return removed_any ? file_system_.sync_directory(directory_) : Status();
}

Result<std::unique_ptr<Log>> Log::open(FileCache& files, std::string directory, LogConfig config, LogHints hints, Timestamp now,
                                       const OnBatch& on_batch, RecoveryReport& report) {
  return LogRecovery(files, std::move(directory), config, hints, now, on_batch, report).run();
}

}  // namespace tidemark::storage
