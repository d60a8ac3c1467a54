#pragma once

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/client/test_broker.h"
#include "tidemark/client.h"

namespace tidemark {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

/// A broker and the verbs of its users. Waits are bounded by the test's own time limit only.
class ClientFixture : public testing::Test {
 protected:
  static constexpr auto kLong = std::chrono::milliseconds(100'000);

  ClientOptions options() const {
    ClientOptions options;
    options.server = broker_.address();
    options.reconnect_backoff_max = 100ms;
    return options;
  }
  template <class T>
  static T must(Result<T> result) {
    EXPECT_TRUE(result) << result.error().to_string();
    CHECK(result.has_value());
    return *std::move(result);
  }
  static void must(const Status& status) { EXPECT_TRUE(status) << status.error().to_string(); }

  void create(const std::string& topic, std::int32_t partitions = 1, const TopicSettings& config = {}) {
    Client client(options());
    must(client.admin().create_topic({.name = topic, .partitions = partitions, .config = config}));
  }
  /// What the topic holds now, by partition.
  std::map<std::int32_t, Strings> contents(const std::string& topic) {
    Client client(options());
    Reader reader = must(client.reader(topic, {.from = Position::earliest(), .to = Position::latest()}));
    std::map<std::int32_t, Strings> values;
    while (const std::optional<Message> message = must(reader.next(kLong))) {
      values[message->partition()].emplace_back(message->value().value_or("(null)"));
    }
    EXPECT_TRUE(reader.finished());
    return values;
  }
  static Strings numbers(int from, int to) {
    Strings all;
    for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
    return all;
  }

  TestBroker broker_;
};

}  // namespace tidemark
