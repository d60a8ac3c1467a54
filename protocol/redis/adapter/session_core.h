#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "protocol/net/connection_table.h"
#include "protocol/net/stream_session.h"
#include "protocol/redis/adapter/in_flight.h"
#include "protocol/redis/adapter/server_state.h"
#include "protocol/redis/adapter/transaction.h"
#include "protocol/redis/adapter/unblock.h"
#include "protocol/redis/codec/request_scanner.h"
#include "protocol/redis/codec/resp_writer.h"

namespace tidemark::redis {

/// Bounds on one connection. Redis lets clients wait and be silent for as long as they like.
struct SessionLimits : net::Timeouts {
  SessionLimits() { stall_timeout = std::chrono::minutes(10); }

  RequestLimits request;
  std::size_t requests_in_flight_max = 16 * 1024;
  std::size_t bytes_in_flight_max = 32 * 1024 * 1024;  ///< Requests not yet answered.
  std::size_t output_bytes_max = 32 * 1024 * 1024;     ///< Not yet taken by the peer; beyond, no request is read, no message is kept.
};

/// Which replies a connection wants (CLIENT REPLY).
enum class ReplyMode { on, off, skip_next };

/// Who is at the other end, as CLIENT LIST shows it.
struct ClientFacts {
  std::string address;        ///< "127.0.0.1:50188"
  std::string local_address;  ///< "127.0.0.1:6380"
  std::string name, library_name, library_version;
  SteadyTime connected, last_command;
  std::string last_command_name = "NULL";
  bool no_evict = false, no_touch = false;
  std::uint64_t input_bytes = 0, output_bytes = 0, commands = 0;
};

/// One Redis connection without its socket: requests are started in their order, as soon as the commands under way let them; replies go
/// out in the order of the requests. Lives on one shard, shared by its coroutines and by answers under way.
///
/// A blocking command holds back all later ones until it is answered. Whatever was asked before the peer closed its side is still done and
/// answered; blocked commands are given up.
class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  /// `admission` is held as long as the object lives: answers under way count against the bounds on connections.
  SessionCore(boost::asio::io_context& io, ServerState& server, broker::Shard& shard, const SessionLimits& limits, std::string address,
              std::string local_address, std::shared_ptr<void> admission);
  virtual ~SessionCore();

  ServerState& server() { return server_; }
  broker::Runtime& runtime() { return server_.runtime; }
  broker::Shard& shard() { return shard_; }
  const SessionLimits& limits() const { return limits_; }
  std::uint64_t id() const { return id_; }
  Protocol protocol() const { return protocol_; }
  void set_protocol(Protocol protocol) { protocol_ = protocol; }
  /// For the command that has just begun, and later ones.
  void set_reply_mode(ReplyMode mode);
  ClientFacts& facts() { return facts_; }
  /// CLIENT SETNAME
  void set_name(std::string_view name);
  /// Where the connection is listed.
  void set_entry(std::shared_ptr<net::ConnectionTable::Entry> entry) { entry_ = std::move(entry); }
  MultiState& multi() { return multi_; }
  /// The line of this connection in CLIENT LIST, without its end.
  std::string describe() const;

  // --- The stream's side; see net::StreamSession.
  Result<std::optional<std::size_t>> frame_size(ByteView bytes) { return scanner_.scan(bytes); }
  std::size_t unsized_frame_bytes_max() const { return limits_.request.request_bytes_max + 2 * limits_.request.inline_bytes_max; }
  Status start(const Slice& requests);
  bool taking_requests() const { return taking_; }
  void stop_taking();
  /// The connection cannot go on. A protocol error is told to the client, behind the replies that are due.
  void fail(const Error& error);
  /// The broker stops.
  void drain(const Error& error) { fail(error); }
  net::Output take_output();
  bool has_output() const { return (!slots_.empty() && slots_.front().ready) || !pushes_.empty(); }
  void sent(std::size_t bytes);
  bool may_read() const;
  bool quiet() const { return slots_.empty() && !next_request_ && chunks_.empty() && last_words_.empty(); }
  bool idle() const { return false; }
  bool greeted() const { return true; }
  bool closed() const { return closed_; }
  void close();
  boost::asio::steady_timer& output_signal() { return output_signal_; }
  boost::asio::steady_timer& input_signal() { return input_signal_; }

