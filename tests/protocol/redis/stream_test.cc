#include <string>

#include <gtest/gtest.h>

#include "tests/protocol/redis/redis_node.h"

namespace tidemark::redis {
namespace {

class RedisStream : public testing::Test {
 protected:
  static std::string bulk(const std::string& text) { return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }
  static std::string entry(const std::string& id, const std::vector<std::string>& fields) {
    std::string reply = "*2\r\n" + bulk(id) + "*" + std::to_string(fields.size()) + "\r\n";
    for (const std::string& field : fields) reply += bulk(field);
    return reply;
  }

  RedisNode node_;
  RedisClient client_{node_.port()};
};

TEST_F(RedisStream, is_read_as_it_was_written) {
  EXPECT_EQ(client_.ask({"XADD", "s", "1-1", "a", "1", "a", "2"}), bulk("1-1"));
  EXPECT_EQ(client_.ask({"XADD", "s", "1-*", "key", "k", "value", "v", "h", ""}), bulk("1-2"));
  EXPECT_EQ(client_.ask({"XRANGE", "s", "-", "+"}),
            "*2\r\n" + entry("1-1", {"a", "1", "a", "2"}) + entry("1-2", {"key", "k", "value", "v", "h", ""}));
  EXPECT_EQ(client_.ask({"XREVRANGE", "s", "+", "-", "COUNT", "1"}), "*1\r\n" + entry("1-2", {"key", "k", "value", "v", "h", ""}));
  EXPECT_EQ(client_.ask({"XLEN", "s"}), ":2\r\n");
}

TEST_F(RedisStream, pipelined_commands_see_the_earlier_ones) {
  std::string bytes;
  for (int i = 1; i <= 200; ++i) {
    bytes += resp({"XADD", "s", std::to_string(i) + "-1", "f", "v"}) + resp({"XLEN", "s"});
    if (i % 10 == 0) bytes += resp({"XDEL", "s", std::to_string(i) + "-1"}) + resp({"XLEN", "s"});
  }
  client_.send_bytes(bytes);
  int length = 0;
  for (int i = 1; i <= 200; ++i) {
    ASSERT_EQ(client_.receive(), bulk(std::to_string(i) + "-1"));
    ASSERT_EQ(client_.receive(), ":" + std::to_string(++length) + "\r\n");
    if (i % 10 != 0) continue;
    ASSERT_EQ(client_.receive(), ":1\r\n");
    ASSERT_EQ(client_.receive(), ":" + std::to_string(--length) + "\r\n");
  }
}

TEST_F(RedisStream, a_thousand_appends_at_once_keep_their_order) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += resp({"XADD", "s", "5-*", "n", std::to_string(i)});
  client_.send_bytes(bytes);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(client_.receive(), bulk("5-" + std::to_string(i)));
}

TEST_F(RedisStream, a_blocked_reader_hears_the_next_entry) {
  RedisClient reader = node_.client();
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "other", "$", "0"});
  reader.send({"PING"});
  RedisNode::wait_for_blocked(client_, 1);
  EXPECT_EQ(client_.ask({"XADD", "s", "7-1", "f", "v"}), bulk("7-1"));
  EXPECT_EQ(reader.receive(), "*1\r\n*2\r\n" + bulk("s") + "*1\r\n" + entry("7-1", {"f", "v"}));
  EXPECT_EQ(reader.receive(), "+PONG\r\n");
  RedisNode::wait_for_blocked(client_, 0);
}

