#include <array>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/client_name.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

constexpr std::string_view kWrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";

/// Nobody has set a password, so the default user may come in with any, as in Redis; there is no other user.
bool may_enter(std::string_view user) { return user == "default"; }

void handle_auth(const Call& call, const Request& request) {
  if (request.size() > 3) return call.error(kSyntaxError);
  if (request.size() == 2) {
    return call.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?");
  }
  if (!may_enter(request[1])) return call.error(kWrongPassword);
  call.ok();
}

void reply_hello(const Call& call) {
  // The answer is already in the new version.
  RespWriter reply(call.session().protocol());
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(call.server().facts.redis_version());
  reply.bulk("proto");
  reply.integer(static_cast<int>(call.session().protocol()));
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(call.session().id()));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
  call.reply(std::move(reply));
}

void handle_hello(const Call& call, const Request& request) {
  std::optional<Protocol> protocol;
  std::size_t next = 1;
  if (request.size() > 1) {
    const std::optional<std::int64_t> version = parse_integer(request[next++]);
    if (!version) return call.error("ERR Protocol version is not an integer or out of range");
    if (*version != 2 && *version != 3) return call.error("NOPROTO unsupported protocol version");
    protocol = *version == 3 ? Protocol::resp3 : Protocol::resp2;
  }
  std::optional<std::string_view> user, name;
  while (next < request.size()) {
    const std::size_t more = request.size() - next - 1;
    if (is_word(request[next], "AUTH") && more >= 2) {
      user = request[next + 1];
      next += 3;
    } else if (is_word(request[next], "SETNAME") && more >= 1) {
      name = request[next + 1];
      if (!is_client_name(*name)) return call.error(kBadClientName);
      next += 2;
    } else {
      return call.error("ERR Syntax error in HELLO option '" + std::string(request[next]) + "'");
    }
  }
  if (user && !may_enter(*user)) return call.error(kWrongPassword);
  if (name) call.session().set_name(*name);
  if (protocol) call.session().set_protocol(*protocol);
  reply_hello(call);
}

void handle_ping(const Call& call, const Request& request) {
  if (request.size() > 2) return call.error("ERR wrong number of arguments for 'ping' command");
  if (call.session().only_subscribing()) {
    RespWriter reply = call.writer();
    reply.array(2);
    reply.bulk("pong");
    reply.bulk(request.size() == 2 ? request[1] : "");
    return call.reply(std::move(reply));
  }
  if (request.size() == 2) return call.bulk(request[1]);
  call.simple("PONG");
}

void handle_echo(const Call& call, const Request& request) { call.bulk(request[1]); }

void handle_quit(const Call& call, const Request&) {
  call.end_connection();
  call.ok();
}

void handle_reset(const Call& call, const Request&) {
  SessionCore& session = call.session();
  session.multi().clear();
  session.multi().watched.clear();
  session.unsubscribe_all();
  session.set_protocol(Protocol::resp2);
  session.set_reply_mode(ReplyMode::on);
  session.set_name({});
  session.facts().no_evict = session.facts().no_touch = false;
  call.simple("RESET");
}

void handle_select(const Call& call, const Request& request) {
  const std::optional<std::int64_t> index = parse_integer(request[1]);
  if (!index) return call.error(kNotAnInteger);
  if (*index > INT32_MAX || *index < INT32_MIN)
    return call.error("ERR value is out of range, value must between -2147483648 and 2147483647");
  // Topics have one name space.
  if (*index != 0) return call.error("ERR DB index is out of range");
  call.ok();
}

/// What a browser sends is no request: the connection ends without a word, so that a web page cannot talk to the broker.
void handle_web_page(const Call& call, const Request&) {
  call.end_connection();
  call.nothing();
}

constexpr std::uint32_t kAlways = kNoScript | kLoading | kStale | kFast;
constexpr std::array kCommands = {
    CommandSpec{"auth", -2, kAlways | kNoAuth, CommandGroup::connection, "1.0.0", "Says who the client is", handle_auth},
    CommandSpec{"echo", 2, kFast, CommandGroup::connection, "1.0.0", "Answers its argument", handle_echo},
    CommandSpec{"hello", -1, kAlways | kNoAuth, CommandGroup::connection, "6.0.0", "Agrees on the version of the protocol", handle_hello},
    CommandSpec{"ping", -1, kFast, CommandGroup::connection, "1.0.0", "Answers PONG, or its argument", handle_ping},
    CommandSpec{"quit", -1, kAlways | kNoAuth, CommandGroup::connection, "1.0.0", "Ends the connection", handle_quit},
    CommandSpec{"reset", 1, kAlways | kNoAuth, CommandGroup::connection, "6.2.0", "Makes the connection as good as new", handle_reset},
    CommandSpec{"select", 2, kLoading | kStale | kFast, CommandGroup::connection, "1.0.0", "Chooses a database; there is only 0",
                handle_select},
    CommandSpec{"post", -1, kAlways, CommandGroup::server, "1.0.0", "Ends the connection: no client sends this", handle_web_page},
    CommandSpec{"host:", -1, kAlways, CommandGroup::server, "1.0.0", "Ends the connection: no client sends this", handle_web_page},
};

}  // namespace

std::span<const CommandSpec> connection_commands() { return kCommands; }

}  // namespace tidemark::redis
