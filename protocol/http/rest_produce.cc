#include <algorithm>
#include <map>

#include "broker/publish_fields.h"
#include "protocol/http/ask.h"
#include "protocol/http/body.h"
#include "protocol/http/json_text.h"
#include "storage/base/time_text.h"
#include "storage/batch/partitioner.h"
#include "storage/batch/record_batch.h"

/// Produces records, at once or for later.
namespace tidemark::http {
namespace {

namespace json = boost::json;

constexpr std::size_t kRecordsMax = 10'000;

using Infos = std::vector<broker::PartitionInfo>;

/// One record of a request.
struct Given {
  std::int64_t index = 0;  ///< In the request.
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  std::int64_t timestamp_ms = 0;
};

/// What one partition gets of a request.
struct Share {
  std::vector<Given> records;
  bool asks_for_more = false;  ///< A delay, a time or a dedup id: these travel as headers.
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
  json::array partitions, scheduled, errors;
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
    object["scheduled"] = scheduled.size();
    object["durability"] = broker::to_string(durability);
    object["seconds"] = std::chrono::duration<double>(ask.runtime().clock().steady() - begun).count();
    object["partitions"] = std::move(partitions);
    object["scheduled_records"] = std::move(scheduled);
    object["errors"] = std::move(errors);
    ask.reply([object = std::move(object)] { return json::value(object); }, 201);
  }

  /// What became of a partition's share. Records that wait, and those that were there already, have no offset of their own.
  void stored(std::int32_t partition, const std::vector<std::int64_t>& indexes, const broker::Appended& appended) {
    std::vector<bool> elsewhere(indexes.size());
    if (appended.details) {
      for (const auto& one : appended.details->duplicates) elsewhere.at(static_cast<std::size_t>(one.record)) = true;
      for (const auto& one : appended.details->scheduled) {
        elsewhere.at(static_cast<std::size_t>(one.record)) = true;
        json::object object{{"record", indexes.at(static_cast<std::size_t>(one.record))}, {"id", one.id}};
        put_time(object, "due", one.due);
        object["duplicate"] = one.duplicate;
        duplicates += one.duplicate ? 1 : 0;
        scheduled.push_back(std::move(object));
      }
      duplicates += appended.details->duplicates.size();
    }
    const auto first = std::ranges::find(elsewhere, false);
    if (first == elsewhere.end()) return;
    const auto last = std::find(elsewhere.rbegin(), elsewhere.rend(), false);
    partitions.push_back({{"partition", partition},
                          {"first", appended.base_offset.value + (first - elsewhere.begin())},
                          {"last", appended.base_offset.value + (elsewhere.rend() - last) - 1}});
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

void append(const std::shared_ptr<Producing>& producing, std::int32_t partition, const Share& share) {
  Slice batch = batch_of(share.records);
  const std::size_t bytes = batch.size();
  std::vector<std::int64_t> indexes;
  for (const Given& given : share.records) indexes.push_back(given.index);
  producing->ask.broker().append(
      producing->ask.context(), {producing->topic, partition}, std::move(batch), {.obey_headers = share.asks_for_more},
      [producing, partition, bytes, indexes = std::move(indexes)](const Result<broker::Appended>& appended) {
        if (appended) {
          producing->records += indexes.size();
          producing->bytes += bytes;
          producing->durability = appended->durability;
          producing->stored(partition, indexes, *appended);
        } else {
          producing->failed += indexes.size();
          if (!producing->first_error) producing->first_error = appended.error();
          producing->errors.push_back(
              {{"partition", partition}, {"code", to_string(appended.error().code)}, {"message", shown(appended.error().detail)}});
        }
        producing->one_less();
      });
}

/// Reads delay, deliver_at and dedup_id, and adds the headers that say the same. True if there are any.
bool add_wishes(Body& entry, Given& given, Timestamp now) {
  const std::size_t plain = given.headers.size();
  const auto add = [&given](std::string_view name, std::string value) { given.headers.emplace_back(name, std::move(value)); };
  const std::optional<std::chrono::milliseconds> delay = entry.duration("delay");
  const std::string at = entry.text_or("deliver_at", "");
  const std::optional<std::string> dedup_id = entry.bytes("dedup_id");
  if (delay && !at.empty()) entry.wrong("delay", "the only one of delay and deliver_at");
  if (delay && *delay > broker::kScheduleHorizon) entry.wrong("delay", "at most ten years");
  if (delay) add(broker::kDelayHeader, std::to_string(delay->count()));
  if (!at.empty()) {
    const Result<Timestamp> time = parse_time(at, now);
    if (!time || *time <= now || *time > now + broker::kScheduleHorizon) {
      entry.wrong("deliver_at", "a time in the next ten years, such as \"2026-03-01T10:00Z\"");
    } else {
      add(broker::kDeliverAtHeader, std::to_string(time->time_since_epoch().count()));
    }
  }
  if (dedup_id && (dedup_id->empty() || dedup_id->size() > broker::kDedupIdBytesMax)) {
    entry.wrong("dedup_id", "1 to " + std::to_string(broker::kDedupIdBytesMax) + " bytes");
  }
  if (dedup_id) add(broker::kDedupIdHeader, *dedup_id);
  return given.headers.size() > plain;
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
  const Timestamp now = ask.runtime().clock().now();
  const auto sticky = static_cast<std::int32_t>(ask.runtime().random() % static_cast<std::uint64_t>(partitions));
  Body body(ask.call());
  std::map<std::int32_t, Share> by_partition;
  std::int64_t index = 0;
  for (Body& entry : body.list("records", kRecordsMax)) {
    Given given;
    given.index = index++;
    given.key = entry.bytes("key");
    given.value = entry.bytes("value");
    given.timestamp_ms = entry.integer_or("timestamp_ms", 0, INT64_MAX - 1, now.time_since_epoch().count());
    const bool named = entry.has("partition");
    const auto wanted = static_cast<std::int32_t>(entry.integer_or("partition", 0, partitions - 1, 0));
    for (Body& header : entry.list("headers", 1000)) {
      const std::string name = header.bytes("name").value_or("");
      given.headers.emplace_back(name, header.bytes("value"));
      entry.adopt(header);
    }
    const bool asks_for_more = add_wishes(entry, given, now);
    body.adopt(entry);
    const std::int32_t partition = named ? wanted : given.key ? partition_for_key(*given.key, partitions) : sticky;
    Share& share = by_partition[partition];
    share.asks_for_more |= asks_for_more;
    share.records.push_back(std::move(given));
  }
  if (by_partition.empty()) body.wrong("records", "a list of at least one record");
  if (body.problem()) return ask.refuse(*body.problem());
  producing->left += by_partition.size();
  for (const auto& [partition, share] : by_partition) append(producing, partition, share);
  producing->one_less();
}

}  // namespace

void add_produce_routes(Router& router, const std::shared_ptr<BrokerLink>& link) {
  add_route(router, link, "POST", "/api/v1/topics/{topic}/records", produce);
}

}  // namespace tidemark::http
