#include <array>
#include <functional>
#include <utility>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/stream_id.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/words.h"

/// XGROUP. Errors are found in Redis's order: options, key, group, id.
namespace tidemark::redis {
namespace {

using broker::StreamGroupName;
using broker::StreamGroupStart;

constexpr std::string_view kKeyRequired =
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty "
    "stream automatically.";

struct GroupOptions {
  bool make_stream = false;
  std::optional<std::uint64_t> entries_read;
};

/// What stands behind the id. False: the call has been answered.
bool parse_options(const Call& call, const Request& request, bool create, GroupOptions& options) {
  for (std::size_t i = 5; i < request.size(); ++i) {
    if (create && is_word(request[i], "MKSTREAM")) {
      options.make_stream = true;
    } else if (is_word(request[i], "ENTRIESREAD") && i + 1 < request.size()) {
      const std::optional<std::int64_t> read = parse_integer(request[++i]);
      if (!read) {
        call.error(kNotAnInteger);
        return false;
      }
      if (*read < -1) {
        call.error("ERR value for ENTRIESREAD must be positive or -1");
        return false;
      }
      options.entries_read = *read < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(*read));
    } else {
      call.error(wrong_subcommand(request[1], "XGROUP"));
      return false;
    }
  }
  return true;
}

/// The stream whose groups are changed; nullopt: the call has been answered.
std::optional<StreamKey> find_stream_of(const Call& call, const Request& request, bool may_be_made) {
  StreamKey key = find_stream(call.broker(), request[2]);
  if (key.state == StreamKey::State::several) {
    call.error(key.problem);
  } else if (key.exists() && broker::is_internal_topic(key.where.topic)) {
    call.error("ERR the broker keeps topic '" + key.where.topic + "' for itself");
  } else if (!key.exists() && !(may_be_made && key.bare && key.state == StreamKey::State::missing)) {
    call.error(may_be_made && key.state == StreamKey::State::illegal ? std::string_view(key.problem) : kKeyRequired);
  } else {
    return key;
  }
  return std::nullopt;
}

void create_group(const Call& call, StreamGroupName name, StreamGroupStart start) {
  if (!broker::validate_group_name(name.group)) {
    return call.error("ERR a group name has 1 to " + std::to_string(broker::kGroupNameBytesMax) + " bytes");
  }
  call.broker().queues().stream_groups().create(call.context(), std::move(name), start, [call](const Status& made) {
    if (made) return call.ok();
    switch (made.error().code) {
      case Errc::conflict:
        return call.error("BUSYGROUP Consumer Group name already exists");
      case Errc::unknown_topic:
        return call.error(kKeyRequired);
      default:
        return call.error(made.error());
    }
  });
}

/// Answers NOGROUP unless there is the group; then goes on.
void with_group(const Call& call, const StreamGroupName& name, std::string key, std::function<void()> go_on) {
  call.broker().queues().stream_groups().exists(call.context(), name, [=, group = name.group](const Result<bool>& there) {
    if (!there) return call.error(there.error());
    *there ? go_on() : call.error(no_such_group(key, group));
  });
}

}  // namespace

void handle_xgroup_create(const Call& call, const Request& request) {
  GroupOptions options;
  if (!parse_options(call, request, true, options)) return;
  const std::optional<StreamKey> key = find_stream_of(call, request, options.make_stream);
  if (!key) return;
  if (request.size() > 8) return call.error(wrong_subcommand(request[1], "XGROUP"));
  StreamGroupStart start{.at = std::nullopt, .entries_read = options.entries_read};
  if (request[4] != "$") {
    start.at = parse_id(request[4], 0);
    if (!start.at) return call.error(kInvalidStreamId);
  }
  StreamGroupName name{key->where, std::string(request[3])};
  if (key->exists()) return create_group(call, std::move(name), start);
  call.broker().entries().create(call.context(), key->where.topic,
                                 [call, name, start](const Result<std::shared_ptr<const broker::Topic>>& made) {
                                   made ? create_group(call, name, start) : call.error(made.error());
                                 });
}

