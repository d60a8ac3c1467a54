#include "broker/jobs/replay_chunk.h"

#include <algorithm>
#include <map>
#include <utility>

#include "storage/batch/partitioner.h"

namespace tidemark::broker {
namespace {

/// Walks the records of one window.
class Cursor {
 public:
  Cursor(const SourceWindow& window, const std::string& source) : window_(window), source_(source) {}
  Cursor(Cursor&&) = default;

  /// To the first record, then to the next.
  Status advance();
  const std::optional<RecordView>& head() const { return head_; }
  const SourceWindow& window() const { return window_; }
  /// Of the batch that the record came in.
  Codec codec() const { return reader_->header().codec(); }
  /// Everything before it was taken.
  Offset position() const { return head_ ? head_->offset : window_.end; }
  /// Whether records may follow that were not read.
  bool may_go_on() const { return !head_ && window_.end < window_.to; }

 private:
  Status open_next_batch(bool& opened);
  Error located(const Error& error, Offset offset) const {
    return {error.code,
            source_ + ":" + std::to_string(window_.partition) + " at offset " + std::to_string(offset.value) + ": " + error.detail};
  }

  const SourceWindow& window_;
  const std::string& source_;
  std::size_t next_slice_ = 0;
  ByteView rest_;
  std::optional<BatchReader> reader_;
  std::optional<RecordView> head_;
};

Status Cursor::advance() {
  head_.reset();
  for (;;) {
    if (!reader_) {
      bool opened = false;
      if (Status next = open_next_batch(opened); !next) return next;
      if (!opened) return {};
    }
    RecordView record;
    const Result<bool> more = reader_->next(record);
    if (!more) return located(more.error(), reader_->header().base_offset);
    if (!*more) {
      reader_.reset();
      continue;
    }
    if (record.offset < window_.from) continue;
    if (record.offset >= window_.to) return {};
    head_ = record;
    return {};
  }
}

Status Cursor::open_next_batch(bool& opened) {
  for (;;) {
    if (rest_.empty()) {
      if (next_slice_ == window_.batches.size()) return {};
      rest_ = window_.batches[next_slice_++].view();
      continue;
    }
    const Result<BatchHeader> header = BatchHeader::parse(rest_);
    if (!header) return located(header.error(), window_.from);
    if (header->size_bytes() > rest_.size()) return located({Errc::corrupt_batch, "the batch is cut off"}, header->base_offset);
    const ByteView batch = rest_.first(header->size_bytes());
    rest_ = rest_.subspan(batch.size());
    if (header->end_offset() <= window_.from || header->is_control()) continue;
    if (header->base_offset >= window_.to) return {};
    // What is packed anew gets a checksum of its own, which must not cover up a bad one.
    if (!batch_crc_matches(batch)) return located({Errc::corrupt_batch, "bad checksum"}, header->base_offset);
    Result<BatchReader> reader = BatchReader::open(batch);
    if (!reader) return located(reader.error(), header->base_offset);
    reader_.emplace(*std::move(reader));
    opened = true;
    return {};
  }
}

/// Collects the chunk.
class ChunkBuilder {
 public:
  ChunkBuilder(const ChunkRules& rules, const ReplayState& state, Pacer pacer) : rules_(rules), state_(state) { chunk_.pacer = pacer; }

  /// False: the record stays, the chunk ends here.
  bool take(const Cursor& cursor);
  BuiltChunk finish(const std::vector<Cursor>& cursors);

 private:
  bool wanted(const RecordView& record, std::int32_t partition) const;

