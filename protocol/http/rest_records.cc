#include <algorithm>
#include <charconv>
#include <map>

#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/json_text.h"
#include "protocol/http/record_scan.h"
#include "protocol/http/seek_target.h"
#include "storage/batch/partitioner.h"
#include "storage/batch/record_batch.h"

/// Records: look at them, look at one, produce some.
namespace tidemark::http {
namespace {

namespace json = boost::json;

constexpr std::int32_t kPartitionMax = 9'999;
constexpr std::size_t kRecordsMax = 10'000;

using Infos = std::vector<broker::PartitionInfo>;

/// Where a position lies in a partition; times were looked up before. nullopt: `committed` and the like, which mean a group.
std::optional<Offset> resolve(const broker::SeekTarget& target, const broker::PartitionInfo& info, std::optional<Offset> by_time) {
  using Kind = broker::SeekTarget::Kind;
  const Offset start = info.log_start, end = info.high_watermark;
  switch (target.kind) {
    case Kind::earliest:
      return start;
    case Kind::latest:
      return end;
    case Kind::offset:
      return std::clamp(Offset{target.value}, start, end);
    case Kind::after_start:
      return target.value >= end - start ? end : start + target.value;
    case Kind::before_end:
      return target.value >= end - start ? start : Offset{end.value - target.value};
    case Kind::time:
      return by_time ? std::clamp(*by_time, start, end) : end;
    case Kind::relative:
    case Kind::group:
    case Kind::committed:
      break;
  }
  return std::nullopt;
}

/// Finds out where a look at records begins and ends in each partition, then scans.
class Look : public std::enable_shared_from_this<Look> {
 public:
  Look(Ask ask, RecordScan::Plan plan, broker::SeekTarget from, broker::SeekTarget to)
      : ask_(std::move(ask)), plan_(std::move(plan)), from_(std::move(from)), to_(std::move(to)) {}

  void start(Infos infos, std::optional<std::int32_t> partition) {
    if (partition) {
      std::erase_if(infos, [partition](const broker::PartitionInfo& info) { return info.partition != *partition; });
      if (infos.empty()) return ask_.refuse(Error{Errc::unknown_partition, "topic '" + plan_.topic + "' has no such partition"});
    } else if (infos.size() > static_cast<std::size_t>(RecordScan::kPartitionsMax)) {
      return ask_.refuse(Problem{.status = 400,
                                 .code = "invalid_argument",
                                 .detail = "name a partition: the topic has more than " + std::to_string(RecordScan::kPartitionsMax),
                                 .field = "partition",
                                 .rule = "given for topics with many partitions"});
    }
    infos_ = std::move(infos);
    from_times_.resize(infos_.size());
    to_times_.resize(infos_.size());
    find_times(from_, from_times_);
    find_times(to_, to_times_);
    one_less();
  }

 private:
  void find_times(const broker::SeekTarget& target, std::vector<std::optional<Offset>>& found) {
    if (target.kind != broker::SeekTarget::Kind::time) return;
    left_ += infos_.size();
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      ask_.broker().find_offset(ask_.context(), {plan_.topic, infos_[i].partition}, broker::OffsetQuery::timestamp, target.value,
                                [self = shared_from_this(), &found, i](Result<broker::OffsetAt> at) {
                                  if (at) found[i] = at->offset;
                                  if (!at) self->failed_ = at.error();
                                  self->one_less();
                                });
    }
  }

  void one_less() {
    if (--left_ > 0) return;
    if (failed_) return ask_.refuse(*failed_);
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      const std::optional<Offset> from = resolve(from_, infos_[i], from_times_[i]);
      const std::optional<Offset> to = resolve(to_, infos_[i], to_times_[i]);
      if (!from || !to) return ask_.refuse(Error{Errc::invalid_argument, "from and to are positions in the log: no group's"});
      plan_.stretches.push_back({infos_[i].partition, *from, std::max(*from, *to)});
    }
    RecordScan::run(ask_, std::move(plan_));
  }

