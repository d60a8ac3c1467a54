#pragma once

#include <string>
#include <string_view>

namespace tidemark {

/// The text with every byte that is not UTF-8 written as \xNN. Names of groups and members are any bytes; logs, JSON and protobuf strings
/// are not: protobuf refuses such a string, and the reader would lose the whole message.
std::string printable(std::string_view text);

}  // namespace tidemark
