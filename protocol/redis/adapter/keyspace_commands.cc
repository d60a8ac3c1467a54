#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include "broker/entries/entries.h"
#include "protocol/redis/adapter/call.h"
#include "protocol/redis/adapter/command_table.h"
#include "protocol/redis/adapter/errors.h"
#include "protocol/redis/adapter/expire_commands.h"
#include "protocol/redis/adapter/glob.h"
#include "protocol/redis/adapter/stream_key.h"
#include "protocol/redis/adapter/words.h"

namespace tidemark::redis {
namespace {

/// Deletes topics side by side and answers how many were there.
void delete_all(const Call& call, const std::set<std::string>& names, std::function<void(Result<std::size_t>)> done) {
  struct Deletion {
    std::size_t waiting = 1, deleted = 0;
    std::optional<Error> failed;
    std::function<void(Result<std::size_t>)> done;
    void end_part() {
      if (--waiting > 0) return;
      failed ? done(*failed) : done(deleted);
    }
  };
  const auto deletion = std::make_shared<Deletion>();
  deletion->done = std::move(done);
  for (const std::string& name : names) {
    ++deletion->waiting;
    call.broker().delete_topic(call.context(), name, [deletion](const Status& deleted) {
      if (deleted)
        ++deletion->deleted;
      else if (deleted.error().code != Errc::unknown_topic)
        deletion->failed = deleted.error();
      deletion->end_part();
    });
  }
  deletion->end_part();
}

void handle_del(const Call& call, const Request& request) {
  std::set<std::string> names;
  for (std::size_t i = 1; i < request.size(); ++i) {
    if (call.broker().entries().key(request[i])) names.emplace(request[i]);
  }
  delete_all(call, names, [call](const Result<std::size_t>& deleted) {
    deleted ? call.integer(static_cast<std::int64_t>(*deleted)) : call.error(deleted.error());
  });
}

void handle_flush(const Call& call, const Request& request) {
  const bool known = request.size() == 1 || (request.size() == 2 && (is_word(request[1], "sync") || is_word(request[1], "async")));
  if (!known) return call.error(kSyntaxError);
  std::set<std::string> names;
  for (const broker::EntryKey& key : call.broker().entries().keys()) names.insert(key.name);
  delete_all(call, names, [call](const Result<std::size_t>& deleted) { deleted ? call.ok() : call.error(deleted.error()); });
}

void handle_exists(const Call& call, const Request& request) {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < request.size(); ++i) count += find_stream(call.broker(), request[i]).exists() ? 1 : 0;
  call.integer(count);
}

void handle_type(const Call& call, const Request& request) {
  call.simple(find_stream(call.broker(), request[1]).exists() ? "stream" : "none");
}

void reply_names(const Call& call, const std::vector<std::string>& names) {
  RespWriter reply = call.writer();
  reply.array(names.size());
  for (const std::string& name : names) reply.bulk(name);
  call.reply(std::move(reply));
}

void handle_keys(const Call& call, const Request& request) {
  std::vector<std::string> names;
  for (const broker::EntryKey& key : call.broker().entries().keys()) {
    if (matches_glob(request[1], key.name)) names.push_back(key.name);
  }
  reply_names(call, names);
}

void handle_dbsize(const Call& call, const Request&) { call.integer(static_cast<std::int64_t>(call.broker().entries().keys().size())); }

void handle_randomkey(const Call& call, const Request&) {
  const std::vector<broker::EntryKey> keys = call.broker().entries().keys();
  keys.empty() ? call.null() : call.bulk(keys[call.runtime().random() % keys.size()].name);
}

/// Where a name stands in the order of SCAN: its place does not depend on which others there are. Never 0, with which a scan begins and
/// ends. (FNV-1a)
std::uint64_t scan_place(std::string_view name) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  constexpr int kCursorBits = 48;  // Some clients keep cursors in doubles.
  return std::max<std::uint64_t>(hash >> (64 - kCursorBits), 1);
}

struct ScanOptions {
  std::size_t count = 10;
  std::string_view pattern = "*";
  bool streams = true;  ///< TYPE of anything else finds nothing.
  std::string_view error;
};

