#include "storage/seal.h"

#include <limits>

#include "storage/base/check.h"
#include "storage/base/crc32c.h"

namespace tidemark::storage {
namespace {

constexpr std::uint32_t kMagic = 0x4c534d54;  // "TMSL"
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kCleaned = 1;

Timestamp load_time(const std::byte* at) { return Timestamp(std::chrono::milliseconds(load_le<std::int64_t>(at))); }
void store_time(std::byte* at, Timestamp time) { store_le(at, static_cast<std::int64_t>(time.time_since_epoch().count())); }

Error bad_seal(const char* what) { return {Errc::corrupt_batch, std::string("seal: ") + what}; }

std::uint32_t interval_count(ByteView file) { return load_le<std::uint32_t>(file.data() + 56); }

}  // namespace

std::uint64_t Seal::interval_bytes(std::size_t i) const {
  return (i + 1 < intervals.size() ? intervals[i + 1].position.value : log_bytes) - intervals[i].position.value;
}

Offset Seal::interval_end(std::size_t i) const { return i + 1 < intervals.size() ? intervals[i + 1].first_offset : end; }

ByteVector encode_seal(const Seal& seal) {
  CHECK(seal.log_bytes <= std::numeric_limits<std::uint32_t>::max());
  ByteVector file(kSealHeaderBytes + seal.intervals.size() * kSealIntervalBytes + 4);
  std::byte* const header = file.data();
  store_le(header, kMagic);
  store_le(header + 4, kVersion);
  store_le(header + 5, seal.cleaned ? kCleaned : std::uint8_t{0});
  store_le(header + 6, std::uint16_t{0});
  store_le(header + 8, seal.base.value);
  store_le(header + 16, seal.end.value);
  store_le(header + 24, seal.log_bytes);
  store_le(header + 32, seal.max_timestamp_ms);
  store_time(header + 40, seal.first_append);
  store_time(header + 48, seal.last_append);
  store_le(header + 56, static_cast<std::uint32_t>(seal.intervals.size()));
  store_le(header + 60, crc32c(ByteView(header, 60)));
  std::byte* at = header + kSealHeaderBytes;
  for (const SealInterval& interval : seal.intervals) {
    store_le(at, static_cast<std::uint32_t>(interval.first_offset - seal.base));
    store_le(at + 4, static_cast<std::uint32_t>(interval.position.value));
    store_le(at + 8, interval.crc);
    at += kSealIntervalBytes;
  }
  store_le(at, crc32c(ByteView(header, file.size() - 4)));
  return file;
}

Result<Seal> decode_seal_header(ByteView file, Offset base) {
  if (file.size() < kSealHeaderBytes) return bad_seal("too short");
  const std::byte* const header = file.data();
  if (load_le<std::uint32_t>(header) != kMagic) return bad_seal("foreign file");
  if (load_le<std::uint32_t>(header + 60) != crc32c(file.first(60))) return bad_seal("header checksum");
  if (load_le<std::uint8_t>(header + 4) != kVersion) return bad_seal("unknown version");
  Seal seal{.base = {load_le<std::int64_t>(header + 8)},
            .end = {load_le<std::int64_t>(header + 16)},
            .log_bytes = load_le<std::uint64_t>(header + 24),
            .max_timestamp_ms = load_le<std::int64_t>(header + 32),
            .first_append = load_time(header + 40),
            .last_append = load_time(header + 48),
            .cleaned = (load_le<std::uint8_t>(header + 5) & kCleaned) != 0,
            .intervals = {}};
  if (seal.base != base) return bad_seal("of another segment");
  if (seal.end < seal.base || seal.log_bytes > std::numeric_limits<std::uint32_t>::max()) return bad_seal("impossible length");
  return seal;
}

Result<Seal> decode_seal(ByteView file, Offset base) {
  Result<Seal> seal = decode_seal_header(file, base);
  if (!seal) return seal;
  const std::size_t count = interval_count(file);
  if ((file.size() - kSealHeaderBytes) / kSealIntervalBytes < count || file.size() != kSealHeaderBytes + count * kSealIntervalBytes + 4) {
    return bad_seal("wrong size");
  }
  if (load_le<std::uint32_t>(file.data() + file.size() - 4) != crc32c(file.first(file.size() - 4))) return bad_seal("checksum");
  seal->intervals.reserve(count);
  for (const std::byte* at = file.data() + kSealHeaderBytes; seal->intervals.size() < count; at += kSealIntervalBytes) {
    const SealInterval interval{base + load_le<std::uint32_t>(at), {load_le<std::uint32_t>(at + 4)}, load_le<std::uint32_t>(at + 8)};
    const bool follows = seal->intervals.empty() ? interval.position.value == 0
                                                 : interval.position > seal->intervals.back().position &&
                                                       interval.first_offset > seal->intervals.back().first_offset;
    if (!follows || interval.position.value >= seal->log_bytes || interval.first_offset >= seal->end)
      return bad_seal("intervals do not adjoin");
    seal->intervals.push_back(interval);
  }
  if (seal->intervals.empty() != (seal->log_bytes == 0)) return bad_seal("intervals do not cover the log");
  return seal;
}

}  // namespace tidemark::storage
