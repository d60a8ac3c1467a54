#include "protocol/redis/adapter/in_flight.h"

#include <gtest/gtest.h>

namespace tidemark::redis {
namespace {

class InFlightTest : public testing::Test {
 protected:
  Request request(Ordering ordering, std::string_view key) {
    CommandSpec& spec = specs_[static_cast<std::size_t>(ordering)];
    spec.ordering = ordering;
    spec.keys = {1, 1, 1};
    return Request{&spec, {}, {"command", key}};
  }
  bool may(Ordering ordering, std::string_view key) { return in_flight_.may_begin(request(ordering, key)); }
  InFlight::Use begin(Ordering ordering, std::string_view key) { return in_flight_.begin(request(ordering, key)); }

  CommandSpec specs_[5];
  InFlight in_flight_;
};

TEST_F(InFlightTest, appends_to_a_key_run_side_by_side) {
  const InFlight::Use first = begin(Ordering::append, "a");
  EXPECT_TRUE(may(Ordering::append, "a"));
  EXPECT_FALSE(may(Ordering::read, "a"));
  EXPECT_FALSE(may(Ordering::write, "a"));
  in_flight_.end(first);
  EXPECT_TRUE(may(Ordering::read, "a"));
}

TEST_F(InFlightTest, other_keys_do_not_wait) {
  const InFlight::Use write = begin(Ordering::write, "a");
  EXPECT_TRUE(may(Ordering::write, "b"));
  EXPECT_TRUE(may(Ordering::free, "a"));
  EXPECT_FALSE(may(Ordering::read, "a"));
  in_flight_.end(write);
  EXPECT_TRUE(in_flight_.empty());
}

TEST_F(InFlightTest, reads_of_a_key_hold_back_its_writes) {
  const InFlight::Use one = begin(Ordering::read, "a");
  const InFlight::Use two = begin(Ordering::read, "a");
  EXPECT_FALSE(may(Ordering::append, "a"));
  in_flight_.end(one);
  EXPECT_FALSE(may(Ordering::write, "a"));
  in_flight_.end(two);
  EXPECT_TRUE(may(Ordering::write, "a"));
}

TEST_F(InFlightTest, alone_waits_for_everything_and_everything_for_it) {
  const InFlight::Use first = begin(Ordering::free, "a");
  EXPECT_FALSE(may(Ordering::alone, "b"));
  in_flight_.end(first);
  const InFlight::Use alone = begin(Ordering::alone, "b");
  EXPECT_FALSE(may(Ordering::free, "a"));
  EXPECT_FALSE(may(Ordering::read, "a"));
  in_flight_.end(alone);
  EXPECT_TRUE(may(Ordering::free, "a"));
}

TEST_F(InFlightTest, a_key_named_twice_is_held_until_the_command_ends) {
  CommandSpec two;
  two.ordering = Ordering::write;
  two.keys = {1, 2, 1};
  const InFlight::Use use = in_flight_.begin(Request{&two, {}, {"rename", "a", "a"}});
  EXPECT_FALSE(may(Ordering::read, "a"));
  in_flight_.end(use);
  EXPECT_TRUE(may(Ordering::write, "a"));
}

}  // namespace
}  // namespace tidemark::redis