ScanOptions parse_scan(const Request& request) {
  ScanOptions options;
  for (std::size_t i = 2; i < request.size(); i += 2) {
    if (i + 1 == request.size()) {
      options.error = kSyntaxError;
    } else if (is_word(request[i], "COUNT")) {
      const std::optional<std::int64_t> count = parse_integer(request[i + 1]);
      if (!count)
        options.error = kNotAnInteger;
      else if (*count < 1)
        options.error = kSyntaxError;
      else
        options.count = static_cast<std::size_t>(*count);
    } else if (is_word(request[i], "MATCH")) {
      options.pattern = request[i + 1];
    } else if (is_word(request[i], "TYPE")) {
      options.streams = is_word(request[i + 1], "stream");
    } else {
      options.error = kSyntaxError;
    }
    if (!options.error.empty()) break;
  }
  return options;
}

void handle_scan(const Call& call, const Request& request) {
  const std::optional<std::uint64_t> cursor = parse_unsigned(request[1]);
  if (!cursor) return call.error("ERR invalid cursor");
  const ScanOptions options = parse_scan(request);
  if (!options.error.empty()) return call.error(options.error);
  std::vector<std::pair<std::uint64_t, std::string>> ahead;
  for (broker::EntryKey& key : call.broker().entries().keys()) {
    const std::uint64_t place = scan_place(key.name);
    if (place >= *cursor) ahead.emplace_back(place, std::move(key.name));
  }
  std::ranges::sort(ahead);
  // Names of one place go together, or the cursor could not tell them apart.
  std::size_t end = std::min(options.count, ahead.size());
  while (end > 0 && end < ahead.size() && ahead[end].first == ahead[end - 1].first) ++end;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < end; ++i) {
    if (options.streams && matches_glob(options.pattern, ahead[i].second)) names.push_back(ahead[i].second);
  }
  RespWriter reply = call.writer();
  reply.array(2);
  reply.bulk(end == ahead.size() ? "0" : std::to_string(ahead[end].first));
  reply.array(names.size());
  for (const std::string& name : names) reply.bulk(name);
  call.reply(std::move(reply));
}

/// Why a name cannot become a stream's; empty: it can.
std::string judge_new_name(std::string_view name) {
  if (name.find('#') != std::string_view::npos || !broker::validate_topic_name(name))
    return "ERR invalid key: a topic name has 1 to 249 bytes of [A-Za-z0-9._:{}/-]";
  return broker::is_internal_topic(name) ? "ERR the broker keeps topic '" + std::string(name) + "' for itself" : std::string();
}

void rename(const Call& call, const Request& request, bool only_if_absent) {
  if (!call.broker().entries().key(request[1])) return call.error(kNoSuchKey);
  const std::string refusal = judge_new_name(request[2]);
  if (!refusal.empty()) return call.error(refusal);
  if (request[1] == request[2]) return only_if_absent ? call.integer(0) : call.ok();
  call.broker().entries().rename(call.context(), std::string(request[1]), std::string(request[2]), only_if_absent,
                                 [call, only_if_absent](const Status& renamed) {
                                   if (renamed) return only_if_absent ? call.integer(1) : call.ok();
                                   if (renamed.error().code == Errc::conflict && only_if_absent) return call.integer(0);
                                   renamed.error().code == Errc::unknown_topic ? call.error(kNoSuchKey) : call.error(renamed.error());
                                 });
}
void handle_rename(const Call& call, const Request& request) { rename(call, request, false); }
void handle_renamenx(const Call& call, const Request& request) { rename(call, request, true); }

void handle_copy(const Call& call, const Request& request) {
  bool replace = false;
  for (std::size_t i = 3; i < request.size(); ++i) {
    if (is_word(request[i], "REPLACE")) {
      replace = true;
    } else if (is_word(request[i], "DB") && i + 1 < request.size()) {
      const std::optional<std::int64_t> index = parse_integer(request[++i]);
      if (!index) return call.error(kNotAnInteger);
      if (*index != 0) return call.error("ERR DB index is out of range");
    } else {
      return call.error(kSyntaxError);
    }
  }
  if (request[1] == request[2]) return call.error("ERR source and destination objects are the same");
  const std::optional<broker::EntryKey> source = call.broker().entries().key(request[1]);
  if (!source) return call.integer(0);
  const std::string refusal = judge_new_name(request[2]);
  if (!refusal.empty()) return call.error(refusal);
  const auto answer = [call](const Status& copied) {
    if (copied) return call.integer(1);
    const bool not_done = copied.error().code == Errc::conflict || copied.error().code == Errc::unknown_topic;
    not_done ? call.integer(0) : call.error(copied.error());
  };
  std::string to(request[2]);
  call.broker().entries().copy(call.context(), source->name, to, replace,
                               [call, to, answer, expires = source->expires](const Status& copied) {
                                 if (!copied || !expires) return answer(copied);
                                 // The copy goes when the source would.
                                 call.broker().entries().expire(call.context(), to, expires, answer);
                               });
}

