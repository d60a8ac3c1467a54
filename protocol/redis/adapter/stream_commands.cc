#include <array>

#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/stream_handlers.h"

namespace tidemark::redis {
namespace {

constexpr CommandGroup kGroup = CommandGroup::stream;
constexpr KeyRange kFirst = {1, 1, 1};
constexpr KeyRange kSecond = {2, 2, 1};

constexpr std::array kXinfo = {
    CommandSpec{"xinfo|stream", -3, kReadonly, kGroup, "5.0.0", "What is known of a stream", handle_xinfo_stream, Ordering::read, kSecond},
};
constexpr std::array kCommands = {
    CommandSpec{"xadd", -5, kWrite | kDenyOom | kFast, kGroup, "5.0.0", "Appends an entry", handle_xadd, Ordering::append, kFirst},
    CommandSpec{"xdel", -3, kWrite | kFast, kGroup, "5.0.0", "Deletes entries by id", handle_xdel, Ordering::write, kFirst},
    CommandSpec{.name = "xinfo",
                .arity = -2,
                .group = kGroup,
                .since = "5.0.0",
                .summary = "Commands that describe streams",
                .subcommands = kXinfo},
    CommandSpec{"xlen", 2, kReadonly | kFast, kGroup, "5.0.0", "Number of entries", handle_xlen, Ordering::read, kFirst},
    CommandSpec{"xrange", -4, kReadonly, kGroup, "5.0.0", "Entries between two ids", handle_xrange, Ordering::read, kFirst},
    CommandSpec{"xread",
                -4,
                kReadonly | kBlocking | kMovableKeys,
                kGroup,
                "5.0.0",
                "Entries behind given ids, of several streams; may wait for them",
                handle_xread,
                Ordering::read,
                {},
                find_xread_keys},
    CommandSpec{"xrevrange", -4, kReadonly, kGroup, "5.0.0", "Entries between two ids, the last first", handle_xrevrange, Ordering::read,
                kFirst},
    CommandSpec{"xsetid", -3, kWrite | kDenyOom | kFast, kGroup, "5.0.0", "Sets the last id and the counters of a stream", handle_xsetid,
                Ordering::write, kFirst},
    CommandSpec{"xtrim", -4, kWrite, kGroup, "5.0.0", "Drops the oldest entries", handle_xtrim, Ordering::write, kFirst},
};

}  // namespace

std::span<const CommandSpec> stream_commands() { return kCommands; }

}  // namespace tidemark::redis
