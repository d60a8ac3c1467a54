#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/http/reply.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::http {

/// One request as a handler sees it.
struct Call {
  std::string method;                        ///< "GET", "POST", "PATCH", "DELETE".
  std::vector<std::string> path_values;      ///< What stands for the {names} of the pattern, decoded.
  std::map<std::string, std::string> query;  ///< Decoded; the last one of a name counts.
  std::string body;                          ///< As it came, bounded by the server.
  std::string content_type;                  ///< Lower case, without parameters.
  std::string peer;                          ///< Address of the other side, for people.
};

/// Answers one request. Called on the server's thread, which it must not block; `done` may be called once, from any thread.
using Handler = std::function<void(Call, UniqueFunction<void(Reply)>)>;

/// Replaces %XX; with `form`, + is a blank, as in a query. Error invalid_argument for a % without two hexadecimal digits.
Result<std::string> percent_decode(std::string_view text, bool form);

/// The table of paths. A pattern is a path whose segments may be {names}: "/api/v1/topics/{topic}". Segments are decoded after the path is
/// cut at its slashes, so a value may hold %2F.
class Router {
 public:
  struct Route {
    std::string method;
    std::string pattern;
    Handler handler;
  };
  struct Match {
    const Route* route = nullptr;  ///< Null: no such path (no allowed methods), or not with this method.
    std::vector<std::string> path_values;
    std::vector<std::string> allowed;  ///< Methods of the path, when the one asked for is none of them.
  };

  void add(std::string method, std::string pattern, Handler handler);
  /// HEAD finds GET. Error invalid_argument: the path is not well encoded.
  Result<Match> find(std::string_view method, std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

/// "a=1&b=x%20y". Error invalid_argument.
Result<std::map<std::string, std::string>> parse_query(std::string_view text);

}  // namespace tidemark::http
