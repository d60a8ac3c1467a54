#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/result.h"

namespace tidemark::detail {

struct Address {
  std::string host;  ///< Name or number, without brackets.
  std::uint16_t port = 0;
  bool operator==(const Address&) const = default;
};

/// `127.0.0.1:7410`, `[::1]:7410`, `localhost:7410`. The port is required and not 0; an IPv6 number needs its brackets.
Result<Address> parse_address(std::string_view text);

}  // namespace tidemark::detail
