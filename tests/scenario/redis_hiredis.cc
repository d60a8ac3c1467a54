#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <hiredis/hiredis.h>

/// Debian's hiredis against a real broker: what C and C++ programs do with it. Usage: redis_hiredis PORT. Says "restart" and waits for a
/// line on its standard input, during which the broker is killed and started on the same port. Exit 0: all went well; else it says what did
/// not.
namespace {

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

void require(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "redis_hiredis: %s\n", what.c_str());
  std::exit(1);
}

Context connect_to(int port) {
  Context context(redisConnect("127.0.0.1", port));
  require(context && context->err == 0, "cannot connect");
  const timeval limit{.tv_sec = 60, .tv_usec = 0};
  require(redisSetTimeout(context.get(), limit) == REDIS_OK, "no time-out can be set");
  return context;
}

template <class... Arguments>
Reply ask(const Context& context, const char* format, Arguments... arguments) {
  Reply reply(static_cast<redisReply*>(redisCommand(context.get(), format, arguments...)));
  require(reply != nullptr, std::string(format) + ": " + context->errstr);
  return reply;
}

Reply next_reply(const Context& context) {
  void* reply = nullptr;
  require(redisGetReply(context.get(), &reply) == REDIS_OK, std::string("no reply: ") + context->errstr);
  return Reply(static_cast<redisReply*>(reply));
}

std::string text(const redisReply* reply) { return std::string(reply->str, reply->len); }
const redisReply* part(const redisReply* reply, std::size_t i) {
  require(reply->type == REDIS_REPLY_ARRAY && i < reply->elements, "an array is too short");
  return reply->element[i];
}

void handshake(const Context& context) {
  const Reply hello = ask(context, "HELLO 2 SETNAME %s", "hiredis");
  require(hello->type == REDIS_REPLY_ARRAY && hello->elements == 14, "HELLO 2 is no flat map");
  require(text(part(hello.get(), 1)) == "redis", "the server is called otherwise");
  require(text(ask(context, "CLIENT GETNAME").get()) == "hiredis", "the name is lost");
  // This hiredis has no RESP3: it finds a protocol error, and the next connection is as good as new.
  const Context modern(redisConnect("127.0.0.1", context->tcp.port));
  const Reply refused(static_cast<redisReply*>(redisCommand(modern.get(), "HELLO 3")));
  require(refused == nullptr && modern->err == REDIS_ERR_PROTOCOL, "this hiredis understands RESP3 after all");
  require(text(ask(context, "PING").get()) == "PONG", "the other connection is disturbed");
}

void binary_entries(const Context& context) {
  const std::string value("\0\r\n\xff", 4);
  const Reply id = ask(context, "XADD bin 1-1 %b %b", "f\0g", std::size_t{3}, value.data(), value.size());
  require(text(id.get()) == "1-1", "the id is not the one asked for");
  const Reply range = ask(context, "XRANGE bin - +");
  const redisReply* const fields = part(part(range.get(), 0), 1);
  require(text(part(fields, 0)) == std::string("f\0g", 3) && text(part(fields, 1)) == value, "bytes are changed");
  require(ask(context, "XADD bin 1-1 f v")->type == REDIS_REPLY_ERROR, "an id was given twice");
  require(ask(context, "XREAD STREAMS bin 1-1")->type == REDIS_REPLY_NIL, "nothing new is not nil");
}

void pipeline(const Context& context) {
  constexpr int kCount = 1000;
  for (int i = 1; i <= kCount; ++i) {
    require(redisAppendCommand(context.get(), "XADD s %d-0 n %d", i, i) == REDIS_OK, "the pipeline does not take a command");
  }
  redisAppendCommand(context.get(), "XLEN s");
  for (int i = 1; i <= kCount; ++i) require(text(next_reply(context).get()) == std::to_string(i) + "-0", "replies are out of order");
  require(next_reply(context)->integer == kCount, "not all entries are there");
}

void group(const Context& context, int port) {
  require(text(ask(context, "XGROUP CREATE s g 0").get()) == "OK", "no group");
  const Reply read = ask(context, "XREADGROUP GROUP g c COUNT 10 STREAMS s >");
  require(part(part(read.get(), 0), 1)->elements == 10, "not ten entries");
  require(ask(context, "XACK s g 1-0 2-0")->integer == 2, "not acknowledged");
  require(text(ask(context, "XGROUP CREATE blocked g $ MKSTREAM").get()) == "OK", "no stream");
  // One waits, the other appends.
  const Context other = connect_to(port);
  redisAppendCommand(context.get(), "XREADGROUP GROUP g c BLOCK 0 STREAMS blocked >");
  int done = 0;
  while (done == 0) require(redisBufferWrite(context.get(), &done) == REDIS_OK, "cannot send");
  while (text(ask(other, "INFO clients").get()).find("blocked_clients:1\r\n") == std::string::npos) {
  }
  ask(other, "XADD blocked 5-5 f v");
  const Reply woken = next_reply(context);
  require(text(part(part(part(part(woken.get(), 0), 1), 0), 0)) == "5-5", "the wrong entry");
  require(ask(context, "XREADGROUP GROUP g c BLOCK 1 STREAMS blocked >")->type == REDIS_REPLY_NIL, "a time-out is not nil");
}

void transaction(const Context& context) {
  redisAppendCommand(context.get(), "MULTI");
  redisAppendCommand(context.get(), "XADD t 1-1 f v");
  redisAppendCommand(context.get(), "XLEN t");
  redisAppendCommand(context.get(), "EXEC");
  require(text(next_reply(context).get()) == "OK", "no MULTI");
  for (int i = 0; i < 2; ++i) require(text(next_reply(context).get()) == "QUEUED", "not queued");
  const Reply all = next_reply(context);
  require(text(part(all.get(), 0)) == "1-1" && part(all.get(), 1)->integer == 1, "EXEC answers otherwise");
}

void subscription(int port) {
  const Context listener = connect_to(port);
  const Context speaker = connect_to(port);
  const Reply subscribed = ask(listener, "SUBSCRIBE news");
  require(text(part(subscribed.get(), 0)) == "subscribe", "not subscribed");
  require(ask(speaker, "PUBLISH news %s", "hello")->integer == 1, "nobody was told");
  const Reply message = next_reply(listener);
  require(text(part(message.get(), 0)) == "message" && text(part(message.get(), 2)) == "hello", "another message");
}

void reconnect(const Context& context) {
  std::puts("restart");
  std::fflush(stdout);
  std::getchar();
  const Reply lost(static_cast<redisReply*>(redisCommand(context.get(), "PING")));
  require(lost == nullptr && context->err != 0, "a dead connection answers");
  require(redisReconnect(context.get()) == REDIS_OK, std::string("cannot reconnect: ") + context->errstr);
  require(ask(context, "XLEN s")->integer == 1000, "entries are lost");
  const Reply pending = ask(context, "XPENDING s g");
  require(part(pending.get(), 0)->integer == 8, "what was pending is lost");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const int port = std::atoi(arguments[1]);
  const Context context = connect_to(port);
  handshake(context);
  binary_entries(context);
  pipeline(context);
  group(context, port);
  transaction(context);
  subscription(port);
  reconnect(context);
  return 0;
}
