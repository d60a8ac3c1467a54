#include "tools/tidemark/format.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/tidemark/output.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

constexpr std::string_view kDirectives = "tpokvhTDKV";

void append_headers(std::span<const Header> headers, std::string& out) {
  bool first = true;
  for (const Header& header : headers) {
    if (!first) out += ',';
    first = false;
    out += header.name;
    out += '=';
    out += header.value.value_or("");
  }
}

void append_directive(char directive, const RecordFields& record, std::string& out) {
  switch (directive) {
    case 't':
      out += record.topic;
      return;
    case 'p':
      fmt::format_to(std::back_inserter(out), "{}", record.partition);
      return;
    case 'o':
      fmt::format_to(std::back_inserter(out), "{}", record.offset);
      return;
    case 'k':
      out += record.key.value_or("");
      return;
    case 'v':
      out += record.value.value_or("");
      return;
    case 'h':
      append_headers(record.headers, out);
      return;
    case 'T':
      fmt::format_to(std::back_inserter(out), "{}", record.timestamp_ms);
      return;
    case 'D':
      fmt::format_to(std::back_inserter(out), "{}", record.deliveries.value_or(1));
      return;
    case 'K':
      out += to_base64(record.key.value_or(""));
      return;
    case 'V':
      out += to_base64(record.value.value_or(""));
      return;
    default:
      check_failed("parse() lets only known directives through", __FILE__, __LINE__);
  }
}

}  // namespace

Result<RecordFormat> RecordFormat::parse(std::string_view format, char terminator) {
  RecordFormat parsed;
  std::string text;
  // Escapes are looked at piece by piece: a `%` made by \x25 is a byte, not a directive.
  const auto end_text = [&](std::string_view raw) -> Status {
    Result<std::string> plain = unescape(raw);
    if (!plain) return Error{.code = Errc::invalid_argument, .detail = "--format: " + plain.error().detail};
    text += *plain;
    return {};
  };
  std::size_t from = 0;
  bool ends_line = false;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '\\') {
      ++i;  // What is escaped is no directive, above all not in `\\%v`.
      continue;
    }
    if (format[i] != '%') continue;
    if (const Status plain = end_text(format.substr(from, i - from)); !plain) return plain.error();
    if (++i == format.size()) return Error{.code = Errc::invalid_argument, .detail = "--format: a single % at the end; write %%"};
    from = i + 1;
    if (format[i] == '%') {
      text += '%';
      continue;
    }
    if (kDirectives.find(format[i]) == std::string_view::npos) {
      return Error{.code = Errc::invalid_argument,
                   .detail = fmt::format("--format: unknown directive `%{}`; known are %t %p %o %k %v %h %T %D %K %V %%", format[i])};
    }
    if (!text.empty()) parsed.pieces_.push_back({.text = std::exchange(text, {})});
    parsed.pieces_.push_back({.directive = format[i]});
  }
  if (from < format.size()) {
    if (const Status plain = end_text(format.substr(from)); !plain) return plain.error();
    ends_line = text.ends_with('\n') || text.ends_with('\0');
  }
  if (!ends_line) text += terminator;
  parsed.pieces_.push_back({.text = std::move(text)});
  return parsed;
}

void RecordFormat::append(const RecordFields& record, std::string& out) const {
  for (const Piece& piece : pieces_) {
    if (piece.directive == 0) {
      out += piece.text;
    } else {
      append_directive(piece.directive, record, out);
    }
  }
}

bool RecordFormat::uses_headers() const {
  return std::ranges::any_of(pieces_, [](const Piece& piece) { return piece.directive == 'h'; });
}

}  // namespace tidemark::tools
