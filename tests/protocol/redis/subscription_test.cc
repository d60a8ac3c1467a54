#include <string>

#include <gtest/gtest.h>

#include "tests/protocol/redis/redis_node.h"

namespace tidemark::redis {
namespace {

class RedisSubscription : public testing::Test {
 protected:
  static std::string array(const std::vector<std::string>& texts, const std::string& last = "") {
    std::string reply = "*" + std::to_string(texts.size() + (last.empty() ? 0 : 1)) + "\r\n";
    for (const std::string& text : texts) reply += "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    return reply + last;
  }

  RedisNode node_;
  RedisClient publisher_{node_.port()};
  RedisClient first_{node_.port()};
  RedisClient second_{node_.port()};
};

TEST_F(RedisSubscription, hears_messages_of_every_shard) {
  EXPECT_EQ(first_.ask({"SUBSCRIBE", "news"}), array({"subscribe", "news"}, ":1\r\n"));
  EXPECT_EQ(second_.ask({"PSUBSCRIBE", "n*"}), array({"psubscribe", "n*"}, ":1\r\n"));
  EXPECT_EQ(publisher_.ask({"PUBLISH", "news", "hello"}), ":2\r\n");
  EXPECT_EQ(first_.receive(), array({"message", "news", "hello"}));
  EXPECT_EQ(second_.receive(), array({"pmessage", "n*", "news", "hello"}));
}

TEST_F(RedisSubscription, keeps_the_order_of_a_publisher) {
  EXPECT_EQ(first_.ask({"SUBSCRIBE", "news"}), array({"subscribe", "news"}, ":1\r\n"));
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += resp({"PUBLISH", "news", std::to_string(i)});
  publisher_.send_bytes(bytes);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(publisher_.receive(), ":1\r\n");
    ASSERT_EQ(first_.receive(), array({"message", "news", std::to_string(i)}));
  }
}

TEST_F(RedisSubscription, allows_little_else_in_the_old_protocol) {
  EXPECT_EQ(first_.ask({"SUBSCRIBE", "a"}), array({"subscribe", "a"}, ":1\r\n"));
  EXPECT_EQ(first_.ask({"XLEN", "a"}),
            "-ERR Can't execute 'xlen': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n");
  EXPECT_EQ(first_.ask({"PING"}), array({"pong", ""}));
  EXPECT_EQ(first_.ask({"UNSUBSCRIBE"}), array({"unsubscribe", "a"}, ":0\r\n"));
  EXPECT_EQ(first_.ask({"UNSUBSCRIBE"}), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  EXPECT_EQ(first_.ask({"PING"}), "+PONG\r\n");
}

TEST_F(RedisSubscription, pushes_beside_replies_in_the_new_protocol) {
  EXPECT_TRUE(first_.ask({"HELLO", "3"}).starts_with("%7"));
  EXPECT_EQ(first_.ask({"SUBSCRIBE", "a"}), ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(first_.ask({"PING"}), "+PONG\r\n");
  EXPECT_EQ(publisher_.ask({"PUBLISH", "a", "x"}), ":1\r\n");
  EXPECT_EQ(first_.receive(), ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
}

TEST_F(RedisSubscription, ends_with_its_connection) {
  EXPECT_EQ(first_.ask({"SUBSCRIBE", "a"}), array({"subscribe", "a"}, ":1\r\n"));
  EXPECT_EQ(publisher_.ask({"PUBSUB", "CHANNELS"}), array({"a"}));
  EXPECT_EQ(publisher_.ask({"PUBSUB", "NUMSUB", "a", "b"}), "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n");
  first_.close();
  while (publisher_.ask({"PUBLISH", "a", "x"}) != ":0\r\n") {
  }
  EXPECT_EQ(publisher_.ask({"PUBSUB", "CHANNELS"}), "*0\r\n");
}

TEST(RedisSlowSubscriber, loses_its_connection_not_the_brokers_memory) {
  ServerOptions options;
  options.limits.output_bytes_max = 1024 * 1024;
  RedisNode node(options);
  RedisClient slow = node.client();
  RedisClient publisher = node.client();
  EXPECT_TRUE(slow.ask({"SUBSCRIBE", "a"}).starts_with("*3"));
  const std::string message(100'000, 'x');
  // It takes nothing, so the kernel's buffers fill and then ours.
  std::string receivers;
  do {
    receivers = publisher.ask({"PUBLISH", "a", message});
  } while (receivers == ":1\r\n");
  EXPECT_EQ(receivers, ":0\r\n");
}

}  // namespace
}  // namespace tidemark::redis
