#pragma once

#include <array>
#include <string>
#include <string_view>

#include <event_bus/event.h>

namespace event_bus {

/// A service that consumes `orders` in a group of its own and publishes one event of its own for each.
struct Service {
  std::string group;
  std::string output;                                      ///< Topic.
  std::array<std::string_view, kSteps.size()> words = {};  ///< What it has to say to each step of an order.
};

/// Runs until SIGTERM: `--server HOST:PORT`, `--instance NAME` (one that is restarted under its old name takes over at once).
int run(const Service& service, int argc, char** argv);

}  // namespace event_bus
