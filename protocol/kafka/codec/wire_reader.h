#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/kafka/codec/errors.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"

namespace tidemark::kafka {

inline constexpr std::size_t kStringBytesMax = 32'767;                  ///< Of any string, also where the length field could say more.
inline constexpr std::size_t kDecodedArrayBytesMax = 64 * 1024 * 1024;  ///< Memory of all arrays of one message together.

/// Reads the primitives of the Kafka protocol from one message body (Kafka protocol guide, "Protocol Primitive Types"; KIP-482 for the
/// flexible forms). Which form strings, bytes and arrays have is fixed per message: a body is flexible as a whole or not at all.
///
/// The first malformed field ends the reading: from then on every call returns an empty value at once, and finish() says what was
/// wrong, with the path of the field and its byte position in the body. Nothing is allocated for an array before its count is checked
/// against the bytes that are left, nor beyond kDecodedArrayBytesMax, so a hostile body costs at most a small multiple of its size.
///
/// Byte fields are pieces of the body, not copies: they keep the whole frame alive. Whoever stores one for long copies it.
class WireReader {
 public:
  WireReader(Slice body, bool flexible) : body_(std::move(body)), end_(body_.size()), flexible_(flexible) {}

  std::int8_t int8(std::string_view field) { return integer<std::int8_t>(field); }
  std::int16_t int16(std::string_view field) { return integer<std::int16_t>(field); }
  std::int32_t int32(std::string_view field) { return integer<std::int32_t>(field); }
  std::int64_t int64(std::string_view field) { return integer<std::int64_t>(field); }
  bool boolean(std::string_view field) { return integer<std::int8_t>(field) != 0; }
  ErrorCode error_code(std::string_view field) { return static_cast<ErrorCode>(integer<std::int16_t>(field)); }
  Uuid uuid(std::string_view field);
  std::uint32_t uvarint(std::string_view field);  ///< At most five bytes, seven bits each, least significant first.

  std::string string(std::string_view field) { return nullable_string(field, false).value_or(std::string()); }
  std::optional<std::string> nullable_string(std::string_view field, bool null_allowed);
  Slice bytes(std::string_view field) { return nullable_bytes(field, false).value_or(Slice()); }
  std::optional<Slice> nullable_bytes(std::string_view field, bool null_allowed);
  std::optional<std::vector<Slice>> slices(std::string_view field, bool null_allowed);  ///< Bytes, as one slice or none.

  /// Calls `read(element)` for each element. `element_bytes_min` is the least that an element takes on the wire.
  template <class T, class Read>
  void array(std::string_view field, std::size_t element_bytes_min, std::vector<T>& out, Read read) {
    if (const auto count = array_count(field, element_bytes_min, sizeof(T), false)) elements(field, *count, out, read);
  }
  template <class T, class Read>
  void nullable_array(std::string_view field, bool null_allowed, std::size_t element_bytes_min, std::optional<std::vector<T>>& out,
                      Read read) {
    if (const auto count = array_count(field, element_bytes_min, sizeof(T), null_allowed)) elements(field, *count, out.emplace(), read);
  }
  template <class T, class Read>
  void structure(std::string_view field, T& out, Read read) {
    if (failed()) return;
    read(out);
    if (failed()) prepend(field);
  }
  template <class T, class Read>
  void nullable_structure(std::string_view field, std::optional<T>& out, Read read) {
    if (int8(field) >= 0 && !failed()) structure(field, out.emplace(), read);
  }

  /// The tagged fields behind a structure of a flexible version, in ascending order of their numbers, each bounded by its own size:
  ///     for (auto tags = in.tags(); in.next(tags);) { if (tags.number == 0) out.x = in.int32("x"); else in.skip(); }
  struct Tags {
    std::uint32_t number = 0;
    std::uint32_t left = 0;
    std::size_t outer_end = 0;
    bool first = true;
  };
  Tags tags();
  bool next(Tags& tags);
  void skip() { at_ = end_; }  ///< The rest of the tagged field: one that this codec does not know.
  void skip_tags();            ///< All tagged fields at once.
  Slice rest();                ///< What is left, unread: the body behind a header. Ends the reading.

  bool failed() const { return failed_; }
  /// What was wrong, or that bytes follow the last field: protocol_error. `message` and `version` go into the detail.
  Status finish(std::string_view message, int version);

 private:
  std::size_t left() const { return end_ - at_; }
  bool have(std::string_view field, std::size_t count);
  void fail(std::string_view field, std::string_view why);
  void prepend(std::string_view field);
  void prepend(std::string_view field, std::size_t index);
  std::optional<std::size_t> array_count(std::string_view field, std::size_t element_bytes_min, std::size_t element_size,
                                         bool null_allowed);

  template <class T>
  T integer(std::string_view field) {
    if (!have(field, sizeof(T))) return 0;
    const T value = load_be<T>(body_.data() + at_);
    at_ += sizeof(T);
    return value;
  }
  template <class T, class Read>
  void elements(std::string_view field, std::size_t count, std::vector<T>& out, Read& read) {
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      read(out.emplace_back());
      if (failed()) return prepend(field, i);
    }
  }

  Slice body_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;  ///< Of the body, or of the tagged field that is being read.
  std::size_t decoded_array_bytes_ = 0;
  bool flexible_ = false;
  bool failed_ = false;
  std::size_t failed_at_ = 0;
  std::string path_;  ///< Of the failed field; grows from the inside out while the calls return.
  std::string why_;
};

/// unsupported_version: the codec has no description of `message` for `version`.
Error unknown_version(std::string_view message, int version);

}  // namespace tidemark::kafka
