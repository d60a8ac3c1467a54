#include "storage/cleaning.h"

#include <algorithm>
#include <utility>

#include "storage/batch/filler_batch.h"
#include "storage/segment.h"

namespace tidemark::storage {
namespace {

constexpr std::size_t kChunkBytes = 1024 * 1024;
/// A merged segment spans no more, so that relative offsets fit with room to spare.
constexpr std::int64_t kGroupOffsetsMax = std::int64_t{1} << 30;

/// The batch at the start of `bytes`, which may go on.
Result<BatchHeader> batch_at(ByteView bytes) {
  Result<BatchHeader> header = BatchHeader::parse(bytes);
  if (header && header->size_bytes() > bytes.size()) return Error{Errc::corrupt_batch, "a batch is cut off"};
  return header;
}

}  // namespace

Cleaning::Cleaning(CleaningRules rules, std::string directory, std::vector<SegmentView> views, const CleanMark& before,
                   const std::vector<Damage>& known_damage)
    : rules_(std::move(rules)),
      directory_(std::move(directory)),
      views_(std::move(views)),
      before_(before),
      dirty_from_(before.end),
      decided_below_(before.end),
      keys_(rules_.key_map_bytes, rules_.key_seed),
      excluded_(views_.size()) {
  CHECK(!views_.empty());
  for (std::size_t i = 0; i < views_.size(); ++i) {
    for (const Damage& damage : known_damage) {
      if (damage.to > views_[i].segment->base && damage.from < views_[i].end && !excluded_[i]) exclude(i, damage);
    }
  }
  if (!rules_.compact) begin_filtering();
}

Result<Cleaning::Next> Cleaning::step(FileCache& files, std::size_t bytes_max) {
  CHECK(!swap_);
  const std::uint64_t enough = work() + bytes_max;
  do {
    Result<Next> next = phase_ == Phase::mapping ? map_some(files) : filter_some(files);
    if (!next || *next != Next::step) return next;
  } while (work() < enough);
  return Next::step;
}

SwapPlan Cleaning::take_swap() {
  CHECK(swap_.has_value());
  SwapPlan plan = *std::move(swap_);
  swap_.reset();
  return plan;
}

void Cleaning::abandon() {
  if (writer_) writer_->abandon();
  writer_.reset();
}

// --- Reading.

void Cleaning::exclude(std::size_t i, Damage why) {
  excluded_[i] = true;
  summary_.left_alone.push_back(std::move(why));
}

void Cleaning::unsound(std::size_t i, std::string_view reason) {
  if (found_.empty()) {
    exclude(i, {views_[i].segment->file_name(), {}, views_[i].segment->base, views_[i].end, std::string(reason)});
  } else {
    exclude(i, found_.front());
    merge_damage(summary_.damage, found_);
  }
}

Cleaning::Reading Cleaning::judge_read(std::size_t i, const Error& error) {
  if (views_[i].segment->removed && found_.empty()) return Reading::removed;
  unsound(i, error.code == Errc::io_error ? "read error" : "unreadable");
  return Reading::unsound;
}

Result<Cleaning::Reading> Cleaning::open_reader(std::size_t i, FileCache& files) {
  found_.clear();
  next_interval_ = 0;
  if (views_[i].segment->removed) return Reading::removed;
  Result<SegmentReader> opened = SegmentReader::open(views_[i], files, none_known_, found_);
  if (!opened) return judge_read(i, opened.error());
  if (!found_.empty()) {
    unsound(i, "damaged");
    return Reading::unsound;
  }
  reader_.emplace(*std::move(opened));
  return Reading::sound;
}

Result<Cleaning::Reading> Cleaning::read_chunk(std::size_t i, FileCache& files) {
  if (!reader_) {
    const Result<Reading> opened = open_reader(i, files);
    if (!opened || *opened != Reading::sound) return opened;
  }
  const std::vector<IndexEntry>& entries = reader_->index().entries;
  chunk_ = {};
  chunk_.first = chunk_.past = next_interval_;
  std::size_t bytes = 0;
  while (chunk_.past < entries.size() && (bytes == 0 || bytes + entries[chunk_.past].bytes <= kChunkBytes)) {
    bytes += entries[chunk_.past++].bytes;
  }
  next_interval_ = chunk_.past;
  if (bytes == 0) return Reading::sound;
  Result<SegmentReader::Chunk> read = reader_->read(chunk_.first, chunk_.past);
  if (!read) return judge_read(i, read.error());
  summary_.counts.bytes_read += bytes;
  if (!found_.empty()) {
    unsound(i, "damaged");
    return Reading::unsound;
  }
  chunk_.chunk = *std::move(read);
  return Reading::sound;
}

// --- First the keys.

Result<Cleaning::Next> Cleaning::map_some(FileCache& files) {
  while (current_ < views_.size() && (is_excluded(current_) || views_[current_].end <= dirty_from_)) ++current_;
  if (current_ == views_.size()) {
    decided_below_ = std::max(dirty_from_, views_.back().end);
    begin_filtering();
    return Next::step;
  }
  const Result<Reading> reading = read_chunk(current_, files);
  if (!reading) return reading.error();
  if (*reading == Reading::unsound) {
    // Keys of its readable part must not drive out what stands elsewhere.
    restart_mapping();
    return Next::step;
  }
  bool full = false;
  for (ByteView rest = chunk_.chunk.bytes.view(); *reading == Reading::sound && !rest.empty() && !full;) {
    const Result<BatchHeader> header = batch_at(rest);
    Result<bool> noted = header ? note_keys(rest.first(header->size_bytes()), *header) : Result<bool>(header.error());
    if (!noted) {
      unsound(current_, noted.error().detail);
      restart_mapping();
      return Next::step;
    }
    full = !*noted;
    rest = rest.subspan(header->size_bytes());
  }
  if (full && decided_below_ <= before_.tried && dirty_from_ < before_.tried) {
    // What an unreadable segment made us look at again fills the map, for ever: go on behind it instead.
    pass_unread(dirty_from_);
    dirty_from_ = before_.tried;
    restart_mapping();
  } else if (full) {
    reader_.reset();
    begin_filtering();
  } else if (*reading == Reading::removed || chunk_.past == reader_->index().entries.size()) {
    reader_.reset();
    ++current_;
  }
  return Next::step;
}

void Cleaning::restart_mapping() {
  reader_.reset();
  keys_.clear();
  current_ = 0;
  summary_.more = false;
}

Result<bool> Cleaning::note_keys(ByteView batch, const BatchHeader& header) {
  const bool no_data = header.is_control() || header.record_count == 0 || header.end_offset() <= dirty_from_;
  if (no_data) return true;
  if (header.is_transactional() && rules_.advice->is_aborted(header.producer_id, {header.base_offset, header.end_offset()})) return true;
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return std::move(reader).error();
  auto deleted = std::ranges::upper_bound(rules_.deleted, header.base_offset, {}, &OffsetRange::to);
  RecordView record;
  for (;;) {
    const Result<bool> more = reader->next(record);
    if (!more || !*more) return more ? Result<bool>(true) : more;
    if (record.offset < dirty_from_ || !record.key) continue;
    while (deleted != rules_.deleted.end() && deleted->to <= record.offset) ++deleted;
    if (deleted != rules_.deleted.end() && deleted->from <= record.offset) continue;
    if (!keys_.put(*record.key, record.offset)) {
      decided_below_ = record.offset;
      summary_.more = true;
      return false;
    }
  }
}

// --- Then the segments.

void Cleaning::begin_filtering() {
  phase_ = Phase::filtering;
  judge_.emplace(rules_, keys_, decided_below_);
  if (unread_from_.value != INT64_MAX) judge_->passed_unread();
  group_first_ = group_past_ = 0;
  choose_group();
}

void Cleaning::pass_unread(Offset base) {
  unread_from_ = std::min(unread_from_, base);
  if (judge_) judge_->passed_unread();
}

/// The next segments to be put together into one: as many as fit, where compaction makes them small; otherwise one by one.
void Cleaning::choose_group() {
  group_first_ = group_past_;
  while (group_first_ < views_.size() && is_excluded(group_first_)) {
    pass_unread(views_[group_first_].segment->base);
    ++group_first_;
  }
  current_ = group_past_ = group_first_;
  if (group_first_ == views_.size()) return;
  const std::uint64_t bytes_max = std::min(rules_.segment_bytes, kSegmentBytesMax);
  std::uint64_t bytes = views_[group_past_++].segment->flushed_bytes;
  while (rules_.compact && group_past_ < views_.size() && !is_excluded(group_past_)) {
    const SegmentView& next = views_[group_past_];
    bytes += next.segment->flushed_bytes;
    const bool fits = bytes <= bytes_max && next.end - views_[group_first_].segment->base <= kGroupOffsetsMax &&
                      views_[group_past_ - 1].end == next.segment->base && next.segment->base < decided_below_;
    if (!fits) break;
    ++group_past_;
  }
}

/// What was left of the group is less than it was: perhaps the next segment fits as well.
bool Cleaning::extend_group() {
  if (!rules_.compact || !writer_ || group_past_ == views_.size() || is_excluded(group_past_)) return false;
  const SegmentView& next = views_[group_past_];
  const bool fits = writer_->bytes() + next.segment->flushed_bytes <= std::min(rules_.segment_bytes, kSegmentBytesMax) &&
                    next.end - views_[group_first_].segment->base <= kGroupOffsetsMax &&
                    views_[group_past_ - 1].end == next.segment->base && next.segment->base < decided_below_;
  if (fits) ++group_past_;
  return fits;
}

Result<Cleaning::Next> Cleaning::filter_some(FileCache& files) {
  const bool over = group_first_ == views_.size() || (rules_.compact && views_[group_first_].segment->base >= decided_below_ && !writer_);
  if (over) {
    if (const Status finished = finish(files); !finished) return finished.error();
    return Next::done;
  }
  if (current_ == group_past_ && !extend_group()) return end_group(files);
  const Result<Reading> reading = read_chunk(current_, files);
  if (!reading) return reading.error();
  if (*reading != Reading::sound) {
    give_up_group();
    return Next::step;
  }
  if (const Status filtered = filter_chunk(files); !filtered) {
    if (filtered.error().code != Errc::corrupt_batch && filtered.error().code != Errc::decompression_limit) return filtered.error();
    unsound(current_, filtered.error().detail);
    give_up_group();
    return Next::step;
  }
  if (next_interval_ == reader_->index().entries.size()) {
    const Result<std::shared_ptr<const LoadedIndex>> index = load_index(views_[current_].segment, files);
    if (!index) {
      judge_read(current_, index.error());
      give_up_group();
      return Next::step;
    }
    sources_.push_back({views_[current_].segment, *index});
    reader_.reset();
    ++current_;
  }
  return Next::step;
}

/// The other segments of the group stay as they are, too; the next cleaning sees to them.
void Cleaning::give_up_group() {
  abandon();
  reader_.reset();
  sources_.clear();
  pieces_.clear();
  pass_unread(views_[group_first_].segment->base);
  choose_group();
}

Status Cleaning::filter_chunk(FileCache& files) {
  pieces_.clear();
  chunk_changed_ = false;
  if (chunk_.first == chunk_.past) return {};
  const std::vector<IndexEntry>& entries = reader_->index().entries;
  const Offset group_end = views_[group_past_ - 1].end;
  std::size_t interval = chunk_.first;
  FilePosition at = entries[interval].position;
  for (ByteView rest = chunk_.chunk.bytes.view(); !rest.empty();) {
    const Result<BatchHeader> header = batch_at(rest);
    if (!header) return header.error();
    const ByteView batch = rest.first(header->size_bytes());
    while (interval + 1 < chunk_.past && entries[interval + 1].position <= at) ++interval;
    Result<BatchJudge::Verdict> verdict = judge_->judge(*header, batch, header->end_offset() >= group_end);
    if (!verdict) return verdict.error();
    if (verdict->fate != BatchJudge::Fate::keep) chunk_changed_ = true;
    if (verdict->fate == BatchJudge::Fate::keep) {
      pieces_.push_back({batch, {}, *header, interval, entries[interval].position == at});
    } else if (verdict->fate == BatchJudge::Fate::replace) {
      const Result<BatchHeader> replaced = BatchHeader::parse(verdict->batch.view());
      CHECK(replaced.has_value());  // Written by us.
      pieces_.push_back({verdict->batch.view(), verdict->batch, *replaced, interval, false});
    }
    at = at + batch.size();
    rest = rest.subspan(batch.size());
  }
  return write_batches(files);
}

/// Nothing is written of a segment that stands alone before the first change in it.
Status Cleaning::write_batches(FileCache& files) {
  const std::vector<IndexEntry>& entries = reader_->index().entries;
  const bool alone = group_past_ - group_first_ == 1;
  if (!writer_ && alone && !chunk_changed_) return {};
  const std::uint64_t before = writer_ ? writer_->bytes() : 0;
  if (!writer_) {
    writer_.emplace(files.file_system(), directory_, views_[group_first_].segment->base);
    const Result<std::shared_ptr<File>> source = views_[current_].segment->open_log(files);
    if (!source) return source.error();
    const std::span<const IndexEntry> unchanged = std::span(entries).first(chunk_.first);
    if (const Status begun = writer_->begin_with(**source, unchanged, entries[chunk_.first].first_offset); !begun) return begun;
  }
  for (const Piece& piece : pieces_) {
    const IndexEntry& entry = entries[piece.interval];
    const EntryId first_id = piece.starts_interval ? entry.first_id : EntryId{};
    if (const Status written = writer_->append(piece.bytes, piece.header, entry.append_time, entry.estimated, first_id); !written)
      return written;
  }
  summary_.counts.bytes_written += writer_->bytes() - before;
  return {};
}

Result<Cleaning::Next> Cleaning::end_group(FileCache& files) {
  if (!writer_) {
    sources_.clear();
    choose_group();
    return Next::step;
  }
  const Segment& first = *views_[group_first_].segment;
  const SegmentView& last = views_[group_past_ - 1];
  if (writer_->bytes() == 0) {
    const Slice filler = build_filler_batch(first.base, last.end, 0);
    const Result<BatchHeader> header = BatchHeader::parse(filler.view());
    CHECK(header.has_value());  // Written by us.
    if (const Status written = writer_->append(filler.view(), *header, {}, true, {}); !written) return written.error();
  }
  CleanedWriter::Times times{INT64_MAX, INT64_MIN};
  std::uint64_t bytes_before = 0;
  for (const SwapPlan::Source& source : sources_) {
    // A failure leaves the time of the last start: late enough to delete nothing early.
    if (const Status known = load_times(source.segment, files); !known && source.segment->removed) {
      give_up_group();
      return Next::step;
    }
    times.first_append_ms = std::min(times.first_append_ms, source.segment->first_append_ms.load());
    times.last_append_ms = std::max(times.last_append_ms, source.segment->last_append_ms.load());
    bytes_before += source.segment->flushed_bytes;
  }
  const std::uint64_t bytes_now = writer_->bytes();
  Result<std::shared_ptr<const LoadedIndex>> index = writer_->finish(last.end, times);
  if (!index) return index.error();
  writer_.reset();

  auto fresh = std::make_shared<Segment>(directory_, first.base);
  fresh->staged_end = fresh->flushed_end = last.end;
  fresh->staged_bytes = fresh->flushed_bytes = bytes_now;
  fresh->opened_at = first.opened_at;
  fresh->ended = fresh->sealed = true;
  fresh->indexed = (*index)->index.entries.size();
  fresh->first_append_ms = times.first_append_ms;
  fresh->last_append_ms = times.last_append_ms;
  fresh->max_timestamp_ms = (*index)->index.entries.back().max_timestamp_ms;
  swap_ = SwapPlan{directory_, std::exchange(sources_, {}), std::move(fresh), *std::move(index)};
  summary_.counts.segments_replaced += swap_->sources.size();
  summary_.counts.bytes_freed += bytes_before - std::min(bytes_before, bytes_now);
  choose_group();
  return Next::swap;
}

Status Cleaning::finish(FileCache& files) {
  CleaningCounts& counts = summary_.counts;
  counts.records_kept = judge_->counts().records_kept;
  counts.records_dropped = judge_->counts().records_dropped;
  counts.tombstones_dropped = judge_->counts().tombstones_dropped;
  keys_.clear();
  phase_ = Phase::done;
  if (!rules_.compact) return {};
  summary_.mark = {.end = std::min(decided_below_, unread_from_),
                   .tried = std::max(decided_below_, before_.tried),
                   .time = rules_.now,
                   .next_horizon_ms = judge_->next_horizon_ms()};
  return write_clean_mark(files.file_system(), directory_, summary_.mark);
}

}  // namespace tidemark::storage