constexpr CommandGroup kGroup = CommandGroup::generic;
constexpr KeyRange kFirst = {1, 1, 1};
constexpr KeyRange kTwo = {1, 2, 1};
constexpr KeyRange kAll = {1, -1, 1};
constexpr std::array kCommands = {
    CommandSpec{"copy", -3, kWrite | kDenyOom, kGroup, "6.2.0", "Copies a stream without its groups", handle_copy, Ordering::write, kTwo},
    CommandSpec{"dbsize", 1, kReadonly | kFast, CommandGroup::server, "1.0.0", "Number of streams", handle_dbsize, Ordering::alone},
    CommandSpec{"del", -2, kWrite, kGroup, "1.0.0", "Deletes streams", handle_del, Ordering::write, kAll},
    CommandSpec{"exists", -2, kReadonly | kFast, kGroup, "1.0.0", "How many of the keys exist", handle_exists, Ordering::read, kAll},
    CommandSpec{"expire", -3, kWrite | kFast, kGroup, "1.0.0", "Lets a stream go after some seconds", handle_expire, Ordering::write,
                kFirst},
    CommandSpec{"expireat", -3, kWrite | kFast, kGroup, "1.2.0", "Lets a stream go at a time in seconds", handle_expireat, Ordering::write,
                kFirst},
    CommandSpec{"expiretime", 2, kReadonly | kFast, kGroup, "7.0.0", "When a stream goes, in seconds", handle_expiretime, Ordering::read,
                kFirst},
    CommandSpec{"flushall", -1, kWrite, CommandGroup::server, "1.0.0", "Deletes all streams", handle_flush, Ordering::alone},
    CommandSpec{"flushdb", -1, kWrite, CommandGroup::server, "1.0.0", "Deletes all streams", handle_flush, Ordering::alone},
    CommandSpec{"keys", 2, kReadonly, kGroup, "1.0.0", "Streams whose names match a pattern", handle_keys, Ordering::alone},
    CommandSpec{"persist", 2, kWrite | kFast, kGroup, "2.2.0", "Lets a stream stay for ever", handle_persist, Ordering::write, kFirst},
    CommandSpec{"pexpire", -3, kWrite | kFast, kGroup, "2.6.0", "Lets a stream go after some milliseconds", handle_pexpire, Ordering::write,
                kFirst},
    CommandSpec{"pexpireat", -3, kWrite | kFast, kGroup, "2.6.0", "Lets a stream go at a time in milliseconds", handle_pexpireat,
                Ordering::write, kFirst},
    CommandSpec{"pexpiretime", 2, kReadonly | kFast, kGroup, "7.0.0", "When a stream goes, in milliseconds", handle_pexpiretime,
                Ordering::read, kFirst},
    CommandSpec{"pttl", 2, kReadonly | kFast, kGroup, "2.6.0", "Milliseconds until a stream goes", handle_pttl, Ordering::read, kFirst},
    CommandSpec{"randomkey", 1, kReadonly, kGroup, "1.0.0", "Any stream's name", handle_randomkey, Ordering::alone},
    CommandSpec{"rename", 3, kWrite, kGroup, "1.0.0", "Gives a stream another name", handle_rename, Ordering::write, kTwo},
    CommandSpec{"renamenx", 3, kWrite | kFast, kGroup, "1.0.0", "Gives a stream a name that is free", handle_renamenx, Ordering::write,
                kTwo},
    CommandSpec{"scan", -2, kReadonly, kGroup, "2.8.0", "Names of streams, a few at a time", handle_scan, Ordering::alone},
    CommandSpec{"touch", -2, kReadonly | kFast, kGroup, "3.2.1", "How many of the keys exist", handle_exists, Ordering::read, kAll},
    CommandSpec{"ttl", 2, kReadonly | kFast, kGroup, "1.0.0", "Seconds until a stream goes", handle_ttl, Ordering::read, kFirst},
    CommandSpec{"type", 2, kReadonly | kFast, kGroup, "1.0.0", "stream, or none", handle_type, Ordering::read, kFirst},
    CommandSpec{"unlink", -2, kWrite | kFast, kGroup, "4.0.0", "Deletes streams", handle_del, Ordering::write, kAll},
};

}  // namespace

std::span<const CommandSpec> keyspace_commands() { return kCommands; }

}  // namespace tidemark::redis
