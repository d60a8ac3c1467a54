#include "protocol/net/connection_gate.h"

namespace tidemark::net {

Result<std::shared_ptr<void>> ConnectionGate::admit(const std::string& address) {
  const std::lock_guard lock(mutex_);
  if (shut_) return Error{Errc::shutting_down, "the broker is stopping"};
  if (admitted_ >= total_max_) return Error{Errc::overloaded, std::to_string(admitted_) + " connections are open, the most allowed"};
  std::size_t& here = per_address_[address];
  if (here >= per_address_max_) {
    // An entry that was just made is below every bound but 0, and that one refuses all: nothing is left behind for strangers' addresses.
    if (here == 0) per_address_.erase(address);
    return Error{Errc::overloaded, std::to_string(per_address_max_) + " connections from " + address + " are open, the most allowed"};
  }
  ++here;
  ++admitted_;
  return std::shared_ptr<void>(nullptr, [self = shared_from_this(), address](void*) { self->leave(address); });
}

void ConnectionGate::leave(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --admitted_;
  const auto here = per_address_.find(address);
  if (--here->second == 0) per_address_.erase(here);
}

std::shared_ptr<void> ConnectionGate::enter() {
  const std::lock_guard lock(mutex_);
  ++running_;
  return std::shared_ptr<void>(nullptr, [self = shared_from_this()](void*) {
    const std::lock_guard leaving(self->mutex_);
    if (--self->running_ == 0) self->empty_.notify_all();
  });
}

std::size_t ConnectionGate::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

void ConnectionGate::shut() {
  const std::lock_guard lock(mutex_);
  shut_ = true;
}

bool ConnectionGate::is_shut() const {
  const std::lock_guard lock(mutex_);
  return shut_;
}

bool ConnectionGate::wait_until_empty(SteadyTime deadline) {
  std::unique_lock lock(mutex_);
  return empty_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

void ConnectionGate::wait_until_empty() {
  std::unique_lock lock(mutex_);
  empty_.wait(lock, [this] { return running_ == 0; });
}

}  // namespace tidemark::net