TEST_F(RedisStream, nothing_behind_a_blocked_command_is_done_before_it_is_answered) {
  RedisClient reader = node_.client();
  reader.send_bytes(resp({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"}) + resp({"XREAD", "BLOCK", "0", "STREAMS", "t", "$"}) +
                    resp({"XADD", "other", "1-1", "f", "v"}));
  RedisNode::wait_for_blocked(client_, 1);
  EXPECT_EQ(client_.ask({"XADD", "s", "7-1", "f", "v"}), bulk("7-1"));
  EXPECT_TRUE(reader.receive().starts_with("*1"));
  RedisNode::wait_for_blocked(client_, 1);
  EXPECT_EQ(client_.ask({"XLEN", "other"}), ":0\r\n");
  EXPECT_EQ(client_.ask({"XADD", "t", "7-1", "f", "v"}), bulk("7-1"));
  EXPECT_TRUE(reader.receive().starts_with("*1"));
  EXPECT_EQ(reader.receive(), bulk("1-1"));
}

TEST_F(RedisStream, a_blocked_reader_gets_a_map_in_the_new_protocol) {
  RedisClient reader = node_.client();
  EXPECT_TRUE(reader.ask({"HELLO", "3"}).starts_with("%7"));
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
  RedisNode::wait_for_blocked(client_, 1);
  EXPECT_EQ(client_.ask({"XADD", "s", "7-1", "f", "v"}), bulk("7-1"));
  EXPECT_EQ(reader.receive(), "%1\r\n" + bulk("s") + "*1\r\n" + entry("7-1", {"f", "v"}));
}

TEST_F(RedisStream, a_blocked_reader_can_be_freed) {
  RedisClient reader = node_.client();
  const std::string id = std::to_string(reader.ask_integer({"CLIENT", "ID"}));
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
  RedisNode::wait_for_blocked(client_, 1);
  EXPECT_EQ(client_.ask({"CLIENT", "UNBLOCK", id, "ERROR"}), ":1\r\n");
  EXPECT_EQ(reader.receive(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  EXPECT_EQ(client_.ask({"CLIENT", "UNBLOCK", id}), ":0\r\n");
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
  RedisNode::wait_for_blocked(client_, 1);
  EXPECT_EQ(client_.ask({"CLIENT", "UNBLOCK", id}), ":1\r\n");
  EXPECT_EQ(reader.receive(), "*-1\r\n");
}

TEST_F(RedisStream, a_blocked_reader_that_goes_leaves_nothing_behind) {
  RedisClient reader = node_.client();
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
  RedisNode::wait_for_blocked(client_, 1);
  reader.close();
  RedisNode::wait_for_blocked(client_, 0);
  EXPECT_NE(client_.ask({"INFO", "clients"}).find("total_blocking_keys:0\r\n"), std::string::npos);
}

TEST_F(RedisStream, a_stop_frees_blocked_readers) {
  RedisClient reader = node_.client();
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
  RedisNode::wait_for_blocked(client_, 1);
  node_.server().stop();
  EXPECT_EQ(reader.receive(), "*-1\r\n");
  EXPECT_EQ(reader.receive(), "<closed>");
}

TEST_F(RedisStream, a_transaction_is_answered_as_one) {
  for (const auto& command : std::vector<std::vector<std::string>>{{"XADD", "s", "1-1", "f", "v"},
                                                                   {"XLEN", "s"},
                                                                   {"XREAD", "BLOCK", "0", "STREAMS", "s", "1-1"},
                                                                   {"XDEL", "s", "1-1"},
                                                                   {"XLEN", "s"}}) {
    if (command[0] == "XADD") {
      EXPECT_EQ(client_.ask({"MULTI"}), "+OK\r\n");
    }
    EXPECT_EQ(client_.ask(command), "+QUEUED\r\n");
  }
  EXPECT_EQ(client_.ask({"EXEC"}), "*5\r\n" + bulk("1-1") + ":1\r\n*-1\r\n:1\r\n:0\r\n");
}

TEST_F(RedisStream, a_watched_key_that_changes_stops_the_transaction) {
  RedisClient other = node_.client();
  EXPECT_EQ(client_.ask({"XADD", "s", "1-1", "f", "v"}), bulk("1-1"));
  EXPECT_EQ(client_.ask({"WATCH", "s"}), "+OK\r\n");
  EXPECT_EQ(other.ask({"XADD", "s", "2-1", "f", "v"}), bulk("2-1"));
  EXPECT_EQ(client_.ask({"MULTI"}), "+OK\r\n");
  EXPECT_EQ(client_.ask({"XADD", "s", "3-1", "f", "v"}), "+QUEUED\r\n");
  EXPECT_EQ(client_.ask({"EXEC"}), "*-1\r\n");
  EXPECT_EQ(client_.ask({"XLEN", "s"}), ":2\r\n");
}

TEST_F(RedisStream, a_partition_of_any_topic_has_a_key_of_its_own) {
  node_.create_topic("orders", 2);
  EXPECT_EQ(client_.ask({"XLEN", "orders"}), "-ERR topic 'orders' has 2 partitions: address one of them as orders#0 to orders#1\r\n");
  EXPECT_EQ(client_.ask({"XADD", "orders#1", "*", "f", "v"}), bulk("1-0"));
  EXPECT_EQ(client_.ask({"XLEN", "orders#1"}), ":1\r\n");
  EXPECT_EQ(client_.ask({"XLEN", "orders#0"}), ":0\r\n");
  EXPECT_TRUE(client_.ask({"XADD", "orders#2", "*", "f", "v"}).starts_with("-ERR there is no partition"));
  EXPECT_EQ(client_.ask({"DBSIZE"}), ":0\r\n");
  EXPECT_EQ(client_.ask({"DEL", "orders"}), ":0\r\n");
}

TEST_F(RedisStream, a_key_that_is_no_topic_name_is_refused) {
  EXPECT_EQ(client_.ask({"XADD", "a b", "*", "f", "v"}), "-ERR invalid key: a topic name has 1 to 249 bytes of [A-Za-z0-9._:{}/-]\r\n");
  EXPECT_TRUE(client_.ask({"XADD", "__tidemark_schedule", "*", "f", "v"}).starts_with("-ERR the broker keeps topic"));
  EXPECT_EQ(client_.ask({"XLEN", "a b"}), ":0\r\n");
}

}  // namespace
}  // namespace tidemark::redis
