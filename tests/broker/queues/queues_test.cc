#include "broker/queues/queues.h"

#include <algorithm>

#include "tests/broker/queues/queues_fixture.h"

/// Queue groups over a whole engine: handing out, settling, waiting, dying, coming back.
namespace tidemark::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const QueueName kWork{"work", "t"};

TEST_F(QueuesTest, records_go_to_one_member_each_and_acks_last) {
  make("t", {"a", "b", "c"});
  ASSERT_TRUE(queues().create(kWork));
  const std::vector<Got> first = queues().got(kWork, "m1", 2);
  EXPECT_THAT(first, ElementsAre(Got{0, 0, "a", 1}, Got{0, 1, "b", 1}));
  const std::vector<Got> second = queues().got(kWork, "m2", 2);
  EXPECT_THAT(second, ElementsAre(Got{0, 2, "c", 1}));
  EXPECT_EQ(queues().ack(kWork, "m1", first[0]), "ok");
  EXPECT_EQ(queues().ack(kWork, "m2", second[0]), "ok");
  power_fails();
  const QueueCounts counts = queues().counts(kWork);
  EXPECT_EQ(counts.done, 2u);
  EXPECT_EQ(counts.in_flight + counts.waiting + counts.retrying, 1u);
  // The one that was not settled is still m1's, whose lease begins anew.
  passes(31s);
  EXPECT_THAT(queues().got(kWork, "m3"), SizeIs(1));
}

TEST_F(QueuesTest, wrong_settlements_are_told_apart_and_change_nothing) {
  make("t", {"a", "b", "c"});
  ASSERT_TRUE(queues().create(kWork, {{"backoff", "none"}}));
  const std::vector<Got> got = queues().got(kWork, "m1", 2);
  ASSERT_THAT(got, SizeIs(2));
  EXPECT_EQ(queues().ack(kWork, "m1", {0, 2, "", 1}), "not_delivered");
  EXPECT_EQ(queues().ack(kWork, "m2", got[0]), "not_owner");
  EXPECT_EQ(queues().ack(kWork, "m1", {7, 0, "", 1}), "unknown_partition");
  EXPECT_EQ(queues().ack(kWork, "m1", got[0]), "ok");
  EXPECT_EQ(queues().ack(kWork, "m1", got[0]), "already_settled");
  passes(31s);  // The lease of the other is over.
  EXPECT_EQ(queues().ack(kWork, "m1", got[1]), "lease_lost");
  EXPECT_EQ(queues().ack({"nobody", "t"}, "m1", got[1]), "unknown_group");
  EXPECT_EQ(queues().ack({"work", "nowhere"}, "m1", got[1]), "unknown_topic");
  const QueueCounts counts = queues().counts(kWork);
  EXPECT_EQ(counts.done, 1u);
  EXPECT_EQ(counts.timed_out, 1u);
}

TEST_F(QueuesTest, a_waiting_member_gets_what_comes_and_only_one_does) {
  make("t", {}, 4);
  ASSERT_TRUE(queues().create(kWork));
  std::vector<std::shared_ptr<std::optional<Result<ReceiveReply>>>> waiting;
  for (const std::string member : {"m1", "m2", "m3"}) {
    waiting.push_back(queues().start<ReceiveReply>(
        [member](Queues& all, Done<ReceiveReply> done) { all.receive({}, QueueCalls::wants(kWork, member, 10, 60s), std::move(done)); }));
  }
  engine().runtime().run();
  for (const auto& one : waiting) EXPECT_FALSE(one->has_value());
  ASSERT_TRUE(engine().append("t", 3, {"x"}));
  engine().runtime().run();
  std::size_t answered = 0;
  for (const auto& one : waiting) {
    if (!one->has_value()) continue;
    ++answered;
    EXPECT_THAT(QueueCalls::records(***one), ElementsAre(Got{3, 0, "x", 1}));
  }
  EXPECT_EQ(answered, 1u);
  ASSERT_TRUE(engine().append("t", 0, {"y"}));
  ASSERT_TRUE(engine().append("t", 1, {"z"}));
  engine().runtime().run();
  // One of the two that still wait may have taken both.
  std::vector<std::string> values;
  for (const auto& one : waiting) {
    if (!one->has_value()) continue;
    for (const Got& got : QueueCalls::records(***one)) values.push_back(got.value);
  }
  EXPECT_THAT(values, testing::UnorderedElementsAre("x", "y", "z"));
}

