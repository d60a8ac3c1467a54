#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidemark {

/// Finds, among words offered one by one, the one a misspelt word probably meant: the fewest edits away, at most a third of its length.
/// The first offered wins a tie. Costs O(length squared) per word of similar length, nothing for others.
class ClosestWord {
 public:
  explicit ClosestWord(std::string_view misspelt);
  void offer(std::string_view known);
  /// Empty when nothing close was offered.
  const std::string& best() const { return best_; }

 private:
  std::string misspelt_;
  std::size_t edits_allowed_;
  std::size_t best_edits_;
  std::string best_;
};

}  // namespace tidemark
