#include "broker/groups/assignor.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/base/random.h"

namespace tidemark::broker {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Shares = std::vector<std::vector<PartitionKey>>;

Uuid topic_id(std::uint64_t number) { return Uuid::from_random(number << 32, number); }

/// Members and topics of one group; each round starts from what the round before gave.
class AssignorTest : public testing::Test {
 protected:
  void topic(std::uint64_t number, std::int32_t partitions) {
    std::erase_if(topics_, [&](const AssignableTopic& known) { return known.id == topic_id(number); });
    topics_.push_back({topic_id(number), partitions});
  }
  void member(const std::vector<std::uint64_t>& topics) {
    Assignee assignee;
    for (const std::uint64_t number : topics) assignee.topics.push_back(topic_id(number));
    std::ranges::sort(assignee.topics);
    members_.push_back(std::move(assignee));
  }
  void leaves(std::size_t number) { members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(number)); }

  const Shares& assign() {
    shares_ = assign_sticky(topics_, members_);
    for (std::size_t m = 0; m < members_.size(); ++m) members_[m].before = shares_[m];
    return shares_;
  }
  std::vector<std::size_t> sizes() const {
    std::vector<std::size_t> sizes;
    for (const auto& share : shares_) sizes.push_back(share.size());
    return sizes;
  }

  /// Partitions that are not where they were; those nobody had do not count.
  static std::size_t moves(const std::vector<Assignee>& before, const Shares& after) {
    std::map<PartitionKey, std::size_t> owner;
    for (std::size_t m = 0; m < after.size(); ++m) {
      for (const PartitionKey& key : after[m]) owner[key] = m;
    }
    std::size_t moved = 0;
    for (std::size_t m = 0; m < before.size(); ++m) {
      for (const PartitionKey& key : before[m].before) moved += owner.contains(key) && owner[key] != m ? 1 : 0;
    }
    return moved;
  }

  std::vector<AssignableTopic> topics_;
  std::vector<Assignee> members_;
  Shares shares_;
};

TEST_F(AssignorTest, without_members_nothing_is_assigned) {
  topic(1, 4);
  EXPECT_THAT(assign(), IsEmpty());
}

TEST_F(AssignorTest, one_member_gets_everything_in_order) {
  topic(1, 2);
  topic(2, 1);
  member({1, 2});
  EXPECT_THAT(assign(), ElementsAre(ElementsAre(PartitionKey{topic_id(1), 0}, PartitionKey{topic_id(1), 1}, PartitionKey{topic_id(2), 0})));
}

TEST_F(AssignorTest, shares_differ_by_one_at_most) {
  topic(1, 7);
  topic(2, 3);
  for (int i = 0; i < 4; ++i) member({1, 2});
  assign();
  std::vector<std::size_t> loads = sizes();
  std::ranges::sort(loads);
  EXPECT_THAT(loads, ElementsAre(2, 2, 3, 3));
}

TEST_F(AssignorTest, more_members_than_partitions_leave_some_with_nothing) {
  topic(1, 2);
  for (int i = 0; i < 5; ++i) member({1});
  assign();
  EXPECT_EQ(std::accumulate(shares_.begin(), shares_.end(), std::size_t{0}, [](std::size_t sum, const auto& s) { return sum + s.size(); }),
            2u);
  EXPECT_EQ(std::ranges::max(sizes()), 1u);
}

TEST_F(AssignorTest, one_topic_of_one_partition_each_is_spread_too) {
  for (std::uint64_t t = 1; t <= 6; ++t) topic(t, 1);
  for (int i = 0; i < 3; ++i) member({1, 2, 3, 4, 5, 6});
  assign();
  EXPECT_THAT(sizes(), Each(2u));
}

TEST_F(AssignorTest, an_arrival_takes_its_share_and_nothing_else_moves) {
  topic(1, 12);
  for (int i = 0; i < 3; ++i) member({1});
  assign();
  member({1});
  const std::vector<Assignee> before = members_;
  EXPECT_EQ(moves(before, assign()), 3u);
  EXPECT_THAT(sizes(), Each(3u));
}

