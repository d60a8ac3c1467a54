#include "tools/tidemark/output.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "storage/base/check.h"

namespace tidemark::tools {
namespace {

bool is_control(std::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return lead < 0x20 || lead == 0x7f;
  return lead == 0xc2 && static_cast<unsigned char>(sequence[1]) < 0xa0;  // C1 controls: some terminals obey them.
}

/// Cells are aligned by code points: wide characters would need a width table, which is not worth it here.
std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string with_unit(double value, std::string_view unit) { return fmt::format("{:.1f} {}", value, unit); }

/// Writes all of `bytes`; the errno of the failure, 0 when done.
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

std::optional<OutputFormat> parse_output_format(std::string_view name) {
  if (name == "table") return OutputFormat::table;
  if (name == "wide") return OutputFormat::wide;
  if (name == "json") return OutputFormat::json;
  if (name == "jsonl") return OutputFormat::jsonl;
  return std::nullopt;
}

std::string printable_text(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence(bytes);
    const std::string_view sequence = bytes.substr(0, std::max<std::size_t>(length, 1));
    if (length > 0 && !is_control(sequence)) {
      text += sequence;
    } else {
      for (const char c : sequence) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    bytes.remove_prefix(sequence.size());
  }
  return text;
}

std::string to_base64(std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? kDigits[word >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

std::string format_bytes_decimal(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  // The bounds are where one decimal would round up to 1000.0 of the smaller unit.
  if (bytes < 1000) return fmt::format("{} B", bytes);
  if (value < 999.95e3) return with_unit(value / 1e3, "kB");
  if (value < 999.95e6) return with_unit(value / 1e6, "MB");
  if (value < 999.95e9) return with_unit(value / 1e9, "GB");
  return with_unit(value / 1e12, "TB");
}

std::string format_seconds(double seconds) { return with_unit(seconds, "s"); }

std::string format_uptime(double seconds) {
  const auto total = static_cast<std::int64_t>(seconds);
  const std::int64_t days = total / 86400, hours = total / 3600 % 24, minutes = total / 60 % 60;
  if (days > 0) return fmt::format("{}d{}h", days, hours);
  if (hours > 0) return fmt::format("{}h{}m", hours, minutes);
  if (minutes > 0) return fmt::format("{}m{}s", minutes, total % 60);
  return fmt::format("{}s", total);
}

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = printable_text(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::to_string() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](auto cell_of) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string_view cell = cell_of(i);
      const std::string padding(widths[i] - display_width(cell), ' ');
      const bool last = i + 1 == columns_.size();
      if (columns_[i].right) text += padding;
      text += cell;
      if (!columns_[i].right && !last) text += padding;
      if (!last) text += "  ";
    }
    text += '\n';
  };
  add_line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return std::string_view(row[i]); });
  return text;
}

Writer::Writer(int descriptor, std::size_t buffer_bytes) : descriptor_(descriptor), buffer_bytes_(buffer_bytes) {}

Status Writer::write(std::string_view bytes) {
  if (failed_) return *failed_;
  if (broken_pipe_) return {};
  buffer_ += bytes;
  if (buffer_.size() >= buffer_bytes_) return flush();
  return {};
}

Status Writer::flush() {
  if (failed_) return *failed_;
  if (broken_pipe_ || buffer_.empty()) return {};
  const int failure = write_all(descriptor_, buffer_);
  buffer_.clear();
  if (failure == EPIPE) {
    broken_pipe_ = true;
    return {};
  }
  if (failure != 0) {
    failed_ = Error{.code = Errc::io_error, .detail = fmt::format("cannot write the output: {}", std::strerror(failure))};
    return *failed_;
  }
  return {};
}

bool write_stdout(std::string_view text) { return write_all(STDOUT_FILENO, text) == 0; }

void write_stderr(std::string_view text) {
  // Nobody is left to tell when stderr itself is closed.
  [[maybe_unused]] const int failure = write_all(STDERR_FILENO, text);
}

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

void print_json(const boost::json::value& value) {
  // A reader that has closed stdout has what it wanted.
  [[maybe_unused]] const bool written = write_stdout(boost::json::serialize(value) + "\n");
}

void print_json_list(const boost::json::array& list, OutputFormat format) {
  if (format == OutputFormat::json) {
    print_json(list);
    return;
  }
  std::string lines;
  for (const boost::json::value& element : list) lines += boost::json::serialize(element) + "\n";
  [[maybe_unused]] const bool written = write_stdout(lines);
}

ProgressBar::ProgressBar(std::string_view title, std::uint64_t total)
    : title_(title),
      total_(total),
      enabled_(stderr_is_terminal()),
      started_(std::chrono::steady_clock::now()),
      next_draw_(started_ + std::chrono::seconds(1)) {}

ProgressBar::~ProgressBar() {
  if (drawn_) write_stderr("\r\x1b[K");
}

void ProgressBar::update(std::uint64_t done, std::uint64_t bytes) {
  if (++calls_ % 64 == 0) show(done, bytes);
}

void ProgressBar::show(std::uint64_t done, std::uint64_t bytes) {
  if (!enabled_) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  drawn_ = true;
  write_stderr("\r\x1b[K" + render(title_, done, total_, bytes, std::chrono::duration<double>(now - started_).count()));
}

std::string ProgressBar::render(std::string_view title, std::uint64_t done, std::uint64_t total, std::uint64_t bytes, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = fmt::format("{} ", title);
  if (total > 0) {
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(part * kWidth);
    text += fmt::format("[{:#<{}}{:.<{}}] {:3.0f}% ", "", filled, "", kWidth - filled, part * 100);
  }
  text += fmt::format("{} records, {}, {:.0f}/s", done, format_bytes_decimal(bytes), rate);
  if (total > done && rate > 0) text += fmt::format(", {} left", format_uptime(static_cast<double>(total - done) / rate));
  return text;
}

}  // namespace tidemark::tools
