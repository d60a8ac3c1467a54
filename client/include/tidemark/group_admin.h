#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/position.h"
#include "tidemark/topic_partition.h"

namespace tidemark {

namespace detail {
class ClientCore;
}

/// By key: `on.gone` (fail | earliest | latest), `offsets.retention`, `lag.objective`.
using GroupSettings = std::map<std::string, std::string>;

struct NewGroup {
  std::string name;                       ///< 1-249 bytes, any.
  std::vector<std::string> topics;        ///< They exist.
  Position start = Position::earliest();  ///< earliest, latest, an offset, a time, so long ago; resolved now.
  GroupSettings settings = {};
};

struct GroupMemberDescription {
  std::string member;
  std::string instance;  ///< Empty: not a static member.
  std::string client_id;
  std::string host;
  std::int32_t epoch = 0;
  TopicPartitions partitions;  ///< Without those it is giving up.
  TopicPartitions revoking;
  Timestamp last_seen{};
};

struct GroupDescription {
  std::string name;
  std::string kind;      ///< "stream" | "queue"
  std::string protocol;  ///< "none" | "native" | "classic"
  std::string state;
  std::int32_t epoch = 0;
  Timestamp created{};
  Position start = Position::earliest();
  GroupSettings settings;
  std::vector<std::string> topics;  ///< Subscribed or committed.
  std::vector<GroupMemberDescription> members;
  std::uint64_t skipped_records = 0;    ///< Removed by retention before they were read.
  std::uint64_t clamped_positions = 0;  ///< Positions beyond the end after records were lost with weak durability.
  std::string verdict;                  ///< Of its worst partition.
  std::string cause;                    ///< In words.
  std::optional<std::int64_t> lag;      ///< Over all partitions; nullopt without a commit.
  std::optional<double> lag_seconds;    ///< The longest.
  /// An estimate of when the last record there is now will be done; nullopt: nothing to do, or not at this pace.
  std::optional<double> eta_seconds = std::nullopt;
  std::optional<double> headroom_seconds = std::nullopt;  ///< Until retention removes the oldest unfinished record; nullopt: never.
};

/// How far one group is in one partition.
struct GroupPartitionLag {
  std::string group;
  std::string kind;
  TopicPartition where;
  std::optional<Offset> floor;  ///< Everything below is done; nullopt: nothing committed yet.
  Offset log_start;
  Offset end;
  std::optional<std::int64_t> lag;    ///< Stream groups: end - floor. Queue groups: the records that are not finished, exactly.
  std::optional<double> lag_seconds;  ///< Since the record at the floor was appended; 0 when lag is 0.
  bool lag_estimated = false;         ///< That time was rebuilt from the log.
  std::string member;                 ///< Empty: none.
  std::string verdict;
  std::string cause;
  std::optional<double> eta_seconds = std::nullopt, headroom_seconds = std::nullopt;  ///< As of a group.
  // Queue groups only; records.
  std::optional<std::uint64_t> waiting = std::nullopt;  ///< Never handed out.
  std::optional<std::uint64_t> in_flight = std::nullopt;
  std::optional<std::uint64_t> retrying = std::nullopt;  ///< Handed out before, available now or later.
};

struct GroupSeek {
  std::string group;
  std::optional<std::string> topic = std::nullopt;  ///< nullopt: all of the group's.
  std::optional<std::int32_t> partition = std::nullopt;
  Position to = Position::earliest();  ///< Not `committed`: that is where it is.
  std::string to_group = {};           ///< Not empty: to where that group stands, instead of `to`.
  bool execute = false;                ///< false: only the plan.
  bool force = false;                  ///< With live members: they are fenced, and come back at the new positions.
};

struct GroupSeekRow {
  TopicPartition where;
  std::optional<Offset> from;  ///< nullopt: no position before.
  std::optional<Offset> to;    ///< nullopt: the position is taken away again.
  std::int64_t records = 0;    ///< to - from; negative when moving back.
  std::uint64_t bytes = 0;     ///< Of the log between the two; an estimate.
  bool clamped = false;        ///< The target lay outside the log.
};

struct GroupSeekPlan {
  std::vector<GroupSeekRow> rows;
  bool executed = false;
  std::uint64_t id = 0;  ///< In the history, when executed.
};

struct GroupSeekRecord {
  std::uint64_t id = 0;  ///< Ascending.
  Timestamp time{};
  std::string who;
  std::string target;  ///< As asked.
  bool forced = false;
  std::optional<std::uint64_t> undid;   ///< This one took back that one.
  std::optional<std::uint64_t> undone;  ///< That one took back this one.
  std::vector<GroupSeekRow> rows;
};

/// Consumer groups as an operator sees them. Made by Client::groups(); a cheap handle, thread-safe. Calls behave as those of Admin.
class GroupAdmin {
 public:
  /// Errors: conflict (exists), unknown_topic, invalid_argument, invalid_config, disk_full.
  Result<GroupDescription> create(const NewGroup& group);
  /// An empty value removes a setting. Errors: unknown_group, invalid_config, disk_full.
  Result<GroupDescription> alter(std::string_view group, const GroupSettings& settings);
  /// Errors: unknown_group, conflict while it has members, disk_full.
  Status remove(std::string_view group);
  Result<std::vector<GroupDescription>> list();
  /// Error unknown_group.
  Result<GroupDescription> describe(std::string_view group);
  /// By group, topic, partition; nullopt: of all groups. Error unknown_group.
  Result<std::vector<GroupPartitionLag>> lag(const std::optional<std::string>& group = std::nullopt);

