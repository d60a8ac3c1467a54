#include "tools/tidemarkd/doctor.h"

#include <cstdio>

#include <unistd.h>

#include "storage/base/units.h"

namespace tidemark::tools {
namespace {

std::string milliseconds(std::chrono::microseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(time.count()) / 1000.0);
  return text;
}

DoctorCheck disk_kind(const DoctorFacts& facts) {
  DoctorCheck check{.check = "disk kind"};
  if (!facts.disk)
    return {.check = check.check, .result = Verdict::fail, .value = facts.disk.error().to_string(), .advice = "see data.dir"};
  if (facts.disk->network) {
    check.result = Verdict::warn;
    check.value = "network";
    check.advice = "a flush is only as good as the server at the other end; prefer a local disk";
  } else if (!facts.disk->rotational) {
    check.value = "unknown";
  } else if (*facts.disk->rotational) {
    check.result = Verdict::warn;
    check.value = "rotating, or reported as such by a virtual machine";
    check.advice = "a flush costs a turn of the disk; see flush time";
  } else {
    check.value = "solid state";
  }
  return check;
}

DoctorCheck flush_time(const DoctorFacts& facts) {
  DoctorCheck check{.check = "flush time"};
  if (!facts.flush) {
    return {.check = check.check, .result = Verdict::fail, .value = facts.flush.error().to_string(), .advice = "data.dir must be writable"};
  }
  check.value = "median " + milliseconds(facts.flush->median) + ", worst of " + std::to_string(facts.flush->flushes) + " " +
                milliseconds(facts.flush->worst);
  if (facts.flush->median > std::chrono::milliseconds(20)) {
    check.result = Verdict::warn;
    check.advice =
        "every acknowledgement waits for a flush; a faster disk is the remedy, or durability = interval for topics that may lose "
        "their last moments";
  }
  return check;
}

DoctorCheck free_space(const DoctorFacts& facts) {
  DoctorCheck check{.check = "free space"};
  if (!facts.disk)
    return {.check = check.check, .result = Verdict::fail, .value = facts.disk.error().to_string(), .advice = "see data.dir"};
  const std::uint64_t low_water = std::min(facts.disk_low_water_bytes, facts.disk->total_bytes / 20);
  check.value = format_size(facts.disk->free_bytes) + " of " + format_size(facts.disk->total_bytes);
  if (facts.disk->free_bytes <= low_water) {
    check.result = Verdict::fail;
    check.advice = "appends are refused below " + format_size(low_water) + ": free some space, trim topics or shorten retention.ms";
  } else if (facts.disk->free_bytes / 4 <= low_water) {
    check.result = Verdict::warn;
    check.advice = "appends will be refused below " + format_size(low_water);
  }
  return check;
}

DoctorCheck descriptor_limit(const DoctorFacts& facts) {
  DoctorCheck check{.check = "fd limit"};
  check.value = std::to_string(facts.machine.open_files_max);
  if (facts.machine.open_files_max < 8192) {
    check.result = Verdict::warn;
    check.advice = "raise the hard limit of open files (ulimit -Hn, LimitNOFILE=) to at least 8192";
  }
  return check;
}

DoctorCheck memory_limit(const DoctorFacts& facts) {
  DoctorCheck check{.check = "memory limit"};
  check.value = format_size(facts.memory_limit_bytes) + " of " + format_size(facts.machine.memory_bytes);
  if (facts.memory_limit_bytes > facts.machine.memory_bytes / 4 * 3) {
    check.result = Verdict::warn;
    check.advice = "leave the page cache at least a quarter of the memory: lower memory.limit";
  }
  return check;
}

DoctorCheck clock_check(const DoctorFacts& facts) {
  DoctorCheck check{.check = "clock"};
  const auto day = std::chrono::floor<std::chrono::days>(facts.now);
  const std::chrono::year_month_day date(day);
  char text[32];
  std::snprintf(text, sizeof text, "%d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
  check.value = text;
  if (date.year() < std::chrono::year(2024)) {
    check.result = Verdict::fail;
    check.advice = "the clock is wrong: record times and retention go by it";
  } else if (!facts.clock_synchronised) {
    check.value += ", the kernel does not say if it is kept right";
  } else if (!*facts.clock_synchronised) {
    check.result = Verdict::warn;
    check.value += ", not synchronised";
    check.advice = "run a time service (chrony, systemd-timesyncd): retention and seeks by time go by this clock";
  } else {
    check.value += ", synchronised";
  }
  return check;
}

DoctorCheck ports(const DoctorFacts& facts) {
  DoctorCheck check{.check = "ports"};
  check.value = facts.addresses;
  if (facts.insecure_listen) {
    check.result = Verdict::warn;
    check.advice = "--insecure-listen: whoever reaches these ports may read and delete everything; keep them behind a firewall";
  }
  return check;
}

DoctorCheck file_system(const DoctorFacts& facts) {
  DoctorCheck check{.check = "file system"};
  if (!facts.disk)
    return {.check = check.check, .result = Verdict::fail, .value = facts.disk.error().to_string(), .advice = "see data.dir"};
  check.value = facts.disk->file_system;
  if (facts.disk->volatile_storage) {
    check.result = Verdict::fail;
    check.advice = "this file system is in memory: nothing survives a restart of the machine; move data.dir to a disk";
  } else if (facts.disk->network) {
    check.result = Verdict::warn;
    check.advice = "locks and flushes over a network file system are as good as its server; prefer a local one";
  } else if (facts.disk->file_system == "overlay") {
    check.result = Verdict::warn;
    check.advice = "this is a container's own layer and goes with it; mount a volume for data.dir";
  }
  return check;
}

DoctorCheck lock(const DoctorFacts& facts) {
  DoctorCheck check{.check = "lock"};
  check.value = facts.data_directory + " is held by this broker, pid " + std::to_string(::getpid());
  if (facts.read_only_reason) {
    check.result = Verdict::fail;
    check.value += ", which takes no appends: " + *facts.read_only_reason;
    check.advice = "see free space and the broker's log";
  }
  return check;
}

DoctorCheck version(const DoctorFacts& facts) { return {.check = "version", .result = Verdict::ok, .value = facts.version, .advice = {}}; }

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warn:
      return "warn";
    case Verdict::fail:
      return "fail";
  }
  return "fail";
}

DoctorFacts gather_facts(const Config& config, const Machine& machine, std::string addresses) {
  return DoctorFacts{
      .machine = machine,
      .disk = inspect_disk(config.broker.data_directory),
      .flush = measure_flush_time(config.broker.data_directory),
      .clock_synchronised = clock_synchronised(),
      .now = SystemClock().now(),
      .memory_limit_bytes = config.broker.memory_limit_bytes,
      .disk_low_water_bytes = config.broker.disk_low_water_bytes,
      .insecure_listen = config.insecure_listen,
      .addresses = std::move(addresses),
      .read_only_reason = std::nullopt,
      .data_directory = config.broker.data_directory,
      .version = TIDEMARK_VERSION,
  };
}

std::vector<DoctorCheck> examine(const DoctorFacts& facts) {
  return {disk_kind(facts), flush_time(facts),  free_space(facts), descriptor_limit(facts), memory_limit(facts), clock_check(facts),
          ports(facts),     file_system(facts), lock(facts),       version(facts)};
}

}  // namespace tidemark::tools
