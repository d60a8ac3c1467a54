#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/tidemark/errors.h"
#include "tools/tidemark/interrupts.h"
#include "tools/tidemark/output.h"

namespace CLI {
class App;
}

namespace tidemark::tools {

/// The flags every verb takes, wherever they stand on the command line.
struct Globals {
  std::string server = "127.0.0.1:7410";
  OutputFormat output = OutputFormat::table;
  std::optional<std::chrono::milliseconds> timeout;
  bool yes = false;
  bool dry_run = false;
};

/// One run of the program: what was asked for in general, and what the chosen verb is going to do. A verb's callback only sets
/// `action`; it runs after the whole line has been parsed, so that global flags may follow the verb.
struct Invocation {
  Globals globals;
  std::vector<std::string> arguments;  ///< As given, without the program's name.
  std::function<Exit(const Globals&, Interrupts&)> action;
};

// Each noun registers its verbs; one file each, because CLI11 is slow to compile.
void add_topic_commands(CLI::App& root, Invocation& invocation);
void add_produce_command(CLI::App& root, Invocation& invocation);
void add_consume_command(CLI::App& root, Invocation& invocation);
void add_group_commands(CLI::App& root, Invocation& invocation);
void add_dlq_commands(CLI::App& root, Invocation& invocation);
void add_get_command(CLI::App& root, Invocation& invocation);
void add_find_command(CLI::App& root, Invocation& invocation);
void add_replay_command(CLI::App& root, Invocation& invocation);
void add_schedule_commands(CLI::App& root, Invocation& invocation);
void add_log_commands(CLI::App& root, Invocation& invocation);
void add_bench_commands(CLI::App& root, Invocation& invocation);
void add_status_commands(CLI::App& root, Invocation& invocation);  ///< status, doctor, version.
void add_top_command(CLI::App& root, Invocation& invocation);
void add_demo_command(CLI::App& root, Invocation& invocation);
void add_completion_command(CLI::App& root, Invocation& invocation);
void add_names_command(CLI::App& root, Invocation& invocation);  ///< What completion scripts ask for; not in the help.

}  // namespace tidemark::tools
