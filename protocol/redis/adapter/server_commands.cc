#include <array>
#include <memory>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/help.h"
#include "protocol/redis/adapter/info.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

void handle_info(const Call& call, const Request& request) {
  call.broker().status(call.context(), [call, request](Result<broker::BrokerStatus> status) {
    if (!status) return call.error(status.error());
    const std::span<const std::string_view> sections(request.arguments.data() + 1, request.size() - 1);
    RespWriter reply = call.writer();
    reply.verbatim(info_text(call, sections, *status));
    call.reply(std::move(reply));
  });
}

void handle_time(const Call& call, const Request&) {
  const std::int64_t ms = call.runtime().clock().now().time_since_epoch().count();
  RespWriter reply = call.writer();
  reply.array(2);
  reply.bulk(std::to_string(ms / 1000));
  reply.bulk(std::to_string(ms % 1000 * 1000));
  call.reply(std::move(reply));
}

/// There is no replica to wait for: what has been answered is on this broker's disk.
void handle_wait(const Call& call, const Request& request) {
  const std::optional<std::int64_t> replicas = parse_integer(request[1]);
  if (!replicas) return call.error(kNotAnInteger);
  const std::optional<std::int64_t> timeout = parse_integer(request[2]);
  if (!timeout) return call.error("ERR timeout is not an integer or out of range");
  if (*timeout < 0) return call.error("ERR timeout is negative");
  call.integer(0);
}

void handle_debug(const Call& call, const Request&) {
  call.error("ERR DEBUG command not allowed: this broker has nothing to debug from a client");
}

void handle_cluster(const Call& call, const Request&) { call.error("ERR This instance has cluster support disabled"); }

/// There are no functions and no scripts: none is left afterwards.
void answer_flush(const Call& call, const Request& request, std::string_view container, std::string_view refusal) {
  if (request.size() > 3) return call.error(wrong_subcommand(request[1], container));
  const bool known = request.size() == 2 || is_word(request[2], "sync") || is_word(request[2], "async");
  known ? call.ok() : call.error(refusal);
}
void handle_function_flush(const Call& call, const Request& request) {
  answer_flush(call, request, "FUNCTION", "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
}
void handle_script_flush(const Call& call, const Request& request) {
  answer_flush(call, request, "SCRIPT", "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
}

void handle_memory_usage(const Call& call, const Request& request) {
  const StreamKey key = find_stream(call.broker(), request[2]);
  if (request.size() == 5) {
    if (!is_word(request[3], "samples")) return call.error(kSyntaxError);
    const std::optional<std::int64_t> samples = parse_integer(request[4]);
    if (!samples) return call.error(kNotAnInteger);
    if (*samples < 0) return call.error(kSyntaxError);
  } else if (request.size() != 3) {
    return call.error(kSyntaxError);
  }
  if (!key.exists()) return call.null();
  const std::int32_t partition = key.where.partition;
  call.broker().describe(call.context(), key.where.topic, [call, partition](Result<std::vector<broker::PartitionInfo>> partitions) {
    if (!partitions) return partitions.error().code == Errc::unknown_topic ? call.null() : call.error(partitions.error());
    for (const broker::PartitionInfo& info : *partitions) {
      if (info.partition == partition) return call.integer(static_cast<std::int64_t>(info.bytes));
    }
    call.null();
  });
}

void handle_object_encoding(const Call& call, const Request& request) {
  find_stream(call.broker(), request[2]).exists() ? call.bulk("stream") : call.null();
}
void handle_object_refcount(const Call& call, const Request& request) {
  find_stream(call.broker(), request[2]).exists() ? call.integer(1) : call.null();
}

constexpr CommandGroup kServer = CommandGroup::server;
constexpr std::array kMemory = {
    CommandSpec{"memory|help", 2, kLoading | kStale, kServer, "4.0.0", "Prints this help", handle_help},
    CommandSpec{"memory|usage",
                -3,
                kReadonly,
                kServer,
                "4.0.0",
                "Bytes that a stream takes on the disk",
                handle_memory_usage,
                Ordering::read,
                {2, 2, 1}},
};
constexpr std::array kObject = {
    CommandSpec{"object|encoding",
                3,
                kReadonly,
                CommandGroup::generic,
                "2.2.3",
                "How a key is stored: as a stream",
                handle_object_encoding,
                Ordering::read,
                {2, 2, 1}},
    CommandSpec{"object|help", 2, kLoading | kStale, CommandGroup::generic, "6.2.0", "Prints this help", handle_help},
    CommandSpec{"object|refcount",
                3,
                kReadonly,
                CommandGroup::generic,
                "2.2.3",
                "1 for a key that exists",
                handle_object_refcount,
                Ordering::read,
                {2, 2, 1}},
};
constexpr std::array kFunction = {
    CommandSpec{"function|flush", -2, kNoScript | kWrite, CommandGroup::scripting, "7.0.0", "Accepted: there are no functions",
                handle_function_flush},
    CommandSpec{"function|help", 2, kNoScript | kLoading | kStale, CommandGroup::scripting, "7.0.0", "Prints this help", handle_help},
};
constexpr std::array kScript = {
    CommandSpec{"script|flush", -2, kNoScript, CommandGroup::scripting, "2.6.0", "Accepted: there are no scripts", handle_script_flush},
    CommandSpec{"script|help", 2, kNoScript | kLoading | kStale, CommandGroup::scripting, "5.0.0", "Prints this help", handle_help},
};
constexpr std::array kCommands = {
    CommandSpec{"cluster", -2, kStale, CommandGroup::cluster, "3.0.0", "Refused: clients see one server", handle_cluster},
    CommandSpec{"debug", -2, kAdmin | kNoScript | kLoading | kStale, kServer, "1.0.0", "Refused", handle_debug},
    CommandSpec{.name = "function",
                .arity = -2,
                .group = CommandGroup::scripting,
                .since = "7.0.0",
                .summary = "Commands about functions",
                .subcommands = kFunction},
    CommandSpec{"info", -1, kLoading | kStale, kServer, "1.0.0", "Facts and counters of the broker", handle_info},
    CommandSpec{
        .name = "memory", .arity = -2, .group = kServer, .since = "4.0.0", .summary = "Commands about memory", .subcommands = kMemory},
    CommandSpec{.name = "object",
                .arity = -2,
                .group = CommandGroup::generic,
                .since = "2.2.3",
                .summary = "Commands about how keys are stored",
                .subcommands = kObject},
    CommandSpec{.name = "script",
                .arity = -2,
                .group = CommandGroup::scripting,
                .since = "2.6.0",
                .summary = "Commands about scripts",
                .subcommands = kScript},
    CommandSpec{"time", 1, kLoading | kStale | kFast, kServer, "2.6.0", "The broker's time in seconds and microseconds", handle_time},
    CommandSpec{"wait", 3, 0, CommandGroup::generic, "3.0.0", "Number of replicas that have this connection's writes: 0", handle_wait,
                Ordering::alone},
};

}  // namespace

std::span<const CommandSpec> server_commands() { return kCommands; }

}  // namespace tidemark::redis
