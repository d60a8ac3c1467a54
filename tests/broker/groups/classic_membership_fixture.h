#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/broker/groups/classic_group_driver.h"

namespace tidemark::broker {

using namespace std::chrono_literals;
using State = ClassicMembership::State;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

inline ClassicMembership::Options without_initial_delay() {
  ClassicMembership::Options options;
  options.initial_rebalance_delay = 0ms;
  return options;
}

inline Errc code_of(const Status& status) { return status ? Errc{} : status.error().code; }
constexpr Errc kOk{};  // No Errc has this number.

inline Errc code_of(const JoinAnswer& answer) {
  EXPECT_EQ(answer->times, 1);
  return answer->reply ? code_of(answer->reply->status) : Errc::internal;
}
inline Errc code_of(const SyncAnswer& answer) {
  EXPECT_EQ(answer->times, 1);
  if (!answer->reply) return Errc::internal;
  return *answer->reply ? kOk : answer->reply->error().code;
}
inline std::string assignment_of(const SyncAnswer& answer) {
  EXPECT_EQ(code_of(answer), kOk);
  return answer->reply && *answer->reply ? to_string((*answer->reply)->assignment.view()) : "none";
}

/// Members "a", "b".. are clients of that name; the driver makes ids "a-1", "b-2"..
class ClassicMembershipTest : public testing::Test {
 protected:
  ClassicMembershipTest() : driver_(without_initial_delay()) {}

  static ClassicJoin request(const std::string& client, const std::string& member_id = "") {
    ClassicJoin join;
    join.identity.member_id = member_id;
    join.client_id = client;
    join.client_host = "10.0.0.1";
    join.session_timeout = 10s;
    join.rebalance_timeout = 60s;
    join.protocol_type = "consumer";
    join.protocols = {{.name = "range", .metadata = bytes_of(client + " reads t")}};
    return join;
  }
  static ClassicJoin static_request(const std::string& instance, const std::string& member_id = "") {
    ClassicJoin join = request("client of " + instance, member_id);
    join.identity.instance_id = instance;
    return join;
  }
  static ClassicIdentity dynamic(std::string member_id) { return {.member_id = std::move(member_id), .instance_id = {}}; }
  static ClassicIdentity fixed(std::string instance, std::string member_id) {
    return {.member_id = std::move(member_id), .instance_id = std::move(instance)};
  }

  void start_with(ClassicMembership::Options options) { driver_.start_with(options); }

  SyncAnswer sync(const std::string& member_id, std::vector<std::pair<std::string, std::string>> assignments = {}) {
    ClassicSync request;
    request.identity.member_id = member_id;
    request.generation = group().generation();
    for (const auto& [id, assignment] : assignments) request.assignments.emplace_back(id, bytes_of(assignment));
    return driver_.sync(std::move(request));
  }
  Errc heartbeat(const std::string& member_id) { return code_of(driver_.heartbeat(dynamic(member_id), group().generation())); }
  Errc commit(const ClassicIdentity& identity, std::int32_t generation) const { return code_of(group().may_commit(identity, generation)); }
  /// Time in which everybody named heartbeats often enough.
  void pass_with_heartbeats(std::chrono::milliseconds time, const std::vector<std::string>& member_ids) {
    for (auto passed = 0ms; passed < time; passed += 1s) {
      driver_.advance(1s);
      for (const std::string& id : member_ids) EXPECT_NE(heartbeat(id), Errc::unknown_member);
    }
  }

  /// A stable group with dynamic members "a-1" (the leader) and "b-2".
  void stable_pair() {
    driver_.join(request("a"));
    driver_.join(request("b"));
    driver_.join(request("a", "a-1"));
    sync("a-1", {{"a-1", "t:0"}, {"b-2", "t:1"}});
    sync("b-2");
    ASSERT_EQ(group().state(), State::stable);
    ASSERT_EQ(group().generation(), 2);
  }
  /// A stable group with static members "x" (id "x-1", the leader) and "y" (id "y-2").
  void stable_static_pair() {
    driver_.join(static_request("x"));
    driver_.join(static_request("y"));
    driver_.join(static_request("x", "x-1"));
    sync("x-1", {{"x-1", "t:0"}, {"y-2", "t:1"}});
    sync("y-2");
    ASSERT_EQ(group().state(), State::stable);
    ASSERT_EQ(group().generation(), 2);
  }
  std::vector<std::string> members() const {
    std::vector<std::string> ids;
    for (const auto& member : group().describe().members) ids.push_back(member.member_id);
    return ids;
  }
  ClassicMembership& group() { return driver_.group(); }
  const ClassicMembership& group() const { return driver_.group(); }

  ClassicGroupDriver driver_;
};

inline std::vector<std::string> ids_in(const JoinAnswer& answer) {
  std::vector<std::string> ids;
  for (const auto& member : answer->reply->members) ids.push_back(member.member_id);
  return ids;
}

}  // namespace tidemark::broker
