#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

using testing::ElementsAre;

class RestSchedules : public RestTest {
 protected:
  void SetUp() override { ASSERT_EQ(post("/topics", R"({"name":"t","partitions":1})").status, 201u); }

  /// Produces one record; answers the id it waits under.
  std::string schedule(const std::string& record) {
    const Answer produced = post("/topics/t/records", R"({"records":[)" + record + "]}");
    EXPECT_EQ(produced.status, 201u) << produced.body;
    EXPECT_EQ(produced.at("scheduled"), "1");
    EXPECT_EQ(produced.at("partitions"), "[]");
    return std::string(produced.json().at("scheduled_records").at(0).at("id").get_string());
  }
  std::vector<std::string> ids(const std::string& query = {}) const {
    std::vector<std::string> all;
    const boost::json::value page = get("/schedules" + query).json();
    for (const boost::json::value& record : page.at("records").get_array()) all.emplace_back(record.at("id").get_string());
    return all;
  }
};

TEST_F(RestSchedules, are_listed_by_due_time_with_key_and_size) {
  const std::string later = schedule(R"({"key":"k","value":"later","headers":[{"name":"h","value":"v"}],"delay":"1h"})");
  const std::string sooner = schedule(R"({"value":"sooner","delay":1800})");
  const boost::json::value page = get("/schedules").json();
  EXPECT_THAT(ids(), ElementsAre(sooner, later));
  EXPECT_TRUE(page.at("next").is_null());
  EXPECT_EQ(page.at("waiting"), 2);
  EXPECT_EQ(page.at("failed"), 0);
  const boost::json::value& record = page.at("records").at(1);
  EXPECT_EQ(record.at("topic"), "t");
  EXPECT_EQ(record.at("partition"), 0);
  EXPECT_EQ(record.at("state"), "waiting");
  EXPECT_EQ(record.at("key"), "k");
  EXPECT_EQ(record.at("bytes"), 8);
  EXPECT_TRUE(page.at("records").at(0).at("key").is_null());
  EXPECT_GT(record.at("due_ms").get_int64(), page.at("records").at(0).at("due_ms").get_int64());
}

TEST_F(RestSchedules, come_in_pages) {
  const std::string first = schedule(R"({"delay":"1h"})"), second = schedule(R"({"delay":"2h"})"), third = schedule(R"({"delay":"3h"})");
  const Answer page = get("/schedules?limit=2");
  EXPECT_THAT(ids("?limit=2"), ElementsAre(first, second));
  EXPECT_THAT(ids("?limit=2&page=" + page.at("next")), ElementsAre(third));
  EXPECT_THAT(ids("?topic=other"), testing::IsEmpty());
  EXPECT_EQ(get("/schedules?limit=1001").status, 400u);
  EXPECT_EQ(get("/schedules?page=nonsense").status, 400u);
  EXPECT_EQ(get("/schedules?topics=t").status, 400u);
}

TEST_F(RestSchedules, a_cancelled_one_is_gone) {
  const std::string id = schedule(R"({"value":"x","deliver_at":"2031-03-01T10:00Z"})");
  const Answer cancelled = request("DELETE", "/api/v1/schedules/" + id);
  EXPECT_EQ(cancelled.status, 200u);
  EXPECT_EQ(cancelled.at("id"), id);
  EXPECT_EQ(cancelled.at("due_time"), "2031-03-01T10:00:00.000Z");
  EXPECT_THAT(ids(), testing::IsEmpty());
  EXPECT_EQ(request("DELETE", "/api/v1/schedules/" + id).status, 404u);
  EXPECT_EQ(request("DELETE", "/api/v1/schedules/nonsense").at("code"), "not_found");
}

TEST_F(RestSchedules, a_request_may_hold_records_for_now_and_for_later) {
  const Answer produced = post("/topics/t/records", R"({"records":[{"value":"later","delay":"1h"},{"value":"now"},{"value":"too"}]})");
  ASSERT_EQ(produced.status, 201u) << produced.body;
  EXPECT_EQ(produced.at("records"), "3");
  EXPECT_EQ(produced.json().at("scheduled_records").at(0).at("record"), 0);
  const boost::json::value place = produced.json().at("partitions").at(0);
  EXPECT_EQ(get("/topics/t/records/0/" + std::to_string(place.at("first").get_int64())).at("value"), "now");
  EXPECT_EQ(get("/topics/t/records/0/" + std::to_string(place.at("last").get_int64())).at("value"), "too");
}

TEST_F(RestSchedules, a_dedup_id_is_stored_once) {
  const std::string body = R"({"records":[{"value":"a","dedup_id":"order-7"}]})";
  EXPECT_EQ(post("/topics/t/records", body).at("duplicates"), "0");
  const Answer again = post("/topics/t/records", body);
  EXPECT_EQ(again.at("duplicates"), "1");
  EXPECT_EQ(again.at("partitions"), "[]");
  EXPECT_EQ(get("/topics/t/records").json().at("records").get_array().size(), 1u);
}

TEST_F(RestSchedules, what_is_wrong_is_named) {
  const auto field = [this](const std::string& record) { return post("/topics/t/records", R"({"records":[)" + record + "]}").at("field"); };
  EXPECT_EQ(field(R"({"delay":"soon"})"), "records[0].delay");
  EXPECT_EQ(field(R"({"delay":"11y"})"), "records[0].delay");
  EXPECT_EQ(field(R"({"delay":"600w"})"), "records[0].delay");
  EXPECT_EQ(field(R"({"delay":"1h","deliver_at":"2031-03-01T10:00Z"})"), "records[0].delay");
  EXPECT_EQ(field(R"({"deliver_at":"1999-03-01T10:00Z"})"), "records[0].deliver_at");
  EXPECT_EQ(field(R"({"dedup_id":""})"), "records[0].dedup_id");
  EXPECT_EQ(field(R"({"dedup_id":")" + std::string(257, 'x') + "\"}"), "records[0].dedup_id");
}

}  // namespace
}  // namespace tidemark::http
