#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/redis/adapter/command.h"
#include "protocol/redis/adapter/in_flight.h"

namespace tidemark::redis {

class Call;

/// A key that WATCH looks after, and what it looked like.
struct WatchedKey {
  std::string key;
  std::string state;
};

/// What a connection gathers between MULTI and EXEC.
struct MultiState {
  static constexpr std::size_t kBytesMax = 64 * 1024 * 1024;

  bool active = false;
  bool failed = false;  ///< A command was refused while queueing: EXEC does nothing.
  std::vector<Request> queued;
  std::size_t bytes = 0;
  std::vector<WatchedKey> watched;

  void clear() {
    active = failed = false;
    queued.clear();
    bytes = 0;
  }
};

/// The commands of one EXEC under way. They start in order, each as soon as the earlier ones on its keys let it, and are answered together.
class Transaction : public std::enable_shared_from_this<Transaction> {
 public:
  /// Answers `exec` when the last command has been answered, and calls `ended` before that.
  static void run(const Call& exec, std::vector<Request> requests, std::function<void()> ended);

  /// The answer to the n-th command.
  void answer(std::uint64_t n, std::string reply);

 private:
  Transaction(std::shared_ptr<const Call> exec, std::vector<Request> requests, std::function<void()> ended);
  void pump();

  const std::shared_ptr<const Call> exec_;
  const std::vector<Request> requests_;
  const std::function<void()> ended_;
  std::vector<InFlight::Use> uses_;
  std::vector<std::string> replies_;
  InFlight in_flight_;
  std::size_t started_ = 0;
  std::size_t answered_ = 0;
  bool pumping_ = false;
};

}  // namespace tidemark::redis
