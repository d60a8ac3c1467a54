#include "protocol/redis/adapter/stream_id.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "protocol/redis/codec/resp_request.h"

namespace tidemark::redis {
namespace {

using broker::EntryId;

constexpr std::size_t kIdBytesMax = 127;

/// Redis hands what is no plain number to strtoull, which takes leading blanks, zeros and signs; clients have come to rely on some of that.
std::optional<std::uint64_t> parse_number(std::string_view part) {
  if (const std::optional<std::int64_t> plain = parse_integer(part)) {
    if (*plain < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*plain);
  }
  const std::string text(part);
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (errno != 0 || text.empty() || *end != '\0') return std::nullopt;
  return value;
}

}  // namespace

IdText::IdText(EntryId id) {
  char* const begin = text_.data();
  char* const end = begin + text_.size();
  char* at = std::to_chars(begin, end, id.ms).ptr;
  *at++ = '-';
  at = std::to_chars(at, end, id.seq).ptr;
  size_ = static_cast<std::size_t>(at - begin);
}

std::string to_text(EntryId id) { return std::string(IdText(id)); }

std::optional<AddId> parse_add_id(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (text.size() <= kIdBytesMax && dash != std::string_view::npos && text.substr(dash + 1) == "*") {
    const std::optional<std::uint64_t> ms = parse_number(text.substr(0, dash));
    if (!ms) return std::nullopt;
    return AddId{{*ms, 0}, false};
  }
  const std::optional<EntryId> id = parse_id(text, 0);
  if (!id) return std::nullopt;
  return AddId{*id, true};
}

std::optional<EntryId> parse_id(std::string_view text, std::uint64_t missing_sequence) {
  if (text.size() > kIdBytesMax) return std::nullopt;
  text = text.substr(0, text.find('\0'));  // Read as C reads text.
  const std::size_t dash = text.find('-');
  const std::optional<std::uint64_t> ms = parse_number(text.substr(0, dash));
  if (!ms) return std::nullopt;
  if (dash == std::string_view::npos) return EntryId{*ms, missing_sequence};
  const std::optional<std::uint64_t> seq = parse_number(text.substr(dash + 1));
  if (!seq) return std::nullopt;
  return EntryId{*ms, *seq};
}

std::optional<EntryId> parse_id_or_end(std::string_view text, std::uint64_t missing_sequence) {
  if (text == "-") return EntryId::min();
  if (text == "+") return EntryId::max();
  return parse_id(text, missing_sequence);
}

std::optional<Bound> parse_bound(std::string_view text, std::uint64_t missing_sequence) {
  const bool exclusive = text.size() > 1 && text.front() == '(';
  const std::optional<EntryId> id = exclusive ? parse_id(text.substr(1), missing_sequence) : parse_id_or_end(text, missing_sequence);
  if (!id) return std::nullopt;
  return Bound{*id, exclusive};
}

std::optional<EntryId> after(EntryId id) {
  if (id.seq < kSequenceMax) return EntryId{id.ms, id.seq + 1};
  if (id.ms < kSequenceMax) return EntryId{id.ms + 1, 0};
  return std::nullopt;
}

std::optional<EntryId> before(EntryId id) {
  if (id.seq > 0) return EntryId{id.ms, id.seq - 1};
  if (id.ms > 0) return EntryId{id.ms - 1, kSequenceMax};
  return std::nullopt;
}

}  // namespace tidemark::redis