TEST_F(QueuesTest, waiting_ends_in_time_and_when_the_broker_stops) {
  make("t", {});
  ASSERT_TRUE(queues().create(kWork));
  const auto wait = [&](std::chrono::milliseconds time) {
    return queues().start<ReceiveReply>(
        [time](Queues& all, Done<ReceiveReply> done) { all.receive({}, QueueCalls::wants(kWork, "m", 1, time), std::move(done)); });
  };
  const auto short_wait = wait(2s);
  const auto long_wait = wait(1h);
  passes(3s);
  ASSERT_TRUE(short_wait->has_value());
  ASSERT_TRUE(**short_wait);
  EXPECT_THAT((**short_wait)->partitions, IsEmpty());
  EXPECT_FALSE(long_wait->has_value());
  ASSERT_TRUE(engine().stop());
  ASSERT_TRUE(long_wait->has_value());
  EXPECT_EQ((**long_wait).error().code, Errc::shutting_down);
}

TEST_F(QueuesTest, a_retry_wakes_who_waits_when_its_delay_is_over) {
  make("t", {"a"});
  ASSERT_TRUE(queues().create(kWork));
  const std::vector<Got> got = queues().got(kWork, "m1");
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(queues().settle_one(kWork, "m1", got[0], Settlement::Kind::retry, 5s, "not now"), "ok");
  EXPECT_EQ(queues().counts(kWork).delayed, 1u);
  const auto waiting = queues().start<ReceiveReply>(
      [](Queues& all, Done<ReceiveReply> done) { all.receive({}, QueueCalls::wants(kWork, "m2", 1, 60s), std::move(done)); });
  passes(4s);
  EXPECT_FALSE(waiting->has_value());
  passes(2s);
  ASSERT_TRUE(waiting->has_value());
  EXPECT_THAT(QueueCalls::records(***waiting), ElementsAre(Got{0, 0, "a", 2}));
}

TEST_F(QueuesTest, members_that_vanish_give_back_what_they_had) {
  make("t", {"a", "b"}, 2);
  ASSERT_TRUE(queues().create(kWork));
  ASSERT_THAT(queues().got(kWork, "m1"), SizeIs(2));
  ASSERT_TRUE(queues().leave(kWork, "m1", true));
  const auto rows = queues().pending({.name = kWork});
  ASSERT_TRUE(rows);
  ASSERT_THAT(*rows, SizeIs(2));
  EXPECT_EQ((*rows)[0].failures, 1u);
  EXPECT_EQ((*rows)[0].member, "");
  const std::vector<Got> again = queues().got(kWork, "m2");
  EXPECT_THAT(again, ElementsAre(Got{0, 0, "a", 2}, Got{0, 1, "b", 2}));
  ASSERT_TRUE(queues().leave(kWork, "m2", false));
  const auto after = queues().pending({.name = kWork});
  ASSERT_TRUE(after);
  EXPECT_EQ((*after)[0].failures, 1u);  // A member that says goodbye does not fail.
}

