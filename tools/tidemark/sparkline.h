#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Numbers for narrow columns.
namespace tidemark::tools {

/// The last `width` values as one character each, from `▁` (0) to `█` (the highest of them); blanks where there are not so many yet.
/// All zero is a flat line. Values below 0 count as 0.
std::string sparkline(std::span<const double> values, std::size_t width);

/// At most six characters: "0", "99999", "123k", "18.2M".
std::string short_count(std::uint64_t count);
/// "0/s", "5.8/s", "123/s", "12.3k/s"; "-" when it is not known.
std::string short_rate(std::optional<double> per_second);

/// Characters of UTF-8 text, each counted as one column.
std::size_t columns_of(std::string_view text);
/// Exactly `width` columns: padded (at the left where `right`), or cut, with `…` as the last character.
std::string fit(std::string_view text, std::size_t width, bool right = false);

}  // namespace tidemark::tools
