#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/base/bytes.h"

namespace tidemark::kafka {

/// One message of golden/*.txt: a line with kind, version and variant, a line with the bytes in hexadecimal, a line with the values as
/// JSON, an empty line. Variant "all": every field has a value that is not its default; "null": what may be null is, the rest has its
/// default. The bytes were made from Apache Kafka's message schemas by a program that shares nothing with our codec.
struct GoldenMessage {
  std::string kind;
  int version = 0;
  std::string variant;
  ByteVector bytes;
  std::string text;
};

/// Pairs of digits; spaces between them are for the reader.
inline ByteVector from_hex(std::string text) {
  std::erase(text, ' ');
  ByteVector bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
  }
  return bytes;
}

inline std::vector<GoldenMessage> golden_messages(const std::string& file) {
  std::ifstream in(std::string(KAFKA_GOLDEN_DIR) + "/" + file + ".txt");
  EXPECT_TRUE(in.is_open()) << file;
  std::vector<GoldenMessage> messages;
  GoldenMessage message;
  char v = 0;
  std::string bytes;
  while (in >> message.kind >> v >> message.version >> message.variant >> bytes) {
    // A message without fields is written as "-".
    message.bytes = bytes == "-" ? ByteVector() : from_hex(bytes);
    std::getline(in >> std::ws, message.text);
    messages.push_back(message);
  }
  return messages;
}

}  // namespace tidemark::kafka
