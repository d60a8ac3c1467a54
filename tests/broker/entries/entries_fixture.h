#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/entries/entries.h"
#include "broker/entries/entry_ids.h"
#include "tests/simulation/engine_fixture.h"

namespace tidemark::broker {

using namespace std::chrono_literals;
using simulation::batch_of;
using simulation::CrashPolicy;
using simulation::Engine;
using simulation::EngineTest;
using simulation::SimulatedFileSystem;

using Fields = std::vector<std::pair<std::string, std::string>>;

/// Fields with the bytes they point to.
inline EntryAppend entry_of(const Fields& fields, EntryIdAsked id = {}) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : fields) bytes += name.size() + value.size();
  EntryAppend append;
  append.id = id;
  append.owner = Slice::allocate(bytes);
  std::byte* at = append.owner.data();
  const auto keep = [&at](const std::string& text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    const std::string_view kept(reinterpret_cast<const char*>(at), text.size());
    at += text.size();
    return kept;
  };
  for (const auto& [name, value] : fields) {
    const std::string_view kept = keep(name);
    append.fields.push_back({kept, keep(value)});
  }
  return append;
}

inline EntryIdAsked exactly(std::uint64_t ms, std::uint64_t seq) { return {EntryIdAsked::Kind::exact, {ms, seq}}; }
inline std::string text_of(EntryId id) { return std::to_string(id.ms) + "-" + std::to_string(id.seq); }

/// Entry calls on a simulated engine; each waits for its answer.
class EntryCalls {
 public:
  explicit EntryCalls(Engine& engine, std::string key = "s") : engine_(engine), where_{std::move(key), 0} {}

  template <class T>
  std::shared_ptr<std::optional<Result<T>>> start(std::function<void(Entries&, Done<T>)> call) {
    return engine_.start<T>([call = std::move(call)](Broker& broker, Done<T> done) { call(broker.entries(), std::move(done)); });
  }
  template <class T>
  Result<T> ask(std::function<void(Entries&, Done<T>)> call) {
    const auto answer = start<T>(std::move(call));
    engine_.runtime().run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }

  std::shared_ptr<std::optional<Result<EntryAppended>>> start_add(const Fields& fields, EntryIdAsked id = {},
                                                                  std::optional<EntryTrim> trim = {}) {
    return start<EntryAppended>([=, where = where_](Entries& entries, Done<EntryAppended> done) {
      EntryAppend append = entry_of(fields, id);
      append.trim = trim;
      append.create = true;
      entries.append({}, where, std::move(append), std::move(done));
    });
  }
  Result<EntryAppended> try_add(const Fields& fields, EntryIdAsked id = {}, std::optional<EntryTrim> trim = {}) {
    const auto answer = start_add(fields, id, trim);
    engine_.runtime().run_until([&] { return answer->has_value(); });
    if (!*answer) return Error{Errc::internal, "no answer"};
    return **answer;
  }
  /// "<id>", or the refusal.
  std::string add(const Fields& fields, EntryIdAsked id = {}, std::optional<EntryTrim> trim = {}) {
    const Result<EntryAppended> added = try_add(fields, id, trim);
    if (!added) return added.error().to_string();
    if (added->refused != EntryRefusal::none) return "refused " + std::to_string(static_cast<int>(added->refused));
    return text_of(added->id);
  }
  std::string add(std::uint64_t ms, std::uint64_t seq = 0) { return add({{"f", text_of({ms, seq})}}, exactly(ms, seq)); }

  /// As XADD IDMP: "<id>", with " again" if it was there.
  std::string add_once(const std::string& producer, const std::string& name) {
    const auto added = ask<EntryAppended>([=, where = where_](Entries& entries, Done<EntryAppended> done) {
      EntryAppend append = entry_of({{"f", name}});
      append.once = EntryOnce{DedupId::of(producer), DedupId::of(producer + ":" + name)};
      append.create = true;
      entries.append({}, where, std::move(append), std::move(done));
    });
    return added ? text_of(added->id) + (added->duplicate ? " again" : "") : added.error().to_string();
  }
  Status set_once(const OnceSettings& settings) {
    return ask<void>([=, where = where_](Entries& entries, Done<void> done) { entries.set_once({}, where, settings, std::move(done)); });
  }
  /// How many were there.
  Result<std::size_t> remove(const std::vector<EntryId>& ids) {
    const auto removed = ask<std::vector<bool>>(
        [=, where = where_](Entries& entries, Done<std::vector<bool>> done) { entries.remove({}, where, ids, std::move(done)); });
    if (!removed) return removed.error();
    return static_cast<std::size_t>(std::count(removed->begin(), removed->end(), true));
  }
  Result<std::uint64_t> trim(const EntryTrim& trim) {
    return ask<std::uint64_t>(
        [=, where = where_](Entries& entries, Done<std::uint64_t> done) { entries.trim({}, where, trim, std::move(done)); });
  }
  Result<EntryRefusal> set_id(const EntrySetId& values) {
    return ask<EntryRefusal>(
        [=, where = where_](Entries& entries, Done<EntryRefusal> done) { entries.set_id({}, where, values, std::move(done)); });
  }
  Result<EntryStats> stats() {
    return ask<EntryStats>([where = where_](Entries& entries, Done<EntryStats> done) { entries.stats({}, where, std::move(done)); });
  }
  Result<EntryInfo> info(std::uint32_t node_entries = 100) {
    return ask<EntryInfo>(
        [=, where = where_](Entries& entries, Done<EntryInfo> done) { entries.info({}, where, node_entries, std::move(done)); });
  }
  Result<EntryBatch> read(const EntryRange& range) {
    return ask<EntryBatch>(
        [=, where = where_](Entries& entries, Done<EntryBatch> done) { entries.read({}, where, range, std::move(done)); });
  }
  /// Ids of the range, read on where a reply says that there is more.
  std::vector<std::string> ids(EntryRange range = {}) {
    std::vector<std::string> found;
    for (;;) {
      const Result<EntryBatch> batch = read(range);
      EXPECT_TRUE(batch) << batch.error().to_string();
      if (!batch) return found;
      for (const Entry& entry : batch->entries) found.push_back(text_of(entry.id));
      if (!batch->more) return found;
      const std::optional<EntryId> on = range.backwards ? id_before(batch->resume_at) : id_after(batch->resume_at);
      if (!on) return found;
      (range.backwards ? range.last : range.first) = *on;
    }
  }
  Fields fields(EntryId id) {
    const Result<EntryBatch> batch = read({.first = id, .last = id});
    Fields found;
    if (!batch || batch->entries.empty()) return found;
    for (const EntryField& field : batch->entries.front().fields) found.emplace_back(field.name, field.value);
    return found;
  }

 private:
  Engine& engine_;
  const TopicPartition where_;
};

class EntriesTest : public EngineTest {
 protected:
  EntryCalls stream(const std::string& key = "s") { return EntryCalls(*engine_, key); }

  /// As Kafka's and the native protocol's readers see it.
  std::vector<std::int64_t> offsets(const std::string& topic = "s", std::optional<Offset> from = {}) {
    const auto records = engine_->read_all(topic, 0, from);
    EXPECT_TRUE(records) << records.error().to_string();
    std::vector<std::int64_t> found;
    if (!records) return found;
    for (const auto& record : *records) found.push_back(record.offset.value);
    return found;
  }
};

}  // namespace tidemark::broker
