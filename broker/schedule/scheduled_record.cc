#include "broker/schedule/scheduled_record.h"

#include <cstring>

#include "broker/publish_fields.h"
#include "broker/schedule_records.pb.h"
#include "storage/base/printable.h"

namespace tidemark::broker {
namespace {

std::optional<std::string> copy_of(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return to_string(*bytes);
}

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

/// Views of a record's headers, good as long as the record.
std::vector<HeaderView> views_of(const ScheduledRecord& record) {
  std::vector<HeaderView> views;
  views.reserve(record.headers.size());
  for (const auto& [name, value] : record.headers) {
    HeaderView view{.name = name, .value = std::nullopt};
    if (value) view.value = as_bytes(*value);
    views.push_back(view);
  }
  return views;
}

RecordInput input_of(const ScheduledRecord& record, const std::vector<HeaderView>& headers) {
  RecordInput input{.key = std::nullopt, .value = std::nullopt, .timestamp_ms = record.timestamp_ms, .headers = headers};
  if (record.key) input.key = as_bytes(*record.key);
  if (record.value) input.value = as_bytes(*record.value);
  return input;
}

}  // namespace

ScheduledRecord ScheduledRecord::of(const RecordView& record, ScheduleTarget goes_to, Timestamp when, Timestamp now) {
  ScheduledRecord out;
  out.target = std::move(goes_to);
  out.due = when;
  out.scheduled = now;
  out.timestamp_ms = record.timestamp_ms;
  out.key = copy_of(record.key);
  out.value = copy_of(record.value);
  if (record.header_count == 0) return out;
  for (const HeaderView& header : record.headers()) {
    if (header.name == kDelayHeader || header.name == kDeliverAtHeader) continue;
    out.headers.emplace_back(std::string(header.name), copy_of(header.value));
  }
  return out;
}

std::optional<DedupId> ScheduledRecord::dedup_id() const {
  std::optional<DedupId> id;
  for (const auto& [name, text] : headers) {
    if (name == kDedupIdHeader && text && !text->empty()) id = DedupId::of(*text);
  }
  return id;
}

std::string ScheduledRecord::encode() const {
  state::ScheduledRecord out;
  out.set_topic_id(target.topic.bytes.data(), target.topic.bytes.size());
  out.set_topic(target.name);
  out.set_partition(target.partition);
  out.set_due_ms(to_ms(due));
  out.set_scheduled_ms(to_ms(scheduled));
  if (number) out.set_number(*number);
  if (failure) {
    out.set_failed_code(static_cast<std::uint32_t>(failure->code));
    out.set_failed_reason(printable(failure->detail));
  }
  out.set_timestamp_ms(timestamp_ms);
  if (key) out.set_key(*key);
  if (value) out.set_value(*value);
  for (const auto& [name, text] : headers) {
    auto& header = *out.add_headers();
    header.set_name(name);
    if (text) header.set_value(*text);
  }
  return out.SerializeAsString();
}

Result<ScheduledRecord> ScheduledRecord::decode(ByteView value) {
  state::ScheduledRecord in;
  if (!in.ParseFromArray(value.data(), static_cast<int>(value.size())) || in.topic_id().size() != 16 || in.partition() < -1) {
    return Error{Errc::corrupt_batch, "a record of the schedule does not decode"};
  }
  ScheduledRecord out;
  std::memcpy(out.target.topic.bytes.data(), in.topic_id().data(), 16);
  out.target.name = in.topic();
  out.target.partition = in.partition();
  out.due = from_ms(in.due_ms());
  out.scheduled = from_ms(in.scheduled_ms());
  if (in.has_number()) out.number = in.number();
  if (in.failed_code() != 0) out.failure = Error{errc_from_number(in.failed_code()).value_or(Errc::internal), in.failed_reason()};
  out.timestamp_ms = in.timestamp_ms();
  if (in.has_key()) out.key = in.key();
  if (in.has_value()) out.value = in.value();
  for (const auto& header : in.headers()) {
    out.headers.emplace_back(header.name(), header.has_value() ? std::optional(header.value()) : std::nullopt);
  }
  return out;
}

void ScheduledRecord::add_to(BatchBuilder& batch) const {
  const std::vector<HeaderView> views = views_of(*this);
  batch.add(input_of(*this, views));
}

std::size_t ScheduledRecord::size_bound() const {
  const std::vector<HeaderView> views = views_of(*this);
  return BatchBuilder::size_bound(input_of(*this, views));
}

std::uint64_t visit_lane_records(ByteView batches, Offset from, Offset to,
                                 const std::function<void(Offset, std::size_t bytes, ScheduledRecord)>& visit) {
  std::uint64_t unreadable = 0;
  while (!batches.empty()) {
    const Result<BatchHeader> header = BatchHeader::parse(batches);
    if (!header || header->size_bytes() > batches.size()) return unreadable + 1;
    const ByteView batch = batches.first(header->size_bytes());
    batches = batches.subspan(batch.size());
    if (header->end_offset() <= from || header->base_offset >= to) continue;
    Result<BatchReader> reader = BatchReader::open(batch);
    if (!reader) {
      unreadable += static_cast<std::uint64_t>(header->record_count);
      continue;
    }
    RecordView view;
    for (;;) {
      const Result<bool> more = reader->next(view);
      if (!more) ++unreadable;
      if (!more || !*more) break;
      if (view.offset < from || view.offset >= to) continue;
      Result<ScheduledRecord> record = ScheduledRecord::decode(view.value.value_or(ByteView()));
      if (record)
        visit(view.offset, view.value->size(), *std::move(record));
      else
        ++unreadable;
    }
  }
  return unreadable;
}

}  // namespace tidemark::broker
