#include <string>

#include <gtest/gtest.h>

#include "tests/protocol/redis/redis_node.h"

/// EXEC beside other connections, which are on another shard.
namespace tidemark::redis {
namespace {

class RedisTransaction : public testing::Test {
 protected:
  static std::string transaction(const std::vector<std::vector<std::string>>& commands) {
    std::string bytes = resp({"MULTI"});
    for (const auto& command : commands) bytes += resp(command);
    return bytes + resp({"EXEC"});
  }
  /// The reply to EXEC, behind those to MULTI and the queued commands.
  static std::string receive_exec(RedisClient& client, std::size_t queued) {
    EXPECT_EQ(client.receive(), "+OK\r\n");
    for (std::size_t i = 0; i < queued; ++i) EXPECT_EQ(client.receive(), "+QUEUED\r\n");
    return client.receive();
  }
  /// The integers among the top-level elements of an array.
  static std::vector<std::int64_t> integers(const std::string& reply) {
    std::vector<std::int64_t> numbers;
    for (std::size_t at = reply.find("\r\n:"); at != std::string::npos; at = reply.find("\r\n:", at + 1)) {
      numbers.push_back(std::stoll(reply.substr(at + 3)));
    }
    return numbers;
  }

  RedisNode node_;
  RedisClient client_{node_.port()};
  RedisClient other_{node_.port()};
};

TEST_F(RedisTransaction, nobody_comes_between_its_commands) {
  constexpr int kRounds = 25;
  std::string mine, theirs;
  for (int i = 0; i < kRounds; ++i) {
    mine += transaction({{"XLEN", "k"}, {"XADD", "k", "*", "f", "v"}, {"XLEN", "k"}, {"XADD", "k", "*", "f", "v"}, {"XLEN", "k"}});
    for (int n = 0; n < 5; ++n) theirs += resp({"XADD", "k", "*", "f", "v"}) + resp({"XLEN", "unrelated"});
  }
  other_.send_bytes(theirs);
  client_.send_bytes(mine);
  for (int i = 0; i < kRounds; ++i) {
    const std::vector<std::int64_t> lengths = integers(receive_exec(client_, 5));
    ASSERT_EQ(lengths.size(), 3u);
    ASSERT_EQ(lengths[1], lengths[0] + 1);
    ASSERT_EQ(lengths[2], lengths[0] + 2);
  }
  for (int i = 0; i < kRounds * 5; ++i) {
    ASSERT_TRUE(other_.receive().starts_with('$'));
    ASSERT_EQ(other_.receive(), ":0\r\n");
  }
  EXPECT_EQ(client_.ask({"XLEN", "k"}), ":" + std::to_string(kRounds * 7) + "\r\n");
}

TEST_F(RedisTransaction, two_with_the_same_keys_in_another_order_both_end) {
  std::string mine, theirs;
  for (int i = 0; i < 30; ++i) {
    mine += transaction({{"XADD", "a", "*", "f", "v"}, {"XADD", "b", "*", "f", "v"}, {"XLEN", "a"}, {"XLEN", "b"}});
    theirs += transaction({{"XADD", "b", "*", "f", "v"}, {"XADD", "a", "*", "f", "v"}, {"XLEN", "a"}, {"XLEN", "b"}, {"DBSIZE"}});
  }
  client_.send_bytes(mine);
  other_.send_bytes(theirs);
  for (int i = 0; i < 30; ++i) {
    const std::vector<std::int64_t> lengths = integers(receive_exec(client_, 4));
    ASSERT_EQ(lengths.at(0), lengths.at(1));
    const std::vector<std::int64_t> other_lengths = integers(receive_exec(other_, 5));
    ASSERT_EQ(other_lengths.at(0), other_lengths.at(1));
    ASSERT_EQ(other_lengths.at(2), 2);
  }
}

TEST_F(RedisTransaction, wakes_a_reader_only_with_what_it_leaves) {
  RedisClient reader = node_.client();
  reader.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
  RedisNode::wait_for_blocked(client_, 1);
  client_.send_bytes(transaction({{"XADD", "s", "1-1", "f", "v"}, {"XDEL", "s", "1-1"}}));
  EXPECT_EQ(receive_exec(client_, 2), "*2\r\n$3\r\n1-1\r\n:1\r\n");
  client_.send_bytes(transaction({{"XADD", "s", "2-1", "f", "v"}, {"DEL", "s"}, {"XADD", "s", "3-1", "f", "v"}}));
  EXPECT_EQ(receive_exec(client_, 3), "*3\r\n$3\r\n2-1\r\n:1\r\n$3\r\n3-1\r\n");
  EXPECT_NE(reader.receive().find("3-1"), std::string::npos);
}

TEST_F(RedisTransaction, of_two_that_watched_the_same_only_one_runs) {
  for (int round = 0; round < 20; ++round) {
    const std::string value = std::to_string(round);
    client_.send({"WATCH", "k"});
    other_.send({"WATCH", "k"});
    ASSERT_EQ(client_.receive(), "+OK\r\n");
    ASSERT_EQ(other_.receive(), "+OK\r\n");
    client_.send_bytes(transaction({{"XADD", "k", "*", "by", "client", "value", value}}));
    other_.send_bytes(transaction({{"XADD", "k", "*", "by", "other", "value", value}}));
    const bool first = receive_exec(client_, 1) != "*-1\r\n";
    const bool second = receive_exec(other_, 1) != "*-1\r\n";
    ASSERT_NE(first, second) << "round " << round;
  }
  EXPECT_EQ(client_.ask({"XLEN", "k"}), ":20\r\n");
}

TEST_F(RedisTransaction, watch_hears_of_a_time_to_go) {
  ASSERT_EQ(client_.ask({"XADD", "k", "1-1", "f", "v"}), "$3\r\n1-1\r\n");
  ASSERT_EQ(client_.ask({"WATCH", "k"}), "+OK\r\n");
  ASSERT_EQ(other_.ask({"EXPIRE", "k", "1000"}), ":1\r\n");
  client_.send_bytes(transaction({{"XLEN", "k"}}));
  EXPECT_EQ(receive_exec(client_, 1), "*-1\r\n");
}

TEST_F(RedisTransaction, whose_client_has_gone_leaves_the_keys_to_others) {
  {
    RedisClient gone = node_.client();
    gone.send_bytes(transaction({{"XADD", "k", "1-1", "f", "v"}, {"XLEN", "k"}, {"XADD", "k", "1-2", "f", "v"}}));
    ASSERT_EQ(gone.receive(), "+OK\r\n");
  }
  EXPECT_EQ(client_.ask({"XADD", "k", "9-1", "f", "v"}), "$3\r\n9-1\r\n");
}

}  // namespace
}  // namespace tidemark::redis
