#include "client/src/address.h"

#include <charconv>

namespace tidemark::detail {
namespace {

Error malformed(std::string_view text) {
  return {Errc::invalid_argument, "server \"" + std::string(text) + "\": expected HOST:PORT, for example 127.0.0.1:7410 or [::1]:7410"};
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);

  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return malformed(text);
  }
  Address address{std::string(host)};
  const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (host.empty() || failure != std::errc{} || end != port.data() + port.size() || address.port == 0) return malformed(text);
  return address;
}

}  // namespace tidemark::detail
