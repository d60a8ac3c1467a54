#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/groups/groups.h"
#include "tests/simulation/engine_fixture.h"

namespace tidemark::broker {

using namespace std::chrono_literals;
using simulation::batch_of;
using simulation::CrashPolicy;
using simulation::Engine;
using simulation::EngineTest;
using simulation::SimulatedFileSystem;

inline CommitRequest::Entry at(const std::string& topic, std::int32_t partition, std::int64_t offset, std::string metadata = "") {
  return {.where = {topic, partition}, .offset = Offset{offset}, .leader_epoch = -1, .metadata = std::move(metadata)};
}

/// Group calls on a simulated engine; each waits for its answer.
class GroupCalls {
 public:
  explicit GroupCalls(Engine& engine) : engine_(engine) {}

  template <class T>
  std::shared_ptr<std::optional<Result<T>>> start(std::function<void(Groups&, Done<T>)> call) {
    return engine_.start<T>([call = std::move(call)](Broker& broker, Done<T> done) { call(broker.groups(), std::move(done)); });
  }
  template <class T>
  Result<T> ask(std::function<void(Groups&, Done<T>)> call) {
    const auto answer = start<T>(std::move(call));
    engine_.runtime().run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }

  Result<CommitReply> commit(CommitRequest request) {
    return ask<CommitReply>([&](Groups& groups, Done<CommitReply> done) { groups.commit({}, request, std::move(done)); });
  }
  Result<CommitReply> commit(const std::string& group, std::vector<CommitRequest::Entry> entries) {
    return commit({.group = group, .member = {}, .epoch = 0, .instance = {}, .entries = std::move(entries)});
  }
  /// One entry, without a member.
  Status commit_one(const std::string& group, CommitRequest::Entry entry) {
    Result<CommitReply> reply = commit(group, {std::move(entry)});
    if (!reply) return std::move(reply).error();
    return reply->at(0);
  }
  /// topic:partition -> offset.
  using Offsets = std::map<std::string, std::int64_t>;
  Result<std::vector<Groups::Committed>> committed_in(const std::string& group, std::vector<NamedPartition> where = {}) {
    return ask<std::vector<Groups::Committed>>([&](Groups& groups, auto done) { groups.committed({}, group, where, std::move(done)); });
  }
  Offsets committed(const std::string& group) {
    const auto all = committed_in(group);
    EXPECT_TRUE(all) << all.error().to_string();
    Offsets offsets;
    if (!all) return offsets;
    for (const Groups::Committed& one : *all)
      offsets[one.where.topic + ":" + std::to_string(one.where.partition)] = one.committed->offset.value;
    return offsets;
  }
  Result<GroupPosition> position(const std::string& group, const std::string& topic, std::int32_t partition,
                                 std::optional<std::int64_t> at = {}, const std::string& member = "", std::int32_t epoch = 0) {
    PositionsRequest request{.group = group, .member = member, .epoch = epoch, .entries = {{.where = {topic, partition}, .at = {}}}};
    if (at) request.entries[0].at = Offset{*at};
    Result<PositionsReply> reply =
        ask<PositionsReply>([&](Groups& groups, Done<PositionsReply> done) { groups.positions({}, request, std::move(done)); });
    if (!reply) return std::move(reply).error();
    return reply->at(0);
  }

