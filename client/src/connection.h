#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include "client/src/frame_reader.h"
#include "client/src/pending.h"
#include "storage/base/clock.h"
#include "storage/base/random.h"
#include "tidemark/client.h"

namespace tidemark::wire {
class Deliver;
class Received;
}  // namespace tidemark::wire

namespace tidemark::detail {

/// What becomes of a request when the connection breaks before its answer.
enum class OnLoss {
  repeat,        ///< It only looks: sent again.
  fail_if_sent,  ///< It changes something: fails with maybe_done once sent, waits for the next connection otherwise.
  fail,          ///< It belongs to this connection, or its sender repeats it himself: fails, with maybe_done once sent.
};

struct Request {
  native::FrameType type = native::FrameType::status;
  Slice head;  ///< From encode_frame; the correlation is filled in when it is sent.
  std::vector<Slice> attachments;
  OnLoss on_loss = OnLoss::repeat;
  SteadyTime deadline;  ///< For the answer, waiting for a connection included.
  Done<Frame> done;     ///< Runs once, with no lock held, on the strand or in shutdown(). Error replies arrive as errors.
};

/// Told of new connections and of news that is pushed on them, on the strand.
class ConnectionListener {
 public:
  virtual ~ConnectionListener() = default;
  virtual void on_connected() = 0;
  /// The connection is lost; requests that fail with it are told afterwards.
  virtual void on_disconnected() {}
  /// The broker has something to tell a member of a group on its next heartbeat.
  virtual void on_group_news(const std::string& group, const std::string& member) {
    static_cast<void>(group);
    static_cast<void>(member);
  }
};

/// Receives what the broker pushes for one subscription, on the strand.
class DeliverySink {
 public:
  virtual ~DeliverySink() = default;
  virtual void on_deliver(const wire::Deliver& deliver, Slice batches) = 0;
};

/// Receives what the broker pushes for one Receive, on the strand.
class ReceivedSink {
 public:
  virtual ~ReceivedSink() = default;
  virtual void on_received(const wire::Received& received, Slice batches) = 0;
};

/// The client's TCP connection: opened by the first request, opened again with jittered pauses when it breaks, until shutdown(). Requests
/// are pipelined and answered in order. All socket work is on one strand; the queues are under a mutex, so that requests and shutdown()
/// may come from any thread and never wait for the strand.
///
/// A request not answered within request_timeout after it was sent breaks the connection: the broker or the path is dead.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::any_io_executor executor, ClientOptions options, std::shared_ptr<void> context);

  const ClientOptions& options() const { return options_; }
  const asio::any_io_executor& executor() const { return executor_; }
  const asio::strand<asio::any_io_executor>& strand() const { return strand_; }
  SteadyTime default_deadline() const { return std::chrono::steady_clock::now() + options_.request_timeout; }

  void send(Request request);
  /// Dropped without a word when there is no connection: it belongs to the one it was meant for.
  void send_one_way(Slice frame);
  /// Answers at the first success, or when the attempt under way has failed.
  void connect(Done<void> done);
  /// Everything without an answer fails with `cancelled`, inside this call; later requests too.
  void shutdown();
  bool is_shut_down() const;

  void add_listener(std::weak_ptr<ConnectionListener> listener);
  std::uint32_t open_subscription(std::weak_ptr<DeliverySink> sink);
  void close_subscription(std::uint32_t subscription);
  /// A number for one Receive. It ends with its Received, with the connection, or with close_receive().
  std::uint32_t open_receive(std::weak_ptr<ReceivedSink> sink);
  void close_receive(std::uint32_t receive);
  std::size_t frame_bytes_max() const;  ///< Agreed with the broker; the protocol's own limit before.

 private:
  struct Entry {
    Request request;
    bool one_way = false;
    std::uint32_t correlation = 0;
    SteadyTime sent_at{};
  };
  struct Burst;

  static asio::awaitable<void> run(std::shared_ptr<Connection> self);
  asio::awaitable<Status> establish();
  asio::awaitable<Status> open_socket();
  asio::awaitable<Status> greet();
  asio::awaitable<void> read_frames();
  asio::awaitable<void> write_requests();
  asio::awaitable<void> pause(std::chrono::milliseconds duration);

  void start_locked();
  Burst next_burst();
  Status handle(Frame frame);
  Status handle_reply(Frame frame);
  Status handle_push(Frame frame);
  Status handle_group_news(const Frame& frame);
  Status handle_received(Frame frame);
  void announce(const Status& attempt);
  void lose(const Error& reason);
  void settle_after_loss();
  void fail_waiting(const Error& reason);
  void arm_deadline();
  void check_deadlines();
  std::chrono::milliseconds next_backoff();
  void close_socket();

  const ClientOptions options_;
  const std::shared_ptr<void> context_;  ///< Keeps the client's own io_context, if any, behind everything that uses it.
  const asio::any_io_executor executor_;
  const asio::strand<asio::any_io_executor> strand_;

  // On the strand.
  asio::ip::tcp::socket socket_;
  asio::ip::tcp::resolver resolver_;
  asio::steady_timer pause_timer_, connect_timer_, writer_wakeup_, deadline_timer_;
  FrameReader frames_;
  Random random_;
  int failed_attempts_ = 0;
  bool connect_timed_out_ = false;
  Error loss_;

  mutable std::mutex mutex_;
  bool started_ = false;
  bool connected_ = false;
  bool shut_down_ = false;
  bool writer_idle_ = false;
  std::uint32_t next_correlation_ = 1;
  std::uint32_t next_subscription_ = 1;
  std::uint32_t next_receive_ = 1;
  std::size_t in_flight_max_ = 1;
  std::size_t frame_bytes_max_ = native::kFrameBytesMax;
  SteadyTime armed_for_ = SteadyTime::max();
  Error last_failure_;
  std::deque<Entry> queue_;
  std::deque<Entry> in_flight_;
  std::vector<Done<void>> connect_waiters_;
  std::vector<std::weak_ptr<ConnectionListener>> listeners_;
  std::unordered_map<std::uint32_t, std::weak_ptr<DeliverySink>> subscriptions_;
  std::unordered_map<std::uint32_t, std::weak_ptr<ReceivedSink>> receives_;
};

}  // namespace tidemark::detail
