#include "protocol/kafka/adapter/session_core.h"

#include <utility>

#include "protocol/kafka/adapter/dispatch.h"
#include "storage/base/log.h"

namespace tidemark::kafka {

SessionCore::SessionCore(boost::asio::io_context& io, broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard,
                         ServerFacts facts, const SessionLimits& limits, std::string client_host, std::shared_ptr<void> admission)
    : broker_(broker),
      runtime_(runtime),
      shard_(shard),
      facts_(std::move(facts)),
      limits_(limits),
      client_host_(std::move(client_host)),
      admission_(std::move(admission)),
      output_signal_(io, boost::asio::steady_timer::time_point::max()),
      input_signal_(io, boost::asio::steady_timer::time_point::max()) {}

void SessionCore::log_end(const Error& error) const { log(LogLevel::debug, "kafka client " + client_host_ + ": " + error.to_string()); }

Result<std::optional<std::size_t>> SessionCore::frame_size(ByteView bytes) const {
  const Result<std::optional<std::size_t>> length = frame_length(bytes, limits_.frame_bytes_max);
  if (!length) return length.error();
  if (!*length) return std::optional<std::size_t>();
  return std::optional(**length + kFrameSizeBytes);
}

Status SessionCore::start(const Slice& frame) {
  Result<RequestFrame> request = split_request(frame.subslice(kFrameSizeBytes, frame.size() - kFrameSizeBytes));
  if (!request) {
    fail(request.error());
    return std::move(request).error();
  }
  auto slot = std::make_shared<ReplySlot>();
  slot->header = std::move(request->header);
  name_client(slot->header);
  slots_.push_back(slot);
  charge(slot, frame.size());
  const Status decoded = dispatch(Call(shared_from_this(), slot), request->body, request->version_served);
  if (!decoded) fill(slot, decoded.error());
  return decoded;
}

/// Each request says anew who is at the other end.
void SessionCore::name_client(const RequestHeader& header) {
  if (!entry_ || !header.client_id) return;
  const std::string_view client_id = std::string_view(*header.client_id).substr(0, net::ConnectionTable::kClientIdBytesMax);
  if (client_id == client_id_) return;
  client_id_ = client_id;
  entry_->set_client_id(client_id_);
}

void SessionCore::charge(const Slot& slot, std::size_t bytes) {
  slot->cost += bytes;
  bytes_in_flight_ += bytes;
}

void SessionCore::fill(const Slot& slot, Result<std::vector<Slice>> frame) {
  CHECK(!slot->ready);
  slot->ready = true;
  slot->on_abandoned = nullptr;
  if (closed_) return;
  if (frame) {
    for (Slice& part : *frame) slot->output.add(std::move(part));
    output_bytes_ += slot->output.bytes;
  } else {
    slot->last = true;
    fail(frame.error());
  }
  output_signal_.cancel();
}

void SessionCore::stop_taking() {
  taking_ = false;
  // A wait that is cut short answers, and what it answers may end the next: the list is not walked while it changes.
  std::vector<UniqueFunction<void()>> abandoned;
  for (const Slot& slot : slots_) {
    if (slot->on_abandoned) abandoned.push_back(std::exchange(slot->on_abandoned, nullptr));
  }
  for (UniqueFunction<void()>& end_wait : abandoned) end_wait();
  output_signal_.cancel();
  input_signal_.cancel();
}

void SessionCore::fail(const Error& error) {
  if (!taking_) return;
  log_end(error);
  stop_taking();
}

net::Output SessionCore::take_output() {
  net::Output output;
  while (!slots_.empty() && slots_.front()->ready) {
    const Slot slot = std::move(slots_.front());
    slots_.pop_front();
    for (Slice& part : slot->output.parts) output.add(std::move(part));
    bytes_in_flight_ -= slot->cost;
    // Nothing behind it is answered: those requests came after the one that ended the connection.
    if (slot->last) {
      for (const Slot& later : slots_) output_bytes_ -= later->output.bytes;
      slots_.clear();
    }
  }
  return output;
}

bool SessionCore::may_read() const {
  return slots_.size() < limits_.requests_in_flight_max && bytes_in_flight_ < limits_.bytes_in_flight_max &&
         output_bytes_ < limits_.output_bytes_max;
}

void SessionCore::sent(std::size_t bytes) {
  CHECK(bytes <= output_bytes_);
  output_bytes_ -= bytes;
  input_signal_.cancel();
}

void SessionCore::close() {
  if (closed_) return;
  closed_ = true;
  stop_taking();
  shut_socket();
}

}  // namespace tidemark::kafka
