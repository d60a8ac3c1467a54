#pragma once

#include "protocol/redis/adapter/command.h"

/// When streams go by themselves; keyspace_commands.cc has the table. (https://redis.io/docs/latest/commands/expire/)
namespace tidemark::redis {

void handle_expire(const Call& call, const Request& request);
void handle_expireat(const Call& call, const Request& request);
void handle_expiretime(const Call& call, const Request& request);
void handle_persist(const Call& call, const Request& request);
void handle_pexpire(const Call& call, const Request& request);
void handle_pexpireat(const Call& call, const Request& request);
void handle_pexpiretime(const Call& call, const Request& request);
void handle_pttl(const Call& call, const Request& request);
void handle_ttl(const Call& call, const Request& request);

}  // namespace tidemark::redis
