#include "protocol/redis/adapter/command_table.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace tidemark::redis {
namespace {

constexpr std::size_t kNameBytesMax = 64;

/// Commands of Redis that work on data that does not exist here. Whoever sends one learns why instead of suspecting a typing error.
constexpr std::array kOtherDataTypes = {
    "append",
    "bitcount",
    "bitfield",
    "bitop",
    "bitpos",
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "decr",
    "decrby",
    "dump",
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
    "geoadd",
    "geodist",
    "geohash",
    "geopos",
    "georadius",
    "georadiusbymember",
    "geosearch",
    "geosearchstore",
    "get",
    "getbit",
    "getdel",
    "getex",
    "getrange",
    "getset",
    "hdel",
    "hexists",
    "hget",
    "hgetall",
    "hincrby",
    "hincrbyfloat",
    "hkeys",
    "hlen",
    "hmget",
    "hmset",
    "hrandfield",
    "hscan",
    "hset",
    "hsetnx",
    "hstrlen",
    "hvals",
    "incr",
    "incrby",
    "incrbyfloat",
    "lcs",
    "lindex",
    "linsert",
    "llen",
    "lmove",
    "lmpop",
    "lpop",
    "lpos",
    "lpush",
    "lpushx",
    "lrange",
    "lrem",
    "lset",
    "ltrim",
    "mget",
    "mset",
    "msetnx",
    "pfadd",
    "pfcount",
    "pfmerge",
    "psetex",
    "restore",
    "rpop",
    "rpoplpush",
    "rpush",
    "rpushx",
    "sadd",
    "scard",
    "sdiff",
    "sdiffstore",
    "set",
    "setbit",
    "setex",
    "setnx",
    "setrange",
    "sinter",
    "sintercard",
    "sinterstore",
    "sismember",
    "smembers",
    "smismember",
    "smove",
    "sort",
    "sort_ro",
    "spop",
    "srandmember",
    "srem",
    "sscan",
    "strlen",
    "substr",
    "sunion",
    "sunionstore",
    "zadd",
    "zcard",
    "zcount",
    "zdiff",
    "zdiffstore",
    "zincrby",
    "zinter",
    "zintercard",
    "zinterstore",
    "zlexcount",
    "zmpop",
    "zmscore",
    "zpopmax",
    "zpopmin",
    "zrandmember",
    "zrange",
    "zrangebylex",
    "zrangebyscore",
    "zrangestore",
    "zrank",
    "zrem",
    "zremrangebylex",
    "zremrangebyrank",
    "zremrangebyscore",
    "zrevrange",
    "zrevrangebylex",
    "zrevrangebyscore",
    "zrevrank",
    "zscan",
    "zscore",
    "zunion",
    "zunionstore",
};

/// Lower case, in a buffer of its own: names are compared on every request.
class LowerName {
 public:
  explicit LowerName(std::string_view name) : size_(std::min(name.size(), kNameBytesMax)) {
    for (std::size_t i = 0; i < size_; ++i) {
      const char c = name[i];
      bytes_[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, kNameBytesMax> bytes_;
  std::size_t size_;
};

struct Table {
  std::vector<const CommandSpec*> commands;
  std::unordered_map<std::string_view, const CommandSpec*> by_name;  ///< Subcommands too, as "client|id".
  std::unordered_map<const CommandSpec*, std::size_t> numbers;

  Table() {
    for (const auto family : {connection_commands(), client_commands(), server_commands(), config_commands(), introspection_commands(),
                              pubsub_commands(), transaction_commands(), stream_commands(), keyspace_commands()}) {
      for (const CommandSpec& command : family) {
        commands.push_back(&command);
        add(command);
        for (const CommandSpec& subcommand : command.subcommands) add(subcommand);
      }
    }
    std::ranges::sort(commands, {}, &CommandSpec::name);
  }

 private:
  void add(const CommandSpec& command) {
    CHECK(by_name.emplace(command.name, &command).second);
    numbers.emplace(&command, numbers.size());
  }
};

const Table& table() {
  static const Table kTable;
  return kTable;
}

/// As C prints text: up to a zero byte, at most `bytes_max`.
std::string_view printed(std::string_view text, std::size_t bytes_max) { return text.substr(0, std::min(text.find('\0'), bytes_max)); }

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return result;
}

Error unknown_command(const Arguments& arguments) {
  constexpr std::size_t kBytesMax = 128;
  const LowerName name(arguments[0]);
  if (std::ranges::any_of(kOtherDataTypes, [&](std::string_view other) { return other == name.view(); })) {
    return {Errc::invalid_argument, "ERR '" + std::string(name.view()) + "' is not served: Tidemark serves streams, no other data type"};
  }
  std::string shown;
  for (std::size_t i = 1; i < arguments.size() && shown.size() < kBytesMax; ++i) {
    shown += "'" + std::string(printed(arguments[i], kBytesMax - shown.size())) + "' ";
  }
  return {Errc::invalid_argument,
          "ERR unknown command '" + std::string(printed(arguments[0], kBytesMax)) + "', with args beginning with: " + shown};
}

}  // namespace

std::vector<std::size_t> key_positions(const CommandSpec& command, const Arguments& arguments) {
  if (command.find_keys != nullptr) return command.find_keys(arguments);
  std::vector<std::size_t> positions;
  if (command.keys.first == 0) return positions;
  const auto count = static_cast<int>(arguments.size());
  const int last = command.keys.last < 0 ? count + command.keys.last : command.keys.last;
  for (int i = command.keys.first; i <= last && i < count; i += command.keys.step) positions.push_back(static_cast<std::size_t>(i));
  return positions;
}

const std::vector<const CommandSpec*>& all_commands() { return table().commands; }

const CommandSpec* find_command(std::string_view name) {
  if (name.size() > kNameBytesMax) return nullptr;
  const auto found = table().by_name.find(LowerName(name).view());
  return found == table().by_name.end() ? nullptr : found->second;
}

std::size_t command_number(const CommandSpec& command) { return table().numbers.at(&command); }
std::size_t command_count() { return table().numbers.size(); }

Result<const CommandSpec*> look_up(const Arguments& arguments) {
  const bool plain_name = arguments[0].find('|') == std::string_view::npos;
  const CommandSpec* command = plain_name ? find_command(arguments[0]) : nullptr;
  if (command == nullptr) return unknown_command(arguments);
  if (!command->subcommands.empty() && arguments.size() > 1) {
    const LowerName wanted(arguments[1]);
    const std::size_t prefix = command->name.size() + 1;
    const auto found = std::ranges::find_if(command->subcommands, [&](const CommandSpec& subcommand) {
      return subcommand.name.substr(prefix) == wanted.view() && wanted.view().size() == arguments[1].size();
    });
    if (found != command->subcommands.end()) {
      command = &*found;
    } else {
      return Error{Errc::invalid_argument, "ERR unknown subcommand '" + std::string(printed(arguments[1], 128)) + "'. Try " +
                                               upper(printed(arguments[0], std::string_view::npos)) + " HELP."};
    }
  }
  const auto count = static_cast<int>(arguments.size());
  if ((command->arity > 0 && command->arity != count) || count < -command->arity) {
    return Error{Errc::invalid_argument, "ERR wrong number of arguments for '" + std::string(command->name) + "' command"};
  }
  return command;
}

}  // namespace tidemark::redis
