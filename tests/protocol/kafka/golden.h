#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/base/bytes.h"
#include "tests/protocol/kafka/hex.h"

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
