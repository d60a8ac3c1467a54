#include <algorithm>
#include <array>
#include <utility>

#include "storage/base/log.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"
#include "storage/torn_tail.h"

namespace tidemark::storage {

/// Opens a log: what is there, what a crash left of it, and what is damaged.
class LogRecovery {
 public:
  LogRecovery(Log& log, LogHints hints, Timestamp now, const Log::OnBatch& on_batch, RecoveryReport& report)
      : log_(log), disk_(log.files_.file_system()), hints_(hints), now_(now), on_batch_(on_batch), report_(report) {}

  Status run();

 private:
  Result<std::vector<Offset>> find_segments();
  Status scan(std::size_t number);
  Status cut(Segment& segment, File& file, FilePosition at, std::uint64_t file_bytes);
  void damaged(Damage damage) { report_.damage.push_back(std::move(damage)); }

  Log& log_;
  FileSystem& disk_;
  const LogHints hints_;
  const Timestamp now_;
  const Log::OnBatch& on_batch_;
  RecoveryReport& report_;
};

Result<std::vector<Offset>> LogRecovery::find_segments() {
  std::vector<Offset> bases;
  const Result<bool> exists = disk_.exists(log_.directory_);
  if (!exists) return exists.error();
  if (!*exists) return bases;
  const Result<std::vector<DirectoryEntry>> entries = disk_.list(log_.directory_);
  if (!entries) return entries.error();
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.ends_with(".deleted") || entry.name.ends_with(".tmp")) {
      if (const Status removed = disk_.remove(log_.directory_ + "/" + entry.name); !removed) return removed.error();
    } else if (const std::optional<Offset> base = parse_segment_file_name(entry.name, ".log")) {
      bases.push_back(*base);
    }
  }
  std::ranges::sort(bases);
  return bases;
}

Status LogRecovery::run() {
  Result<std::vector<Offset>> bases = find_segments();
  if (!bases) return bases.error();

  // Below the log start: the crash came between the durable trim and the removal of files.
  std::size_t keep = 0;
  while (keep + 1 < bases->size() && (*bases)[keep + 1] <= hints_.log_start) ++keep;
  if (bases->size() == 1 || keep + 1 == bases->size()) {
    // The newest segment goes, too, when it is known to end below the log start; scanning tells.
  }
  RemovePlan leftovers{.segments = {}, .directory = log_.directory_};
  for (std::size_t i = 0; i < keep; ++i) leftovers.segments.push_back(std::make_shared<Segment>(log_.directory_, (*bases)[i]));
  if (!leftovers.segments.empty()) {
    if (Status removed = leftovers.execute(log_.files_); !removed) return removed;
    bases->erase(bases->begin(), bases->begin() + static_cast<std::ptrdiff_t>(keep));
  }

  log_.log_start_ = hints_.log_start;
  log_.end_offset_ = log_.flushed_offset_ = hints_.log_start;
  if (bases->empty()) {
    if (hints_.checkpoint && hints_.checkpoint->offset > hints_.log_start) {
      // Everything the checkpoint speaks of is gone.
      damaged({segment_file_name(hints_.checkpoint->segment_base, ".log"), {}, hints_.log_start, hints_.checkpoint->offset, "missing"});
      log_.end_offset_ = log_.flushed_offset_ = hints_.checkpoint->offset;
      merge_damage(log_.damage_, report_.damage);
    }
    return {};
  }
  for (std::size_t i = 0; i < bases->size(); ++i) {
    auto segment = std::make_shared<Segment>(log_.directory_, (*bases)[i]);
    segment->opened_at = now_;
    log_.segments_.push_back(std::move(segment));
  }
  if (log_.segments_.front()->base > hints_.log_start) {
    damaged({segment_file_name(hints_.log_start, ".log"), {}, hints_.log_start, log_.segments_.front()->base, "missing"});
  }
  const LogCheckpoint checkpoint =
      hints_.checkpoint.value_or(LogCheckpoint{log_.segments_.front()->base, {}, log_.segments_.front()->base, 0});
  log_.leader_epoch_ = checkpoint.leader_epoch;
  for (std::size_t i = 0; i < log_.segments_.size(); ++i) {
    Segment& segment = *log_.segments_[i];
    const bool last = i + 1 == log_.segments_.size();
    if (!last && (segment.base < checkpoint.segment_base)) {
      const Result<std::uint64_t> size = disk_.file_size(segment.log_path());
      if (!size) return size.error();
      segment.staged_end = segment.flushed_end = log_.segments_[i + 1]->base;
      segment.staged_bytes = segment.flushed_bytes = *size;
      segment.ended = segment.sealed = true;
      continue;
    }
    if (Status scanned = scan(i); !scanned) return scanned;
  }
  const Segment& active = *log_.segments_.back();
  log_.end_offset_ = log_.flushed_offset_ = std::max(active.flushed_end, hints_.log_start);
  if (hints_.checkpoint && log_.end_offset_ < hints_.checkpoint->offset) {
    damaged({active.file_name(), {active.flushed_bytes}, log_.end_offset_, hints_.checkpoint->offset, "length"});
    log_.end_offset_ = log_.flushed_offset_ = hints_.checkpoint->offset;
  }
  if (active.flushed_end < log_.end_offset_) {
    // The next batch does not follow what is in this file.
    log_.segments_.back()->ended = true;
    log_.segments_.back()->staged_end = log_.segments_.back()->flushed_end;
    log_.freeze_if_done(*log_.segments_.back());
  }
  std::erase_if(report_.damage, [&](const Damage& damage) { return damage.to <= hints_.log_start || damage.from >= damage.to; });
  merge_damage(log_.damage_, report_.damage);
  for (const Damage& damage : report_.damage) {
    if (!log_.segments_.back()->ended && damage.to > log_.segments_.back()->base && damage.file == log_.segments_.back()->file_name()) {
      log_.append_error_ = Error{Errc::quarantined, "appends stopped: " + log_.directory_ + "/" + damage.to_string()};
    }
  }
  return {};
}

