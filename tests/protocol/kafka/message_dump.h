#pragma once

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/kafka/codec/api.h"
#include "protocol/kafka/codec/errors.h"
#include "protocol/kafka/codec/wire_writer.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/base/uuid.h"

namespace tidemark::kafka {

inline std::string hex(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(byte));
    text += digits;
  }
  return text;
}

inline ByteVector joined(const std::vector<Slice>& slices) {
  ByteVector bytes;
  for (const Slice& slice : slices) bytes.insert(bytes.end(), slice.view().begin(), slice.view().end());
  return bytes;
}

/// A message as one line of JSON, every field by name, bytes and ids in hexadecimal. The functions dump(Dump&, const Message&) are
/// generated from the descriptions.
class Dump {
 public:
  template <class T>
  void field(std::string_view name, const T& value) {
    if (text_.back() != '{') text_ += ',';
    string(name);
    text_ += ':';
    put(value);
  }
  void begin() { text_ += '{'; }
  void end() { text_ += '}'; }
  const std::string& text() const { return text_; }

 private:
  void string(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      char escaped[7];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(byte));
      if (byte < 0x20 || byte > 0x7e || c == '"' || c == '\\') {
        text_ += escaped;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  void put(bool value) { text_ += value ? "true" : "false"; }
  void put(std::integral auto value) { text_ += std::to_string(value); }
  void put(ErrorCode value) { put(static_cast<std::int16_t>(value)); }
  void put(const std::string& value) { string(value); }
  void put(const Slice& value) { string(hex(value.view())); }
  void put(const std::vector<Slice>& value) { string(hex(joined(value))); }
  void put(const Uuid& value) { string(hex(std::as_bytes(std::span(value.bytes)))); }
  template <class T>
  void put(const std::optional<T>& value) {
    if (value) return put(*value);
    text_ += "null";
  }
  template <class T>
  void put(const std::vector<T>& value) {
    text_ += '[';
    for (const T& element : value) {
      if (text_.back() != '[') text_ += ',';
      put(element);
    }
    text_ += ']';
  }
  template <class T>
  requires std::is_class_v<T>
  void put(const T& structure) { dump(*this, structure); }

  std::string text_;
};

struct RoundTrip {
  std::string text;    ///< What was decoded.
  ByteVector encoded;  ///< What was decoded, encoded again.
};

/// One message type, its type erased.
struct MessageCodec {
  std::string_view file;  ///< Name of its golden file, without ending.
  std::string_view kind;  ///< "request" or "response".
  ApiKey api;
  int min_version;
  int max_version;
  int flexible_from;
  Result<RoundTrip> (*round_trip)(const Slice& body, int version);
};

template <class Message, Result<Message> (*decode)(const Slice&, int)>
MessageCodec message_codec(std::string_view file, std::string_view kind) {
  const auto round_trip = [](const Slice& body, int version) -> Result<RoundTrip> {
    const Result<Message> message = decode(body, version);
    if (!message) return message.error();
    Dump text;
    dump(text, *message);
    WireWriter out(version >= Message::kFlexibleFrom);
    encode(*message, version, out);
    const Result<std::vector<Slice>> encoded = std::move(out).finish();
    if (!encoded) return encoded.error();
    return RoundTrip{text.text(), joined(*encoded)};
  };
  return {file, kind, Message::kApi, Message::kMinVersion, Message::kMaxVersion, Message::kFlexibleFrom, round_trip};
}

/// Generated: requests and responses of all APIs.
std::vector<MessageCodec> all_message_codecs();

}  // namespace tidemark::kafka
