#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tidemark/client.h"
#include "tools/tidemark/errors.h"
#include "tools/tidemark/interrupts.h"
#include "tools/tidemark/output.h"
#include "tools/tidemark/record_printer.h"

namespace tidemark::tools {

struct QueueConsumptionPlan {
  RecordPrinter printer;
  QueueOptions queue = {};
  bool start_was_named = false;  ///< By --from: worth a word when the group is there already.
  bool acknowledge = true;       ///< False: everything printed is given back at the end.
  bool exit_at_end = false;      ///< Stop when no record from before the start is available, or in flight with somebody else.
  std::optional<std::uint64_t> count_max = std::nullopt;
  std::optional<std::chrono::milliseconds> silence_max = std::nullopt;  ///< Longest time without a record.
  OutputFormat output = OutputFormat::table;
};

/// Prints what a member of a queue group gets, until there is nothing left to do, enough was printed, it was silent for too long, nobody
/// reads the output any more, or Ctrl-C. What has been handed to the output is acknowledged, and nothing else: it asks the broker for no
/// more than it is about to print, and what it cannot print is given back.
class QueueConsumption {
 public:
  QueueConsumption(Client& client, QueueConsumptionPlan plan, Interrupts& interrupts);

  Exit run();

 private:
  Status prepare();
  bool go_on(QueueConsumer& consumer);
  bool print(QueueConsumer& consumer, const QueueConsumer::Messages& messages);
  bool acknowledge(QueueConsumer& consumer, const QueueConsumer::Messages& messages);
  bool give_back(QueueConsumer& consumer, const QueueConsumer::Messages& messages);
  bool later(const QueueMessage& message) const;
  Result<bool> finished(const std::string& member);
  Result<bool> busy_elsewhere(std::int32_t partition, Offset end, const std::string& member);
  std::size_t room() const;
  bool fail(const Error& error);
  Exit outcome() const;

  Client& client_;
  QueueConsumptionPlan plan_;
  Interrupts& interrupts_;
  Writer out_;
  std::string scratch_;
  std::map<std::int32_t, Offset> ends_;  ///< With exit_at_end: of each partition, at the start.
  std::chrono::steady_clock::time_point last_record_;
  std::uint64_t printed_ = 0;
  std::uint64_t lost_ = 0;  ///< Printed, and taken back before the acknowledgement: they come again, here or elsewhere.
  bool silent_ = false;
  std::optional<Error> failure_;  ///< The first one told.
};

}  // namespace tidemark::tools
