#include "client/src/connection.h"

#include <algorithm>
#include <exception>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <random>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "client/src/address.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"
#include "storage/base/check.h"

namespace tidemark::detail {
namespace {

using asio::ip::tcp;
using std::chrono::milliseconds;

constexpr std::size_t kBurstBytes = 1024 * 1024;  ///< What one write gathers at most; a larger frame goes alone.
constexpr std::size_t kBurstBuffers = 64;         ///< What one writev of Asio takes.
constexpr std::size_t kCorrelationAt = 8;
constexpr std::size_t kInFlightDefault = 64;  ///< When the broker names no limit.

SteadyTime now() { return std::chrono::steady_clock::now(); }

Error closed_error() { return {Errc::cancelled, "the client was closed"}; }

/// A peer that is gone without a word is noticed within half a minute also when nothing is asked of it.
void keep_alive(tcp::socket& socket) {
  boost::system::error_code ignored;  // Both are improvements, not needs.
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int idle_seconds = 15, interval_seconds = 5, probes = 3;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

struct Connection::Burst {
  std::vector<Slice> slices;
  std::vector<asio::const_buffer> buffers;
  std::size_t bytes = 0;

  void add(const Slice& slice) {
    if (slice.empty()) return;
    slices.push_back(slice);
    buffers.emplace_back(slice.data(), slice.size());
    bytes += slice.size();
  }
};

Connection::Connection(asio::any_io_executor executor, ClientOptions options, std::shared_ptr<void> context)
    : options_(std::move(options)),
      context_(std::move(context)),
      executor_(executor),
      strand_(asio::make_strand(executor)),
      socket_(strand_),
      resolver_(strand_),
      pause_timer_(strand_),
      connect_timer_(strand_),
      writer_wakeup_(strand_),
      deadline_timer_(strand_),
      frames_(native::kFrameBytesMax),
      random_(std::random_device{}()) {}

// --- From any thread.

void Connection::send(Request request) {
  bool wake = false, rearm = false;
  const SteadyTime check_at = std::min(request.deadline, now() + options_.request_timeout);
  {
    std::unique_lock lock(mutex_);
    if (shut_down_) {
      lock.unlock();
      return request.done(closed_error());
    }
    start_locked();
    queue_.push_back(Entry{.request = std::move(request)});
    wake = std::exchange(writer_idle_, false);
    rearm = check_at < armed_for_;
    if (rearm) armed_for_ = check_at;
  }
  if (!wake && !rearm) return;
  asio::post(strand_, [self = shared_from_this(), wake, rearm] {
    if (wake) self->writer_wakeup_.cancel();
    if (rearm) self->arm_deadline();
  });
}

void Connection::send_one_way(Slice frame) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (!connected_ || shut_down_) return;
    Entry entry;
    entry.request.head = std::move(frame);
    entry.one_way = true;
    queue_.push_back(std::move(entry));
    wake = std::exchange(writer_idle_, false);
  }
  if (wake) asio::post(strand_, [self = shared_from_this()] { self->writer_wakeup_.cancel(); });
}

void Connection::connect(Done<void> done) {
  {
    std::unique_lock lock(mutex_);
    if (shut_down_ || connected_) {
      const Status answer = shut_down_ ? Status(closed_error()) : Status();
      lock.unlock();
      return done(answer);
    }
    start_locked();
    connect_waiters_.push_back(std::move(done));
  }
  asio::post(strand_, [self = shared_from_this()] { self->pause_timer_.cancel(); });
}

void Connection::start_locked() {
  if (std::exchange(started_, true)) return;
  // Posted, because spawning may run the beginning inside the call, and the lock is held.
  asio::post(strand_, [self = shared_from_this()] {
    asio::co_spawn(self->strand_, run(self), [self](const std::exception_ptr& failure) {
      // Nothing in run() throws but exhausted memory; without its connection the client is finished.
      if (failure) self->shutdown();
    });
  });
}

void Connection::shutdown() {
  std::deque<Entry> unsent, sent;
  std::vector<Done<void>> waiters;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(shut_down_, true)) return;
    connected_ = false;
    unsent.swap(queue_);
    sent.swap(in_flight_);
    waiters.swap(connect_waiters_);
    subscriptions_.clear();
    receives_.clear();
    listeners_.clear();
  }
  for (Entry& entry : sent) {
    Error error = closed_error();
    error.maybe_done = entry.request.on_loss != OnLoss::repeat;
    if (entry.request.done) entry.request.done(std::move(error));
  }
  for (Entry& entry : unsent) {
    if (entry.request.done) entry.request.done(closed_error());
  }
  for (Done<void>& waiter : waiters) waiter(closed_error());
  asio::post(strand_, [self = shared_from_this()] {
    self->close_socket();
    self->resolver_.cancel();
    self->pause_timer_.cancel();
    self->connect_timer_.cancel();
    self->deadline_timer_.cancel();
  });
}

