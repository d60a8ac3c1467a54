#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/redis/codec/resp_request.h"
#include "storage/base/bytes.h"

namespace tidemark::redis {

class Call;
struct CommandSpec;

/// One request of a client: what it asks for, and its words, the command's name first. A copy may be kept for later: the bytes live as long
/// as it does.
struct Request {
  const CommandSpec* command = nullptr;
  Slice bytes;  ///< What the arguments are views into.
  Arguments arguments;

  std::size_t size() const { return arguments.size(); }
  std::string_view operator[](std::size_t i) const { return arguments[i]; }
};

/// How a command stands to the earlier ones of its connection that are still under way. Without a key in common, commands do not wait for
/// each other, except `alone`.
enum class Ordering : std::uint8_t {
  free,    ///< Touches no key.
  read,    ///< Waits for writes to its keys.
  append,  ///< Waits for all but other appends to its key: the engine keeps those in order.
  write,   ///< Waits for everything that touches its keys.
  alone,   ///< Waits for everything, and everything waits for it.
};

/// What COMMAND INFO says of a command. (https://redis.io/docs/latest/commands/command/)
enum CommandFlag : std::uint32_t {
  kWrite = 1u << 0,
  kReadonly = 1u << 1,
  kDenyOom = 1u << 2,
  kAdmin = 1u << 3,
  kPubSub = 1u << 4,
  kNoScript = 1u << 5,
  kBlocking = 1u << 6,
  kLoading = 1u << 7,
  kStale = 1u << 8,
  kFast = 1u << 9,
  kNoAuth = 1u << 10,
  kMovableKeys = 1u << 11,
  kNoMulti = 1u << 12,
};

enum class CommandGroup : std::uint8_t { connection, generic, pubsub, scripting, server, stream, transactions, cluster };

/// Which arguments are keys: from `first` to `last` (negative: from the end) in steps. first 0: none.
struct KeyRange {
  int first = 0;
  int last = 0;
  int step = 0;
};

/// Positions of the keys among the arguments, in their order; empty if the arguments do not tell.
using KeyFinder = std::vector<std::size_t> (*)(const Arguments& arguments);
/// Answers the call, now or later, exactly once. The request may be gone when the handler returns.
using Handler = void (*)(const Call& call, const Request& request);

struct CommandSpec {
  std::string_view name;  ///< Lower case; of a subcommand the whole name, "client|id".
  int arity = 0;          ///< Exact number of arguments, the name included (and the subcommand's); negative: at least so many.
  std::uint32_t flags = 0;
  CommandGroup group = CommandGroup::generic;
  std::string_view since;
  std::string_view summary;
  Handler handler = nullptr;  ///< Null: only its subcommands do anything.
  Ordering ordering = Ordering::free;
  KeyRange keys = {};
  KeyFinder find_keys = nullptr;  ///< Instead of `keys`, where a range does not tell.
  std::span<const CommandSpec> subcommands = {};
};

/// Positions of the keys of a request whose arity is right.
std::vector<std::size_t> key_positions(const CommandSpec& command, const Arguments& arguments);

}  // namespace tidemark::redis
