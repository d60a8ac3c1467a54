#include <set>

#include "protocol/http/console_pages.h"
#include "tests/protocol/http/rest_fixture.h"
#include "tests/protocol/http/schema_check.h"

/// The server does what openapi.json says, and nothing it does not.
namespace tidemark::http {
namespace {

using testing::IsEmpty;

constexpr const char* kApi = "/api/v1";

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

class OpenApi : public RestTest {
 protected:
  OpenApi() : document_(description()) {}

  static boost::json::value description() {
    for (const EmbeddedFile& file : embedded_files()) {
      if (file.name == "openapi.json") return boost::json::parse(file.bytes);
    }
    return {};
  }
  const boost::json::object& operations() const { return document_.at("paths").get_object(); }
  const boost::json::object* operation(const std::string& method, const std::string& path) const {
    const boost::json::value* const found = operations().if_contains(path);
    if (found == nullptr) return nullptr;
    const boost::json::value* const operation = found->get_object().if_contains(lower(method));
    return operation == nullptr ? nullptr : &operation->get_object();
  }

  /// The answer has a status that is described, with the content that is described for it.
  void expect_as_described(const std::string& method, const std::string& path, const Answer& answer) {
    SCOPED_TRACE(method + " " + path + " -> " + std::to_string(answer.status) + " " + answer.body);
    called_.insert(lower(method) + " " + path);
    const boost::json::object* const described = operation(method, path);
    ASSERT_NE(described, nullptr);
    const boost::json::value* const response = described->at("responses").get_object().if_contains(std::to_string(answer.status));
    ASSERT_NE(response, nullptr) << "this status is not described";
    const boost::json::value* const content = response->get_object().if_contains("content");
    if (content == nullptr) {
      EXPECT_EQ(answer.body, "");
      return;
    }
    const auto& [type, media] = *content->get_object().begin();
    EXPECT_THAT(answer.head, testing::HasSubstr("Content-Type: " + std::string(type)));
    const boost::json::object document = document_.get_object();
    EXPECT_THAT(SchemaCheck(document).problems(media.at("schema"), answer.json()), IsEmpty());
  }
  /// `target` fills the names of `path` and adds a query.
  Answer call(const std::string& method, const std::string& path, const std::string& target, const std::string& body = {}) {
    Answer answer = request(method, kApi + target, body);
    expect_as_described(method, kApi + path, answer);
    return answer;
  }

