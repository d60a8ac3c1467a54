#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "broker/broker.h"
#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/codec/resp_writer.h"

namespace tidemark::redis {

/// One command under way. A copyable handle; exactly one of its replies must be given, once, on the session's shard, now or later. The
/// connection may be gone by then: the answer goes nowhere.
class Call {
 public:
  Call(std::shared_ptr<SessionCore> session, std::shared_ptr<Transaction> transaction, std::uint64_t slot)
      : session_(std::move(session)), transaction_(std::move(transaction)), slot_(slot), protocol_(session_->protocol()) {}

  SessionCore& session() const { return *session_; }
  ServerState& server() const { return session_->server(); }
  broker::Broker& broker() const { return server().broker; }
  broker::Runtime& runtime() const { return session_->runtime(); }
  broker::Shard& shard() const { return session_->shard(); }
  /// The one in which the command is answered: that of its start.
  Protocol protocol() const { return protocol_; }
  bool redis_7_0() const { return server().facts.compat == ServerFacts::Compat::v7_0; }

  broker::RequestContext context() const {
    broker::RequestContext context;
    context.listener = "redis";
    context.client_id = session_->facts().name;
    context.correlation_id = slot_;
    return context;
  }

  RespWriter writer() const { return RespWriter(protocol_); }
  void reply(RespWriter reply) const { answer(std::move(reply).take()); }
  void ok() const { simple("OK"); }
  void simple(std::string_view text) const;
  void integer(std::int64_t value) const;
  void bulk(std::string_view bytes) const;
  void null() const;
  void null_array() const;
  /// With its code: "ERR syntax error".
  void error(std::string_view text) const;
  /// An error of the engine that has no text of Redis's own.
  void error(const Error& error) const;
  /// Nothing, though the request came: CLIENT REPLY OFF.
  void nothing() const { answer(std::string()); }

  /// Within EXEC nothing waits.
  bool may_block() const { return transaction_ == nullptr && session_->taking_requests(); }
  bool in_transaction() const { return transaction_ != nullptr; }
  /// SessionCore::block(), for a command that may_block().
  void block(UniqueFunction<void(Unblock)> unblock) const { session_->block(slot_, std::move(unblock)); }
  /// The connection ends behind the answer.
  void end_connection() const {
    if (transaction_ == nullptr) session_->end_after(slot_);
  }

 private:
  friend class Transaction;
  void answer(std::string reply) const;

  std::shared_ptr<SessionCore> session_;
  std::shared_ptr<Transaction> transaction_;  ///< Whose n-th command this is; null: the connection's own.
  std::uint64_t slot_;
  Protocol protocol_;
};

}  // namespace tidemark::redis
