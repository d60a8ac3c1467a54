#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "storage/base/clock.h"
#include "storage/base/result.h"

namespace tidemark::net {

/// Counts connections against their bounds, in total and by address. Thread-safe; touched once per connection, not per request. Every
/// admission keeps the gate alive.
class ConnectionGate : public std::enable_shared_from_this<ConnectionGate> {
 public:
  ConnectionGate(std::size_t total_max, std::size_t per_address_max) : total_max_(total_max), per_address_max_(per_address_max) {}

  /// A place, given back when the last copy of the pointer goes. Errors: overloaded, shutting_down.
  Result<std::shared_ptr<void>> admit(const std::string& address);
  /// Marks a running connection, in the same way; wait_until_empty() waits for these.
  std::shared_ptr<void> enter();

  std::size_t running() const;
  /// From here on nobody is admitted.
  void shut();
  bool is_shut() const;
  /// False if some are still running at the deadline.
  bool wait_until_empty(SteadyTime deadline);
  void wait_until_empty();

 private:
  void leave(const std::string& address);

  const std::size_t total_max_;
  const std::size_t per_address_max_;
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  std::unordered_map<std::string, std::size_t> per_address_;
  std::size_t admitted_ = 0;
  std::size_t running_ = 0;
  bool shut_ = false;
};

}  // namespace tidemark::net
