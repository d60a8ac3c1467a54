#pragma once

#include <cstdint>
#include <optional>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/state_log.h"

/// The bytes of the state log's files (docs/FILE_FORMAT.md). All integers little-endian.
namespace tidemark::storage {

inline constexpr std::size_t kStateFileHeaderBytes = 24;
inline constexpr std::size_t kStateRecordHeaderBytes = 28;
inline constexpr std::size_t kStateStreamIdBytesMax = 1024;
inline constexpr std::size_t kStatePayloadBytesMax = 4 * 1024 * 1024;

ByteVector encode_state_file_header(std::uint64_t number);
/// False for anything that is not the header of file `number` in a version we know.
Result<void> check_state_file_header(ByteView bytes, std::uint64_t number);

/// `chain` is the checksum of the record before it in the file (of the file header for the first): a record is valid only where it was
/// written, so that stale bytes behind a torn write never pass for records. Returns the record's own checksum.
std::uint32_t encode_state_record(ByteVector& out, const StateRecord& record, std::uint32_t chain);

struct DecodedStateRecord {
  StateRecord record;
  std::uint32_t crc = 0;
  std::size_t size = 0;
};
/// The record at the start of `bytes`; nullopt when there is no valid one (end, zeros, torn, damaged).
std::optional<DecodedStateRecord> decode_state_record(ByteView bytes, std::uint32_t chain);

}  // namespace tidemark::storage
