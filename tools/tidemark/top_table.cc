#include "tools/tidemark/top_table.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>
#include <tuple>

#include "storage/base/check.h"
#include "tools/tidemark/sparkline.h"

namespace tidemark::tools {
namespace {

constexpr int kAlwaysShown = 9;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& byte : result) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return result;
}

}  // namespace

TopTable::Cell TopTable::Cell::of(std::string text) {
  std::string key = text;
  return {std::move(text), std::move(key)};
}

void TopTable::search(std::string_view filter) {
  const bool inverse = filter.starts_with('!');
  const std::string wanted = lower(filter.substr(inverse ? 1 : 0));
  if (wanted.empty()) return;
  std::erase_if(rows, [&](const Row& row) {
    const bool found = lower(row.note).find(wanted) != std::string::npos ||
                       std::ranges::any_of(row.cells, [&](const Cell& cell) { return lower(cell.text).find(wanted) != std::string::npos; });
    return found == inverse;
  });
}

void TopTable::sort(std::size_t column, bool reversed) {
  CHECK(column < columns.size());
  const bool descending = columns[column].highest_first != reversed;
  std::ranges::sort(rows, [column, descending](const Row& a, const Row& b) {
    const auto& [low, high] = descending ? std::tie(b, a) : std::tie(a, b);
    if (low.cells[column].key != high.cells[column].key) return low.cells[column].key < high.cells[column].key;
    return a.id < b.id;
  });
}

/// 0: not shown.
std::vector<std::size_t> TopTable::widths(std::size_t width) const {
  std::vector<std::size_t> result;
  std::size_t total = 1;  // A blank at the left edge.
  for (const Column& column : columns) {
    result.push_back(column.width);
    total += column.width + 1;
  }
  while (total > width) {
    std::optional<std::size_t> least;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (result[i] == 0 || columns[i].importance >= kAlwaysShown) continue;
      if (!least || columns[i].importance < columns[*least].importance) least = i;
    }
    if (!least) break;
    total -= result[*least] + 1;
    result[*least] = 0;
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].grows && result[i] > 0 && total < width) result[i] += width - total;
  }
  return result;
}

std::vector<Line> TopTable::layout(std::size_t width, std::size_t sorted_by, bool reversed, std::size_t first, std::size_t last) const {
  const std::vector<std::size_t> shown = widths(width);
  std::vector<Line> lines;
  Line titles{{" ", Style::bold}};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (shown[i] == 0) continue;
    const bool descending = columns[i].highest_first != reversed;
    const std::string title = columns[i].title + (i == sorted_by ? (descending ? "▼" : "▲") : "");
    titles.push_back({fit(title, shown[i], columns[i].right) + " ", Style::bold});
  }
  lines.push_back(cut(std::move(titles), width));
  for (std::size_t row = first; row < std::min(last, rows.size()); ++row) {
    Line line{{" "}};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (shown[i] == 0) continue;
      const Cell& cell = rows[row].cells[i];
      line.push_back({fit(cell.text, shown[i], columns[i].right), cell.style});
      line.push_back({" "});
    }
    lines.push_back(cut(std::move(line), width));
  }
  return lines;
}

}  // namespace tidemark::tools
