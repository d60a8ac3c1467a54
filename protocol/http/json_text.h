#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "storage/base/clock.h"
#include "storage/base/result.h"

/// Values in JSON, written as the command line writes them: names of groups and members are any bytes, JSON is UTF-8.
namespace tidemark::http {

/// The text with control characters and every byte that is not UTF-8 written as \xNN.
std::string shown(std::string_view bytes);
std::string to_base64(std::string_view bytes);
/// Error invalid_argument.
Result<std::string> from_base64(std::string_view text);
/// RFC 3339 in UTC with milliseconds.
std::string time_text(Timestamp time);

/// `key`: the name as shown; and `key`_base64 beside it where the bytes are not UTF-8.
void put_name(boost::json::object& object, std::string_view key, std::string_view name);
/// `key`, or `key`_base64 instead where the bytes are not UTF-8; null for none.
void put_bytes(boost::json::object& object, std::string_view key, std::optional<std::string_view> bytes);
/// `key`_time and `key`_ms.
void put_time(boost::json::object& object, std::string_view key, std::optional<Timestamp> time);

/// Seconds, exact to the millisecond; null for none.
boost::json::value seconds_value(std::optional<std::chrono::milliseconds> duration);
/// The same for an estimate.
boost::json::value seconds_value(std::optional<double> seconds);
template <class T>
boost::json::value or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  return boost::json::value(*value);
}

}  // namespace tidemark::http