TEST_F(AssignorTest, a_departure_hands_on_its_share_and_nothing_else_moves) {
  topic(1, 12);
  for (int i = 0; i < 4; ++i) member({1});
  assign();
  leaves(1);
  const std::vector<Assignee> before = members_;
  EXPECT_EQ(moves(before, assign()), 0u);
  EXPECT_THAT(sizes(), Each(4u));
}

TEST_F(AssignorTest, growth_of_a_topic_moves_nothing_that_is_there) {
  topic(1, 4);
  member({1});
  member({1});
  assign();
  topic(1, 9);
  const std::vector<Assignee> before = members_;
  EXPECT_EQ(moves(before, assign()), 0u);
  std::vector<std::size_t> loads = sizes();
  std::ranges::sort(loads);
  EXPECT_THAT(loads, ElementsAre(4, 5));
}

TEST_F(AssignorTest, a_topic_that_is_gone_is_taken_from_its_holders) {
  topic(1, 2);
  topic(2, 2);
  member({1, 2});
  assign();
  topics_.pop_back();
  EXPECT_THAT(assign(), ElementsAre(ElementsAre(PartitionKey{topic_id(1), 0}, PartitionKey{topic_id(1), 1})));
}

TEST_F(AssignorTest, a_topic_without_subscribers_is_left_alone) {
  topic(1, 3);
  topic(2, 3);
  member({2});
  EXPECT_THAT(assign(), ElementsAre(SizeIs(3)));
  EXPECT_THAT(shares_[0], Each(testing::Field(&PartitionKey::topic, topic_id(2))));
}

TEST_F(AssignorTest, each_subscriber_gets_only_what_it_subscribes_to) {
  topic(1, 6);
  topic(2, 2);
  member({1});
  member({1, 2});
  assign();
  EXPECT_THAT(shares_[0], Each(testing::Field(&PartitionKey::topic, topic_id(1))));
  EXPECT_THAT(sizes(), ElementsAre(4, 4));  // The second has both of its own, so it takes only two of the shared ones.
}

TEST_F(AssignorTest, who_unsubscribes_keeps_nothing_of_the_topic) {
  topic(1, 4);
  topic(2, 4);
  member({1, 2});
  member({1, 2});
  assign();
  members_[0].topics = {topic_id(1)};
  assign();
  EXPECT_THAT(shares_[0], Each(testing::Field(&PartitionKey::topic, topic_id(1))));
  EXPECT_THAT(sizes(), ElementsAre(4, 4));
}

TEST_F(AssignorTest, what_two_claim_goes_to_one) {
  topic(1, 2);
  member({1});
  member({1});
  members_[0].before = members_[1].before = {{topic_id(1), 0}, {topic_id(1), 1}};
  assign();
  EXPECT_THAT(sizes(), ElementsAre(1, 1));
  EXPECT_NE(shares_[0], shares_[1]);
}

TEST_F(AssignorTest, claims_to_partitions_that_never_were_are_passed_over) {
  topic(1, 1);
  member({1});
  members_[0].before = {{topic_id(1), -1}, {topic_id(1), 0}, {topic_id(1), 1}, {topic_id(9), 0}};
  EXPECT_THAT(assign(), ElementsAre(ElementsAre(PartitionKey{topic_id(1), 0})));
}

// --- Properties over random histories.

