#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

#include "storage/base/result.h"
#include "tools/tidemark/interrupts.h"

namespace tidemark::tools {

/// A tidemarkd of this process's own, in a temporary directory. It is the program beside this one, else the one in PATH. It gets no
/// Ctrl-C of the terminal, and ends with this process, however that ends; only after a `kill -9` its directory is left.
class DemoBroker {
 public:
  struct Options {
    std::string native = "127.0.0.1:0";  ///< HOST:PORT; 0: a free one. The other protocols get free ports.
    std::string http = "127.0.0.1:0";
  };

  /// Answers when it takes connections. Errors: not_found (there is no tidemarkd), io_error, cancelled (interrupted meanwhile); internal
  /// with what the broker said when it does not start.
  static Result<DemoBroker> start(const Options& options, const Interrupts& interrupts);
  DemoBroker(DemoBroker&& other) noexcept;
  DemoBroker& operator=(DemoBroker&&) = delete;
  ~DemoBroker();  ///< stop()

  const std::string& server() const { return server_; }  ///< "127.0.0.1:41230", of the native listener.
  const std::string& url() const { return url_; }        ///< "http://127.0.0.1:41231/"
  std::string data_dir() const { return (home_ / "data").string(); }
  /// Readable once the process has ended; for poll().
  int descriptor() const { return process_; }

  /// Lets it come to a clean end, after half a minute to a hard one, and removes the directory. Error internal: the end was not clean, with
  /// what it said.
  Status stop();

 private:
  explicit DemoBroker(std::filesystem::path home) : home_(std::move(home)) {}
  Status run(const Options& options);
  Status wait_until_ready(const Interrupts& interrupts);
  Result<bool> read_ports();
  bool ended(std::chrono::milliseconds patience) const;
  Error failure(const std::string& what) const;

  std::filesystem::path home_;
  pid_t pid_ = -1;
  int process_ = -1;  ///< pidfd
  std::string server_;
  std::string url_;
};

}  // namespace tidemark::tools