bool Connection::is_shut_down() const {
  const std::lock_guard lock(mutex_);
  return shut_down_;
}

void Connection::add_listener(std::weak_ptr<ConnectionListener> listener) {
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const auto& known) { return known.expired(); });
  listeners_.push_back(std::move(listener));
}

std::uint32_t Connection::open_subscription(std::weak_ptr<DeliverySink> sink) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = next_subscription_++;
  subscriptions_.emplace(id, std::move(sink));
  return id;
}

void Connection::close_subscription(std::uint32_t subscription) {
  const std::lock_guard lock(mutex_);
  subscriptions_.erase(subscription);
}

std::uint32_t Connection::open_receive(std::weak_ptr<ReceivedSink> sink) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t id = next_receive_++;
  receives_.insert_or_assign(id, std::move(sink));
  return id;
}

void Connection::close_receive(std::uint32_t receive) {
  const std::lock_guard lock(mutex_);
  receives_.erase(receive);
}

std::size_t Connection::frame_bytes_max() const {
  const std::lock_guard lock(mutex_);
  return frame_bytes_max_;
}

// --- On the strand.

asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  using namespace asio::experimental::awaitable_operators;  // NOLINT: the documented way to get the operators.
  while (!self->is_shut_down()) {
    const Status attempt = co_await self->establish();
    self->announce(attempt);
    if (attempt) {
      co_await (self->read_frames() && self->write_requests());
      self->settle_after_loss();
    }
    if (self->is_shut_down()) break;
    const milliseconds backoff = self->next_backoff();
    co_await self->pause(backoff);
  }
  self->close_socket();
}

asio::awaitable<Status> Connection::establish() {
  connect_timed_out_ = false;
  connect_timer_.expires_after(options_.connect_timeout);
  connect_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (aborted || self == nullptr) return;
    self->connect_timed_out_ = true;
    self->resolver_.cancel();
    self->close_socket();
  });

  Status done = co_await open_socket();
  if (done) done = co_await greet();
  connect_timer_.cancel();
  if (done) co_return done;
  close_socket();
  if (!connect_timed_out_) co_return done;
  co_return Error{Errc::cannot_connect, options_.server + ": no answer within " + std::to_string(options_.connect_timeout.count()) + " ms"};
}

asio::awaitable<Status> Connection::open_socket() {
  const Result<Address> address = parse_address(options_.server);
  if (!address) co_return address.error();

  std::vector<tcp::endpoint> endpoints;
  boost::system::error_code not_a_number;
  const asio::ip::address number = asio::ip::make_address(address->host, not_a_number);
  if (!not_a_number) {
    endpoints.emplace_back(number, address->port);
  } else {
    const auto [failed, found] =
        co_await resolver_.async_resolve(address->host, std::to_string(address->port), asio::as_tuple(asio::use_awaitable));
    if (failed) co_return Error{Errc::cannot_connect, options_.server + ": " + failed.message()};
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }

  const auto [failed, endpoint] = co_await asio::async_connect(socket_, endpoints, asio::as_tuple(asio::use_awaitable));
  if (failed) co_return Error{Errc::cannot_connect, options_.server + ": " + failed.message()};
  keep_alive(socket_);
  co_return Status();
}

