#include <algorithm>
#include <iterator>

#include "storage/log.h"
#include "storage/segment_reader.h"

/// Entries by id: which segment, which interval, which batch, each by bisection over the ids they begin with.
namespace tidemark::storage {
namespace {

/// Bisects a part of the log that begins with a known lower bound: finds the last of [first, past) whose id is <= `id`, or `first`. Where
/// an id is not known, the answer is further back, which costs time and hides nothing.
template <class IdOf>
Result<std::size_t> last_not_above(std::size_t first, std::size_t past, EntryId id, IdOf id_of) {
  while (past - first > 1) {
    const std::size_t middle = first + (past - first) / 2;
    const Result<std::optional<EntryId>> begins = id_of(middle);
    if (!begins) return begins.error();
    if (*begins && **begins <= id)
      first = middle;
    else
      past = middle;
  }
  return first;
}

/// The intervals of one segment, with the ids they begin with.
class Intervals {
 public:
  Intervals(SegmentReader& reader, IdPlan::FirstId first_id) : reader_(reader), first_id_(first_id) {}

  std::size_t size() const { return reader_.index().entries.size(); }

  Result<std::optional<EntryId>> begins_with(std::size_t interval) const {
    const EntryId known = reader_.index().entries[interval].first_id;
    if (known != EntryId{}) return std::optional(known);
    std::optional<EntryId> found;
    const Status read = for_batches(interval, [&](ByteView batch) {
      found = first_id_(batch);
      return !found.has_value();
    });
    if (!read) return read.error();
    return found;
  }

  /// The base of the last batch of the interval that begins at or below `id`; the interval's own without any.
  Result<Offset> batch_before(std::size_t interval, EntryId id) const {
    Offset base = reader_.index().entries[interval].first_offset;
    const Status read = for_batches(interval, [&](ByteView batch) {
      const std::optional<EntryId> begins = first_id_(batch);
      if (begins && *begins > id) return false;
      const Result<BatchHeader> header = BatchHeader::parse(batch);
      if (begins && header) base = header->base_offset;
      return true;
    });
    if (!read) return read.error();
    return base;
  }

 private:
  /// Calls `visit` for the batches that are whole until it answers false.
  template <class Visit>
  Status for_batches(std::size_t interval, Visit visit) const {
    const Result<SegmentReader::Chunk> chunk = reader_.read(interval, interval + 1);
    if (!chunk) return chunk.error();
    for (const BatchRun& run : chunk->runs) {
      ByteView rest = chunk->bytes.view().subspan(run.begin, run.end - run.begin);
      while (!rest.empty()) {
        const Result<BatchPlace> batch = peek_batch(rest);
        if (!batch) return batch.error();
        if (!visit(rest.first(batch->bytes))) return {};
        rest = rest.subspan(batch->bytes);
      }
    }
    return {};
  }

  SegmentReader& reader_;
  const IdPlan::FirstId first_id_;
};

}  // namespace

IdPlan Log::plan_id(EntryId id, Offset limit, IdPlan::FirstId first_id) const {
  CHECK(log_start_ < limit && limit <= flushed_offset_);
  IdPlan plan{.segments = {}, .id = id, .first_id = first_id, .log_start = log_start_, .limit = limit};
  const std::size_t first = segment_at(log_start_);
  std::size_t past = segments_.size();
  while (past > first && segments_[past - 1]->base >= limit) --past;
  // Newest first: most who ask want what is new, and the index of a growing segment is here. A part of it is all that has to be copied.
  for (; past > first && !segments_[past - 1]->frozen(); --past) {
    const std::vector<IndexEntry>& entries = segments_[past - 1]->index.entries;
    if (entries.empty()) continue;
    if (std::ranges::find(entries, EntryId{}, &IndexEntry::first_id) != entries.end()) break;
    const auto above = std::ranges::upper_bound(entries, id, {}, &IndexEntry::first_id);
    // Ids below the log start need not ascend to those above it: only what begins above is judged here.
    if (above != entries.begin() && std::prev(above)->first_offset >= log_start_) {
      plan.segments.push_back(view(past - 1, std::prev(above)->first_offset, 0));
      return plan;
    }
    if (above != entries.begin() || segments_[past - 1]->base <= log_start_) break;
  }
  if (past == first) past = first + 1;
  for (std::size_t i = first; i < past; ++i) plan.segments.push_back(view(i, log_start_, kSegmentBytesMax));
  return plan;
}

Result<Offset> IdPlan::execute(FileCache& files) {
  const std::vector<Damage> none_known;
  std::vector<Damage> found;  // Damage is told by the read that follows.
  const auto open = [&](std::size_t i) { return SegmentReader::open(segments[i], files, none_known, found); };
  Result<std::size_t> number = last_not_above(0, segments.size(), id, [&](std::size_t i) -> Result<std::optional<EntryId>> {
    Result<SegmentReader> reader = open(i);
    if (!reader && reader.error().code == Errc::quarantined) return std::optional<EntryId>();
    if (!reader) return reader.error();
    const Intervals intervals(*reader, first_id);
    if (intervals.size() == 0) return std::optional<EntryId>();
    return intervals.begins_with(0);
  });
  if (!number) return number.error();
  Result<SegmentReader> reader = open(*number);
  if (!reader && reader.error().code == Errc::quarantined) return std::max(log_start, segments[*number].segment->base);
  if (!reader) return reader.error();
  const Intervals intervals(*reader, first_id);
  if (intervals.size() == 0) return std::max(log_start, segments[*number].segment->base);
  // The ids below the log start do not count: the interval that holds it is the lower bound, whatever it begins with.
  const std::size_t lowest = reader->index().find_offset(log_start).value_or(0);
  const Result<std::size_t> interval =
      last_not_above(lowest, intervals.size(), id, [&](std::size_t i) { return intervals.begins_with(i); });
  if (!interval) return interval.error();
  Result<Offset> base = intervals.batch_before(*interval, id);
  if (!base) return base;
  return std::max(*base, log_start);
}

}  // namespace tidemark::storage
