#include "tidemark/group_admin.h"

#include <utility>

#include "client/src/client_core.h"
#include "client/src/group_values.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark {
namespace {

using detail::Connection;
using detail::Done;
using detail::OnLoss;
using native::FrameType;

template <class Repeated>
void add_settings(Repeated& to, const GroupSettings& from) {
  for (const auto& [key, value] : from) {
    wire::ConfigEntry& entry = *to.Add();
    entry.set_key(key);
    entry.set_value(value);
  }
}

void create(Connection& connection, const NewGroup& group, Done<GroupDescription> done) {
  wire::CreateGroup request;
  request.set_group(group.name);
  for (const std::string& topic : group.topics) request.add_topics(topic);
  const Status start = detail::start_to_wire(group.start, *request.mutable_start());
  if (!start) return done(start.error());
  add_settings(*request.mutable_settings(), group.settings);
  detail::ask<wire::GroupInfo>(connection, FrameType::create_group, request, OnLoss::fail_if_sent, std::move(done),
                               detail::group_from_wire);
}

void alter(Connection& connection, std::string group, const GroupSettings& settings, Done<GroupDescription> done) {
  wire::AlterGroup request;
  request.set_group(std::move(group));
  add_settings(*request.mutable_settings(), settings);
  detail::ask<wire::GroupInfo>(connection, FrameType::alter_group, request, OnLoss::fail_if_sent, std::move(done), detail::group_from_wire);
}

void remove(Connection& connection, std::string group, Done<void> done) {
  wire::DeleteGroup request;
  request.set_group(std::move(group));
  detail::ask<wire::DeleteGroupReply>(connection, FrameType::delete_group, request, OnLoss::fail_if_sent, std::move(done),
                                      [](const auto&) { return Status(); });
}

void list(Connection& connection, Done<std::vector<GroupDescription>> done) {
  detail::ask<wire::ListGroupsReply>(connection, FrameType::list_groups, wire::ListGroups(), OnLoss::repeat, std::move(done),
                                     [](const auto& reply) {
                                       std::vector<GroupDescription> groups;
                                       for (const wire::GroupInfo& info : reply.groups()) groups.push_back(detail::group_from_wire(info));
                                       return groups;
                                     });
}

void describe(Connection& connection, std::string group, Done<GroupDescription> done) {
  wire::DescribeGroup request;
  request.set_group(std::move(group));
  detail::ask<wire::GroupInfo>(connection, FrameType::describe_group, request, OnLoss::repeat, std::move(done), detail::group_from_wire);
}

void lag(Connection& connection, const std::optional<std::string>& group, Done<std::vector<GroupPartitionLag>> done) {
  wire::GroupLag request;
  if (group) request.set_group(*group);
  detail::ask<wire::GroupLagReply>(connection, FrameType::group_lag, request, OnLoss::repeat, std::move(done), detail::lag_from_wire);
}

void seek(Connection& connection, const GroupSeek& seek, Done<GroupSeekPlan> done) {
  wire::SeekGroup request;
  detail::seek_to_wire(seek, request);
  const OnLoss on_loss = seek.execute ? OnLoss::fail_if_sent : OnLoss::repeat;
  detail::ask<wire::SeekReply>(connection, FrameType::seek_group, request, on_loss, std::move(done), detail::plan_from_wire);
}

void history(Connection& connection, std::string group, Done<std::vector<GroupSeekRecord>> done) {
  wire::GroupHistory request;
  request.set_group(std::move(group));
  detail::ask<wire::GroupHistoryReply>(connection, FrameType::group_history, request, OnLoss::repeat, std::move(done),
                                       detail::history_from_wire);
}

void undo(Connection& connection, std::string group, bool execute, bool force, Done<GroupSeekPlan> done) {
  wire::UndoSeek request;
  request.set_group(std::move(group));
  request.set_execute(execute);
  request.set_force(force);
  const OnLoss on_loss = execute ? OnLoss::fail_if_sent : OnLoss::repeat;
  detail::ask<wire::SeekReply>(connection, FrameType::undo_seek, request, on_loss, std::move(done), detail::plan_from_wire);
}

}  // namespace

