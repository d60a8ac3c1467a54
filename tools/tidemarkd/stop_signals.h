#pragma once

#include <future>
#include <memory>

namespace tidemark::tools {

/// SIGTERM and SIGINT. Before running(): the process ends at once, exit 0, as recovery may be cut off anywhere. After it: the first ends
/// wait(), the second ends the process at once, exit 1.
class StopSignals {
 public:
  /// Make it before any other thread, all of which then leave the signals alone.
  StopSignals();

  void running();
  /// Returns when a stop is asked for.
  void wait();

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< Shared with the thread that waits for signals, which may outlive us.
};

}  // namespace tidemark::tools
