#include "protocol/native/adapter/session_core.h"

#include <algorithm>
#include <utility>

#include "protocol/native/adapter/handlers.h"
#include "protocol/native/adapter/subscriptions.h"
#include "protocol/native/codec/errors.h"

namespace tidemark::native {

SessionCore::SessionCore(broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard, boost::asio::io_context& io,
                         const ServerFacts& facts, const SessionLimits& limits, std::string peer)
    : broker_(broker),
      runtime_(runtime),
      shard_(shard),
      facts_(facts),
      limits_(limits),
      peer_(std::move(peer)),
      subscriptions_(std::make_unique<Subscriptions>(*this)),
      output_signal_(io, boost::asio::steady_timer::time_point::max()),
      input_signal_(io, boost::asio::steady_timer::time_point::max()) {}

SessionCore::~SessionCore() = default;

broker::RequestContext SessionCore::context(std::uint32_t correlation) const {
  broker::RequestContext context;
  context.listener = "native";
  context.client_id = client_id_;
  context.correlation_id = correlation;
  return context;
}

void SessionCore::greet(std::string client_id) {
  greeted_ = true;
  client_id_ = std::move(client_id);
}

Status SessionCore::start(const FrameHeader& header, const Slice& frame) {
  auto slot = std::make_shared<ReplySlot>(ReplySlot{header.type, header.correlation, frame.size(), false, {}});
  if (header.type == FrameType::credit && greeted_) {
    return handle_credit(*this, frame.view().subspan(kFrameHeaderBytes, header.message_bytes));
  }
  slots_.push_back(slot);
  bytes_in_flight_ += slot->request_bytes;
  if ((header.flags & (kFlagReply | kFlagError | kFlagPushed)) != 0) {
    const Error error{Errc::protocol_error, "a request carries the flags of a reply"};
    reply(slot, error);
    return error;
  }
  if (!greeted_ && header.type != FrameType::hello) {
    const Error error{Errc::protocol_error, "the first frame of a connection is hello"};
    reply(slot, error);
    return error;
  }
  return dispatch(*this, header, frame, slot);
}

void SessionCore::reply(const Slot& slot, const google::protobuf::MessageLite& message, std::vector<Slice> attachments) {
  CHECK(!slot->ready);
  std::size_t attached = 0;
  for (const Slice& attachment : attachments) attached += attachment.size();
  slot->output.add(encode_frame(slot->type, kFlagReply, slot->correlation, message, attached));
  for (Slice& attachment : attachments) slot->output.add(std::move(attachment));
  slot->ready = true;
  ready_bytes_ += slot->output.bytes;
  output_signal_.cancel();
}

void SessionCore::reply(const Slot& slot, const Error& error) {
  CHECK(!slot->ready);
  slot->output.add(encode_frame(slot->type, kFlagReply | kFlagError, slot->correlation, to_wire(error)));
  slot->ready = true;
  ready_bytes_ += slot->output.bytes;
  output_signal_.cancel();
}

void SessionCore::push(FrameType type, const google::protobuf::MessageLite& message, std::vector<Slice> attachments) {
  if (closed_) return;
  std::size_t attached = 0;
  for (const Slice& attachment : attachments) attached += attachment.size();
  pushed_.add(encode_frame(type, kFlagPushed, 0, message, attached));
  for (Slice& attachment : attachments) pushed_.add(std::move(attachment));
  output_signal_.cancel();
}

void SessionCore::push_error(const Error& error) {
  pushed_.add(encode_frame(FrameType::hello, kFlagPushed | kFlagError, 0, to_wire(error)));
  output_signal_.cancel();
}

Output SessionCore::take_output() {
  Output output = std::exchange(pushed_, {});
  while (!slots_.empty() && slots_.front()->ready) {
    output.reply_bytes += slots_.front()->output.bytes;
    for (Slice& part : slots_.front()->output.parts) output.add(std::move(part));
    bytes_in_flight_ -= slots_.front()->request_bytes;
    slots_.pop_front();
  }
  return output;
}

bool SessionCore::may_read() const {
  return slots_.size() < limits_.requests_in_flight_max && bytes_in_flight_ < limits_.bytes_in_flight_max &&
         ready_bytes_ < limits_.output_bytes_max;
}

void SessionCore::sent(std::size_t reply_bytes) {
  ready_bytes_ -= std::min(ready_bytes_, reply_bytes);
  input_signal_.cancel();
}

bool SessionCore::nothing_under_way() const { return slots_.empty() && pushed_.parts.empty() && subscriptions_->empty(); }

void SessionCore::close() {
  if (closed_) return;
  closed_ = true;
  subscriptions_->clear();
  output_signal_.cancel();
  input_signal_.cancel();
  shut_socket();
}

}  // namespace tidemark::native