void handle_xgroup_setid(const Call& call, const Request& request) {
  GroupOptions options;
  if (!parse_options(call, request, false, options)) return;
  const std::optional<StreamKey> key = find_stream_of(call, request, false);
  if (!key) return;
  const StreamGroupName name{key->where, std::string(request[3])};
  const std::string id(request[4]), key_name(request[2]), subcommand(request[1]);
  const bool too_many = request.size() > 7;
  with_group(call, name, key_name, [=] {
    if (too_many) return call.error(wrong_subcommand(subcommand, "XGROUP"));
    StreamGroupStart start{.at = std::nullopt, .entries_read = options.entries_read};
    if (id != "$") {
      start.at = parse_id_or_end(id, 0);
      if (!start.at) return call.error(kInvalidStreamId);
    }
    call.broker().queues().stream_groups().set_id(call.context(), name, start, [=](const Status& set) {
      if (set) return call.ok();
      is_unknown(set.error()) ? call.error(no_such_group(key_name, name.group)) : call.error(set.error());
    });
  });
}

void handle_xgroup_destroy(const Call& call, const Request& request) {
  const std::optional<StreamKey> key = find_stream_of(call, request, false);
  if (!key) return;
  const StreamGroupName name{key->where, std::string(request[3])};
  call.broker().queues().stream_groups().exists(call.context(), name, [=](const Result<bool>& there) {
    if (!there) return call.error(there.error());
    if (!*there) return call.integer(0);
    call.broker().queues().remove(call.context(), {name.group, name.where.topic}, [call](const Status& removed) {
      if (removed) return call.integer(1);
      is_unknown(removed.error()) || removed.error().code == Errc::conflict ? call.integer(0) : call.error(removed.error());
    });
  });
}

void handle_xgroup_createconsumer(const Call& call, const Request& request) {
  const std::optional<StreamKey> key = find_stream_of(call, request, false);
  if (!key) return;
  const StreamGroupName name{key->where, std::string(request[3])};
  const auto answer = [call, key_name = std::string(request[2]), group = name.group](const Result<bool>& made) {
    if (made) return call.integer(*made ? 1 : 0);
    is_unknown(made.error()) ? call.error(no_such_group(key_name, group)) : call.error(made.error());
  };
  call.broker().queues().stream_groups().add_member(call.context(), name, std::string(request[4]), answer);
}

void handle_xgroup_delconsumer(const Call& call, const Request& request) {
  const std::optional<StreamKey> key = find_stream_of(call, request, false);
  if (!key) return;
  const StreamGroupName name{key->where, std::string(request[3])};
  const auto answer = [call, key_name = std::string(request[2]), group = name.group](const Result<std::uint64_t>& had) {
    if (had) return call.integer(static_cast<std::int64_t>(*had));
    is_unknown(had.error()) ? call.error(no_such_group(key_name, group)) : call.error(had.error());
  };
  call.broker().queues().stream_groups().remove_member(call.context(), name, std::string(request[4]), answer);
}

void reply_lines(const Call& call, std::span<const std::string_view> lines) {
  RespWriter reply = call.writer();
  reply.array(lines.size());
  for (const std::string_view line : lines) reply.simple(line);
  call.reply(std::move(reply));
}

void handle_xgroup_help(const Call& call, const Request&) {
  static constexpr std::array<std::string_view, 17> kLines = {
      "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "CREATE <key> <groupname> <id|$> [option]",
      "    Create a new consumer group. Options are:",
      "    * MKSTREAM",
      "      Create the empty stream if it does not exist.",
      "    * ENTRIESREAD entries_read",
      "      Set the group's entries_read counter (internal use).",
      "CREATECONSUMER <key> <groupname> <consumer>",
      "    Create a new consumer in the specified group.",
      "DELCONSUMER <key> <groupname> <consumer>",
      "    Remove the specified consumer.",
      "DESTROY <key> <groupname>",
      "    Remove the specified group.",
      "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
      "    Set the current group ID and entries_read counter.",
      "HELP",
      "    Prints this help.",
  };
  reply_lines(call, kLines);
}

}  // namespace tidemark::redis
