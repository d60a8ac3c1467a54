#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocol/http/reply.h"

namespace tidemark::http {

/// What one listener of events has been told, so that it is told only what is new. As large as the events of one moment are.
class EventNews {
 public:
  /// The text of `now`'s events that differ from what was told last, in their order, then of those that are gone, by name and key; as
  /// text/event-stream (WHATWG HTML, 9.2). Empty: nothing is new.
  std::string text(std::vector<Event> now);
  /// The one event `now` instead of all others, which are told anew once they come again.
  std::string only(Event now);

 private:
  struct Told {
    std::string version, gone;
  };
  std::map<std::pair<std::string, std::string>, Told> told_;  ///< By name and key.
};

}  // namespace tidemark::http
