#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

using testing::HasSubstr;

class RestGroups : public RestTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(post("/topics", R"({"name":"t","partitions":2})").status, 201u);
    append("t", 0, {"a", "b", "c", "d"});
  }
};

TEST_F(RestGroups, are_made_shown_altered_and_removed) {
  const Answer made = post("/groups", R"({"group":"g","topics":["t"],"from":"earliest","settings":{"lag.objective":"5m"}})");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.at("lag"), "null");  // Nothing was committed yet.
  EXPECT_EQ(made.at("settings"), R"({"lag.objective":"5m"})");
  EXPECT_EQ(request("PATCH", "/api/v1/groups/g", R"({"settings":{"lag.objective":null}})").at("settings"), "{}");
  EXPECT_EQ(get("/groups").json().at(0).at("group"), "g");
  EXPECT_EQ(get("/groups/g").at("start"), "earliest");
  EXPECT_EQ(request("DELETE", "/api/v1/groups/g").status, 204u);
  EXPECT_EQ(get("/groups/g").status, 404u);
}

TEST_F(RestGroups, lag_is_to_the_record) {
  commit("g", "t", 0, 1);
  const boost::json::value rows = get("/groups/g/lag").json();
  ASSERT_EQ(rows.get_array().size(), 2u);
  EXPECT_EQ(rows.at(0).at("floor"), 1);
  EXPECT_EQ(rows.at(0).at("end"), 4);
  EXPECT_EQ(rows.at(0).at("lag"), 3);
  EXPECT_TRUE(rows.at(1).at("lag").is_null());
  EXPECT_EQ(get("/lag").json().get_array().size(), 2u);
  EXPECT_EQ(get("/groups/nobody/lag").status, 404u);
}

TEST_F(RestGroups, a_seek_is_a_plan_until_it_is_executed) {
  commit("g", "t", 0, 4);
  const Answer plan = post("/groups/g/seek", R"({"to":"earliest","topic":"t"})");
  ASSERT_EQ(plan.status, 200u) << plan.body;
  EXPECT_EQ(plan.at("executed"), "false");
  EXPECT_EQ(plan.json().at("rows").at(0).at("records"), -4);
  EXPECT_EQ(get("/groups/g/lag").json().at(0).at("lag"), 0);
  EXPECT_EQ(post("/groups/g/seek", R"({"to":"-1","execute":true})").at("executed"), "true");
  EXPECT_EQ(get("/groups/g/lag").json().at(0).at("lag"), 1);
  const boost::json::value history = get("/groups/g/history").json();
  EXPECT_EQ(history.at(0).at("target"), "-1");
  EXPECT_THAT(std::string(history.at(0).at("who").get_string()), HasSubstr("127.0.0.1"));
  EXPECT_EQ(post("/groups/g/undo", R"({"execute":true})").at("executed"), "true");
  EXPECT_EQ(get("/groups/g/lag").json().at(0).at("lag"), 0);
}

TEST_F(RestGroups, a_bad_target_names_the_grammar) {
  commit("g", "t", 0, 4);
  const Answer refused = post("/groups/g/seek", R"({"to":"yesterday"})");
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(refused.at("field"), "to");
  EXPECT_THAT(refused.at("rule"), HasSubstr("earliest"));
}

TEST_F(RestGroups, names_that_are_no_utf8_are_shown_and_exact) {
  commit("\xff<script>", "t", 0, 4);
  const boost::json::value list = get("/groups").json();
  EXPECT_EQ(list.at(0).at("group"), "\\xff<script>");
  EXPECT_EQ(list.at(0).at("group_base64"), "/zxzY3JpcHQ+");
  EXPECT_EQ(get("/groups/%FF%3Cscript%3E").status, 200u);
}

}  // namespace
}  // namespace tidemark::http
