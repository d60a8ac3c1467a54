#include "tools/tidemark/input.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace tidemark::tools {

Result<Input> Input::open(const std::string& path, const Interrupts& interrupts) {
  if (path == "-") return Input(STDIN_FILENO, false, "standard input", interrupts);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const Errc code = errno == ENOENT ? Errc::not_found : Errc::io_error;
    return Error{.code = code, .detail = fmt::format("cannot open {}: {}", path, std::strerror(errno))};
  }
  return Input(descriptor, true, path, interrupts);
}

Input::Input(Input&& other) noexcept
    : descriptor_(other.descriptor_),
      owned_(std::exchange(other.owned_, false)),
      name_(std::move(other.name_)),
      interrupts_(other.interrupts_) {}

Input& Input::operator=(Input&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(owned_, other.owned_);
  std::swap(name_, other.name_);
  std::swap(interrupts_, other.interrupts_);
  return *this;
}

Input::~Input() {
  if (owned_) ::close(descriptor_);
}

Result<std::size_t> Input::read(MutableBytes into) {
  for (;;) {
    pollfd events[] = {{.fd = descriptor_, .events = POLLIN, .revents = 0},
                       {.fd = interrupts_->descriptor(), .events = POLLIN, .revents = 0}};
    if (::poll(events, 2, -1) < 0 && errno == EINTR) continue;
    if (events[1].revents != 0) return Error{.code = Errc::cancelled, .detail = "interrupted"};
    const ssize_t count = ::read(descriptor_, into.data(), into.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR && errno != EAGAIN) {
      return Error{.code = Errc::io_error, .detail = fmt::format("cannot read {}: {}", name_, std::strerror(errno))};
    }
  }
}

bool Input::is_terminal() const { return ::isatty(descriptor_) == 1; }

}  // namespace tidemark::tools
