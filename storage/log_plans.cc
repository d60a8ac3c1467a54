#include <algorithm>
#include <array>
#include <utility>

#include "storage/base/crc32c.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"

namespace tidemark::storage {
namespace {

Error quarantined(const Damage& damage) { return {Errc::quarantined, damage.to_string()}; }

}  // namespace

Status WriteGroup::write(FileCache& files) {
  Result<std::shared_ptr<File>> opened = files.open(segment->log_path());
  if (!opened) return opened.error();
  file = *std::move(opened);
  std::vector<ByteView> parts;
  parts.reserve(batches.size());
  std::uint32_t crc = interval_crc;
  for (StagedBatch& batch : batches) {
    crc = batch.starts_interval ? crc32c(batch.bytes.view()) : crc32c(batch.bytes.view(), crc);
    batch.interval_crc = crc;
    parts.push_back(batch.bytes.view());
  }
  return file->write(position, parts);
}

Status SpacePlan::execute(FileCache& files) {
  FileSystem& disk = files.file_system();
  if (!creates) {
    const Result<std::unique_ptr<File>> file = disk.open(segment->log_path(), OpenMode::read_write);
    if (!file) return file.error();
    return (*file)->reserve(reserve_to);
  }
  if (creates_directory) {
    const Status made = disk.create_directory(segment->directory);
    if (!made && made.error().code != Errc::conflict) return made;
    if (Status synced = disk.sync_directory(parent_directory(segment->directory)); !synced) return synced;
  }
  const Result<std::unique_ptr<File>> file = disk.open(segment->log_path(), OpenMode::create);
  if (!file) return file.error();
  if (Status emptied = (*file)->truncate(0); !emptied) return emptied;
  if (Status reserved = (*file)->reserve(reserve_to); !reserved) return reserved;
  if (Status synced = (*file)->sync(); !synced) return synced;
  return disk.sync_directory(segment->directory);
}

Result<ReadResult> ReadPlan::execute(FileCache& files, std::vector<Damage>& found) {
  if (const Damage* const known = damage_containing(known_damage, from)) return quarantined(*known);
  for (const SegmentView& view : segments) {
    std::shared_ptr<const LoadedIndex> index = view.index;
    if (!index) {
      Result<std::shared_ptr<const LoadedIndex>> loaded = load_index(view.segment, files);
      if (!loaded) return loaded.error();
      index = *std::move(loaded);
      for (const Damage& damage : index->damage) {
        if (damage_containing(known_damage, damage.from) == nullptr) found.push_back(damage);
      }
    }
    if (const Damage* const known = damage_containing(index->damage, from)) return quarantined(*known);
    const std::optional<std::size_t> first = index->index.find_offset(from);
    if (!first) continue;
    // Whole intervals, as many as fit; at least one.
    std::size_t last = *first;
    std::uint64_t bytes = index->interval_bytes(last);
    while (last + 1 < index->index.entries.size() && index->index.entries[last + 1].first_offset < limit &&
           bytes + index->interval_bytes(last + 1) <= bytes_max) {
      bytes += index->interval_bytes(++last);
    }
    const Result<std::shared_ptr<File>> file = files.open(view.segment->log_path());
    if (!file) return file.error();
    const Slice buffer = Slice::allocate(bytes);
    const FilePosition start = index->index.entries[*first].position;
    const Result<std::size_t> got = (*file)->read(start, buffer.writable());
    if (!got) return got.error();

    // Good bytes up to the first interval whose checksum does not match; that one is taken apart.
    std::size_t good = 0;
    std::optional<Damage> bad;
    for (std::size_t i = *first; i <= last && !bad; ++i) {
      const IndexEntry& entry = index->index.entries[i];
      const std::size_t at = entry.position - start;
      const ByteView interval = buffer.view().subspan(at, std::min<std::size_t>(entry.bytes, *got > at ? *got - at : 0));
      if (interval.size() == entry.bytes && crc32c(interval) == entry.interval_crc) {
        good = at + entry.bytes;
        continue;
      }
      const IntervalFindings findings =
          inspect_interval(interval, entry, std::min(index->interval_end(i), view.end), index->cleaned, view.segment->file_name());
      found.insert(found.end(), findings.damage.begin(), findings.damage.end());
      bad = findings.damage.front();
      for (const BatchRun& run : findings.runs) {
        if (run.begin == 0 && run.end > 0 && at == good) good = at + run.end;
        if (run.first <= from && from < run.next) {
          // What was asked for lies behind the damage, in the same interval.
          if (run.begin == 0) break;
          return ReadResult{buffer.subslice(at + run.begin, run.end - run.begin), std::min(run.next, limit)};
        }
      }
      if (damage_containing(findings.damage, from) != nullptr) return quarantined(*damage_containing(findings.damage, from));
    }
    // Cut to the batches wanted.
    std::size_t begin = 0;
    std::size_t end = 0;
    Offset next = from;
    bool any = false;
    for (std::size_t at = 0; at + kBatchHeaderBytes <= good;) {
      const Result<BatchHeader> header = BatchHeader::parse(buffer.view().subspan(at));
      if (!header) return header.error();
      const std::size_t size = header->size_bytes();
      if (header->base_offset >= limit) break;
      if (header->end_offset() <= from) {
        at += size;
        begin = end = at;
        continue;
      }
      if (any && end + size - begin > bytes_max) break;
      any = true;
      at += size;
      end = at;
      next = header->end_offset();
    }
    if (any) return ReadResult{buffer.subslice(begin, end - begin), next};
    if (bad) return quarantined(*bad);
  }
  return ReadResult{{}, limit};
}

Result<std::optional<TimestampPlan::Found>> TimestampPlan::execute(FileCache& files) {
  for (const SegmentView& view : segments) {
    std::shared_ptr<const LoadedIndex> index = view.index;
    if (!index) {
      Result<std::shared_ptr<const LoadedIndex>> loaded = load_index(view.segment, files);
      if (!loaded) return loaded.error();
      index = *std::move(loaded);
    }
    const std::optional<std::size_t> first = index->index.find_timestamp(time_ms);
    if (!first) continue;
    Offset from = std::max(log_start, index->index.entries[*first].first_offset);
    while (from < std::min(limit, view.end)) {
      ReadPlan read{{view}, from, std::min(limit, view.end), kIndexIntervalBytes, known_damage};
      read.segments.front().index = index;
      std::vector<Damage> found;
      const Result<ReadResult> batches = read.execute(files, found);
      if (!batches) return batches.error();
      ByteView rest = batches->batches.view();
      while (!rest.empty()) {
        const Result<BatchHeader> header = BatchHeader::parse(rest);
        if (!header) return header.error();
        if (header->max_timestamp_ms >= time_ms && header->record_count > 0) {
          Result<BatchReader> reader = BatchReader::open(rest.first(header->size_bytes()));
          if (!reader) return reader.error();
          RecordView record;
          for (;;) {
            const Result<bool> more = reader->next(record);
            if (!more) return more.error();
            if (!*more) break;
            if (record.timestamp_ms >= time_ms && record.offset >= log_start && record.offset < limit) {
              return std::optional(Found{record.offset, record.timestamp_ms});
            }
          }
        }
        rest = rest.subspan(header->size_bytes());
      }
      if (batches->next <= from) break;
      from = batches->next;
    }
  }
  return std::optional<Found>();
}

Status CheckpointPlan::execute(FileCache& files) {
  for (const auto& written : to_sync) {
    if (written->removed) continue;
    const Result<std::unique_ptr<File>> file = files.file_system().open(written->log_path(), OpenMode::read_write);
    if (!file) return file.error();
    if (Status synced = (*file)->sync(); !synced) return synced;
  }
  for (const ToSeal& work : to_seal) {
    if (Status sealed = seal_segment(work.segment, work.index, work.indexed, files); !sealed) return sealed;
  }
  if (!segment || index_bytes.empty() || segment->removed) return {};
  return write_index(*segment, files.file_system(), index_first, index_bytes);
}

Status TimesPlan::execute(FileCache& files) {
  Status last;
  for (const auto& segment : segments) {
    if (Status loaded = load_times(segment, files); !loaded) last = std::move(loaded);
  }
  return last;
}

Status RemovePlan::execute(FileCache& files) {
  FileSystem& disk = files.file_system();
  std::vector<std::string> leaving;
  for (const auto& segment : segments) {
    const std::lock_guard lock(segment->loading);
    files.forget(segment->log_path());
    for (const std::string& path : {segment->log_path(), segment->index_path(), segment->seal_path()}) {
      const Result<bool> there = disk.exists(path);
      if (!there) return there.error();
      if (!*there) continue;
      if (Status renamed = disk.rename(path, path + ".deleted"); !renamed) return renamed;
      leaving.push_back(path + ".deleted");
    }
  }
  if (Status synced = disk.sync_directory(directory); !synced) return synced;
  for (const std::string& path : leaving) {
    if (Status removed = disk.remove(path); !removed) return removed;
  }
  return disk.sync_directory(directory);
}

}  // namespace tidemark::storage
