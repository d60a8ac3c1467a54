#include "tools/tidemark/terminal.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <utility>

#include <unistd.h>

namespace tidemark::tools {
namespace {

/// The alternate screen, no cursor, lines that are cut at the edge.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr std::string_view kLeave = "\x1b[?7h\x1b[?25h\x1b[m\x1b[?1049l";

/// Of the process, as the signal is. Written by the handler.
int resized = -1;

void note_resize(int) {
  const int saved = errno;
  const std::uint64_t one = 1;
  const ssize_t written = ::write(resized, &one, sizeof one);
  static_cast<void>(written);  // A full counter is readable already.
  errno = saved;
}

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

TerminalSize terminal_size() {
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.width = size.ws_col, .height = size.ws_row};
}

bool stdout_draws() {
  const char* const term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && term != nullptr && *term != '\0' && std::strcmp(term, "dumb") != 0;
}

bool stdout_shows_utf8() {
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != std::string_view::npos || locale.find("utf8") != std::string_view::npos;
  }
  return false;
}

bool colour_wanted() {
  const char* const refused = std::getenv("NO_COLOR");
  return refused == nullptr || *refused == '\0';
}

Result<Terminal> Terminal::open() {
  termios before = {};
  if (!stdout_draws() || ::tcgetattr(STDIN_FILENO, &before) != 0) {
    return Error{.code = Errc::invalid_argument, .detail = "this needs a terminal for its input and its output"};
  }
  if (resized < 0) resized = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (resized < 0) return Error{.code = Errc::io_error, .detail = std::string("eventfd: ") + std::strerror(errno)};
  struct sigaction action = {};
  action.sa_handler = note_resize;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGWINCH, &action, nullptr);

  termios raw = before;
  raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
  raw.c_cc[VSUSP] = raw.c_cc[VQUIT] = _POSIX_VDISABLE;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0) {
    return Error{.code = Errc::io_error, .detail = std::string("tcsetattr: ") + std::strerror(errno)};
  }
  Terminal terminal(before);
  if (const Status drawn = terminal.draw(kEnter); !drawn) return drawn.error();
  return terminal;
}

Terminal::Terminal(Terminal&& other) noexcept : before_(other.before_), open_(std::exchange(other.open_, false)) {}
Terminal::~Terminal() { restore(); }

void Terminal::restore() {
  if (!std::exchange(open_, false)) return;
  write_all(kLeave);  // If it cannot be told, there is no terminal to be put right.
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  ::signal(SIGWINCH, SIG_DFL);
}

Status Terminal::draw(std::string_view text) {
  if (!write_all(text)) return Error{.code = Errc::io_error, .detail = std::string("terminal: ") + std::strerror(errno)};
  return {};
}

int Terminal::descriptor() const { return resized; }

void Terminal::size_changed() {
  std::uint64_t count = 0;
  const ssize_t taken = ::read(resized, &count, sizeof count);
  static_cast<void>(taken);  // Nothing to take is fine.
}

}  // namespace tidemark::tools
