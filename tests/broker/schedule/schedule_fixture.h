#pragma once

#include "broker/publish_fields.h"
#include "broker/schedule/schedule.h"
#include "tests/broker/replay_fixture.h"

namespace tidemark::broker {

/// Waits for an answer of the engine.
template <class T>
Result<T> ask(Engine& engine, std::function<void(Broker&, Done<T>)> call) {
  const auto answer = engine.start<T>(std::move(call));
  engine.runtime().run_until([&] { return answer->has_value(); });
  if (!*answer) return Error{Errc::internal, "no answer"};
  return **answer;
}

using HeaderTexts = std::vector<std::pair<std::string, std::string>>;

inline HeaderTexts delayed(milliseconds by) { return {{std::string(kDelayHeader), std::to_string(by.count())}}; }
inline HeaderTexts with_id(const std::string& id) { return {{std::string(kDedupIdHeader), id}}; }

inline TestRecord record_with(std::string value, HeaderTexts headers = {}) {
  TestRecord record;
  record.value = std::move(value);
  record.headers = std::move(headers);
  return record;
}

/// A batch as an idempotent producer sends it.
inline Slice numbered_batch(const std::vector<TestRecord>& records, std::int64_t producer, std::int32_t first_sequence) {
  BatchBuilder builder;
  for (const TestRecord& record : records) {
    std::vector<HeaderView> headers;
    for (const auto& [name, value] : record.headers) headers.push_back({name, as_bytes(value)});
    builder.add({.key = std::nullopt, .value = as_bytes(record.value), .timestamp_ms = record.timestamp_ms, .headers = headers});
  }
  builder.set_producer(producer, 0, first_sequence);
  return builder.build();
}

inline Result<Appended> publish_batch(Engine& engine, const std::string& topic, std::int32_t partition, const Slice& batch) {
  return ask<Appended>(engine, [&](Broker& broker, Done<Appended> done) {
    broker.append({}, {topic, partition}, Slice::copy_of(batch.view()), AppendOptions{.obey_headers = true}, std::move(done));
  });
}

inline Result<Appended> publish(Engine& engine, const std::string& topic, std::int32_t partition, const std::vector<TestRecord>& records) {
  return publish_batch(engine, topic, partition, batch_of_records(records));
}

/// Publishes one record after `delay`; answers its id.
inline ScheduledId schedule(Engine& engine, const std::string& topic, const std::string& value, milliseconds delay,
                            std::int32_t partition = 0) {
  const auto published = publish(engine, topic, partition, {record_with(value, delayed(delay))});
  EXPECT_TRUE(published) << published.error().to_string();
  if (!published || !published->details || published->details->scheduled.empty()) {
    ADD_FAILURE() << "not scheduled";
    return {};
  }
  return ScheduledId::parse(published->details->scheduled.front().id).value_or(ScheduledId{-1, -1});
}

inline Result<SchedulePage> list_schedule(Engine& engine, ScheduleQuery query = {}) {
  return ask<SchedulePage>(engine, [&](Broker& broker, Done<SchedulePage> done) { broker.schedule().list({}, query, std::move(done)); });
}

/// The ids of all that waits or has failed, by due time.
inline std::vector<std::string> waiting_ids(Engine& engine, const std::string& topic = {}) {
  ScheduleQuery query;
  query.topic = topic;
  query.limit = ScheduleQuery::kPageMax;
  std::vector<std::string> ids;
  const auto page = list_schedule(engine, query);
  EXPECT_TRUE(page);
  if (!page) return ids;
  for (const ScheduledInfo& info : page->records) ids.push_back(info.id.to_string());
  return ids;
}

inline Result<ScheduledInfo> cancel(Engine& engine, ScheduledId id) {
  return ask<ScheduledInfo>(engine, [&](Broker& broker, Done<ScheduledInfo> done) { broker.schedule().cancel({}, id, std::move(done)); });
}

inline ScheduleStatus schedule_status(Engine& engine) {
  const auto status =
      ask<ScheduleStatus>(engine, [](Broker& broker, Done<ScheduleStatus> done) { broker.schedule().status({}, std::move(done)); });
  EXPECT_TRUE(status);
  return status ? *status : ScheduleStatus();
}

}  // namespace tidemark::broker
