#include <boost/json.hpp>
#include <fmt/format.h>

#include "broker/partition_state.h"
#include "storage/base/units.h"
#include "storage/data_directory.h"
#include "storage/posix_file_system.h"
#include "storage/verify.h"
#include "tools/tidemark/log_commands.h"

namespace tidemark::tools {
namespace {

/// One thing found, with the path below the data directory.
struct Found {
  std::string file;
  std::string topic;
  std::int32_t partition = 0;
  storage::Damage damage;
  std::uint64_t torn_bytes = 0;
};

struct Report {
  std::uint64_t partitions = 0;
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  std::vector<Found> torn;
  std::vector<Found> damage;
};

boost::json::object to_json(const Report& report) {
  boost::json::array torn;
  for (const Found& found : report.torn) {
    torn.push_back({{"file", found.file}, {"position", found.damage.position.value}, {"bytes", found.torn_bytes}});
  }
  boost::json::array damage;
  for (const Found& found : report.damage) {
    damage.push_back({{"file", found.file},
                      {"position", found.damage.position.value},
                      {"topic", printable_text(found.topic)},
                      {"partition", found.partition},
                      {"from", found.damage.from.value},
                      {"to", found.damage.to.value},
                      {"reason", found.damage.reason}});
  }
  boost::json::object object;
  object["sound"] = report.damage.empty();
  object["partitions"] = report.partitions;
  object["segments"] = report.segments;
  object["bytes"] = report.bytes;
  object["torn"] = std::move(torn);
  object["damage"] = std::move(damage);
  return object;
}

bool print(const Report& report) {
  std::string text;
  for (const Found& found : report.torn) {
    text += fmt::format("{} at {}: {} of an unfinished write, normal after a crash\n", found.file, found.damage.position.value,
                        format_size(found.torn_bytes));
  }
  for (const Found& found : report.damage) {
    text += fmt::format("{} at {}: offsets {}..{}: {}\n", found.file, found.damage.position.value, found.damage.from.value,
                        found.damage.to.value, found.damage.reason);
  }
  text += fmt::format("{}: {} partitions, {} segments, {}\n", report.damage.empty() ? "sound" : "damaged", report.partitions,
                      report.segments, format_size(report.bytes));
  return write_stdout(text);
}

}  // namespace

Exit log_verify(const std::string& path, const Globals& globals) {
  storage::PosixFileSystem files;
  const Result<std::unique_ptr<storage::DataDirectory>> directory = storage::DataDirectory::inspect(files, path);
  if (!directory) return tools::report(directory.error(), globals.output);

  // Log starts and checkpoints first: what is written while we read lies behind them.
  broker::PartitionStates states;
  std::optional<Error> undecodable;
  const Result<storage::StateCheck> state =
      storage::read_state_log(files, (*directory)->state_directory(), [&](const storage::StateRecord& record) {
        if (const Status applied = states.apply(record); !applied) undecodable = applied.error();
      });
  if (!state) return tools::report(state.error(), globals.output);
  if (undecodable) return tools::report(*undecodable, globals.output);

  Report report;
  if (state->torn)
    report.torn.push_back({"state/" + state->torn->file, {}, 0, {{}, state->torn->position, {}, {}, ""}, state->torn->bytes});
  const Result<std::vector<Uuid>> topics = (*directory)->list_topics();
  if (!topics) return tools::report(topics.error(), globals.output);
  for (const Uuid id : *topics) {
    const Result<storage::TopicFile> topic = (*directory)->read_topic_file(id);
    const std::string name = topic ? topic->name : id.to_string();
    const std::int32_t partitions = std::max(topic ? topic->partitions : 0, states.partitions_of(id));
    for (std::int32_t p = 0; p < partitions; ++p) {
      const broker::PartitionState known = states.take({id, p});
      const std::string place = (*directory)->partition_directory(id, p);
      const Result<storage::PartitionCheck> check = storage::verify_partition(files, place, known.log_start, known.checkpoint);
      if (!check) return tools::report(check.error(), globals.output);
      ++report.partitions;
      report.segments += check->segments;
      report.bytes += check->bytes;
      const std::string relative = "topics/" + id.to_string() + "/" + std::to_string(p) + "/";
      if (check->torn)
        report.torn.push_back({relative + check->torn->file, name, p, {{}, check->torn->position, {}, {}, ""}, check->torn->bytes});
      for (const storage::Damage& damage : check->damage) report.damage.push_back({relative + damage.file, name, p, damage, 0});
    }
  }
  if (is_json(globals.output)) {
    print_json(to_json(report));
  } else if (!print(report)) {
    return Exit::failed;
  }
  return report.damage.empty() ? Exit::done : Exit::failed;
}

}  // namespace tidemark::tools
