#include "tools/tidemark/job_view.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/tidemark/output.h"

namespace tidemark::tools {
namespace {

double progress_of(const JobDescription& job) {
  if (job.offsets_total == 0) return job.finished_for_good() ? 1 : 0;
  return static_cast<double>(job.offsets_done) / static_cast<double>(job.offsets_total);
}

std::string rate_text(const ReplayOrder& order) {
  switch (order.pace) {
    case ReplayOrder::Pace::records_per_second:
      return fmt::format("{}/s", order.pace_value);
    case ReplayOrder::Pace::bytes_per_second:
      return fmt::format("{}B/s", order.pace_value);
    case ReplayOrder::Pace::unbounded:
    case ReplayOrder::Pace::speed:
      break;
  }
  return {};
}

std::string speed_text(const ReplayOrder& order) {
  return order.pace == ReplayOrder::Pace::speed ? fmt::format("{}x", order.pace_value) : std::string();
}

boost::json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return boost::json::value(printable_text(text));
}

void put_time(boost::json::object& object, std::string_view name, const std::optional<Timestamp>& time) {
  object[std::string(name) + "_time"] = nullptr;
  object[std::string(name) + "_ms"] = nullptr;
  if (!time) return;
  object[std::string(name) + "_time"] = format_time(*time);
  object[std::string(name) + "_ms"] = time->time_since_epoch().count();
}

std::string eta_text(const JobDescription& job) { return job.eta_seconds ? format_uptime(*job.eta_seconds) : std::string(); }

}  // namespace

std::string job_state_text(const JobDescription& job) { return job.wait.empty() ? job.state : "waiting: " + job.wait; }

boost::json::object job_to_json(const JobDescription& job) {
  boost::json::object object;
  object["job"] = job.id;
  object["state"] = job.state;
  object["wait"] = text_or_null(job.wait);
  object["topic"] = printable_text(job.order.source);
  object["into"] = printable_text(job.order.into);
  object["from"] = to_string(job.order.from);
  object["to"] = to_string(job.order.to);
  object["rate"] = text_or_null(rate_text(job.order));
  object["speed"] = text_or_null(speed_text(job.order));
  object["filter"] = text_or_null(job.order.filter);
  object["skip_damaged"] = job.order.skip_damaged;
  object["read"] = job.records + job.filtered;
  object["records"] = job.records;
  object["bytes"] = job.bytes;
  object["filtered"] = job.filtered;
  object["skipped"] = job.skipped;
  object["damaged"] = job.damaged;
  object["progress"] = progress_of(job);
  object["records_per_second"] = job.records_per_second;
  object["bytes_per_second"] = job.bytes_per_second;
  object["eta_seconds"] = nullptr;
  if (job.eta_seconds) object["eta_seconds"] = *job.eta_seconds;
  object["error"] = nullptr;
  if (job.error) {
    object["error"] = boost::json::object{{"code", to_string(job.error->code)}, {"message", printable_text(job.error->detail)}};
  }
  put_time(object, "created", job.created);
  put_time(object, "finished", job.finished);
  return object;
}

boost::json::object job_details_to_json(const JobDescription& job) {
  boost::json::object object = job_to_json(job);
  boost::json::array partitions;
  for (const JobProgress& progress : job.partitions) {
    partitions.push_back(
        {{"partition", progress.partition}, {"from", progress.from.value}, {"to", progress.to.value}, {"next", progress.next.value}});
  }
  object["partition_list"] = std::move(partitions);
  return object;
}

std::string job_table(std::span<const JobDescription> jobs, bool wide) {
  std::vector<Table::Column> columns = {{"JOB", true},  {"STATE"},         {"TOPIC"},      {"INTO"},
                                        {"DONE", true}, {"RECORDS", true}, {"RATE", true}, {"LEFT", true}};
  if (wide) columns.insert(columns.end(), {{"SIZE", true}, {"FILTERED", true}, {"SKIPPED", true}, {"CREATED"}, {"FILTER"}, {"ERROR"}});
  Table table(std::move(columns));
  for (const JobDescription& job : jobs) {
    std::vector<std::string> cells = {std::to_string(job.id),
                                      job_state_text(job),
                                      job.order.source,
                                      job.order.into,
                                      fmt::format("{:.0f}%", progress_of(job) * 100),
                                      std::to_string(job.records),
                                      job.state == "running" ? fmt::format("{:.0f}/s", job.records_per_second) : std::string(),
                                      eta_text(job)};
    if (wide) {
      cells.insert(cells.end(), {format_bytes_decimal(job.bytes), std::to_string(job.filtered), std::to_string(job.skipped + job.damaged),
                                 format_time(job.created), job.order.filter, job.error ? job.error->detail : std::string()});
    }
    table.add(std::move(cells));
  }
  return table.to_string();
}

std::string job_page(const JobDescription& job, bool wide) {
  std::string text = fmt::format("job {}   {}   {} -> {}   {:.0f}%\n", job.id, job_state_text(job), printable_text(job.order.source),
                                 printable_text(job.order.into), progress_of(job) * 100);
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<9}{}\n", name, printable_text(value));
  };
  line("error", job.error ? job.error->to_string() : std::string());
  line("from", to_string(job.order.from));
  line("to", to_string(job.order.to));
  line("rate", rate_text(job.order));
  line("speed", speed_text(job.order));
  line("filter", job.order.filter);
  line("copied", fmt::format("{} records, {}", job.records, format_bytes_decimal(job.bytes)));
  if (job.filtered > 0) line("filtered", std::to_string(job.filtered));
  if (job.skipped > 0) line("skipped", fmt::format("{} offsets that were gone from the source", job.skipped));
  if (job.damaged > 0) line("damaged", fmt::format("{} offsets in quarantined ranges", job.damaged));
  if (job.state == "running")
    line("now",
         fmt::format("{:.0f}/s, {}/s", job.records_per_second, format_bytes_decimal(static_cast<std::uint64_t>(job.bytes_per_second))));
  line("left", eta_text(job));
  line("created", format_time(job.created));
  line("finished", job.finished ? format_time(*job.finished) : std::string());
  if (!wide) return text;
  Table table({{"PARTITION", true}, {"FROM", true}, {"TO", true}, {"NEXT", true}});
  for (const JobProgress& progress : job.partitions) {
    table.add({std::to_string(progress.partition), std::to_string(progress.from.value), std::to_string(progress.to.value),
               std::to_string(progress.next.value)});
  }
  return text + table.to_string();
}

}  // namespace tidemark::tools
