#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"

namespace tidemark::redis {

/// `[id, [field, value, ...]]`, flat in both versions of the protocol.
void write_entry(RespWriter& reply, const broker::Entry& entry);
/// The two parts alone, in an array that the caller began.
void write_entry_parts(RespWriter& reply, const broker::Entry& entry);

/// Entries as they stand in a reply.
struct RangeReply {
  std::size_t count = 0;
  std::string entries;  ///< One after another, without a header.
};

/// A reply takes no more memory than this, whatever a client asks for without COUNT.
inline constexpr std::size_t kRangeReplyBytesMax = 256 * 1024 * 1024;

/// Reads all entries of a range, page by page. Error invalid_argument beyond kRangeReplyBytesMax, which says so in full; others as
/// broker::Entries::read().
void read_range(const Call& call, broker::TopicPartition where, broker::EntryRange range, std::function<void(Result<RangeReply>)> done);

}  // namespace tidemark::redis
