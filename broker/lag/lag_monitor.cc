#include "broker/lag/lag_monitor.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "broker/groups/groups.h"
#include "broker/lag/lag_book.h"
#include "broker/queues/queues.h"
#include "storage/base/log.h"

namespace tidemark::broker {
namespace {

constexpr std::size_t kWatchShard = 0;
constexpr std::size_t kFileBytesMax = 64 * 1024 * 1024;
/// Settings change rarely, and describing all groups costs more than asking how far they are.
constexpr std::uint64_t kTermsEvery = 6;

RequestContext internal() {
  RequestContext context;
  context.listener = "internal";
  return context;
}

/// By kind, group and, of queue groups, topic.
using Objectives = std::map<std::tuple<GroupKind, std::string, std::string>, std::chrono::milliseconds>;

Objectives::key_type key_of(const PartitionLag& row) {
  return {row.kind, row.group, row.kind == GroupKind::queue ? row.topic : std::string()};
}

}  // namespace

struct LagMonitor::Impl : std::enable_shared_from_this<Impl> {
  Impl(Broker& broker_in, Runtime& runtime_in, storage::FileSystem& files_in, Options options_in)
      : broker(broker_in),
        runtime(runtime_in),
        files(files_in),
        options(std::move(options_in)),
        book(options.history_bytes_max),
        objectives(std::make_shared<Objectives>()) {}

  Shard& watch_shard() { return runtime.shard(kWatchShard); }
  Shard& current_shard() {
    for (std::size_t i = 0; i < runtime.shard_count(); ++i) {
      if (runtime.shard(i).is_current()) return runtime.shard(i);
    }
    check_failed("engine calls are made on a shard", __FILE__, __LINE__);
  }

  // On the watch shard.
  void schedule();
  void sample();
  void learn_objectives(Task then);
  void ask_seeks(std::vector<std::string> groups, Task then);
  void finish_sample();
  // On the disk pool.
  void load();
  void save();

  /// The engine's rows, of both kinds; the error if neither has the group.
  void ask(const RequestContext& context, std::optional<std::string> group, bool queues, Done<std::vector<PartitionLag>> done);
  void judge(std::vector<PartitionLag> rows, Done<std::vector<LagRow>> done);
  LagBook::Terms terms(const PartitionLag& row, const TopicTable& topics, const Objectives& known) const;

  Broker& broker;
  Runtime& runtime;
  storage::FileSystem& files;
  const Options options;

  std::mutex mutex;  ///< Guards the two below: pool threads add and look. Held for milliseconds, never by a shard.
  LagBook book;
  std::shared_ptr<const Objectives> objectives;

