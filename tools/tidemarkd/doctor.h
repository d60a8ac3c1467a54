#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/broker.h"
#include "tools/tidemarkd/config.h"
#include "tools/tidemarkd/machine.h"

namespace tidemark::tools {

enum class Verdict { ok, warn, fail };
std::string_view to_string(Verdict verdict);

/// One thing looked at, as `tidemark doctor` shows it.
struct DoctorCheck {
  std::string check;
  Verdict result = Verdict::ok;
  std::string value = {};
  std::string advice = {};  ///< Empty when nothing needs doing.
};

/// What the judgements are made from; gathered apart, so that they can be tested without a machine that is ill.
struct DoctorFacts {
  Machine machine;
  Result<DiskFacts> disk;
  Result<FlushTime> flush;
  std::optional<bool> clock_synchronised;
  Timestamp now{};
  std::uint64_t memory_limit_bytes = 0;
  std::uint64_t disk_low_water_bytes = 0;
  bool insecure_listen = false;
  std::string addresses;                        ///< Of the open listeners, as shown to people.
  std::optional<std::string> read_only_reason;  ///< Why the broker takes no appends, if it does not.
  std::string data_directory;
  std::string version;
};

/// Blocks on the disk for some 50 ms: not on a shard.
DoctorFacts gather_facts(const Config& config, const Machine& machine, std::string addresses);

/// Checks, in this order: disk kind, flush time, free space, fd limit, memory limit, clock, ports, file system, lock, version.
/// fail: the promises do not hold or the broker cannot work; warn: it works, but somebody should know.
std::vector<DoctorCheck> examine(const DoctorFacts& facts);

}  // namespace tidemark::tools
