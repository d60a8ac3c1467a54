#pragma once

#include <string>
#include <vector>

#include <boost/json.hpp>

namespace tidemark::http {

/// Holds JSON values against the part of JSON Schema that openapi.json uses: $ref, type, properties, required, additionalProperties, items,
/// enum. What does not fit is told with its place.
class SchemaCheck {
 public:
  explicit SchemaCheck(const boost::json::object& document) : document_(document) {}

  std::vector<std::string> problems(const boost::json::value& schema, const boost::json::value& value) {
    problems_.clear();
    check(schema.get_object(), value, "");
    return problems_;
  }

 private:
  const boost::json::object& resolved(const boost::json::object& schema) const {
    const boost::json::value* const reference = schema.if_contains("$ref");
    if (reference == nullptr) return schema;
    std::string pointer(reference->get_string());
    return document_.at("components").at("schemas").at(pointer.substr(pointer.rfind('/') + 1)).get_object();
  }

  static bool has_type(std::string_view type, const boost::json::value& value) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_bool();
    if (type == "null") return value.is_null();
    if (type == "integer") return value.is_int64() || value.is_uint64();
    return value.is_number();
  }
  static bool fits(const boost::json::value& type, const boost::json::value& value) {
    if (type.is_string()) return has_type(type.get_string(), value);
    for (const boost::json::value& one : type.get_array()) {
      if (has_type(one.get_string(), value)) return true;
    }
    return false;
  }

  void check(const boost::json::object& unresolved, const boost::json::value& value, const std::string& at) {
    const boost::json::object& schema = resolved(unresolved);
    if (const auto* const type = schema.if_contains("type"); type != nullptr && !fits(*type, value)) {
      problems_.push_back(at + ": " + boost::json::serialize(value) + " is no " + boost::json::serialize(*type));
      return;
    }
    if (const auto* const words = schema.if_contains("enum")) {
      bool found = false;
      for (const boost::json::value& word : words->get_array()) found |= word == value;
      if (!found) problems_.push_back(at + ": " + boost::json::serialize(value) + " is none of " + boost::json::serialize(*words));
    }
    if (const auto* const items = schema.if_contains("items"); items != nullptr && value.is_array()) {
      std::size_t i = 0;
      for (const boost::json::value& element : value.get_array()) check(items->get_object(), element, at + "[" + std::to_string(i++) + "]");
    }
    if (value.is_object()) check_object(schema, value.get_object(), at);
  }

  void check_object(const boost::json::object& schema, const boost::json::object& object, const std::string& at) {
    if (const auto* const required = schema.if_contains("required")) {
      for (const boost::json::value& name : required->get_array()) {
        if (!object.contains(name.get_string())) problems_.push_back(at + ": lacks " + std::string(name.get_string()));
      }
    }
    const auto* const properties = schema.if_contains("properties");
    const auto* const others = schema.if_contains("additionalProperties");
    for (const auto& field : object) {
      const std::string place = at + "." + std::string(field.key());
      const auto* const known = properties == nullptr ? nullptr : properties->get_object().if_contains(field.key());
      if (known != nullptr) {
        check(known->get_object(), field.value(), place);
      } else if (others != nullptr && others->is_object()) {
        check(others->get_object(), field.value(), place);
      }
    }
  }

  const boost::json::object& document_;
  std::vector<std::string> problems_;
};

}  // namespace tidemark::http
