#include "protocol/redis/adapter/help.h"

#include <string>
#include <vector>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "storage/base/check.h"

namespace tidemark::redis {

void handle_help(const Call& call, const Request& request) {
  const CommandSpec* const command = find_command(request[0]);
  CHECK(command != nullptr && !command->subcommands.empty());
  const auto upper = [](std::string_view text) {
    std::string result(text);
    for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return result;
  };
  std::vector<std::string> lines = {upper(command->name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"};
  const auto add = [&](const CommandSpec& subcommand) {
    lines.push_back(upper(subcommand.name.substr(command->name.size() + 1)));
    lines.push_back("    " + std::string(subcommand.summary) + ".");
  };
  const CommandSpec* own = nullptr;
  for (const CommandSpec& subcommand : command->subcommands) {
    if (subcommand.handler == handle_help)
      own = &subcommand;
    else
      add(subcommand);
  }
  if (own != nullptr) add(*own);
  RespWriter reply = call.writer();
  reply.array(lines.size());
  for (const std::string& line : lines) reply.simple(line);
  call.reply(std::move(reply));
}

}  // namespace tidemark::redis
