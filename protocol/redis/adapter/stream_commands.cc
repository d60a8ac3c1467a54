#include <array>

#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/group_handlers.h"
#include "protocol/redis/adapter/stream_handlers.h"

namespace tidemark::redis {
namespace {

constexpr CommandGroup kGroup = CommandGroup::stream;
constexpr KeyRange kFirst = {1, 1, 1};
constexpr KeyRange kSecond = {2, 2, 1};

constexpr std::array kXgroup = {
    CommandSpec{"xgroup|create", -5, kWrite | kDenyOom, kGroup, "5.0.0", "Makes a group", handle_xgroup_create, Ordering::write, kSecond},
    CommandSpec{"xgroup|createconsumer", 5, kWrite | kDenyOom, kGroup, "6.2.0", "Makes a consumer of a group", handle_xgroup_createconsumer,
                Ordering::write, kSecond},
    CommandSpec{"xgroup|delconsumer", 5, kWrite, kGroup, "5.0.0", "Removes a consumer, and what it has", handle_xgroup_delconsumer,
                Ordering::write, kSecond},
    CommandSpec{"xgroup|destroy", 4, kWrite, kGroup, "5.0.0", "Removes a group", handle_xgroup_destroy, Ordering::write, kSecond},
    CommandSpec{"xgroup|help", 2, kLoading | kStale, kGroup, "5.0.0", "Says what XGROUP can do", handle_xgroup_help},
    CommandSpec{"xgroup|setid", -5, kWrite, kGroup, "5.0.0", "Puts a group elsewhere", handle_xgroup_setid, Ordering::write, kSecond},
};
constexpr std::array kXinfo = {
    CommandSpec{"xinfo|consumers", 4, kReadonly, kGroup, "5.0.0", "The consumers of a group", handle_xinfo_consumers, Ordering::read,
                kSecond},
    CommandSpec{"xinfo|groups", 3, kReadonly, kGroup, "5.0.0", "The groups of a stream", handle_xinfo_groups, Ordering::read, kSecond},
    CommandSpec{"xinfo|help", 2, kLoading | kStale, kGroup, "5.0.0", "Says what XINFO can do", handle_xinfo_help},
    CommandSpec{"xinfo|stream", -3, kReadonly, kGroup, "5.0.0", "What is known of a stream", handle_xinfo_stream, Ordering::read, kSecond},
};
constexpr std::array kCommands = {
    CommandSpec{"xack", -4, kWrite | kFast, kGroup, "5.0.0", "Finishes entries a group has handed out", handle_xack, Ordering::append,
                kFirst},
    CommandSpec{"xackdel", -6, kWrite | kFast, kGroup, "8.2.0", "Finishes entries a group has handed out, and deletes them", handle_xackdel,
                Ordering::write, kFirst},
    CommandSpec{"xadd", -5, kWrite | kDenyOom | kFast, kGroup, "5.0.0", "Appends an entry", handle_xadd, Ordering::append, kFirst},
    CommandSpec{"xautoclaim", -6, kWrite | kFast, kGroup, "6.2.0", "Takes over what others have had for long", handle_xautoclaim,
                Ordering::write, kFirst},
    CommandSpec{"xcfgset", -2, kWrite | kDenyOom | kFast, kGroup, "8.6.0", "Sets how long and for how many entries XADD IDMP holds",
                handle_xcfgset, Ordering::write, kFirst},
    CommandSpec{"xclaim", -6, kWrite | kFast, kGroup, "5.0.0", "Takes over what others have", handle_xclaim, Ordering::write, kFirst},
    CommandSpec{"xdel", -3, kWrite | kFast, kGroup, "5.0.0", "Deletes entries by id", handle_xdel, Ordering::write, kFirst},
    CommandSpec{"xdelex", -5, kWrite | kFast, kGroup, "8.2.0", "Deletes entries by id, with regard to groups", handle_xdelex,
                Ordering::write, kFirst},
    CommandSpec{
        .name = "xgroup", .arity = -2, .group = kGroup, .since = "5.0.0", .summary = "Commands that manage groups", .subcommands = kXgroup},
    CommandSpec{.name = "xinfo",
                .arity = -2,
                .group = kGroup,
                .since = "5.0.0",
                .summary = "Commands that describe streams",
                .subcommands = kXinfo},
    CommandSpec{"xlen", 2, kReadonly | kFast, kGroup, "5.0.0", "Number of entries", handle_xlen, Ordering::read, kFirst},
    CommandSpec{"xnack", -7, kWrite | kFast, kGroup, "8.8.0", "Gives back entries a group has handed out", handle_xnack, Ordering::write,
                kFirst},
    CommandSpec{"xpending", -3, kReadonly, kGroup, "5.0.0", "What a group has handed out and not finished", handle_xpending, Ordering::read,
                kFirst},
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
    CommandSpec{"xreadgroup",
                -7,
                kWrite | kBlocking | kMovableKeys,
                kGroup,
                "5.0.0",
                "Entries for a consumer of a group, of several streams; may wait for them",
                handle_xreadgroup,
                Ordering::write,
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
