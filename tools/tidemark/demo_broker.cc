#include "tools/tidemark/demo_broker.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace tidemark::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kStartPatience{60'000};
constexpr std::chrono::milliseconds kStopPatience{30'000};
constexpr std::chrono::milliseconds kLook{20};
constexpr std::size_t kLogTailBytes = 2000;
constexpr int kCannotExecute = 127;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path broker_program() {
  std::error_code failed;
  const fs::path here = fs::read_symlink("/proc/self/exe", failed);
  const fs::path beside = here.parent_path() / "tidemarkd";
  return !failed && fs::exists(beside, failed) ? beside : fs::path("tidemarkd");
}

/// Between fork and exec: only what POSIX allows there.
[[noreturn]] void become_broker(char* const* arguments, const char* log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(kCannotExecute);  // It ended before it could be said that we go with it.
  ::setpgid(0, 0);                                     // The terminal's Ctrl-C is for the demo, which ends the broker last.
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int input = ::open("/dev/null", O_RDONLY);
  const int output = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (input < 0 || output < 0) ::_exit(kCannotExecute);
  if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(output, STDERR_FILENO) < 0) ::_exit(kCannotExecute);
  ::execvp(arguments[0], arguments);
  ::_exit(kCannotExecute);
}

}  // namespace

Result<DemoBroker> DemoBroker::start(const Options& options, const Interrupts& interrupts) {
  std::error_code failed;
  const fs::path temporary = fs::temp_directory_path(failed);
  std::string home = ((failed ? fs::path("/tmp") : temporary) / "tidemark-demo-XXXXXX").string();
  if (::mkdtemp(home.data()) == nullptr) {
    return Error{.code = Errc::io_error, .detail = fmt::format("{}: {}", home, std::strerror(errno))};
  }
  DemoBroker broker{fs::path(home)};
  if (const Status run = broker.run(options); !run) return run.error();
  if (const Status ready = broker.wait_until_ready(interrupts); !ready) return ready.error();
  return broker;
}

DemoBroker::DemoBroker(DemoBroker&& other) noexcept
    : home_(std::exchange(other.home_, {})),
      pid_(std::exchange(other.pid_, -1)),
      process_(std::exchange(other.process_, -1)),
      server_(std::move(other.server_)),
      url_(std::move(other.url_)) {}

DemoBroker::~DemoBroker() {
  const Status stopped = stop();
  static_cast<void>(stopped);  // Who wants to know calls stop().
}

Status DemoBroker::run(const Options& options) {
  std::vector<std::string> words = {broker_program().string(),
                                    "--data-dir",
                                    data_dir(),
                                    "--native",
                                    options.native,
                                    "--kafka",
                                    "127.0.0.1:0",
                                    "--redis",
                                    "127.0.0.1:0",
                                    "--http",
                                    options.http,
                                    "--ports-file",
                                    (home_ / "ports.json").string()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = (home_ / "log").string();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return Error{.code = Errc::io_error, .detail = fmt::format("fork: {}", std::strerror(errno))};
  if (pid_ == 0) become_broker(arguments.data(), log.c_str(), parent);
  process_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // Debian 12's pidfd.h is not for C++.
  if (process_ < 0) return Error{.code = Errc::io_error, .detail = fmt::format("pidfd_open: {}", std::strerror(errno))};
  return {};
}

Status DemoBroker::wait_until_ready(const Interrupts& interrupts) {
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    const Result<bool> ready = read_ports();
    if (!ready) return ready.error();
    if (*ready) return {};
    if (ended(kLook)) return failure("tidemarkd did not start");
    if (interrupts.interrupted()) return Error{.code = Errc::cancelled, .detail = "interrupted"};
  }
  return failure("tidemarkd is not ready after a minute");
}

/// False: the file, which appears whole, is not there yet.
Result<bool> DemoBroker::read_ports() {
  std::error_code failed;
  if (!fs::exists(home_ / "ports.json", failed)) return false;
  boost::system::error_code malformed;
  const boost::json::value ports = boost::json::parse(read_file(home_ / "ports.json"), malformed);
  const boost::json::object* const object = malformed ? nullptr : ports.if_object();
  const auto port = [object](std::string_view name) {
    const boost::json::value* const value = object == nullptr ? nullptr : object->if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
  };
  if (port("native") == 0) return failure("tidemarkd has no native listener");
  server_ = fmt::format("127.0.0.1:{}", port("native"));
  if (port("http") != 0) url_ = fmt::format("http://127.0.0.1:{}/", port("http"));
  return true;
}

bool DemoBroker::ended(std::chrono::milliseconds patience) const {
  pollfd event{.fd = process_, .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, static_cast<int>(patience.count())) > 0;
}

Error DemoBroker::failure(const std::string& what) const {
  std::string said = read_file(home_ / "log");
  if (said.size() > kLogTailBytes) said.erase(0, said.size() - kLogTailBytes);
  while (said.ends_with('\n')) said.pop_back();
  if (said.empty()) return {.code = Errc::not_found, .detail = what + ": is it beside this program, or in PATH?"};
  return {.code = Errc::internal, .detail = what + ": " + said};
}

Status DemoBroker::stop() {
  Status outcome;
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    const bool in_time = process_ >= 0 && ended(kStopPatience);
    if (!in_time) ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) outcome = failure("tidemarkd did not end cleanly");
  }
  if (process_ >= 0) ::close(std::exchange(process_, -1));
  std::error_code failed;
  if (!home_.empty()) fs::remove_all(std::exchange(home_, {}), failed);
  return outcome;
}

}  // namespace tidemark::tools
