#include <algorithm>
#include <optional>

#include "storage/log.h"
#include "storage/segment_reader.h"

/// The blocking halves of reads and time look-ups.
namespace tidemark::storage {
namespace {

/// Cuts a chunk to the batches wanted.
class Cutter {
 public:
  Cutter(const SegmentReader::Chunk& chunk, Offset from, Offset limit, std::size_t bytes_max)
      : chunk_(chunk), from_(from), limit_(limit), bytes_max_(bytes_max) {}

  /// Batches of the first run that holds any. Empty: there are none.
  Result<ReadResult> cut() const {
    for (const BatchRun& run : chunk_.runs) {
      if (run.next <= from_) continue;
      std::size_t begin = run.end;
      std::size_t end = run.end;
      Offset next = run.next;
      for (std::size_t at = run.begin; at < run.end;) {
        const Result<BatchPlace> batch = peek_batch(chunk_.bytes.view().subspan(at, run.end - at));
        if (!batch) return batch.error();
        if (batch->end > from_) {
          begin = std::min(begin, at);
          const bool beyond = batch->base >= limit_ || (at > begin && at + batch->bytes - begin > bytes_max_);
          if (beyond) {
            end = at;
            next = batch->base;
            break;
          }
        }
        at += batch->bytes;
      }
      if (end > begin) return ReadResult{chunk_.bytes.subslice(begin, end - begin), std::min(next, limit_)};
      if (next >= limit_) break;
    }
    return ReadResult{{}, from_};
  }

 private:
  const SegmentReader::Chunk& chunk_;
  const Offset from_;
  const Offset limit_;
  const std::size_t bytes_max_;
};

/// How many intervals from `first` on to read for `bytes_max`: whole ones only, so that the next read starts at an interval again.
/// Stops before the limit and before damage that is known.
std::size_t past_wanted(const SegmentIndex& index, std::size_t first, Offset from, const ReadPlan& plan) {
  const std::vector<IndexEntry>& entries = index.entries;
  Offset stop = plan.limit;
  for (const Damage& damage : plan.known_damage) {
    if (damage.from > from) stop = std::min(stop, damage.from);
  }
  std::size_t past = first + 1;
  std::size_t bytes = entries[first].bytes;
  while (past < entries.size() && entries[past].first_offset < stop && bytes + entries[past].bytes <= plan.bytes_max) {
    bytes += entries[past].bytes;
    ++past;
  }
  return past;
}

/// Looks for the first record at or after a time, batch by batch.
class TimeSearch {
 public:
  TimeSearch(std::int64_t time_ms, Offset log_start, Offset limit) : time_ms_(time_ms), log_start_(log_start), limit_(limit) {}

  Result<std::optional<TimestampPlan::Found>> in_batch(ByteView bytes) const {
    const Result<BatchHeader> header = BatchHeader::parse(bytes);
    if (!header) return header.error();
    const bool may_hold = header->max_timestamp_ms >= time_ms_ && header->end_offset() > log_start_ && header->base_offset < limit_;
    if (!may_hold || header->record_count == 0) return std::optional<TimestampPlan::Found>();
    Result<BatchReader> reader = BatchReader::open(bytes.first(header->size_bytes()));
    if (!reader) return reader.error();
    RecordView record;
    for (;;) {
      const Result<bool> more = reader->next(record);
      if (!more) return more.error();
      if (!*more || record.offset >= limit_) return std::optional<TimestampPlan::Found>();
      if (record.offset < log_start_ || record.timestamp_ms < time_ms_) continue;
      return std::optional<TimestampPlan::Found>({record.offset, record.timestamp_ms});
    }
  }

  Result<std::optional<TimestampPlan::Found>> in_run(ByteView bytes) const {
    while (!bytes.empty()) {
      const Result<BatchPlace> batch = peek_batch(bytes);
      if (!batch) return batch.error();
      Result<std::optional<TimestampPlan::Found>> found = in_batch(bytes);
      if (!found || *found) return found;
      bytes = bytes.subspan(batch->bytes);
    }
    return std::optional<TimestampPlan::Found>();
  }

