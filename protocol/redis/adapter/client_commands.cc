#include <array>
#include <functional>
#include <set>

#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/client_name.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/help.h"
#include "protocol/redis/adapter/session_core.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

void handle_id(const Call& call, const Request&) { call.integer(static_cast<std::int64_t>(call.session().id())); }

void handle_getname(const Call& call, const Request&) {
  const std::string& name = call.session().facts().name;
  name.empty() ? call.null() : call.bulk(name);
}

void handle_setname(const Call& call, const Request& request) {
  if (!is_client_name(request[2])) return call.error(kBadClientName);
  call.session().set_name(request[2]);
  call.ok();
}

void handle_setinfo(const Call& call, const Request& request) {
  ClientFacts& facts = call.session().facts();
  const bool library_name = is_word(request[2], "lib-name");
  if (!library_name && !is_word(request[2], "lib-ver")) return call.error("ERR Unrecognized option '" + std::string(request[2]) + "'");
  if (!is_client_name(request[3])) {
    return call.error("ERR " + std::string(request[2]) + " cannot contain spaces, newlines or special characters.");
  }
  (library_name ? facts.library_name : facts.library_version) = request[3];
  call.ok();
}

void handle_info(const Call& call, const Request&) {
  RespWriter reply = call.writer();
  reply.verbatim(call.session().describe() + "\n");
  call.reply(std::move(reply));
}

/// The kinds of clients that CLIENT LIST and KILL tell apart. nullopt: no such kind.
std::optional<std::function<bool(const SessionCore&)>> of_kind(std::string_view kind) {
  if (is_word(kind, "normal")) return [](const SessionCore& session) { return session.subscription_count() == 0; };
  if (is_word(kind, "pubsub")) return [](const SessionCore& session) { return session.subscription_count() > 0; };
  if (is_word(kind, "master") || is_word(kind, "replica") || is_word(kind, "slave")) return [](const SessionCore&) { return false; };
  return std::nullopt;
}

void handle_list(const Call& call, const Request& request) {
  std::function<bool(const SessionCore&)> wanted = [](const SessionCore&) { return true; };
  if (request.size() == 4 && is_word(request[2], "TYPE")) {
    const auto kind = of_kind(request[3]);
    if (!kind) return call.error("ERR Unknown client type '" + std::string(request[3]) + "'");
    wanted = *kind;
  } else if (request.size() > 3 && is_word(request[2], "ID")) {
    std::set<std::uint64_t> ids;
    for (std::size_t i = 3; i < request.size(); ++i) {
      const std::optional<std::int64_t> id = parse_integer(request[i]);
      if (!id || *id < 1) return call.error("ERR Invalid client ID");
      ids.insert(static_cast<std::uint64_t>(*id));
    }
    wanted = [ids](const SessionCore& session) { return ids.contains(session.id()); };
  } else if (request.size() > 2) {
    return call.error(kSyntaxError);
  }
  call.server().clients.describe_all(
      call.shard(), [wanted](const SessionCore& session) { return wanted(session) ? session.describe() : std::string(); },
      [call](const std::vector<std::string>& lines) {
        std::string text;
        for (const std::string& line : lines) text += line + "\n";
        RespWriter reply = call.writer();
        reply.verbatim(text);
        call.reply(std::move(reply));
      });
}

/// Which clients CLIENT KILL means.
struct KillFilter {
  std::optional<std::uint64_t> id;
  std::optional<std::string> address, local_address;
  std::optional<std::function<bool(const SessionCore&)>> kind;
  bool skip_me = true;

  bool matches(SessionCore& session) const {
    return (!id || *id == session.id()) && (!address || *address == session.facts().address) &&
           (!local_address || *local_address == session.facts().local_address) && (!kind || (*kind)(session));
  }
};

/// nullopt: the call has been answered with an error.
std::optional<KillFilter> parse_kill(const Call& call, const Request& request) {
  KillFilter filter;
  for (std::size_t i = 2; i < request.size(); i += 2) {
    if (i + 1 == request.size()) {
      call.error(kSyntaxError);
      return std::nullopt;
    }
    const std::string_view option = request[i], value = request[i + 1];
    if (is_word(option, "id")) {
      const std::optional<std::int64_t> id = parse_integer(value);
      if (!id || *id < 1) {
        call.error("ERR client-id should be greater than 0");
        return std::nullopt;
      }
      filter.id = static_cast<std::uint64_t>(*id);
    } else if (is_word(option, "addr")) {
      filter.address = value;
    } else if (is_word(option, "laddr")) {
      filter.local_address = value;
    } else if (is_word(option, "type")) {
      filter.kind = of_kind(value);
      if (!filter.kind) {
        call.error("ERR Unknown client type '" + std::string(value) + "'");
        return std::nullopt;
      }
    } else if (is_word(option, "user")) {
      if (value != "default") {
        call.error("ERR No such user '" + std::string(value) + "'");
        return std::nullopt;
      }
    } else if (is_word(option, "skipme") && (is_word(value, "yes") || is_word(value, "no"))) {
      filter.skip_me = is_word(value, "yes");
    } else {
      call.error(kSyntaxError);
      return std::nullopt;
    }
  }
  return filter;
}

