#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "client/src/connection.h"
#include "client/src/wire.h"
#include "protocol/native/codec/frame.h"

namespace tidemark::detail {

/// Requests that may be sent again without harm, each until it is answered for good: what is retriable is tried again after a pause that
/// grows, on a new connection where it must be, until the request's deadline.
///
/// Thread-safe. Answers run on the strand, or inside shutdown().
class PersistentCalls {
 public:
  explicit PersistentCalls(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  /// The last error, if none of the attempts succeeds; with maybe_done when the answer to one of them was lost.
  template <class Reply, class Message>
  void ask(native::FrameType type, Message message, SteadyTime deadline, Done<Reply> done) {
    start(
        type, [type, message = std::move(message)] { return native::encode_frame(type, 0, 0, message); }, deadline,
        [done = std::move(done)](Result<Frame> frame) mutable {
          if (!frame) return done(std::move(frame).error());
          Reply reply;
          const Status decoded = decode_reply(*frame, reply);
          if (!decoded) return done(decoded.error());
          done(std::move(reply));
        });
  }
  /// Whether the answer to some attempt was lost since this was last asked: the broker may still come upon that one, later than upon
  /// others sent since.
  bool take_lost_answer();
  /// What waits between two attempts is answered with `cancelled`.
  void shutdown();

 private:
  class Call;
  struct Lost;

  void start(native::FrameType type, UniqueFunction<Slice()> encode, SteadyTime deadline, Done<Frame> done);

  const std::shared_ptr<Connection> connection_;
  const std::shared_ptr<Lost> lost_ = make_lost();
  static std::shared_ptr<Lost> make_lost();
  std::mutex mutex_;
  std::vector<std::weak_ptr<Call>> calls_;
};

}  // namespace tidemark::detail
