#include "broker/queues/queues.h"
#include "tests/protocol/http/rest_fixture.h"

namespace tidemark::http {
namespace {

class RestQueues : public RestTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(post("/topics", R"({"name":"jobs","partitions":1})").status, 201u);
    append("jobs", 0, {"a", "b", "c", "d"});
    const Answer made =
        post("/groups", R"({"group":"workers","kind":"queue","topics":["jobs"],"settings":{"delivery.limit":1,"backoff":"none"}})");
    ASSERT_EQ(made.status, 201u) << made.body;
  }
  /// How many of the records a member is given.
  std::int64_t receive(std::size_t records) {
    broker::ReceiveRequest request;
    request.name = {"workers", "jobs"};
    request.member = "w1";
    request.records_max = records;
    const auto received = on_broker<broker::ReceiveReply>([request](broker::Broker& broker, broker::Done<broker::ReceiveReply> done) {
      broker.queues().receive({}, request, std::move(done));
    });
    EXPECT_TRUE(received) << received.error().to_string();
    std::int64_t count = 0;
    if (!received) return count;
    for (const broker::ReceivedPartition& partition : received->partitions) {
      for (const broker::TakenRun& run : partition.runs) count += run.offsets.count;
    }
    return count;
  }
};

TEST_F(RestQueues, are_shown_with_their_counts) {
  EXPECT_EQ(receive(3), 3);
  const Answer shown = get("/groups/workers");
  ASSERT_EQ(shown.status, 200u) << shown.body;
  EXPECT_EQ(shown.at("kind"), "queue");
  EXPECT_EQ(shown.at("waiting"), "1");
  EXPECT_EQ(shown.at("in_flight"), "3");
  EXPECT_EQ(shown.at("lag"), "4");
  const boost::json::value rows = get("/groups/workers/lag").json();
  EXPECT_EQ(rows.at(0).at("kind"), "queue");
  EXPECT_EQ(rows.at(0).at("in_flight"), 3);
  EXPECT_EQ(get("/groups/workers/members").json().at(0).at("in_flight"), 3);
  EXPECT_EQ(get("/groups").json().get_array().size(), 1u);
}

TEST_F(RestQueues, pending_records_are_settled_by_an_operator) {
  EXPECT_EQ(receive(2), 2);
  const boost::json::value pending = get("/groups/workers/pending").json();
  ASSERT_EQ(pending.get_array().size(), 2u);
  EXPECT_EQ(pending.at(0).at("id"), "jobs:0:0");
  EXPECT_EQ(pending.at(0).at("member"), "w1");
  const Answer settled = post("/groups/workers/settle", R"({"settlements":[{"partition":0,"offset":0,"count":2}]})");
  ASSERT_EQ(settled.status, 200u) << settled.body;
  EXPECT_EQ(settled.at("settled"), "2");
  EXPECT_EQ(get("/groups/workers").at("lag"), "2");
}

TEST_F(RestQueues, actions_count_until_they_are_executed) {
  EXPECT_EQ(receive(2), 2);
  EXPECT_EQ(post("/groups/workers/release", R"({"member":"w1"})").body, "{\"records\":2,\"executed\":false}\n");
  EXPECT_EQ(get("/groups/workers").at("in_flight"), "2");
  EXPECT_EQ(post("/groups/workers/release", R"({"member":"w1","execute":true})").at("records"), "2");
  EXPECT_EQ(get("/groups/workers").at("in_flight"), "0");
  EXPECT_EQ(post("/groups/workers/purge", R"({"execute":true})").at("executed"), "true");
  EXPECT_EQ(get("/groups/workers").at("lag"), "0");
}

TEST_F(RestQueues, are_paused_and_resumed) {
  EXPECT_EQ(post("/groups/workers/pause", R"({"until":"30m"})").at("paused"), "true");
  EXPECT_EQ(receive(2), 0);
  EXPECT_EQ(get("/groups/workers/lag").json().at(0).at("verdict"), "paused");
  EXPECT_EQ(post("/groups/workers/pause", R"({"until":"whenever"})").at("field"), "until");
  EXPECT_EQ(post("/groups/workers/resume", "{}").at("paused"), "false");
  EXPECT_EQ(receive(2), 2);
}

TEST_F(RestQueues, dead_letters_are_shown_and_given_back) {
  EXPECT_EQ(receive(1), 1);
  ASSERT_EQ(
      post("/groups/workers/settle", R"({"settlements":[{"partition":0,"offset":0,"kind":"reject","reason":"<b>bad</b>"}]})").at("settled"),
      "1");
  // The move to the dead letters goes on after the answer and takes some flushes: each look waits for one, too, however slow the disk is.
  ASSERT_EQ(post("/topics", R"({"name":"ticks","partitions":1})").status, 201u);
  boost::json::value summaries;
  for (int i = 0; i < 1000; ++i) {
    append("ticks", 0, {"tick"});
    summaries = get("/dlq").json();
    if (!summaries.get_array().empty() && summaries.at(0).at("letters") == 1) break;
  }
  ASSERT_EQ(summaries.get_array().size(), 1u);
  EXPECT_EQ(summaries.at(0).at("reasons").at(0).at("reason"), "<b>bad</b>");
  const boost::json::value letters = get("/dlq/workers").json();
  EXPECT_EQ(letters.at(0).at("value"), "a");
  EXPECT_EQ(letters.at(0).at("source").at("topic"), "jobs");
  EXPECT_EQ(post("/dlq/workers/redrive", "{}").at("matched"), "1");
  EXPECT_EQ(post("/dlq/workers/redrive", R"({"execute":true})").at("redriven"), "1");
}

TEST_F(RestQueues, a_name_of_both_kinds_is_told_apart) {
  ASSERT_EQ(post("/groups", R"({"group":"workers","topics":["jobs"]})").status, 201u);
  EXPECT_EQ(get("/groups/workers").at("kind"), "stream");
  EXPECT_EQ(get("/groups/workers?kind=queue").at("kind"), "queue");
  EXPECT_EQ(get("/groups/workers?topic=jobs").at("kind"), "queue");
  EXPECT_EQ(get("/groups/workers?kind=both").status, 400u);
  const std::string page = request("GET", "/metrics").body;
  EXPECT_THAT(page, testing::HasSubstr("tidemark_group_lag_records{group=\"workers\",topic=\"jobs\",kind=\"queue\"} 4"));
}

TEST_F(RestQueues, stream_groups_refuse_what_is_for_queues) {
  ASSERT_EQ(post("/groups", R"({"group":"readers","topics":["jobs"]})").status, 201u);
  const Answer refused = post("/groups/readers/pause", "{}");
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(refused.at("field"), "group");
}

}  // namespace
}  // namespace tidemark::http
