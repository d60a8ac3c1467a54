#include <charconv>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "storage/data_directory.h"
#include "storage/posix_file_system.h"
#include "storage/repair.h"
#include "tools/tidemark/log_commands.h"
#include "tools/tidemark/session.h"
#include "tools/tidemark/text.h"

namespace tidemark::tools {
namespace {

/// "FROM..TO", half open, as `log verify` prints it.
struct OffsetRange {
  Offset from;
  Offset to;
};

Result<OffsetRange> parse_range(std::string_view text) {
  OffsetRange range;
  const std::size_t dots = text.find("..");
  const auto parse = [](std::string_view digits, std::int64_t& number) {
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return failure == std::errc() && end == digits.data() + digits.size() && number >= 0;
  };
  if (dots == std::string_view::npos || !parse(text.substr(0, dots), range.from.value) || !parse(text.substr(dots + 2), range.to.value) ||
      range.from >= range.to) {
    return Error{.code = Errc::invalid_argument, .detail = fmt::format("--drop: `{}` is not FROM..TO, as `log verify` prints it", text)};
  }
  return range;
}

Result<Uuid> find_topic(const storage::DataDirectory& directory, const std::string& name) {
  const Result<std::vector<Uuid>> ids = directory.list_topics();
  if (!ids) return ids.error();
  for (const Uuid id : *ids) {
    const Result<storage::TopicFile> topic = directory.read_topic_file(id);
    if (topic && topic->name == name) return id;
  }
  return Error{.code = Errc::not_found, .detail = fmt::format("no topic `{}` in {}", name, directory.path())};
}

Exit repair(const LogRepairOptions& options, const PartitionAddress& partition, OffsetRange range, const Globals& globals) {
  storage::PosixFileSystem files;
  // A look first: opening would make a data directory of an empty one.
  if (const auto present = storage::DataDirectory::inspect(files, options.directory); !present)
    return report(present.error(), globals.output);
  Random random(static_cast<Random::result_type>(now().time_since_epoch().count()));
  const Result<std::unique_ptr<storage::DataDirectory>> locked = storage::DataDirectory::open(files, options.directory, random);
  if (!locked) return report(locked.error(), globals.output);
  const Result<Uuid> topic = find_topic(**locked, partition.topic);
  if (!topic) return report(topic.error(), globals.output);

  const std::string directory = (*locked)->partition_directory(*topic, partition.partition);
  const Result<storage::RepairReport> done = storage::drop_damaged_range(files, directory, range.from, range.to, now());
  if (!done) return report(done.error(), globals.output);
  if (is_json(globals.output)) {
    print_json(boost::json::object{{"topic", partition.topic},
                                   {"partition", partition.partition},
                                   {"file", done->file},
                                   {"position", done->position.value},
                                   {"bytes", done->bytes},
                                   {"from", done->from.value},
                                   {"to", done->to.value},
                                   {"kept", printable_text(done->kept)}});
    return Exit::done;
  }
  write_stderr(fmt::format("given up: offsets {}..{} of {}:{}; {} bytes{}\n", done->from.value, done->to.value, partition.topic,
                           partition.partition, done->bytes, done->kept.empty() ? " were left" : " kept in " + printable_text(done->kept)));
  return Exit::done;
}

}  // namespace

Exit log_repair(const LogRepairOptions& options, const Globals& globals) {
  const Result<PartitionAddress> partition = parse_partition_address(options.partition);
  if (!partition) return report(partition.error(), globals.output);
  const Result<OffsetRange> range = parse_range(options.drop);
  if (!range) return report(range.error(), globals.output);
  if (globals.dry_run) {
    write_stderr(fmt::format("would give up offsets {} of {}\n", options.drop, options.partition));
    return Exit::done;
  }
  if (!options.yes_lose) {
    return report_usage("the records of that range will be lost for good: say so with --yes-lose", globals.output);
  }
  return repair(options, *partition, *range, globals);
}

}  // namespace tidemark::tools
