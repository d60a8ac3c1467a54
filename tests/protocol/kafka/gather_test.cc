#include "protocol/kafka/adapter/gather.h"

#include <gtest/gtest.h>

#include "protocol/kafka/adapter/handlers.h"
#include "tests/simulation/engine.h"

namespace tidemark::kafka {
namespace {

using simulation::Engine;
using simulation::SimulatedFileSystem;
using std::chrono::milliseconds;

/// A connection whose other end is the test.
class LooseSession final : public SessionCore {
 public:
  using SessionCore::SessionCore;

 private:
  void shut_socket() override {}
};

/// Requests to an engine in virtual time.
class KafkaTimeouts : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_.open());
    session_ = std::make_shared<LooseSession>(io_, engine_.broker(), engine_.runtime(), engine_.runtime().shard(0), ServerFacts{}, limits_,
                                              "127.0.0.1", nullptr);
  }

  void ask_to_create(const std::string& topic, std::int32_t timeout_ms) {
    CreateTopicsRequest request;
    request.topics.push_back({topic, 1, 1, {}, {}});
    request.timeout_ms = timeout_ms;
    RequestHeader header;
    header.api = ApiKey::create_topics;
    header.version = kVersion;
    WireWriter out = begin_request(header);
    encode(request, kVersion, out);
    const Result<std::vector<Slice>> frame = finish_frame(std::move(out));
    ASSERT_TRUE(frame);
    engine_.runtime().shard(0).post([this, bytes = joined(*frame)] { EXPECT_TRUE(session_->start(bytes)); });
    engine_.runtime().run();
  }
  /// What has been answered to the one topic; nullopt: nothing yet.
  std::optional<ErrorCode> answer() {
    std::optional<ErrorCode> code;
    engine_.runtime().shard(0).post([this, &code] {
      if (!session_->has_output()) return;
      const Slice frame = joined(session_->take_output().parts);
      const auto split = split_response(ApiKey::create_topics, kVersion, frame.subslice(kFrameSizeBytes, frame.size() - kFrameSizeBytes));
      ASSERT_TRUE(split);
      const Result<CreateTopicsResponse> response = decode_create_topics_response(split->body, kVersion);
      ASSERT_TRUE(response && response->topics.size() == 1);
      code = response->topics[0].error_code;
    });
    engine_.runtime().run();
    return code;
  }
  static Slice joined(const std::vector<Slice>& parts) {
    ByteVector bytes;
    for (const Slice& part : parts) bytes.insert(bytes.end(), part.view().begin(), part.view().end());
    return Slice::copy_of(bytes);
  }

  static constexpr std::int16_t kVersion = 5;

  boost::asio::io_context io_;  // Before the engine: what is still under way there holds the session.
  SessionLimits limits_;
  SimulatedFileSystem disk_;
  Engine engine_{disk_};
  std::shared_ptr<LooseSession> session_;
};

TEST_F(KafkaTimeouts, what_is_not_done_in_time_is_answered_as_timed_out) {
  disk_.add_fault({.op = "sync"});  // A failed flush is never answered by the engine.
  ask_to_create("orders", 5000);
  EXPECT_EQ(answer(), std::nullopt);
  engine_.runtime().advance(milliseconds(4999));
  EXPECT_EQ(answer(), std::nullopt);
  engine_.runtime().advance(milliseconds(1));
  EXPECT_EQ(answer(), ErrorCode::request_timed_out);
}

TEST_F(KafkaTimeouts, no_limit_means_no_limit) {
  disk_.add_fault({.op = "sync"});
  ask_to_create("orders", 0);
  engine_.runtime().advance(std::chrono::hours(1));
  EXPECT_EQ(answer(), std::nullopt);
}

TEST_F(KafkaTimeouts, an_answer_in_time_is_the_only_one) {
  ask_to_create("orders", 5000);
  EXPECT_EQ(answer(), ErrorCode::none);
  engine_.runtime().advance(milliseconds(6000));
  EXPECT_EQ(answer(), std::nullopt);
}

}  // namespace
}  // namespace tidemark::kafka
