#include "tools/tidemarkd/command_line.h"

#include <array>

#include <CLI/CLI.hpp>

namespace tidemark::tools {
namespace {

struct FlagOfSetting {
  const char* flag;
  const char* key;
  const char* value_name;
  const char* help;
};

constexpr std::array<FlagOfSetting, 7> kFlags = {{
    {"--data-dir", "data.dir", "DIR", "directory of the logs (default ./tidemark-data)"},
    {"--native", "native.listen", "HOST:PORT", "native protocol (default localhost:7410); port 0 = a free one, off = none"},
    {"--kafka", "kafka.listen", "HOST:PORT", "Kafka protocol (default localhost:9092)"},
    {"--redis", "redis.listen", "HOST:PORT", "Redis protocol (default localhost:6380)"},
    {"--http", "http.listen", "HOST:PORT", "console, REST, /metrics, /healthz, /readyz (default localhost:7480)"},
    {"--shards", "shards", "N", "threads that own partitions and connections (default auto)"},
    {"--log-level", "log.level", "LEVEL", "debug, info, warn or error (default info)"},
}};

}  // namespace

Result<CommandLine> parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app("Tidemark: a persistent message broker. Every setting: --print-config.", "tidemarkd");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // A wrapper's flags can be overridden.
  app.set_version_flag("--version", "tidemarkd " TIDEMARK_VERSION);
  std::string config_file;
  const CLI::Option* const config = app.add_option("--config", config_file, "configuration file (TOML)")->type_name("FILE");
  std::array<std::string, kFlags.size()> values;
  std::array<const CLI::Option*, kFlags.size()> options{};
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    options[i] = app.add_option(kFlags[i].flag, values[i], kFlags[i].help)->type_name(kFlags[i].value_name);
  }
  app.add_option("--ports-file", line.ports_file, "write the bound ports there (JSON) once all listeners accept")->type_name("FILE");
  bool insecure = false;
  app.add_flag("--insecure-listen", insecure, "allow addresses beyond this machine although there is no authentication");
  app.add_flag("--print-config", line.print_config, "print every setting with its value and source, and stop");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.answer = app.help();
    return line;
  } catch (const CLI::CallForVersion&) {
    line.answer = "tidemarkd " TIDEMARK_VERSION "\n";
    return line;
  } catch (const CLI::ParseError& error) {
    return Error{Errc::invalid_argument, std::string(error.what()) + "; tidemarkd --help lists the flags"};
  }

  if (config->count() > 0) line.config_file = config_file;
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    if (options[i]->count() > 0) line.flags.push_back({kFlags[i].key, values[i], kFlags[i].flag});
  }
  if (insecure) line.flags.push_back({"insecure.listen", "true", "--insecure-listen"});
  return line;
}

}  // namespace tidemark::tools
