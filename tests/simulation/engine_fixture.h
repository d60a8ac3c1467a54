#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/simulation/engine.h"

namespace tidemark::simulation {

/// A test with one engine on a disk that may lose what was not flushed.
class EngineTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    const Status opened = engine_->open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  /// A stop in good order, and a start.
  void restart() {
    const Status stopped = engine_->stop();
    ASSERT_TRUE(stopped) << stopped.error().to_string();
    open();
  }
  /// The power fails; what was not flushed is gone. Another engine, on another disk, goes on: references to the old ones are void.
  void power_fails() {
    auto after = disk_->crash_clone(CrashPolicy::drop_all, 1);
    engine_->die();
    engine_ = std::make_unique<Engine>(*after);
    disk_ = std::move(after);
    open();
  }
  /// From the log start to the high watermark.
  std::vector<std::string> values(const std::string& topic, std::int32_t partition = 0) {
    const auto records = engine_->read_all(topic, partition);
    EXPECT_TRUE(records) << records.error().to_string();
    std::vector<std::string> result;
    if (!records) return result;
    for (const Engine::ReadRecord& record : *records) result.push_back(record.value);
    return result;
  }

  std::unique_ptr<SimulatedFileSystem> disk_ = std::make_unique<SimulatedFileSystem>();
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(*disk_);
};

}  // namespace tidemark::simulation
