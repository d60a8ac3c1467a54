#include "tools/tidemarkd/ports_file.h"

#include <cerrno>
#include <csignal>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "storage/base/log.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

json::value port(std::optional<std::uint16_t> number) { return number ? json::value(*number) : json::value(nullptr); }

/// The process that wrote the file; nullopt if it is not a ports file.
std::optional<std::int64_t> writer_of(std::string_view text) {
  json::error_code error;
  const json::value parsed = json::parse({text.data(), text.size()}, error);
  if (error || !parsed.is_object()) return std::nullopt;
  const json::value* const pid = parsed.as_object().if_contains("pid");
  if (pid == nullptr || !pid->is_int64()) return std::nullopt;
  return pid->as_int64();
}

bool alive(std::int64_t pid) { return pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH); }

}  // namespace

Status write_ports_file(storage::FileSystem& files, const std::string& path, const OpenPorts& ports) {
  const json::object contents = {{"native", port(ports.native)},
                                 {"kafka", port(ports.kafka)},
                                 {"redis", port(ports.redis)},
                                 {"http", port(ports.http)},
                                 {"pid", std::int64_t{::getpid()}}};
  const std::string text = json::serialize(contents) + "\n";
  return storage::replace_file(files, path, as_bytes(text));
}

void remove_stale_ports_file(storage::FileSystem& files, const std::string& path) {
  constexpr std::size_t kBytesMax = 4096;
  const Result<ByteVector> text = storage::read_file(files, path, kBytesMax);
  if (!text) return;  // None, or none of ours.
  const std::optional<std::int64_t> pid = writer_of(as_text(*text));
  if (!pid || alive(*pid)) return;
  if (const Status removed = files.remove(path); !removed) log_warn("ports file: " + removed.error().detail);
}

}  // namespace tidemark::tools
