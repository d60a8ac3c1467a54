#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"

namespace tidemark::net {

/// Bytes to send, in order, as pieces of shared buffers.
struct Output {
  std::vector<Slice> parts;
  std::size_t bytes = 0;
  void add(Slice part) {
    bytes += part.size();
    parts.push_back(std::move(part));
  }
};

/// How long a peer may take.
struct Timeouts {
  std::chrono::milliseconds hello_timeout{10'000};  ///< Until Core::greeted().
  std::chrono::milliseconds idle_timeout{600'000};  ///< While Core::idle().
  std::chrono::milliseconds stall_timeout{30'000};  ///< Without a byte, in the middle of a frame, either way.
  std::chrono::milliseconds linger_timeout{2'000};  ///< For the peer to close after our last frame.
};

/// One connection: two coroutines share it, plus one that watches the clock. The reader takes every complete request in its buffer, starts
/// each, and waits only at the session's bounds; the writer sends whatever is ready, as much as there is, in one write.
///
/// `Stream` is anything Asio reads from and writes to, so that TLS fits. `Core` is the protocol of the connection, without a socket:
///     Result<std::optional<std::size_t>> frame_size(ByteView) const   of the frame these bytes begin with, nullopt: too few to say.
///                                                                      An error ends the connection: the bytes are not the protocol
///     Status start(Slice frame)          judges and starts one whole request; an error: no more requests are taken
///     bool greeted(), taking_requests(), may_read(), idle(), quiet(), has_output(), closed()
///     Output take_output(); void sent(std::size_t bytes)
///     void stop_taking(), fail(Error), close()
///     limits(), which is a Timeouts; runtime(); output_signal(), input_signal(): timers whose cancellation means "look again"
///     virtual void shut_socket()         called by close()
///     std::size_t unsized_frame_bytes_max() const   optional: how many bytes frame_size() may want to see before it tells a size, if more
///                                                    than the buffer holds
template <class Stream, class Core>
class StreamSession final : public Core {
 public:
  /// What `core` takes besides the stream.
  template <class... Arguments>
  StreamSession(Stream stream, boost::asio::io_context& io, Arguments&&... core)
      : Core(io, std::forward<Arguments>(core)...), stream_(std::move(stream)), watch_timer_(io), opened_(now()), last_byte_(opened_) {}

  boost::asio::awaitable<void> read_requests();
  boost::asio::awaitable<void> write_replies();
  boost::asio::awaitable<void> watch();

 private:
  static constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);
  static constexpr std::size_t kBufferBytesMin = 4 * 1024;  ///< An idle connection keeps this.
  static constexpr std::size_t kBufferBytesMax = 64 * 1024;
  static constexpr std::size_t kPartsPerWrite = 64;  ///< What Asio hands to the kernel in one call.

  SteadyTime now() { return this->runtime().clock().steady(); }
  std::size_t unsized_bytes_max() const {
    if constexpr (requires(const Core& core) { core.unsized_frame_bytes_max(); }) return Core::unsized_frame_bytes_max();
    return 0;
  }
  boost::asio::awaitable<bool> read_more();
  boost::asio::awaitable<bool> take_frames();
  boost::asio::awaitable<bool> read_rest(MutableBytes rest);
  boost::asio::awaitable<bool> write(std::span<const Slice> parts);
  boost::asio::awaitable<void> linger();
  void size_buffer(std::size_t capacity);
  SteadyTime next_deadline();
  void expire();
  /// The watch looks at `deadline` at the latest.
  void watch_until(SteadyTime deadline) {
    if (watch_timer_.expiry() > deadline) watch_timer_.cancel();
  }

  void shut_socket() override {
    boost::system::error_code ignored;
    watch_timer_.cancel();
    stream_.lowest_layer().shutdown(boost::asio::socket_base::shutdown_both, ignored);
    stream_.lowest_layer().close(ignored);
  }

  Stream stream_;
  boost::asio::steady_timer watch_timer_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t filled_ = 0;
  bool in_frame_ = false;    ///< Part of a frame is here, the rest is not.
  bool peer_ended_ = false;  ///< Nothing more will come.
  SteadyTime opened_;
  SteadyTime last_byte_;
  std::optional<SteadyTime> last_write_;  ///< While bytes wait for the peer: when it last took some.
  std::optional<SteadyTime> lingering_;   ///< Since when the peer has our last byte.
};

template <class Stream, class Core>
boost::asio::awaitable<void> StreamSession<Stream, Core>::read_requests() {
  bool good = true;
  while (good && this->taking_requests()) {
    while (this->taking_requests() && !this->may_read()) {
      auto [woken] = co_await this->input_signal().async_wait(kTuple);
      (void)woken;  // Any wake-up means: look again.
    }
    good = co_await read_more();
    if (good && this->taking_requests()) good = co_await take_frames();
  }
  // What was asked before the peer closed its side, or broke the protocol, is still answered.
  this->stop_taking();
  // Input that nobody reads would make the kernel reset the connection, and the peer would lose our last words.
  filled_ = 0;
  while (!this->closed() && !peer_ended_) {
    const bool more = co_await read_more();
    (void)more;
    filled_ = 0;
  }
  this->output_signal().cancel();
}

template <class Stream, class Core>
void StreamSession<Stream, Core>::size_buffer(std::size_t capacity) {
  std::unique_ptr<std::byte[]> sized(new std::byte[capacity]);
  if (filled_ > 0) std::memcpy(sized.get(), buffer_.get(), filled_);
  buffer_ = std::move(sized);
  capacity_ = capacity;
}

/// False when nothing more can come.
template <class Stream, class Core>
boost::asio::awaitable<bool> StreamSession<Stream, Core>::read_more() {
  if (capacity_ == 0) size_buffer(kBufferBytesMin);
  last_byte_ = now();  // The peer is waited for from now on, not while its bytes waited for us.
  const auto room = boost::asio::buffer(buffer_.get() + filled_, capacity_ - filled_);
  auto [error, count] = co_await stream_.async_read_some(room, kTuple);
  filled_ += count;
  last_byte_ = now();
  if (error) peer_ended_ = true;
  co_return !peer_ended_ && !this->closed();
}

/// Starts every frame that is complete in the buffer. A frame larger than the buffer is read on into memory of its own, once. False: the
/// connection takes no more.
template <class Stream, class Core>
boost::asio::awaitable<bool> StreamSession<Stream, Core>::take_frames() {
  const std::size_t used = filled_;
  std::size_t at = 0;
  while (this->taking_requests()) {
    const ByteView rest = ByteView(buffer_.get(), filled_).subspan(at);
    const Result<std::optional<std::size_t>> parsed = this->frame_size(rest);
    if (!parsed) {
      this->fail(parsed.error());  // Bytes that are no frame have no correlation to answer to.
      co_return false;
    }
    if (!*parsed) break;
    const std::size_t size = **parsed;
    if (size > rest.size() && size <= capacity_) break;
    const Slice frame = Slice::allocate(size);
    const std::size_t here = std::min(size, rest.size());
    std::memcpy(frame.data(), rest.data(), here);
    at += here;
    if (here < size) {
      const bool whole = co_await read_rest(frame.writable().subspan(here));
      if (!whole) co_return false;
    }
    const Status started = this->start(frame);
    if (!started) co_return false;
    // Requests already in the buffer wait like unread ones once the bounds are reached.
    while (this->taking_requests() && !this->may_read()) {
      auto [woken] = co_await this->input_signal().async_wait(kTuple);
      (void)woken;
    }
  }
  filled_ -= at;
  if (filled_ > 0) std::memmove(buffer_.get(), buffer_.get() + at, filled_);
  in_frame_ = filled_ > 0;
  if (in_frame_) watch_until(last_byte_ + this->limits().stall_timeout);
  // The buffer follows the traffic: many requests at a time want a large one, ten thousand quiet connections small ones. Beyond that it
  // grows for one frame that does not tell its size, and only as long as that lasts.
  const bool unsized = used == capacity_ && at == 0;
  const std::size_t capacity_max = unsized ? std::max(kBufferBytesMax, unsized_bytes_max()) : kBufferBytesMax;
  if (used == capacity_ && capacity_ < capacity_max)
    size_buffer(std::min(capacity_ * 4, capacity_max));
  else if (capacity_ > kBufferBytesMax && filled_ < kBufferBytesMax && !unsized)
    size_buffer(kBufferBytesMax);
  else if (filled_ == 0 && used <= capacity_ / 4 && capacity_ > kBufferBytesMin)
    size_buffer(capacity_ / 4);
  co_return this->taking_requests();
}

template <class Stream, class Core>
boost::asio::awaitable<bool> StreamSession<Stream, Core>::read_rest(MutableBytes rest) {
  in_frame_ = true;
  watch_until(last_byte_ + this->limits().stall_timeout);
  while (!rest.empty() && this->taking_requests()) {
    const auto room = boost::asio::buffer(rest.data(), rest.size());
    auto [error, count] = co_await stream_.async_read_some(room, kTuple);
    rest = rest.subspan(count);
    last_byte_ = now();
    if (error) {
      peer_ended_ = true;
      break;
    }
  }
  in_frame_ = false;
  co_return rest.empty() && this->taking_requests();
}

template <class Stream, class Core>
boost::asio::awaitable<void> StreamSession<Stream, Core>::write_replies() {
  while (!this->closed()) {
    while (!this->closed() && !this->has_output() && (this->taking_requests() || !this->quiet())) {
      auto [woken] = co_await this->output_signal().async_wait(kTuple);
      (void)woken;
    }
    if (this->closed() || !this->has_output()) break;
    const Output output = this->take_output();
    const bool written = co_await write(output.parts);
    if (!written) {
      this->close();
      break;
    }
    this->sent(output.bytes);
  }
  co_await linger();
  this->close();
}

template <class Stream, class Core>
boost::asio::awaitable<bool> StreamSession<Stream, Core>::write(std::span<const Slice> parts) {
  last_write_ = now();
  watch_until(*last_write_ + this->limits().stall_timeout);
  std::array<boost::asio::const_buffer, kPartsPerWrite> gathered;
  std::size_t skip = 0;  // Bytes of the first part that are out already.
  while (!parts.empty() && !this->closed()) {
    const std::size_t count = std::min(parts.size(), kPartsPerWrite);
    for (std::size_t i = 0; i < count; ++i) gathered[i] = boost::asio::const_buffer(parts[i].data(), parts[i].size());
    gathered[0] += skip;
    const std::span<const boost::asio::const_buffer> buffers(gathered.data(), count);
    auto [error, written] = co_await stream_.async_write_some(buffers, kTuple);
    if (error) co_return false;
    last_write_ = now();
    written += skip;
    while (!parts.empty() && written >= parts.front().size()) {
      written -= parts.front().size();
      parts = parts.subspan(1);
    }
    skip = written;
  }
  last_write_.reset();
  co_return parts.empty();
}

/// Waits, for a moment, until the peer has read all and closed.
template <class Stream, class Core>
boost::asio::awaitable<void> StreamSession<Stream, Core>::linger() {
  if (this->closed()) co_return;
  boost::system::error_code ignored;
  stream_.lowest_layer().shutdown(boost::asio::socket_base::shutdown_send, ignored);
  lingering_ = now();
  watch_until(*lingering_ + this->limits().linger_timeout);
  while (!this->closed() && !peer_ended_) {
    auto [woken] = co_await this->output_signal().async_wait(kTuple);
    (void)woken;
  }
}

template <class Stream, class Core>
SteadyTime StreamSession<Stream, Core>::next_deadline() {
  if (lingering_) return *lingering_ + this->limits().linger_timeout;
  SteadyTime deadline = SteadyTime::max();
  if (last_write_) deadline = *last_write_ + this->limits().stall_timeout;
  if (!this->taking_requests()) return deadline;
  if (!this->greeted()) deadline = std::min(deadline, opened_ + this->limits().hello_timeout);
  if (in_frame_ && this->may_read()) deadline = std::min(deadline, last_byte_ + this->limits().stall_timeout);
  // With a reply or a reader under way nobody is idle: look again after as long.
  deadline = std::min(deadline, (this->idle() ? last_byte_ : now()) + this->limits().idle_timeout);
  return deadline;
}

/// A deadline has passed: what was it for?
template <class Stream, class Core>
void StreamSession<Stream, Core>::expire() {
  if (lingering_ || last_write_) return this->close();
  const auto seconds = [](std::chrono::milliseconds timeout) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(timeout).count()) + " s";
  };
  if (!this->greeted()) return this->fail({Errc::timed_out, "no hello within " + seconds(this->limits().hello_timeout)});
  if (in_frame_) return this->fail({Errc::timed_out, "a frame was begun and not continued for " + seconds(this->limits().stall_timeout)});
  this->fail({Errc::timed_out, "no request for " + seconds(this->limits().idle_timeout)});
}

template <class Stream, class Core>
boost::asio::awaitable<void> StreamSession<Stream, Core>::watch() {
  while (!this->closed()) {
    const SteadyTime deadline = next_deadline();
    if (deadline <= now()) {
      expire();
      continue;
    }
    watch_timer_.expires_at(deadline);
    auto [woken] = co_await watch_timer_.async_wait(kTuple);
    (void)woken;
  }
}

}  // namespace tidemark::net
