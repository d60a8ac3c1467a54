#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace tidemark::redis {

/// What one request may be at most. Redis allows bulks of 512 MiB; a record here is far smaller.
struct RequestLimits {
  std::size_t arguments_max = 1024 * 1024;
  std::size_t bulk_bytes_max = 64 * 1024 * 1024;
  std::size_t inline_bytes_max = 64 * 1024;  ///< Also of a line that says a count or a length.
  std::size_t request_bytes_max = 64 * 1024 * 1024;
};

/// Finds the ends of requests in a stream of bytes: RESP arrays of bulk strings and inline lines.
/// (https://redis.io/docs/latest/develop/reference/protocol-spec/)
///
/// It remembers how far it has looked, so that a large request that comes in small pieces is looked at once.
class RequestScanner {
 public:
  explicit RequestScanner(RequestLimits limits = {}) : limits_(limits) {}

  /// Size of the whole requests that `bytes` begin with, all of them together; of the first alone, possibly more than is here, if it is
  /// not whole but its size is known; nullopt: that has yet to come. After nullopt the next call must begin with the same bytes; after a
  /// size, behind them.
  ///
  /// Error protocol_error: what stands at the start of `bytes` is no request; the detail is what Redis says. What comes before it has been
  /// handed out by an earlier call.
  Result<std::optional<std::size_t>> scan(ByteView bytes);

 private:
  struct Line {
    std::size_t begin = 0, end = 0;  ///< Without the line's end.
  };
  /// From position_ on: as scan(), for one request.
  Result<std::optional<std::size_t>> scan_one(ByteView bytes);
  Result<std::optional<std::size_t>> scan_inline(ByteView bytes);
  Result<std::optional<Line>> next_line(ByteView bytes, const char* too_long);

  RequestLimits limits_;
  std::size_t begin_ = 0;     ///< Of the request that is being looked at.
  std::size_t position_ = 0;  ///< Looked at up to here.
  std::int64_t arguments_left_ = 0;
  bool in_array_ = false;
};

}  // namespace tidemark::redis
