#pragma once

#include <cstdint>
#include <optional>

#include "broker/entries/entry_types.h"

/// Arithmetic of entry ids (https://redis.io/docs/latest/develop/data-types/streams/).
namespace tidemark::broker {

/// The sequence counts on and carries into the millisecond. nullopt behind the largest.
std::optional<EntryId> id_after(EntryId id);
/// nullopt before 0-0.
std::optional<EntryId> id_before(EntryId id);

struct ChosenId {
  EntryRefusal refused = EntryRefusal::none;
  EntryId id;
};
/// The id of the next entry of a stream whose last one was `last`, as XADD forms it.
ChosenId choose_id(const EntryIdAsked& asked, EntryId last, std::uint64_t now_ms);

/// Where ids follow from offsets: `<offset + 1>-0`.
constexpr EntryId id_of_offset(Offset offset) { return {static_cast<std::uint64_t>(offset.value) + 1, 0}; }
/// The first offset whose id is not below `id`.
Offset offset_of_id(EntryId id);

}  // namespace tidemark::broker
