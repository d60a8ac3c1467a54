#include "storage/segment_index.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "storage/base/check.h"
#include "storage/base/crc32c.h"

namespace tidemark::storage {
namespace {

constexpr std::uint32_t kMagic = 0x58494d54;  // "TMIX"
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kEstimated = 1;
constexpr std::size_t kTimedEntriesPerDoubling = 4096;

/// Bound to the base offset, so that an entry of another file is never taken for one of this.
std::uint32_t entry_crc(const std::byte* entry, Offset base) {
  std::array<std::byte, 8> owner;
  store_le(owner.data(), base.value);
  return crc32c(ByteView(entry, kIndexEntryBytes - 4), crc32c(owner));
}

std::optional<IndexEntry> decode_entry(const std::byte* at, Offset base) {
  if (load_le<std::uint32_t>(at + 52) != entry_crc(at, base)) return std::nullopt;
  const auto flags = load_le<std::uint32_t>(at + 48);
  if ((flags & ~kEstimated) != 0) return std::nullopt;
  return IndexEntry{.first_offset = base + load_le<std::uint32_t>(at),
                    .position = {load_le<std::uint32_t>(at + 4)},
                    .append_time = Timestamp(std::chrono::milliseconds(load_le<std::int64_t>(at + 16))),
                    .max_timestamp_ms = load_le<std::int64_t>(at + 24),
                    .first_id = {load_le<std::uint64_t>(at + 32), load_le<std::uint64_t>(at + 40)},
                    .bytes = load_le<std::uint32_t>(at + 8),
                    .interval_crc = load_le<std::uint32_t>(at + 12),
                    .estimated = (flags & kEstimated) != 0};
}

}  // namespace

std::optional<std::size_t> SegmentIndex::find_offset(Offset target) const {
  if (entries.empty()) return std::nullopt;
  const auto past = std::ranges::upper_bound(entries, target, {}, &IndexEntry::first_offset);
  return past == entries.begin() ? 0 : static_cast<std::size_t>(std::distance(entries.begin(), past)) - 1;
}

std::optional<std::size_t> SegmentIndex::find_timestamp(std::int64_t time_ms) const {
  const auto hit = std::ranges::lower_bound(entries, time_ms, {}, &IndexEntry::max_timestamp_ms);
  if (hit == entries.end()) return std::nullopt;
  return static_cast<std::size_t>(std::distance(entries.begin(), hit));
}

std::optional<std::size_t> SegmentIndex::find_append_time(Timestamp time) const {
  const auto past = std::ranges::upper_bound(entries, time, {}, &IndexEntry::append_time);
  if (past == entries.begin()) return std::nullopt;
  return static_cast<std::size_t>(std::distance(entries.begin(), past)) - 1;
}

bool starts_interval(const IndexEntry& last, std::size_t entry_count, Timestamp time) {
  if (last.bytes >= kIndexIntervalBytes) return true;
  const std::size_t asked_by_bytes = last.position.value / kIndexIntervalBytes;
  const std::size_t timed = entry_count > asked_by_bytes ? entry_count - asked_by_bytes : 0;
  const std::size_t doublings = std::min<std::size_t>(timed / kTimedEntriesPerDoubling, 20);
  return time - last.append_time >= std::chrono::seconds(std::int64_t{1} << doublings);
}

ByteVector encode_index_header(Offset base) {
  ByteVector header(kIndexHeaderBytes);
  store_le(header.data(), kMagic);
  store_le(header.data() + 4, kVersion);
  store_le(header.data() + 8, base.value);
  return header;
}

void encode_index_entry(ByteVector& out, Offset base, const IndexEntry& entry) {
  CHECK(entry.first_offset >= base);
  CHECK(entry.first_offset - base <= std::numeric_limits<std::uint32_t>::max());
  CHECK(entry.position.value <= std::numeric_limits<std::uint32_t>::max());
  out.resize(out.size() + kIndexEntryBytes);
  std::byte* const at = out.data() + out.size() - kIndexEntryBytes;
  store_le(at, static_cast<std::uint32_t>(entry.first_offset - base));
  store_le(at + 4, static_cast<std::uint32_t>(entry.position.value));
  store_le(at + 8, entry.bytes);
  store_le(at + 12, entry.interval_crc);
  store_le(at + 16, static_cast<std::int64_t>(entry.append_time.time_since_epoch().count()));
  store_le(at + 24, entry.max_timestamp_ms);
  store_le(at + 32, entry.first_id.ms);
  store_le(at + 40, entry.first_id.seq);
  store_le(at + 48, entry.estimated ? kEstimated : std::uint32_t{0});
  store_le(at + 52, entry_crc(at, base));
}

SegmentIndex decode_index(ByteView file, Offset base) {
  SegmentIndex index;
  if (file.size() < kIndexHeaderBytes || load_le<std::uint32_t>(file.data()) != kMagic ||
      load_le<std::uint32_t>(file.data() + 4) != kVersion || load_le<std::int64_t>(file.data() + 8) != base.value) {
    return index;
  }
  for (ByteView rest = file.subspan(kIndexHeaderBytes); rest.size() >= kIndexEntryBytes; rest = rest.subspan(kIndexEntryBytes)) {
    const std::optional<IndexEntry> entry = decode_entry(rest.data(), base);
    if (!entry || entry->bytes == 0 || entry->position != index.covered()) break;
    if (!index.entries.empty()) {
      const IndexEntry& last = index.entries.back();
      if (entry->first_offset <= last.first_offset || entry->append_time < last.append_time ||
          entry->max_timestamp_ms < last.max_timestamp_ms)
        break;
    }
    index.entries.push_back(*entry);
  }
  return index;
}

}  // namespace tidemark::storage
