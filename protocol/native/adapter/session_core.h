#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "broker/broker.h"
#include "protocol/native/codec/frame.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::native {

/// Bounds on what one connection may ask of the broker.
struct SessionLimits {
  std::size_t requests_in_flight_max = 256;
  std::size_t bytes_in_flight_max = 32 * 1024 * 1024;  ///< Request frames not yet answered.
  std::size_t output_bytes_max = 8 * 1024 * 1024;      ///< Replies not yet sent; beyond, no request is read.
  std::size_t subscriptions_max = 10'000;
  std::chrono::seconds hello_timeout{10};
  std::chrono::seconds idle_timeout{600};
  std::chrono::seconds stalled_write_timeout{30};
};

/// What the server main knows and the engine does not.
struct ServerFacts {
  std::string version;
  std::function<std::map<std::string, std::uint64_t>()> connections;
  std::function<std::vector<wire::DoctorReply::Check>()> doctor;  ///< May block.
};

/// Frames to send, in order; the attachments lie behind the frame that names them.
struct Output {
  std::vector<Slice> parts;
  std::size_t bytes = 0;
  std::size_t reply_bytes = 0;  ///< Of it, replies; the rest was pushed.
  void add(Slice part) {
    bytes += part.size();
    parts.push_back(std::move(part));
  }
};

/// The place of a reply in the order of replies; filled when the answer is there.
struct ReplySlot {
  FrameType type;
  std::uint32_t correlation;
  std::size_t request_bytes;
  bool ready = false;
  Output output;
};

class Subscriptions;

/// One connection without its socket: the order of replies, what is pushed, and the bounds. Lives on one shard, shared by its coroutines
/// and by answers under way.
class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  using Slot = std::shared_ptr<ReplySlot>;

  SessionCore(broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard, boost::asio::io_context& io, const ServerFacts& facts,
              const SessionLimits& limits, std::string peer);
  virtual ~SessionCore();

  broker::Broker& broker() { return broker_; }
  broker::Runtime& runtime() { return runtime_; }
  broker::Shard& shard() { return shard_; }
  const ServerFacts& facts() const { return facts_; }
  const SessionLimits& limits() const { return limits_; }
  Subscriptions& subscriptions() { return *subscriptions_; }
  broker::RequestContext context(std::uint32_t correlation) const;

  bool greeted() const { return greeted_; }
  void greet(std::string client_id);

  /// Judges and starts one whole request. An error means the connection cannot go on; its reply is queued.
  Status start(const FrameHeader& header, const Slice& frame);

  // Answers; each slot gets exactly one.
  void reply(const Slot& slot, const google::protobuf::MessageLite& message, std::vector<Slice> attachments = {});
  void reply(const Slot& slot, const Error& error);
  /// A frame of the broker's own accord.
  void push(FrameType type, const google::protobuf::MessageLite& message, std::vector<Slice> attachments = {});
  /// The last frame of a connection that cannot go on: an error to no request in particular.
  void push_error(const Error& error);

  /// Everything that can be sent now: replies up to the first that is not ready, and pushed frames.
  Output take_output();
  bool has_output() const { return !pushed_.parts.empty() || (!slots_.empty() && slots_.front()->ready); }
  /// What take_output() gave is on its way to the peer.
  void sent(std::size_t reply_bytes);
  bool may_read() const;
  bool nothing_under_way() const;
  bool closed() const { return closed_; }
  void close();

  /// Wakes whichever coroutine waits for a change of the above.
  boost::asio::steady_timer& output_signal() { return output_signal_; }
  boost::asio::steady_timer& input_signal() { return input_signal_; }

 protected:
  virtual void shut_socket() = 0;

 private:
  broker::Broker& broker_;
  broker::Runtime& runtime_;
  broker::Shard& shard_;
  const ServerFacts& facts_;
  const SessionLimits& limits_;
  const std::string peer_;
  std::string client_id_;
  bool greeted_ = false;
  bool closed_ = false;
  std::deque<Slot> slots_;
  Output pushed_;
  std::size_t bytes_in_flight_ = 0;
  std::size_t ready_bytes_ = 0;
  std::unique_ptr<Subscriptions> subscriptions_;
  boost::asio::steady_timer output_signal_;
  boost::asio::steady_timer input_signal_;
};

}  // namespace tidemark::native
