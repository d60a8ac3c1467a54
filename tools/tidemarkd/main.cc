#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "storage/base/log.h"
#include "storage/posix_file_system.h"
#include "tools/tidemarkd/command_line.h"
#include "tools/tidemarkd/config.h"
#include "tools/tidemarkd/machine.h"
#include "tools/tidemarkd/ports_file.h"
#include "tools/tidemarkd/server_process.h"
#include "tools/tidemarkd/settings.h"
#include "tools/tidemarkd/stop_signals.h"

extern char** environ;  // NOLINT: POSIX names it and declares it nowhere.

namespace tidemark::tools {
namespace {

constexpr int kUncleanStop = 1;
constexpr int kStartFault = 2;

int start_fault(const Error& error) {
  std::fprintf(stderr, "tidemarkd: %s\n", error.detail.empty() ? error.to_string().c_str() : error.detail.c_str());
  return kStartFault;
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

/// Flag over variable over file over default.
Result<Settings> gather_settings(const CommandLine& command_line) {
  constexpr std::size_t kFileBytesMax = 1024ul * 1024;
  Settings settings;
  if (command_line.config_file) {
    storage::PosixFileSystem files;
    const Result<ByteVector> text = storage::read_file(files, *command_line.config_file, kFileBytesMax);
    if (!text) return Error{text.error().code, "--config: " + text.error().detail};
    if (const Status merged = settings.merge_file(as_text(*text), *command_line.config_file); !merged) return merged.error();
  }
  for (const std::string& warning : settings.merge_environment(environment())) log_warn(warning);
  for (const CommandLine::Flag& flag : command_line.flags) settings.set(flag.key, flag.value, flag.flag);
  return settings;
}

int serve(ServerProcess& process, const std::string& ports_file) {
  StopSignals signals;
  if (!ports_file.empty()) {
    storage::PosixFileSystem files;
    remove_stale_ports_file(files, ports_file);
  }
  if (const Status started = process.start(); !started) return start_fault(started.error());
  signals.running();
  if (const Status announced = process.announce(ports_file); !announced) return start_fault(announced.error());
  signals.wait();
  if (const Status stopped = process.stop(); !stopped) {
    std::fprintf(stderr, "tidemarkd: not a clean stop: %s\n", stopped.error().to_string().c_str());
    return kUncleanStop;
  }
  log_info("stopped cleanly");
  return 0;
}

int run(int argc, const char* const* argv) {
  const Result<CommandLine> command_line = parse_command_line(argc, argv);
  if (!command_line) return start_fault(command_line.error());
  if (command_line->answer) {
    std::cout << *command_line->answer;
    return 0;
  }
  const Result<Settings> settings = gather_settings(*command_line);
  if (!settings) return start_fault(settings.error());
  const Machine machine = inspect_machine();
  const Result<Config> config = make_config(*settings, machine);
  if (!config) return start_fault(config.error());
  if (command_line->print_config) {
    std::cout << settings->to_toml();
    return 0;
  }
  set_log_level(config->log_level);
  ServerProcess process(*settings, *config, machine);
  return serve(process, command_line->ports_file);
}

}  // namespace
}  // namespace tidemark::tools

/// Read by jemalloc at the start: memory that was freed goes back to the system after half a second instead of ten, so that a stream
/// passing through does not count as growth.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:500,muzzy_decay_ms:0";
}

int main(int argc, char** argv) {
  try {
    return tidemark::tools::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tidemarkd: %s\n", error.what());
    return tidemark::tools::kStartFault;
  }
}
