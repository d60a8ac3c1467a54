#include "client/src/owned_record.h"

namespace tidemark::detail {
namespace {

std::optional<std::string> copy_of(const std::optional<std::string_view>& text) {
  if (!text) return std::nullopt;
  return std::string(*text);
}

}  // namespace

OwnedRecord::OwnedRecord(const Record& record)
    : key_(copy_of(record.key)),
      value_(copy_of(record.value)),
      timestamp_(record.timestamp),
      partition_(record.partition),
      delay_(record.delay),
      deliver_at_(record.deliver_at),
      dedup_id_(copy_of(record.dedup_id)),
      priority_(record.priority) {
  for (const Header& header : record.headers) headers_.emplace_back(header.name, copy_of(header.value));
}

Record OwnedRecord::view(std::vector<Header>& headers) const {
  headers.clear();
  for (const auto& [name, value] : headers_) headers.push_back(Header{.name = name, .value = value});
  return Record{.key = key_,
                .value = value_,
                .headers = headers,
                .timestamp = timestamp_,
                .partition = partition_,
                .delay = delay_,
                .deliver_at = deliver_at_,
                .dedup_id = dedup_id_,
                .priority = priority_};
}

}  // namespace tidemark::detail
