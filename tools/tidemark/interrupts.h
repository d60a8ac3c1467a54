#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

namespace tidemark::tools {

/// Ctrl-C and SIGTERM as something a verb can wait for. The first one asks the running verb to come to an end; without a verb that
/// listens, and at the second one, the process ends at once with 130. SIGPIPE is ignored: a closed pipe is an error code of write().
///
/// One per process, made before any other thread, because the signals are blocked in all of them.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  bool interrupted() const { return interrupted_; }
  /// Readable as soon as the first signal has come; for poll(). Never read from it.
  int descriptor() const { return event_; }
  /// Waits so long, less when interrupted; false when interrupted.
  bool sleep(std::chrono::nanoseconds duration) const;

  /// While it lives, `handler` runs on another thread at the first signal (at once if that has come already).
  class [[nodiscard]] Listener {
   public:
    Listener(Interrupts& interrupts, std::function<void()> handler);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    Interrupts& interrupts_;
  };

 private:
  void watch();

  int signals_ = -1;  ///< signalfd
  int stop_ = -1;     ///< eventfd: ends the thread.
  int event_ = -1;    ///< eventfd: set at the first signal.
  std::atomic<bool> interrupted_ = false;
  std::mutex mutex_;
  std::function<void()> handler_;
  std::thread thread_;
};

}  // namespace tidemark::tools
