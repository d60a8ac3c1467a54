#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "storage/base/units.h"
#include "tools/tidemark/command_tree.h"
#include "tools/tidemark/interrupts.h"
#include "tools/tidemark/options.h"

namespace tidemark::tools {
namespace {

void add_global_flags(CLI::App& root, Globals& globals) {
  root.add_option("-s,--server", globals.server, "HOST:PORT of the broker's native listener")
      ->envname("TIDEMARK_SERVER")
      ->capture_default_str()
      ->type_name("HOST:PORT");
  root.add_option_function<std::string>(
          "-o,--output",
          [&globals](const std::string& name) {
            const std::optional<OutputFormat> format = parse_output_format(name);
            if (!format) throw CLI::ValidationError("--output", "is table, wide, json or jsonl, not `" + name + "`");
            globals.output = *format;
          },
          "How results are printed: table, wide, json or jsonl")
      ->type_name("FORMAT");
  root.add_option_function<std::string>(
          "--timeout",
          [&globals](const std::string& text) {
            const Result<std::chrono::milliseconds> timeout = parse_duration(text);
            if (!timeout) throw CLI::ValidationError("--timeout", timeout.error().detail);
            globals.timeout = *timeout;
          },
          "Longest wait for an answer, such as 500ms or 1m; in consume, the longest silence")
      ->type_name("DURATION");
  root.add_flag("-y,--yes", globals.yes, "Do not ask before removing anything");
  root.add_flag("--dry-run", globals.dry_run, "Say what would be done, and do nothing");
}

/// The output format as far as it can be told of a line that does not parse: errors should come in the form asked for.
OutputFormat guess_output(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    std::string value;
    if ((argument == "-o" || argument == "--output") && i + 1 < arguments.size()) value = arguments[i + 1];
    if (argument.starts_with("-o") && argument.size() > 2) value = argument.substr(argument[2] == '=' ? 3 : 2);
    if (argument.starts_with("--output=")) value = argument.substr(9);
    if (const auto format = parse_output_format(value)) return *format;
  }
  return OutputFormat::table;
}

Exit run(int argc, char** argv) {
  Interrupts interrupts;
  Invocation invocation;
  invocation.arguments.assign(argv + 1, argv + argc);

  CLI::App root("tidemark: command line of the Tidemark message broker", "tidemark");
  root.fallthrough();  // Inherited by the verbs added below: global flags may stand anywhere.
  root.require_subcommand(1);
  root.set_version_flag("--version", std::string("tidemark ") + TIDEMARK_VERSION);
  root.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 denied, 6 cannot connect,\n"
      "7 timed out with unknown outcome, 8 some items failed, 130 interrupted.");
  add_global_flags(root, invocation.globals);
  add_topic_commands(root, invocation);
  add_produce_command(root, invocation);
  add_consume_command(root, invocation);
  add_group_commands(root, invocation);
  add_dlq_commands(root, invocation);
  add_get_command(root, invocation);
  add_find_command(root, invocation);
  add_replay_command(root, invocation);
  add_schedule_commands(root, invocation);
  add_log_commands(root, invocation);
  add_bench_commands(root, invocation);
  add_status_commands(root, invocation);
  add_top_command(root, invocation);
  add_demo_command(root, invocation);
  add_completion_command(root, invocation);
  add_names_command(root, invocation);

  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      root.exit(error);
      return Exit::done;
    }
    const std::string unknown = explain_unknown_verb(root, invocation.arguments);
    return report_usage(unknown.empty() ? error.what() : unknown, guess_output(invocation.arguments));
  }
  CHECK(invocation.action != nullptr);
  return invocation.action(invocation.globals, interrupts);
}

}  // namespace
}  // namespace tidemark::tools

int main(int argc, char** argv) { return static_cast<int>(tidemark::tools::run(argc, argv)); }
