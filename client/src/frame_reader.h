#pragma once

#include <cstddef>
#include <optional>

#include "protocol/native/codec/frame.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace tidemark::detail {

struct Frame {
  native::FrameHeader header;
  Slice message;
  Slice attachment;
};

/// Cuts received bytes into frames. A frame's slices share the receive buffer, which is never written again where a slice may look:
/// fetched batches reach the user without a copy.
class FrameReader {
 public:
  explicit FrameReader(std::size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  void set_frame_bytes_max(std::size_t bytes) { frame_bytes_max_ = bytes; }
  /// Where to read the next bytes to; never empty. Follow with commit().
  MutableBytes prepare();
  void commit(std::size_t bytes);
  /// nullopt: more bytes are needed. Errors as FrameHeader::parse: the stream is of no use any more.
  Result<std::optional<Frame>> next();

 private:
  std::size_t frame_bytes_max_;
  Slice buffer_;
  std::size_t begin_ = 0;                           ///< First byte not given out.
  std::size_t end_ = 0;                             ///< Behind the last byte received.
  std::size_t wanted_ = native::kFrameHeaderBytes;  ///< Size of the frame at `begin_`, as far as known.
};

}  // namespace tidemark::detail
