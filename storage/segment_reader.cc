#include "storage/segment_reader.h"

#include <algorithm>

#include "storage/base/crc32c.h"

namespace tidemark::storage {

Result<SegmentReader> SegmentReader::open(const SegmentView& view, FileCache& files, const std::vector<Damage>& known,
                                          std::vector<Damage>& found) {
  SegmentReader reader(view, known, found);
  reader.index_ = view.index;
  if (!reader.index_) {
    const Result<std::shared_ptr<const LoadedIndex>> loaded = load_index(view.segment, files);
    if (!loaded) return loaded.error();
    reader.index_ = *loaded;
  }
  reader.report(reader.index_->damage);
  if (reader.index_->index.entries.empty()) return reader;
  Result<std::shared_ptr<File>> file = view.segment->open_log(files);
  if (!file && file.error().code == Errc::not_found && view.segment->removed) {
    return Error{Errc::offset_out_of_range, view.segment->log_path() + " was removed while it was read"};
  }
  if (!file && file.error().code == Errc::not_found) {
    reader.report({{view.segment->file_name(), {}, view.segment->base, view.end, "missing"}});
    return quarantined_error({view.segment->file_name(), {}, view.segment->base, view.end, "missing"});
  }
  if (!file) return file.error();
  reader.file_ = std::move(*file);
  return reader;
}

void SegmentReader::report(const std::vector<Damage>& damage) {
  for (const Damage& range : damage) {
    const bool is_known = std::ranges::any_of(known_, [&](const Damage& old) { return old.from <= range.from && range.to <= old.to; });
    if (!is_known) merge_damage(found_, {range});
  }
}

Result<std::size_t> SegmentReader::read_bytes(std::size_t first, std::size_t& past, MutableBytes into) {
  const std::vector<IndexEntry>& entries = index().entries;
  const Result<std::size_t> whole = file_->read(entries[first].position, into);
  if (whole) return whole;
  // Somewhere in there the disk fails: interval by interval, to lose as little as possible.
  std::size_t got = 0;
  for (std::size_t i = first; i < past; ++i) {
    const Result<std::size_t> part = file_->read(entries[i].position, into.subspan(got, entries[i].bytes));
    if (part) {
      got += *part;
      continue;
    }
    report({{view_.segment->file_name(), entries[i].position, entries[i].first_offset, index_->interval_end(i), "read error"}});
    if (i == first) return part.error();
    past = i;
    break;
  }
  return got;
}

void SegmentReader::add_run(Chunk& chunk, BatchRun run) const {
  if (!chunk.runs.empty() && chunk.runs.back().end == run.begin && chunk.runs.back().next == run.first) {
    chunk.runs.back().end = run.end;
    chunk.runs.back().next = run.next;
  } else {
    chunk.runs.push_back(run);
  }
}

Result<SegmentReader::Chunk> SegmentReader::read(std::size_t first, std::size_t past) {
  const std::vector<IndexEntry>& entries = index().entries;
  CHECK(first < past && past <= entries.size());
  Chunk chunk{.bytes = Slice::allocate(entries[past - 1].end() - entries[first].position), .runs = {}};
  const Result<std::size_t> got = read_bytes(first, past, chunk.bytes.writable());
  if (!got) return got.error();
  for (std::size_t i = first; i < past; ++i) {
    const IndexEntry& entry = entries[i];
    const std::size_t begin = entry.position - entries[first].position;
    const std::size_t available = std::min<std::size_t>(entry.bytes, *got - std::min(*got, begin));
    const ByteView bytes = chunk.bytes.view().subspan(begin, available);
    if (available == entry.bytes && crc32c(bytes) == entry.interval_crc) {
      add_run(chunk, {begin, begin + available, entry.first_offset, index_->interval_end(i)});
      continue;
    }
    const IntervalFindings findings = inspect_interval(bytes, entry, index_->interval_end(i), index_->cleaned, view_.segment->file_name());
    report(findings.damage);
    for (const BatchRun& run : findings.runs) add_run(chunk, {run.begin + begin, run.end + begin, run.first, run.next});
  }
  return chunk;
}

Error quarantined_error(const Damage& damage) { return {Errc::quarantined, damage.to_string()}; }

Result<BatchPlace> peek_batch(ByteView bytes) {
  if (bytes.size() >= kBatchHeaderBytes) {
    const Offset base{load_be<std::int64_t>(bytes.data())};
    const auto length = load_be<std::int32_t>(bytes.data() + 8);
    const auto last_delta = load_be<std::int32_t>(bytes.data() + 23);
    const bool sane = length >= static_cast<std::int32_t>(kBatchHeaderBytes - kBatchLogOverhead) && last_delta >= 0 &&
                      static_cast<std::size_t>(length) + kBatchLogOverhead <= bytes.size();
    if (sane) return BatchPlace{base, base + last_delta + 1, static_cast<std::size_t>(length) + kBatchLogOverhead};
  }
  return Error{Errc::corrupt_batch, "bytes that match their checksum are no batch"};
}

}  // namespace tidemark::storage
