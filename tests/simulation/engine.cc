#include "tests/simulation/engine.h"

namespace tidemark::simulation {

using broker::Broker;
using broker::Done;

broker::BrokerOptions Engine::small() {
  broker::BrokerOptions options;
  options.data_directory = "/data";
  options.default_partitions = 1;
  options.tail_cache_bytes = 1024 * 1024;
  options.memory_limit_bytes = 64 * 1024 * 1024;
  options.disk_low_water_bytes = 0;
  return options;
}

Engine::Engine(SimulatedFileSystem& disk, Options options) : disk_(disk), options_(std::move(options)) {}
Engine::~Engine() { die(); }

Status Engine::open() {
  CHECK(broker_ == nullptr);
  fatal_.reset();
  runtime_ = std::make_unique<SimulatedRuntime>(options_.seed + opens_++, options_.shards);  // Ids must not repeat.
  if (wall_at_open_) runtime_->time().set_wall(*wall_at_open_);
  Result<std::unique_ptr<Broker>> opened = Broker::open(*runtime_, disk_, options_.broker, [this](Error error) {
    if (!fatal_) fatal_ = std::move(error);
  });
  if (!opened) return std::move(opened).error();
  broker_ = *std::move(opened);
  return {};
}

Status Engine::stop() {
  auto answer = std::make_shared<std::optional<Result<void>>>();
  broker_->stop([answer](Result<void> result) { *answer = std::move(result); });
  runtime_->run_until([&] { return answer->has_value(); });
  const Status stopped = *answer ? **answer : Status(Error{Errc::internal, "no answer"});
  die();
  return stopped;
}

void Engine::die() {
  // Tasks hold partitions, partitions use the broker: the tasks go first, unrun.
  runtime_.reset();
  broker_.reset();
}

Result<std::shared_ptr<const broker::Topic>> Engine::create(const std::string& topic, std::int32_t partitions, broker::ConfigMap config) {
  return await<std::shared_ptr<const broker::Topic>>([&](Broker& broker, Done<std::shared_ptr<const broker::Topic>> done) {
    broker.create_topic({}, {topic, partitions, config}, std::move(done));
  });
}

Result<std::shared_ptr<const broker::Topic>> Engine::alter(const std::string& topic, broker::ConfigMap changes) {
  return await<std::shared_ptr<const broker::Topic>>(
      [&](Broker& broker, Done<std::shared_ptr<const broker::Topic>> done) { broker.alter_topic({}, topic, changes, std::move(done)); });
}

Status Engine::remove(const std::string& topic) {
  return await<void>([&](Broker& broker, Done<void> done) { broker.delete_topic({}, topic, std::move(done)); });
}

Result<broker::Appended> Engine::append(const std::string& topic, std::int32_t partition, const std::vector<std::string>& values) {
  return append_batch(topic, partition, batch_of(values));
}

Result<broker::Appended> Engine::append_batch(const std::string& topic, std::int32_t partition, Slice batch) {
  return await<broker::Appended>([&](Broker& broker, Done<broker::Appended> done) {
    broker.append({}, {topic, partition}, std::move(batch), std::move(done));
  });
}

Result<broker::ReadReply> Engine::read(const std::string& topic, std::int32_t partition, Offset from, broker::ReadRequest request) {
  request.from = from;
  return await<broker::ReadReply>([&](Broker& broker, Done<broker::ReadReply> done) {
    broker.read({}, {topic, partition}, request, std::move(done));
  });
}

Result<Offset> Engine::trim(const std::string& topic, std::int32_t partition, Offset before) {
  return await<Offset>([&](Broker& broker, Done<Offset> done) { broker.trim({}, {topic, partition}, before, std::move(done)); });
}

Result<broker::OffsetAt> Engine::find(const std::string& topic, std::int32_t partition, broker::OffsetQuery query,
                                      std::int64_t timestamp_ms) {
  return await<broker::OffsetAt>([&](Broker& broker, Done<broker::OffsetAt> done) {
    broker.find_offset({}, {topic, partition}, query, timestamp_ms, std::move(done));
  });
}

Result<broker::ProducerIdentity> Engine::init_producer() {
  return await<broker::ProducerIdentity>(
      [&](Broker& broker, Done<broker::ProducerIdentity> done) { broker.init_producer({}, std::move(done)); });
}

Result<broker::JobInfo> Engine::create_replay(broker::ReplaySpec spec, bool dry_run) {
  return await<broker::JobInfo>(
      [&](Broker& broker, Done<broker::JobInfo> done) { broker.create_replay({}, std::move(spec), dry_run, std::move(done)); });
}

Result<broker::JobInfo> Engine::job(broker::JobId id) {
  return await<broker::JobInfo>([&](Broker& broker, Done<broker::JobInfo> done) { broker.describe_job({}, id, std::move(done)); });
}

Result<std::vector<broker::JobInfo>> Engine::jobs() {
  return await<std::vector<broker::JobInfo>>(
      [&](Broker& broker, Done<std::vector<broker::JobInfo>> done) { broker.list_jobs({}, std::move(done)); });
}

Result<broker::JobInfo> Engine::control(broker::JobId id, broker::JobAction action) {
  return await<broker::JobInfo>([&](Broker& broker, Done<broker::JobInfo> done) { broker.control_job({}, id, action, std::move(done)); });
}

Result<broker::JobInfo> Engine::finish_job(broker::JobId id) {
  const SteadyTime limit = runtime_->clock().steady() + std::chrono::hours(1);
  for (;;) {
    Result<broker::JobInfo> info = job(id);
    if (!info || broker::is_finished(info->state)) return info;
    if (runtime_->clock().steady() > limit) return Error{Errc::timed_out, "the job goes on and on"};
    runtime_->advance(std::chrono::milliseconds(10));
  }
}

Result<std::vector<broker::PartitionInfo>> Engine::describe(const std::string& topic) {
  return await<std::vector<broker::PartitionInfo>>(
      [&](Broker& broker, Done<std::vector<broker::PartitionInfo>> done) { broker.describe({}, topic, std::move(done)); });
}

Result<broker::BrokerStatus> Engine::status() {
  return await<broker::BrokerStatus>([&](Broker& broker, Done<broker::BrokerStatus> done) { broker.status({}, std::move(done)); });
}

Result<std::vector<Engine::ReadRecord>> Engine::read_all(const std::string& topic, std::int32_t partition, std::optional<Offset> from) {
  std::vector<ReadRecord> records;
  if (!from) {
    const Result<broker::OffsetAt> earliest = find(topic, partition, broker::OffsetQuery::earliest);
    if (!earliest) return earliest.error();
    from = earliest->offset;
  }
  for (Offset next = *from;;) {
    const Result<broker::ReadReply> reply = read(topic, partition, next);
    if (!reply) return reply.error();
    if (reply->next == next) return records;
    for (const Slice& slice : reply->batches) {
      ByteView rest = slice.view();
      while (!rest.empty()) {
        const Result<BatchHeader> header = BatchHeader::parse(rest);
        if (!header) return header.error();
        Result<BatchReader> batch = BatchReader::open(rest.first(header->size_bytes()));
        if (!batch) return batch.error();
        RecordView record;
        for (;;) {
          const Result<bool> more = batch->next(record);
          if (!more) return more.error();
          if (!*more) break;
          if (record.offset >= *from) records.push_back({record.offset, record.value ? to_string(*record.value) : std::string()});
        }
        rest = rest.subspan(header->size_bytes());
      }
    }
    next = reply->next;
  }
}

std::vector<std::string> Engine::topics() {
  std::vector<std::string> names;
  const auto asked = start<void>([&](Broker& broker, Done<void> done) {
    for (const auto& [name, topic] : broker.topics()->by_name) names.push_back(name);
    done(Status());
  });
  runtime_->run_until([&] { return asked->has_value(); });
  return names;
}

Slice batch_of(const std::vector<std::string>& values, std::int64_t timestamp_ms) {
  BatchBuilder builder;
  for (const std::string& value : values) {
    builder.add({.key = std::nullopt, .value = as_bytes(value), .timestamp_ms = timestamp_ms, .headers = {}});
  }
  return builder.build();
}

}  // namespace tidemark::simulation