// --- Blocking.

Result<GroupDescription> GroupAdmin::create(const NewGroup& group) {
  return core_->block<GroupDescription>([&](auto done) { tidemark::create(*core_->connection(), group, std::move(done)); });
}

Result<GroupDescription> GroupAdmin::alter(std::string_view group, const GroupSettings& settings) {
  return core_->block<GroupDescription>(
      [&](auto done) { tidemark::alter(*core_->connection(), std::string(group), settings, std::move(done)); });
}

Status GroupAdmin::remove(std::string_view group) {
  return core_->block<void>([&](auto done) { tidemark::remove(*core_->connection(), std::string(group), std::move(done)); });
}

Result<std::vector<GroupDescription>> GroupAdmin::list() {
  return core_->block<std::vector<GroupDescription>>([&](auto done) { tidemark::list(*core_->connection(), std::move(done)); });
}

Result<GroupDescription> GroupAdmin::describe(std::string_view group) {
  return core_->block<GroupDescription>([&](auto done) { tidemark::describe(*core_->connection(), std::string(group), std::move(done)); });
}

Result<std::vector<GroupPartitionLag>> GroupAdmin::lag(const std::optional<std::string>& group) {
  return core_->block<std::vector<GroupPartitionLag>>([&](auto done) { tidemark::lag(*core_->connection(), group, std::move(done)); });
}

Result<GroupSeekPlan> GroupAdmin::seek(const GroupSeek& seek) {
  return core_->block<GroupSeekPlan>([&](auto done) { tidemark::seek(*core_->connection(), seek, std::move(done)); });
}

Result<std::vector<GroupSeekRecord>> GroupAdmin::history(std::string_view group) {
  return core_->block<std::vector<GroupSeekRecord>>(
      [&](auto done) { tidemark::history(*core_->connection(), std::string(group), std::move(done)); });
}

Result<GroupSeekPlan> GroupAdmin::undo(std::string_view group, bool execute, bool force) {
  return core_->block<GroupSeekPlan>(
      [&](auto done) { tidemark::undo(*core_->connection(), std::string(group), execute, force, std::move(done)); });
}

// --- Asynchronous.

void GroupAdmin::start_create(const Core& core, NewGroup group, Completion<GroupDescription> done) {
  tidemark::create(*core->connection(), group, detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_alter(const Core& core, std::string group, GroupSettings settings, Completion<GroupDescription> done) {
  tidemark::alter(*core->connection(), std::move(group), settings, detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_remove(const Core& core, std::string group, Completion<void> done) {
  tidemark::remove(*core->connection(), std::move(group), detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_list(const Core& core, Completion<std::vector<GroupDescription>> done) {
  tidemark::list(*core->connection(), detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_describe(const Core& core, std::string group, Completion<GroupDescription> done) {
  tidemark::describe(*core->connection(), std::move(group), detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_lag(const Core& core, std::optional<std::string> group, Completion<std::vector<GroupPartitionLag>> done) {
  tidemark::lag(*core->connection(), group, detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_seek(const Core& core, GroupSeek seek, Completion<GroupSeekPlan> done) {
  tidemark::seek(*core->connection(), seek, detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_history(const Core& core, std::string group, Completion<std::vector<GroupSeekRecord>> done) {
  tidemark::history(*core->connection(), std::move(group), detail::as_done(std::move(done), core->executor()));
}

void GroupAdmin::start_undo(const Core& core, std::string group, bool execute, bool force, Completion<GroupSeekPlan> done) {
  tidemark::undo(*core->connection(), std::move(group), execute, force, detail::as_done(std::move(done), core->executor()));
}

}  // namespace tidemark