  const ChunkRules& rules_;
  const ReplayState& state_;
  BuiltChunk chunk_;
  std::size_t chunk_bytes_ = 0;
  std::map<std::int32_t, BatchBuilder> builders_;
};

bool ChunkBuilder::wanted(const RecordView& record, std::int32_t partition) const {
  if (!rules_.filter) return true;
  FilteredRecord fields;
  fields.topic = rules_.source;
  fields.partition = partition;
  fields.offset = record.offset.value;
  fields.timestamp_ms = record.timestamp_ms;
  if (record.key) fields.key = as_text(*record.key);
  if (record.value) fields.value = as_text(*record.value);
  std::vector<HeaderView> headers;
  if (rules_.filter->uses_headers()) headers = record.headers();
  fields.headers = headers;
  return rules_.filter->matches(fields);
}

bool ChunkBuilder::take(const Cursor& cursor) {
  const RecordView& record = *cursor.head();
  if (!wanted(record, cursor.window().partition)) {
    ++chunk_.filtered;
    return true;
  }
  std::vector<HeaderView> headers;
  if (record.header_count > 0) headers = record.headers();
  const RecordInput input{.key = record.key, .value = record.value, .timestamp_ms = record.timestamp_ms, .headers = headers};
  const std::size_t size = BatchBuilder::size_bound(input);
  const std::uint64_t content = (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
  const std::int32_t target = target_partition(record.key, cursor.window().partition, rules_);
  const auto present = builders_.find(target);
  if (!rules_.exact) {
    if (chunk_.records > 0 && chunk_bytes_ + size > rules_.chunk_bytes_max) return false;
    if (present != builders_.end() && present->second.size_bytes() + size > rules_.batch_bytes_max) return false;
    if (!chunk_.pacer.admit(record.timestamp_ms, content)) {
      chunk_.not_due = true;
      return false;
    }
  }
  BatchBuilder& builder =
      present != builders_.end() ? present->second : builders_.emplace(target, BatchBuilder({.codec = cursor.codec()})).first->second;
  builder.add(input);
  chunk_bytes_ += size;
  chunk_.bytes += content;
  ++chunk_.records;
  return true;
}

BuiltChunk ChunkBuilder::finish(const std::vector<Cursor>& cursors) {
  for (const Cursor& cursor : cursors) {
    chunk_.ranges.push_back({cursor.window().partition, cursor.window().from, cursor.position()});
    chunk_.next_times.push_back(cursor.head() ? std::optional(cursor.head()->timestamp_ms) : std::nullopt);
  }
  for (auto& [partition, builder] : builders_) {
    const ChunkBatch what{partition, state_.next_sequence(partition), builder.record_count(), false};
    builder.set_producer(rules_.producer.id, rules_.producer.epoch, what.first_sequence);
    chunk_.batches.push_back({what, builder.build()});
  }
  return std::move(chunk_);
}

/// Whose record is next; nullptr when none may be taken.
Cursor* choose(std::vector<Cursor>& cursors, const ChunkRules& rules) {
  Cursor* chosen = nullptr;
  for (Cursor& cursor : cursors) {
    if (!cursor.head()) {
      // What follows behind a window that is used up may be earlier than all that is here.
      if (rules.by_time && !rules.exact && cursor.may_go_on()) return nullptr;
      continue;
    }
    if (chosen == nullptr || (rules.by_time && cursor.head()->timestamp_ms < chosen->head()->timestamp_ms)) chosen = &cursor;
  }
  const bool bounded = rules.by_time && !rules.exact && rules.others_next_time;
  if (chosen != nullptr && bounded && chosen->head()->timestamp_ms > *rules.others_next_time) return nullptr;
  return chosen;
}

}  // namespace

std::int32_t target_partition(std::optional<ByteView> key, std::int32_t source_partition, const ChunkRules& rules) {
  if (rules.source_partitions == rules.target_partitions) return source_partition;
  if (key) return partition_for_key(as_text(*key), rules.target_partitions);
  return source_partition % rules.target_partitions;
}

Result<BuiltChunk> build_chunk(const std::vector<SourceWindow>& windows, const ChunkRules& rules, const ReplayState& state, Pacer pacer) {
  std::vector<Cursor> cursors;
  cursors.reserve(windows.size());
  for (const SourceWindow& window : windows) {
    cursors.emplace_back(window, rules.source);
    if (Status found = cursors.back().advance(); !found) return std::move(found).error();
  }
  ChunkBuilder builder(rules, state, pacer);
  while (Cursor* const next = choose(cursors, rules)) {
    if (!builder.take(*next)) break;
    if (Status advanced = next->advance(); !advanced) return std::move(advanced).error();
  }
  return builder.finish(cursors);
}

}  // namespace tidemark::broker
