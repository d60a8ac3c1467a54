#include <random>

#include "tests/broker/queues/queue_window_fixture.h"

/// What was handed out long ago, and what was given back to wait for a claim.
namespace tidemark::broker {
namespace {

class QueueIdle : public QueueWindowTest {
 protected:
  QueueIdle() {
    settings_.keeps_ids = true;
    settings_.redelivers = false;
    settings_.ack_timeout = 0ms;
    settings_.delivery_limit = 0;
    make();
  }
  void hand_out(const std::string& member, std::int64_t from, std::int64_t count) {
    window().take_new(member, {Offset{from}, count}, ids_of(range(from, from + count)), now_);
  }
  bool give_back(std::int64_t offset, EntryGiveBack::Kind kind = EntryGiveBack::Kind::fail) {
    EntryGiveBack asked;
    asked.offset = Offset{offset};
    asked.kind = kind;
    return window().give_back(asked, now_);
  }
  std::vector<Offset> idle(std::chrono::milliseconds for_time, std::size_t max = 100) { return window().idle(now_ - for_time, max); }
  std::uint32_t deliveries(std::int64_t offset) { return window().entry({offset})->deliveries; }
  static std::vector<Offset> list(std::initializer_list<std::int64_t> values) {
    std::vector<Offset> all;
    for (const std::int64_t value : values) all.push_back({value});
    return all;
  }
};

TEST_F(QueueIdle, the_longest_idle_come_first) {
  hand_out("a", 5, 2);
  now_ += 10ms;
  hand_out("a", 0, 2);
  now_ += 10ms;
  hand_out("b", 2000, 1);
  EXPECT_EQ(idle(0ms), list({5, 6, 0, 1, 2000}));
  EXPECT_EQ(idle(10ms), list({5, 6, 0, 1}));
  EXPECT_EQ(idle(20ms, 1), list({5}));
  EXPECT_EQ(idle(21ms), list({}));
  EXPECT_EQ(idle(0ms, 0), list({}));
  ack(5);
  EXPECT_EQ(idle(20ms), list({6}));
  window().claim("b", {.offset = Offset{6}, .min_idle = 0ms, .delivered = {}, .deliveries = {}, .id = {}}, now_);
  EXPECT_EQ(idle(0ms), list({0, 1, 6, 2000}));
}

TEST_F(QueueIdle, the_next_to_be_idle_is_the_one_handed_out_next) {
  EXPECT_EQ(window().next_idle(now_), std::nullopt);
  hand_out("a", 0, 1);
  const Timestamp first = now_;
  now_ += 10ms;
  hand_out("a", 5000, 1);
  EXPECT_EQ(idle(10ms), list({0}));
  EXPECT_EQ(window().next_idle(first), now_);
  EXPECT_EQ(window().next_idle(now_), std::nullopt);
  EXPECT_LE(window().next_idle(first - 1ms), first);
}

TEST_F(QueueIdle, what_is_given_back_comes_first_in_its_order) {
  hand_out("a", 0, 4);
  now_ += 10ms;
  EXPECT_TRUE(give_back(3));
  now_ += 10ms;
  EXPECT_TRUE(give_back(1, EntryGiveBack::Kind::silent));
  EXPECT_FALSE(give_back(7));
  EXPECT_EQ(window().pending(), 4U);
  EXPECT_EQ(window().counts().in_flight, 2U);
  EXPECT_EQ(idle(1h), list({3, 1}));
  EXPECT_EQ(idle(15ms), list({3, 1, 0, 2}));
  EXPECT_EQ(deliveries(1), 0U);
  EXPECT_EQ(deliveries(3), 1U);
  EXPECT_TRUE(receive("b").empty());  // It is not new.
  EXPECT_TRUE(window().claim("b", {.offset = Offset{3}, .min_idle = 1h, .delivered = {}, .deliveries = {}, .id = {}}, now_));
  EXPECT_EQ(deliveries(3), 2U);
  EXPECT_EQ(idle(1h), list({1}));
}

TEST_F(QueueIdle, what_is_given_back_survives_a_restart_and_the_log_start) {
  hand_out("a", 0, 3);
  EXPECT_TRUE(give_back(1, EntryGiveBack::Kind::fatal));
  flush();
  restart();
  EXPECT_EQ(idle(1h), list({1}));
  EXPECT_EQ(deliveries(1), std::numeric_limits<std::uint32_t>::max());
  EXPECT_EQ(window().find_id(id_of(Offset{1})), Offset{1});
  window().trimmed(Offset{3});
  EXPECT_EQ(window().pending(), 3U);
  EXPECT_EQ(ack(1), Settled::ok);
  EXPECT_EQ(window().pending(), 2U);
}

TEST_F(QueueIdle, what_nobody_had_can_be_given_back_by_force) {
  EntryGiveBack forced{.offset = Offset{4}, .kind = EntryGiveBack::Kind::silent, .deliveries = 9, .force = true, .id = id_of(Offset{4})};
  EXPECT_TRUE(window().give_back(forced, now_));
  EXPECT_EQ(idle(0ms), list({4}));
  EXPECT_EQ(deliveries(4), 9U);
  EXPECT_EQ(window().find_id(id_of(Offset{4})), Offset{4});
}

TEST_F(QueueIdle, where_the_group_redelivers_giving_back_is_what_the_group_makes_of_it) {
  settings_.redelivers = true;
  settings_.delivery_limit = 2;
  configure();
  hand_out("a", 0, 3);
  EXPECT_TRUE(give_back(0, EntryGiveBack::Kind::silent));
  EXPECT_TRUE(give_back(1));
  EXPECT_TRUE(give_back(2, EntryGiveBack::Kind::fatal));
  EXPECT_EQ(state(0), EntryState::available);
  EXPECT_EQ(state(1), EntryState::available);
  EXPECT_EQ(state(2), EntryState::parked);
  EXPECT_EQ(window().pending(), 0U);
  EXPECT_TRUE(idle(0ms).empty());
  EXPECT_EQ(receive("b"), list({0, 1}));
  EXPECT_TRUE(give_back(1));
  EXPECT_EQ(state(1), EntryState::parked);  // The second failure.
  settings_.redelivers = false;
  configure();
  window().release(Offset{0}, {}, 0, false, now_);
  EXPECT_EQ(idle(1h), list({0}));
}

TEST_F(QueueIdle, agrees_with_looking_at_everything) {
  std::mt19937_64 random(7);
  for (int step = 0; step < 3000; ++step) {
    const auto offset = static_cast<std::int64_t>(random() % 4000);
    now_ += std::chrono::milliseconds(random() % 3);
    switch (random() % 5) {
      case 0:
      case 1:
        hand_out(random() % 2 == 0 ? "a" : "b", offset, 1 + static_cast<std::int64_t>(random() % 5));
        break;
      case 2:
        ack(offset);
        break;
      case 3:
        give_back(offset);
        break;
      case 4:
        window().claim("c", {.offset = Offset{offset}, .min_idle = 0ms, .delivered = {}, .deliveries = {}, .id = {}}, now_);
        break;
    }
    if (step % 20 != 0) continue;
    const Timestamp until = now_ - std::chrono::milliseconds(random() % 2000);
    const std::size_t max = random() % 50;
    std::vector<std::tuple<int, Timestamp, std::int64_t>> line;
    std::optional<Timestamp> next;
    window().visit({}, Offset{10'000}, ~0U, std::nullopt, [&](const PendingEntry& entry) {
      const bool nobodys = entry.state == EntryState::available;
      if (nobodys || entry.delivered <= until)
        line.emplace_back(nobodys ? 0 : 1, entry.delivered, entry.offset.value);
      else
        next = std::min(next.value_or(entry.delivered), entry.delivered);
      return true;
    });
    std::ranges::sort(line);
    std::vector<Offset> expected;
    for (const auto& [rank, delivered, value] : line) expected.push_back({value});
    if (expected.size() > max) expected.resize(max);
    ASSERT_EQ(window().idle(until, max), expected) << "step " << step;
    const std::optional<Timestamp> told = window().next_idle(until);
    ASSERT_EQ(told.has_value(), next.has_value()) << "step " << step;
    if (told) {
      ASSERT_LE(*told, *next);
      ASSERT_GT(*told, until);
    }
  }
}

}  // namespace
}  // namespace tidemark::broker
