#include "broker/entries/entry_chunk.h"

#include <algorithm>

#include "storage/batch/repack.h"

namespace tidemark::broker {
namespace {

/// Whether a record may say an id of its own, which is ours to say: the header cannot be there where its name is not.
bool may_say_ids(ByteView batch, const BatchHeader& header) {
  if (header.codec() != Codec::none) return true;
  return as_text(batch).find(kEntryIdHeader) != std::string_view::npos;
}

Result<bool> says_ids(ByteView batch) {
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return reader.error();
  RecordView record;
  for (;;) {
    const Result<bool> more = reader->next(record);
    if (!more || !*more) return more;
    if (said_id(record)) return true;
  }
}

/// The batch with other times, and the ids said where they are not implied.
Result<StampedBatch> rebuild(const Slice& batch, const BatchHeader& header, EntryId first) {
  Result<BatchReader> reader = BatchReader::open(batch.view());
  if (!reader) return reader.error();
  BatchBuilder builder({.codec = header.codec(),
                        .producer_id = header.producer_id,
                        .producer_epoch = header.producer_epoch,
                        .base_sequence = header.base_sequence,
                        .transactional = header.is_transactional()});
  EntryIds ids;
  std::optional<EntryId> id = first;
  StampedBatch stamped{.batch = {}, .header = {}, .first = first, .last = first};
  std::vector<EntryField> no_fields;
  RecordView record;
  for (;;) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) break;
    if (!id) return Error{Errc::conflict, "the topic has no ids left"};
    const std::int64_t time_ms = entry_timestamp(*id);
    std::vector<HeaderView> headers = record.headers();
    if (said_id(record)) headers.erase(headers.begin());
    const EntryRecord own(*id, no_fields, true);
    const bool could_be_taken = !headers.empty() && headers.front().name == kEntryIdHeader;
    if (ids.implied(record.offset, time_ms) != *id || could_be_taken) headers.insert(headers.begin(), own.input().headers.front());
    builder.add({.key = record.key, .value = record.value, .timestamp_ms = time_ms, .headers = headers});
    ids.took(record.offset, *id);
    stamped.last = *id;
    id = id_after(*id);
  }
  stamped.batch = builder.build();
  Result<BatchHeader> built = BatchHeader::parse(stamped.batch.view());
  CHECK(built.has_value());
  stamped.header = *built;
  return stamped;
}

}  // namespace

Result<bool> EntryWalk::next(Step& step) {
  for (;;) {
    if (in_batch_) {
      const Result<bool> more = readers_->back().next(step.record);
      if (!more) return more;
      if (*more) break;
      in_batch_ = false;
    }
    if (rest_.empty()) return false;
    const Result<BatchHeader> header = BatchHeader::parse(rest_);
    if (!header) return header.error();
    if (header->size_bytes() > rest_.size()) return Error{Errc::corrupt_batch, "a batch is cut off"};
    const ByteView batch = rest_.first(header->size_bytes());
    rest_ = rest_.subspan(batch.size());
    if (header->is_control() || header->record_count == 0) continue;
    Result<BatchReader> reader = BatchReader::open(batch);
    if (!reader) return reader.error();
    readers_->push_back(*std::move(reader));
    ids_ = {};
    in_batch_ = true;
  }
  const RecordView& record = step.record;
  if (mode_ == EntryIdMode::offset) {
    step.id = {static_cast<std::uint64_t>(record.offset.value) + 1, 0};
    return true;
  }
  const std::optional<EntryId> said = said_id(record);
  step.id = said ? *said : ids_.implied(record.offset, record.timestamp_ms);
  ids_.took(record.offset, step.id);
  return true;
}

std::shared_ptr<const void> EntryWalk::keep() {
  struct Kept {
    Slice batches;
    std::shared_ptr<std::vector<BatchReader>> readers;
  };
  return std::make_shared<Kept>(Kept{batches_, readers_});
}

std::optional<EntryId> first_entry_id(ByteView batch) {
  const Result<BatchHeader> header = BatchHeader::parse(batch);
  if (!header || header->is_control() || header->record_count == 0) return std::nullopt;
  Result<BatchReader> reader = BatchReader::open(batch.first(std::min(batch.size(), header->size_bytes())));
  if (!reader) return std::nullopt;
  RecordView record;
  const Result<bool> more = reader->next(record);
  if (!more || !*more) return std::nullopt;
  const std::optional<EntryId> said = said_id(record);
  return said ? *said : EntryIds().implied(record.offset, record.timestamp_ms);
}

Result<StampedBatch> stamp_batch(Slice batch, EntryId first) {
  Result<BatchHeader> header = BatchHeader::parse(batch.view());
  if (!header) return header.error();
  const auto count = static_cast<std::uint64_t>(header->last_offset_delta) + 1;
  bool as_it_is = first.seq == 0 && entry_timestamp(first) == static_cast<std::int64_t>(first.ms);
  if (as_it_is && may_say_ids(batch.view(), *header)) {
    const Result<bool> says = says_ids(batch.view());
    if (!says) return says.error();
    as_it_is = !*says;
  }
  if (!as_it_is) return rebuild(batch, *header, first);
  // All records have the same millisecond, and the sequence that their place in the batch implies: nothing has to be said.
  set_log_append_time(batch.writable(), Timestamp(std::chrono::milliseconds(entry_timestamp(first))));
  header = BatchHeader::parse(batch.view());
  CHECK(header.has_value());
  return StampedBatch{std::move(batch), *header, first, {first.ms, count - 1}};
}

}  // namespace tidemark::broker
