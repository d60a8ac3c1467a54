#include "tools/tidemark/top_frame.h"

#include <algorithm>

#include "tools/tidemark/group_view.h"
#include "tools/tidemark/sparkline.h"

namespace tidemark::tools {
namespace {

std::string_view sequence_of(Style style, bool colour) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::dim:
      return "\x1b[2m";
    case Style::bold:
      return "\x1b[1m";
    case Style::good:
      return colour ? "\x1b[32m" : "";
    case Style::warning:
      return colour ? "\x1b[33m" : "\x1b[1m";
    case Style::bad:
      return colour ? "\x1b[1;31m" : "\x1b[1m";
    case Style::selected:
      return "\x1b[7m";
  }
  return "";
}

}  // namespace

Style style_of(std::string_view verdict) {
  if (verdict.empty()) return Style::plain;
  static constexpr Style kStyles[] = {Style::good, Style::warning, Style::bad};
  return kStyles[std::clamp(severity(verdict), 0, 2)];
}

Line cut(Line line, std::size_t width) {
  std::size_t used = 0;
  for (Span& span : line) {
    const std::size_t columns = columns_of(span.text), room = width - used;
    if (columns > room) span.text = fit(span.text, room);
    used += std::min(columns, room);
  }
  return line;
}

Line filled(Line line, std::size_t width, Style style) {
  std::string text;
  for (const Span& span : line) text += span.text;
  return {{fit(text, width), style}};
}

std::string Frame::to_text() const {
  std::string text;
  for (const Line& line : lines) {
    for (const Span& span : line) text += span.text;
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string Frame::to_ansi(bool colour) const {
  std::string text = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const Span& span : lines[i]) {
      const std::string_view sequence = sequence_of(span.style, colour);
      text += sequence;
      text += span.text;
      if (!sequence.empty()) text += "\x1b[m";
    }
    text += i + 1 < lines.size() ? "\x1b[K\r\n" : "\x1b[K\x1b[J";
  }
  return text;
}

}  // namespace tidemark::tools
