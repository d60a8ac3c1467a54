#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

using testing::HasSubstr;

class RestStatus : public RestTest {};

/// Somebody who listens to the server-sent events.
class EventListener {
 public:
  explicit EventListener(std::uint16_t port) : socket_(io_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    boost::asio::write(socket_, boost::asio::buffer(std::string_view("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")));
  }
  /// The data of the next event of that name.
  std::string next(const std::string& name) {
    const std::string begin = "event: " + name + "\ndata: ";
    read_past(begin);
    std::string data = read_past("\n\n");
    data.resize(data.size() - 2);
    return data;
  }

 private:
  std::string read_past(const std::string& end) {
    const std::size_t size = boost::asio::read_until(socket_, boost::asio::dynamic_buffer(read_), end);
    std::string text = read_.substr(0, size);
    read_.erase(0, size);
    return text;
  }

  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  std::string read_;
};

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

TEST_F(RestStatus, groups_of_all_kinds_are_counted) {
  ASSERT_EQ(post("/topics", R"({"name":"t","partitions":1})").status, 201u);
  ASSERT_EQ(post("/groups", R"({"group":"g","topics":["t"]})").status, 201u);
  ASSERT_EQ(post("/groups", R"({"group":"q","topics":["t"],"kind":"queue"})").status, 201u);
  EXPECT_EQ(get("/status").at("groups"), "2");
  ASSERT_EQ(request("DELETE", "/api/v1/groups/q").status, 204u);
  EXPECT_EQ(get("/status").at("groups"), "1");
}

TEST_F(RestStatus, a_listener_of_events_hears_of_each_group) {
  ASSERT_EQ(post("/topics", R"({"name":"t","partitions":1})").status, 201u);
  append("t", 0, {"a", "b"});
  commit("g", "t", 0, 0);
  EventListener listener(server_->port());
  EXPECT_THAT(listener.next("group"),
              testing::AllOf(HasSubstr(R"("group":"g")"), HasSubstr(R"("lag":2)"), HasSubstr(R"("verdict":"stopped")")));
  commit("g", "t", 0, 1);
  EXPECT_THAT(listener.next("group"), HasSubstr(R"("lag":1)"));
  ASSERT_EQ(request("DELETE", "/api/v1/groups/g").status, 204u);
  EXPECT_EQ(listener.next("group"), R"({"group":"g","kind":"stream","topic":null,"verdict":null})");
}

TEST_F(RestStatus, doctor_and_settings) {
  EXPECT_EQ(get("/doctor").body, "[{\"check\":\"clock\",\"result\":\"warn\",\"value\":\"1970\",\"advice\":\"set it\"}]\n");
  EXPECT_EQ(get("/config").body,
            "[{\"key\":\"shards\",\"value\":\"2\",\"source\":\"--shards\",\"default\":\"auto\",\"help\":\"threads\"}]\n");
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
