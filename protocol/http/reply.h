#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/base/result.h"

namespace tidemark::http {

/// One server-sent event: how one thing is now.
struct Event {
  std::string name;
  std::string data;          ///< One line.
  std::string key = {};      ///< Tells things of one name apart.
  std::string version = {};  ///< A listener is sent the event when this differs from what it was sent last. Empty: when the data does.
  std::string gone = {};     ///< Sent instead once there is no event of this name and key any more; empty: nothing is.
};

struct Reply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields = {};  ///< Further header fields.
  std::vector<Event> events = {};                                ///< Of an event page only.
};

/// A refusal as RFC 9457 says it. `field` and `rule` name what in the request was wrong and what holds for it; empty: not about a field.
struct Problem {
  unsigned status = 400;
  std::string code;    ///< Stable: the engine's name of the error.
  std::string detail;  ///< A sentence for people.
  std::string field;
  std::string rule;
};
/// An engine's error with the status it has in HTTP: the one place that knows both.
Problem problem_of(const Error& error);
Reply to_reply(const Problem& problem);

}  // namespace tidemark::http
