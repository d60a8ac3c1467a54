#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/broker.h"
#include "protocol/redis/adapter/server_state.h"
#include "protocol/redis/adapter/unblock.h"
#include "protocol/redis/codec/resp_writer.h"

namespace tidemark::redis {

class SessionCore;
class Transaction;

/// One command under way. A copyable handle; exactly one of its replies must be given, once, on the session's shard, now or later. The
/// connection may be gone by then: the answer goes nowhere.
class Call {
 public:
  Call(std::shared_ptr<SessionCore> session, std::shared_ptr<Transaction> transaction, std::uint64_t slot);

  SessionCore& session() const { return *session_; }
  ServerState& server() const { return server_.get(); }
  broker::Broker& broker() const { return server().broker; }
  broker::Runtime& runtime() const { return server().runtime; }
  broker::Shard& shard() const { return shard_; }
  /// The one in which the command is answered: that of its start.
  Protocol protocol() const { return protocol_; }
  bool redis_7_0() const { return server().facts.compat == ServerFacts::Compat::v7_0; }
  broker::RequestContext context() const;

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
  bool may_block() const;
  /// SessionCore::hold(), at the start of a command that will wait if it finds nothing. No effect within EXEC.
  void hold() const;
  /// SessionCore::block(), for a command that holds and may_block().
  void block(UniqueFunction<void(Unblock)> unblock) const;
  /// SessionCore::look_again() and look_over(), of a command that blocks.
  void look_again(const std::vector<std::string>& keys, std::function<void()> look) const;
  void look_over() const;
  /// The connection ends behind the answer.
  void end_connection() const;

 private:
  friend class Transaction;
  void answer(std::string reply) const;

  std::shared_ptr<SessionCore> session_;
  std::shared_ptr<Transaction> transaction_;  ///< Whose n-th command this is; null: the connection's own.
  std::reference_wrapper<ServerState> server_;
  std::reference_wrapper<broker::Shard> shard_;
  std::uint64_t slot_;
  Protocol protocol_;
};

}  // namespace tidemark::redis