  const Ask ask_;
  RecordScan::Plan plan_;
  const broker::SeekTarget from_, to_;
  Infos infos_;
  std::vector<std::optional<Offset>> from_times_, to_times_;
  std::optional<Error> failed_;
  std::size_t left_ = 1;
};

void show_records(const Ask& ask) {
  if (const Status known = query_has_only(ask.call(), {"partition", "from", "to", "limit", "filter"}); !known)
    return ask.refuse(known.error());
  const Result<std::int64_t> limit = query_integer(ask.call(), "limit", 1, RecordScan::kLimitMax, 100);
  if (!limit) return ask.refuse(limit.error());
  const Result<std::int64_t> partition = query_integer(ask.call(), "partition", 0, kPartitionMax, -1);
  if (!partition) return ask.refuse(partition.error());
  const Timestamp now = ask.runtime().clock().now();
  Result<broker::SeekTarget> from = parse_seek_target(ask.query("from").value_or("earliest"), now);
  Result<broker::SeekTarget> to = parse_seek_target(ask.query("to").value_or("latest"), now);
  for (const Result<broker::SeekTarget>* const target : {&from, &to}) {
    if (!*target) return ask.refuse(target->error());
  }
  RecordScan::Plan plan;
  plan.topic = ask.path_value(0);
  plan.limit = static_cast<std::size_t>(*limit);
  plan.newest = from->kind == broker::SeekTarget::Kind::before_end;
  if (const std::optional<std::string> text = ask.query("filter"); text && !text->empty()) {
    Result<broker::RecordFilter> filter = broker::RecordFilter::parse(*text, now);
    if (!filter) return ask.refuse(filter.error());
    plan.filter = std::make_shared<const broker::RecordFilter>(*std::move(filter));
  }
  std::optional<std::int32_t> one;
  if (*partition >= 0) one = static_cast<std::int32_t>(*partition);
  const auto look = std::make_shared<Look>(ask, std::move(plan), *std::move(from), *std::move(to));
  ask.broker().describe(ask.context(), ask.path_value(0),
                        ask.then<Infos>([look, one](const Ask&, Infos infos) { look->start(std::move(infos), one); }));
}

Result<std::int64_t> path_integer(const std::string& text, std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most) return number;
  return Error{Errc::invalid_argument, "'" + text + "' is no number from 0 to " + std::to_string(most)};
}

/// The scan of one offset; its answer is a list, which here is one record or 404.
void show_record(const Ask& ask) {
  const Result<std::int64_t> partition = path_integer(ask.path_value(1), kPartitionMax);
  if (!partition) return ask.refuse(partition.error());
  const Result<std::int64_t> offset = path_integer(ask.path_value(2), INT64_MAX - 1);
  if (!offset) return ask.refuse(offset.error());
  RecordScan::Plan plan;
  plan.topic = ask.path_value(0);
  plan.limit = 1;
  plan.stretches.push_back({static_cast<std::int32_t>(*partition), Offset{*offset}, Offset{*offset + 1}});
  RecordScan::run_one(ask, std::move(plan));
}

// --- Producing.

struct Given {
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  std::int64_t timestamp_ms = 0;
};

/// One produce request: a batch for each partition that gets records.
struct Producing {
  explicit Producing(Ask ask_in) : ask(std::move(ask_in)) {}
  Ask ask;
  std::string topic;
  SteadyTime begun{};
  std::size_t left = 1;
  std::uint64_t records = 0, bytes = 0, failed = 0, duplicates = 0;
  broker::Durability durability = broker::Durability::fsync;
  json::array partitions, errors;
  std::optional<Error> first_error;

  void one_less() {
    if (--left > 0) return;
    if (records == 0 && first_error) return ask.refuse(*first_error);
    json::object object;
    object["topic"] = shown(topic);
    object["records"] = records;
    object["bytes"] = bytes;
    object["failed"] = failed;
    object["duplicates"] = duplicates;
    object["durability"] = broker::to_string(durability);
    object["seconds"] = std::chrono::duration<double>(ask.runtime().clock().steady() - begun).count();
    object["partitions"] = std::move(partitions);
    object["errors"] = std::move(errors);
    ask.reply([object = std::move(object)] { return json::value(object); }, 201);
  }
};