TEST_F(QueuesTest, records_that_fail_too_often_become_dead_letters_with_their_story) {
  make("t", {"good", "bad"});
  ASSERT_TRUE(queues().create(kWork, {{"delivery.limit", "2"}, {"backoff", "none"}}));
  for (int i = 0; i < 2; ++i) {
    for (const Got& got : queues().got(kWork, "m1")) {
      if (got.value == "good")
        EXPECT_EQ(queues().ack(kWork, "m1", got), "ok");
      else
        EXPECT_EQ(queues().retry(kWork, "m1", got, "cannot parse"), "ok");
    }
  }
  engine().runtime().run();
  EXPECT_THAT(queues().got(kWork, "m1"), IsEmpty());
  const QueueCounts counts = queues().counts(kWork);
  EXPECT_EQ(counts.done, 1u);
  EXPECT_EQ(counts.dead, 1u);
  EXPECT_EQ(counts.unfinished(), 0u);
  const auto letters = queues().letters("work");
  ASSERT_TRUE(letters) << letters.error().to_string();
  ASSERT_THAT(*letters, SizeIs(1));
  const DeadLetter& letter = letters->front();
  EXPECT_EQ(letter.topic, "work.dlq");
  EXPECT_EQ(letter.from, kWork);
  EXPECT_EQ(letter.from_offset, Offset{1});
  EXPECT_EQ(letter.reason, "cannot parse");
  EXPECT_EQ(letter.failures, 2u);
  EXPECT_EQ(letter.deliveries, 2u);
  EXPECT_EQ(letter.member, "m1");
  EXPECT_EQ(as_text(*letter.value), "bad");
}

TEST_F(QueuesTest, redrive_gives_dead_records_back_to_their_own_group_once) {
  make("t", {"a", "b", "c"});
  ASSERT_TRUE(queues().create(kWork));
  const QueueName other{"other", "t"};
  ASSERT_TRUE(queues().create(other));
  for (const Got& got : queues().got(kWork, "m1")) {
    EXPECT_EQ(queues().settle_one(kWork, "m1", got, Settlement::Kind::reject, {}, "reason " + got.value), "ok");
  }
  EXPECT_THAT(queues().got(other, "m1"), SizeIs(3));
  engine().runtime().run();
  ASSERT_THAT(*queues().letters("work"), SizeIs(3));

  const auto planned = queues().redrive({.group = "work", .match = "reason = 'reason b'", .dry_run = true});
  ASSERT_TRUE(planned) << planned.error().to_string();
  EXPECT_EQ(planned->matched, 1u);
  EXPECT_EQ(planned->redriven, 0u);
  const auto done = queues().redrive({.group = "work", .match = "reason = 'reason b'"});
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(done->redriven, 1u);
  EXPECT_EQ(done->skipped, 2u);
  power_fails();
  EXPECT_THAT(queues().got(kWork, "m2"), ElementsAre(Got{0, 1, "b", 1}));
  EXPECT_THAT(queues().got(other, "m2"), IsEmpty());
  EXPECT_THAT(*queues().letters("work"), SizeIs(2));
  EXPECT_EQ(queues().redrive({.group = "work"})->redriven, 2u);
  EXPECT_THAT(*queues().letters("work"), IsEmpty());
  EXPECT_EQ(queues().redrive({.group = "nobody"}).error().code, Errc::not_found);
  EXPECT_EQ(queues().redrive({.group = "work", .match = "reason ="}).error().code, Errc::invalid_argument);
}

TEST_F(QueuesTest, redrive_can_publish_for_everybody) {
  make("t", {"a"});
  make("fixed", {});
  ASSERT_TRUE(queues().create(kWork));
  const std::vector<Got> got = queues().got(kWork, "m1");
  EXPECT_EQ(queues().settle_one(kWork, "m1", got.at(0), Settlement::Kind::reject), "ok");
  engine().runtime().run();
  EXPECT_EQ(queues().redrive({.group = "work", .to = "work.dlq"}).error().code, Errc::invalid_argument);
  EXPECT_EQ(queues().redrive({.group = "work", .to = "nowhere"}).error().code, Errc::unknown_topic);
  EXPECT_EQ(queues().redrive({.group = "work", .to = "fixed"})->redriven, 1u);
  const auto records = engine().read_all("fixed", 0);
  ASSERT_TRUE(records);
  ASSERT_THAT(*records, SizeIs(1));
  EXPECT_EQ(records->front().value, "a");
}

