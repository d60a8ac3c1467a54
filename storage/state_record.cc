#include "storage/state_record.h"

#include <cstring>

#include "storage/base/crc32c.h"

namespace tidemark::storage {
namespace {

constexpr std::uint64_t kMagic = 0x45544154534d4454;  // "TDMSTATE"
constexpr std::uint8_t kVersion = 1;

// Record layout.
constexpr std::size_t kCrcAt = 0;        // u32, of everything after it, begun with the chain
constexpr std::size_t kPayloadAt = 4;    // u32 length of the payload
constexpr std::size_t kIdLengthAt = 8;   // u16
constexpr std::size_t kVersionAt = 10;   // u8
constexpr std::size_t kTypeAt = 11;      // u8
constexpr std::size_t kKindAt = 12;      // u8
constexpr std::size_t kFlagsAt = 13;     // u8, 1 = last part; 14..15 zero
constexpr std::size_t kSequenceAt = 16;  // u64
constexpr std::size_t kMarkAt = 24;      // u32, never zero: a run of zeros is no record
constexpr std::uint32_t kMark = 0x7265636f;

}  // namespace

ByteVector encode_state_file_header(std::uint64_t number) {
  ByteVector header(kStateFileHeaderBytes);
  store_le(header.data(), kMagic);
  store_le<std::uint32_t>(header.data() + 8, kVersion);
  store_le(header.data() + 12, number);
  store_le(header.data() + 20, crc32c(ByteView(header).first(20)));
  return header;
}

Result<void> check_state_file_header(ByteView bytes, std::uint64_t number) {
  if (bytes.size() < kStateFileHeaderBytes) return Error{Errc::corrupt_batch, "shorter than its header"};
  if (load_le<std::uint32_t>(bytes.data() + 20) != crc32c(bytes.first(20))) return Error{Errc::corrupt_batch, "bad header checksum"};
  if (load_le<std::uint64_t>(bytes.data()) != kMagic) return Error{Errc::corrupt_batch, "not a state file"};
  if (load_le<std::uint32_t>(bytes.data() + 8) != kVersion) {
    return Error{Errc::foreign_data, "written by a newer version of Tidemark; use that version"};
  }
  if (load_le<std::uint64_t>(bytes.data() + 12) != number) return Error{Errc::corrupt_batch, "the number inside is another"};
  return {};
}

std::uint32_t encode_state_record(ByteVector& out, const StateRecord& record, std::uint32_t chain) {
  const std::string& id = record.stream.id;
  CHECK(id.size() <= kStateStreamIdBytesMax);
  CHECK(record.payload.size() <= kStatePayloadBytesMax);
  const std::size_t start = out.size();
  out.resize(start + kStateRecordHeaderBytes + id.size() + record.payload.size());
  std::byte* const at = out.data() + start;
  store_le(at + kPayloadAt, static_cast<std::uint32_t>(record.payload.size()));
  store_le(at + kIdLengthAt, static_cast<std::uint16_t>(id.size()));
  store_le(at + kVersionAt, kVersion);
  store_le(at + kTypeAt, static_cast<std::uint8_t>(record.type));
  store_le(at + kKindAt, static_cast<std::uint8_t>(record.stream.kind));
  store_le(at + kFlagsAt, static_cast<std::uint8_t>(record.last_part ? 1 : 0));
  store_le<std::uint16_t>(at + kFlagsAt + 1, 0);
  store_le(at + kSequenceAt, record.sequence);
  store_le(at + kMarkAt, kMark);
  if (!id.empty()) std::memcpy(at + kStateRecordHeaderBytes, id.data(), id.size());
  if (!record.payload.empty()) {
    std::memcpy(at + kStateRecordHeaderBytes + id.size(), record.payload.data(), record.payload.size());
  }
  const std::uint32_t crc = crc32c(ByteView(out).subspan(start + kPayloadAt), chain);
  store_le(at + kCrcAt, crc);
  return crc;
}

std::optional<DecodedStateRecord> decode_state_record(ByteView bytes, std::uint32_t chain) {
  if (bytes.size() < kStateRecordHeaderBytes || load_le<std::uint32_t>(bytes.data() + kMarkAt) != kMark) return std::nullopt;
  const std::size_t payload = load_le<std::uint32_t>(bytes.data() + kPayloadAt);
  const std::size_t id = load_le<std::uint16_t>(bytes.data() + kIdLengthAt);
  if (payload > kStatePayloadBytesMax || id > kStateStreamIdBytesMax) return std::nullopt;
  const std::size_t size = kStateRecordHeaderBytes + id + payload;
  if (bytes.size() < size) return std::nullopt;
  const std::uint32_t crc = crc32c(bytes.subspan(kPayloadAt, size - kPayloadAt), chain);
  if (crc != load_le<std::uint32_t>(bytes.data() + kCrcAt)) return std::nullopt;
  const auto type = load_le<std::uint8_t>(bytes.data() + kTypeAt);
  const auto kind = load_le<std::uint8_t>(bytes.data() + kKindAt);
  if (load_le<std::uint8_t>(bytes.data() + kVersionAt) != kVersion || type < 1 || type > 4 || kind < 1 || kind > 7) return std::nullopt;
  DecodedStateRecord decoded;
  decoded.record.stream = {static_cast<StreamKind>(kind), to_string(bytes.subspan(kStateRecordHeaderBytes, id))};
  decoded.record.type = static_cast<StateRecordType>(type);
  decoded.record.last_part = (load_le<std::uint8_t>(bytes.data() + kFlagsAt) & 1) != 0;
  decoded.record.sequence = load_le<std::uint64_t>(bytes.data() + kSequenceAt);
  const ByteView body = bytes.subspan(kStateRecordHeaderBytes + id, payload);
  decoded.record.payload.assign(body.begin(), body.end());
  decoded.crc = crc;
  decoded.size = size;
  return decoded;
}

}  // namespace tidemark::storage