  // The watch shard's.
  std::optional<TimerId> timer;
  bool sampling = false;
  bool stopping = false;
  Task stopped;
  std::uint64_t rounds = 0;
  SteadyTime saved{};
  Timestamp sampled_before{};
};

LagMonitor::LagMonitor(Broker& broker, Runtime& runtime, storage::FileSystem& files, Options options)
    : impl_(std::make_shared<Impl>(broker, runtime, files, std::move(options))) {}
LagMonitor::~LagMonitor() = default;

void LagMonitor::start() {
  impl_->runtime.disk_pool().post([impl = impl_] {
    impl->load();
    impl->watch_shard().post([impl] {
      impl->saved = impl->runtime.clock().steady();
      if (!impl->stopping) impl->sample();
    });
  });
}

void LagMonitor::stop(Task done) {
  impl_->watch_shard().post([impl = impl_, done = std::move(done)]() mutable {
    impl->stopping = true;
    if (impl->timer) impl->watch_shard().cancel(*std::exchange(impl->timer, std::nullopt));
    impl->stopped = [impl, done = std::move(done)]() mutable {
      impl->runtime.disk_pool().post([impl, done = std::move(done)]() mutable {
        impl->save();
        done();
      });
    };
    if (!impl->sampling) std::exchange(impl->stopped, Task())();
  });
}

void LagMonitor::Impl::schedule() {
  timer = watch_shard().run_after(options.interval, [self = shared_from_this()] {
    self->timer.reset();
    self->sample();
  });
}

void LagMonitor::Impl::sample() {
  sampling = true;
  const auto look = [self = shared_from_this()] {
    self->ask(internal(), std::nullopt, true, [self](Result<std::vector<PartitionLag>> rows) {
      if (!rows) return self->finish_sample();  // The broker stops, or a state record could not be written: there is a next time.
      self->runtime.disk_pool().post([self, rows = *std::move(rows)] {
        std::vector<std::string> went_back;
        bool has_new_group = false;
        {
          const std::lock_guard lock(self->mutex);
          went_back = self->book.add(rows, self->runtime.clock().now(), self->runtime.clock().steady());
          has_new_group = std::ranges::any_of(rows, [&](const PartitionLag& row) { return !self->objectives->contains(key_of(row)); });
        }
        self->watch_shard().post([self, has_new_group, went_back = std::move(went_back)]() mutable {
          if (has_new_group) self->rounds = 0;  // The next sample learns its terms.
          self->ask_seeks(std::move(went_back), [self] { self->finish_sample(); });
        });
      });
    });
  };
  if (rounds++ % kTermsEvery == 0) return learn_objectives(look);
  look();
}

void LagMonitor::Impl::finish_sample() {
  sampling = false;
  sampled_before = runtime.clock().now();
  if (stopping) {
    if (stopped) std::exchange(stopped, Task())();
    return;
  }
  schedule();
  const SteadyTime now = runtime.clock().steady();
  if (now - saved < options.save_interval) return;
  saved = now;
  runtime.disk_pool().post([self = shared_from_this()] { self->save(); });
}

void LagMonitor::Impl::learn_objectives(Task then) {
  broker.groups().list(internal(), [self = shared_from_this(), then = std::move(then)](Result<std::vector<GroupInfo>> groups) mutable {
    auto known = std::make_shared<Objectives>();
    if (groups) {
      for (const GroupInfo& group : *groups) known->insert({{GroupKind::stream, group.name, ""}, group.effective.lag_objective});
    }
    self->broker.queues().list(internal(), std::nullopt,
                               [self, known, then = std::move(then)](Result<std::vector<QueueInfo>> queues) mutable {
                                 if (queues) {
                                   for (const QueueInfo& queue : *queues) {
                                     known->insert({{GroupKind::queue, queue.name.group, queue.name.topic}, queue.effective.lag_objective});
                                   }
                                 }
                                 {
                                   const std::lock_guard lock(self->mutex);
                                   self->objectives = std::move(known);
                                 }
                                 then();
                               });
  });
}

/// Whoever moved a group by a seek knows that it went back. One group after the other: this is rare.
void LagMonitor::Impl::ask_seeks(std::vector<std::string> groups, Task then) {
  if (groups.empty()) return then();
  std::string group = std::move(groups.back());
  groups.pop_back();
  broker.groups().history(internal(), group,
                          [self = shared_from_this(), group, groups = std::move(groups), then = std::move(then),
                           since = sampled_before](Result<std::vector<SeekRecord>> seeks) mutable {
                            const bool by_a_seek =
                                seeks && std::ranges::any_of(*seeks, [since](const SeekRecord& seek) { return seek.time >= since; });
                            if (by_a_seek) {
                              const std::lock_guard lock(self->mutex);
                              self->book.sought(group);
                            }
                            self->ask_seeks(std::move(groups), std::move(then));
                          });
}

void LagMonitor::Impl::load() {
  if (options.path.empty()) return;
  const Result<bool> there = files.exists(options.path);
  if (!there || !*there) return;
  const Result<ByteVector> file = storage::read_file(files, options.path, kFileBytesMax);
  const std::lock_guard lock(mutex);
  const Status restored = file ? book.restore(*file) : Status(file.error());
  if (restored) return;
  log_warn("lag history begins anew: " + options.path + ": " + restored.error().detail);
  if (const Status aside = files.rename(options.path, options.path + ".damaged"); !aside) log_warn("lag history: " + aside.error().detail);
}

void LagMonitor::Impl::save() {
  if (options.path.empty()) return;
  ByteVector file;
  {
    const std::lock_guard lock(mutex);
    file = book.encode();
  }
  if (file.size() > kFileBytesMax) return log_warn("lag history is not written: it has " + std::to_string(file.size()) + " bytes");
  const Status written = storage::replace_file(files, options.path, file);
  if (!written) log_warn("lag history was not written: " + written.error().detail);
}

void LagMonitor::Impl::ask(const RequestContext& context, std::optional<std::string> group, bool queues,
                           Done<std::vector<PartitionLag>> done) {
  const bool one = group.has_value();
  broker.groups().lag(
      context, group, [self = shared_from_this(), context, group, queues, one, done = std::move(done)](auto streams) mutable {
        const bool unknown = !streams && streams.error().code == Errc::unknown_group;
        if (!streams && !(one && unknown && queues)) return done(std::move(streams));
        if (!queues) return done(std::move(streams));
        self->broker.queues().lag(context, group, [streams = std::move(streams), done = std::move(done)](auto rows) mutable {
          if (!rows) return done(std::move(rows));
          if (!streams && rows->empty()) return done(std::move(streams));
          if (!streams) return done(std::move(rows));
          std::ranges::move(*rows, std::back_inserter(*streams));
          done(std::move(streams));
        });
      });
}

LagBook::Terms LagMonitor::Impl::terms(const PartitionLag& row, const TopicTable& topics, const Objectives& known) const {
  LagBook::Terms terms;
  if (const Topic* const topic = topics.find(row.topic)) terms.retention = topic->effective.retention;
  const auto objective = known.find(key_of(row));
  if (objective != known.end()) terms.objective = objective->second;
  return terms;
}

void LagMonitor::Impl::judge(std::vector<PartitionLag> rows, Done<std::vector<LagRow>> done) {
  Shard& asker = current_shard();
  runtime.disk_pool().post(
      [self = shared_from_this(), &asker, topics = broker.topics(), rows = std::move(rows), done = std::move(done)]() mutable {
        std::vector<LagRow> judged;
        judged.reserve(rows.size());
        const Timestamp now = self->runtime.clock().now();
        const SteadyTime steady = self->runtime.clock().steady();
        {
          const std::lock_guard lock(self->mutex);
          for (PartitionLag& row : rows) {
            const LagBook::Terms terms = self->terms(row, *topics, *self->objectives);
            judged.push_back(self->book.judged(std::move(row), terms, now, steady));
          }
        }
        asker.post([judged = std::move(judged), done = std::move(done)]() mutable { done(std::move(judged)); });
      });
}

void LagMonitor::rows(const RequestContext& context, std::optional<std::string> group, Done<std::vector<LagRow>> done) {
  impl_->ask(context, std::move(group), true, [impl = impl_, done = std::move(done)](Result<std::vector<PartitionLag>> rows) mutable {
    if (!rows) return done(std::move(rows).error());
    impl->judge(*std::move(rows), std::move(done));
  });
}

void LagMonitor::stream_rows(const RequestContext& context, std::optional<std::string> group, Done<std::vector<LagRow>> done) {
  impl_->ask(context, std::move(group), false, [impl = impl_, done = std::move(done)](Result<std::vector<PartitionLag>> rows) mutable {
    if (!rows) return done(std::move(rows).error());
    impl->judge(*std::move(rows), std::move(done));
  });
}

void LagMonitor::history(const RequestContext&, HistoryQuery query, Done<std::vector<LagPoint>> done) {
  Shard& asker = impl_->current_shard();
  impl_->runtime.disk_pool().post([impl = impl_, &asker, query = std::move(query), done = std::move(done)]() mutable {
    std::vector<LagPoint> points;
    {
      const std::lock_guard lock(impl->mutex);
      points = impl->book.history(query.kind, query.group, query.topic, impl->runtime.clock().now() - query.span);
    }
    asker.post([points = std::move(points), done = std::move(done)]() mutable { done(std::move(points)); });
  });
}

}  // namespace tidemark::broker