asio::awaitable<Status> Connection::greet() {
  wire::Hello hello;
  hello.set_protocol_min(native::kProtocolVersion);
  hello.set_protocol_max(native::kProtocolVersion);
  hello.set_client_id(options_.client_id);
  hello.set_client_version(TIDEMARK_VERSION);
  const Slice greeting = native::encode_frame(native::FrameType::hello, 0, 0, hello);
  const asio::const_buffer bytes = asio::buffer(greeting.data(), greeting.size());
  const auto [unsent, sent_bytes] = co_await asio::async_write(socket_, bytes, asio::as_tuple(asio::use_awaitable));
  if (unsent) co_return Error{Errc::cannot_connect, options_.server + ": " + unsent.message()};

  frames_ = FrameReader(native::kFrameBytesMax);
  for (;;) {
    const Result<std::optional<Frame>> frame = frames_.next();
    if (!frame) co_return Error{Errc::cannot_connect, options_.server + " does not speak the native protocol: " + frame.error().detail};
    if (*frame) {
      wire::HelloReply reply;
      const Status decoded = decode_reply(**frame, reply);
      if (!decoded) co_return decoded;
      const std::lock_guard lock(mutex_);
      in_flight_max_ = reply.requests_in_flight_max() > 0 ? reply.requests_in_flight_max() : kInFlightDefault;
      if (reply.frame_bytes_max() > 0) frame_bytes_max_ = std::min<std::size_t>(reply.frame_bytes_max(), native::kFrameBytesMax);
      co_return Status();
    }
    const MutableBytes room = frames_.prepare();
    const asio::mutable_buffer space = asio::buffer(room.data(), room.size());
    const auto [closed, received] = co_await socket_.async_read_some(space, asio::as_tuple(asio::use_awaitable));
    if (closed) co_return Error{Errc::cannot_connect, options_.server + " closed the connection: " + closed.message()};
    frames_.commit(received);
  }
}

asio::awaitable<void> Connection::read_frames() {
  for (;;) {
    Result<std::optional<Frame>> frame = frames_.next();
    while (frame && *frame) {
      const Status handled = handle(std::move(**frame));
      if (!handled) co_return lose(handled.error());
      frame = frames_.next();
    }
    if (!frame) co_return lose(frame.error());
    const MutableBytes room = frames_.prepare();
    const asio::mutable_buffer space = asio::buffer(room.data(), room.size());
    const auto [closed, received] = co_await socket_.async_read_some(space, asio::as_tuple(asio::use_awaitable));
    if (closed) co_return lose(Error{Errc::connection_lost, options_.server + ": " + closed.message()});
    frames_.commit(received);
  }
}

asio::awaitable<void> Connection::write_requests() {
  while (socket_.is_open()) {
    // Armed before looking, so that a wake-up between the look and the wait is not missed.
    writer_wakeup_.expires_at(SteadyTime::max());
    const Burst burst = next_burst();
    if (burst.buffers.empty()) {
      co_await writer_wakeup_.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    const auto [failed, sent] = co_await asio::async_write(socket_, burst.buffers, asio::as_tuple(asio::use_awaitable));
    if (failed) co_return lose(Error{Errc::connection_lost, options_.server + ": " + failed.message()});
  }
}

Connection::Burst Connection::next_burst() {
  Burst burst;
  const std::lock_guard lock(mutex_);
  while (!queue_.empty() && burst.bytes < kBurstBytes && burst.buffers.size() < kBurstBuffers) {
    Entry& entry = queue_.front();
    if (!entry.one_way && in_flight_.size() >= in_flight_max_) break;
    if (!entry.one_way) {
      entry.correlation = next_correlation_++;
      entry.sent_at = now();
      store_le(entry.request.head.data() + kCorrelationAt, entry.correlation);
    }
    burst.add(entry.request.head);
    for (const Slice& attachment : entry.request.attachments) burst.add(attachment);
    if (!entry.one_way) in_flight_.push_back(std::move(entry));
    queue_.pop_front();
  }
  writer_idle_ = burst.buffers.empty();
  return burst;
}

Status Connection::handle(Frame frame) {
  if ((frame.header.flags & native::kFlagPushed) != 0) return handle_push(std::move(frame));
  return handle_reply(std::move(frame));
}

Status Connection::handle_reply(Frame frame) {
  Done<Frame> done;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (shut_down_) return closed_error();
    if (in_flight_.empty() || in_flight_.front().correlation != frame.header.correlation) {
      return Error{Errc::protocol_error, options_.server + ": a reply that nothing waits for"};
    }
    done = std::move(in_flight_.front().request.done);
    in_flight_.pop_front();
    wake = !queue_.empty() && std::exchange(writer_idle_, false);  // It had stopped at the limit in flight.
  }
  if (wake) writer_wakeup_.cancel();
  if (!done) return {};  // Timed out meanwhile.
  if ((frame.header.flags & native::kFlagError) != 0) {
    done(decode_error(frame));
  } else {
    done(std::move(frame));
  }
  return {};
}

