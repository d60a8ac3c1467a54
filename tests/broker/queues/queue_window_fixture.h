#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/queues/queue_window.h"

namespace tidemark::broker {

using namespace std::chrono_literals;

inline Timestamp at(std::chrono::milliseconds since_start) { return Timestamp(std::chrono::hours(500'000)) + since_start; }
inline std::vector<Offset> offsets(std::initializer_list<std::int64_t> values) {
  std::vector<Offset> all;
  for (const std::int64_t value : values) all.push_back({value});
  return all;
}
inline std::vector<Offset> range(std::int64_t from, std::int64_t to) {
  std::vector<Offset> all;
  for (std::int64_t value = from; value < to; ++value) all.push_back({value});
  return all;
}

/// A window, its settings, a clock, and the records it gave, from which it can be built again.
class QueueWindowTest : public testing::Test {
 protected:
  QueueWindowTest() {
    settings_.backoff.first = settings_.backoff.most = 0ms;
    make();
  }

  void make() {
    log_.clear();
    window_ = std::make_unique<QueueWindow>(who_, Offset{0}, std::make_shared<QueueSettings>(settings_));
  }
  void configure() { window_->configure(std::make_shared<QueueSettings>(settings_)); }
  QueueWindow& window() { return *window_; }

  /// Offsets up to `to` become known, without a word on any of them.
  void grow(std::int64_t to) { window_->extend({to}, {}); }
  /// One record with that key and priority follows.
  void grow(std::uint64_t key, std::uint8_t priority) {
    const LookedAt looked{.offset = window_->cursor(), .what = LookedAt::What::candidate, .key = key, .priority = priority};
    window_->extend(window_->cursor() + 1, std::span(&looked, 1));
  }
  std::vector<TakenRun> take(const std::string& member, const std::vector<Offset>& wanted) {
    return window_->take(member, wanted, settings_.keeps_ids ? ids_of(wanted) : std::vector<EntryId>(), now_);
  }
  /// What the member gets who asks for `max`.
  std::vector<Offset> receive(const std::string& member, std::size_t max = 100) {
    const std::vector<Offset> chosen = window_->choose(member, max, now_);
    take(member, chosen);
    return chosen;
  }
  static EntryId id_of(Offset offset) {
    const auto value = static_cast<std::uint64_t>(offset.value);
    return {1000 + value / 3, value % 3};
  }
  static std::vector<EntryId> ids_of(const std::vector<Offset>& wanted) {
    std::vector<EntryId> ids;
    for (const Offset offset : wanted) ids.push_back(id_of(offset));
    return ids;
  }
  Settled ack(std::int64_t offset, std::optional<std::string_view> member = {}, std::uint32_t deliveries = 0) {
    return window_->ack({offset}, member, deliveries, now_);
  }
  Settled fail(std::int64_t offset, std::optional<std::chrono::milliseconds> delay = {}) {
    return window_->fail({offset}, {}, 0, delay, "boom", now_);
  }
  Settled reject(std::int64_t offset) { return window_->reject({offset}, {}, 0, "bad", now_); }
  void pass(std::chrono::milliseconds time) {
    now_ += time;
    window_->expire(now_, 1'000'000);
  }
  EntryState state(std::int64_t offset) const {
    const auto entry = window_->entry({offset});
    return entry ? entry->state : EntryState::done;
  }

  void flush() {
    for (storage::StateRecord& record : window_->take_records()) log_.push_back(std::move(record));
  }
  /// A new window from what was flushed.
  void restart() {
    window_ = std::make_unique<QueueWindow>(who_, Offset{0}, std::make_shared<QueueSettings>(settings_));
    for (const storage::StateRecord& record : log_) {
      const Status replayed = window_->replay(record);
      ASSERT_TRUE(replayed.has_value()) << replayed.error().to_string();
    }
    window_->recovered(now_);
  }

  QueueWindow::Identity who_{.group = "orders", .topic = Uuid::from_random(7, 8), .partition = 3};
  QueueSettings settings_;
  Timestamp now_ = at(0ms);
  std::unique_ptr<QueueWindow> window_;
  std::vector<storage::StateRecord> log_;
};

}  // namespace tidemark::broker
