#include <gtest/gtest.h>

#include "tests/client/queue_fixture.h"

namespace tidemark {
namespace {

class QueueAdmins : public QueueFixture {
 protected:
  /// Every record of `topic` becomes a dead letter of `group`.
  void kill_all(Client& client, const std::string& group, const std::string& topic, std::size_t records) {
    QueueConsumer consumer = must(client.queue_consumer(of(group, topic)));
    const Messages messages = take(consumer, records);
    EXPECT_EQ(must(consumer.settle(messages, Reject{.reason = "bad"})).settled, records);
    until([&] { return counts(client, group, topic).dead == records; });
    must(consumer.close());
  }
};

TEST_F(QueueAdmins, a_group_is_made_changed_shown_and_removed) {
  create("jobs", 2);
  fill("jobs", 0, 3, 1);
  Client client(options());
  QueueAdmin queues = client.queues();
  const QueueDescription made =
      must(queues.create({.group = "g", .topic = "jobs", .start = Position::latest(), .settings = {{"ordering", "key"}}}));
  EXPECT_EQ(made.group, "g");
  EXPECT_EQ(made.topic, "jobs");
  EXPECT_EQ(made.flavor, "native");
  EXPECT_EQ(made.start, Position::latest());
  EXPECT_EQ(made.settings, (QueueSettings{{"ordering", "key"}}));
  EXPECT_EQ(made.effective.at("ack.timeout"), "30s");
  EXPECT_EQ(made.effective.at("dead.letter.topic"), "g.dlq");
  ASSERT_EQ(made.partitions.size(), 2u);
  EXPECT_EQ(made.partitions[1].cursor, Offset{3});
  EXPECT_EQ(made.lag, 0);
  EXPECT_EQ(made.verdict, "ok");

  EXPECT_EQ(queues.create({.group = "g", .topic = "jobs"}).error().code, Errc::conflict);
  EXPECT_EQ(queues.create({.group = "h", .topic = "jobs", .settings = {{"ack.timeout", "13h"}}}).error().code, Errc::invalid_config);
  EXPECT_EQ(queues.create({.group = "h", .topic = "nowhere"}).error().code, Errc::unknown_topic);
  EXPECT_EQ(queues.create({.group = "h", .topic = "jobs", .start = Position::committed()}).error().code, Errc::invalid_argument);

  const QueueDescription altered = must(queues.alter("g", "jobs", {{"ordering", ""}, {"delivery.limit", "7"}}));
  EXPECT_EQ(altered.settings, (QueueSettings{{"delivery.limit", "7"}}));
  EXPECT_EQ(altered.effective.at("ordering"), "none");
  EXPECT_EQ(queues.alter("g", "jobs", {{"delivery.limit", "many"}}).error().code, Errc::invalid_config);
  EXPECT_EQ(queues.alter("x", "jobs", {}).error().code, Errc::unknown_group);

  must(queues.create({.group = "h", .topic = "jobs"}));
  EXPECT_EQ(must(queues.list()).size(), 2u);
  EXPECT_EQ(must(queues.list("h")).at(0).lag, 3);
  must(queues.remove("g", "jobs"));
  EXPECT_EQ(queues.describe("g", "jobs").error().code, Errc::unknown_group);
}

TEST_F(QueueAdmins, queue_groups_stand_among_the_groups) {
  create("jobs");
  create("more");
  fill("jobs", 0, 3);
  Client client(options());
  must(client.groups().create({.name = "streams", .topics = {"jobs"}}));
  must(client.queues().create({.group = "work", .topic = "jobs"}));
  QueueOptions how = of("work", "jobs", 0);
  how.member = "w1";
  QueueConsumer consumer = must(client.queue_consumer(how));
  take_one(consumer);

  const std::vector<GroupDescription> all = must(client.groups().list());
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].kind, "stream");
  EXPECT_EQ(all[1].name, "work");
  EXPECT_EQ(all[1].kind, "queue");
  EXPECT_EQ(all[1].topics, Strings{"jobs"});
  EXPECT_EQ(all[1].lag, 3);
  ASSERT_EQ(all[1].members.size(), 1u);
  EXPECT_EQ(all[1].members[0].member, "w1");

