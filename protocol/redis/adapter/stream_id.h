#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "broker/entry_id.h"

/// Entry ids as Redis writes and reads them (reference: https://redis.io/docs/latest/develop/data-types/streams/).
namespace tidemark::redis {

inline constexpr std::uint64_t kSequenceMax = std::numeric_limits<std::uint64_t>::max();

/// "1526919030474-55", without memory of its own: there is one for each entry added.
class IdText {
 public:
  explicit IdText(broker::EntryId id);
  operator std::string_view() const { return {text_.data(), size_}; }  // NOLINT: it is that text.

 private:
  std::array<char, 41> text_;  ///< Two numbers of 20 digits.
  std::size_t size_;
};
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
