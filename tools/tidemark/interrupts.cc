#include "tools/tidemark/interrupts.h"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <poll.h>
#include <unistd.h>

#include "storage/base/check.h"

namespace tidemark::tools {
namespace {

constexpr int kExitInterrupted = 130;

void raise_event(int descriptor) {
  const std::uint64_t one = 1;
  CHECK(::write(descriptor, &one, sizeof one) == sizeof one);
}

}  // namespace

Interrupts::Interrupts() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t handled;
  sigemptyset(&handled);
  sigaddset(&handled, SIGINT);
  sigaddset(&handled, SIGTERM);
  sigaddset(&handled, SIGHUP);  // The terminal is gone; under nohup it is ignored, and never comes.
  CHECK(::pthread_sigmask(SIG_BLOCK, &handled, nullptr) == 0);
  signals_ = ::signalfd(-1, &handled, SFD_CLOEXEC);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  event_ = ::eventfd(0, EFD_CLOEXEC);
  CHECK(signals_ >= 0 && stop_ >= 0 && event_ >= 0);  // A process that cannot open three files at its start cannot do anything.
  thread_ = std::thread([this] { watch(); });
}

Interrupts::~Interrupts() {
  raise_event(stop_);
  thread_.join();
  ::close(signals_);
  ::close(stop_);
  ::close(event_);
}

bool Interrupts::sleep(std::chrono::nanoseconds duration) const {
  const auto deadline = std::chrono::steady_clock::now() + duration;
  for (;;) {
    const auto left = std::max<std::chrono::nanoseconds>(deadline - std::chrono::steady_clock::now(), std::chrono::nanoseconds(0));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    pollfd event{.fd = event_, .events = POLLIN, .revents = 0};
    const int ready = ::ppoll(&event, 1, &timeout, nullptr);
    if (ready > 0) return false;
    if (ready == 0) return true;
  }
}

void Interrupts::watch() {
  for (;;) {
    pollfd events[] = {{.fd = signals_, .events = POLLIN, .revents = 0}, {.fd = stop_, .events = POLLIN, .revents = 0}};
    if (::poll(events, 2, -1) < 0) continue;
    if (events[1].revents != 0) return;
    signalfd_siginfo signal;
    if (::read(signals_, &signal, sizeof signal) != sizeof signal) continue;
    const std::lock_guard lock(mutex_);
    if (interrupted_ || !handler_) ::_exit(kExitInterrupted);
    interrupted_ = true;
    raise_event(event_);
    handler_();
  }
}

Interrupts::Listener::Listener(Interrupts& interrupts, std::function<void()> handler) : interrupts_(interrupts) {
  const std::lock_guard lock(interrupts_.mutex_);
  if (interrupts_.interrupted_) handler();
  interrupts_.handler_ = std::move(handler);
}

Interrupts::Listener::~Listener() {
  const std::lock_guard lock(interrupts_.mutex_);
  interrupts_.handler_ = nullptr;
}

}  // namespace tidemark::tools