Status Connection::handle_push(Frame frame) {
  // What answers no request: the broker says why it is about to close.
  if ((frame.header.flags & native::kFlagError) != 0) {
    return Error{Errc::connection_lost, options_.server + " closes the connection: " + decode_error(frame).to_string()};
  }
  if (frame.header.type == native::FrameType::group_news) return handle_group_news(frame);
  if (frame.header.type == native::FrameType::received) return handle_received(std::move(frame));
  wire::Deliver deliver;
  if (frame.header.type != native::FrameType::deliver || !native::decode_message(frame.message.view(), deliver)) {
    return Error{Errc::protocol_error, options_.server + ": a pushed frame that is no delivery"};
  }
  std::shared_ptr<DeliverySink> sink;
  {
    const std::lock_guard lock(mutex_);
    const auto found = subscriptions_.find(deliver.subscription());
    if (found != subscriptions_.end()) sink = found->second.lock();
  }
  // What was under way when a subscription was closed still arrives: nobody wants it.
  if (sink != nullptr) sink->on_deliver(deliver, std::move(frame.attachment));
  return {};
}

Status Connection::handle_group_news(const Frame& frame) {
  wire::GroupNews news;
  if (!native::decode_message(frame.message.view(), news)) {
    return Error{Errc::protocol_error, options_.server + ": news of a group that cannot be read"};
  }
  std::vector<std::weak_ptr<ConnectionListener>> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) {
    if (const auto alive = listener.lock()) alive->on_group_news(news.group(), news.member());
  }
  return {};
}

Status Connection::handle_received(Frame frame) {
  wire::Received received;
  if (!native::decode_message(frame.message.view(), received)) {
    return Error{Errc::protocol_error, options_.server + ": records received that cannot be read"};
  }
  std::shared_ptr<ReceivedSink> sink;
  {
    const std::lock_guard lock(mutex_);
    const auto found = receives_.find(received.receive());
    if (found != receives_.end()) {
      sink = found->second.lock();
      receives_.erase(found);
    }
  }
  if (sink != nullptr) sink->on_received(received, std::move(frame.attachment));
  return {};
}

void Connection::announce(const Status& attempt) {
  std::vector<Done<void>> waiters;
  std::vector<std::weak_ptr<ConnectionListener>> listeners;
  {
    const std::lock_guard lock(mutex_);
    if (shut_down_) return;
    connected_ = attempt.has_value();
    if (attempt) listeners = listeners_;
    if (!attempt) last_failure_ = attempt.error();
    waiters.swap(connect_waiters_);
  }
  failed_attempts_ = attempt ? 0 : failed_attempts_ + 1;
  loss_ = Error{Errc::connection_lost, options_.server};
  for (Done<void>& waiter : waiters) waiter(attempt);
  for (const auto& listener : listeners) {
    if (const auto alive = listener.lock()) alive->on_connected();
  }
  // A refusal by the broker, or an address that is none, will not be better at the next attempt.
  if (!attempt && !attempt.error().retriable()) fail_waiting(attempt.error());
}

void Connection::lose(const Error& reason) {
  if (socket_.is_open()) loss_ = reason;
  close_socket();
}

