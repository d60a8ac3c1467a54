#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

using testing::HasSubstr;

class RestTopics : public RestTest {};

TEST_F(RestTopics, are_made_shown_and_listed) {
  const Answer made = post("/topics", R"({"name":"orders","partitions":3,"config":{"retention.ms":"1d","flush.ms":null}})");
  ASSERT_EQ(made.status, 201u) << made.body;
  append("orders", 1, {"a", "b"});
  commit("billing", "orders", 1, 1);
  const Answer shown = get("/topics/orders");
  ASSERT_EQ(shown.status, 200u);
  EXPECT_EQ(shown.at("records"), "2");
  EXPECT_EQ(shown.at("config"), R"({"retention.ms":"86400000"})");
  EXPECT_EQ(shown.at("groups"), R"(["billing"])");
  const boost::json::value json = shown.json();
  const boost::json::object& second = json.at("partition_list").at(1).get_object();
  EXPECT_EQ(second.at("partition"), 1);
  EXPECT_EQ(second.at("end"), 2);
  EXPECT_EQ(second.at("state"), "online");
  const boost::json::value list = get("/topics").json();
  ASSERT_EQ(list.get_array().size(), 1u);
  EXPECT_EQ(list.at(0).at("name"), "orders");
  EXPECT_EQ(list.at(0).at("groups").at(0), "billing");
}

TEST_F(RestTopics, a_dry_run_makes_nothing) {
  EXPECT_EQ(post("/topics", R"({"name":"t","partitions":7,"dry_run":true})").at("partitions"), "7");
  EXPECT_EQ(get("/topics/t").status, 404u);
}

TEST_F(RestTopics, are_altered_grown_and_removed) {
  ASSERT_EQ(post("/topics", R"({"name":"a/b"})").status, 201u);
  const Answer altered = request("PATCH", "/api/v1/topics/a%2Fb", R"({"config":{"retention.ms":60000},"partitions":6})");
  ASSERT_EQ(altered.status, 200u) << altered.body;
  EXPECT_EQ(altered.at("partitions"), "6");
  EXPECT_EQ(altered.at("config"), R"({"retention.ms":"60000"})");
  EXPECT_EQ(request("DELETE", "/api/v1/topics/a%2Fb").status, 204u);
  EXPECT_EQ(get("/topics/a%2Fb").status, 404u);
}

TEST_F(RestTopics, are_trimmed) {
  ASSERT_EQ(post("/topics", R"({"name":"t","partitions":1})").status, 201u);
  append("t", 0, {"a", "b", "c"});
  EXPECT_EQ(post("/topics/t/trim", R"({"partition":0,"before":2})").at("log_start"), "2");
  EXPECT_EQ(post("/topics/t/trim", R"({"partition":9,"before":2})").status, 404u);
  EXPECT_EQ(post("/topics/t/trim", R"({"partition":0})").at("field"), "before");
}

struct Refusal {
  const char* name;
  const char* body;
  unsigned status;
  const char* code;
  const char* field;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RestTopicRefusals : public RestTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RestTopicRefusals, name_the_field) {
  const Answer refused = post("/topics", GetParam().body);
  EXPECT_EQ(refused.status, GetParam().status) << refused.body;
  EXPECT_THAT(refused.head, HasSubstr("Content-Type: application/problem+json"));
  EXPECT_EQ(refused.at("code"), GetParam().code);
  if (GetParam().field != nullptr) EXPECT_EQ(refused.at("field"), GetParam().field);
}
INSTANTIATE_TEST_SUITE_P(, RestTopicRefusals,
                         testing::Values(Refusal{"no_json", "{", 400, "invalid_argument", nullptr},
                                         Refusal{"no_object", "[1]", 400, "invalid_argument", nullptr},
                                         Refusal{"no_name", R"({"partitions":1})", 400, "invalid_argument", "name"},
                                         Refusal{"bad_name", R"({"name":".."})", 400, "invalid_topic_name", nullptr},
                                         Refusal{"number_as_name", R"({"name":7})", 400, "invalid_argument", "name"},
                                         Refusal{"partitions", R"({"name":"t","partitions":0})", 400, "invalid_argument", "partitions"},
                                         Refusal{"fraction", R"({"name":"t","partitions":1.5})", 400, "invalid_argument", "partitions"},
                                         Refusal{"config_list", R"({"name":"t","config":[]})", 400, "invalid_argument", "config"},
                                         Refusal{"config_key", R"({"name":"t","config":{"retention":"1"}})", 400, "invalid_config",
                                                 nullptr},
                                         Refusal{"misspelt", R"({"name":"t","partition":1})", 400, "invalid_argument", "partition"}),
                         [](const auto& info) { return info.param.name; });

TEST_F(RestTopics, refuses_bodies_of_another_type_and_existing_names) {
  EXPECT_EQ(request("POST", "/api/v1/topics", R"({"name":"t"})", "text/plain").status, 415u);
  ASSERT_EQ(post("/topics", R"({"name":"t"})").status, 201u);
  const Answer again = post("/topics", R"({"name":"t"})");
  EXPECT_EQ(again.status, 409u);
  EXPECT_EQ(again.at("code"), "topic_exists");
}

TEST_F(RestTopics, an_unknown_one_is_404_with_a_suggestion) {
  ASSERT_EQ(post("/topics", R"({"name":"orders"})").status, 201u);
  const Answer refused = get("/topics/oders");
  EXPECT_EQ(refused.status, 404u);
  EXPECT_EQ(refused.at("code"), "unknown_topic");
  EXPECT_THAT(refused.at("detail"), HasSubstr("orders"));
}

}  // namespace
}  // namespace tidemark::http
