#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidemark::tools {

/// A key as a terminal sends it.
struct Key {
  enum class Kind { character, enter, escape, backspace, up, down, page_up, page_down, home, end, interrupt };
  Kind kind = Kind::character;
  std::string text = {};  ///< The character, in UTF-8.
  bool operator==(const Key&) const = default;
};

/// Tells keys in the bytes of a terminal, which may come in any pieces. Sequences it does not know are passed over.
class KeyDecoder {
 public:
  /// The keys that are complete.
  std::vector<Key> feed(std::string_view bytes);
  /// The beginning of a sequence waits for its rest: after some 50 ms without one it was the Escape key, and flush() says so.
  bool pending() const { return !buffer_.empty(); }
  std::vector<Key> flush();

 private:
  std::string buffer_;
};

}  // namespace tidemark::tools
