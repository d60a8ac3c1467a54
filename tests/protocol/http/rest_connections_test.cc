#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

class RestConnections : public RestTest {
 protected:
  /// As a listener of another protocol enters one.
  std::shared_ptr<net::ConnectionTable::Entry> enter(const std::string& listener, const std::string& client_id) {
    auto entry = table_->enter(listener, "192.0.2.7:50188", Timestamp(std::chrono::milliseconds(1000)));
    entry->set_client_id(client_id);
    return entry;
  }
};

TEST_F(RestConnections, are_listed_with_who_they_are) {
  const auto entry = enter("kafka", "billing\xff");
  const boost::json::value list = get("/connections?listener=kafka").json();
  ASSERT_EQ(list.get_array().size(), 1u);
  const boost::json::value& row = list.at(0);
  EXPECT_EQ(row.at("id"), 1);
  EXPECT_EQ(row.at("peer"), "192.0.2.7:50188");
  EXPECT_EQ(row.at("client_id"), "billing\\xff");
  EXPECT_EQ(row.at("client_id_base64"), "YmlsbGluZ/8=");
  EXPECT_EQ(row.at("opened_time"), "1970-01-01T00:00:01.000Z");
}

TEST_F(RestConnections, come_in_pages_by_id) {
  const auto first = enter("native", "a"), second = enter("native", "b");
  EXPECT_EQ(get("/connections?limit=1").json().at(0).at("id"), 1);
  EXPECT_EQ(get("/connections?limit=1&after=1").json().at(0).at("id"), 2);
  EXPECT_EQ(get("/connections?listener=redis").body, "[]\n");
  EXPECT_EQ(get("/connections?limit=1001").status, 400u);
  EXPECT_EQ(get("/connections?after=-1").status, 400u);
}

TEST_F(RestConnections, one_is_asked_to_end_once) {
  const auto entry = enter("redis", "");
  int asked = 0;
  entry->set_end([&asked] { ++asked; });
  EXPECT_EQ(request("DELETE", "/api/v1/connections/1").status, 204u);
  EXPECT_EQ(request("DELETE", "/api/v1/connections/1").status, 204u);  // It is on its way.
  EXPECT_EQ(asked, 1);
}

TEST_F(RestConnections, those_of_this_server_end_too) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket idle(io);
  idle.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
  const boost::json::value first = get("/connections?listener=http&limit=1").json().at(0);
  EXPECT_EQ(first.at("peer").get_string(), "127.0.0.1:" + std::to_string(idle.local_endpoint().port()));
  EXPECT_EQ(request("DELETE", "/api/v1/connections/" + boost::json::serialize(first.at("id"))).status, 204u);
  std::array<char, 1> byte{};
  boost::system::error_code end;
  EXPECT_EQ(idle.read_some(asio::buffer(byte), end), 0u);
  EXPECT_TRUE(end);
}

TEST_F(RestConnections, an_unknown_one_is_404) {
  for (const char* const id : {"4711", "0", "x", "-1", "99999999999999999999999"}) {
    const Answer refused = request("DELETE", std::string("/api/v1/connections/") + id);
    EXPECT_EQ(refused.status, 404u) << id;
    EXPECT_EQ(refused.at("code"), "not_found") << id;
  }
}

}  // namespace
}  // namespace tidemark::http
