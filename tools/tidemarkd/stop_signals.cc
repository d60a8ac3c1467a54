#include "tools/tidemarkd/stop_signals.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <pthread.h>

#include "storage/base/log.h"

namespace tidemark::tools {

struct StopSignals::State {
  sigset_t signals{};
  std::atomic<bool> running = false;
  std::promise<void> asked;

  void watch() {
    int received = 0;
    sigwait(&signals, &received);
    if (!running) {
      log_info("stopped while starting");
      std::_Exit(0);
    }
    log_info("stopping; a second signal stops at once, without the clean marker");
    asked.set_value();
    sigwait(&signals, &received);
    log_warn("stopped at once; the next start recovers");
    std::_Exit(1);
  }
};

StopSignals::StopSignals() : state_(std::make_shared<State>()) {
  sigemptyset(&state_->signals);
  sigaddset(&state_->signals, SIGTERM);
  sigaddset(&state_->signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &state_->signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // A closed peer is an error of the write.
  std::thread([state = state_] { state->watch(); }).detach();
}

void StopSignals::running() { state_->running = true; }
void StopSignals::wait() { state_->asked.get_future().wait(); }

}  // namespace tidemark::tools
