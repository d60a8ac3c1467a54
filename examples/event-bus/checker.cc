// Reads everything on the bus and proves that each service has answered every event of every order, in the order of its steps.
//
// A service that was killed repeats what it had not committed or acknowledged: once for each kill, the answers to an order may go back some
// steps, and then on without a gap. Such repetitions are counted and told; a step that is missing, or ahead of its turn, is an error.
//
//     event-bus-checker [--server HOST:PORT] --orders N [--inventory-kills N] [--billing-kills N]
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <event_bus/event.h>
#include <tidemark/client.h>

namespace {

using event_bus::kSteps;

struct Topic {
  std::map<std::string, std::vector<std::size_t>> steps;  ///< By order, as they lie in the log.
  std::size_t events = 0;
};

tidemark::Result<Topic> read(tidemark::Client& client, const std::string& name) {
  tidemark::ReaderOptions options;
  options.from = tidemark::Position::earliest();
  options.to = tidemark::Position::latest();
  tidemark::Result<tidemark::Reader> reader = client.reader(name, options);
  if (!reader) return reader.error();
  Topic topic;
  while (!reader->finished()) {
    const auto next = reader->next(std::chrono::seconds(10));
    if (!next) return next.error();
    if (!*next) continue;
    const auto event = event_bus::parse_value((*next)->value().value_or(""));
    if (!event) return tidemark::Error{tidemark::Errc::invalid_argument, name + " holds an event that is none"};
    topic.steps[std::string((*next)->key().value_or(""))].push_back(event->step);
    ++topic.events;
  }
  return topic;
}

/// How many steps of one order were told again; -1 when one is missing, ahead of its turn, or told again more often than there were kills.
int repetitions(const std::vector<std::size_t>& steps, int kills) {
  int again = 0;
  std::size_t reached = 0;  ///< Steps told so far.
  std::size_t next = 0;
  for (const std::size_t step : steps) {
    if (step > next) return -1;
    if (step < next && --kills < 0) return -1;
    if (step < reached) ++again;
    next = step + 1;
    reached = std::max(reached, next);
  }
  return reached == kSteps.size() ? again : -1;
}

bool check(const std::string& name, const Topic& topic, std::size_t orders, int kills) {
  std::size_t wrong = 0, again = 0;
  for (const auto& [order, steps] : topic.steps) {
    const int repeated = repetitions(steps, kills);
    if (repeated >= 0) {
      again += static_cast<std::size_t>(repeated);
      continue;
    }
    if (++wrong > 5) continue;
    std::cout << "  " << name << ": " << order << " has the steps";
    for (const std::size_t step : steps) std::cout << ' ' << step;
    std::cout << '\n';
  }
  const bool right = wrong == 0 && topic.steps.size() == orders;
  std::cout << (right ? "  ok    " : "  FAIL  ") << name << ": " << topic.events << " events of " << topic.steps.size() << " orders, ";
  if (right) {
    std::cout << "none lost, all in order, " << again << " repeated after a kill\n";
  } else {
    std::cout << wrong << " of them wrong; expected were all steps of " << orders << " orders\n";
  }
  return right;
}

}  // namespace

int main(int argc, char** argv) {
  tidemark::ClientOptions options;
  options.server = event_bus::argument(argc, argv, "--server").value_or(options.server);
  const std::size_t orders = std::stoull(event_bus::argument(argc, argv, "--orders").value_or("0"));
  tidemark::Client client(options);
  const auto kills = [&](std::string_view flag) { return std::stoi(event_bus::argument(argc, argv, flag).value_or("0")); };
  const std::map<std::string, int> topics = {
      {"orders", 0}, {"stock-moves", kills("--inventory-kills")}, {"invoices", kills("--billing-kills")}};
  bool right = true;
  for (const auto& [name, times] : topics) {
    const tidemark::Result<Topic> topic = read(client, name);
    if (!topic) {
      std::cout << "  FAIL  " << name << ": " << topic.error().to_string() << '\n';
      return 1;
    }
    right = check(name, *topic, orders, times) && right;
  }
  return right ? 0 : 1;
}
