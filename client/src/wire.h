#pragma once

#include <memory>
#include <utility>

#include <google/protobuf/message_lite.h>

#include "client/src/connection.h"
#include "protocol/native/codec/frame.h"

namespace tidemark::wire {
class ErrorReply;
}

/// Between protobuf messages and the values of the public headers.
namespace tidemark::detail {

/// The error in an error reply; protocol_error when it cannot be read.
Error decode_error(const Frame& frame);
/// The error of one entry of a reply.
Error error_from_wire(const wire::ErrorReply& reply);
/// Fails with the error that an error reply carries, or with protocol_error when the bytes are not that message.
Status decode_reply(const Frame& frame, google::protobuf::MessageLite& reply);

/// Sends `message` and answers with the decoded reply of type `Reply`.
template <class Reply>
void call(Connection& connection, native::FrameType type, const google::protobuf::MessageLite& message, OnLoss on_loss, Done<Reply> done) {
  Request request;
  request.type = type;
  request.head = native::encode_frame(type, 0, 0, message);
  request.on_loss = on_loss;
  request.deadline = connection.default_deadline();
  request.done = [done = std::move(done)](Result<Frame> frame) mutable {
    if (!frame) return done(std::move(frame).error());
    Reply reply;
    const Status decoded = decode_reply(*frame, reply);
    if (!decoded) return done(decoded.error());
    done(std::move(reply));
  };
  connection.send(std::move(request));
}

/// The same, with `convert(reply)`.
template <class Reply, class T, class Convert>
void ask(Connection& connection, native::FrameType type, const google::protobuf::MessageLite& message, OnLoss on_loss, Done<T> done,
         Convert convert) {
  call<Reply>(connection, type, message, on_loss, [done = std::move(done), convert](Result<Reply> reply) mutable {
    if (!reply) return done(std::move(reply).error());
    done(convert(*reply));
  });
}

}  // namespace tidemark::detail
