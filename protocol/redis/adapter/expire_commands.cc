#include "protocol/redis/adapter/expire_commands.h"

#include <limits>
#include <string>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

std::int64_t now_ms(const Call& call) { return call.runtime().clock().now().time_since_epoch().count(); }

/// On which condition an expiry is set.
struct Conditions {
  bool if_none = false, if_any = false, if_later = false, if_sooner = false;
  std::string error;

  bool admit(std::optional<std::int64_t> current, std::int64_t when) const {
    if (if_none && current) return false;
    if (if_any && !current) return false;
    if (if_later && (!current || when <= *current)) return false;  // None is later than any.
    return !(if_sooner && current && when >= *current);
  }
};

Conditions parse_conditions(const Request& request) {
  Conditions conditions;
  for (std::size_t i = 3; i < request.size(); ++i) {
    if (is_word(request[i], "NX"))
      conditions.if_none = true;
    else if (is_word(request[i], "XX"))
      conditions.if_any = true;
    else if (is_word(request[i], "GT"))
      conditions.if_later = true;
    else if (is_word(request[i], "LT"))
      conditions.if_sooner = true;
    else
      conditions.error = "ERR Unsupported option " + std::string(request[i]);
    if (!conditions.error.empty()) return conditions;
  }
  if (conditions.if_none && (conditions.if_any || conditions.if_later || conditions.if_sooner))
    conditions.error = "ERR NX and XX, GT or LT options at the same time are not compatible";
  else if (conditions.if_later && conditions.if_sooner)
    conditions.error = "ERR GT and LT options at the same time are not compatible";
  return conditions;
}

void set_expiry(const Call& call, const Request& request, std::int64_t base_ms, std::int64_t unit_ms) {
  const Conditions conditions = parse_conditions(request);
  if (!conditions.error.empty()) return call.error(conditions.error);
  const std::optional<std::int64_t> value = parse_integer(request[2]);
  if (!value) return call.error(kNotAnInteger);
  if (*value > kMax / unit_ms || *value < kMin / unit_ms || *value * unit_ms > kMax - base_ms)
    return call.error("ERR invalid expire time in '" + std::string(request.command->name) + "' command");
  const std::int64_t when = *value * unit_ms + base_ms;
  const std::optional<broker::EntryKey> key = call.broker().entries().key(request[1]);
  if (!key) return call.integer(0);
  std::optional<std::int64_t> current;
  if (key->expires) current = key->expires->time_since_epoch().count();
  if (!conditions.admit(current, when)) return call.integer(0);
  call.broker().entries().expire(call.context(), key->name, Timestamp(std::chrono::milliseconds(when)), [call](const Status& set) {
    if (set) return call.integer(1);
    set.error().code == Errc::unknown_topic ? call.integer(0) : call.error(set.error());
  });
}

/// -2: there is no such key; -1: it does not expire.
void reply_expiry(const Call& call, const Request& request, bool as_remaining, std::int64_t unit_ms) {
  const std::optional<broker::EntryKey> key = call.broker().entries().key(request[1]);
  if (!key) return call.integer(find_stream(call.broker(), request[1]).exists() ? -1 : -2);
  if (!key->expires) return call.integer(-1);
  const std::int64_t when = key->expires->time_since_epoch().count();
  const std::int64_t ms = as_remaining ? std::max<std::int64_t>(when - now_ms(call), 0) : when;
  call.integer((ms + unit_ms / 2) / unit_ms);
}

}  // namespace

void handle_expire(const Call& call, const Request& request) { set_expiry(call, request, now_ms(call), 1000); }
void handle_pexpire(const Call& call, const Request& request) { set_expiry(call, request, now_ms(call), 1); }
void handle_expireat(const Call& call, const Request& request) { set_expiry(call, request, 0, 1000); }
void handle_pexpireat(const Call& call, const Request& request) { set_expiry(call, request, 0, 1); }

void handle_ttl(const Call& call, const Request& request) { reply_expiry(call, request, true, 1000); }
void handle_pttl(const Call& call, const Request& request) { reply_expiry(call, request, true, 1); }
void handle_expiretime(const Call& call, const Request& request) { reply_expiry(call, request, false, 1000); }
void handle_pexpiretime(const Call& call, const Request& request) { reply_expiry(call, request, false, 1); }

void handle_persist(const Call& call, const Request& request) {
  const std::optional<broker::EntryKey> key = call.broker().entries().key(request[1]);
  if (!key || !key->expires) return call.integer(0);
  call.broker().entries().expire(call.context(), key->name, std::nullopt, [call](const Status& set) {
    if (set) return call.integer(1);
    set.error().code == Errc::unknown_topic ? call.integer(0) : call.error(set.error());
  });
}

}  // namespace tidemark::redis
