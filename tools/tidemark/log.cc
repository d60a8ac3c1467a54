#include <memory>

#include <CLI/CLI.hpp>

#include "tools/tidemark/log_commands.h"

namespace tidemark::tools {

void add_log_commands(CLI::App& root, Invocation& invocation) {
  CLI::App* const log = root.add_subcommand("log", "Look at the files of a data directory, without a broker");
  log->require_subcommand(1);

  CLI::App* const dump = log->add_subcommand("dump", "Print the batches or records of one .log file");
  const auto dumping = std::make_shared<LogDumpOptions>();
  dump->add_option("file", dumping->file)->required();
  dump->add_flag("-r,--records", dumping->records, "One line or object a record, not a batch");
  dump->add_option("-f,--format", dumping->format, "With --records: what to print, as in consume")->type_name("FMT");
  dump->callback([&invocation, dumping] {
    invocation.action = [dumping](const Globals& globals, Interrupts&) { return log_dump(*dumping, globals); };
  });

  CLI::App* const verify = log->add_subcommand("verify", "Read every byte of a data directory and say what is damaged");
  const auto verified = std::make_shared<std::string>();
  verify->add_option("directory", *verified)->required();
  verify->callback([&invocation, verified] {
    invocation.action = [verified](const Globals& globals, Interrupts&) { return log_verify(*verified, globals); };
  });

  CLI::App* const stat = log->add_subcommand("stat", "Topics, partitions, segments and sizes of a data directory");
  const auto measured = std::make_shared<std::string>();
  stat->add_option("directory", *measured)->required();
  stat->callback([&invocation, measured] {
    invocation.action = [measured](const Globals& globals, Interrupts&) { return log_stat(*measured, globals); };
  });

  CLI::App* const repair = log->add_subcommand("repair", "Give up a damaged range of a partition; its bytes are kept aside");
  const auto repairing = std::make_shared<LogRepairOptions>();
  repair->add_option("directory", repairing->directory)->required();
  repair->add_option("partition", repairing->partition, "TOPIC:PARTITION")->required();
  repair->add_option("--drop", repairing->drop, "Offsets FROM..TO, TO exclusive, as `log verify` prints them")->required();
  repair->add_flag("--yes-lose", repairing->yes_lose, "The records of that range are lost, and that is accepted");
  repair->callback([&invocation, repairing] {
    invocation.action = [repairing](const Globals& globals, Interrupts&) { return log_repair(*repairing, globals); };
  });
}

}  // namespace tidemark::tools
