#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

using testing::HasSubstr;

class RestStatus : public RestTest {};

TEST_F(RestStatus, is_what_the_command_line_shows) {
  ASSERT_EQ(post("/topics", R"({"name":"t","partitions":2})").status, 201u);
  const Answer status = get("/status");
  ASSERT_EQ(status.status, 200u);
  EXPECT_EQ(status.at("version"), "1.2.3");
  EXPECT_EQ(status.at("topics"), "1");
  EXPECT_EQ(status.at("partitions"), "2");
  EXPECT_EQ(status.at("connections"), R"({"native":2})");
  EXPECT_EQ(status.at("worst_verdict"), "ok");
  EXPECT_EQ(status.at("read_only"), "false");
}

TEST_F(RestStatus, the_worst_verdict_is_of_all_groups) {
  ASSERT_EQ(post("/topics", R"({"name":"t","partitions":1})").status, 201u);
  append("t", 0, {"a"});
  commit("g", "t", 0, 0);
  EXPECT_EQ(get("/status").at("worst_verdict"), "stopped");
}

TEST_F(RestStatus, doctor_and_settings) {
  EXPECT_EQ(get("/doctor").body, "[{\"check\":\"clock\",\"result\":\"warn\",\"value\":\"1970\",\"advice\":\"set it\"}]\n");
  EXPECT_EQ(get("/config").body, "[{\"key\":\"shards\",\"value\":\"2\",\"source\":\"--shards\"}]\n");
}

TEST_F(RestStatus, without_a_broker_everything_says_why) {
  stop();
  const Answer refused = get("/topics");
  EXPECT_EQ(refused.status, 503u);
  EXPECT_EQ(refused.at("code"), "shutting_down");
  EXPECT_EQ(refused.at("detail"), "stopping");
  EXPECT_EQ(request("GET", "/healthz").status, 200u);
}

TEST_F(RestStatus, the_console_and_the_description_are_served) {
  const Answer page = request("GET", "/");
  EXPECT_EQ(page.status, 200u);
  EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html"));
  EXPECT_THAT(page.head, HasSubstr("Content-Security-Policy: default-src 'self'"));
  EXPECT_THAT(page.body, HasSubstr("Tidemark"));
  EXPECT_THAT(get("/openapi.json").at("openapi"), testing::StartsWith("3."));
}

TEST_F(RestStatus, unknown_paths_and_parameters_are_problems) {
  EXPECT_EQ(get("/nothing").status, 404u);
  EXPECT_EQ(request("PUT", "/api/v1/topics", "{}").status, 405u);
  EXPECT_EQ(get("/topics?intern=true").status, 400u);
}

}  // namespace
}  // namespace tidemark::http
