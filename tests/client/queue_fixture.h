#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "tests/client/client_fixture.h"

namespace tidemark {

/// A broker, members of queue groups on it, and what they get.
class QueueFixture : public ClientFixture {
 protected:
  using Messages = QueueConsumer::Messages;

  static QueueOptions of(const std::string& group, const std::string& topic, std::size_t prefetch = 100) {
    QueueOptions options;
    options.group = group;
    options.topic = topic;
    options.prefetch = prefetch;
    return options;
  }
  void fill(const std::string& topic, int from, int to, std::int32_t partition = 0) {
    Client client(options());
    Producer producer = must(client.producer(topic, {.batch_bytes = 200}));
    for (int i = from; i < to; ++i) EXPECT_TRUE(producer.try_post({.value = std::to_string(i), .partition = partition}));
    must(producer.flush());
  }
  static Messages take(QueueConsumer& consumer, std::size_t count) {
    Messages all;
    while (all.size() < count) {
      Messages some = must(consumer.receive(count - all.size(), kLong));
      CHECK(!some.empty());
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  }
  static QueueMessage take_one(QueueConsumer& consumer) { return take(consumer, 1).front(); }
  static Strings values(const Messages& messages) {
    Strings all;
    for (const QueueMessage& message : messages) all.emplace_back(message.value().value_or("(null)"));
    return all;
  }
  static Strings sorted(Strings values) {
    std::ranges::sort(values, [](const std::string& a, const std::string& b) { return std::stoi(a) < std::stoi(b); });
    return values;
  }
  static QueueCounts counts(Client& client, const std::string& group, const std::string& topic) {
    return must(client.queues().describe(group, topic)).counts();
  }
  /// Asks until it is so; the test's own time limit ends it otherwise.
  template <class Reached>
  static void until(Reached reached) {
    while (!reached()) {
    }
  }
};

}  // namespace tidemark