 private:
  const std::int64_t time_ms_;
  const Offset log_start_;
  const Offset limit_;
};

}  // namespace

Result<ReadResult> ReadPlan::execute(FileCache& files, std::vector<Damage>& found) {
  Offset cursor = from;
  const auto damaged = [&]() -> const Damage* {
    const Damage* const known = damage_containing(known_damage, cursor);
    return known != nullptr ? known : damage_containing(found, cursor);
  };
  for (const SegmentView& view : segments) {
    if (cursor >= limit) break;
    if (const Damage* const damage = damaged()) return quarantined_error(*damage);
    Result<SegmentReader> reader = SegmentReader::open(view, files, known_damage, found);
    if (!reader) return reader.error();
    const SegmentIndex& index = reader->index();
    std::size_t interval = index.find_offset(cursor).value_or(0);
    while (interval < index.entries.size() && cursor < limit) {
      if (const Damage* const damage = damaged()) return quarantined_error(*damage);
      const std::size_t past = past_wanted(index, interval, cursor, *this);
      const Result<SegmentReader::Chunk> chunk = reader->read(interval, past);
      if (!chunk) return chunk.error();
      if (const Damage* const damage = damaged()) return quarantined_error(*damage);
      // A gap before the next run is damage only if it was found to be; batches must not be taken from behind it.
      Offset stop = limit;
      for (const std::vector<Damage>* list :
           {static_cast<const std::vector<Damage>*>(&known_damage), static_cast<const std::vector<Damage>*>(&found)}) {
        for (const Damage& damage : *list) {
          if (damage.from > cursor) stop = std::min(stop, damage.from);
        }
      }
      Result<ReadResult> cut = Cutter(*chunk, cursor, stop, bytes_max).cut();
      if (!cut || !cut->batches.empty()) return cut;
      // Cleaning left nothing between the cursor and the end of these intervals.
      cursor = std::max(cursor, std::min(stop, past < index.entries.size() ? index.entries[past].first_offset : reader->end()));
      interval = past;
    }
    if (const Damage* const damage = damaged(); damage != nullptr && cursor < limit) return quarantined_error(*damage);
    if (reader->end() < view.end && view.index && !view.segment->frozen()) break;  // The plan has a part of the index only.
    cursor = std::max(cursor, view.end);
  }
  cursor = std::min(cursor, limit);
  if (cursor > from) return ReadResult{{}, cursor};
  return Error{Errc::quarantined, "no segment holds offset " + std::to_string(from.value)};
}

Result<std::optional<TimestampPlan::Found>> TimestampPlan::execute(FileCache& files) {
  const TimeSearch search(time_ms, log_start, limit);
  const std::vector<Damage> none_known;  // All of it is wanted in `found`: what was known before hides a record as well.
  // Damage in which the record may have been if nothing was found below `end`.
  const auto hiding = [this](const std::vector<Damage>& found, Offset end) -> const Damage* {
    const auto hit = std::ranges::find_if(found, [&](const Damage& damage) { return damage.to > log_start && damage.from < end; });
    return hit == found.end() ? nullptr : &*hit;
  };
  for (const SegmentView& view : segments) {
    std::vector<Damage> found;
    Result<SegmentReader> reader = SegmentReader::open(view, files, none_known, found);
    if (!reader) return reader.error();
    const SegmentIndex& index = reader->index();
    const std::optional<std::size_t> by_time = index.find_timestamp(time_ms);
    if (!by_time) continue;
    // The largest time so far may belong to a record below the log start, so the search may have to go on behind its interval.
    for (std::size_t i = std::max(*by_time, index.find_offset(log_start).value_or(0)); i < index.entries.size(); ++i) {
      if (index.entries[i].first_offset >= limit) break;
      const Result<SegmentReader::Chunk> chunk = reader->read(i, i + 1);
      if (!chunk) return chunk.error();
      for (const BatchRun& run : chunk->runs) {
        Result<std::optional<Found>> hit = search.in_run(chunk->bytes.view().subspan(run.begin, run.end - run.begin));
        if (!hit) return hit;
        if (!*hit) continue;
        if (const Damage* const damage = hiding(found, (*hit)->offset)) return quarantined_error(*damage);
        return hit;
      }
      const Offset end = i + 1 < index.entries.size() ? index.entries[i + 1].first_offset : reader->end();
      if (const Damage* const damage = hiding(found, std::min(end, limit))) return quarantined_error(*damage);
    }
    if (const Damage* const damage = hiding(found, limit)) return quarantined_error(*damage);
  }
  return std::optional<Found>();
}

}  // namespace tidemark::storage
