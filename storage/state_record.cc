#include "storage/state_record.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "storage/base/crc32c.h"

namespace tidemark::storage {
namespace {

constexpr std::string_view kMagic = "TMKSTATE";
constexpr std::string_view kSuffix = ".state";
constexpr std::size_t kNumberDigits = 20;

constexpr std::uint8_t kLastPart = 1;
constexpr std::uint8_t kBegins = 2;

template <std::integral T>
void put(ByteVector& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  store_le(out.data() + at, value);
}

void put(ByteVector& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

bool is_type(std::uint8_t value) { return value >= 1 && value <= static_cast<std::uint8_t>(StateRecordType::deleted); }
bool is_kind(std::uint8_t value) { return value >= 1 && value <= static_cast<std::uint8_t>(StreamKind::broker); }

std::string_view kind_name(StreamKind kind) {
  switch (kind) {
    case StreamKind::metadata:
      return "metadata";
    case StreamKind::partition:
      return "partition";
    case StreamKind::group:
      return "group";
    case StreamKind::group_partition:
      return "group partition";
    case StreamKind::transaction:
      return "transaction";
    case StreamKind::job:
      return "job";
    case StreamKind::broker:
      return "broker";
  }
  return "unknown";
}

}  // namespace

StateChain encode_state_header(const StateFileHeader& header, ByteVector& out) {
  const std::size_t start = out.size();
  put(out, as_bytes(kMagic));
  put(out, std::uint32_t{kStateVersion});  // The version byte and three zeros.
  put(out, header.previous_chain);
  put(out, header.number);
  put(out, header.previous_end);
  const StateChain chain = crc32c(ByteView(out).subspan(start));
  put(out, chain);
  CHECK(out.size() - start == kStateHeaderBytes);
  return chain;
}

Result<DecodedStateHeader> decode_state_header(ByteView bytes) {
  if (bytes.size() < kStateHeaderBytes) return Error{Errc::corrupt_batch, "the header is cut off"};
  if (as_text(bytes.first(kMagic.size())) != kMagic) return Error{Errc::corrupt_batch, "the header has no magic"};
  const auto version = load_le<std::uint8_t>(bytes.data() + 8);
  if (version > kStateVersion)
    return Error{Errc::foreign_data, "written by a newer version (format " + std::to_string(version) + ", this one knows " +
                                         std::to_string(kStateVersion) + ")"};
  DecodedStateHeader decoded;
  decoded.chain = crc32c(bytes.first(kStateHeaderBytes - 4));
  if (load_le<std::uint32_t>(bytes.data() + kStateHeaderBytes - 4) != decoded.chain ||
      load_le<std::uint32_t>(bytes.data() + 8) != kStateVersion)
    return Error{Errc::corrupt_batch, "the header's checksum does not match"};
  decoded.header.previous_chain = load_le<std::uint32_t>(bytes.data() + 12);
  decoded.header.number = load_le<std::uint64_t>(bytes.data() + 16);
  decoded.header.previous_end = load_le<std::uint64_t>(bytes.data() + 24);
  return decoded;
}

StateChain encode_state_record(const StateRecord& record, bool begins, StateChain chain, ByteVector& out) {
  CHECK(record.stream.id.size() <= kStateIdBytesMax);
  CHECK(record.payload.size() <= kStatePayloadBytesMax);
  const std::size_t start = out.size();
  const std::size_t bytes = StateLog::encoded_size(record);
  put(out, std::uint32_t{0});  // The crc, below.
  put(out, static_cast<std::uint32_t>(bytes));
  put(out, kStateVersion);
  put(out, static_cast<std::uint8_t>(record.type));
  put(out, static_cast<std::uint8_t>(record.stream.kind));
  put(out, static_cast<std::uint8_t>((record.last_part ? kLastPart : 0) | (begins ? kBegins : 0)));
  put(out, static_cast<std::uint32_t>(record.stream.id.size()));  // 16 bits and two zeros.
  put(out, record.sequence);
  put(out, as_bytes(record.stream.id));
  put(out, record.payload);
  CHECK(out.size() - start == bytes);
  const StateChain next = crc32c(ByteView(out).subspan(start + 4), chain);
  store_le(out.data() + start, next);
  return next;
}

std::optional<std::size_t> claimed_state_record_bytes(ByteView first_8) {
  CHECK(first_8.size() >= 8);
  const std::size_t bytes = load_le<std::uint32_t>(first_8.data() + 4);
  if (bytes < kStateRecordOverhead || bytes > kStateRecordBytesMax) return std::nullopt;
  return bytes;
}

Result<StateRecordFrame> decode_state_record(ByteView bytes, StateChain& chain) {
  if (bytes.size() < kStateRecordOverhead) return Error{Errc::corrupt_batch, "length"};
  const std::optional<std::size_t> claimed = claimed_state_record_bytes(bytes);
  if (!claimed || *claimed > bytes.size()) return Error{Errc::corrupt_batch, "length"};
  bytes = bytes.first(*claimed);
  const StateChain next = crc32c(bytes.subspan(4), chain);
  if (load_le<std::uint32_t>(bytes.data()) != next) return Error{Errc::corrupt_batch, "crc"};

  const auto version = load_le<std::uint8_t>(bytes.data() + 8);
  const auto type = load_le<std::uint8_t>(bytes.data() + 9);
  const auto kind = load_le<std::uint8_t>(bytes.data() + 10);
  const auto flags = load_le<std::uint8_t>(bytes.data() + 11);
  const std::size_t id_bytes = load_le<std::uint32_t>(bytes.data() + 12);
  if (version != kStateVersion || !is_type(type) || !is_kind(kind) || (flags & ~(kLastPart | kBegins)) != 0 ||
      id_bytes > kStateIdBytesMax || id_bytes > bytes.size() - kStateRecordOverhead)
    return Error{Errc::foreign_data, "a record of a newer version"};

  StateRecordFrame frame;
  frame.type = static_cast<StateRecordType>(type);
  frame.last_part = (flags & kLastPart) != 0;
  frame.begins = (flags & kBegins) != 0;
  frame.kind = static_cast<StreamKind>(kind);
  frame.sequence = load_le<std::uint64_t>(bytes.data() + 16);
  frame.id = as_text(bytes.subspan(kStateRecordOverhead, id_bytes));
  frame.payload = bytes.subspan(kStateRecordOverhead + id_bytes);
  frame.bytes = bytes.size();
  chain = next;
  return frame;
}

std::string state_file_name(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kNumberDigits - digits.size(), '0') + digits + std::string(kSuffix);
}

std::optional<std::uint64_t> parse_state_file_name(std::string_view name) {
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = name.data() + kNumberDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc() || stop != end || number == 0) return std::nullopt;
  return number;
}

std::string describe(const StreamKey& stream) {
  std::string text(kind_name(stream.kind));
  if (stream.id.empty()) return text;
  const bool printable = std::ranges::all_of(stream.id, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (printable) return text + " '" + stream.id + "'";
  text += " 0x";
  for (const char c : stream.id) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    text += hex;
  }
  return text;
}

}  // namespace tidemark::storage
