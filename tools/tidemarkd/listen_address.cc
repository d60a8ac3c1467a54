#include "tools/tidemarkd/listen_address.h"

#include <charconv>

#include <boost/asio/ip/address.hpp>

namespace tidemark::tools {

Result<ListenAddress> ListenAddress::parse(std::string_view text) {
  if (text == "off") return ListenAddress{};
  const Error bad{Errc::invalid_argument, "an address is IP:PORT, [IPv6]:PORT, localhost:PORT or off"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);

  ListenAddress address{.enabled = true, .host = {}, .port = 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) return bad;

  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  address.host = host;
  if (host == "localhost" && !brackets) return address;
  boost::system::error_code not_an_ip;
  const auto ip = boost::asio::ip::make_address(address.host, not_an_ip);
  if (not_an_ip || ip.is_v6() != brackets) return bad;
  return address;
}

std::vector<std::string> ListenAddress::addresses() const {
  if (!enabled) return {};
  if (host == "localhost") return {"127.0.0.1", "::1"};
  return {host};
}

bool ListenAddress::is_loopback() const {
  if (!enabled || host == "localhost") return true;
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(host, error);
  return !error && ip.is_loopback();
}

std::string ListenAddress::to_string() const {
  if (!enabled) return "off";
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace tidemark::tools
