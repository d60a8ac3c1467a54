#pragma once

#include <string>
#include <string_view>

#include "protocol/native/wire.pb.h"
#include "storage/base/result.h"

namespace tidemark::native {

/// The text with every byte that is not UTF-8 written as \xNN: protobuf refuses other strings, and the reader would lose the whole message.
std::string printable(std::string_view text);

wire::ErrorReply to_wire(const Error& error);
/// An unknown code, from a newer broker, becomes `internal` with its number in the detail.
Error from_wire(const wire::ErrorReply& reply);

}  // namespace tidemark::native
