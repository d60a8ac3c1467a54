#include "protocol/http/body.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "protocol/http/json_text.h"
#include "storage/base/units.h"

namespace tidemark::http {
namespace {

constexpr std::size_t kDepthMax = 16;

std::optional<std::int64_t> as_integer(const boost::json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_uint64() && value.get_uint64() <= static_cast<std::uint64_t>(INT64_MAX))
    return static_cast<std::int64_t>(value.get_uint64());
  return std::nullopt;
}

std::string range_text(std::int64_t least, std::int64_t most) {
  return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace

Body::Body(const Call& call) {
  if (call.body.empty()) return;
  if (call.content_type != "application/json") {
    problem_ = Problem{.status = 415, .code = "invalid_argument", .detail = "a body must be application/json", .field = {}, .rule = {}};
    return;
  }
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = kDepthMax;
  boost::json::value value = boost::json::parse(call.body, error, {}, options);
  if (!error && value.is_object()) {
    object_ = std::move(value.get_object());
    return;
  }
  problem_ = Problem{.status = 400,
                     .code = "invalid_argument",
                     .detail = error ? "the body is not JSON: " + error.message() : "the body must be a JSON object",
                     .field = {},
                     .rule = "a JSON object, at most " + std::to_string(kDepthMax) + " levels deep"};
}

const boost::json::value* Body::take(std::string_view field) {
  read_.emplace(field);
  const boost::json::value* const value = object_.if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void Body::wrong(std::string_view field, std::string rule) {
  if (problem_) return;
  std::string name = path_ + std::string(field);
  problem_ =
      Problem{.status = 400, .code = "invalid_argument", .detail = name + " must be " + rule, .field = name, .rule = std::move(rule)};
}

void Body::adopt(Body& within) {
  const std::optional<Problem>& found = within.problem();
  if (found && !problem_) problem_ = found;
}

const std::optional<Problem>& Body::problem() {
  for (const auto& field : object_) {
    if (read_.contains(field.key())) continue;
    if (problem_) break;
    const std::string name = path_ + std::string(field.key());
    problem_ = Problem{
        .status = 400, .code = "invalid_argument", .detail = "unknown field " + name, .field = name, .rule = "a field this call has"};
  }
  return problem_;
}

std::string Body::text(std::string_view field) {
  const boost::json::value* const value = take(field);
  if (value != nullptr && value->is_string() && !value->get_string().empty()) return std::string(value->get_string());
  wrong(field, "a text that is not empty");
  return {};
}

std::string Body::text_or(std::string_view field, std::string otherwise) {
  const boost::json::value* const value = take(field);
  if (value == nullptr) return otherwise;
  if (value->is_string()) return std::string(value->get_string());
  wrong(field, "a text");
  return otherwise;
}

std::optional<std::string> Body::bytes(std::string_view field) {
  const std::string encoded_name = std::string(field) + "_base64";
  const boost::json::value* const plain = take(field);
  const boost::json::value* const encoded = take(encoded_name);
  if (plain != nullptr && encoded != nullptr) {
    wrong(field, "given once, as text or as " + encoded_name);
  } else if (plain != nullptr) {
    if (plain->is_string()) return std::string(plain->get_string());
    wrong(field, "a text, or null");
  } else if (encoded != nullptr) {
    if (encoded->is_string()) {
      Result<std::string> decoded = from_base64(encoded->get_string());
      if (decoded) return *std::move(decoded);
    }
    wrong(encoded_name, "base64");
  }
  return std::nullopt;
}

bool Body::flag_or(std::string_view field, bool otherwise) {
  const boost::json::value* const value = take(field);
  if (value == nullptr) return otherwise;
  if (value->is_bool()) return value->get_bool();
  wrong(field, "true or false");
  return otherwise;
}

std::int64_t Body::integer_or(std::string_view field, std::int64_t least, std::int64_t most, std::int64_t otherwise) {
  const boost::json::value* const value = take(field);
  if (value == nullptr) return otherwise;
  const std::optional<std::int64_t> number = as_integer(*value);
  if (number && *number >= least && *number <= most) return *number;
  wrong(field, range_text(least, most));
  return otherwise;
}

std::optional<double> Body::number(std::string_view field) {
  const boost::json::value* const value = take(field);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) {
    const double number = value->to_number<double>();
    if (std::isfinite(number) && number >= 0) return number;
  }
  wrong(field, "a number of at least 0");
  return std::nullopt;
}

std::vector<std::string> Body::texts(std::string_view field) {
  std::vector<std::string> all;
  const boost::json::value* const value = take(field);
  if (value == nullptr) return all;
  if (!value->is_array()) {
    wrong(field, "a list of texts");
    return all;
  }
  for (const boost::json::value& element : value->get_array()) {
    if (element.is_string()) {
      all.emplace_back(element.get_string());
    } else {
      wrong(field, "a list of texts");
    }
  }
  return all;
}

std::map<std::string, std::string> Body::settings(std::string_view field) {
  std::map<std::string, std::string> all;
  const boost::json::value* const value = take(field);
  if (value == nullptr) return all;
  if (!value->is_object()) {
    wrong(field, "an object of settings");
    return all;
  }
  for (const auto& setting : value->get_object()) {
    const boost::json::value& given = setting.value();
    if (given.is_string()) {
      all[setting.key()] = given.get_string();
    } else if (given.is_null()) {
      all[setting.key()] = {};
    } else if (given.is_number() || given.is_bool()) {
      all[setting.key()] = boost::json::serialize(given);
    } else {
      wrong(std::string(field) + "." + std::string(setting.key()), "a text, a number, true, false, or null to remove it");
    }
  }
  return all;
}

std::vector<Body> Body::list(std::string_view field, std::size_t most) {
  std::vector<Body> all;
  const boost::json::value* const value = take(field);
  if (value == nullptr) return all;
  if (!value->is_array() || value->get_array().size() > most) {
    wrong(field, "a list of at most " + std::to_string(most) + " objects");
    return all;
  }
  for (const boost::json::value& element : value->get_array()) {
    const std::string name = std::string(field) + "[" + std::to_string(all.size()) + "]";
    if (!element.is_object()) {
      wrong(name, "an object");
      return all;
    }
    all.emplace_back(element.get_object(), path_ + name + ".");
  }
  return all;
}

std::optional<std::chrono::milliseconds> Body::duration(std::string_view field) {
  const boost::json::value* const value = take(field);
  if (value == nullptr) return std::nullopt;
  constexpr double kSecondsMax = 100.0 * 366 * 86'400;
  if (value->is_number()) {
    const double seconds = value->to_number<double>();
    if (seconds >= 0 && seconds <= kSecondsMax) return std::chrono::milliseconds(std::llround(seconds * 1000));
  } else if (value->is_string()) {
    const Result<std::chrono::milliseconds> parsed = parse_duration(value->get_string());
    if (parsed) return *parsed;
  }
  wrong(field, "a duration: a number of seconds, or a text like \"5m\" or \"1h30m\"");
  return std::nullopt;
}

Result<std::int64_t> query_integer(const Call& call, const std::string& name, std::int64_t least, std::int64_t most,
                                   std::int64_t otherwise) {
  const auto found = call.query.find(name);
  if (found == call.query.end()) return otherwise;
  std::int64_t number = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [stop, error] = std::from_chars(found->second.data(), end, number);
  if (error == std::errc() && stop == end && number >= least && number <= most) return number;
  return Error{Errc::invalid_argument, name + " must be " + range_text(least, most)};
}

Status query_has_only(const Call& call, std::initializer_list<std::string_view> names) {
  for (const auto& [name, value] : call.query) {
    if (std::ranges::find(names, name) == names.end()) return Error{Errc::invalid_argument, "unknown query parameter " + shown(name)};
  }
  return {};
}

}  // namespace tidemark::http
