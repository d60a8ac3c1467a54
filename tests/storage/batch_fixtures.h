#pragma once

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/crc32c.h"
#include "storage/batch/record_batch.h"

namespace tidemark {

inline void PrintTo(Codec codec, std::ostream* out) { *out << to_string(codec); }

namespace testing_support {

inline constexpr std::array kAllCodecs = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

/// Bytes written as hex; everything that is no hex digit only groups them.
inline ByteVector from_hex(std::string_view hex) {
  ByteVector bytes;
  int high = -1;
  for (const char c : hex) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) continue;
    if (high < 0) {
      high = static_cast<int>(digit);
    } else {
      bytes.push_back(static_cast<std::byte>(high << 4 | static_cast<int>(digit)));
      high = -1;
    }
  }
  return bytes;
}

inline ByteVector copy(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

/// Gives `batch` the checksum its bytes have, so that a test reaches what is judged behind it. Written apart from the code under test.
inline void reseal(ByteVector& batch) { store_be<std::uint32_t>(batch.data() + 17, crc32c(ByteView(batch).subspan(21))); }

/// A batch of `count` records around these hand-written record bytes, in every other field one that is accepted.
inline ByteVector batch_of(std::string_view record_hex, std::int32_t count) {
  ByteVector batch = from_hex(
      "0000000000000000 00000000 00000000 02 00000000 0000 00000000 0000000000000064 0000000000000064 ffffffffffffffff ffff ffffffff "
      "00000000");
  const ByteVector records = from_hex(record_hex);
  batch.insert(batch.end(), records.begin(), records.end());
  store_be<std::int32_t>(batch.data() + 8, static_cast<std::int32_t>(batch.size() - 12));
  store_be<std::int32_t>(batch.data() + 23, count - 1);
  store_be<std::int32_t>(batch.data() + 57, count);
  reseal(batch);
  return batch;
}

/// A record that owns its bytes, to compare with.
struct OwnedHeader {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const OwnedHeader&) const = default;
};
struct OwnedRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<OwnedHeader> headers;
  bool operator==(const OwnedRecord&) const = default;
};
inline void PrintTo(const OwnedRecord& record, std::ostream* out) {
  *out << record.offset << '@' << record.timestamp_ms << ' ' << record.key.value_or("(null)") << '=' << record.value.value_or("(null)");
  for (const OwnedHeader& header : record.headers) *out << ' ' << header.name << ':' << header.value.value_or("(null)");
}

inline std::optional<std::string> owned(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return to_string(*bytes);
}

inline OwnedRecord owned(const RecordView& record) {
  OwnedRecord copied{record.offset.value, record.timestamp_ms, owned(record.key), owned(record.value), {}};
  for (const HeaderView& header : record.headers()) copied.headers.push_back({std::string(header.name), owned(header.value)});
  return copied;
}

/// All records of a batch, or the first error on the way.
inline Result<std::vector<OwnedRecord>> read_all(ByteView batch) {
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return reader.error();
  std::vector<OwnedRecord> records;
  RecordView record;
  for (;;) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) return records;
    records.push_back(owned(record));
  }
}

inline std::optional<ByteView> view_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}

inline void add(BatchBuilder& builder, const OwnedRecord& record) {
  std::vector<HeaderView> headers;
  for (const OwnedHeader& header : record.headers) headers.push_back({header.name, view_of(header.value)});
  builder.add({.key = view_of(record.key), .value = view_of(record.value), .timestamp_ms = record.timestamp_ms, .headers = headers});
}

inline Slice build(const std::vector<OwnedRecord>& records, BatchBuilder::Options options = {}) {
  BatchBuilder builder(options);
  for (const OwnedRecord& record : records) add(builder, record);
  return builder.build();
}

/// One of each: null and empty keys and values, headers without and with values, the same header twice, times out of order.
inline std::vector<OwnedRecord> varied_records() {
  return {
      {0, 1'700'000'000'000, "key", "value", {}},
      {1, 1'700'000'000'250, std::nullopt, "no key", {}},
      {2, 1'699'999'999'000, "no value", std::nullopt, {}},
      {3, 1'700'000'000'001, "", "", {}},
      {4, 1'700'000'000'001, std::nullopt, std::nullopt, {{"h", "1"}, {"h", "2"}, {"", ""}, {"null", std::nullopt}}},
      {5, 1'700'000'000'002, "long", std::string(3000, 'x') + std::string(300, 'y'), {{std::string(200, 'n'), std::string(9000, 'v')}}}};
}

}  // namespace testing_support
}  // namespace tidemark
