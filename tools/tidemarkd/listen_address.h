#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/result.h"

namespace tidemark::tools {

/// Where a listener waits for connections, as people write it: "127.0.0.1:7410", "[::1]:7410", "localhost:0", "off".
struct ListenAddress {
  bool enabled = false;
  std::string host;        ///< An IP address without brackets, or "localhost": 127.0.0.1 and ::1.
  std::uint16_t port = 0;  ///< 0: any free one.

  /// Error invalid_argument says what an address looks like. Other names than localhost are refused: what they mean may change.
  static Result<ListenAddress> parse(std::string_view text);

  /// The IP addresses to bind, the first one required; further ones may be missing on this machine.
  std::vector<std::string> addresses() const;
  bool is_loopback() const;
  std::string to_string() const;
};

}  // namespace tidemark::tools
