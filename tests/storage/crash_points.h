#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/simulation/simulated_file_system.h"

namespace tidemark::simulation {

/// Shows `check` every disk that a crash at this moment may leave: kill -9, power loss with nothing or everything of the unsynced kept, and
/// `seeds` random mixtures.
inline void crash_here(const SimulatedFileSystem& disk, std::uint64_t seeds, const std::string& where,
                       const std::function<void(SimulatedFileSystem&)>& check) {
  const auto run = [&](const std::unique_ptr<SimulatedFileSystem>& crashed, const std::string& how) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, where + ", " + how);
    check(*crashed);
  };
  run(disk.process_crash_clone(), "kill -9");
  run(disk.crash_clone(CrashPolicy::drop_all, 0), "nothing unsynced kept");
  run(disk.crash_clone(CrashPolicy::keep_all, 0), "everything kept");
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) run(disk.crash_clone(CrashPolicy::random, seed), "seed " + std::to_string(seed));
}

/// Crashes before every call that `work` makes to the disk, and after the last one. Returns the number of crash states checked.
inline std::uint64_t crash_at_every_call(SimulatedFileSystem& disk, std::uint64_t seeds, const std::function<void()>& work,
                                         const std::function<void(SimulatedFileSystem&)>& check) {
  std::uint64_t moments = 0;
  disk.on_call([&](std::uint64_t index, std::string_view op, const std::string& path) {
    if (testing::Test::HasFailure()) return;  // The first broken state says enough.
    ++moments;
    crash_here(disk, seeds, "before call " + std::to_string(index) + " " + std::string(op) + " " + path, check);
  });
  work();
  disk.on_call(nullptr);
  crash_here(disk, seeds, "at the end", check);
  return (moments + 1) * (seeds + 3);
}

}  // namespace tidemark::simulation
