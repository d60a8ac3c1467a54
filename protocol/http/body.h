#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "protocol/http/router.h"

namespace tidemark::http {

/// Reads the JSON object a request carries. Remembers the first thing that is wrong, so that handlers read all fields first and then ask
/// problem() once. A field nobody read is wrong, too: it is a misspelt one.
class Body {
 public:
  /// An empty body is an empty object. Anything but application/json is refused with 415: a form of another web site cannot send that
  /// without being asked.
  explicit Body(const Call& call);
  /// Of an object within; `path` is its name in messages.
  Body(const boost::json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  bool has(std::string_view field) const { return object_.contains(field); }
  std::string text(std::string_view field);
  std::string text_or(std::string_view field, std::string otherwise);
  /// `field`, or `field`_base64 where the bytes are not UTF-8. nullopt: absent or null.
  std::optional<std::string> bytes(std::string_view field);
  bool flag_or(std::string_view field, bool otherwise);
  std::int64_t integer_or(std::string_view field, std::int64_t least, std::int64_t most, std::int64_t otherwise);
  std::optional<double> number(std::string_view field);  ///< Finite and at least 0.
  std::vector<std::string> texts(std::string_view field);
  /// Values are text, numbers or true and false; null is the empty text, which removes a setting.
  std::map<std::string, std::string> settings(std::string_view field);
  /// The elements of a list, each an object; those that are none are wrong.
  std::vector<Body> list(std::string_view field, std::size_t most);
  /// A duration: text with units ("5m") or a number of seconds.
  std::optional<std::chrono::milliseconds> duration(std::string_view field);

  void wrong(std::string_view field, std::string rule);
  /// Takes over what is wrong in an object within.
  void adopt(Body& within);
  /// Once everything was read.
  const std::optional<Problem>& problem();

 private:
  const boost::json::value* take(std::string_view field);

  boost::json::object object_;
  std::string path_;  ///< "" or "records[3]."
  std::set<std::string, std::less<>> read_;
  std::optional<Problem> problem_;
};

/// A query value that is a whole number. Error invalid_argument names it.
Result<std::int64_t> query_integer(const Call& call, const std::string& name, std::int64_t least, std::int64_t most,
                                   std::int64_t otherwise);
/// The query has no other names than these.
Status query_has_only(const Call& call, std::initializer_list<std::string_view> names);

}  // namespace tidemark::http
