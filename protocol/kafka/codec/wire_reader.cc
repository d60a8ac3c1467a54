#include "protocol/kafka/codec/wire_reader.h"

#include <algorithm>
#include <utility>

namespace tidemark::kafka {
namespace {

std::string described(std::string_view message, int version) { return std::string(message) + " v" + std::to_string(version); }

}  // namespace

bool WireReader::have(std::string_view field, std::size_t count) {
  if (failed_) return false;
  if (count <= left()) return true;
  fail(field, std::to_string(count) + " bytes wanted, " + std::to_string(left()) + " left");
  return false;
}

void WireReader::fail(std::string_view field, std::string_view why) {
  if (failed_) return;
  failed_ = true;
  failed_at_ = at_;
  path_ = field;
  why_ = why;
}

void WireReader::prepend(std::string_view field) { path_ = std::string(field) + (path_.empty() ? "" : ".") + path_; }

void WireReader::prepend(std::string_view field, std::size_t index) { prepend(std::string(field) + "[" + std::to_string(index) + "]"); }

Uuid WireReader::uuid(std::string_view field) {
  Uuid id;
  if (!have(field, id.bytes.size())) return id;
  std::transform(body_.data() + at_, body_.data() + at_ + id.bytes.size(), id.bytes.begin(), std::to_integer<std::uint8_t>);
  at_ += id.bytes.size();
  return id;
}

std::uint32_t WireReader::uvarint(std::string_view field) {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (!have(field, 1)) return 0;
    const auto byte = std::to_integer<std::uint32_t>(body_.data()[at_]);
    if (shift == 28 && byte > 0x0f) break;
    ++at_;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail(field, "a variable-length integer of more than 32 bits");
  return 0;
}

std::optional<std::string> WireReader::nullable_string(std::string_view field, bool null_allowed) {
  const std::int64_t length = flexible_ ? std::int64_t{uvarint(field)} - 1 : std::int64_t{int16(field)};
  if (failed_) return std::nullopt;
  if (length == -1 && null_allowed) return std::nullopt;
  if (length < 0 || length > static_cast<std::int64_t>(kStringBytesMax)) {
    fail(field, "a string of " + std::to_string(length) + " bytes");
    return std::nullopt;
  }
  const auto size = static_cast<std::size_t>(length);
  if (!have(field, size)) return std::nullopt;
  std::string text = tidemark::to_string(body_.view().subspan(at_, size));
  at_ += size;
  return text;
}

std::optional<Slice> WireReader::nullable_bytes(std::string_view field, bool null_allowed) {
  const std::int64_t length = flexible_ ? std::int64_t{uvarint(field)} - 1 : std::int64_t{int32(field)};
  if (failed_) return std::nullopt;
  if (length == -1 && null_allowed) return std::nullopt;
  if (length < 0) {
    fail(field, std::to_string(length) + " bytes");
    return std::nullopt;
  }
  const auto size = static_cast<std::size_t>(length);
  if (!have(field, size)) return std::nullopt;
  const std::size_t from = std::exchange(at_, at_ + size);
  return body_.subslice(from, size);
}

std::optional<std::vector<Slice>> WireReader::slices(std::string_view field, bool null_allowed) {
  std::optional<Slice> bytes = nullable_bytes(field, null_allowed);
  if (!bytes) return std::nullopt;
  std::vector<Slice> pieces;
  if (!bytes->empty()) pieces.push_back(*std::move(bytes));
  return pieces;
}

std::optional<std::size_t> WireReader::array_count(std::string_view field, std::size_t element_bytes_min, std::size_t element_size,
                                                   bool null_allowed) {
  const std::int64_t announced = flexible_ ? std::int64_t{uvarint(field)} - 1 : std::int64_t{int32(field)};
  if (failed_) return std::nullopt;
  if (announced == -1 && null_allowed) return std::nullopt;
  const auto count = static_cast<std::size_t>(announced);
  if (announced < 0 || count > left() / element_bytes_min) {
    fail(field, "an array of " + std::to_string(announced) + " elements in " + std::to_string(left()) + " bytes");
    return std::nullopt;
  }
  if (count > (kDecodedArrayBytesMax - decoded_array_bytes_) / element_size) {
    fail(field, "arrays of more than " + std::to_string(kDecodedArrayBytesMax) + " bytes once decoded");
    return std::nullopt;
  }
  decoded_array_bytes_ += count * element_size;
  return count;
}

WireReader::Tags WireReader::tags() {
  Tags tags;
  tags.left = uvarint("tagged fields");
  tags.outer_end = end_;
  return tags;
}

bool WireReader::next(Tags& tags) {
  if (failed_) return false;
  if (at_ != end_ && !tags.first) {
    fail("tagged field " + std::to_string(tags.number), std::to_string(left()) + " bytes more than its value takes");
    return false;
  }
  end_ = tags.outer_end;
  if (tags.left == 0) return false;
  --tags.left;
  const std::uint32_t number = uvarint("tagged fields");
  if (!tags.first && number <= tags.number) fail("tagged fields", "number " + std::to_string(number) + " is repeated or out of order");
  tags.number = number;
  tags.first = false;
  const std::uint32_t size = uvarint("tagged fields");
  if (!have("tagged fields", size)) return false;
  end_ = at_ + size;
  return true;
}

void WireReader::skip_tags() {
  for (Tags all = tags(); next(all);) skip();
}

Slice WireReader::rest() {
  const std::size_t from = std::exchange(at_, end_);
  return body_.subslice(from, end_ - from);
}

Status WireReader::finish(std::string_view message, int version) {
  if (at_ != end_) fail("end", std::to_string(left()) + " bytes follow the last field");
  if (!failed_) return {};
  return Error{Errc::protocol_error, described(message, version) + ": " + path_ + " at byte " + std::to_string(failed_at_) + ": " + why_};
}

Error unknown_version(std::string_view message, int version) {
  return Error{Errc::unsupported_version, described(message, version) + " is not known"};
}

}  // namespace tidemark::kafka
