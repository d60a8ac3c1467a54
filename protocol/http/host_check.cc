#include "protocol/http/host_check.h"

#include <algorithm>
#include <string>

#include <boost/asio/ip/address.hpp>

namespace tidemark::http {
namespace {

/// The host without brackets and port; empty if the field is not well formed.
std::string_view host_of(std::string_view field) {
  const bool port_is_number = [&] {
    const std::size_t colon = field.rfind(':');
    if (colon == std::string_view::npos || field.ends_with(']')) return true;
    return std::ranges::all_of(field.substr(colon + 1), [](char c) { return c >= '0' && c <= '9'; });
  }();
  if (!port_is_number) return {};
  if (field.starts_with('[')) {
    const std::size_t end = field.find(']');
    if (end == std::string_view::npos || (end + 1 < field.size() && field[end + 1] != ':')) return {};
    return field.substr(1, end - 1);
  }
  return field.substr(0, field.rfind(':'));
}

}  // namespace

bool host_is_ours(std::string_view host_field, std::string_view local_address) {
  const std::string host(host_of(host_field));
  if (host == "localhost") return true;
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(host, no_address);
  if (no_address) return false;
  return address.is_loopback() || address.to_string() == local_address;
}

bool origin_is_ours(std::string_view origin_field, std::string_view host_field) {
  constexpr std::string_view kScheme = "http://";
  return origin_field.starts_with(kScheme) && origin_field.substr(kScheme.size()) == host_field;
}

}  // namespace tidemark::http
