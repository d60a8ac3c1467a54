#include <fmt/format.h>
#include <unistd.h>

#include "storage/posix_file_system.h"
#include "tools/tidemark/bench.h"
#include "tools/tidemark/session.h"

namespace tidemark::tools {
namespace {

/// Appends and flushes `options.writes` times; what was done so far is in `result` also when it fails.
Status probe(storage::File& file, const FsyncOptions& options, const Interrupts& interrupts, BenchResult& result) {
  RandomValues values(options.size);
  if (options.preallocate) {
    if (const Status reserved = file.reserve(options.writes * options.size); !reserved) return reserved.error();
    if (const Status synced = file.sync(); !synced) return synced.error();
  }
  for (std::uint64_t i = 0; i < options.writes && !interrupts.interrupted(); ++i) {
    const ByteView bytes = as_bytes(values.next());
    const SteadyTime started = std::chrono::steady_clock::now();
    if (const Status written = file.write(FilePosition{i * options.size}, std::span(&bytes, 1)); !written) return written.error();
    if (const Status synced = file.sync(); !synced) return synced.error();
    result.latency.record(std::chrono::steady_clock::now() - started);
    ++result.records;
    result.bytes += options.size;
  }
  return {};
}

}  // namespace

Exit bench_fsync(const FsyncOptions& options, const Globals& globals, Interrupts& interrupts) {
  storage::PosixFileSystem files;
  const std::string path = fmt::format("{}/tidemark-bench-fsync-{}", options.directory, ::getpid());
  Result<std::unique_ptr<storage::File>> file = files.open(path, storage::OpenMode::create_new);
  if (!file) return report(file.error(), globals.output);
  BenchResult result{.name = "fsync"};
  const Interrupts::Listener listener(interrupts, [] {});  // Ends after the write under way, so that the file goes away.
  const Stopwatch stopwatch;
  const Status probed = probe(**file, options, interrupts, result);
  result.seconds = stopwatch.seconds();
  const Status removed = files.remove(path);
  print_result(result, globals);
  if (interrupts.interrupted()) return Exit::interrupted;
  if (!probed) return report(probed.error(), globals.output);
  if (!removed) return report(removed.error(), globals.output);
  return Exit::done;
}

}  // namespace tidemark::tools
