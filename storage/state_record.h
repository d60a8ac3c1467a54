#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/state_log.h"

/// The bytes of a state log file: one header, then records back to back. Pure functions; state_log.h says what the records mean.
///
///     header  magic "TMKSTATE" 8 | version u8, 3 zero | previous chain u32 | number u64 | previous end u64 | crc u32
///     record  crc u32 | length u32 | version u8 | type u8 | kind u8 | flags u8 | id length u16, 2 zero | sequence u64 | id | payload
///
/// Integers are little-endian; `length` is the whole record. The crc of a record is CRC-32C over everything behind it, *continued from the
/// crc before it*: the first record of a file continues the header's, whose crc covers file number and the end of the file before. So a
/// record is valid only behind the very records it was written behind: stale bytes, a copied file, zeros and swapped records are not.
namespace tidemark::storage {

inline constexpr std::uint8_t kStateVersion = 1;
inline constexpr std::size_t kStateHeaderBytes = 36;
inline constexpr std::size_t kStateRecordOverhead = 24;
inline constexpr std::size_t kStateIdBytesMax = 1024;
inline constexpr std::size_t kStatePayloadBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kStateRecordBytesMax = kStateRecordOverhead + kStateIdBytesMax + kStatePayloadBytesMax;

/// The running checksum that each record continues.
using StateChain = std::uint32_t;

struct StateFileHeader {
  std::uint64_t number = 0;        ///< From 1; the file's name says the same.
  std::uint64_t previous_end = 0;  ///< Where the file before ends, exactly; 0 for the first file ever.
  StateChain previous_chain = 0;   ///< The chain at that end.
  bool operator==(const StateFileHeader&) const = default;
};

struct DecodedStateHeader {
  StateFileHeader header;
  StateChain chain = 0;  ///< What the first record continues.
};

/// Writes the header and returns the chain behind it.
StateChain encode_state_header(const StateFileHeader& header, ByteVector& out);
/// `bytes` begins with the header. Errors: corrupt_batch; foreign_data for a newer version (a whole header only).
Result<DecodedStateHeader> decode_state_header(ByteView bytes);

/// What a record says besides its stream and payload.
struct StateRecordFrame {
  StateRecordType type = StateRecordType::delta;
  bool last_part = true;
  bool begins = false;  ///< The stream had no live record before this one: a live run may start with this delta.
  std::uint64_t sequence = 0;
  StreamKind kind = StreamKind::metadata;
  std::string_view id;    ///< Into the decoded bytes.
  ByteView payload;       ///< Into the decoded bytes.
  std::size_t bytes = 0;  ///< Of the whole record.
};

/// Appends the record to `out`; returns the chain behind it. Pre: id and payload within their limits.
StateChain encode_state_record(const StateRecord& record, bool begins, StateChain chain, ByteVector& out);

/// How many bytes decode_state_record() needs to see: the record's length as its first 8 bytes claim it. nullopt when the claim is out of
/// range.
std::optional<std::size_t> claimed_state_record_bytes(ByteView first_8);
/// The record at the start of `bytes`; `chain` moves behind it on success. Errors: corrupt_batch unless every byte of it is as it was
/// written behind `chain`; foreign_data when it is, but means nothing to this version.
Result<StateRecordFrame> decode_state_record(ByteView bytes, StateChain& chain);

/// "00000000000000000007.state"
std::string state_file_name(std::uint64_t number);
/// The number in such a name; nullopt for any other name.
std::optional<std::uint64_t> parse_state_file_name(std::string_view name);

/// "group 'orders'": how errors name a stream; bytes that do not print are shown as hex.
std::string describe(const StreamKey& stream);

}  // namespace tidemark::storage
