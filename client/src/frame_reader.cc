#include "client/src/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "storage/base/check.h"

namespace tidemark::detail {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::size_t kReadBytesMin = 16 * 1024;  ///< Less room than this makes for poor reads; a fresh buffer is cheaper.

}  // namespace

MutableBytes FrameReader::prepare() {
  const std::size_t pending = end_ - begin_;
  const std::size_t room = buffer_.size() - begin_;
  const bool crowded = buffer_.size() - end_ < kReadBytesMin && pending < kReadBytesMin;
  if (room < wanted_ || buffer_.size() == end_ || crowded) {
    Slice fresh = Slice::allocate(std::max(kBufferBytes, wanted_));
    if (pending > 0) std::memcpy(fresh.data(), buffer_.data() + begin_, pending);
    buffer_ = std::move(fresh);
    begin_ = 0;
    end_ = pending;
  }
  return buffer_.writable().subspan(end_);
}

void FrameReader::commit(std::size_t bytes) {
  CHECK(bytes <= buffer_.size() - end_);
  end_ += bytes;
}

Result<std::optional<Frame>> FrameReader::next() {
  const Result<std::optional<native::FrameHeader>> header =
      native::FrameHeader::parse(buffer_.view().subspan(begin_, end_ - begin_), frame_bytes_max_);
  if (!header) return header.error();
  if (!*header) {
    wanted_ = native::kFrameHeaderBytes;
    return std::optional<Frame>();
  }
  wanted_ = (*header)->size_bytes();
  if (end_ - begin_ < wanted_) return std::optional<Frame>();

  const std::size_t message_at = begin_ + native::kFrameHeaderBytes;
  Frame frame{.header = **header,
              .message = buffer_.subslice(message_at, (*header)->message_bytes),
              .attachment = buffer_.subslice(message_at + (*header)->message_bytes, (*header)->attachment_bytes)};
  begin_ += wanted_;
  wanted_ = native::kFrameHeaderBytes;
  return std::optional<Frame>(std::move(frame));
}

}  // namespace tidemark::detail
