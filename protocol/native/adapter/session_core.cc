#include "protocol/native/adapter/session_core.h"

#include <utility>

#include "protocol/native/adapter/handlers.h"
#include "protocol/native/adapter/queue_members.h"
#include "protocol/native/adapter/subscriptions.h"
#include "protocol/native/codec/errors.h"

namespace tidemark::native {
namespace {

std::size_t total_bytes(const std::vector<Slice>& slices) {
  std::size_t bytes = 0;
  for (const Slice& slice : slices) bytes += slice.size();
  return bytes;
}

}  // namespace

SessionCore::SessionCore(boost::asio::io_context& io, broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard,
                         const ServerFacts& facts, const SessionLimits& limits, std::shared_ptr<void> admission)
    : broker_(broker),
      runtime_(runtime),
      shard_(shard),
      facts_(facts),
      limits_(limits),
      admission_(std::move(admission)),
      subscriptions_(std::make_unique<Subscriptions>(*this)),
      queue_members_(std::make_unique<QueueMembers>(*this)),
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
  if (entry_) entry_->set_client_id(client_id_);
}

Result<std::optional<std::size_t>> SessionCore::frame_size(ByteView bytes) const {
  const Result<std::optional<FrameHeader>> header = FrameHeader::parse(bytes, greeted() ? kFrameBytesMax : kHelloFrameBytesMax);
  if (!header) return header.error();
  if (!*header) return std::optional<std::size_t>();
  return std::optional((*header)->size_bytes());
}

Status SessionCore::start(const Slice& frame) {
  const Result<std::optional<FrameHeader>> parsed = FrameHeader::parse(frame.view(), kFrameBytesMax);
  CHECK(parsed && *parsed && (*parsed)->size_bytes() == frame.size());  // frame_size() measured it.
  const FrameHeader& header = **parsed;
  if (!greeted_ && header.type != FrameType::hello) {
    const Error error{Errc::protocol_error, "the first frame of a connection is hello"};
    fail(error);
    return error;
  }
  if (is_one_way(header.type) && header.flags == 0) {
    const Status handled = handle_one_way(*this, header.type, frame.view().subspan(kFrameHeaderBytes, header.message_bytes));
    if (!handled) fail(handled.error());
    return handled;
  }
  auto slot = std::make_shared<ReplySlot>();
  slot->type = header.type;
  slot->correlation = header.correlation;
  slots_.push_back(slot);
  charge(slot, frame.size());
  const Status judged = dispatch(*this, header, frame, slot);
  if (!judged) reply(slot, judged.error());
  return judged;
}

void SessionCore::charge(const Slot& slot, std::size_t bytes) {
  slot->cost += bytes;
  bytes_in_flight_ += bytes;
}

void SessionCore::reply(const Slot& slot, const google::protobuf::MessageLite& message, std::vector<Slice> attachments) {
  const std::size_t attached = total_bytes(attachments);
  if (kFrameHeaderBytes + message.ByteSizeLong() + attached > kFrameBytesMax) {
    return reply(slot, Error{Errc::frame_too_large, "the answer does not fit a frame of " + std::to_string(kFrameBytesMax) + " bytes"});
  }
  add_reply(slot, encode_frame(slot->type, kFlagReply, slot->correlation, message, attached), std::move(attachments));
}

void SessionCore::reply(const Slot& slot, const Error& error) {
  add_reply(slot, encode_frame(slot->type, kFlagReply | kFlagError, slot->correlation, to_wire(error)), {});
}

void SessionCore::add_reply(const Slot& slot, Slice frame, std::vector<Slice> attachments) {
  if (closed_ || (slot->ready && slot->waits)) return;  // Nobody to answer, or a stop has answered already.
  CHECK(!slot->ready);
  slot->output.add(std::move(frame));
  for (Slice& attachment : attachments) slot->output.add(std::move(attachment));
  slot->ready = true;
  output_bytes_ += slot->output.bytes;
  output_signal_.cancel();
}

void SessionCore::push(FrameType type, const google::protobuf::MessageLite& message, std::vector<Slice> attachments) {
  if (closed_) return;
  const std::size_t before = pushed_.bytes;
  pushed_.add(encode_frame(type, kFlagPushed, 0, message, total_bytes(attachments)));
  for (Slice& attachment : attachments) pushed_.add(std::move(attachment));
  output_bytes_ += pushed_.bytes - before;
  output_signal_.cancel();
}

void SessionCore::stop_taking() {
  taking_ = false;
  subscriptions_->clear();
  queue_members_->clear();
  output_signal_.cancel();
  input_signal_.cancel();
}

void SessionCore::fail(const Error& error) {
  if (!taking_) return;
  farewell_ = encode_frame(FrameType::hello, kFlagPushed | kFlagError, 0, to_wire(error));
  stop_taking();
}

void SessionCore::drain(const Error& error) {
  if (!taking_) return;
  subscriptions_->end_all(error);
  queue_members_->end_all(error);
  for (const Slot& slot : slots_) {
    if (slot->waits && !slot->ready) reply(slot, error);
  }
  fail(error);
}

Output SessionCore::take_output() {
  Output output = std::exchange(pushed_, {});
  while (!slots_.empty() && slots_.front()->ready) {
    const Slot slot = std::move(slots_.front());
    slots_.pop_front();
    for (Slice& part : slot->output.parts) output.add(std::move(part));
    bytes_in_flight_ -= slot->cost;
    if (slot->on_sent) slot->on_sent();
  }
  if (farewell_due()) {
    output_bytes_ += farewell_->size();
    output.add(*std::exchange(farewell_, std::nullopt));
  }
  return output;
}

bool SessionCore::may_read() const {
  return slots_.size() < limits_.requests_in_flight_max && bytes_in_flight_ < limits_.bytes_in_flight_max && !output_full();
}

bool SessionCore::idle() const { return quiet() && subscriptions_->empty() && queue_members_->empty(); }

void SessionCore::sent(std::size_t bytes) {
  CHECK(bytes <= output_bytes_);
  output_bytes_ -= bytes;
  input_signal_.cancel();
  if (!output_full()) subscriptions_->resume();
}

void SessionCore::close() {
  if (closed_) return;
  closed_ = true;
  stop_taking();
  shut_socket();
}

}  // namespace tidemark::native
