#include <string>

#include <gtest/gtest.h>

#include "tests/protocol/redis/redis_node.h"

namespace tidemark::redis {
namespace {

class RedisSession : public testing::Test {
 protected:
  RedisNode node_;
  RedisClient client_{node_.port()};
};

TEST_F(RedisSession, answers_in_the_order_of_the_requests) {
  std::string bytes;
  std::string wanted;
  for (int i = 0; i < 5000; ++i) bytes += resp({"ECHO", std::to_string(i)});
  client_.send_bytes(bytes);
  for (int i = 0; i < 5000; ++i) {
    const std::string number = std::to_string(i);
    ASSERT_EQ(client_.receive(), "$" + std::to_string(number.size()) + "\r\n" + number + "\r\n");
  }
}

TEST_F(RedisSession, takes_requests_byte_by_byte) {
  for (const char c : resp({"ECHO", "slow"}) + "PING\r\n") client_.send_bytes(std::string_view(&c, 1));
  EXPECT_EQ(client_.receive(), "$4\r\nslow\r\n");
  EXPECT_EQ(client_.receive(), "+PONG\r\n");
}

TEST_F(RedisSession, takes_large_arguments_wherever_they_stand) {
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(client_.ask({"ECHO", large}), "$3000000\r\n" + large + "\r\n");
  EXPECT_EQ(client_.ask({"PUBLISH", large, "x"}), ":0\r\n");
  EXPECT_EQ(client_.ask({"PING"}), "+PONG\r\n");
}

TEST_F(RedisSession, agrees_on_the_version_of_the_protocol) {
  EXPECT_EQ(client_.ask({"CLIENT", "GETNAME"}), "$-1\r\n");
  EXPECT_TRUE(client_.ask({"HELLO", "3", "SETNAME", "me"}).starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"));
  EXPECT_EQ(client_.ask({"CLIENT", "GETNAME"}), "$2\r\nme\r\n");
  EXPECT_TRUE(client_.ask({"CONFIG", "GET", "save"}).starts_with("%1\r\n"));
  EXPECT_EQ(client_.ask({"RESET"}), "+RESET\r\n");
  EXPECT_TRUE(client_.ask({"CONFIG", "GET", "save"}).starts_with("*2\r\n"));
}

TEST_F(RedisSession, ends_behind_bytes_that_are_no_request) {
  client_.send_bytes(resp({"PING"}) + "*1\r\n!\r\n" + resp({"PING"}));
  EXPECT_EQ(client_.receive(), "+PONG\r\n");
  EXPECT_EQ(client_.receive(), "-ERR Protocol error: expected '$', got '!'\r\n");
  EXPECT_EQ(client_.receive(), "<closed>");
}

TEST_F(RedisSession, ends_without_a_word_for_a_web_page) {
  client_.send_bytes("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nPING\r\n");
  EXPECT_EQ(client_.receive(), "<closed>");
}

TEST_F(RedisSession, ends_behind_quit) {
  client_.send_bytes(resp({"PING"}) + resp({"QUIT"}) + resp({"PING"}));
  EXPECT_EQ(client_.receive(), "+PONG\r\n");
  EXPECT_EQ(client_.receive(), "+OK\r\n");
  EXPECT_EQ(client_.receive(), "<closed>");
}

TEST_F(RedisSession, answers_what_was_asked_before_the_peer_stopped_sending) {
  client_.send_bytes(resp({"INFO", "server"}) + resp({"PING"}));
  client_.end_sending();
  EXPECT_TRUE(client_.receive().starts_with("$"));
  EXPECT_EQ(client_.receive(), "+PONG\r\n");
  EXPECT_EQ(client_.receive(), "<closed>");
}

TEST_F(RedisSession, is_silent_when_asked_to_be) {
  client_.send_bytes("CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nPING\r\nPING x\r\n");
  EXPECT_EQ(client_.receive(), "+OK\r\n");
  EXPECT_EQ(client_.receive(), "$1\r\nx\r\n");
}

TEST_F(RedisSession, tells_all_connections_apart) {
  RedisClient other = node_.client();
  EXPECT_EQ(other.ask({"CLIENT", "SETNAME", "other"}), "+OK\r\n");
  const std::string list = client_.ask({"CLIENT", "LIST"});
  EXPECT_NE(list.find("name=other"), std::string::npos) << list;
  EXPECT_NE(list.find("cmd=client|list"), std::string::npos) << list;
  EXPECT_NE(client_.ask_integer({"CLIENT", "ID"}), other.ask_integer({"CLIENT", "ID"}));
  EXPECT_EQ(client_.ask({"CLIENT", "KILL", "ID", std::to_string(other.ask_integer({"CLIENT", "ID"}))}), ":1\r\n");
  EXPECT_EQ(other.receive(), "<closed>");
}

TEST_F(RedisSession, garbage_of_one_does_not_disturb_another) {
  for (int i = 0; i < 50; ++i) {
    RedisClient bad = node_.client();
    bad.send_bytes(std::string("\x16\x03\x01\x02\0\x01", 6) + std::string(static_cast<std::size_t>(i) * 100, '\xff') + "\r\n*2\r\n$-7\r\n");
    ASSERT_EQ(client_.ask({"PING"}), "+PONG\r\n");
  }
}

TEST_F(RedisSession, stops_with_connections_open) {
  EXPECT_EQ(client_.ask({"PING"}), "+PONG\r\n");
  node_.server().stop();
  EXPECT_EQ(client_.receive(), "<closed>");
}

TEST(RedisServer, turns_away_who_is_too_many) {
  ServerOptions options;
  options.connections_max = 1;
  RedisNode node(options);
  RedisClient first = node.client();
  EXPECT_EQ(first.ask({"PING"}), "+PONG\r\n");
  EXPECT_EQ(node.client().receive(), "-ERR max number of clients reached\r\n");
}

TEST(RedisServer, bounds_what_a_request_may_hold) {
  ServerOptions options;
  options.limits.request.bulk_bytes_max = 1000;
  options.limits.request.arguments_max = 10;
  RedisNode node(options);
  RedisClient large = node.client();
  large.send_bytes("*2\r\n$4\r\nECHO\r\n$1001\r\n");
  EXPECT_EQ(large.receive(), "-ERR Protocol error: invalid bulk length\r\n");
  RedisClient many = node.client();
  many.send_bytes("*11\r\n");
  EXPECT_EQ(many.receive(), "-ERR Protocol error: invalid multibulk length\r\n");
}

TEST(RedisServer, says_which_redis_it_is) {
  ServerOptions options;
  options.facts.compat = ServerFacts::Compat::v7_0;
  RedisNode node(options);
  RedisClient client = node.client();
  const std::string info = client.ask({"INFO", "server"});
  EXPECT_NE(info.find("redis_version:7.0.15\r\n"), std::string::npos);
  EXPECT_NE(info.find("tidemark_version:1.2.3\r\n"), std::string::npos);
  EXPECT_EQ(client.ask({"INFO", "clients"}).find("total_blocking_keys"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::redis
