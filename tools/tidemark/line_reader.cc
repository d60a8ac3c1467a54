#include "tools/tidemark/line_reader.h"

#include <cstring>

#include "storage/base/check.h"

namespace tidemark::tools {

Result<LineReader::Line> LineReader::next() {
  for (;;) {
    const char* const from = buffer_.data() + scanned_;
    const void* const found = end_ > scanned_ ? std::memchr(from, options_.delimiter, end_ - scanned_) : nullptr;
    if (found != nullptr) {
      const std::size_t at = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
      const std::string_view text(buffer_.data() + begin_, at - begin_);
      begin_ = scanned_ = at + 1;
      if (std::exchange(skipping_, false)) continue;  // Told already.
      if (text.size() > options_.line_bytes_max) return Line{Kind::too_long, ++lines_, {}};
      return Line{Kind::line, ++lines_, text};
    }
    scanned_ = end_;
    if (skipping_) begin_ = end_;
    if (at_end_) {
      const std::string_view text(buffer_.data() + begin_, end_ - begin_);
      begin_ = end_;
      if (text.empty()) return Line{};
      if (text.size() > options_.line_bytes_max) return Line{Kind::too_long, ++lines_, {}};
      return Line{Kind::line, ++lines_, text};
    }
    if (end_ - begin_ > options_.line_bytes_max) {
      skipping_ = true;
      begin_ = end_;
      return Line{Kind::too_long, ++lines_, {}};
    }
    if (const Status filled = fill(); !filled) return filled.error();
  }
}

Status LineReader::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  scanned_ -= begin_;
  begin_ = 0;
  if (buffer_.size() - end_ < options_.block_bytes) buffer_.resize(end_ + options_.block_bytes + end_ / 2);
  const Result<std::size_t> count = source_(MutableBytes(reinterpret_cast<std::byte*>(buffer_.data()) + end_, buffer_.size() - end_));
  if (!count) return count.error();
  CHECK(*count <= buffer_.size() - end_);
  end_ += *count;
  at_end_ = *count == 0;
  return {};
}

}  // namespace tidemark::tools
