#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/client/client_fixture.h"

namespace tidemark {

/// What the callbacks of one consumer told, in order, and waiting for it.
class Story {
 public:
  void join(StreamOptions& options) {
    options.on_assigned = [this](const TopicPartitions& partitions) { note("assigned", partitions); };
    options.on_revoking = [this](const TopicPartitions& partitions, SteadyTime) { note("revoking", partitions); };
    options.on_lost = [this](const TopicPartitions& partitions) { note("lost", partitions); };
  }
  void note(const std::string& what, const TopicPartitions& partitions) {
    const std::lock_guard lock(mutex_);
    for (const TopicPartition& where : partitions) {
      lines_.push_back(what + " " + to_string(where));
      if (what == "assigned") held_.insert(where);
      if (what != "assigned") held_.erase(where);
    }
    changed_.notify_all();
  }
  Strings lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  void wait_for_line(const std::string& line) {
    wait([&] { return std::ranges::find(lines_, line) != lines_.end(); });
  }
  void wait_for_share(std::size_t partitions) {
    wait([&] { return held_.size() == partitions; });
  }

 private:
  template <class Reached>
  void wait(Reached reached) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, reached);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Strings lines_;
  std::set<TopicPartition> held_;
};

/// A broker, groups of consumers on it, and what they get.
class StreamFixture : public ClientFixture {
 protected:
  static StreamOptions of(const std::string& group, Strings topics) {
    StreamOptions options;
    options.group = group;
    options.topics = std::move(topics);
    options.commit_every = 0ms;
    return options;
  }
  void fill(const std::string& topic, int from, int to, std::int32_t partition = 0) {
    Client client(options());
    Producer producer = must(client.producer(topic, {.batch_bytes = 200}));
    for (int i = from; i < to; ++i) EXPECT_TRUE(producer.try_post({.value = std::to_string(i), .partition = partition}));
    must(producer.flush());
  }
  /// At least so many messages; more when they come along.
  static std::vector<Message> take(StreamConsumer& consumer, std::size_t count) {
    std::vector<Message> all;
    while (all.size() < count) {
      std::vector<Message> some = must(consumer.poll(kLong, count - all.size()));
      CHECK(!some.empty());
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  }
  static Strings values(const std::vector<Message>& messages) {
    Strings all;
    for (const Message& message : messages) all.emplace_back(message.value().value_or("(null)"));
    return all;
  }
  /// Where the group stands; -1: nothing is committed.
  std::int64_t floor(const std::string& group, const std::string& topic, std::int32_t partition = 0) {
    Client client(options());
    for (const GroupPartitionLag& lag : must(client.groups().lag(group))) {
      if (lag.where == TopicPartition{topic, partition} && lag.floor) return lag.floor->value;
    }
    return -1;
  }
};

}  // namespace tidemark