  /// Where the group would go, or has gone. A target outside the log is clamped and says so. Errors: unknown_group, unknown_topic, conflict
  /// naming the live members (unless forced), disk_full.
  Result<GroupSeekPlan> seek(const GroupSeek& seek);
  /// The latest last.
  Result<std::vector<GroupSeekRecord>> history(std::string_view group);
  /// Takes back the latest seek that was not taken back. Errors: as seek; not_found when there is none.
  Result<GroupSeekPlan> undo(std::string_view group, bool execute, bool force = false);

  template <CompletionToken<GroupDescription> Token = asio::deferred_t>
  auto async_create(NewGroup group, Token&& token = Token()) {
    return initiate<GroupDescription>(&GroupAdmin::start_create, token, std::move(group));
  }
  template <CompletionToken<GroupDescription> Token = asio::deferred_t>
  auto async_alter(std::string group, GroupSettings settings, Token&& token = Token()) {
    return initiate<GroupDescription>(&GroupAdmin::start_alter, token, std::move(group), std::move(settings));
  }
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_remove(std::string group, Token&& token = Token()) {
    return initiate<void>(&GroupAdmin::start_remove, token, std::move(group));
  }
  template <CompletionToken<std::vector<GroupDescription>> Token = asio::deferred_t>
  auto async_list(Token&& token = Token()) {
    return initiate<std::vector<GroupDescription>>(&GroupAdmin::start_list, token);
  }
  template <CompletionToken<GroupDescription> Token = asio::deferred_t>
  auto async_describe(std::string group, Token&& token = Token()) {
    return initiate<GroupDescription>(&GroupAdmin::start_describe, token, std::move(group));
  }
  template <CompletionToken<std::vector<GroupPartitionLag>> Token = asio::deferred_t>
  auto async_lag(std::optional<std::string> group = std::nullopt, Token&& token = Token()) {
    return initiate<std::vector<GroupPartitionLag>>(&GroupAdmin::start_lag, token, std::move(group));
  }
  template <CompletionToken<GroupSeekPlan> Token = asio::deferred_t>
  auto async_seek(GroupSeek seek, Token&& token = Token()) {
    return initiate<GroupSeekPlan>(&GroupAdmin::start_seek, token, std::move(seek));
  }
  template <CompletionToken<std::vector<GroupSeekRecord>> Token = asio::deferred_t>
  auto async_history(std::string group, Token&& token = Token()) {
    return initiate<std::vector<GroupSeekRecord>>(&GroupAdmin::start_history, token, std::move(group));
  }
  template <CompletionToken<GroupSeekPlan> Token = asio::deferred_t>
  auto async_undo(std::string group, bool execute, bool force, Token&& token = Token()) {
    return initiate<GroupSeekPlan>(&GroupAdmin::start_undo, token, std::move(group), execute, force);
  }

 private:
  friend class Client;
  using Core = std::shared_ptr<detail::ClientCore>;
  explicit GroupAdmin(Core core) : core_(std::move(core)) {}

  template <class T, class Start, class Token, class... Args>
  auto initiate(Start start, Token& token, Args... args) {
    return asio::async_initiate<Token, void(Result<T>)>(
        [core = core_, start](auto handler, Args... values) { start(core, std::move(values)..., Completion<T>(std::move(handler))); },
        token, std::move(args)...);
  }

  static void start_create(const Core& core, NewGroup group, Completion<GroupDescription> done);
  static void start_alter(const Core& core, std::string group, GroupSettings settings, Completion<GroupDescription> done);
  static void start_remove(const Core& core, std::string group, Completion<void> done);
  static void start_list(const Core& core, Completion<std::vector<GroupDescription>> done);
  static void start_describe(const Core& core, std::string group, Completion<GroupDescription> done);
  static void start_lag(const Core& core, std::optional<std::string> group, Completion<std::vector<GroupPartitionLag>> done);
  static void start_seek(const Core& core, GroupSeek seek, Completion<GroupSeekPlan> done);
  static void start_history(const Core& core, std::string group, Completion<std::vector<GroupSeekRecord>> done);
  static void start_undo(const Core& core, std::string group, bool execute, bool force, Completion<GroupSeekPlan> done);

  Core core_;
};

}  // namespace tidemark
