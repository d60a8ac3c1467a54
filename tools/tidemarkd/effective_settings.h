#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/http/broker_link.h"
#include "tools/tidemarkd/config.h"
#include "tools/tidemarkd/settings.h"

namespace tidemark::tools {

/// The ports that listeners have, by the first part of their setting's key ("native"); those that do not listen are absent.
using BoundPorts = std::map<std::string, std::uint16_t>;

/// The key holds what must not be shown: its last word is password, secret or token.
bool is_secret(std::string_view key);

/// Every setting with the value the server runs with, where that is another one than was written: "auto" resolved, free ports taken, units
/// spelt out. Values of secrets are shown as "(hidden)", or empty where they are.
std::vector<http::ServerFacts::Setting> effective_settings(const Settings& settings, const Config& config, const BoundPorts& ports);

}  // namespace tidemark::tools
