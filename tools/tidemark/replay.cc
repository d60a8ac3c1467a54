#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "broker/record_filter.h"
#include "tools/tidemark/job_view.h"
#include "tools/tidemark/options.h"
#include "tools/tidemark/rate.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

struct ReplayOptions {
  std::string topic;
  std::string into;
  std::string from;
  std::string to = "latest";
  std::string rate;
  std::string speed;
  std::string filter;
  bool skip_damaged = false;
  bool detach = false;
};

constexpr std::chrono::milliseconds kLookMin{20};
constexpr std::chrono::milliseconds kLookMax{250};

Result<ReplayOrder> make_order(const ReplayOptions& options) {
  const auto invalid = [](std::string detail) { return Error{.code = Errc::invalid_argument, .detail = std::move(detail)}; };
  if (options.topic.empty()) return invalid("say which topic to replay, or `replay ls` for the jobs");
  if (options.from.empty()) return invalid("--from says where to start: earliest, 42, -7d, @2026-03-01T10:00");
  if (options.into.empty()) return invalid("--into says which topic to write to");
  if (!options.rate.empty() && !options.speed.empty()) return invalid("--rate and --speed exclude each other");
  ReplayOrder order{.source = options.topic, .into = options.into};
  const Result<Position> from = parse_position(options.from);
  if (!from) return from.error();
  order.from = *from;
  const Result<Position> to = parse_position(options.to);
  if (!to) return to.error();
  order.to = *to;
  if (!options.rate.empty()) {
    const Result<Rate> rate = parse_rate(options.rate);
    if (!rate) return rate.error();
    order.pace = rate->unit == Rate::Unit::records ? ReplayOrder::Pace::records_per_second : ReplayOrder::Pace::bytes_per_second;
    order.pace_value = rate->per_second;
  }
  if (!options.speed.empty()) {
    const Result<double> speed = parse_speed(options.speed);
    if (!speed) return speed.error();
    order.pace = ReplayOrder::Pace::speed;
    order.pace_value = *speed;
  }
  if (!options.filter.empty()) {
    const Result<broker::RecordFilter> filter = broker::RecordFilter::parse(options.filter, now());
    if (!filter) return filter.error();
    order.filter = options.filter;
  }
  order.skip_damaged = options.skip_damaged;
  return order;
}

/// What a replay that was waited for comes to; the fields that `produce` has, and the job's own.
boost::json::object result_to_json(const JobDescription& job, const std::string& durability, double seconds) {
  boost::json::object object = job_to_json(job);
  object["failed"] = 0;
  object["duplicates"] = 0;
  object["durability"] = durability;
  object["seconds"] = seconds;
  return object;
}

/// Looks at the job until it has ended, the more seldom the longer it takes.
Result<JobDescription> wait_for(Admin& admin, JobDescription job, const Interrupts& interrupts) {
  ProgressBar progress("replay", job.offsets_total);
  auto pause = kLookMin;
  while (!job.finished_for_good()) {
    if (!interrupts.sleep(pause)) return job;
    pause = std::min(pause * 3 / 2, kLookMax);
    Result<JobDescription> now = admin.describe_job(job.id);
    if (!now) return now;
    job = *std::move(now);
    progress.show(job.offsets_done, job.bytes);
  }
  return job;
}

Exit conclude(const Result<JobDescription>& ended, std::int64_t id, const std::string& durability, double seconds, const Globals& globals,
              const Interrupts& interrupts) {
  if (!ended) {
    const Exit exit = report(ended.error(), globals.output);
    write_stderr(fmt::format("job {} goes on in the broker: `tidemark replay show {}`\n", id, id));
    return exit;
  }
  const JobDescription& job = *ended;
  if (!job.finished_for_good() && interrupts.interrupted()) {
    write_stderr(fmt::format("job {} goes on in the broker; `tidemark replay cancel {}` ends it\n", id, id));
    return Exit::interrupted;
  }
  if (is_json(globals.output)) print_json(result_to_json(job, durability, seconds));
  write_stderr(fmt::format("{} records, {}, {}, {}\n", job.records, format_bytes_decimal(job.bytes), format_seconds(seconds), durability));
  if (job.skipped + job.damaged > 0) {
    write_stderr(fmt::format("{} offsets were gone from the source before they were copied, {} are damaged\n", job.skipped, job.damaged));
  }
  if (job.error) {
    const Exit exit = report(*job.error, globals.output);
    return job.records > 0 ? Exit::partial : exit;
  }
  if (job.state == "done") return Exit::done;
  write_stderr(fmt::format("job {} was {}\n", id, job.state));
  return job.records > 0 ? Exit::partial : Exit::failed;
}

Exit replay(const ReplayOptions& options, const Globals& globals, Interrupts& interrupts) {
  Result<ReplayOrder> order = make_order(options);
  if (!order) return report(order.error(), globals.output);
  order->dry_run = globals.dry_run;
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  Admin admin = client->admin();
  const Result<TopicDescription> target = admin.describe_topic(options.into);
  if (!target) return report(target.error(), globals.output);

  const Stopwatch stopwatch;
  const Result<JobDescription> job = admin.create_replay(*order);
  if (!job) return report(job.error(), globals.output);
  if (globals.dry_run) {
    write_stderr(fmt::format("would replay at most {} records of topic {} into {}\n", job->offsets_total, options.topic, options.into));
    return Exit::done;
  }
  if (options.detach) {
    if (is_json(globals.output)) {
      print_json(job_details_to_json(*job));
      return Exit::done;
    }
    return write_stdout(fmt::format("{}\n", job->id)) ? Exit::done : Exit::failed;
  }
  write_stderr(fmt::format("job {}\n", job->id));
  const Result<JobDescription> ended = wait_for(admin, *job, interrupts);
  return conclude(ended, job->id, target->durability, stopwatch.seconds(), globals, interrupts);
}