  // --- The commands' side.
  /// The answer to the command of a slot, once: a whole reply, possibly of several parts one after another.
  void answer(std::uint64_t slot, std::string reply);
  /// The command of `slot` may come to block: no later one starts before its answer. Called before anything else can start.
  void hold(std::uint64_t slot);
  /// The command that holds blocks from here on, and counts as blocked. `unblock` must see to it that the command is answered soon; it is
  /// called at most once, and not after the answer.
  void block(std::uint64_t slot, UniqueFunction<void(Unblock)> unblock);
  bool blocked() const { return blocked_; }
  /// Calls `look` once the blocked command of `slot` may look at the keys again, now or later; it ends in an answer or in look_over().
  void look_again(std::uint64_t slot, const std::vector<std::string>& keys, std::function<void()> look);
  /// It found nothing, and goes on waiting.
  void look_over(std::uint64_t slot) { leave_fences(slot_of(slot)); }
  /// False: the connection is not in a blocking command.
  bool unblock(Unblock how);
  /// No request is taken behind this one; its answer is the last one.
  void end_after(std::uint64_t slot);
  /// Something that the client did not ask for in this place. A client that does not keep up loses its connection.
  void push(std::string message);

  // --- Subscriptions.
  std::set<std::string>& subscriptions(PubSub::Kind kind) { return kind == PubSub::Kind::channel ? channels_ : patterns_; }
  std::size_t subscription_count() const { return channels_.size() + patterns_.size(); }
  void unsubscribe_all();
  /// Most commands are refused then.
  bool only_subscribing() const { return protocol_ == Protocol::resp2 && subscription_count() > 0; }

 protected:
  virtual void shut_socket() = 0;

 private:
  struct ReplySlot {
    const CommandSpec* command = nullptr;
    std::size_t cost = 0;  ///< Bytes it counts for in bytes_in_flight_max.
    SteadyTime started;
    bool ready = false;
    bool muted = false;  ///< The client does not want to hear it.
    bool last = false;   ///< The connection ends behind it.
    std::string reply;
    InFlight::Use use;
    std::optional<std::uint64_t> fence_number;  ///< While it counts among the commands that EXECs of others wait for.
  };

  /// Starts the requests that may start.
  void pump();
  bool parse_next();
  /// Why the next request must not be done now, in Redis's words; empty: it may.
  std::string judge(const Request& request) const;
  bool to_be_queued(const Request& request) const;
  void begin(const Request& request);
  void queue(std::uint64_t slot, const Request& request);
  void refuse(std::uint64_t slot, const Request& request, std::string_view why);
  ReplySlot& slot_of(std::uint64_t slot) { return slots_.at(slot - first_slot_); }
  void say_last_words();
  void leave_fences(ReplySlot& slot);
  /// False: an EXEC of another connection has a key of it.
  bool passes_fences(const Request& request);

  ServerState& server_;
  broker::Shard& shard_;
  const SessionLimits& limits_;
  const std::shared_ptr<void> admission_;
  const std::uint64_t id_;
  std::shared_ptr<net::ConnectionTable::Entry> entry_;
  ClientFacts facts_;
  Protocol protocol_ = Protocol::resp2;
  ReplyMode reply_mode_ = ReplyMode::on;
  MultiState multi_;
  std::set<std::string> channels_, patterns_;

  RequestScanner scanner_;
  std::deque<Slice> chunks_;             ///< Whole requests that have not been started.
  std::size_t chunk_position_ = 0;       ///< In the first chunk.
  std::size_t chunk_bytes_ = 0;          ///< Of all chunks.
  std::optional<Request> next_request_;  ///< Parsed, and may not start yet. No command: refused_ says why.
  std::size_t next_bytes_ = 0;
  std::string refused_;
  std::string last_words_;     ///< What the client hears behind all replies: why its bytes are no request.
  Arguments spare_arguments_;  ///< Memory for the next request's.
  bool pumping_ = false;
  bool at_fence_ = false;  ///< It will be told when to go on.

  InFlight in_flight_;
  std::deque<ReplySlot> slots_;
  std::uint64_t first_slot_ = 0;  ///< Number of the first one in slots_.
  std::optional<std::uint64_t> held_by_;
  bool blocked_ = false;
  UniqueFunction<void(Unblock)> unblock_;  ///< While it is blocked, until it is called.
  std::deque<std::string> pushes_;         ///< Behind the ready replies, before the first that is not ready.

  bool taking_ = true;
  bool ending_ = false;  ///< No request is started any more.
  bool closed_ = false;
  std::size_t bytes_in_flight_ = 0;
  std::size_t output_bytes_ = 0;
  boost::asio::steady_timer output_signal_;
  boost::asio::steady_timer input_signal_;
};

}  // namespace tidemark::redis
