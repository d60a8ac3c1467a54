#include "protocol/redis/adapter/in_flight.h"

#include "storage/base/check.h"

namespace tidemark::redis {
namespace {

/// Calls `act` with each key; the usual case of one fixed key costs no memory.
template <class Act>
void for_each_key(const Request& request, const Act& act) {
  const CommandSpec& command = *request.command;
  if (command.find_keys == nullptr && command.keys.first > 0 && command.keys.last == command.keys.first) {
    const auto position = static_cast<std::size_t>(command.keys.first);
    if (position < request.size()) act(request[position]);
    return;
  }
  for (const std::size_t position : key_positions(command, request.arguments)) act(request[position]);
}

bool has_keys(Ordering ordering) { return ordering != Ordering::free && ordering != Ordering::alone; }

}  // namespace

bool InFlight::Key::admits(Ordering ordering) const {
  if (writers > 0) return false;
  if (ordering == Ordering::read) return appenders == 0;
  if (ordering == Ordering::append) return readers == 0;
  return readers == 0 && appenders == 0;
}

bool InFlight::may_begin(const Request& request) const {
  const Ordering ordering = request.command->ordering;
  if (alone_) return false;
  if (ordering == Ordering::alone) return empty();
  if (!has_keys(ordering) || keys_.empty()) return true;
  bool admitted = true;
  for_each_key(request, [&](std::string_view name) {
    const auto key = keys_.find(name);
    if (key != keys_.end() && !key->second.admits(ordering)) admitted = false;
  });
  return admitted;
}

InFlight::Use InFlight::begin(const Request& request) {
  Use use;
  use.ordering_ = request.command->ordering;
  ++count_;
  if (use.ordering_ == Ordering::alone) alone_ = true;
  if (!has_keys(use.ordering_)) return use;
  for_each_key(request, [&](std::string_view name) {
    auto key = keys_.find(name);
    if (key == keys_.end()) key = keys_.emplace(std::string(name), Key()).first;
    ++key->second.users(use.ordering_);
    if (use.first_ == nullptr)
      use.first_ = &*key;
    else
      use.rest_.push_back(&*key);
  });
  return use;
}

void InFlight::end(const Use& use) {
  CHECK(count_ > 0);
  --count_;
  if (use.ordering_ == Ordering::alone) alone_ = false;
  const auto leave = [&](Keys::pointer key) {
    --key->second.users(use.ordering_);
    if (key->second.readers + key->second.appenders + key->second.writers == 0) keys_.erase(keys_.find(key->first));
  };
  if (use.first_ != nullptr) leave(use.first_);
  for (const Keys::pointer key : use.rest_) leave(key);
}

}  // namespace tidemark::redis
