#include "broker/publish_fields.h"

#include <algorithm>
#include <charconv>

#include "storage/base/printable.h"
#include "storage/base/time_text.h"
#include "storage/base/units.h"

namespace tidemark::broker {
namespace {

/// The headers of one record that mean something here.
struct Asked {
  std::optional<std::string_view> delay, deliver_at, dedup_id, priority;
};

Asked find_headers(const RecordView& record) {
  Asked asked;
  if (record.header_count == 0) return asked;
  for (const HeaderView& header : record.headers()) {
    if (!header.name.starts_with("tidemark-")) continue;
    const std::string_view value = header.value ? as_text(*header.value) : std::string_view();
    if (header.name == kDelayHeader) asked.delay = value;
    if (header.name == kDeliverAtHeader) asked.deliver_at = value;
    if (header.name == kDedupIdHeader) asked.dedup_id = value;
    if (header.name == kPriorityHeader) asked.priority = value;
  }
  return asked;
}

Error refuse(std::int32_t record, std::string_view header, std::string_view value, const std::string& rule) {
  return {Errc::invalid_argument,
          "record " + std::to_string(record) + ": " + std::string(header) + " = '" + printable(value.substr(0, 100)) + "': " + rule};
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool is_priority(std::string_view text) { return text.size() == 1 && text[0] >= '0' && text[0] <= '9'; }

constexpr const char* kTooFar = "further away than ten years";

Status read_delay(std::int32_t index, std::string_view text, Timestamp now, RecordFields& fields) {
  if (text.starts_with('-')) return refuse(index, kDelayHeader, text, "must not be negative");
  const Result<std::chrono::milliseconds> delay = parse_duration(text);
  if (!delay) return refuse(index, kDelayHeader, text, "not a duration such as 5m or 300000");
  if (*delay > kScheduleHorizon) return refuse(index, kDelayHeader, text, kTooFar);
  if (delay->count() > 0) fields.due = now + *delay;
  return {};
}

Status read_deliver_at(std::int32_t index, std::string_view text, Timestamp now, RecordFields& fields, PublishFields& batch) {
  Timestamp at{};
  if (const std::optional<std::int64_t> ms = whole_number(text)) {
    // Judged before it becomes a time, which has fewer bits to spare.
    if (*ms < 0) return refuse(index, kDeliverAtHeader, text, "before 1970");
    at = Timestamp(std::chrono::milliseconds(*ms));
  } else {
    const Result<Timestamp> parsed = parse_time(text, now);
    if (!parsed) return refuse(index, kDeliverAtHeader, text, "neither a time such as 2026-03-01T10:00Z nor milliseconds since 1970");
    at = *parsed;
  }
  if (at > now + kScheduleHorizon) return refuse(index, kDeliverAtHeader, text, kTooFar);
  if (at < now && !batch.past) batch.past = refuse(index, kDeliverAtHeader, text, "has passed");
  fields.due = at;
  return {};
}

Status read_record(const Asked& asked, std::int32_t index, Timestamp now, PublishFields& batch) {
  RecordFields& fields = batch.records[static_cast<std::size_t>(index)];
  if (asked.delay && asked.deliver_at) {
    return refuse(index, kDelayHeader, *asked.delay, "excludes " + std::string(kDeliverAtHeader));
  }
  if (asked.delay) {
    if (Status read = read_delay(index, *asked.delay, now, fields); !read) return read;
  }
  if (asked.deliver_at) {
    if (Status read = read_deliver_at(index, *asked.deliver_at, now, fields, batch); !read) return read;
  }
  if (asked.dedup_id) {
    if (asked.dedup_id->empty() || asked.dedup_id->size() > kDedupIdBytesMax) {
      return refuse(index, kDedupIdHeader, *asked.dedup_id, "must have 1 to " + std::to_string(kDedupIdBytesMax) + " bytes");
    }
    fields.dedup_id = DedupId::of(*asked.dedup_id);
  }
  if (asked.priority && !is_priority(*asked.priority)) return refuse(index, kPriorityHeader, *asked.priority, "must be 0 to 9");
  batch.any_due |= fields.due.has_value();
  batch.any_dedup_id |= fields.dedup_id.has_value();
  return {};
}

}  // namespace

Result<std::optional<PublishFields>> read_publish_fields(ByteView batch, Timestamp now) {
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return std::move(reader).error();
  PublishFields fields;
  RecordView record;
  for (std::int32_t index = 0;; ++index) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) break;
    fields.records.emplace_back();
    if (Status read = read_record(find_headers(record), index, now, fields); !read) return std::move(read).error();
  }
  if (!fields.any_due && !fields.any_dedup_id) return std::optional<PublishFields>();
  return std::optional(std::move(fields));
}

int priority_of(const RecordView& record) {
  const std::optional<std::string_view> priority = find_headers(record).priority;
  return priority && is_priority(*priority) ? (*priority)[0] - '0' : kPriorityDefault;
}

}  // namespace tidemark::broker
