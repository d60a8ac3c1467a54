#pragma once

#include <string_view>

namespace tidemark::http {

/// Whether a Host field ("localhost:7480", "[::1]") names this server: localhost, a loopback address, or `local_address`, the address
/// the client has connected to.
bool host_is_ours(std::string_view host_field, std::string_view local_address);

/// Whether an Origin field is this server's, given a Host field that is.
bool origin_is_ours(std::string_view origin_field, std::string_view host_field);

}  // namespace tidemark::http
