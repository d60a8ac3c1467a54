#pragma once

#include <string_view>

namespace tidemark::redis {

/// Redis's patterns: `*`, `?`, `[abc]`, `[^a-c]`, and `\` before a character that is meant as itself. In time linear in the product of the
/// lengths at worst: stars do not multiply. (https://redis.io/docs/latest/commands/keys/)
bool matches_glob(std::string_view pattern, std::string_view text);
/// The same without regard to the case of ASCII letters, as CONFIG GET compares.
bool matches_glob_in_any_case(std::string_view pattern, std::string_view text);

}  // namespace tidemark::redis
