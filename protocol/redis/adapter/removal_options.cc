#include "protocol/redis/adapter/removal_options.h"

#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {

using broker::EntryReferences;

std::optional<EntryReferences> parse_references(std::string_view word) {
  if (is_word(word, "KEEPREF")) return EntryReferences::keep;
  if (is_word(word, "DELREF")) return EntryReferences::drop;
  if (is_word(word, "ACKED")) return EntryReferences::respect;
  return std::nullopt;
}

RemovalOptions parse_removal_options(const Request& request, std::size_t at) {
  RemovalOptions options;
  std::optional<EntryReferences> references;
  const auto refuse = [&options](std::string_view why) {
    options.error = why;
    return options;
  };
  while (at < request.size()) {
    const std::optional<EntryReferences> word = parse_references(request[at]);
    if (word && !references) {
      references = word;
      ++at;
    } else if (is_word(request[at], "IDS") && at + 1 < request.size()) {
      const std::optional<std::int64_t> count = parse_integer(request[at + 1]);
      if (!count || *count < 1) return refuse("ERR Number of IDs must be a positive integer");
      options.first_id = at + 2;
      if (static_cast<std::uint64_t>(*count) > request.size() - options.first_id) {
        return refuse("ERR The `numids` parameter must match the number of arguments");
      }
      options.ids = static_cast<std::size_t>(*count);
      at = options.first_id + options.ids;
    } else {
      return refuse(kSyntaxError);
    }
  }
  if (options.ids == 0) return refuse("ERR IDS option is required");
  options.references = references.value_or(EntryReferences::keep);
  return options;
}

std::optional<std::vector<broker::EntryId>> parse_ids(const Request& request, std::size_t first, std::size_t count) {
  std::vector<broker::EntryId> ids;
  for (std::size_t i = first; i < first + count; ++i) {
    const std::optional<broker::EntryId> id = parse_id(request[i], 0);
    if (!id) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace tidemark::redis