  const boost::json::value document_;
  std::set<std::string> called_;
};

TEST_F(OpenApi, describes_every_route_and_no_other) {
  std::set<std::string> described, served;
  for (const auto& path : operations()) {
    for (const auto& method : path.value().get_object()) described.insert(std::string(method.key()) + " " + std::string(path.key()));
  }
  const Site site = pages_->site();
  for (const Router::Route& route : site.router.routes()) served.insert(lower(route.method) + " " + route.pattern);
  for (const auto& [path, page] : site.events) served.insert("get " + path);
  for (const auto& [path, page] : site.pages) {
    if (path.starts_with(kApi)) served.insert("get " + path);
  }
  EXPECT_EQ(described, served);
}

TEST_F(OpenApi, every_reference_leads_somewhere) {
  const std::string text = boost::json::serialize(document_);
  const std::string mark = "\"$ref\":\"#/components/schemas/";
  std::size_t found = 0;
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const std::size_t begin = at + mark.size();
    const std::string name = text.substr(begin, text.find('"', begin) - begin);
    EXPECT_TRUE(document_.at("components").at("schemas").get_object().contains(name)) << name;
    ++found;
  }
  EXPECT_GT(found, 50u);
}

TEST_F(OpenApi, every_call_answers_as_described) {
  call("POST", "/topics", "/topics", R"({"name":"t","partitions":2})");
  call("POST", "/topics", "/topics", R"({"name":"u","dry_run":true})");
  call("GET", "/topics", "/topics?internal=true");
  call("GET", "/topics/{topic}", "/topics/t");
  call("PATCH", "/topics/{topic}", "/topics/t", R"({"config":{"retention.ms":"1d"}})");
  call("POST", "/topics/{topic}/records", "/topics/t/records",
       R"({"records":[{"key":"k","value":"v","headers":[{"name":"h","value":null}]},{"value_base64":"/w==","partition":1}]})");
  call("GET", "/topics/{topic}/records", "/topics/t/records?from=earliest&limit=10");
  call("GET", "/topics/{topic}/records/{partition}/{offset}", "/topics/t/records/1/0");
  call("POST", "/topics/{topic}/trim", "/topics/t/trim", R"({"partition":1,"before":0})");

  call("POST", "/groups", "/groups", R"({"group":"g","topics":["t"]})");
  call("POST", "/groups", "/groups", R"({"group":"q","topics":["t"],"kind":"queue"})");
  call("GET", "/groups", "/groups");
  for (const char* const group : {"g", "q"}) {
    const std::string at = std::string("/groups/") + group;
    call("GET", "/groups/{group}", at);
    call("PATCH", "/groups/{group}", at, R"({"settings":{"lag.objective":"5m"}})");
    call("GET", "/groups/{group}/lag", at + "/lag");
    call("GET", "/groups/{group}/lag/history", at + "/lag/history?seconds=60");
    call("GET", "/groups/{group}/members", at + "/members");
    call("POST", "/groups/{group}/seek", at + "/seek", R"({"to":"latest","execute":true})");
  }
  call("GET", "/lag", "/lag");
  call("GET", "/groups/{group}/history", "/groups/g/history");
  call("POST", "/groups/{group}/undo", "/groups/g/undo");
  call("GET", "/groups/{group}/pending", "/groups/q/pending");
  call("POST", "/groups/{group}/settle", "/groups/q/settle", R"({"settlements":[{"partition":0,"offset":0}]})");
  for (const char* const verb : {"release", "kick", "purge", "pause", "resume"}) {
    call("POST", std::string("/groups/{group}/") + verb, std::string("/groups/q/") + verb);
  }
  call("GET", "/dlq", "/dlq");
  call("GET", "/dlq/{group}", "/dlq/q");
  call("POST", "/dlq/{group}/redrive", "/dlq/q/redrive");
  call("POST", "/dlq/{group}/purge", "/dlq/q/purge");

  call("POST", "/topics", "/topics", R"({"name":"u"})");
  call("POST", "/replays", "/replays", R"({"topic":"t","into":"u","dry_run":true})");
  const std::string id = call("POST", "/replays", "/replays", R"({"topic":"t","into":"u","records_per_second":1})").at("job");
  call("GET", "/replays", "/replays");
  call("GET", "/replays/{id}", "/replays/" + id);
  for (const char* const verb : {"pause", "resume", "cancel"})
    call("POST", std::string("/replays/{id}/") + verb, "/replays/" + id + "/" + verb);

  const Answer later = call("POST", "/topics/{topic}/records", "/topics/t/records",
                            R"({"records":[{"key_base64":"/w==","delay":"1h"},{"value":"b","dedup_id":"7"}]})");
  call("GET", "/schedules", "/schedules?topic=t&limit=10");
  const std::string scheduled(later.json().at("scheduled_records").at(0).at("id").get_string());
  call("DELETE", "/schedules/{id}", "/schedules/" + scheduled);

  const auto connection = table_->enter("native", "[::1]:7", Timestamp());
  connection->set_client_id("shop");
  const boost::json::value native = call("GET", "/connections", "/connections?listener=native").json();
  call("DELETE", "/connections/{id}", "/connections/" + boost::json::serialize(native.at(0).at("id")));
  for (const char* const path : {"/connections", "/config", "/status", "/doctor", "/openapi.json"}) call("GET", path, path);
  call("DELETE", "/groups/{group}", "/groups/g");
  call("DELETE", "/groups/{group}", "/groups/q");
  call("DELETE", "/topics/{topic}", "/topics/t");

  std::set<std::string> missing;
  for (const auto& path : operations()) {
    for (const auto& method : path.value().get_object()) missing.insert(std::string(method.key()) + " " + std::string(path.key()));
  }
  for (const std::string& one : called_) missing.erase(one);
  EXPECT_THAT(missing, testing::ElementsAre("get /api/v1/events"));  // A stream without end; http_server_test has it.
}

TEST_F(OpenApi, what_is_not_there_is_a_described_refusal) {
  for (const auto& path : operations()) {
    std::string target(path.key());
    if (target.find('{') == std::string::npos) continue;
    for (std::size_t open = target.find('{'); open != std::string::npos; open = target.find('{')) {
      target.replace(open, target.find('}') - open + 1, "7");
    }
    for (const auto& method : path.value().get_object()) {
      std::string name(method.key());
      for (char& c : name) c = static_cast<char>(c - 'a' + 'A');
      const bool has_body = method.value().get_object().contains("requestBody");
      const Answer answer = request(name, target, has_body ? "{}" : "");
      const bool lists_nothing = answer.status == 200;  // Dead letters and replays of nobody.
      if (!lists_nothing) EXPECT_GE(answer.status, 400u) << name << " " << target;
      EXPECT_LT(answer.status, 500u) << name << " " << target << " " << answer.body;
      expect_as_described(name, std::string(path.key()), answer);
    }
  }
}

}  // namespace
}  // namespace tidemark::http
