#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidemark/client.h"
#include "tools/tidemark/errors.h"
#include "tools/tidemark/interrupts.h"
#include "tools/tidemark/output.h"
#include "tools/tidemark/record_printer.h"

namespace tidemark::tools {

struct ConsumptionPlan {
  RecordPrinter printer;
  ReaderOptions reader = {};
  std::optional<broker::RecordFilter> filter = std::nullopt;
  std::optional<std::uint64_t> count_max = std::nullopt;                ///< Over all topics.
  std::optional<std::chrono::milliseconds> silence_max = std::nullopt;  ///< Longest time without a record.
  OutputFormat output = OutputFormat::table;
};

/// Reads topics side by side and prints what comes, until every reader is done, enough was printed, it was silent for too long, nobody
/// reads the output any more, or Ctrl-C.
///
/// A damaged range is told and stepped over: the records behind it are printed, and the exit code says that some are missing.
class Consumption {
 public:
  Consumption(Client& client, ConsumptionPlan plan, Interrupts& interrupts);
  ~Consumption() = default;
  Consumption(const Consumption&) = delete;
  Consumption& operator=(const Consumption&) = delete;

  Exit run(const std::vector<std::string>& topics);

 private:
  /// One topic and where it stood when reading began.
  struct Topic {
    std::string name;
    std::map<std::int32_t, Offset> ends;
  };

  Status open(const std::string& name);
  void start(Reader reader, const Topic& topic);
  void read_topic(Reader& reader, const Topic& topic);
  /// Prints under the lock; false when nothing more is wanted.
  bool take(const Message& message);
  void handle_error(const Error& error, Reader& reader, const Topic& topic);
  void step_over_damage(Reader& reader, const Topic& topic);
  void fail(const Error& error);
  void stop();
  void flush();
  std::chrono::milliseconds patience() const;
  Exit outcome() const;

  Client& client_;
  ConsumptionPlan plan_;
  Interrupts& interrupts_;

  std::mutex mutex_;  ///< Guards what follows, up to the readers.
  Writer out_;
  std::string scratch_;
  std::uint64_t printed_ = 0;
  std::optional<Error> failure_;  ///< The first one told.
  bool silent_ = false;

  std::mutex readers_mutex_;
  std::vector<Topic> topics_;
  std::vector<Reader> readers_;  ///< Handles, to close them from anywhere.
  std::vector<std::thread> threads_;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> received_ = 0;
  std::atomic<std::chrono::steady_clock::time_point> quiet_since_;
};

}  // namespace tidemark::tools
