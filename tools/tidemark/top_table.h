#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "tools/tidemark/top_frame.h"

namespace tidemark::tools {

/// Rows that can be sorted, searched, and shown in any width.
struct TopTable {
  struct Column {
    std::string title;
    std::size_t width = 0;  ///< Of a column that may grow: at least.
    bool right = false;
    int importance = 0;          ///< Where the width does not do, the lowest go first; 9 stays in any case.
    bool grows = false;          ///< Takes what is left; one of them at most.
    bool highest_first = false;  ///< How it is sorted when it is chosen.
  };
  /// What a cell is sorted by: numbers, with what is not known below all; or its text.
  using SortKey = std::variant<double, std::string>;
  struct Cell {
    std::string text;
    SortKey key = 0.0;
    Style style = Style::plain;

    static Cell of(std::string text);  ///< Sorted by its text.
    static Cell of(std::string text, double key) { return {std::move(text), key}; }
  };
  struct Row {
    std::string id;           ///< Names what the row is about, over samples.
    std::vector<Cell> cells;  ///< One a column.
    std::string note;         ///< About it, in words.
  };

  std::vector<Column> columns = {};
  std::vector<Row> rows = {};

  /// Keeps the rows with `filter` in a cell or the note, whatever the case; with a `!` in front those without.
  void search(std::string_view filter);
  /// By a column; where that is the same, by id.
  void sort(std::size_t column, bool reversed);

  /// The titles, with an arrow at the sorted one, and rows `first` to `last`.
  std::vector<Line> layout(std::size_t width, std::size_t sorted_by, bool reversed, std::size_t first, std::size_t last) const;

 private:
  std::vector<std::size_t> widths(std::size_t width) const;
};

}  // namespace tidemark::tools
