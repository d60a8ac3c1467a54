#include "protocol/kafka/codec/errors.h"

#include <set>

#include <gtest/gtest.h>

namespace tidemark::kafka {
namespace {

/// Every error of the engine.
std::vector<Errc> engine_errors() {
  std::vector<Errc> errors;
  for (std::uint32_t number = 0; number < 1000; ++number) {
    if (const auto error = errc_from_number(number)) errors.push_back(*error);
  }
  return errors;
}

TEST(KafkaErrors, have_the_names_of_the_protocol_guide) {
  EXPECT_EQ(to_string(ErrorCode::unknown_server_error), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(to_string(ErrorCode::invalid_topic), "INVALID_TOPIC_EXCEPTION");
  EXPECT_EQ(to_string(ErrorCode::member_id_required), "MEMBER_ID_REQUIRED");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(11)), "UNNAMED_ERROR");
}

TEST(KafkaErrors, never_say_success_for_an_engine_error) {
  ASSERT_FALSE(engine_errors().empty());
  for (const Errc error : engine_errors()) EXPECT_NE(to_wire(error), ErrorCode::none) << tidemark::to_string(error);
}

TEST(KafkaErrors, are_retriable_where_the_engine_error_is) {
  const std::set<ErrorCode> retriable{ErrorCode::request_timed_out, ErrorCode::network_exception, ErrorCode::kafka_storage_error,
                                      ErrorCode::not_leader_or_follower, ErrorCode::concurrent_transactions};
  int seen = 0;
  for (const Errc error : engine_errors()) {
    if (!Error{error, ""}.retriable()) continue;
    ++seen;
    EXPECT_TRUE(retriable.contains(to_wire(error))) << tidemark::to_string(error) << " as " << to_string(to_wire(error));
  }
  EXPECT_GT(seen, 0);
}

TEST(KafkaErrors, of_a_fetch_are_ones_that_consumers_know) {
  EXPECT_EQ(fetch_error(ErrorCode::none), ErrorCode::none);
  EXPECT_EQ(fetch_error(ErrorCode::offset_out_of_range), ErrorCode::offset_out_of_range);
  EXPECT_EQ(fetch_error(ErrorCode::request_timed_out), ErrorCode::kafka_storage_error);
  EXPECT_EQ(fetch_error(ErrorCode::invalid_request), ErrorCode::kafka_storage_error);
}

}  // namespace
}  // namespace tidemark::kafka
