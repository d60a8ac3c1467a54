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

inline constexpr std::size_t kCopiedBytesMax = 1024;  ///< Longer byte fields are referenced, not copied.

/// Writes the primitives of the Kafka protocol; the counterpart of WireReader. The output is a list of slices: small fields gather in
/// the writer's own buffers, record batches and other long byte fields become pieces of the output as they are, without a copy. Their
/// bytes must not change until the output is sent.
///
/// A value that the protocol cannot express (a string above 32 767 bytes, a message above 2 GiB) does not stop the writing; finish()
/// reports the first one instead of the output.
///
/// Null where the version knows no null is written as an empty string, bytes or array, which is what such versions mean by it.
class WireWriter {
 public:
  explicit WireWriter(bool flexible) : flexible_(flexible) {}

  bool flexible() const { return flexible_; }
  std::size_t size() const { return size_; }

  void int8(std::int8_t value) { integer(value); }
  void int16(std::int16_t value) { integer(value); }
  void int32(std::int32_t value) { integer(value); }
  void int64(std::int64_t value) { integer(value); }
  void boolean(bool value) { integer(static_cast<std::int8_t>(value)); }
  void error_code(ErrorCode value) { integer(static_cast<std::int16_t>(value)); }
  void uuid(const Uuid& value);
  void uvarint(std::uint32_t value);

  void string(std::string_view value);
  void nullable_string(const std::optional<std::string>& value, bool null_allowed);
  /// A string with a 16-bit length even in a flexible message: the client id of a request header.
  void classic_nullable_string(const std::optional<std::string>& value);
  void bytes(const Slice& value);
  void nullable_bytes(const std::optional<Slice>& value, bool null_allowed);
  void slices(const std::optional<std::vector<Slice>>& value, bool null_allowed);  ///< The pieces one after the other, as one field.

  /// Calls `write(element)` for each element.
  template <class T, class Write>
  void array(const std::vector<T>& value, Write write) {
    length(value.size(), 4);
    for (const T& element : value) write(element);
  }
  template <class T, class Write>
  void nullable_array(const std::optional<std::vector<T>>& value, bool null_allowed, Write write) {
    if (value) return array(*value, write);
    null(4, null_allowed);
  }
  template <class T, class Write>
  void nullable_structure(const std::optional<T>& value, Write write) {
    int8(value ? 1 : -1);
    if (value) write(*value);
  }

  /// A tagged field; ascending numbers, after uvarint(count of them). `write(writer)` writes the value.
  template <class Write>
  void tag(std::uint32_t number, Write write) {
    WireWriter value(flexible_);
    write(value);
    uvarint(number);
    append(std::move(value));
  }

  /// The output. Errors: invalid_argument, see above.
  Result<std::vector<Slice>> finish() &&;

 private:
  std::byte* room(std::size_t count);
  void copy(ByteView bytes);
  void piece(const Slice& bytes);
  void seal();
  void length(std::size_t count, std::size_t classic_width);
  void null(std::size_t classic_width, bool null_allowed);
  void append(WireWriter value);
  void fail(std::string detail);

  template <class T>
  void integer(T value) {
    store_be(room(sizeof value), value);
  }

  std::vector<Slice> output_;
  Slice chunk_;  ///< The buffer in use; bytes [sealed_, used_) of it are not in output_ yet.
  std::size_t sealed_ = 0;
  std::size_t used_ = 0;
  std::size_t size_ = 0;
  bool flexible_ = false;
  std::optional<Error> error_;
};

}  // namespace tidemark::kafka
