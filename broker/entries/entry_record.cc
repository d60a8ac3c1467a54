#include "broker/entries/entry_record.h"

#include <algorithm>
#include <limits>

namespace tidemark::broker {
namespace {

constexpr std::string_view kKey = "key";
constexpr std::string_view kValue = "value";
constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kOnceBytes = 32;

bool is_id_size(std::size_t size) { return size == kIdBytes || size == kIdBytes + kOnceBytes; }
bool says_id(const HeaderView& header) { return header.name == kEntryIdHeader && header.value && is_id_size(header.value->size()); }

void store(std::byte* at, const DedupId& id) {
  store_be(at, id.high);
  store_be(at + 8, id.low);
}
DedupId load(const std::byte* at) { return {load_be<std::uint64_t>(at), load_be<std::uint64_t>(at + 8)}; }

std::string_view text_of(const std::optional<ByteView>& bytes) { return bytes ? as_text(*bytes) : std::string_view(); }

/// How many of the fields are the record's key and value.
std::size_t leading_fields(std::span<const EntryField> fields) {
  const std::size_t keys = !fields.empty() && fields[0].name == kKey ? 1 : 0;
  return keys + (keys < fields.size() && fields[keys].name == kValue ? 1 : 0);
}

}  // namespace

EntryId EntryIds::implied(Offset offset, std::int64_t timestamp_ms) const {
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(timestamp_ms, 0));
  if (!previous_ || previous_->ms != ms) return {ms, 0};
  return {ms, previous_->seq + static_cast<std::uint64_t>(offset - offset_)};
}

void EntryIds::took(Offset offset, EntryId id) {
  previous_ = id;
  offset_ = offset;
}

std::int64_t entry_timestamp(EntryId id) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() - 1);  // The most a record's time can be.
  return static_cast<std::int64_t>(std::min(id.ms, kMax));
}

EntryRecord::EntryRecord(EntryId id, std::span<const EntryField> fields, bool say_id, const std::optional<EntryOnce>& once) {
  std::size_t leading = leading_fields(fields);
  headers_.reserve(fields.size() - leading + 1);
  if (say_id || once) {
    store_be(id_bytes_.data(), id.ms);
    store_be(id_bytes_.data() + 8, id.seq);
    if (once) {
      store(id_bytes_.data() + kIdBytes, once->producer);
      store(id_bytes_.data() + kIdBytes + 16, once->entry);
    }
    headers_.push_back({kEntryIdHeader, ByteView(id_bytes_).first(once ? kIdBytes + kOnceBytes : kIdBytes)});
  }
  for (const EntryField& field : fields.subspan(leading)) headers_.push_back({field.name, as_bytes(field.value)});
  if (leading > 0 && fields[0].name == kKey) input_.key = as_bytes(fields[0].value);
  if (leading > 0 && fields[leading - 1].name == kValue) input_.value = as_bytes(fields[leading - 1].value);
  input_.timestamp_ms = entry_timestamp(id);
  input_.headers = {headers_.data(), headers_.size()};
}

bool fields_need_id(std::span<const EntryField> fields) {
  const std::size_t leading = leading_fields(fields);
  return leading < fields.size() && fields[leading].name == kEntryIdHeader && is_id_size(fields[leading].value.size());
}

std::size_t entry_bytes_bound(std::span<const EntryField> fields) {
  constexpr std::size_t kPerRecord = 32 + 2 * 5;  // Lengths, deltas, the number of headers, a key and a value that are not there.
  constexpr std::size_t kPerField = 2 * 5;
  std::size_t bytes = kBatchHeaderBytes + kPerRecord + kEntryIdHeader.size() + kIdBytes + kOnceBytes + kPerField;
  for (const EntryField& field : fields) bytes += field.name.size() + field.value.size() + kPerField;
  return bytes;
}

std::optional<EntryId> said_id(const RecordView& record) {
  if (record.header_count == 0) return std::nullopt;
  const std::optional<HeaderView> first = record.first_header();
  if (!first || !says_id(*first)) return std::nullopt;
  return EntryId{load_be<std::uint64_t>(first->value->data()), load_be<std::uint64_t>(first->value->data() + 8)};
}

std::optional<EntryOnce> said_once(const RecordView& record) {
  if (record.header_count == 0) return std::nullopt;
  const std::optional<HeaderView> first = record.first_header();
  if (!first || !says_id(*first) || first->value->size() != kIdBytes + kOnceBytes) return std::nullopt;
  return EntryOnce{load(first->value->data() + kIdBytes), load(first->value->data() + kIdBytes + 16)};
}

std::size_t append_fields(const RecordView& record, std::vector<EntryField>& fields) {
  const std::size_t before = fields.size();
  if (record.key) fields.push_back({kKey, as_text(*record.key)});
  if (record.value) fields.push_back({kValue, as_text(*record.value)});
  if (record.header_count > 0) {
    const std::vector<HeaderView> headers = record.headers();
    for (const HeaderView& header : std::span(headers).subspan(says_id(headers.front()) ? 1 : 0)) {
      fields.push_back({header.name, text_of(header.value)});
    }
  }
  if (fields.size() == before) fields.push_back({kValue, {}});
  return fields.size() - before;
}

}  // namespace tidemark::broker
