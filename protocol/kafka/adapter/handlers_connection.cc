#include <algorithm>

#include "protocol/kafka/adapter/handlers.h"

/// What a client asks before its first real request: which APIs there are, and how to authenticate.
namespace tidemark::kafka {
namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// KIP-511: letters, digits, '-' and '.', with a letter or digit at both ends.
bool valid_software_name(const std::string& name) {
  return !name.empty() && is_alphanumeric(name.front()) && is_alphanumeric(name.back()) &&
         std::ranges::all_of(name, [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

ApiVersionsResponse::Api range_of(const ApiInfo& api) { return {static_cast<std::int16_t>(api.key), api.min_version, api.max_version}; }

}  // namespace

void handle(const Call& call, ApiVersionsRequest request) {
  ApiVersionsResponse response;
  if (call.version() >= 3 && !(valid_software_name(request.client_software_name) && valid_software_name(request.client_software_version))) {
    response.error_code = ErrorCode::invalid_request;
    return call.reply(response);
  }
  // No features: clients would take them for transactions V2, and some cannot read those whose least version is 0 (KAFKA-17011).
  for (const ApiInfo& api : apis()) {
    if (api.advertised) response.api_keys.push_back(range_of(api));
  }
  call.reply(response);
}

void handle_unknown_api_versions(const Call& call) {
  ApiVersionsResponse response;
  response.error_code = ErrorCode::unsupported_version;
  response.api_keys.push_back(range_of(api_info(ApiKey::api_versions)));
  call.reply_in_version(response, 0);
}

void handle(const Call& call, SaslHandshakeRequest) {
  SaslHandshakeResponse response;
  response.error_code = ErrorCode::illegal_sasl_state;  // As on Kafka's listeners without SASL: nothing is to be negotiated.
  call.reply(response);
}

void handle(const Call& call, SaslAuthenticateRequest) {
  SaslAuthenticateResponse response;
  response.error_code = ErrorCode::illegal_sasl_state;
  response.error_message = "SaslAuthenticate request received after successful authentication";
  call.reply(response);
}

}  // namespace tidemark::kafka
