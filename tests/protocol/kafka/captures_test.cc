#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "protocol/kafka/codec/frame.h"
#include "tests/protocol/kafka/golden.h"
#include "tests/protocol/kafka/message_dump.h"

namespace tidemark::kafka {
namespace {

/// A request as a real client sent it: a line with API, version and correlation id, a line with the frame behind its length, a line
/// with the values as JSON.
struct Capture {
  std::string api;
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  ByteVector frame;
  std::string text;
};

std::vector<Capture> captures(const std::string& file) {
  std::ifstream in(std::string(KAFKA_CAPTURES_DIR) + "/" + file);
  EXPECT_TRUE(in.is_open()) << file;
  std::vector<Capture> found;
  Capture capture;
  char v = 0;
  std::string frame;
  while (in >> capture.api >> v >> capture.version >> capture.correlation_id >> frame) {
    capture.frame = from_hex(frame);
    std::getline(in >> std::ws, capture.text);
    found.push_back(capture);
  }
  return found;
}

/// By the name of the golden file.
std::map<std::string_view, MessageCodec> request_codecs() {
  std::map<std::string_view, MessageCodec> codecs;
  for (const MessageCodec& codec : all_message_codecs()) {
    if (codec.kind == "request") codecs.emplace(codec.file, codec);
  }
  return codecs;
}

TEST(Captures, requests_of_kcat_are_read_and_written_as_they_came) {
  const std::map<std::string_view, MessageCodec> codecs = request_codecs();
  const std::vector<Capture> requests = captures("kcat-1.7.1.txt");
  ASSERT_GT(requests.size(), 20U);
  for (const Capture& capture : requests) {
    SCOPED_TRACE(capture.api + " v" + std::to_string(capture.version) + " " + std::to_string(capture.correlation_id));
    const Result<RequestFrame> request = split_request(Slice::copy_of(capture.frame));
    ASSERT_TRUE(request) << request.error().to_string();
    const MessageCodec& codec = codecs.at(capture.api);
    EXPECT_EQ(request->header.api, codec.api);
    EXPECT_EQ(request->header.version, capture.version);
    EXPECT_EQ(request->header.correlation_id, capture.correlation_id);
    EXPECT_EQ(request->header.client_id, "rdkafka");
    EXPECT_TRUE(request->version_served);

    const Result<RoundTrip> body = codec.round_trip(request->body, capture.version);
    ASSERT_TRUE(body) << body.error().to_string();
    EXPECT_EQ(body->text, capture.text);
    EXPECT_EQ(hex(body->encoded), hex(request->body.view()));
  }
}

}  // namespace
}  // namespace tidemark::kafka