TEST_F(QueuesTest, a_name_that_is_taken_is_no_place_for_dead_letters_so_records_are_parked) {
  make("t", {"a"});
  make("work.dlq", {});
  ASSERT_TRUE(queues().create(kWork));
  EXPECT_EQ(queues().settle_one(kWork, "m1", queues().got(kWork, "m1").at(0), Settlement::Kind::reject, {}, "hopeless"), "ok");
  engine().runtime().run();
  EXPECT_EQ(queues().counts(kWork).parked, 1u);
  power_fails();
  EXPECT_EQ(queues().counts(kWork).parked, 1u);
  EXPECT_THAT(queues().got(kWork, "m1"), IsEmpty());
  EXPECT_EQ(*queues().act({.name = kWork, .kind = QueueAction::Kind::kick, .match = "value = 'a'"}), 1u);
  EXPECT_THAT(queues().got(kWork, "m1"), SizeIs(1));
}

TEST_F(QueuesTest, dead_letters_that_are_the_source_itself_are_refused) {
  make("t", {});
  EXPECT_EQ(queues().create(kWork, {{"dead.letter.topic", "t"}}).error().code, Errc::invalid_argument);
  ASSERT_TRUE(queues().create(kWork));
  EXPECT_EQ(queues().alter(kWork, {{"dead.letter.topic", "t"}}).error().code, Errc::invalid_config);
  EXPECT_EQ(queues().describe(kWork)->effective.dead_letter_topic, "work.dlq");
}

TEST_F(QueuesTest, with_key_order_one_record_of_a_key_is_out_at_a_time) {
  make("t", {});
  append_keyed("t", {{"a", "a1"}, {"a", "a2"}, {"b", "b1"}, {"a", "a3"}, {"b", "b2"}});
  ASSERT_TRUE(queues().create(kWork, {{"ordering", "key"}, {"backoff", "none"}}));
  const std::vector<Got> first = queues().got(kWork, "m1");
  EXPECT_THAT(first, ElementsAre(Got{0, 0, "a1", 1}, Got{0, 2, "b1", 1}));
  EXPECT_THAT(queues().got(kWork, "m2"), IsEmpty());
  // What blocks is shown.
  const auto info = queues().describe(kWork);
  ASSERT_THAT(info->partitions[0].blocked_keys, SizeIs(2));
  EXPECT_EQ(info->partitions[0].blocked_keys[0].key, "a");
  EXPECT_EQ(info->partitions[0].blocked_keys[0].waiting, 2u);
  EXPECT_EQ(queues().retry(kWork, "m1", first[0]), "ok");
  EXPECT_EQ(queues().ack(kWork, "m1", first[1]), "ok");
  EXPECT_THAT(queues().got(kWork, "m2"), ElementsAre(Got{0, 0, "a1", 2}, Got{0, 4, "b2", 1}));
  ASSERT_TRUE(queues().describe(kWork));  // What is shown is durable, the hand-out as well then.
  power_fails();
  EXPECT_THAT(queues().got(kWork, "m3"), IsEmpty());
  passes(31s);
  const std::vector<Got> later = queues().got(kWork, "m3");
  EXPECT_THAT(later, SizeIs(2));
  EXPECT_EQ(later.at(0).value, "a1");
  EXPECT_EQ(later.at(1).value, "b2");
}

TEST_F(QueuesTest, filters_let_records_pass_as_done) {
  make("t", {"x1", "y1", "x2", "y2"});
  ASSERT_TRUE(queues().create(kWork, {{"filter", "value ^= 'y'"}}));
  EXPECT_THAT(queues().got(kWork, "m1"), ElementsAre(Got{0, 1, "y1", 1}, Got{0, 3, "y2", 1}));
  EXPECT_EQ(queues().counts(kWork).filtered, 2u);
  EXPECT_EQ(queues().create({"bad", "t"}, {{"filter", "value ^^ 'y'"}}).error().code, Errc::invalid_config);
}

TEST_F(QueuesTest, a_paused_group_hands_out_nothing_until_it_is_resumed) {
  make("t", {"a"});
  ASSERT_TRUE(queues().create(kWork, {{"paused.until", "forever"}}));
  EXPECT_THAT(queues().got(kWork, "m1"), IsEmpty());
  const auto waiting = queues().start<ReceiveReply>(
      [](Queues& all, Done<ReceiveReply> done) { all.receive({}, QueueCalls::wants(kWork, "m2", 1, 60s), std::move(done)); });
  engine().runtime().run();
  EXPECT_FALSE(waiting->has_value());
  ASSERT_TRUE(queues().alter(kWork, {{"paused.until", ""}}));
  engine().runtime().run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_THAT(QueueCalls::records(***waiting), SizeIs(1));
}