  const std::vector<GroupPartitionLag> rows = must(client.groups().lag("work"));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].kind, "queue");
  EXPECT_EQ(rows[0].waiting, 2u);
  EXPECT_EQ(rows[0].in_flight, 1u);
  EXPECT_EQ(rows[0].retrying, 0u);
  EXPECT_EQ(rows[0].lag, 3);
  EXPECT_FALSE(must(client.groups().lag("streams")).at(0).waiting.has_value());
  EXPECT_EQ(must(client.groups().lag()).size(), 2u);
  EXPECT_EQ(client.groups().lag("nobody").error().code, Errc::unknown_group);

  EXPECT_EQ(must(client.groups().describe("work")).kind, "queue");
  must(client.queues().create({.group = "work", .topic = "more"}));
  EXPECT_EQ(client.groups().describe("work").error().code, Errc::conflict);
  EXPECT_EQ(client.groups().describe("nobody").error().code, Errc::unknown_group);
}

TEST_F(QueueAdmins, an_operator_finds_a_stuck_worker_and_frees_its_records) {
  create("jobs");
  fill("jobs", 0, 5);
  Client client(options());
  QueueOptions how = of("g", "jobs", 0);
  how.member = "stuck";
  QueueConsumer stuck = must(client.queue_consumer(how));
  const Messages held = take(stuck, 3);
  QueueAdmin queues = client.queues();
  const QueueDescription shown = must(queues.describe("g", "jobs"));
  ASSERT_EQ(shown.members.size(), 1u);
  EXPECT_EQ(shown.members[0].member, "stuck");
  EXPECT_TRUE(shown.members[0].connected);
  EXPECT_EQ(shown.members[0].in_flight, 3u);

  std::vector<QueuePendingRow> rows = must(queues.pending({.group = "g", .topic = "jobs", .member = "stuck"}));
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].offset, Offset{0});
  EXPECT_EQ(rows[0].state, "acquired");
  EXPECT_TRUE(rows[0].idle.has_value());
  rows = must(queues.pending({.group = "g", .topic = "jobs", .from = Offset{1}, .max = 1}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].offset, Offset{1});
  EXPECT_EQ(queues.pending({.group = "g", .topic = "jobs", .states = {"lost"}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(queues.pending({.group = "g", .topic = "jobs", .max = 10'001}).error().code, Errc::invalid_argument);
  EXPECT_EQ(queues.pending({.group = "x", .topic = "jobs"}).error().code, Errc::unknown_group);

  QueueAction release{.group = "g", .topic = "jobs", .kind = QueueAction::Kind::release, .member = "stuck", .execute = false};
  EXPECT_EQ(must(queues.act(release)), 3u);
  EXPECT_EQ(counts(client, "g", "jobs").in_flight, 3u);
  release.execute = true;
  release.offsets = {{0, Offset{2}}};
  EXPECT_EQ(must(queues.act(release)), 1u);
  release.offsets.clear();
  EXPECT_EQ(must(queues.act(release)), 2u);
  const Errc refused = stuck.settle(held[0]).error().code;
  EXPECT_TRUE(refused == Errc::lease_lost || refused == Errc::not_owner) << to_string(refused);

  const SettleReport report = must(queues.settle("g", "jobs", {{.partition = 0, .first = Offset{0}, .count = 2}, {.first = Offset{4}}}));
  EXPECT_EQ(report.settled, 2u);
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].offset, Offset{4});
  EXPECT_EQ(report.failures[0].error.code, Errc::not_delivered);
  EXPECT_EQ(queues.settle("g", "jobs", {{.first = Offset{0}, .count = 0}}).error().code, Errc::invalid_argument);
  EXPECT_EQ(queues.settle("g", "jobs", {{.first = Offset{0}, .count = 100'001}}).error().code, Errc::invalid_argument);

  EXPECT_EQ(must(queues.act({.group = "g", .topic = "jobs", .kind = QueueAction::Kind::purge})), 3u);
  EXPECT_EQ(must(queues.describe("g", "jobs")).lag, 0);
}

TEST_F(QueueAdmins, parked_and_delayed_records_are_kicked) {
  create("jobs");
  fill("jobs", 0, 2);
  Client client(options());
  QueueOptions how = of("g", "jobs", 0);
  how.settings = {{"dead.letter.topic", "none"}};
  QueueConsumer consumer = must(client.queue_consumer(how));
  const Messages messages = take(consumer, 2);
  must(consumer.settle(messages[0], Reject{.reason = "bad"}));
  must(consumer.settle(messages[1], Retry{.delay = std::chrono::hours(1)}));
  EXPECT_EQ(counts(client, "g", "jobs").parked, 1u);
  EXPECT_EQ(counts(client, "g", "jobs").delayed, 1u);
  EXPECT_EQ(must(client.queues().act({.group = "g", .topic = "jobs", .kind = QueueAction::Kind::kick})), 2u);
  EXPECT_EQ(sorted(values(take(consumer, 2))), numbers(0, 2));
}

TEST_F(QueueAdmins, a_group_is_moved_when_nobody_is_there) {
  create("jobs");
  fill("jobs", 0, 10);
  Client client(options());
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  must(consumer.settle(take(consumer, 10)));
  const GroupSeek back{.group = "g", .topic = "jobs", .to = Position::at(7), .execute = true};
  EXPECT_EQ(client.queues().seek(back).error().code, Errc::conflict);
  must(consumer.close());
  EXPECT_EQ(client.queues().seek({.group = "g", .to = Position::earliest()}).error().code, Errc::invalid_argument);
  const GroupSeekPlan plan = must(client.queues().seek(back));
  EXPECT_TRUE(plan.executed);
  ASSERT_EQ(plan.rows.size(), 1u);
  EXPECT_EQ(plan.rows[0].to, Offset{7});
  QueueConsumer again = must(client.queue_consumer(of("g", "jobs")));
  EXPECT_EQ(values(take(again, 3)), numbers(7, 10));
}

TEST_F(QueueAdmins, dead_letters_are_shown_redriven_published_and_purged) {
  create("jobs");
  create("rejects");
  fill("jobs", 0, 5);
  Client client(options());
  kill_all(client, "g", "jobs", 5);
  QueueAdmin queues = client.queues();
  const std::vector<DeadLetterSummary> summaries = must(queues.dead_letters());
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].group, "g");
  EXPECT_EQ(summaries[0].letters_topic, "g.dlq");
  EXPECT_EQ(summaries[0].letters, 5u);
  EXPECT_EQ(summaries[0].reasons, (std::vector<std::pair<std::string, std::uint64_t>>{{"bad", 5}}));
  EXPECT_EQ(must(queues.show_dead_letters("g", 2)).size(), 2u);
  EXPECT_EQ(queues.show_dead_letters("g", 10'001).error().code, Errc::invalid_argument);

  const RedriveReport counted = must(queues.redrive({.group = "g", .match = "value != \"3\"", .dry_run = true}));
  EXPECT_EQ(counted.matched, 4u);
  EXPECT_EQ(counted.skipped, 1u);
  EXPECT_EQ(counted.redriven, 0u);
  EXPECT_EQ(queues.redrive({.group = "g", .match = "value ="}).error().code, Errc::invalid_argument);
  EXPECT_EQ(queues.redrive({.group = "g", .records_per_second = -1}).error().code, Errc::invalid_argument);
  EXPECT_EQ(queues.redrive({.group = "g", .to = "g.dlq"}).error().code, Errc::invalid_argument);

  EXPECT_EQ(must(queues.redrive({.group = "g", .max = 2})).redriven, 2u);
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  const Messages again = take(consumer, 2);
  EXPECT_EQ(values(again), numbers(0, 2));
  EXPECT_EQ(must(consumer.settle(again)).settled, 2u);
  EXPECT_EQ(must(queues.redrive({.group = "g", .max = 1, .to = "rejects"})).redriven, 1u);
  EXPECT_EQ(contents("rejects")[0], numbers(2, 3));
  EXPECT_EQ(must(queues.purge_dead_letters("g")), 2u);
  EXPECT_EQ(must(queues.redrive({.group = "g"})).matched, 0u);
}

TEST_F(QueueAdmins, letters_whose_record_is_gone_do_not_hold_up_the_others) {
  create("jobs");
  fill("jobs", 0, 30);
  Client client(options());
  kill_all(client, "g", "jobs", 30);
  EXPECT_EQ(must(client.admin().trim("jobs", 0, Offset{10})), Offset{10});
  // In bites of five, two of which meet nothing but letters that stay.
  const RedriveReport report = must(client.queues().redrive({.group = "g", .records_per_second = 100}));
  EXPECT_EQ(report.matched, 30u);
  EXPECT_EQ(report.redriven, 20u);
  EXPECT_EQ(report.gone, 10u);
  QueueConsumer consumer = must(client.queue_consumer(of("g", "jobs")));
  EXPECT_EQ(sorted(values(take(consumer, 20))), numbers(10, 30));
}

}  // namespace
}  // namespace tidemark
