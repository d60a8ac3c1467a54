#include "broker/entries/entry_ids.h"

#include <algorithm>
#include <limits>

namespace tidemark::broker {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

}  // namespace

std::optional<EntryId> id_after(EntryId id) {
  if (id.seq < kMax) return EntryId{id.ms, id.seq + 1};
  if (id.ms < kMax) return EntryId{id.ms + 1, 0};
  return std::nullopt;
}

std::optional<EntryId> id_before(EntryId id) {
  if (id.seq > 0) return EntryId{id.ms, id.seq - 1};
  if (id.ms > 0) return EntryId{id.ms - 1, kMax};
  return std::nullopt;
}

ChosenId choose_id(const EntryIdAsked& asked, EntryId last, std::uint64_t now_ms) {
  if (asked.kind == EntryIdAsked::Kind::exact && asked.id == EntryId{}) return {EntryRefusal::id_zero, {}};
  const std::optional<EntryId> next = id_after(last);
  if (!next) return {EntryRefusal::ids_exhausted, {}};
  if (asked.kind == EntryIdAsked::Kind::automatic) {
    if (now_ms > last.ms) return {EntryRefusal::none, {now_ms, 0}};
    return {EntryRefusal::none, *next};
  }
  EntryId id = asked.id;
  if (asked.kind == EntryIdAsked::Kind::automatic_seq) {
    if (id.ms == last.ms && last.seq == kMax) return {EntryRefusal::id_not_above_last, {}};
    id.seq = id.ms == last.ms ? last.seq + 1 : 0;
  }
  if (id <= last) return {EntryRefusal::id_not_above_last, {}};
  return {EntryRefusal::none, id};
}

Offset offset_of_id(EntryId id) {
  constexpr auto kOffsetMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::uint64_t behind = id.seq > 0 ? 1 : 0;
  if (id.ms >= kOffsetMax) return Offset{std::numeric_limits<std::int64_t>::max()};
  return Offset{static_cast<std::int64_t>(id.ms + behind) - (id.ms + behind > 0 ? 1 : 0)};
}

}  // namespace tidemark::broker
