#include <utility>

#include "client/src/client_core.h"
#include "client/src/wire.h"
#include "protocol/native/codec/errors.h"
#include "protocol/native/wire.pb.h"
#include "tidemark/admin.h"

/// The part of Admin that is about jobs.
namespace tidemark {
namespace {

using detail::Connection;
using detail::Done;
using detail::OnLoss;
using native::FrameType;

Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

Status to_wire(const Position& position, wire::ReplayPosition& out) {
  out.set_value(position.count);
  switch (position.kind) {
    case Position::Kind::earliest:
      out.set_kind(wire::ReplayPosition::EARLIEST);
      return {};
    case Position::Kind::latest:
      out.set_kind(wire::ReplayPosition::LATEST);
      return {};
    case Position::Kind::committed:
      break;
    case Position::Kind::offset:
      out.set_kind(wire::ReplayPosition::OFFSET);
      return {};
    case Position::Kind::after_start:
      out.set_kind(wire::ReplayPosition::AFTER_START);
      return {};
    case Position::Kind::before_end:
      out.set_kind(wire::ReplayPosition::BEFORE_END);
      return {};
    case Position::Kind::time:
      out.set_kind(wire::ReplayPosition::TIMESTAMP_MS);
      out.set_value(position.time.time_since_epoch().count());
      return {};
    case Position::Kind::ago: {
      const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
      out.set_kind(wire::ReplayPosition::TIMESTAMP_MS);
      out.set_value((now - position.duration).time_since_epoch().count());
      return {};
    }
  }
  return Error{Errc::invalid_argument, "the position \"committed\" needs a group, and here is none"};
}

Position from_wire(const wire::ReplayPosition& position) {
  switch (position.kind()) {
    case wire::ReplayPosition::LATEST:
      return Position::latest();
    case wire::ReplayPosition::OFFSET:
      return Position::at(position.value());
    case wire::ReplayPosition::AFTER_START:
      return Position::after_start(position.value());
    case wire::ReplayPosition::BEFORE_END:
      return Position::before_end(position.value());
    case wire::ReplayPosition::TIMESTAMP_MS:
      return Position::at_time(from_ms(position.value()));
    default:
      return Position::earliest();
  }
}

void take_pace(const wire::CreateReplay& replay, ReplayOrder& order) {
  switch (replay.pace_case()) {
    case wire::CreateReplay::kRecordsPerSecond:
      order.pace = ReplayOrder::Pace::records_per_second;
      order.pace_value = replay.records_per_second();
      return;
    case wire::CreateReplay::kBytesPerSecond:
      order.pace = ReplayOrder::Pace::bytes_per_second;
      order.pace_value = replay.bytes_per_second();
      return;
    case wire::CreateReplay::kSpeed:
      order.pace = ReplayOrder::Pace::speed;
      order.pace_value = replay.speed();
      return;
    case wire::CreateReplay::PACE_NOT_SET:
      return;
  }
}

void put_pace(const ReplayOrder& order, wire::CreateReplay& replay) {
  switch (order.pace) {
    case ReplayOrder::Pace::unbounded:
      return;
    case ReplayOrder::Pace::records_per_second:
      return replay.set_records_per_second(order.pace_value);
    case ReplayOrder::Pace::bytes_per_second:
      return replay.set_bytes_per_second(order.pace_value);
    case ReplayOrder::Pace::speed:
      return replay.set_speed(order.pace_value);
  }
}

JobDescription job_from_wire(const wire::JobInfo& info) {
  JobDescription job;
  job.id = info.id();
  const wire::CreateReplay& replay = info.replay();
  job.order.source = replay.source();
  job.order.into = replay.into();
  job.order.from = from_wire(replay.from());
  job.order.to = from_wire(replay.to());
  take_pace(replay, job.order);
  job.order.filter = replay.filter();
  job.order.skip_damaged = replay.skip_damaged();
  job.state = info.state();
  job.wait = info.wait();
  if (info.has_error()) job.error = native::from_wire(info.error());
  job.created = from_ms(info.created_ms());
  if (info.has_finished_ms()) job.finished = from_ms(info.finished_ms());
  job.offsets_done = info.offsets_done();
  job.offsets_total = info.offsets_total();
  job.records = info.records();
  job.bytes = info.bytes();
  job.filtered = info.filtered();
  job.skipped = info.skipped();
  job.damaged = info.damaged();
  job.records_per_second = info.records_per_second();
  job.bytes_per_second = info.bytes_per_second();
  if (info.has_eta_seconds()) job.eta_seconds = info.eta_seconds();
  for (const auto& entry : info.partitions()) {
    job.partitions.push_back({entry.partition(), Offset{entry.from()}, Offset{entry.to()}, Offset{entry.next()}});
  }
  return job;
}

/// Sends `message` and answers with the job that comes back.
void ask_job(Connection& connection, FrameType type, const google::protobuf::MessageLite& message, OnLoss on_loss,
             Done<JobDescription> done) {
  detail::call<wire::JobInfo>(connection, type, message, on_loss, [done = std::move(done)](Result<wire::JobInfo> reply) mutable {
    if (!reply) return done(std::move(reply).error());
    done(job_from_wire(*reply));
  });
}

void create_replay(Connection& connection, const ReplayOrder& order, Done<JobDescription> done) {
  wire::CreateReplay create;
  create.set_source(order.source);
  create.set_into(order.into);
  if (Status from = to_wire(order.from, *create.mutable_from()); !from) return done(std::move(from).error());
  if (Status to = to_wire(order.to, *create.mutable_to()); !to) return done(std::move(to).error());
  put_pace(order, create);
  create.set_filter(order.filter);
  create.set_skip_damaged(order.skip_damaged);
  create.set_dry_run(order.dry_run);
  ask_job(connection, FrameType::create_replay, create, OnLoss::fail_if_sent, std::move(done));
}

void list_jobs(Connection& connection, Done<std::vector<JobDescription>> done) {
  detail::call<wire::ListJobsReply>(connection, FrameType::list_jobs, wire::ListJobs(), OnLoss::repeat,
                                    [done = std::move(done)](Result<wire::ListJobsReply> reply) mutable {
                                      if (!reply) return done(std::move(reply).error());
                                      std::vector<JobDescription> jobs;
                                      for (const wire::JobInfo& info : reply->jobs()) jobs.push_back(job_from_wire(info));
                                      done(std::move(jobs));
                                    });
}

void describe_job(Connection& connection, std::int64_t id, Done<JobDescription> done) {
  wire::DescribeJob describe;
  describe.set_id(id);
  ask_job(connection, FrameType::describe_job, describe, OnLoss::repeat, std::move(done));
}

void control_job(Connection& connection, std::int64_t id, JobAction action, Done<JobDescription> done) {
  wire::ControlJob control;
  control.set_id(id);
  switch (action) {
    case JobAction::pause:
      control.set_action(wire::ControlJob::PAUSE);
      break;
    case JobAction::resume:
      control.set_action(wire::ControlJob::RESUME);
      break;
    case JobAction::cancel:
      control.set_action(wire::ControlJob::CANCEL);
      break;
  }
  // Each is fine twice.
  ask_job(connection, FrameType::control_job, control, OnLoss::repeat, std::move(done));
}

}  // namespace

Result<JobDescription> Admin::create_replay(const ReplayOrder& order) {
  return core_->block<JobDescription>([&](auto done) { tidemark::create_replay(*core_->connection(), order, std::move(done)); });
}

Result<std::vector<JobDescription>> Admin::list_jobs() {
  return core_->block<std::vector<JobDescription>>([&](auto done) { tidemark::list_jobs(*core_->connection(), std::move(done)); });
}

Result<JobDescription> Admin::describe_job(std::int64_t id) {
  return core_->block<JobDescription>([&](auto done) { tidemark::describe_job(*core_->connection(), id, std::move(done)); });
}

Result<JobDescription> Admin::control_job(std::int64_t id, JobAction action) {
  return core_->block<JobDescription>([&](auto done) { tidemark::control_job(*core_->connection(), id, action, std::move(done)); });
}

void Admin::start_create_replay(const Core& core, ReplayOrder order, Completion<JobDescription> done) {
  tidemark::create_replay(*core->connection(), order, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_list_jobs(const Core& core, Completion<std::vector<JobDescription>> done) {
  tidemark::list_jobs(*core->connection(), detail::as_done(std::move(done), core->executor()));
}

void Admin::start_describe_job(const Core& core, std::int64_t id, Completion<JobDescription> done) {
  tidemark::describe_job(*core->connection(), id, detail::as_done(std::move(done), core->executor()));
}

void Admin::start_control_job(const Core& core, std::int64_t id, JobAction action, Completion<JobDescription> done) {
  tidemark::control_job(*core->connection(), id, action, detail::as_done(std::move(done), core->executor()));
}

}  // namespace tidemark
