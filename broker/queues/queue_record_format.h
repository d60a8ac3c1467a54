#pragma once

#include <cstddef>
#include <cstdint>

/// The payloads of a queue window's state records: values, not operations, so that a record says how things are and not how they came
/// about.
///
/// Every payload begins with a version byte. Numbers are zigzag varints unless said otherwise; `u` marks unsigned ones.
///
/// *Slice*: runs of entries in ascending order, up to the end of the payload. What no record speaks of is done.
///
///     gap u      offsets between the end of the run before (first: the slice's first offset) and this run
///     count u    entries, all alike
///     head u8    bits 0-2: state; 8: times follow; 16: failures follow; 32: a note of the last failure follows; 64: ids follow
///     member u   acquired only: its slot
///     due        delayed only: milliseconds since 1970 UTC
///     deliveries u, delivered     [times] the latter as difference to the one before in this payload (first: to 0)
///     failures u8                 [failures]
///     length u, bytes            [reason] one byte length of the last member's name, the name, the reason
///     per entry: ms, seq          [ids] ms as difference to the id before in this payload; seq as well where that is 0
///
/// *Head*: rows, each with a tag byte, up to the end of the payload. A row replaces what is known of its thing.
///
///     1 position  start, cursor
///     2 counters  done, filtered, gone, dead, redelivered, timed out
///     3 producer  id, epoch, next sequence
///     4 move      count u, first sequence, offsets as differences; count 0: none is under way
///     5 member    slot u, bytes u, name, created, seen, active
///     6 forgotten slot u; comes before the rows of members
///     7 stream    ms, seq of the last id; entries read (-1: not known), the cursor for which this is true
namespace tidemark::broker::queue_record {

inline constexpr std::byte kVersion{1};
/// Records are cut at this; the state log takes 4 MiB, and the longest run (65 536 ids of at most 20 bytes) fits behind it.
inline constexpr std::size_t kPartBytes = 1024 * 1024;
inline constexpr std::size_t kSlotsMax = std::size_t{1} << 24;

inline constexpr unsigned kStateMask = 7, kTimes = 8, kFailures = 16, kReason = 32, kIds = 64;

enum class Row : std::uint8_t { position = 1, counters = 2, producer = 3, move = 4, member = 5, forgotten = 6, stream = 7 };

}  // namespace tidemark::broker::queue_record
