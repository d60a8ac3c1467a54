#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "protocol/native/adapter/session_core.h"
#include "protocol/native/codec/errors.h"
#include "protocol/native/codec/frame.h"

/// What the handlers of native requests share.
namespace tidemark::native {

/// One request under way: what every handler needs, and what keeps the session alive until it is answered.
struct Request {
  std::shared_ptr<SessionCore> session;
  SessionCore::Slot slot;
  Slice frame;
  FrameHeader header;

  broker::Broker& broker() const { return session->broker(); }
  broker::RequestContext context() const { return session->context(header.correlation); }
  void reply(const google::protobuf::MessageLite& message, std::vector<Slice> attachments = {}) const {
    session->reply(slot, message, std::move(attachments));
  }
  void reply(const Error& error) const { session->reply(slot, error); }
};

/// The broker's answer to a call whose success is `encode(value)`.
template <class T, class Encode>
broker::Done<T> answer(const Request& request, Encode encode) {
  return [request, encode = std::move(encode)](Result<T> result) mutable {
    if (!result) return request.reply(result.error());
    encode(request, *result);
  };
}

inline broker::ConfigMap to_config(const google::protobuf::RepeatedPtrField<wire::ConfigEntry>& entries) {
  broker::ConfigMap config;
  for (const wire::ConfigEntry& entry : entries) config[entry.key()] = entry.value();
  return config;
}

/// Error protocol_error when the bytes are not that message: the connection cannot go on.
template <class Message>
Status decode_and(const Request& request, Status (*handle)(const Request&, const Message&)) {
  Message message;
  if (!decode_message(request.frame.view().subspan(kFrameHeaderBytes, request.header.message_bytes), message)) {
    return Error{Errc::protocol_error, "the message is no " + std::string(to_string(request.header.type)) + " request"};
  }
  return handle(request, message);
}

}  // namespace tidemark::native
