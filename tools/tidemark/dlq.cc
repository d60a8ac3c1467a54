#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/options.h"
#include "tools/tidemark/queue_commands.h"

namespace tidemark::tools {
namespace {

constexpr const char* kGroupHelp = "Name of the queue group";

struct ShowOptions {
  std::string group;
  std::size_t count = 20;
};

void add_looking(CLI::App& dlq, Invocation& invocation) {
  CLI::App* const list = dlq.add_subcommand("ls", "Which groups have dead letters, how many, and why")->alias("list");
  const auto of = std::make_shared<std::optional<std::string>>();
  list->add_option("group", *of, kGroupHelp);
  list->callback([&invocation, of] { invocation.action = [of](const Globals& globals, Interrupts&) { return dlq_list(*of, globals); }; });

  CLI::App* const show = dlq.add_subcommand("show", "A group's dead letters, the newest first")->alias("describe");
  const auto showing = std::make_shared<ShowOptions>();
  show->add_option("group", showing->group, kGroupHelp)->required();
  show->add_option("-n,--count", showing->count, "How many")->check(CLI::Range(1, 10'000))->capture_default_str();
  show->callback([&invocation, showing] {
    invocation.action = [showing](const Globals& globals, Interrupts&) { return dlq_show(showing->group, showing->count, globals); };
  });
}

void add_working_off(CLI::App& dlq, Invocation& invocation) {
  CLI::App* const redrive = dlq.add_subcommand("redrive", "Give dead letters back to their group, with their failures forgotten");
  const auto options = std::make_shared<RedriveOptions>();
  redrive->add_option("group", options->group, kGroupHelp)->required();
  redrive->add_option("--topic", options->topic, "Only records that came from this topic");
  redrive->add_option("--match", options->match, "Only letters for which this holds: reason ^= \"timeout\" and key = \"42\"")
      ->type_name("EXPR");
  redrive->add_option("--max", options->max, "At most so many; all by default");
  redrive->add_option("--rate", options->rate, "At most so many records a second")->type_name("RATE");
  redrive->add_option("--to", options->to, "Publish them in this topic, for everybody, instead")->type_name("TOPIC");
  redrive->callback([&invocation, options] {
    invocation.action = [options](const Globals& globals, Interrupts&) { return dlq_redrive(*options, globals); };
  });

  CLI::App* const purge = dlq.add_subcommand("purge", "Remove a group's dead letters for good");
  const auto of = std::make_shared<std::string>();
  purge->add_option("group", *of, kGroupHelp)->required();
  purge->callback([&invocation, of] { invocation.action = [of](const Globals& globals, Interrupts&) { return dlq_purge(*of, globals); }; });
}

}  // namespace

void add_dlq_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const dlq = root.add_subcommand("dlq", "Dead letters: records that queue groups have given up");
  dlq->require_subcommand(1);
  add_looking(*dlq, invocation);
  add_working_off(*dlq, invocation);
}

}  // namespace tidemark::tools
