#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iostream>
#include <thread>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/json.hpp>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "broker/thread_runtime.h"
#include "protocol/native/adapter/server.h"
#include "storage/base/log.h"
#include "storage/posix_file_system.h"
#include "tools/tidemarkd/command_line.h"
#include "tools/tidemarkd/config.h"
#include "tools/tidemarkd/doctor.h"
#include "tools/tidemarkd/machine.h"
#include "tools/tidemarkd/settings.h"

extern char** environ;

namespace tidemark::tools {
namespace {

using boost::asio::ip::tcp;

constexpr int kStartFault = 2;
constexpr int kFailed = 1;

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
  Settings settings;
  storage::PosixFileSystem files;
  if (command_line.config_file) {
    constexpr std::size_t kConfigBytesMax = 1024 * 1024;
    const Result<ByteVector> text = storage::read_file(files, *command_line.config_file, kConfigBytesMax);
    if (!text) return text.error();
    if (Status merged = settings.merge_file(as_text(*text), *command_line.config_file); !merged) return merged.error();
  }
  for (const std::string& warning : settings.merge_environment(environment())) log_warn(warning);
  for (const CommandLine::Flag& flag : command_line.flags) settings.set(flag.key, flag.value, flag.flag);
  return settings;
}

std::vector<tcp::endpoint> endpoints(const ListenAddress& address) {
  std::vector<tcp::endpoint> result;
  for (const std::string& ip : address.addresses()) result.emplace_back(boost::asio::ip::make_address(ip), address.port);
  return result;
}

/// The ports that are open, for whoever started us; there once every listener accepts.
Status write_ports_file(const std::string& path, std::optional<std::uint16_t> native, std::optional<std::uint16_t> http) {
  const auto port = [](std::optional<std::uint16_t> number) { return number ? boost::json::value(*number) : boost::json::value(nullptr); };
  const boost::json::object ports = {
      {"native", port(native)}, {"kafka", nullptr}, {"redis", nullptr}, {"http", port(http)}, {"pid", static_cast<std::int64_t>(getpid())}};
  storage::PosixFileSystem files;
  return storage::replace_file(files, path, as_bytes(boost::json::serialize(ports) + "\n"));
}

int serve(const Config& config, const CommandLine& command_line, const Machine& machine) {
  // Requests hold large buffers for a moment: give them back instead of keeping them.
  mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  mallopt(M_ARENA_MAX, 2);

  // Signals come to this thread only, when it asks for them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  storage::PosixFileSystem files;
  auto runtime = std::make_unique<broker::ThreadRuntime>(broker::ThreadRuntime::Options{.shards = config.shards});
  Result<std::unique_ptr<broker::Broker>> opened = broker::Broker::open(*runtime, files, config.broker, [](Error error) {
    std::fprintf(stderr, "tidemarkd: %s\n", error.to_string().c_str());
    std::_Exit(kFailed);
  });
  if (!opened) return start_fault(opened.error());
  broker::Broker& broker = **opened;

  native::ServerOptions options;
  options.endpoints = endpoints(config.native);
  options.facts.version = TIDEMARK_VERSION;
  std::atomic<native::Server*> listening = nullptr;
  options.facts.connections = [&listening] {
    const native::Server* const server = listening;
    return std::map<std::string, std::uint64_t>{{"native", server == nullptr ? 0 : server->connections()}};
  };
  options.facts.doctor = [&config, &machine] {
    std::vector<wire::DoctorReply::Check> checks;
    for (const DoctorCheck& found : examine(gather_facts(config, machine, config.native.to_string()))) {
      wire::DoctorReply::Check& check = checks.emplace_back();
      check.set_check(found.check);
      check.set_result(std::string(to_string(found.result)));
      check.set_value(found.value);
      check.set_advice(found.advice);
    }
    return checks;
  };
  native::Server server(broker, *runtime, std::move(options));
  std::optional<std::uint16_t> native_port;
  if (config.native.enabled) {
    if (const Status started = server.start(); !started) {
      runtime->stop();
      return start_fault(started.error());
    }
    listening = &server;
    native_port = server.port();
  }
  const Result<FlushTime> flush = measure_flush_time(config.broker.data_directory);
  std::fprintf(stderr, "tidemark %s · data %s · flush %s · durability %s\n", TIDEMARK_VERSION, config.broker.data_directory.c_str(),
               flush ? (std::to_string(static_cast<double>(flush->median.count()) / 1000.0).substr(0, 5) + " ms").c_str() : "unknown",
               std::string(to_string(config.broker.topic_defaults.durability)).c_str());
  if (native_port) std::fprintf(stderr, "  native %s:%u\n", config.native.host.c_str(), *native_port);
  std::fprintf(stderr, "  try: tidemark topic create greetings && echo hello | tidemark produce greetings\n");
  if (!command_line.ports_file.empty()) {
    if (const Status written = write_ports_file(command_line.ports_file, native_port, std::nullopt); !written) {
      runtime->stop();
      return start_fault(written.error());
    }
  }

  int received = 0;
  sigwait(&signals, &received);
  log_info("stopping; a second signal stops at once, without the clean marker");
  std::thread impatient([&signals] {
    int second = 0;
    sigwait(&signals, &second);
    std::_Exit(kFailed);
  });
  impatient.detach();
  if (!command_line.ports_file.empty()) unlink(command_line.ports_file.c_str());
  server.stop();
  std::promise<Status> stopped;
  broker.stop([&stopped](Result<void> result) { stopped.set_value(std::move(result)); });
  const Status clean = stopped.get_future().get();
  runtime->stop();
  if (!clean) {
    std::fprintf(stderr, "tidemarkd: not a clean stop: %s\n", clean.error().to_string().c_str());
    return kFailed;
  }
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
  if (command_line->print_config) {
    std::cout << settings->to_toml();
    return 0;
  }
  const Machine machine = inspect_machine();
  const Result<Config> config = make_config(*settings, machine);
  if (!config) return start_fault(config.error());
  set_log_level(config->log_level);
  return serve(*config, *command_line, machine);
}

}  // namespace
}  // namespace tidemark::tools

int main(int argc, char** argv) { return tidemark::tools::run(argc, argv); }
