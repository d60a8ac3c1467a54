#include "tools/tidemark/bench_stamp.h"

#include "storage/base/bytes.h"

namespace tidemark::tools {

std::uint64_t new_run() { return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()); }

void write_stamp(std::string& value, const Stamp& stamp) {
  auto* const at = reinterpret_cast<std::byte*>(value.data());
  store_le<std::uint64_t>(at, stamp.run);
  store_le<std::uint64_t>(at + 8, stamp.number);
  store_le<std::int64_t>(at + 16, stamp.due.time_since_epoch().count());
}

std::optional<Stamp> read_stamp(std::string_view value, std::uint64_t run) {
  if (value.size() < Stamp::kBytes) return std::nullopt;
  const std::byte* const at = as_bytes(value).data();
  if (load_le<std::uint64_t>(at) != run) return std::nullopt;
  return Stamp{run, load_le<std::uint64_t>(at + 8), SteadyTime(SteadyTime::duration(load_le<std::int64_t>(at + 16)))};
}

}  // namespace tidemark::tools
