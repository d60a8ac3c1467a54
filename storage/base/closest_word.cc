#include "storage/base/closest_word.h"

#include <algorithm>
#include <vector>

namespace tidemark {
namespace {

/// Edits (insert, delete, replace) from one word to the other; one row of the table suffices.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

ClosestWord::ClosestWord(std::string_view misspelt)
    : misspelt_(misspelt), edits_allowed_(std::max<std::size_t>(1, misspelt.size() / 3)), best_edits_(edits_allowed_ + 1) {}

void ClosestWord::offer(std::string_view known) {
  if (known.size() > misspelt_.size() + edits_allowed_ || misspelt_.size() > known.size() + edits_allowed_) return;
  const std::size_t edits = edit_distance(misspelt_, known);
  if (edits >= best_edits_) return;
  best_ = known;
  best_edits_ = edits;
}

}  // namespace tidemark
