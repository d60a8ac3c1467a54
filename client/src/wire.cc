#include "client/src/wire.h"

#include "protocol/native/codec/errors.h"

namespace tidemark::detail {

Error decode_error(const Frame& frame) {
  wire::ErrorReply reply;
  if (!native::decode_message(frame.message.view(), reply)) return {Errc::protocol_error, "an error reply that cannot be read"};
  return native::from_wire(reply);
}

Error error_from_wire(const wire::ErrorReply& reply) { return native::from_wire(reply); }

Status decode_reply(const Frame& frame, google::protobuf::MessageLite& reply) {
  if ((frame.header.flags & native::kFlagError) != 0) return decode_error(frame);
  if (native::decode_message(frame.message.view(), reply)) return {};
  return Error{Errc::protocol_error, "a reply that is no " + reply.GetTypeName()};
}

}  // namespace tidemark::detail
