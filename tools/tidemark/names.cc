#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/options.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

/// Somebody has pressed the tab key and waits.
constexpr std::chrono::milliseconds kPatience{1'000};

/// Whether the name can stand on a command line as it is; others are left to be typed.
bool is_plain(std::string_view name) {
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:{}/-@+,=%") == std::string_view::npos;
}

Result<std::vector<std::string>> find_names(Client& client, const std::string& of) {
  std::vector<std::string> names;
  if (of == "groups") {
    const Result<std::vector<GroupDescription>> groups = client.groups().list();
    if (!groups) return groups.error();
    for (const GroupDescription& group : *groups) names.push_back(group.name);
    // Queue groups on several topics may have one name.
    std::ranges::sort(names);
    const auto repeated = std::ranges::unique(names);
    names.erase(repeated.begin(), repeated.end());
    return names;
  }
  const Result<std::vector<TopicDescription>> topics = client.admin().list_topics();
  if (!topics) return topics.error();
  for (const TopicDescription& topic : *topics) names.push_back(topic.name);
  return names;
}

Exit print_names(const std::string& of, const Globals& globals) {
  Globals hurried = globals;
  hurried.timeout = std::min(globals.timeout.value_or(kPatience), kPatience);
  Result<Client> client = connect(hurried);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<std::string>> names = find_names(*client, of);
  if (!names) return report(names.error(), globals.output);
  std::string text;
  for (const std::string& name : *names) {
    if (is_plain(name)) text += name + "\n";
  }
  return write_stdout(text) ? Exit::done : Exit::failed;
}

}  // namespace

void add_names_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("names", "Names of topics or groups, for completion scripts")->group("");
  const auto of = std::make_shared<std::string>();
  verb->add_option("of", *of, "topics or groups")->required()->check(CLI::IsMember({"topics", "groups"}));
  verb->callback(
      [&invocation, of] { invocation.action = [of](const Globals& globals, Interrupts&) { return print_names(*of, globals); }; });
}

}  // namespace tidemark::tools
