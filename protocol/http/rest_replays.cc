#include <charconv>
#include <cmath>
#include <limits>

#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/json_text.h"
#include "protocol/http/seek_target.h"
#include "storage/base/units.h"

/// Replay jobs: list, make, look at, steer.
namespace tidemark::http {
namespace {

namespace json = boost::json;
using broker::JobInfo;
using broker::ReplayPace;
using broker::ReplayPosition;

std::string position_text(const ReplayPosition& position) {
  switch (position.kind) {
    case ReplayPosition::Kind::earliest:
      return "earliest";
    case ReplayPosition::Kind::latest:
      return "latest";
    case ReplayPosition::Kind::offset:
      return std::to_string(position.value);
    case ReplayPosition::Kind::after_start:
      return "+" + std::to_string(position.value);
    case ReplayPosition::Kind::before_end:
      return "-" + std::to_string(position.value);
    case ReplayPosition::Kind::timestamp_ms:
      return "@" + time_text(Timestamp(std::chrono::milliseconds(position.value)));
  }
  return {};
}

/// As few digits as say it exactly.
std::string number_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return error == std::errc() ? std::string(text, end) : std::string();
}

json::value pace_value(const ReplayPace& pace, bool speed) {
  switch (pace.kind) {
    case ReplayPace::Kind::records:
      if (!speed) return json::value(number_text(pace.value) + "/s");
      break;
    case ReplayPace::Kind::bytes:
      if (!speed) return json::value(number_text(pace.value) + "B/s");
      break;
    case ReplayPace::Kind::speed:
      if (speed) return json::value(number_text(pace.value) + "x");
      break;
    case ReplayPace::Kind::unbounded:
      break;
  }
  return nullptr;
}

json::value text_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json::value(shown(text));
}

json::object job_value(const JobInfo& job) {
  std::int64_t done = 0, total = 0;
  for (const broker::ReplayProgress& progress : job.partitions) {
    done += progress.next - progress.from;
    total += progress.to - progress.from;
  }
  const double nothing = broker::is_finished(job.state) ? 1 : 0;
  json::object object;
  object["job"] = job.id;
  object["state"] = broker::to_string(job.state);
  object["wait"] = text_or_null(broker::to_string(job.wait));
  object["topic"] = shown(job.spec.source);
  object["into"] = shown(job.spec.into);
  object["from"] = position_text(job.spec.from);
  object["to"] = position_text(job.spec.to);
  object["rate"] = pace_value(job.spec.pace, false);
  object["speed"] = pace_value(job.spec.pace, true);
  object["filter"] = text_or_null(job.spec.filter);
  object["skip_damaged"] = job.spec.skip_damaged;
  object["read"] = job.totals.records + job.totals.filtered;
  object["records"] = job.totals.records;
  object["bytes"] = job.totals.bytes;
  object["filtered"] = job.totals.filtered;
  object["skipped"] = job.totals.skipped;
  object["damaged"] = job.totals.damaged;
  object["progress"] = total == 0 ? nothing : static_cast<double>(done) / static_cast<double>(total);
  object["records_per_second"] = job.records_per_second;
  object["bytes_per_second"] = job.bytes_per_second;
  object["eta_seconds"] = seconds_value(job.eta_seconds);
  object["error"] = nullptr;
  if (job.error) object["error"] = {{"code", to_string(job.error->code)}, {"message", shown(job.error->detail)}};
  put_time(object, "created", job.created);
  put_time(object, "finished", job.finished);
  return object;
}

json::object job_details(const JobInfo& job) {
  json::object object = job_value(job);
  json::array partitions;
  for (const broker::ReplayProgress& progress : job.partitions) {
    partitions.push_back(
        {{"partition", progress.partition}, {"from", progress.from.value}, {"to", progress.to.value}, {"next", progress.next.value}});
  }
  object["partition_list"] = std::move(partitions);
  return object;
}

broker::Done<JobInfo> reply_with_job(const Ask& ask, unsigned status = 200) {
  return ask.then<JobInfo>(
      [status](const Ask& again, JobInfo job) { again.reply([job = std::move(job)] { return json::value(job_details(job)); }, status); });
}

void list_replays(const Ask& ask) {
  ask.broker().list_jobs(ask.context(), ask.then<std::vector<JobInfo>>([](const Ask& again, auto jobs) {
    again.reply([jobs = std::move(jobs)] {
      json::array list;
      for (const JobInfo& job : jobs) list.push_back(job_value(job));
      return json::value(std::move(list));
    });
  }));
}

/// At most one of the three; none: as fast as it goes.
ReplayPace pace_of(Body& body) {
  const std::optional<double> records = body.number("records_per_second"), bytes = body.number("bytes_per_second"),
                              speed = body.number("speed");
  const int given = (records ? 1 : 0) + (bytes ? 1 : 0) + (speed ? 1 : 0);
  if (given > 1) body.wrong("speed", "the only one of records_per_second, bytes_per_second and speed");
  if (records) return {ReplayPace::Kind::records, *records};
  if (bytes) return {ReplayPace::Kind::bytes, *bytes};
  if (speed) return {ReplayPace::Kind::speed, *speed};
  return {};
}

void create_replay(const Ask& ask) {
  Body body(ask.call());
  broker::ReplaySpec spec;
  spec.source = body.text("topic");
  spec.into = body.text("into");
  const std::string from = body.text_or("from", "earliest"), to = body.text_or("to", "latest");
  spec.pace = pace_of(body);
  spec.filter = body.text_or("filter", "");
  spec.skip_damaged = body.flag_or("skip_damaged", false);
  const bool dry_run = body.flag_or("dry_run", false);
  const Timestamp now = ask.runtime().clock().now();
  const Result<ReplayPosition> first = parse_replay_position(from, now), last = parse_replay_position(to, now);
  if (!first) body.wrong("from", first.error().detail);
  if (!last) body.wrong("to", last.error().detail);
  if (body.problem()) return ask.refuse(*body.problem());
  spec.from = *first;
  spec.to = *last;
  ask.broker().create_replay(ask.context(), std::move(spec), dry_run, reply_with_job(ask, dry_run ? 200 : 201));
}

std::optional<broker::JobId> id_of(const Ask& ask) {
  const std::string& text = ask.path_value(0);
  broker::JobId id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc() && end == text.data() + text.size() && id > 0) return id;
  ask.refuse(Error{Errc::not_found, "no replay '" + text + "'"});
  return std::nullopt;
}

void show_replay(const Ask& ask) {
  if (const auto id = id_of(ask)) ask.broker().describe_job(ask.context(), *id, reply_with_job(ask));
}

void control(const Ask& ask, broker::JobAction action) {
  if (const auto id = id_of(ask)) ask.broker().control_job(ask.context(), *id, action, reply_with_job(ask));
}
void pause(const Ask& ask) { control(ask, broker::JobAction::pause); }
void resume(const Ask& ask) { control(ask, broker::JobAction::resume); }
void cancel(const Ask& ask) { control(ask, broker::JobAction::cancel); }

}  // namespace

void add_replay_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/replays", list_replays);
  add_route(router, link, "POST", "/api/v1/replays", create_replay);
  add_route(router, link, "GET", "/api/v1/replays/{id}", show_replay);
  add_route(router, link, "POST", "/api/v1/replays/{id}/pause", pause);
  add_route(router, link, "POST", "/api/v1/replays/{id}/resume", resume);
  add_route(router, link, "POST", "/api/v1/replays/{id}/cancel", cancel);
}

}  // namespace tidemark::http
