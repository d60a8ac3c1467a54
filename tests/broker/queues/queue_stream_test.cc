#include "tests/broker/queues/queue_window_fixture.h"

/// What a window knows for groups of Redis streams.
namespace tidemark::broker {
namespace {

class QueueStreamPosition : public QueueWindowTest {
 protected:
  QueueStreamPosition() {
    settings_.keeps_ids = true;
    settings_.ack_timeout = 0ms;
    make();
  }
  static constexpr StreamPosition at_five{.last_id = {5, 1}, .entries_read = 7, .cursor = Offset{5}};
};

TEST_F(QueueStreamPosition, moves_the_cursor_and_survives_a_restart) {
  EXPECT_EQ(window().stream_position(), std::nullopt);
  window().set_stream_position(at_five);
  EXPECT_EQ(window().cursor(), Offset{5});
  flush();
  restart();
  EXPECT_EQ(window().stream_position(), at_five);
  const StreamPosition unknown{.last_id = EntryId::max(), .entries_read = std::nullopt, .cursor = Offset{2}};
  window().set_stream_position(unknown);
  flush();
  restart();
  EXPECT_EQ(window().stream_position(), unknown);
}

TEST_F(QueueStreamPosition, holds_only_while_nobody_else_moves_the_cursor) {
  window().set_stream_position(at_five);
  grow(8);
  EXPECT_EQ(window().stream_position(), std::nullopt);
  flush();
  restart();
  EXPECT_EQ(window().stream_position(), std::nullopt);
}

TEST_F(QueueStreamPosition, passing_over_what_is_not_there_writes_nothing) {
  window().set_stream_position(at_five);
  flush();
  const std::size_t before = log_.size();
  window().set_stream_position({.last_id = at_five.last_id, .entries_read = at_five.entries_read, .cursor = Offset{9}});
  flush();
  EXPECT_EQ(log_.size(), before);
}

TEST_F(QueueStreamPosition, goes_along_with_the_log_start) {
  window().set_stream_position(at_five);
  window().trimmed(Offset{20});
  EXPECT_EQ(window().stream_position(), (StreamPosition{.last_id = at_five.last_id, .entries_read = 7, .cursor = Offset{20}}));
}

TEST_F(QueueStreamPosition, what_somebody_has_outlives_the_log_start) {
  window().take_new("a", {Offset{0}, 3}, ids_of(range(0, 3)), now_);
  window().trimmed(Offset{2});
  EXPECT_EQ(window().counts().in_flight, 3U);
  EXPECT_EQ(window().find_id(id_of(Offset{1})), Offset{1});
  EXPECT_EQ(window().last_of(1U << static_cast<unsigned>(EntryState::acquired)), Offset{2});
}

TEST_F(QueueStreamPosition, showing_again_counts_for_the_owner_only) {
  window().take_new("a", {Offset{0}, 1}, ids_of(range(0, 1)), now_);
  pass(10s);
  EXPECT_FALSE(window().show_again(Offset{0}, "b", now_));
  EXPECT_TRUE(window().show_again(Offset{0}, "a", now_));
  EXPECT_FALSE(window().show_again(Offset{1}, "a", now_));
  const std::optional<PendingEntry> entry = window().entry(Offset{0});
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->deliveries, 2U);
  EXPECT_EQ(entry->delivered, now_);
}

}  // namespace
}  // namespace tidemark::broker
