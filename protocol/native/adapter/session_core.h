#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "broker/broker.h"
#include "broker/lag/lag_monitor.h"
#include "protocol/native/codec/frame.h"
#include "protocol/native/wire.pb.h"
#include "protocol/net/connection_table.h"
#include "protocol/net/stream_session.h"

namespace tidemark::native {

/// Bounds on what one connection may ask of the broker.
struct SessionLimits : net::Timeouts {
  std::size_t requests_in_flight_max = 256;
  std::size_t bytes_in_flight_max = 32 * 1024 * 1024;  ///< Requests not yet answered: their frames, and what a fetch asks for.
  std::size_t output_bytes_max = 8 * 1024 * 1024;      ///< Not yet taken by the peer; beyond, no request is read and nothing is pushed.
  std::size_t subscriptions_max = 10'000;
};

/// What the server main knows and the engine does not.
struct ServerFacts {
  std::string version;
  std::function<std::map<std::string, std::uint64_t>()> connections;
  std::function<std::vector<wire::DoctorReply::Check>()> doctor;  ///< May block.
  broker::LagMonitor* lag = nullptr;  ///< Knows the past of groups; without it lag is told as of this moment. Outlives the server.
};

using net::Output;

/// The place of a reply in the order of replies; filled when the answer is there.
struct ReplySlot {
  FrameType type = FrameType::hello;
  std::uint32_t correlation = 0;
  std::size_t cost = 0;  ///< Bytes it counts for in bytes_in_flight_max.
  bool waits = false;    ///< For records to come: a stopping broker answers it at once.
  bool ready = false;
  Output output;
  UniqueFunction<void()> on_sent;  ///< Run when the reply has been handed to the socket, ahead of anything pushed later.
};

class QueueMembers;
class Subscriptions;

/// One connection without its socket: the order of replies, what is pushed, and the bounds. Lives on one shard, shared by its coroutines
/// and by answers under way.
///
/// It takes requests until the peer or the broker ends that (stop_taking); then what was asked is still answered, and when nothing is left
/// the writer closes.
class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  using Slot = std::shared_ptr<ReplySlot>;

  /// `admission` is held as long as the object lives: answers under way count against the bounds on connections.
  SessionCore(boost::asio::io_context& io, broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard, const ServerFacts& facts,
              const SessionLimits& limits, std::shared_ptr<void> admission);
  virtual ~SessionCore();

  broker::Broker& broker() { return broker_; }
  broker::Runtime& runtime() { return runtime_; }
  broker::Shard& shard() { return shard_; }
  const ServerFacts& facts() const { return facts_; }
  const SessionLimits& limits() const { return limits_; }
  Subscriptions& subscriptions() { return *subscriptions_; }
  QueueMembers& queue_members() { return *queue_members_; }
  broker::RequestContext context(std::uint32_t correlation) const;

  /// Address of the other side, for people.
  const std::string& peer() const { return peer_; }
  void set_peer(std::string address) { peer_ = std::move(address); }
  /// Where the connection is listed.
  void set_entry(std::shared_ptr<net::ConnectionTable::Entry> entry) { entry_ = std::move(entry); }
  bool greeted() const { return greeted_; }
  void greet(std::string client_id);

  /// Size of the frame that `bytes` begin with; nullopt: too few bytes to say. Errors as FrameHeader::parse().
  Result<std::optional<std::size_t>> frame_size(ByteView bytes) const;
  /// Judges and starts one whole request. An error means the connection cannot go on; its reply is queued.
  Status start(const Slice& frame);
  /// Counts what the request may bring into memory.
  void charge(const Slot& slot, std::size_t bytes);

  // Answers; each slot gets exactly one that counts.
  void reply(const Slot& slot, const google::protobuf::MessageLite& message, std::vector<Slice> attachments = {});
  void reply(const Slot& slot, const Error& error);
  /// A frame of the broker's own accord.
  void push(FrameType type, const google::protobuf::MessageLite& message, std::vector<Slice> attachments = {});

  bool taking_requests() const { return taking_; }
  /// The peer will send no more: subscriptions end without a word, members of queue groups leave as ones that failed.
  void stop_taking();
  /// The connection cannot go on: an error that answers no request, sent after every reply that is due.
  void fail(const Error& error);
  /// The broker stops: waiting requests and subscriptions end with `error`, and then the connection.
  void drain(const Error& error);

  /// Everything that can be sent now: what was pushed, and replies up to the first that is not ready.
  Output take_output();
  bool has_output() const { return !pushed_.parts.empty() || (!slots_.empty() && slots_.front()->ready) || farewell_due(); }
  /// The peer's side has taken what take_output() gave.
  void sent(std::size_t bytes);
  bool may_read() const;
  bool output_full() const { return output_bytes_ >= limits_.output_bytes_max; }
  /// Nothing to answer and nothing to send.
  bool quiet() const { return slots_.empty() && pushed_.parts.empty() && !farewell_; }
  /// Quiet, no reader waits for records, and the connection speaks for no member of a queue group.
  bool idle() const;
  bool closed() const { return closed_; }
  void close();

  /// Wakes whichever coroutine waits for a change of the above.
  boost::asio::steady_timer& output_signal() { return output_signal_; }
  boost::asio::steady_timer& input_signal() { return input_signal_; }

 protected:
  virtual void shut_socket() = 0;

 private:
  void add_reply(const Slot& slot, Slice frame, std::vector<Slice> attachments);
  bool farewell_due() const { return farewell_ && slots_.empty(); }

  broker::Broker& broker_;
  broker::Runtime& runtime_;
  broker::Shard& shard_;
  const ServerFacts& facts_;
  const SessionLimits& limits_;
  const std::shared_ptr<void> admission_;
  std::string client_id_;
  std::string peer_;
  std::shared_ptr<net::ConnectionTable::Entry> entry_;
  bool greeted_ = false;
  bool taking_ = true;
  bool closed_ = false;
  std::deque<Slot> slots_;
  Output pushed_;
  std::optional<Slice> farewell_;  ///< The last frame, after all replies.
  std::size_t bytes_in_flight_ = 0;
  std::size_t output_bytes_ = 0;
  std::unique_ptr<Subscriptions> subscriptions_;
  std::unique_ptr<QueueMembers> queue_members_;
  boost::asio::steady_timer output_signal_;
  boost::asio::steady_timer input_signal_;
};

}  // namespace tidemark::native
