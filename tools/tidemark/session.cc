#include "tools/tidemark/session.h"

#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::tools {

Result<Client> connect(const Globals& globals) {
  ClientOptions options;
  options.server = globals.server;
  options.client_id = "tidemark-cli";
  options.drain_timeout = std::chrono::seconds(2);  // After Ctrl-C: a person is waiting.
  if (globals.timeout) {
    options.request_timeout = *globals.timeout;
    options.connect_timeout = std::min(options.connect_timeout, *globals.timeout);
  }
  Client client(std::move(options));
  if (const Status connected = client.connect(); !connected) return connected.error();
  return client;
}

bool confirm(std::string_view plan, const Globals& globals) {
  if (globals.yes || ::isatty(STDIN_FILENO) != 1 || !stderr_is_terminal()) return true;
  write_stderr(fmt::format("{} [y/N] ", plan));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes" || answer == "Y";
}

Timestamp now() { return SystemClock().now(); }

}  // namespace tidemark::tools
