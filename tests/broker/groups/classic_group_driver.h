#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/groups/classic_membership.h"

namespace tidemark::broker {

/// What became of one call.
template <class Reply>
struct Answer {
  std::optional<Reply> reply;
  int times = 0;
  bool waits() const { return times == 0; }
};
using JoinAnswer = std::shared_ptr<Answer<ClassicJoinReply>>;
using SyncAnswer = std::shared_ptr<Answer<Result<ClassicSynced>>>;

inline Slice bytes_of(std::string_view text) { return Slice::copy_of(as_bytes(text)); }

/// A group with its owner: the clock, and the records on their way to the disk.
class ClassicGroupDriver {
 public:
  explicit ClassicGroupDriver(ClassicMembership::Options options = {}) : options_(options) { start(); }

  ClassicMembership& group() { return *group_; }
  const ClassicMembership& group() const { return *group_; }
  SteadyTime now() const { return now_; }

  /// A fresh group.
  void start_with(ClassicMembership::Options options) {
    options_ = options;
    disk_ = {};
    start();
  }
  /// Snapshots stay on their way until record() is called.
  void hold_records() { records_at_once_ = false; }
  void compare_subscriptions() { compares_subscriptions_ = true, restart(); }
  std::size_t records_under_way() const { return under_way_.size(); }
  std::uint64_t newest_version() const { return under_way_.back().first; }
  void record() {
    while (!under_way_.empty()) record_next();
  }
  void record_next(const Status& status = {}) {
    auto [version, snapshot] = std::move(under_way_.front());
    under_way_.pop_front();
    if (status) disk_ = std::move(snapshot);
    group_->recorded(version, status, now_);
    group_->check_invariants();
  }
  /// The owner writes a snapshot of its own accord, behind the records that are on their way.
  void write_snapshot() {
    under_way_.emplace_back(0, group_->snapshot());
    if (records_at_once_) record();
  }
  const ClassicSnapshot& disk() const { return disk_; }

  /// Power fails: what was not recorded is lost, and so is whoever waited.
  void restart() {
    start();
    const Status restored = group_->restore(disk_, now_);
    CHECK(restored.has_value());
    group_->check_invariants();
  }

  JoinAnswer join(ClassicJoin request) {
    auto answer = std::make_shared<Answer<ClassicJoinReply>>();
    group_->join(std::move(request), now_, [answer](ClassicJoinReply reply) {
      answer->reply = std::move(reply);
      ++answer->times;
    });
    group_->check_invariants();
    return answer;
  }
  SyncAnswer sync(ClassicSync request) {
    auto answer = std::make_shared<Answer<Result<ClassicSynced>>>();
    group_->sync(std::move(request), now_, [answer](Result<ClassicSynced> reply) {
      answer->reply = std::move(reply);
      ++answer->times;
    });
    group_->check_invariants();
    return answer;
  }
  Status heartbeat(const ClassicIdentity& identity, std::int32_t generation) {
    const Status status = group_->heartbeat(identity, generation, now_);
    group_->check_invariants();
    return status;
  }
  std::vector<Status> leave(const std::vector<ClassicIdentity>& identities) {
    auto answers = group_->leave(identities, now_);
    group_->check_invariants();
    return answers;
  }

  /// Time goes on to `until`, with a tick at each deadline on the way.
  void advance_to(SteadyTime until) {
    int ticks_at_once = 0;
    while (group_->next_deadline() && *group_->next_deadline() <= until) {
      now_ = std::max(now_, *group_->next_deadline());
      group_->tick(now_);
      group_->check_invariants();
      const bool again_at_once = group_->next_deadline() && *group_->next_deadline() <= now_;
      ticks_at_once = again_at_once ? ticks_at_once + 1 : 0;
      CHECK(ticks_at_once < 10);  // A deadline that stays due would keep the owner's thread busy.
    }
    now_ = until;
  }
  void advance(std::chrono::milliseconds by) { advance_to(now_ + by); }

 private:
  void start() {
    under_way_.clear();
    ClassicMembership::Hooks hooks;
    hooks.new_member_id = [this](std::string_view name) { return std::string(name) + "-" + std::to_string(++ids_); };
    hooks.on_change = [this](std::uint64_t version) {
      under_way_.emplace_back(version, group_->snapshot());
      if (records_at_once_) record();
    };
    if (compares_subscriptions_)
      hooks.subscription_changed = [](std::string_view, ByteView before, ByteView after) { return as_text(before) != as_text(after); };
    group_ = std::make_unique<ClassicMembership>(options_, std::move(hooks));
  }

  ClassicMembership::Options options_;
  SteadyTime now_{std::chrono::hours(1)};
  std::unique_ptr<ClassicMembership> group_;
  ClassicSnapshot disk_;
  std::deque<std::pair<std::uint64_t, ClassicSnapshot>> under_way_;
  bool records_at_once_ = true;
  bool compares_subscriptions_ = false;
  int ids_ = 0;
};

}  // namespace tidemark::broker