TEST_F(QueuesTest, operators_release_purge_and_seek) {
  make("t", {"a", "b", "c", "d"});
  ASSERT_TRUE(queues().create(kWork));
  ASSERT_THAT(queues().got(kWork, "stuck", 2), SizeIs(2));
  passes(10s);
  ASSERT_THAT(queues().got(kWork, "busy", 1), SizeIs(1));
  QueueAction release{.name = kWork, .kind = QueueAction::Kind::release, .older = 5s, .execute = false};
  EXPECT_EQ(*queues().act(release), 2u);
  release.execute = true;
  EXPECT_EQ(*queues().act(release), 2u);
  EXPECT_EQ(queues().counts(kWork).in_flight, 1u);
  EXPECT_EQ(*queues().act({.name = kWork, .kind = QueueAction::Kind::purge}), 3u);
  EXPECT_THAT(queues().got(kWork, "m"), IsEmpty());
  SeekRequest seek{.group = "work", .topic = "t", .partition = {}, .target = {}, .execute = true, .force = false};
  const auto moved = queues().ask<SeekReply>([&](Queues& all, Done<SeekReply> done) { all.seek({}, seek, std::move(done)); });
  ASSERT_TRUE(moved) << moved.error().to_string();
  EXPECT_THAT(queues().got(kWork, "m"), SizeIs(4));
}

TEST_F(QueuesTest, trimming_below_what_is_pending_settles_it_as_gone) {
  make("t", {"a", "b", "c"});
  ASSERT_TRUE(queues().create(kWork));
  const std::vector<Got> got = queues().got(kWork, "m1", 2);
  ASSERT_TRUE(engine().trim("t", 0, Offset{2}));
  EXPECT_EQ(queues().ack(kWork, "m1", got.at(0)), "already_settled");
  EXPECT_EQ(queues().counts(kWork).gone, 2u);
  EXPECT_THAT(queues().got(kWork, "m1"), ElementsAre(Got{0, 2, "c", 1}));
}

TEST_F(QueuesTest, groups_go_with_their_topic_and_come_back_empty_with_a_new_one) {
  make("t", {"a"});
  ASSERT_TRUE(queues().create(kWork));
  const auto waiting = queues().start<ReceiveReply>([](Queues& all, Done<ReceiveReply> done) {
    ReceiveRequest request = QueueCalls::wants(kWork, "m2", 1, 60s);
    all.receive({}, request, [](const Result<ReceiveReply>&) {});
    all.receive({}, request, std::move(done));
  });
  engine().runtime().run();
  ASSERT_TRUE(engine().remove("t"));
  engine().runtime().run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_FALSE(**waiting);
  ASSERT_TRUE(engine().create("t"));
  EXPECT_EQ(queues().describe(kWork).error().code, Errc::unknown_group);
  power_fails();
  EXPECT_EQ(queues().describe(kWork).error().code, Errc::unknown_group);
}

TEST_F(QueuesTest, a_removed_group_leaves_nothing_behind) {
  make("t", {"a", "b"});
  ASSERT_TRUE(queues().create(kWork));
  ASSERT_THAT(queues().got(kWork, "m1"), SizeIs(2));
  ASSERT_TRUE(queues().remove(kWork));
  EXPECT_EQ(queues().receive(QueueCalls::wants(kWork, "m1", 1)).error().code, Errc::unknown_group);
  restart();
  EXPECT_EQ(queues().describe(kWork).error().code, Errc::unknown_group);
  ASSERT_TRUE(queues().create(kWork));
  EXPECT_THAT(queues().got(kWork, "m1"), SizeIs(2));
}

