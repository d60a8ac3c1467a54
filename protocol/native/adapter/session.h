#pragma once

#include <array>
#include <cstring>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "protocol/native/adapter/session_core.h"

namespace tidemark::native {

/// One connection: two coroutines share it, plus one that watches the clock. The reader takes every complete request in its buffer, starts
/// each, and waits only at the session's bounds; the writer sends whatever is ready, as much as there is, in one write.
///
/// `Stream` is anything Asio reads from and writes to, so that TLS fits.
template <class Stream>
class Session final : public SessionCore {
 public:
  Session(Stream stream, broker::Broker& broker, broker::Runtime& runtime, broker::Shard& shard, boost::asio::io_context& io,
          const ServerFacts& facts, const SessionLimits& limits, std::string peer)
      : SessionCore(broker, runtime, shard, io, facts, limits, std::move(peer)), stream_(std::move(stream)), watch_timer_(io) {}

  boost::asio::awaitable<void> read_requests();
  boost::asio::awaitable<void> write_replies();
  boost::asio::awaitable<void> watch();

 private:
  using Tuple = boost::asio::as_tuple_t<boost::asio::use_awaitable_t<>>;
  static constexpr Tuple kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);
  static constexpr std::size_t kBufferBytes = 64 * 1024;

  std::size_t frame_bytes_max() const { return greeted() ? kFrameBytesMax : kHelloFrameBytesMax; }
  boost::asio::awaitable<bool> read_more(std::size_t& filled);
  boost::asio::awaitable<bool> take_frames(std::size_t& filled);

  void shut_socket() override {
    boost::system::error_code ignored;
    watch_timer_.cancel();
    stream_.lowest_layer().shutdown(boost::asio::socket_base::shutdown_both, ignored);
    stream_.lowest_layer().close(ignored);
  }

  Stream stream_;
  boost::asio::steady_timer watch_timer_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);
  SteadyTime last_request_ = std::chrono::steady_clock::now();
  std::optional<SteadyTime> write_began_;
  bool ending_ = false;  ///< No more requests; replies still go out.
};

template <class Stream>
boost::asio::awaitable<void> Session<Stream>::read_requests() {
  std::size_t filled = 0;
  while (!closed()) {
    while (!may_read() && !closed()) {
      auto [woken] = co_await input_signal().async_wait(kTuple);
      (void)woken;  // Any wake-up means: look again.
    }
    const bool more = co_await read_more(filled);
    if (!more) break;
    last_request_ = std::chrono::steady_clock::now();
    const bool good = co_await take_frames(filled);
    if (!good) break;
  }
  // What was asked before the peer closed its side, or broke the protocol, is still answered.
  ending_ = true;
  output_signal().cancel();
}

template <class Stream>
boost::asio::awaitable<bool> Session<Stream>::read_more(std::size_t& filled) {
  const auto room = boost::asio::buffer(buffer_.data() + filled, buffer_.size() - filled);
  auto [error, count] = co_await stream_.async_read_some(room, kTuple);
  filled += count;
  co_return !error && !closed();
}

/// Starts every frame that is complete in the buffer. A frame larger than the buffer is read on into memory of its own, once.
template <class Stream>
boost::asio::awaitable<bool> Session<Stream>::take_frames(std::size_t& filled) {
  std::size_t at = 0;
  while (!closed()) {
    const ByteView rest = ByteView(buffer_).subspan(at, filled - at);
    const Result<std::optional<FrameHeader>> header = FrameHeader::parse(rest, frame_bytes_max());
    if (!header) {
      // Bytes that are no frame have no correlation to answer to: the peer is told in a frame of our own, then the connection ends.
      push_error(header.error());
      co_return false;
    }
    if (!*header) break;
    const std::size_t size = (*header)->size_bytes();
    if (size > rest.size() && size <= buffer_.size()) break;
    Slice frame = Slice::allocate(size);
    const std::size_t here = std::min(size, rest.size());
    std::memcpy(frame.data(), rest.data(), here);
    at += here;
    if (here < size) {
      const auto missing = boost::asio::buffer(frame.data() + here, size - here);
      auto [error, count] = co_await boost::asio::async_read(stream_, missing, kTuple);
      if (error) co_return false;
    }
    const FrameHeader whole = **header;
    const Status started = start(whole, frame);
    if (!started) co_return false;
    // Requests already in the buffer wait like unread ones once the bounds are reached.
    while (!may_read() && !closed()) {
      auto [woken] = co_await input_signal().async_wait(kTuple);
      (void)woken;
    }
  }
  std::memmove(buffer_.data(), buffer_.data() + at, filled - at);
  filled -= at;
  co_return true;
}

template <class Stream>
boost::asio::awaitable<void> Session<Stream>::write_replies() {
  for (;;) {
    while (!has_output() && !closed() && !(ending_ && nothing_under_way())) {
      auto [woken] = co_await output_signal().async_wait(kTuple);
      (void)woken;
    }
    if (closed() || !has_output()) break;
    const Output output = take_output();
    std::vector<boost::asio::const_buffer> buffers;
    buffers.reserve(output.parts.size());
    for (const Slice& part : output.parts) buffers.emplace_back(part.data(), part.size());
    write_began_ = std::chrono::steady_clock::now();
    auto [error, count] = co_await boost::asio::async_write(stream_, buffers, kTuple);
    write_began_.reset();
    sent(output.reply_bytes);
    if (error) break;
  }
  close();
}

template <class Stream>
boost::asio::awaitable<void> Session<Stream>::watch() {
  constexpr std::chrono::seconds kTick{1};
  const SteadyTime opened = std::chrono::steady_clock::now();
  while (!closed()) {
    watch_timer_.expires_after(kTick);
    auto [woken] = co_await watch_timer_.async_wait(kTuple);
    (void)woken;
    if (closed()) break;
    const SteadyTime now = std::chrono::steady_clock::now();
    const bool silent = !greeted() && now - opened > limits().hello_timeout;
    const bool stalled = write_began_ && now - *write_began_ > limits().stalled_write_timeout;
    const bool idle = nothing_under_way() && now - last_request_ > limits().idle_timeout;
    if (silent || stalled || idle) close();
  }
}

}  // namespace tidemark::native
