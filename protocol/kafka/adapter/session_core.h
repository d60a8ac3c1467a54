#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "broker/broker.h"
#include "protocol/kafka/adapter/server_facts.h"
#include "protocol/kafka/codec/frame.h"
#include "protocol/net/connection_table.h"
#include "protocol/net/stream_session.h"

namespace tidemark::kafka {

/// Bounds on what one connection may ask of the broker.
struct SessionLimits : net::Timeouts {
  std::size_t requests_in_flight_max = 256;
  std::size_t bytes_in_flight_max = 32 * 1024 * 1024;  ///< Requests not yet answered: their frames, and what a fetch asks for.
  std::size_t output_bytes_max = 8 * 1024 * 1024;      ///< Not yet taken by the peer; beyond, no request is read.
  std::size_t frame_bytes_max = kFrameBytesMax;        ///< Behind the length field. A larger request ends the connection.
};

/// The place of a reply in the order of replies; filled when the answer is there.
struct ReplySlot {
  RequestHeader header;
  std::size_t cost = 0;  ///< Bytes it counts for in bytes_in_flight_max.
  bool ready = false;
  bool last = false;  ///< The connection ends behind it.
  net::Output output;
  UniqueFunction<void()> on_abandoned;
};

/// One Kafka connection without its socket: requests are started as they come, replies go out in the order of the requests. Lives on one
/// shard, shared by its coroutines and by answers under way.
///
/// It takes requests until the peer closes, breaks the protocol, or the broker stops; then what was asked is still answered, waits are
/// cut short, and when nothing is left the writer closes.
class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  using Slot = std::shared_ptr<ReplySlot>;

  /// `admission` is held as long as the object lives: answers under way count against the bounds on connections.
  SessionCore(boost::asio::io_context& io, broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard, ServerFacts facts,
              const SessionLimits& limits, std::string client_host, std::shared_ptr<void> admission);
  virtual ~SessionCore() = default;

  broker::Broker& broker() { return broker_; }
  broker::Runtime& runtime() { return runtime_; }
  broker::Shard& shard() { return shard_; }
  const ServerFacts& facts() const { return facts_; }
  const SessionLimits& limits() const { return limits_; }
  const std::string& client_host() const { return client_host_; }
  /// Where the connection is listed.
  void set_entry(std::shared_ptr<net::ConnectionTable::Entry> entry) { entry_ = std::move(entry); }

  /// Size of the frame that `bytes` begin with, its length field included. Errors: frame_too_large, protocol_error.
  Result<std::optional<std::size_t>> frame_size(ByteView bytes) const;
  /// Judges and starts one whole request. An error: the connection ends behind the replies that are due.
  Status start(const Slice& frame);
  /// Counts what the request may bring into memory.
  void charge(const Slot& slot, std::size_t bytes);

  /// The answer to a slot, once. No pieces: there is none to send. An error ends the connection behind the earlier replies.
  void fill(const Slot& slot, Result<std::vector<Slice>> frame);

  bool taking_requests() const { return taking_; }
  void stop_taking();
  /// The connection cannot go on.
  void fail(const Error& error);
  /// The broker stops.
  void drain(const Error& error) { fail(error); }

  net::Output take_output();
  bool has_output() const { return !slots_.empty() && slots_.front()->ready; }
  void sent(std::size_t bytes);
  bool may_read() const;
  bool quiet() const { return slots_.empty(); }
  bool idle() const { return quiet(); }
  bool greeted() const { return true; }
  bool closed() const { return closed_; }
  void close();

  /// Wakes whichever coroutine waits for a change of the above.
  boost::asio::steady_timer& output_signal() { return output_signal_; }
  boost::asio::steady_timer& input_signal() { return input_signal_; }

 protected:
  virtual void shut_socket() = 0;

 private:
  void name_client(const RequestHeader& header);
  void log_end(const Error& error) const;

  broker::Broker& broker_;
  broker::Runtime& runtime_;
  broker::Shard& shard_;
  const ServerFacts facts_;
  const SessionLimits& limits_;
  const std::string client_host_;
  const std::shared_ptr<void> admission_;
  std::shared_ptr<net::ConnectionTable::Entry> entry_;
  std::string client_id_;  ///< Of the latest request; as it stands in the table.
  bool taking_ = true;
  bool closed_ = false;
  std::deque<Slot> slots_;
  std::size_t bytes_in_flight_ = 0;
  std::size_t output_bytes_ = 0;
  boost::asio::steady_timer output_signal_;
  boost::asio::steady_timer input_signal_;
};

}  // namespace tidemark::kafka
