#pragma once

#include <memory>
#include <string>
#include <utility>

#include "broker/broker.h"
#include "protocol/kafka/adapter/session_core.h"
#include "protocol/kafka/codec/frame.h"

namespace tidemark::kafka {

/// One request under way. A copyable handle; exactly one of reply(), drop() and close() must be called, once, on the session's shard, now
/// or later. The connection may be gone by then: the answer goes nowhere.
class Call {
 public:
  Call(std::shared_ptr<SessionCore> session, SessionCore::Slot slot) : session_(std::move(session)), slot_(std::move(slot)) {}

  broker::Broker& broker() const { return session_->broker(); }
  broker::Runtime& runtime() const { return session_->runtime(); }
  broker::Shard& shard() const { return session_->shard(); }
  const ServerFacts& facts() const { return session_->facts(); }
  ApiKey api() const { return slot_->header.api; }
  int version() const { return slot_->header.version; }
  /// As the client calls itself; empty when it does not.
  std::string client_id() const { return slot_->header.client_id.value_or(std::string()); }
  /// The IP address of the peer, without a port.
  const std::string& client_host() const { return session_->client_host(); }

  broker::RequestContext context() const {
    broker::RequestContext context;
    context.listener = "kafka";
    context.client_id = client_id();
    context.correlation_id = static_cast<std::uint32_t>(slot_->header.correlation_id);
    return context;
  }

  /// Encodes in this call's version. A reply that the protocol cannot express (a string above 32 767 bytes) ends the connection.
  template <class Response>
  void reply(const Response& response) const {
    reply_in_version(response, version());
  }
  /// For ApiVersions alone, whose answer to an unknown version is in version 0.
  template <class Response>
  void reply_in_version(const Response& response, int version) const {
    CHECK(Response::kApi == api());
    WireWriter out = begin_response(Response::kApi, version, slot_->header.correlation_id);
    encode(response, version, out);
    session_->fill(slot_, finish_frame(std::move(out)));
  }
  /// The request has no reply: Produce with acks 0.
  void drop() const { session_->fill(slot_, std::vector<Slice>()); }
  /// The connection cannot go on; replies to earlier requests are still sent.
  void close(const Error& why) const { session_->fill(slot_, why); }

  /// Size of the whole request, before charge() adds to it.
  std::size_t request_bytes() const { return slot_->cost; }
  /// Counts what the answer may bring into memory against the connection's bound.
  void charge(std::size_t bytes) const { session_->charge(slot_, bytes); }
  /// For calls that wait (Fetch, JoinGroup, SyncGroup): `end_wait` runs when the peer has gone or the broker stops, unless the call is
  /// answered before. It must see to it that the call is answered soon. At once if that has happened already.
  void on_abandoned(UniqueFunction<void()> end_wait) const {
    if (slot_->ready) return;
    if (!session_->taking_requests()) return end_wait();
    slot_->on_abandoned = std::move(end_wait);
  }

 private:
  std::shared_ptr<SessionCore> session_;
  SessionCore::Slot slot_;
};

}  // namespace tidemark::kafka
