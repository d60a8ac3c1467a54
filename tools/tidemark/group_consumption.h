#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/record_filter.h"
#include "tidemark/client.h"
#include "tools/tidemark/errors.h"
#include "tools/tidemark/interrupts.h"
#include "tools/tidemark/output.h"
#include "tools/tidemark/record_printer.h"

namespace tidemark::tools {

struct GroupConsumptionPlan {
  RecordPrinter printer;
  StreamOptions stream = {};
  bool start_was_named = false;               ///< By --from: worth a word when the group has a position already.
  bool acknowledge = true;                    ///< What was printed is committed.
  std::optional<Position> to = std::nullopt;  ///< Exclusive, resolved at the start; latest() = the ends at that moment.
  std::optional<broker::RecordFilter> filter = std::nullopt;
  std::optional<std::uint64_t> count_max = std::nullopt;
  std::optional<std::chrono::milliseconds> silence_max = std::nullopt;  ///< Longest time without a record.
  OutputFormat output = OutputFormat::table;
};

/// Prints what a member of a group gets, until the ends are reached, enough was printed, it was silent for too long, nobody reads the
/// output any more, or Ctrl-C. What has been handed to the output, and what the filter left out, is committed; nothing else.
///
/// At a damaged range it stops with the error: a group does not pass over records that it was not given.
class GroupConsumption {
 public:
  GroupConsumption(Client& client, GroupConsumptionPlan plan, Interrupts& interrupts);

  Exit run();

 private:
  Status prepare();
  Status find_ends();
  bool go_on(StreamConsumer& consumer);
  bool print(StreamConsumer& consumer, const StreamConsumer::Messages& messages);
  bool beyond_end(const Message& message) const;
  bool finished(StreamConsumer& consumer);
  std::size_t room() const;
  Exit outcome() const;

  Client& client_;
  GroupConsumptionPlan plan_;
  Interrupts& interrupts_;
  Writer out_;
  std::string scratch_;
  std::map<TopicPartition, Offset> ends_;  ///< Of what has to be read before it is finished; empty partitions left out.
  std::chrono::steady_clock::time_point last_record_;
  std::uint64_t printed_ = 0;
  bool silent_ = false;
  std::optional<Error> failure_;  ///< The first one told.
};

}  // namespace tidemark::tools
