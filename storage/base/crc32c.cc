#include "storage/base/crc32c.h"

#include <algorithm>

#include <isa-l.h>

namespace tidemark {

std::uint32_t crc32c(ByteView bytes, std::uint32_t previous) {
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // ISA-L takes an int length.
  std::uint32_t state = ~previous;
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), kPiece);
    auto* const data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));  // ISA-L's signature lacks const.
    state = crc32_iscsi(data, static_cast<int>(n), state);
    bytes = bytes.subspan(n);
  }
  return ~state;
}

}  // namespace tidemark