TEST_F(QueuesTest, lag_splits_into_waiting_in_flight_and_retrying) {
  make("t", {"a", "b", "c", "d"});
  ASSERT_TRUE(queues().create(kWork, {{"backoff", "none"}}));
  const std::vector<Got> got = queues().got(kWork, "m1", 3);
  EXPECT_EQ(queues().ack(kWork, "m1", got.at(0)), "ok");
  EXPECT_EQ(queues().retry(kWork, "m1", got.at(1)), "ok");
  const auto rows = queues().ask<std::vector<PartitionLag>>([](Queues& all, auto done) { all.lag({}, "work", std::move(done)); });
  ASSERT_TRUE(rows);
  ASSERT_THAT(*rows, SizeIs(1));
  const PartitionLag& row = rows->front();
  EXPECT_EQ(row.kind, GroupKind::queue);
  EXPECT_EQ(row.waiting, 1u);
  EXPECT_EQ(row.in_flight, 1u);
  EXPECT_EQ(row.retrying, 1u);
  EXPECT_EQ(row.lag, 3);
  EXPECT_EQ(row.floor, Offset{1});
  EXPECT_EQ(row.member, "m1");
}

TEST_F(QueuesTest, start_is_resolved_once) {
  make("t", {"a", "b"});
  ASSERT_TRUE(queues().create({"late", "t"}, {}, {StartAt::Kind::latest, 0}));
  ASSERT_TRUE(queues().create({"second", "t"}, {}, {StartAt::Kind::offset, 1}));
  ASSERT_TRUE(engine().append("t", 0, {"c"}));
  power_fails();
  EXPECT_THAT(queues().got({"late", "t"}, "m"), ElementsAre(Got{0, 2, "c", 1}));
  EXPECT_THAT(queues().got({"second", "t"}, "m"), SizeIs(2));
}

TEST_F(QueuesTest, a_topic_can_be_trimmed_behind_what_every_group_has_finished) {
  make("t", {"a", "b", "c", "d"}, 1, {{"trim.when.acked", "true"}});
  const QueueName other{"other", "t"};
  ASSERT_TRUE(queues().create(kWork, {{"dead.letter.topic", "none"}}));
  ASSERT_TRUE(queues().create(other));
  std::vector<Got> got = queues().got(kWork, "m", 3);
  EXPECT_EQ(queues().settle_one(kWork, "m", got.at(1), Settlement::Kind::reject), "ok");  // Parked.
  EXPECT_EQ(queues().ack(kWork, "m", got.at(0)), "ok");
  EXPECT_EQ(queues().ack(kWork, "m", got.at(2)), "ok");
  passes(31s);
  EXPECT_EQ(queues().describe(kWork)->partitions[0].log_start, Offset{0});  // The other has done nothing yet.
  for (const Got& one : queues().got(other, "m", 3)) EXPECT_EQ(queues().ack(other, "m", one), "ok");
  passes(31s);
  EXPECT_EQ(queues().describe(kWork)->partitions[0].log_start, Offset{1});  // The parked one may still be kicked.
  EXPECT_EQ(*queues().act({.name = kWork, .kind = QueueAction::Kind::kick}), 1u);
  EXPECT_EQ(queues().ack(kWork, "m", queues().got(kWork, "m", 1).at(0)), "ok");
  passes(31s);
  EXPECT_EQ(queues().describe(kWork)->partitions[0].log_start, Offset{3});
}

TEST_F(QueuesTest, records_that_are_too_old_die_unread) {
  make("t", {}, 1, {{"record.ttl", "1h"}});
  ASSERT_TRUE(engine().append_batch("t", 0, batch_of({"old"}, 1'600'000'000'000)));
  ASSERT_TRUE(engine().append_batch("t", 0, batch_of({"new"}, 1'700'000'000'000)));
  ASSERT_TRUE(queues().create(kWork));
  EXPECT_THAT(queues().got(kWork, "m"), ElementsAre(Got{0, 1, "new", 1}));
  engine().runtime().run();
  const auto letters = queues().letters("work");
  ASSERT_TRUE(letters) << letters.error().to_string();
  ASSERT_THAT(*letters, SizeIs(1));
  EXPECT_THAT(letters->front().reason, HasSubstr("record.ttl"));
}

}  // namespace
}  // namespace tidemark::broker
