#include "protocol/native/adapter/job_handlers.h"

#include <optional>

namespace tidemark::native {
namespace {

using broker::ReplayPace;
using broker::ReplayPosition;

/// What is not on the wire is the start, or for the end the end.
Result<ReplayPosition> from_wire(const wire::ReplayPosition& position) {
  using Kind = ReplayPosition::Kind;
  std::optional<Kind> kind;
  switch (position.kind()) {
    case wire::ReplayPosition::EARLIEST:
      kind = Kind::earliest;
      break;
    case wire::ReplayPosition::LATEST:
      kind = Kind::latest;
      break;
    case wire::ReplayPosition::OFFSET:
      kind = Kind::offset;
      break;
    case wire::ReplayPosition::AFTER_START:
      kind = Kind::after_start;
      break;
    case wire::ReplayPosition::BEFORE_END:
      kind = Kind::before_end;
      break;
    case wire::ReplayPosition::TIMESTAMP_MS:
      kind = Kind::timestamp_ms;
      break;
    default:  // From a newer client.
      break;
  }
  if (!kind) return Error{Errc::invalid_argument, "unknown kind of position " + std::to_string(position.kind())};
  return ReplayPosition{*kind, position.value()};
}

void to_wire(const ReplayPosition& position, wire::ReplayPosition& out) {
  switch (position.kind) {
    case ReplayPosition::Kind::earliest:
      out.set_kind(wire::ReplayPosition::EARLIEST);
      break;
    case ReplayPosition::Kind::latest:
      out.set_kind(wire::ReplayPosition::LATEST);
      break;
    case ReplayPosition::Kind::offset:
      out.set_kind(wire::ReplayPosition::OFFSET);
      break;
    case ReplayPosition::Kind::after_start:
      out.set_kind(wire::ReplayPosition::AFTER_START);
      break;
    case ReplayPosition::Kind::before_end:
      out.set_kind(wire::ReplayPosition::BEFORE_END);
      break;
    case ReplayPosition::Kind::timestamp_ms:
      out.set_kind(wire::ReplayPosition::TIMESTAMP_MS);
      break;
  }
  out.set_value(position.value);
}

ReplayPace pace_of(const wire::CreateReplay& create) {
  switch (create.pace_case()) {
    case wire::CreateReplay::kRecordsPerSecond:
      return {ReplayPace::Kind::records, create.records_per_second()};
    case wire::CreateReplay::kBytesPerSecond:
      return {ReplayPace::Kind::bytes, create.bytes_per_second()};
    case wire::CreateReplay::kSpeed:
      return {ReplayPace::Kind::speed, create.speed()};
    case wire::CreateReplay::PACE_NOT_SET:
      break;
  }
  return {};
}

void to_wire(const ReplayPace& pace, wire::CreateReplay& out) {
  switch (pace.kind) {
    case ReplayPace::Kind::unbounded:
      break;
    case ReplayPace::Kind::records:
      out.set_records_per_second(pace.value);
      break;
    case ReplayPace::Kind::bytes:
      out.set_bytes_per_second(pace.value);
      break;
    case ReplayPace::Kind::speed:
      out.set_speed(pace.value);
      break;
  }
}

void to_wire(const broker::JobInfo& job, bool with_partitions, wire::JobInfo& out) {
  out.set_id(job.id);
  wire::CreateReplay& replay = *out.mutable_replay();
  replay.set_source(job.spec.source);
  replay.set_into(job.spec.into);
  to_wire(job.spec.from, *replay.mutable_from());
  to_wire(job.spec.to, *replay.mutable_to());
  to_wire(job.spec.pace, replay);
  replay.set_filter(job.spec.filter);
  replay.set_skip_damaged(job.spec.skip_damaged);
  out.set_state(std::string(broker::to_string(job.state)));
  out.set_wait(std::string(broker::to_string(job.wait)));
  if (job.error) *out.mutable_error() = native::to_wire(*job.error);
  out.set_created_ms(job.created.time_since_epoch().count());
  if (job.finished) out.set_finished_ms(job.finished->time_since_epoch().count());
  out.set_records(job.totals.records);
  out.set_bytes(job.totals.bytes);
  out.set_filtered(job.totals.filtered);
  out.set_skipped(job.totals.skipped);
  out.set_damaged(job.totals.damaged);
  out.set_records_per_second(job.records_per_second);
  out.set_bytes_per_second(job.bytes_per_second);
  if (job.eta_seconds) out.set_eta_seconds(*job.eta_seconds);
  std::int64_t done = 0;
  std::int64_t total = 0;
  for (const broker::ReplayProgress& progress : job.partitions) {
    done += progress.next - progress.from;
    total += progress.to - progress.from;
    if (!with_partitions) continue;
    auto& entry = *out.add_partitions();
    entry.set_partition(progress.partition);
    entry.set_from(progress.from.value);
    entry.set_to(progress.to.value);
    entry.set_next(progress.next.value);
  }
  out.set_offsets_done(static_cast<std::uint64_t>(done));
  out.set_offsets_total(static_cast<std::uint64_t>(total));
}

void reply_job(const Request& request, const broker::JobInfo& job) {
  wire::JobInfo info;
  to_wire(job, true, info);
  request.reply(info);
}

}  // namespace

Status handle_create_replay(const Request& request, const wire::CreateReplay& create) {
  broker::ReplaySpec spec;
  spec.source = create.source();
  spec.into = create.into();
  const Result<ReplayPosition> from = from_wire(create.from());
  if (!from) {
    request.reply(from.error());
    return {};
  }
  spec.from = *from;
  if (create.has_to()) {
    const Result<ReplayPosition> to = from_wire(create.to());
    if (!to) {
      request.reply(to.error());
      return {};
    }
    spec.to = *to;
  }
  spec.pace = pace_of(create);
  spec.filter = create.filter();
  spec.skip_damaged = create.skip_damaged();
  request.broker().create_replay(request.context(), std::move(spec), create.dry_run(), answer<broker::JobInfo>(request, reply_job));
  return {};
}

Status handle_list_jobs(const Request& request, const wire::ListJobs&) {
  request.broker().list_jobs(
      request.context(), answer<std::vector<broker::JobInfo>>(request, [](const Request& asked, const std::vector<broker::JobInfo>& jobs) {
        wire::ListJobsReply reply;
        for (const broker::JobInfo& job : jobs) to_wire(job, false, *reply.add_jobs());
        asked.reply(reply);
      }));
  return {};
}

Status handle_describe_job(const Request& request, const wire::DescribeJob& describe) {
  request.broker().describe_job(request.context(), describe.id(), answer<broker::JobInfo>(request, reply_job));
  return {};
}

Status handle_control_job(const Request& request, const wire::ControlJob& control) {
  std::optional<broker::JobAction> action;
  switch (control.action()) {
    case wire::ControlJob::PAUSE:
      action = broker::JobAction::pause;
      break;
    case wire::ControlJob::RESUME:
      action = broker::JobAction::resume;
      break;
    case wire::ControlJob::CANCEL:
      action = broker::JobAction::cancel;
      break;
    default:  // None, or one that only a newer client knows.
      break;
  }
  if (!action) {
    request.reply(Error{Errc::invalid_argument, "unknown action on a job: " + std::to_string(control.action())});
    return {};
  }
  request.broker().control_job(request.context(), control.id(), *action, answer<broker::JobInfo>(request, reply_job));
  return {};
}

}  // namespace tidemark::native
