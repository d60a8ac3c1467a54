#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/entries/entry_types.h"
#include "protocol/redis/adapter/command.h"
#include "protocol/redis/adapter/stream_id.h"

namespace tidemark::redis {

/// The options that XADD and XTRIM share, read as Redis reads them: from the second argument on, in any order, up to what is none.
struct StreamOptions {
  std::optional<broker::EntryTrim> trim;
  broker::EntryReferences references = broker::EntryReferences::keep;
  bool no_mkstream = false;
  std::optional<AddId> id;  ///< XADD: what was given; nullopt for `*`.
  /// XADD IDMP: by what the producer tells this entry; IDMPAUTO: the entry itself is empty, and told by its fields.
  std::optional<std::string_view> producer, once;
  std::size_t fields_at = 0;  ///< XADD: the argument behind the id.
  std::string error;          ///< Not empty: why the options are none; the rest says nothing.
};

/// What the setting stream-node-max-entries means for the engine: 0 puts no bound on the entries of a node.
std::uint32_t node_size(std::uint64_t node_entries);

/// `node_entries`: how many entries approximate trimming takes as one.
StreamOptions parse_stream_options(const Request& request, bool xadd, std::uint64_t node_entries);

}  // namespace tidemark::redis
