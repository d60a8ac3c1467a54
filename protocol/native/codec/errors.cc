#include "protocol/native/codec/errors.h"

namespace tidemark::native {
wire::ErrorReply to_wire(const Error& error) {
  wire::ErrorReply reply;
  reply.set_code(static_cast<std::uint32_t>(error.code));
  reply.set_detail(printable(error.detail));
  reply.set_retriable(error.retriable());
  reply.set_maybe_done(error.maybe_done);
  reply.set_fatal(error.fatal());
  return reply;
}

Error from_wire(const wire::ErrorReply& reply) {
  const std::optional<Errc> code = errc_from_number(reply.code());
  if (!code) return {Errc::internal, "error " + std::to_string(reply.code()) + ": " + reply.detail(), reply.maybe_done()};
  return {*code, reply.detail(), reply.maybe_done()};
}

}  // namespace tidemark::native
