#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RestRecords : public RestTest {
 protected:
  void SetUp() override { ASSERT_EQ(post("/topics", R"({"name":"t","partitions":2})").status, 201u); }

  static std::vector<std::string> values(const boost::json::value& answer) {
    std::vector<std::string> all;
    for (const boost::json::value& record : answer.at("records").get_array()) all.emplace_back(record.at("value").get_string());
    return all;
  }
};

TEST_F(RestRecords, are_produced_and_read_back_to_the_byte) {
  const Answer produced = post("/topics/t/records", R"({"records":[
      {"key":"k","value":"<script>","headers":[{"name":"type","value":"a"},{"name":"none","value":null}],"timestamp_ms":1000,"partition":1},
      {"value_base64":"/wA=","partition":1,"timestamp_ms":2000},
      {"key":null,"value":null,"partition":1,"timestamp_ms":3000}]})");
  ASSERT_EQ(produced.status, 201u) << produced.body;
  EXPECT_EQ(produced.at("records"), "3");
  EXPECT_EQ(produced.at("partitions"), R"([{"partition":1,"first":0,"last":2}])");
  EXPECT_EQ(produced.at("durability"), "fsync");
  const boost::json::value read = get("/topics/t/records?partition=1").json();
  const boost::json::array& records = read.at("records").get_array();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].at("key"), "k");
  EXPECT_EQ(records[0].at("value"), "<script>");
  EXPECT_EQ(records[0].at("time"), "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(boost::json::serialize(records[0].at("headers")), R"([{"name":"type","value":"a"},{"name":"none","value":null}])");
  EXPECT_EQ(records[1].at("value_base64"), "/wA=");
  EXPECT_TRUE(records[2].at("key").is_null());
  EXPECT_TRUE(records[2].at("value").is_null());
  EXPECT_EQ(boost::json::serialize(read.at("next")), R"([{"partition":1,"next":3,"end":3}])");
}

TEST_F(RestRecords, a_key_goes_where_it_always_goes) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post("/topics/t/records", R"({"records":[{"key":"customer-7","value":"x"}]})").status, 201u);
  std::set<std::int64_t> partitions;
  const boost::json::value read = get("/topics/t/records").json();
  for (const boost::json::value& record : read.at("records").get_array()) {
    partitions.insert(record.at("partition").get_int64());
  }
  EXPECT_EQ(partitions.size(), 1u);
}

TEST_F(RestRecords, come_in_order_of_time_and_say_where_to_read_on) {
  for (int i = 0; i < 6; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_EQ(post("/topics/t/records", R"({"records":[{"value":")" + number + R"(","partition":)" + std::to_string(i % 2) +
                                            R"(,"timestamp_ms":)" + number + "}]}")
                  .status,
              201u);
  }
  const boost::json::value first = get("/topics/t/records?limit=3").json();
  EXPECT_THAT(values(first), ElementsAre("0", "1", "2"));
  EXPECT_EQ(boost::json::serialize(first.at("next")), R"([{"partition":0,"next":2,"end":3},{"partition":1,"next":1,"end":3}])");
  EXPECT_THAT(values(get("/topics/t/records?from=-2&limit=3").json()), ElementsAre("3", "4", "5"));
  EXPECT_THAT(values(get("/topics/t/records?from=1&to=2").json()), ElementsAre("2", "3"));
  EXPECT_THAT(values(get("/topics/t/records?from=%2B2").json()), ElementsAre("4", "5"));
  EXPECT_THAT(values(get("/topics/t/records?filter=value%20%3D%20%224%22").json()), ElementsAre("4"));
  EXPECT_THAT(values(get("/topics/t/records?from=latest").json()), testing::IsEmpty());
}

TEST_F(RestRecords, one_is_found_by_its_place) {
  append("t", 1, {"a", "b"});
  EXPECT_EQ(get("/topics/t/records/1/1").at("value"), "b");
  EXPECT_EQ(get("/topics/t/records/1/2").status, 404u);
  EXPECT_EQ(get("/topics/t/records/9/0").status, 404u);
  EXPECT_EQ(get("/topics/t/records/x/0").status, 400u);
  EXPECT_EQ(get("/topics/nothing/records/0/0").status, 404u);
}

TEST_F(RestRecords, what_is_wrong_is_named) {
  EXPECT_EQ(get("/topics/t/records?limit=0").status, 400u);
  EXPECT_EQ(get("/topics/t/records?form=earliest").status, 400u);
  EXPECT_THAT(get("/topics/t/records?filter=value%20%3D").at("detail"), HasSubstr("column"));
  EXPECT_EQ(post("/topics/t/records", R"({"records":[]})").at("field"), "records");
  EXPECT_EQ(post("/topics/t/records", R"({"records":[{"value":"a"},{"value":7}]})").at("field"), "records[1].value");
  EXPECT_EQ(post("/topics/t/records", R"({"records":[{"partition":2}]})").at("field"), "records[0].partition");
  EXPECT_EQ(post("/topics/t/records", R"({"records":[{"value":"a","value_base64":"YQ=="}]})").at("field"), "records[0].value");
  EXPECT_EQ(post("/topics/nothing/records", R"({"records":[{"value":"a"}]})").status, 404u);
}

}  // namespace
}  // namespace tidemark::http
