#include "broker/entries/entries.h"

#include "broker/entries/entries_impl.h"

namespace tidemark::broker {
namespace {

constexpr std::chrono::milliseconds kShownSoon{1};

/// Streams that come into being with their first entry.
TopicSpec stream_spec(std::string name) {
  return {.name = std::move(name),
          .partitions = 1,
          .config = {{"entry.id", "time"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}, {"cleanup.policy", "delete"}}};
}

Error not_a_stream(std::string_view name) {
  return {Errc::topic_exists, "'" + std::string(name) + "' is a topic whose ids follow from its offsets (entry.id = offset)"};
}

}  // namespace

EntriesImpl::EntriesImpl(Broker::Impl& broker_in) : broker(broker_in), shards(broker_in.shards.size()) {}

bool EntriesImpl::has_expired(const Topic& topic) const { return topic.expires && *topic.expires <= broker.runtime.clock().now(); }

const Topic* EntriesImpl::find_topic(std::string_view name) const {
  const Topic* const topic = broker.shards[broker.current_shard()]->topics->find(name);
  return topic == nullptr || has_expired(*topic) ? nullptr : topic;
}

// --- Records.

void EntriesImpl::append(TopicPartition where, EntryAppend entry, Done<EntryAppended> done) {
  const auto creating = here().creating.find(where.topic);
  const bool missing = entry.create && where.partition == 0 && find_topic(where.topic) == nullptr;
  // Behind those that make the topic, also when it would be satisfied with none.
  if (missing || creating != here().creating.end()) return append_when_created(std::move(where), std::move(entry), std::move(done));
  on_entries<EntryAppended>(where, true, std::move(done), [entry = std::move(entry)](PartitionEntries& entries, auto answer) mutable {
    entries.append(std::move(entry), std::move(answer));
  });
}

void EntriesImpl::append_when_created(TopicPartition where, EntryAppend entry, Done<EntryAppended> done) {
  const std::string name = where.topic;
  auto& waiting = here().creating[name];
  waiting.push_back([this, where = std::move(where), entry = std::move(entry), done = std::move(done)](const Status& made) mutable {
    if (!made) return done(made.error());
    entry.create = false;
    append(std::move(where), std::move(entry), std::move(done));
  });
  if (waiting.size() > 1) return;
  Done<std::shared_ptr<const Topic>> created = [this, name](Result<std::shared_ptr<const Topic>> topic) {
    const Status made = topic ? Status() : Status(topic.error());
    auto waited = std::move(here().creating[name]);
    here().creating.erase(name);
    for (auto& one : waited) one(made);
  };
  on_metadata<std::shared_ptr<const Topic>>(std::move(created), [this, name](auto answer) { create(name, std::move(answer)); });
}

void EntriesImpl::create(std::string name, Done<std::shared_ptr<const Topic>> done) {
  if (is_internal_topic(name)) return done(Error{Errc::invalid_topic_name, "'" + name + "' is a name the broker keeps for itself"});
  const auto known = broker.shards[0]->topics->by_name.find(name);
  if (known != broker.shards[0]->topics->by_name.end()) {
    if (has_expired(*known->second)) {
      return broker.remove(name, [this, name, done = std::move(done)](Status removed) mutable {
        if (!removed && removed.error().code != Errc::unknown_topic) return done(std::move(removed).error());
        create(std::move(name), std::move(done));
      });
    }
    if (known->second->effective.entry_id == EntryIdMode::time) return done(known->second);
    return done(not_a_stream(name));
  }
  broker.create(stream_spec(name), [this, name, done = std::move(done)](Result<std::shared_ptr<const Topic>> made) mutable {
    // Somebody else was faster: theirs will do.
    const auto theirs = broker.shards[0]->topics->by_name.find(name);
    const bool there = theirs != broker.shards[0]->topics->by_name.end();
    if (made || made.error().code != Errc::topic_exists) return done(std::move(made));
    if (!there) {
      // Recorded, and about to be shown.
      broker.shards[0]->shard.run_after(kShownSoon, [this, name, done = std::move(done)]() mutable {
        if (broker.stopping) return done(Error{Errc::shutting_down, "the broker is stopping"});
        create(std::move(name), std::move(done));
      });
      return;
    }
    if (theirs->second->effective.entry_id == EntryIdMode::time) return done(theirs->second);
    done(not_a_stream(name));
  });
}

void Entries::append(const RequestContext&, TopicPartition where, EntryAppend entry, Done<EntryAppended> done) {
  impl_->append(std::move(where), std::move(entry), std::move(done));
}

void Entries::remove(const RequestContext&, TopicPartition where, std::vector<EntryId> ids, Done<std::vector<bool>> done) {
  impl_->on_entries<std::vector<bool>>(
      where, true, std::move(done),
      [ids = std::move(ids)](PartitionEntries& entries, auto answer) mutable { entries.remove(std::move(ids), std::move(answer)); });
}

void Entries::trim(const RequestContext&, TopicPartition where, EntryTrim trim, Done<std::uint64_t> done) {
  impl_->on_entries<std::uint64_t>(where, true, std::move(done),
                                   [trim](PartitionEntries& entries, auto answer) { entries.trim(trim, std::move(answer)); });
}

void Entries::set_id(const RequestContext&, TopicPartition where, EntrySetId values, Done<EntryRefusal> done) {
  impl_->on_entries<EntryRefusal>(where, true, std::move(done),
                                  [values](PartitionEntries& entries, auto answer) { entries.set_id(values, std::move(answer)); });
}

void Entries::set_once(const RequestContext& context, TopicPartition where, OnceSettings settings, Done<void> done) {
  // Entries from here on count in the window as it is set now.
  auto change = [impl = impl_, context, topic = where.topic, settings, done = std::move(done)](Result<Offset> end) mutable {
    if (!end) return done(std::move(end).error());
    const auto configure = [settings, since = *end](const Topic& old) {
      ConfigMap config = old.config;
      const bool other_duration = settings.duration && *settings.duration != old.effective.once_duration;
      const bool other_entries = settings.entries && *settings.entries != old.effective.once_entries;
      if (other_duration) config["once.duration.ms"] = std::to_string(settings.duration->count());
      if (other_entries) config["once.entries"] = std::to_string(*settings.entries);
      if (other_duration || other_entries) config["once.since"] = std::to_string(since.value);
      return Result<ConfigMap>(std::move(config));
    };
    impl->on_metadata<void>(std::move(done), [impl, topic, configure](Done<void> answer) {
      impl->broker.alter(topic, configure, false, [answer = std::move(answer)](Result<std::shared_ptr<const Topic>> altered) mutable {
        if (!altered) return answer(std::move(altered).error());
        answer(Status());
      });
    });
  };
  impl_->on_entries<Offset>(where, true, std::move(change),
                            [](PartitionEntries& entries, Done<Offset> answer) { answer(entries.staged_end()); });
}

// --- Looking.

void Entries::read(const RequestContext&, TopicPartition where, EntryRange range, Done<EntryBatch> done) {
  impl_->on_entries<EntryBatch>(where, false, std::move(done),
                                [range](PartitionEntries& entries, auto answer) { entries.read(range, std::move(answer)); });
}

void Entries::find(const RequestContext&, TopicPartition where, std::vector<EntryId> ids,
                   Done<std::vector<std::optional<EntryPlace>>> done) {
  impl_->on_entries<std::vector<std::optional<EntryPlace>>>(
      where, false, std::move(done),
      [ids = std::move(ids)](PartitionEntries& entries, auto answer) mutable { entries.find(std::move(ids), std::move(answer)); });
}

void Entries::entry_at(const RequestContext&, TopicPartition where, Offset from, Done<std::optional<EntryPlace>> done) {
  impl_->on_entries<std::optional<EntryPlace>>(
      where, false, std::move(done), [from](PartitionEntries& entries, auto answer) { entries.entry_at(from, std::move(answer)); });
}

void Entries::offset_of(const RequestContext&, TopicPartition where, EntryId id, Done<Offset> done) {
  impl_->on_entries<Offset>(where, false, std::move(done),
                            [id](PartitionEntries& entries, auto answer) { entries.offset_of(id, std::move(answer)); });
}

void Entries::stats(const RequestContext&, TopicPartition where, Done<EntryStats> done) {
  impl_->on_entries<EntryStats>(where, false, std::move(done), [](PartitionEntries& entries, auto answer) { answer(entries.stats()); });
}

void Entries::info(const RequestContext&, TopicPartition where, std::uint32_t node_entries, Done<EntryInfo> done) {
  impl_->on_entries<EntryInfo>(where, false, std::move(done),
                               [node_entries](PartitionEntries& entries, auto answer) { entries.info(node_entries, std::move(answer)); });
}

std::unique_ptr<EntryWatch> Entries::watch(const RequestContext&, TopicPartition where, EntryId after, bool or_gone,
                                           UniqueFunction<void(EntryNews)> news) {
  return impl_->watch(std::move(where), after, or_gone, std::move(news));
}

// --- Streams as keys.

void Entries::create(const RequestContext&, std::string name, Done<std::shared_ptr<const Topic>> done) {
  impl_->on_metadata<std::shared_ptr<const Topic>>(std::move(done), [impl = impl_.get(), name = std::move(name)](auto answer) mutable {
    impl->create(std::move(name), std::move(answer));
  });
}

std::vector<EntryKey> Entries::keys() const {
  std::vector<EntryKey> keys;
  for (const auto& [name, topic] : impl_->broker.shards[impl_->broker.current_shard()]->topics->by_name) {
    if (topic->effective.entry_id == EntryIdMode::time && !is_internal_topic(name) && !impl_->has_expired(*topic)) {
      keys.push_back({name, topic->expires});
    }
  }
  return keys;
}

std::optional<EntryKey> Entries::key(std::string_view name) const {
  const Topic* const topic = impl_->find_topic(name);
  if (topic == nullptr || topic->effective.entry_id != EntryIdMode::time || is_internal_topic(name)) return std::nullopt;
  return EntryKey{topic->name, topic->expires};
}

void Entries::rename(const RequestContext&, std::string from, std::string to, bool only_if_absent, Done<void> done) {
  if (!key(from)) return done(impl_->broker.unknown_topic(from));
  if (is_internal_topic(to)) return done(Error{Errc::invalid_topic_name, "'" + to + "' is a name the broker keeps for itself"});
  impl_->on_metadata<void>(std::move(done), [impl = impl_.get(), from = std::move(from), to = std::move(to), only_if_absent](auto answer) {
    impl->broker.rename(from, to, only_if_absent, std::move(answer));
  });
}

void Entries::copy(const RequestContext&, std::string from, std::string to, bool replace, Done<void> done) {
  if (!key(from)) return done(impl_->broker.unknown_topic(from));
  if (is_internal_topic(to)) return done(Error{Errc::invalid_topic_name, "'" + to + "' is a name the broker keeps for itself"});
  impl_->copy(std::move(from), std::move(to), replace, std::move(done));
}

void Entries::expire(const RequestContext&, std::string name, std::optional<Timestamp> when, Done<void> done) {
  if (!key(name)) return done(impl_->broker.unknown_topic(name));
  impl_->on_metadata<void>(std::move(done), [impl = impl_.get(), name = std::move(name), when](auto answer) {
    if (when && *when <= impl->broker.runtime.clock().now()) return impl->broker.remove(name, std::move(answer));
    impl->broker.set_expiry(name, when, std::move(answer));
  });
}

}  // namespace tidemark::broker