// --- Jobs that are there.

Exit list(const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<std::vector<JobDescription>> jobs = client->admin().list_jobs();
  if (!jobs) return report(jobs.error(), globals.output);
  if (is_json(globals.output)) {
    boost::json::array list;
    for (const JobDescription& job : *jobs) list.push_back(job_to_json(job));
    print_json_list(list, globals.output);
    return Exit::done;
  }
  return write_stdout(job_table(*jobs, globals.output == OutputFormat::wide)) ? Exit::done : Exit::failed;
}

Exit show(std::int64_t id, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  const Result<JobDescription> job = client->admin().describe_job(id);
  if (!job) return report(job.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(job_details_to_json(*job));
    return Exit::done;
  }
  return write_stdout(job_page(*job, globals.output == OutputFormat::wide)) ? Exit::done : Exit::failed;
}

Exit control(std::int64_t id, JobAction action, std::string_view verb, const Globals& globals) {
  Result<Client> client = connect(globals);
  if (!client) return report(client.error(), globals.output);
  if (globals.dry_run) {
    const Result<JobDescription> job = client->admin().describe_job(id);
    if (!job) return report(job.error(), globals.output);
    write_stderr(fmt::format("would {} job {}, which is {}\n", verb, id, job->state));
    return Exit::done;
  }
  const Result<JobDescription> job = client->admin().control_job(id, action);
  if (!job) return report(job.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(job_details_to_json(*job));
  } else {
    write_stderr(fmt::format("job {} is {}\n", id, job_state_text(*job)));
  }
  return Exit::done;
}

/// A verb on one job: `replay NAME ID`.
void add_job_verb(CLI::App& replay, Invocation& invocation, const std::string& name, const std::string& help,
                  const std::function<Exit(std::int64_t, const Globals&)>& action) {
  CLI::App* const verb = replay.add_subcommand(name, help);
  const auto id = std::make_shared<std::int64_t>(0);
  verb->add_option("job", *id, "Its number, as `replay ls` shows it")->required();
  if (name == "show") verb->alias("describe");
  verb->callback([&invocation, id, action] {
    invocation.action = [id, action](const Globals& globals, Interrupts&) { return action(*id, globals); };
  });
}

void add_job_verbs(CLI::App& replay, Invocation& invocation) {
  CLI::App* const list_verb = replay.add_subcommand("ls", "List the replay jobs")->alias("list");
  list_verb->callback([&invocation] { invocation.action = [](const Globals& globals, Interrupts&) { return list(globals); }; });
  add_job_verb(replay, invocation, "show", "How a job stands", show);
  add_job_verb(replay, invocation, "pause", "Let a job rest, over restarts too",
               [](std::int64_t id, const Globals& globals) { return control(id, JobAction::pause, "pause", globals); });
  add_job_verb(replay, invocation, "resume", "Let a paused job go on",
               [](std::int64_t id, const Globals& globals) { return control(id, JobAction::resume, "resume", globals); });
  add_job_verb(replay, invocation, "cancel", "End a job; what it has copied stays",
               [](std::int64_t id, const Globals& globals) { return control(id, JobAction::cancel, "cancel", globals); });
}

}  // namespace

void add_replay_command(CLI::App& root, Invocation& invocation) {
  CLI::App* const verb = root.add_subcommand("replay", "Copy a stretch of a topic into another one, as a job of the broker");
  verb->footer("A topic that is called ls, list, show, describe, pause, resume or cancel is written after `--`.");
  const auto options = std::make_shared<ReplayOptions>();
  verb->add_option("topic", options->topic);
  verb->add_option("--from", options->from, "Where to start: earliest, 42, -7d, @2026-03-01T10:00")->type_name("POS");
  verb->add_option("--to", options->to, "Where to stop, exclusive; latest is the end at the start")
      ->type_name("POS")
      ->capture_default_str();
  verb->add_option("--into", options->into, "Topic to write to; it must exist")->type_name("TOPIC");
  verb->add_option("--rate", options->rate, "At most so much: 500, 5k/s, 10MB/s")->type_name("RATE");
  verb->add_option("--speed", options->speed, "In record time, so many times faster: 1x, 4x")->type_name("SPEED");
  verb->add_option("--filter", options->filter, "Only records for which this holds, as in consume")->type_name("EXPR");
  verb->add_flag("--skip-damaged", options->skip_damaged, "Pass over quarantined ranges and count them, instead of failing there");
  verb->add_flag("-d,--detach", options->detach, "Print the job's number and do not wait for it");
  add_job_verbs(*verb, invocation);
  verb->callback([&invocation, verb, options] {
    const bool about_a_job = !verb->get_subcommands().empty();
    const bool has_flags = std::ranges::any_of(verb->get_options(), [](const CLI::Option* option) {
      return option->nonpositional() && option->get_name() != "--help" && option->count() > 0;
    });
    if (about_a_job && !has_flags) return;  // Its own callback has said what to do.
    if (about_a_job) {
      invocation.action = [](const Globals& globals, Interrupts&) {
        return report_usage("the flags of a new replay do not go with a verb on jobs; a topic of that name is written after `--`",
                            globals.output);
      };
      return;
    }
    invocation.action = [options](const Globals& globals, Interrupts& interrupts) { return replay(*options, globals, interrupts); };
  });
}

}  // namespace tidemark::tools