class AssignorProperties : public AssignorTest {
 protected:
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }

  std::vector<std::uint64_t> some_topics() {
    std::vector<std::uint64_t> chosen;
    for (std::uint64_t t = 1; t <= 8; ++t) {
      if (below(2) == 0) chosen.push_back(t);
    }
    return chosen;
  }

  /// Every partition of a topic somebody subscribes to is with exactly one of its subscribers, and each share is sorted.
  void check_complete() const {
    std::set<PartitionKey> given;
    for (std::size_t m = 0; m < members_.size(); ++m) {
      ASSERT_TRUE(std::ranges::is_sorted(shares_[m]));
      for (const PartitionKey& key : shares_[m]) {
        ASSERT_TRUE(given.insert(key).second) << "given twice";
        ASSERT_TRUE(std::ranges::binary_search(members_[m].topics, key.topic)) << "given to one that does not subscribe";
      }
    }
    std::size_t wanted = 0;
    for (const AssignableTopic& topic : topics_) {
      const bool subscribed =
          std::ranges::any_of(members_, [&](const Assignee& member) { return std::ranges::binary_search(member.topics, topic.id); });
      if (!subscribed) continue;
      wanted += static_cast<std::size_t>(topic.partitions);
      for (std::int32_t p = 0; p < topic.partitions; ++p) ASSERT_TRUE(given.contains({topic.id, p})) << "left out";
    }
    ASSERT_EQ(given.size(), wanted);
  }

  /// Nobody could take a partition from one that has two more.
  void check_balanced() const {
    for (std::size_t m = 0; m < members_.size(); ++m) {
      for (const PartitionKey& key : shares_[m]) {
        for (std::size_t other = 0; other < members_.size(); ++other) {
          if (!std::ranges::binary_search(members_[other].topics, key.topic)) continue;
          ASSERT_LE(shares_[m].size(), shares_[other].size() + 1);
        }
      }
    }
  }

  /// Where everybody may have everything, the fewest moves that balance: a partition stays unless its member has more than its share.
  std::size_t moves_needed() const {
    std::set<PartitionKey> there;
    for (const AssignableTopic& topic : topics_) {
      for (std::int32_t p = 0; p < topic.partitions; ++p) there.insert({topic.id, p});
    }
    const std::size_t share = there.size() / members_.size();
    std::size_t odd = there.size() % members_.size();
    std::vector<std::size_t> had;
    for (const Assignee& member : members_) {
      had.push_back(static_cast<std::size_t>(std::ranges::count_if(member.before, [&](const auto& key) { return there.contains(key); })));
    }
    std::size_t needed = 0;
    for (const std::size_t count : had) {
      if (count <= share) continue;
      const std::size_t extra = odd > 0 ? 1 : 0;
      odd -= extra;
      needed += count - share - extra;
    }
    return needed;
  }

  void change_something(bool uniform) {
    switch (below(5)) {
      case 0:
        if (members_.size() < 20) member(uniform ? std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8} : some_topics());
        break;
      case 1:
        if (members_.size() > 1) leaves(below(members_.size()));
        break;
      case 2: {
        const std::size_t t = below(topics_.size());
        topics_[t].partitions = std::min(topics_[t].partitions + static_cast<std::int32_t>(below(6)), 40);
        break;
      }
      case 3:
        if (topics_.size() > 1) topics_.erase(topics_.begin() + static_cast<std::ptrdiff_t>(below(topics_.size())));
        break;
      default:
        topic(1 + below(8), static_cast<std::int32_t>(below(20)));
        break;
    }
    if (!uniform && below(3) == 0) {
      Assignee& changed = members_[below(members_.size())];
      changed.topics.clear();
      for (const std::uint64_t number : some_topics()) changed.topics.push_back(topic_id(number));
      std::ranges::sort(changed.topics);
    }
  }

  void run(bool uniform) {
    std::cout << "seed " << seed_ << '\n';
    topic(1, 10);
    member({1, 2, 3, 4, 5, 6, 7, 8});
    for (int step = 0; step < 5'000; ++step) {
      SCOPED_TRACE("step " + std::to_string(step) + ", seed " + std::to_string(seed_));
      change_something(uniform);
      const std::vector<Assignee> before = members_;
      const std::size_t needed = uniform ? moves_needed() : 0;
      assign();
      check_complete();
      check_balanced();
      if (uniform) {
        ASSERT_EQ(moves(before, shares_), needed);
      }
      const Shares settled = shares_;
      ASSERT_EQ(assign(), settled) << "nothing changed, and yet something moved";
      if (HasFatalFailure()) return;
    }
  }

  const std::uint64_t seed_ = std::getenv("TIDEMARK_SEED") != nullptr ? std::strtoull(std::getenv("TIDEMARK_SEED"), nullptr, 10) : 1;
  Random random_{seed_};
};

TEST_F(AssignorProperties, hold_where_everybody_subscribes_to_everything) { run(true); }
TEST_F(AssignorProperties, hold_where_subscriptions_differ) { run(false); }

}  // namespace
}  // namespace tidemark::broker
