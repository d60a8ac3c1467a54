#pragma once

#include "protocol/redis/adapter/command.h"

/// The commands of streams without groups; stream_commands.cc has their table.
namespace tidemark::redis {

void handle_xadd(const Call& call, const Request& request);
void handle_xcfgset(const Call& call, const Request& request);
void handle_xdel(const Call& call, const Request& request);
void handle_xdelex(const Call& call, const Request& request);
void handle_xinfo_stream(const Call& call, const Request& request);
void handle_xlen(const Call& call, const Request& request);
void handle_xrange(const Call& call, const Request& request);
void handle_xread(const Call& call, const Request& request);
void handle_xrevrange(const Call& call, const Request& request);
void handle_xsetid(const Call& call, const Request& request);
void handle_xtrim(const Call& call, const Request& request);

/// The keys behind STREAMS.
std::vector<std::size_t> find_xread_keys(const Arguments& arguments);

}  // namespace tidemark::redis