void Connection::close_socket() {
  boost::system::error_code ignored;  // Nothing can be done about it, and nothing is lost by it.
  socket_.close(ignored);
  writer_wakeup_.cancel();
}

void Connection::settle_after_loss() {
  std::vector<std::pair<Done<Frame>, Error>> failed;
  std::vector<std::weak_ptr<ConnectionListener>> listeners;
  const auto fail = [&](Entry& entry, bool sent) {
    if (!entry.request.done) return;
    failed.emplace_back(std::move(entry.request.done), Error{Errc::connection_lost, loss_.detail, sent});
  };
  {
    const std::lock_guard lock(mutex_);
    connected_ = false;
    writer_idle_ = false;
    std::deque<Entry> again;
    for (Entry& entry : in_flight_) {
      if (entry.request.on_loss != OnLoss::repeat) {
        fail(entry, true);
      } else if (entry.request.done) {
        again.push_back(std::move(entry));
      }
    }
    for (Entry& entry : queue_) {
      if (entry.one_way) continue;
      if (entry.request.on_loss == OnLoss::fail) {
        fail(entry, false);
      } else {
        again.push_back(std::move(entry));
      }
    }
    in_flight_.clear();
    queue_.swap(again);
    receives_.clear();
    listeners = listeners_;
    last_failure_ = loss_;
  }
  for (const auto& listener : listeners) {
    if (const auto alive = listener.lock()) alive->on_disconnected();
  }
  for (auto& [done, error] : failed) done(std::move(error));
}

void Connection::fail_waiting(const Error& reason) {
  std::deque<Entry> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(queue_);
  }
  for (Entry& entry : waiting) {
    if (entry.request.done) entry.request.done(reason);
  }
}

void Connection::arm_deadline() {
  const std::lock_guard lock(mutex_);
  if (shut_down_ || armed_for_ == SteadyTime::max()) return;
  deadline_timer_.expires_at(armed_for_);
  deadline_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (!aborted && self != nullptr) self->check_deadlines();
  });
}

void Connection::check_deadlines() {
  std::vector<std::pair<Done<Frame>, Error>> failed;
  const SteadyTime time = now();
  SteadyTime next = SteadyTime::max();
  bool dead = false;
  const auto check = [&](Entry& entry, Error error) {
    if (!entry.request.done) return;
    if (entry.request.deadline > time) {
      next = std::min(next, entry.request.deadline);
    } else {
      failed.emplace_back(std::move(entry.request.done), std::move(error));
    }
  };
  {
    const std::lock_guard lock(mutex_);
    for (Entry& entry : in_flight_) {
      check(entry, Error{Errc::timed_out, options_.server + ": no answer", entry.request.on_loss != OnLoss::repeat});
    }
    if (!in_flight_.empty()) {
      const SteadyTime overdue = in_flight_.front().sent_at + options_.request_timeout;
      dead = overdue <= time;
      if (!dead) next = std::min(next, overdue);
    }
    const Error unsent = connected_ ? Error{Errc::timed_out, options_.server + ": busy, the request was not sent"}
                                    : Error{Errc::cannot_connect, last_failure_.detail};
    for (Entry& entry : queue_) check(entry, unsent);
    std::erase_if(queue_, [](const Entry& entry) { return !entry.one_way && !entry.request.done; });
    armed_for_ = next;
  }
  for (auto& [done, error] : failed) done(std::move(error));
  if (dead) lose(Error{Errc::connection_lost, options_.server + ": no answer within the request timeout"});
  arm_deadline();
}

asio::awaitable<void> Connection::pause(milliseconds duration) {
  pause_timer_.expires_after(duration);
  co_await pause_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

milliseconds Connection::next_backoff() {
  milliseconds longest = options_.reconnect_backoff_min;
  for (int i = 1; i < failed_attempts_ && longest < options_.reconnect_backoff_max; ++i) longest *= 2;
  longest = std::max(std::min(longest, options_.reconnect_backoff_max), milliseconds(1));
  std::uniform_int_distribution<milliseconds::rep> jitter(longest.count() / 2, longest.count());
  return milliseconds(jitter(random_));
}

}  // namespace tidemark::detail
