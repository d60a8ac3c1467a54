#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "broker/entry_id.h"

/// Entry ids as Redis writes and reads them (reference: https://redis.io/docs/latest/develop/data-types/streams/).
namespace tidemark::redis {

inline constexpr std::uint64_t kSequenceMax = std::numeric_limits<std::uint64_t>::max();

/// "1526919030474-55"
std::string to_text(broker::EntryId id);

/// `<ms>` or `<ms>-<seq>`, numbers as C's strtoull takes them; a missing sequence is `missing_sequence`.
std::optional<broker::EntryId> parse_id(std::string_view text, std::uint64_t missing_sequence);

/// parse_id(), and `-` and `+` for the smallest and the largest.
std::optional<broker::EntryId> parse_id_or_end(std::string_view text, std::uint64_t missing_sequence);

/// What stands before the fields of XADD, apart from `*`.
struct AddId {
  broker::EntryId id;
  bool sequence_given = true;  ///< False: `<ms>-*`.
};
std::optional<AddId> parse_add_id(std::string_view text);

/// A bound of a range; `(` in front leaves the id itself out.
struct Bound {
  broker::EntryId id;
  bool exclusive = false;
};
std::optional<Bound> parse_bound(std::string_view text, std::uint64_t missing_sequence);

/// The ids next to one. nullopt: there is none.
std::optional<broker::EntryId> after(broker::EntryId id);
std::optional<broker::EntryId> before(broker::EntryId id);

}  // namespace tidemark::redis