void handle_kill(const Call& call, const Request& request) {
  const bool old_form = request.size() == 3;
  KillFilter filter;
  if (old_form) {
    filter.address = request[2];
    filter.skip_me = false;
  } else {
    const std::optional<KillFilter> parsed = parse_kill(call, request);
    if (!parsed) return;
    filter = *parsed;
  }
  const std::uint64_t own_id = call.session().id();
  call.server().clients.visit_all(
      call.shard(),
      [filter, own_id](SessionCore& session) -> std::size_t {
        if (!filter.matches(session) || (filter.skip_me && session.id() == own_id)) return 0;
        // One's own connection ends when its answer has been sent.
        if (session.id() == own_id)
          session.fail({Errc::cancelled, "killed by itself"});
        else
          session.close();
        return 1;
      },
      [call, old_form](std::size_t killed) {
        if (!old_form) return call.integer(static_cast<std::int64_t>(killed));
        killed > 0 ? call.ok() : call.error("ERR No such client");
      });
}

void handle_unblock(const Call& call, const Request& request) {
  Unblock how = Unblock::timeout;
  if (request.size() > 4) return call.error(wrong_subcommand(request[1], "CLIENT"));
  if (request.size() == 4) {
    if (is_word(request[3], "error"))
      how = Unblock::error;
    else if (!is_word(request[3], "timeout"))
      return call.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  const std::optional<std::int64_t> id = parse_integer(request[2]);
  if (!id) return call.error(kNotAnInteger);
  call.server().clients.visit_all(
      call.shard(),
      [id = static_cast<std::uint64_t>(*id), how](SessionCore& session) -> std::size_t {
        return session.id() == id && session.unblock(how) ? 1 : 0;
      },
      [call](std::size_t unblocked) { call.integer(unblocked > 0 ? 1 : 0); });
}

/// ON and OFF for a flag that INFO shows and nothing else heeds: nothing here is evicted, and reading keeps no time.
void set_flag(const Call& call, std::string_view value, bool& flag) {
  if (!is_word(value, "on") && !is_word(value, "off")) return call.error(kSyntaxError);
  flag = is_word(value, "on");
  call.ok();
}
void handle_no_evict(const Call& call, const Request& request) { set_flag(call, request[2], call.session().facts().no_evict); }
void handle_no_touch(const Call& call, const Request& request) { set_flag(call, request[2], call.session().facts().no_touch); }

void handle_reply(const Call& call, const Request& request) {
  if (is_word(request[2], "on")) {
    call.session().set_reply_mode(ReplyMode::on);
    call.ok();
  } else if (is_word(request[2], "off")) {
    call.session().set_reply_mode(ReplyMode::off);
    call.nothing();
  } else if (is_word(request[2], "skip")) {
    call.session().set_reply_mode(ReplyMode::skip_next);
    call.nothing();
  } else {
    call.error(kSyntaxError);
  }
}

void handle_tracking(const Call& call, const Request&) {
  call.error("ERR client-side caching is not served: entries of a stream do not change");
}
void handle_trackinginfo(const Call& call, const Request&) {
  RespWriter reply = call.writer();
  reply.map(3);
  reply.bulk("flags");
  reply.set(1);
  reply.bulk("off");
  reply.bulk("redirect");
  reply.integer(-1);
  reply.bulk("prefixes");
  reply.array(0);
  call.reply(std::move(reply));
}
void handle_getredir(const Call& call, const Request&) { call.integer(-1); }

constexpr std::uint32_t kFlags = kNoScript | kLoading | kStale;
constexpr CommandGroup kGroup = CommandGroup::connection;
constexpr std::array kSubcommands = {
    CommandSpec{"client|getname", 2, kFlags, kGroup, "2.6.9", "The name of this connection", handle_getname},
    CommandSpec{"client|getredir", 2, kFlags, kGroup, "6.0.0", "Where invalidations go: nowhere", handle_getredir},
    CommandSpec{"client|help", 2, kFlags, kGroup, "5.0.0", "Prints this help", handle_help},
    CommandSpec{"client|id", 2, kFlags, kGroup, "5.0.0", "The number of this connection", handle_id},
    CommandSpec{"client|info", 2, kFlags, kGroup, "6.2.0", "What is known of this connection", handle_info},
    CommandSpec{"client|kill", -3, kFlags | kAdmin, kGroup, "2.4.0", "Ends other connections", handle_kill},
    CommandSpec{"client|list", -2, kFlags | kAdmin, kGroup, "2.4.0", "What is known of all connections", handle_list},
    CommandSpec{"client|no-evict", 3, kFlags | kAdmin, kGroup, "7.0.0", "Accepted; no connection is ever evicted", handle_no_evict},
    CommandSpec{"client|no-touch", 3, kFlags, kGroup, "7.2.0", "Accepted; reading never changes anything", handle_no_touch},
    CommandSpec{"client|reply", 3, kFlags, kGroup, "3.2.0", "Switches replies off and on", handle_reply},
    CommandSpec{"client|setinfo", 4, kFlags, kGroup, "7.2.0", "Says which library the client uses", handle_setinfo},
    CommandSpec{"client|setname", 3, kFlags, kGroup, "2.6.9", "Names this connection", handle_setname},
    CommandSpec{"client|tracking", -3, kFlags, kGroup, "6.0.0", "Refused: nothing here needs invalidation", handle_tracking},
    CommandSpec{"client|trackinginfo", 2, kFlags, kGroup, "6.2.0", "Tracking is off", handle_trackinginfo},
    CommandSpec{"client|unblock", -3, kFlags | kAdmin, kGroup, "5.0.0", "Ends the blocking command of another connection", handle_unblock},
};
constexpr std::array kCommands = {
    CommandSpec{.name = "client",
                .arity = -2,
                .group = kGroup,
                .since = "2.4.0",
                .summary = "Commands about connections",
                .subcommands = kSubcommands},
};

}  // namespace

std::span<const CommandSpec> client_commands() { return kCommands; }

}  // namespace tidemark::redis
