#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/entries/entry_types.h"
#include "protocol/redis/adapter/command.h"

namespace tidemark::redis {

/// KEEPREF, DELREF, ACKED, in any case.
std::optional<broker::EntryReferences> parse_references(std::string_view word);

/// `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`, as XDELEX and XACKDEL have it; the ids themselves are judged later, because Redis
/// looks for the key in between.
struct RemovalOptions {
  broker::EntryReferences references = broker::EntryReferences::keep;
  std::size_t first_id = 0;  ///< Its argument.
  std::size_t ids = 0;
  std::string error;  ///< Not empty: why the options are none; the rest says nothing.
};
/// Reads from argument `at` on.
RemovalOptions parse_removal_options(const Request& request, std::size_t at);

/// nullopt: one of them is no id.
std::optional<std::vector<broker::EntryId>> parse_ids(const Request& request, std::size_t first, std::size_t count);

}  // namespace tidemark::redis
