#pragma once

#include <cstdint>

#include "storage/base/bytes.h"

namespace tidemark {

/// CRC-32C (Castagnoli), the checksum of Kafka's record batches and of our own files. `crc32c("123456789") == 0xe3069283`.
/// Chainable: crc32c(b, crc32c(a)) == crc32c(a followed by b).
std::uint32_t crc32c(ByteView bytes, std::uint32_t previous = 0);

}  // namespace tidemark
