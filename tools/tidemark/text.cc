#include "tools/tidemark/text.h"

#include <charconv>
#include <cstdint>

#include <fmt/format.h>

namespace tidemark::tools {
namespace {

Error invalid(std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; }

template <class T>
bool parse_whole(std::string_view text, T& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<NameValue> parse_name_value(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return invalid(fmt::format("`{}` is not NAME=VALUE", text));
  return NameValue{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<PartitionAddress> parse_partition_address(std::string_view text) {
  PartitionAddress address;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !parse_whole(text.substr(colon + 1), address.partition) || address.partition < 0) {
    return invalid(fmt::format("`{}` is not TOPIC:PARTITION", text));
  }
  address.topic = text.substr(0, colon);
  return address;
}

Result<RecordAddress> parse_record_address(std::string_view text) {
  RecordAddress address;
  const std::size_t colon = text.rfind(':');
  const Result<PartitionAddress> partition = parse_partition_address(text.substr(0, colon == std::string_view::npos ? 0 : colon));
  if (!partition || !parse_whole(text.substr(colon + 1), address.offset) || address.offset < 0) {
    return invalid(fmt::format("`{}` is not TOPIC:PARTITION:OFFSET", text));
  }
  address.topic = partition->topic;
  address.partition = partition->partition;
  return address;
}

}  // namespace tidemark::tools