Slice batch_of(const std::vector<Given>& records) {
  BatchBuilder builder;
  for (const Given& given : records) {
    std::vector<HeaderView> headers;
    for (const auto& [name, value] : given.headers) {
      HeaderView& header = headers.emplace_back(HeaderView{name, std::nullopt});
      if (value) header.value = as_bytes(*value);
    }
    RecordInput record;
    if (given.key) record.key = as_bytes(*given.key);
    if (given.value) record.value = as_bytes(*given.value);
    record.timestamp_ms = given.timestamp_ms;
    record.headers = headers;
    builder.add(record);
  }
  return builder.build();
}

void append(const std::shared_ptr<Producing>& producing, std::int32_t partition, const std::vector<Given>& records) {
  Slice batch = batch_of(records);
  const std::size_t bytes = batch.size(), count = records.size();
  producing->ask.broker().append(
      producing->ask.context(), {producing->topic, partition}, std::move(batch),
      [producing, partition, bytes, count](const Result<broker::Appended>& appended) {
        if (appended) {
          producing->records += count;
          producing->bytes += bytes;
          producing->durability = appended->durability;
          const std::int64_t first = appended->base_offset.value;
          producing->partitions.push_back(
              {{"partition", partition}, {"first", first}, {"last", first + static_cast<std::int64_t>(count) - 1}});
        } else {
          producing->failed += count;
          if (!producing->first_error) producing->first_error = appended.error();
          producing->errors.push_back(
              {{"partition", partition}, {"code", to_string(appended.error().code)}, {"message", shown(appended.error().detail)}});
        }
        producing->one_less();
      });
}

void produce(const Ask& ask) {
  const auto producing = std::make_shared<Producing>(ask);
  producing->topic = ask.path_value(0);
  producing->begun = ask.runtime().clock().steady();
  const broker::Topic* const topic = ask.broker().topics()->find(producing->topic);
  // describe() has the words for a topic that is not there.
  if (topic == nullptr) {
    return ask.broker().describe(ask.context(), producing->topic, ask.then<Infos>([](const Ask& again, const Infos&) {
      again.refuse(Error{Errc::conflict, "the topic was only just made: try again"});
    }));
  }
  const std::int32_t partitions = topic->partitions;
  const std::int64_t now_ms = ask.runtime().clock().now().time_since_epoch().count();
  const auto sticky = static_cast<std::int32_t>(ask.runtime().random() % static_cast<std::uint64_t>(partitions));
  Body body(ask.call());
  std::map<std::int32_t, std::vector<Given>> by_partition;
  for (Body& entry : body.list("records", kRecordsMax)) {
    Given given;
    given.key = entry.bytes("key");
    given.value = entry.bytes("value");
    given.timestamp_ms = entry.integer_or("timestamp_ms", 0, INT64_MAX - 1, now_ms);
    const bool named = entry.has("partition");
    const auto wanted = static_cast<std::int32_t>(entry.integer_or("partition", 0, partitions - 1, 0));
    for (Body& header : entry.list("headers", 1000)) {
      const std::string name = header.bytes("name").value_or("");
      given.headers.emplace_back(name, header.bytes("value"));
      entry.adopt(header);
    }
    body.adopt(entry);
    const std::int32_t partition = named ? wanted : given.key ? partition_for_key(*given.key, partitions) : sticky;
    by_partition[partition].push_back(std::move(given));
  }
  if (by_partition.empty()) body.wrong("records", "a list of at least one record");
  if (body.problem()) return ask.refuse(*body.problem());
  producing->left += by_partition.size();
  for (const auto& [partition, records] : by_partition) append(producing, partition, records);
  producing->one_less();
}

}  // namespace

void add_record_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "GET", "/api/v1/topics/{topic}/records", show_records);
  add_route(router, link, "POST", "/api/v1/topics/{topic}/records", produce);
  add_route(router, link, "GET", "/api/v1/topics/{topic}/records/{partition}/{offset}", show_record);
}

}  // namespace tidemark::http
