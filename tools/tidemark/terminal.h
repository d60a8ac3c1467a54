#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <termios.h>

#include "storage/base/result.h"

namespace tidemark::tools {

struct TerminalSize {
  std::size_t width = 80;
  std::size_t height = 24;
};
/// Of the terminal on stdout; 80 by 24 where it does not say.
TerminalSize terminal_size();
/// Whether stdout is a terminal that takes control sequences (TERM is neither unset nor `dumb`).
bool stdout_draws();
/// Whether the locale (LC_ALL, LC_CTYPE, LANG) says that it shows UTF-8.
bool stdout_shows_utf8();
/// NO_COLOR is not set: https://no-color.org
bool colour_wanted();

/// The whole terminal, key by key: the alternate screen, without echo and cursor. All is as before when this goes away, or after restore().
/// Ctrl-C stays a signal; Ctrl-Z and Ctrl-\ are switched off, since nothing would put the terminal right. One at a time.
class Terminal {
 public:
  /// Error invalid_argument: stdin or stdout is no terminal.
  static Result<Terminal> open();
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal();  ///< restore()
  void restore();

  /// Error io_error: the terminal is gone.
  Status draw(std::string_view text);
  /// Readable when the size has changed; size_changed() makes it unreadable again.
  int descriptor() const;
  void size_changed();

 private:
  explicit Terminal(const termios& before) : before_(before) {}
  termios before_;
  bool open_ = true;
};

}  // namespace tidemark::tools