Status LogRecovery::scan(std::size_t number) {
  Segment& segment = *log_.segments_[number];
  const bool last = number + 1 == log_.segments_.size();
  const Result<std::unique_ptr<File>> file = disk_.open(segment.log_path(), OpenMode::read_write);
  if (!file) return file.error();
  const Result<std::uint64_t> file_bytes = (*file)->size();
  if (!file_bytes) return file_bytes.error();
  const bool is_checkpoint = hints_.checkpoint && hints_.checkpoint->segment_base == segment.base;

  Result<ByteVector> index_bytes = ByteVector();
  if (const Result<bool> there = disk_.exists(segment.index_path()); there && *there) {
    index_bytes = read_file(disk_, segment.index_path(), kSealFileBytesMax);
    if (!index_bytes) index_bytes = ByteVector();
  }
  const SegmentIndex stored = decode_index(*index_bytes, segment.base);
  const FilePosition from = is_checkpoint ? hints_.checkpoint->position : FilePosition{0};
  // The index covers what the checkpoint vouches for, or everything is read.
  SegmentIndex index;
  FilePosition covered;
  for (const IndexEntry& entry : stored.entries) {
    if (entry.position.value + entry.bytes > from.value) break;
    index.entries.push_back(entry);
    covered = entry.end();
  }
  const bool trusted = is_checkpoint && covered == from;
  if (!trusted) {
    index = {};
    if (from.value > 0) ++report_.indexes_rebuilt;
  }
  if (!hints_.clean) (*file)->drop_cache();
  ScanOptions options{.base = segment.base,
                      .from = trusted ? from : FilePosition{0},
                      .chain = {trusted ? hints_.checkpoint->offset : segment.base, trusted ? hints_.checkpoint->leader_epoch : 0, false},
                      .file_bytes = *file_bytes,
                      .torn_from = std::nullopt,
                      .landmarks = stored.entries,
                      .now = now_,
                      .segment_end = std::nullopt,
                      .file_name = segment.file_name()};
  const bool newer = !hints_.checkpoint || segment.base > hints_.checkpoint->segment_base;
  if (last && !hints_.clean) options.torn_from = is_checkpoint ? from : newer ? FilePosition{0} : FilePosition{*file_bytes};
  if (!last) options.segment_end = log_.segments_[number + 1]->base;
  const Result<ScanOutcome> scanned = scan_segment(**file, options, index, on_batch_);
  if (!scanned) return scanned.error();
  report_.scanned_bytes += scanned->end.value - std::min(scanned->end.value, options.from.value);
  if (scanned->torn_at && *file_bytes > scanned->torn_at->value) {
    if (Status cut_off = cut(segment, **file, *scanned->torn_at, *file_bytes); !cut_off) return cut_off;
  }
  for (const Damage& damage : scanned->damage) damaged(damage);
  if (!hints_.clean) {
    if (Status synced = (*file)->sync(); !synced) return synced;
    if (Status synced = disk_.sync_directory(log_.directory_); !synced) return synced;
  }
  log_.leader_epoch_ = std::max(log_.leader_epoch_, scanned->leader_epoch);
  segment.index = std::move(index);
  segment.indexed = 0;
  segment.flushed_bytes = segment.staged_bytes = segment.reserved_bytes = scanned->end.value;
  segment.flushed_end = segment.staged_end = last ? scanned->end_offset : log_.segments_[number + 1]->base;
  if (!segment.index.entries.empty()) {
    const auto ms = [](Timestamp time) { return time.time_since_epoch().count(); };
    segment.first_append_ms = ms(segment.index.entries.front().append_time);
    segment.last_append_ms = ms(segment.index.entries.back().append_time);
    segment.max_timestamp_ms = segment.index.entries.back().max_timestamp_ms;
  }
  log_.bytes_since_checkpoint_ += segment.flushed_bytes - std::min(segment.flushed_bytes, from.value);
  if (!last) {
    segment.ended = true;
    if (scanned->end_offset < segment.flushed_end && scanned->damage.empty()) {
      damaged({segment.file_name(), scanned->end, scanned->end_offset, segment.flushed_end, "length"});
    }
    log_.freeze_if_done(segment);
  }
  return {};
}

Status LogRecovery::cut(Segment& segment, File& file, FilePosition at, std::uint64_t file_bytes) {
  ByteVector bytes(file_bytes - at.value);
  const Result<std::size_t> got = file.read(at, bytes);
  if (!got) return got.error();
  bytes.resize(*got);
  const Result<std::string> kept = set_torn_tail_aside(disk_, segment.log_path(), at, bytes);
  if (!kept) return kept.error();
  report_.torn = TornTail{segment.file_name(), at, bytes.size(), *kept};
  return file.truncate(at.value);
}

Result<std::unique_ptr<Log>> Log::open(FileCache& files, std::string directory, LogConfig config, LogHints hints, Timestamp now,
                                       const OnBatch& on_batch, RecoveryReport& report) {
  std::unique_ptr<Log> log(new Log(files, std::move(directory), config));
  if (Status recovered = LogRecovery(*log, hints, now, on_batch, report).run(); !recovered) return recovered.error();
  return log;
}

}  // namespace tidemark::storage
