#pragma once

#include <string>
#include <string_view>

#include "protocol/native/wire.pb.h"
#include "storage/base/printable.h"
#include "storage/base/result.h"

namespace tidemark::native {

wire::ErrorReply to_wire(const Error& error);
/// An unknown code, from a newer broker, becomes `internal` with its number in the detail.
Error from_wire(const wire::ErrorReply& reply);

}  // namespace tidemark::native
