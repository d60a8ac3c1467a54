#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/base/text.h"
#include "storage/base/time_text.h"

/// How results reach people and programs: data on stdout, talk on stderr.
namespace tidemark::tools {

enum class OutputFormat { table, wide, json, jsonl };
std::optional<OutputFormat> parse_output_format(std::string_view name);
inline bool is_json(OutputFormat format) { return format == OutputFormat::json || format == OutputFormat::jsonl; }

// --- Text.

/// Text that is safe in JSON, on a terminal and in a log: bytes that are not UTF-8 and control characters become `\xNN`. The backslash
/// itself stays, so the form is for looking at, not for parsing.
std::string printable_text(std::string_view bytes);
std::string to_base64(std::string_view bytes);

/// Decimal units, as disks and networks are sold: "12.3 MB", "512 B".
std::string format_bytes_decimal(std::uint64_t bytes);
/// "0.8 s", "61.2 s": one decimal.
std::string format_seconds(double seconds);
/// "3h20m", "45s": rounded to what a person wants to know of a time span.
std::string format_uptime(double seconds);

// --- Tables.

/// Columns padded to their widest cell. A column of numbers is aligned to the right.
class Table {
 public:
  struct Column {
    std::string_view title;
    bool right = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// One cell a column; cells are made printable.
  void add(std::vector<std::string> cells);
  /// The titles and every row, each ending in a newline.
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// --- Streams.

/// Buffered output to a descriptor it does not own. A reader that has gone away (EPIPE) is not an error: what is written after that is
/// dropped and broken_pipe() says so. Not thread-safe.
class Writer {
 public:
  explicit Writer(int descriptor, std::size_t buffer_bytes = 256 * 1024);

  /// Buffers, and writes when the buffer is full. Error io_error, also on every later call.
  Status write(std::string_view bytes);
  /// Writes what is buffered.
  Status flush();
  bool empty() const { return buffer_.empty(); }
  bool broken_pipe() const { return broken_pipe_; }

 private:
  int descriptor_;
  std::size_t buffer_bytes_;
  std::string buffer_;
  bool broken_pipe_ = false;
  std::optional<Error> failed_;
};

/// Writes all of it to stdout now; false when stdout is closed or fails.
bool write_stdout(std::string_view text);
void write_stderr(std::string_view text);
bool stderr_is_terminal();

/// One value on a line of its own; every string in it must be UTF-8 already.
void print_json(const boost::json::value& value);
/// json: one array on one line. jsonl: one element a line.
void print_json_list(const boost::json::array& list, OutputFormat format);

// --- Progress.

/// A bar on stderr for long work: only on a terminal, only after a second, at most ten times a second. Removes itself at the end.
class ProgressBar {
 public:
  /// `total` 0: unknown, only counts are shown.
  ProgressBar(std::string_view title, std::uint64_t total);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Cheap: looks at the clock once in a while.
  void update(std::uint64_t done, std::uint64_t bytes);
  /// The same, for callers who come seldom.
  void show(std::uint64_t done, std::uint64_t bytes);
  /// The line it draws, without the control characters; `seconds` since the start.
  static std::string render(std::string_view title, std::uint64_t done, std::uint64_t total, std::uint64_t bytes, double seconds);

 private:
  std::string title_;
  std::uint64_t total_;
  bool enabled_;
  bool drawn_ = false;
  std::uint64_t calls_ = 0;
  SteadyTime started_;
  SteadyTime next_draw_;
};

}  // namespace tidemark::tools
