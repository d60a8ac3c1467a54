#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// What stands on the screen, before it is a terminal's.
namespace tidemark::tools {

enum class Style { plain, dim, bold, good, warning, bad, selected };

/// The style of a verdict: as monitoring plugins count.
Style style_of(std::string_view verdict);

struct Span {
  std::string text;
  Style style = Style::plain;
};
using Line = std::vector<Span>;

/// At most `width` columns of it.
Line cut(Line line, std::size_t width);
/// In one style, over the whole width.
Line filled(Line line, std::size_t width, Style style);

struct Frame {
  std::vector<Line> lines;

  /// Without styles; no blanks at the ends of lines; each line ends in a newline.
  std::string to_text() const;
  /// Draws over what is there, from the top left corner, and leaves nothing of it. Without `colour` styles are bold, dim and reverse.
  std::string to_ansi(bool colour) const;
};

}  // namespace tidemark::tools
