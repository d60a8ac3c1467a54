#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/base/bytes.h"

namespace tidemark::redis {

/// The arguments of one request, the command's name first. Views into the bytes that they were parsed from.
using Arguments = std::vector<std::string_view>;

/// A decimal number as Redis takes one: no sign but a minus, no leading zero, no blank, the whole text. nullopt: none, or beyond 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text);
/// The same without a sign.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);

/// Splits a line typed by a person into arguments: blanks separate, "double quotes" know \xNN \n \r \t \b \a \\ \", 'single' ones only \'.
/// Quoted text is unescaped where it stands, so the line changes. False: quotes are not balanced; the line may have changed all the same.
bool split_inline(MutableBytes line, Arguments& arguments);
/// Whether split_inline() would succeed.
bool has_balanced_quotes(ByteView line);

/// Parses one whole request (as RequestScanner finds them) from the start of `bytes` and returns its size. No arguments: there is nothing
/// to do or to answer (an empty line, an array of no elements). `arguments` is reused; the views live as long as the bytes.
std::size_t parse_request(MutableBytes bytes, Arguments& arguments);

}  // namespace tidemark::redis
