#include "tools/tidemark/record_fields.h"

#include <boost/json.hpp>

#include "tools/tidemark/output.h"

namespace tidemark::tools {
namespace {

void put_bytes(boost::json::object& object, std::string_view name, std::optional<std::string_view> bytes) {
  if (!bytes) {
    object[name] = nullptr;
  } else if (is_utf8(*bytes)) {
    object[name] = *bytes;
  } else {
    object[std::string(name) + "_base64"] = to_base64(*bytes);
  }
}

}  // namespace

RecordFields fields_of(const Message& message) {
  RecordFields fields;
  fields.topic = message.topic();
  fields.partition = message.partition();
  fields.offset = message.offset().value;
  fields.timestamp_ms = message.timestamp().time_since_epoch().count();
  fields.key = message.key();
  fields.value = message.value();
  return fields;
}

boost::json::object record_to_json(const RecordFields& record) {
  boost::json::object object;
  object.reserve(9);
  object["topic"] = record.topic;
  object["partition"] = record.partition;
  object["offset"] = record.offset;
  if (record.timestamp_ms >= 0) {
    object["time"] = format_time(Timestamp(std::chrono::milliseconds(record.timestamp_ms)));
  } else {
    object["time"] = nullptr;
  }
  object["timestamp_ms"] = record.timestamp_ms;
  put_bytes(object, "key", record.key);
  put_bytes(object, "value", record.value);
  boost::json::array headers;
  headers.reserve(record.headers.size());
  for (const Header& header : record.headers) {
    boost::json::object element;
    put_bytes(element, "name", header.name);
    put_bytes(element, "value", header.value);
    headers.push_back(std::move(element));
  }
  object["headers"] = std::move(headers);
  object["deliveries"] = record.deliveries.value_or(1);
  return object;
}

}  // namespace tidemark::tools
