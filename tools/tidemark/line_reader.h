#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::tools {

/// Cuts a stream of bytes into lines, whatever the bytes are. The delimiter is taken off, a carriage return stays; an empty line is a
/// line; a last line without delimiter counts, an empty rest does not. Memory is bounded by the longest line allowed.
class LineReader {
 public:
  /// Fills the buffer and answers how many bytes came; 0 at the end.
  using Source = UniqueFunction<Result<std::size_t>(MutableBytes)>;
  struct Options {
    char delimiter = '\n';
    std::size_t line_bytes_max = 8 * 1024 * 1024;
    std::size_t block_bytes = 256 * 1024;  ///< Least room offered to the source.
  };
  enum class Kind { line, too_long, end };
  struct Line {
    Kind kind = Kind::end;
    std::uint64_t number = 0;  ///< From 1.
    std::string_view text;     ///< Valid until the next call; empty unless kind is `line`.
  };

  LineReader(Source source, Options options) : source_(std::move(source)), options_(options) {}
  explicit LineReader(Source source) : LineReader(std::move(source), Options{}) {}

  /// A line longer than the bound is passed over and told as too_long with its number. Errors: the source's.
  Result<Line> next();

 private:
  /// Moves the unread bytes to the front, makes room and reads once.
  Status fill();

  Source source_;
  Options options_;
  std::string buffer_;
  std::size_t begin_ = 0;    ///< Of the current line.
  std::size_t scanned_ = 0;  ///< No delimiter in [begin_, scanned_).
  std::size_t end_ = 0;
  std::uint64_t lines_ = 0;
  bool at_end_ = false;
  bool skipping_ = false;  ///< The rest of a line that is too long.
};

}  // namespace tidemark::tools