  Result<HeartbeatReply> heartbeat(HeartbeatRequest request, int* news = nullptr) {
    return ask<HeartbeatReply>([&](Groups& groups, Done<HeartbeatReply> done) {
      UniqueFunction<void()> call;
      if (news != nullptr) call = [news] { ++*news; };
      groups.heartbeat({}, request, std::move(call), std::move(done));
    });
  }
  static HeartbeatRequest joining(const std::string& group, const std::string& member, const std::vector<std::string>& topics,
                                  StartAt start = {}) {
    HeartbeatRequest request;
    request.group = group;
    request.member = member;
    request.subscription = Subscription{.topics = topics, .regex = {}};
    request.owned.emplace();
    request.start = start;
    return request;
  }
  static HeartbeatRequest renewal(const std::string& group, const std::string& member, std::int32_t epoch) {
    HeartbeatRequest request;
    request.group = group;
    request.member = member;
    request.epoch = epoch;
    return request;
  }
  Status leave(const std::string& group, const std::string& member) {
    return ask<void>([&](Groups& groups, Done<void> done) { groups.leave({}, group, member, true, std::move(done)); });
  }
  Result<GroupInfo> create(CreateGroupRequest request) {
    return ask<GroupInfo>([&](Groups& groups, Done<GroupInfo> done) { groups.create({}, request, std::move(done)); });
  }
  Result<GroupInfo> describe(const std::string& group) {
    return ask<GroupInfo>([&](Groups& groups, Done<GroupInfo> done) { groups.describe({}, group, std::move(done)); });
  }
  Result<GroupInfo> alter(const std::string& group, const std::map<std::string, std::string>& changes) {
    return ask<GroupInfo>([&](Groups& groups, Done<GroupInfo> done) { groups.alter({}, group, changes, std::move(done)); });
  }
  Status remove(const std::string& group) {
    return ask<void>([&](Groups& groups, Done<void> done) { groups.remove({}, group, std::move(done)); });
  }
  std::vector<std::string> names() {
    const auto all = ask<std::vector<GroupInfo>>([&](Groups& groups, auto done) { groups.list({}, std::move(done)); });
    EXPECT_TRUE(all) << all.error().to_string();
    std::vector<std::string> names;
    if (all) {
      for (const GroupInfo& info : *all) names.push_back(info.name);
    }
    return names;
  }
  Result<std::vector<PartitionLag>> lag(std::optional<std::string> group = {}) {
    return ask<std::vector<PartitionLag>>([&](Groups& groups, auto done) { groups.lag({}, group, std::move(done)); });
  }
  static SeekRequest seek_request(const std::string& group, SeekTarget::Kind kind, std::int64_t value = 0) {
    return {.group = group,
            .topic = {},
            .partition = {},
            .target = {.kind = kind, .value = value, .group = {}, .text = "as asked"},
            .execute = true,
            .force = false};
  }
  Result<SeekReply> seek(const SeekRequest& request) {
    return ask<SeekReply>([&](Groups& groups, Done<SeekReply> done) { groups.seek({}, request, std::move(done)); });
  }
  std::vector<SeekRecord> history(const std::string& group) {
    const auto all = ask<std::vector<SeekRecord>>([&](Groups& groups, auto done) { groups.history({}, group, std::move(done)); });
    EXPECT_TRUE(all) << all.error().to_string();
    return all ? *all : std::vector<SeekRecord>{};
  }
  Result<SeekReply> undo(const std::string& group, bool execute = true, bool force = false) {
    return ask<SeekReply>([&](Groups& groups, Done<SeekReply> done) { groups.undo({}, group, execute, force, std::move(done)); });
  }

 private:
  Engine& engine_;
};

inline Errc code_of(const Status& status) { return status ? Errc{} : status.error().code; }
template <class T>
Errc code_of(const Result<T>& result) {
  return result ? Errc{} : result.error().code;
}
constexpr Errc kDone{};  // No Errc has this number.

/// One engine with topic "t" of two partitions.
class GroupsTest : public EngineTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(engine_->open());
    ASSERT_TRUE(engine_->create("t", 2));
  }
  GroupCalls groups() { return GroupCalls(*engine_); }

  void append(const std::string& topic, std::int32_t partition, int records) {
    const auto appended =
        engine_->append(topic, partition, std::vector<std::string>(static_cast<std::size_t>(records), std::string(50, 'x')));
    ASSERT_TRUE(appended) << appended.error().to_string();
  }
  void add_partitions(const std::string& topic, std::int32_t total) {
    const auto grown = engine_->start<std::shared_ptr<const Topic>>(
        [=](Broker& broker, auto done) { broker.add_partitions({}, topic, total, std::move(done)); });
    engine_->runtime().run_until([&] { return grown->has_value(); });
    ASSERT_TRUE(*grown && **grown);
    engine_->runtime().run();
  }
};

}  // namespace tidemark::broker
