#include <algorithm>

#include "broker/broker_impl.h"
#include "broker/entries/entries_impl.h"
#include "broker/groups/groups_impl.h"
#include "broker/queues/queues_impl.h"
#include "storage/base/log.h"

/// Changes to topics: judged on the metadata shard, recorded in the metadata store, then shown to all shards at once.
namespace tidemark::broker {
namespace {

std::string topic_key(std::string_view name) { return "topics/" + std::string(name); }
/// A topic whose files are still to be removed; value: its number of partitions.
std::string removal_key(Uuid id) { return "removals/" + id.to_string(); }

std::string encode(const Topic& topic) {
  state::TopicValue value;
  value.set_name(topic.name);
  value.set_id(topic.id.bytes.data(), topic.id.bytes.size());
  value.set_partitions(topic.partitions);
  value.set_created_ms(topic.created.time_since_epoch().count());
  for (const auto& [key, text] : topic.config) (*value.mutable_config())[key] = text;
  if (topic.expires) value.set_expires_ms(topic.expires->time_since_epoch().count());
  return value.SerializeAsString();
}

storage::TopicFile to_file(const Topic& topic) {
  storage::TopicFile file;
  file.name = topic.name;
  file.id = topic.id;
  file.partitions = topic.partitions;
  file.config.assign(topic.config.begin(), topic.config.end());
  return file;
}

}  // namespace

Error Broker::Impl::unknown_topic(std::string_view name) const {
  Error error{Errc::unknown_topic, "no topic '" + std::string(name) + "'"};
  const std::string close = shards[current_shard()]->topics->suggestion(name);
  if (!close.empty()) error.detail += "; did you mean '" + close + "'?";
  return error;
}

Result<std::shared_ptr<const Topic>> Broker::Impl::decode_topic(std::string_view value, std::uint64_t revision) const {
  state::TopicValue in;
  if (!in.ParseFromArray(value.data(), static_cast<int>(value.size())) || in.id().size() != 16) {
    return Error{Errc::corrupt_batch, "a topic in the metadata does not decode"};
  }
  auto topic = std::make_shared<Topic>();
  topic->name = in.name();
  std::memcpy(topic->id.bytes.data(), in.id().data(), 16);
  topic->partitions = in.partitions();
  topic->created = Timestamp(std::chrono::milliseconds(in.created_ms()));
  topic->config = ConfigMap(in.config().begin(), in.config().end());
  if (in.has_expires_ms()) topic->expires = Timestamp(std::chrono::milliseconds(in.expires_ms()));
  topic->revision = revision;
  Result<ResolvedConfig> resolved = resolve_topic_config(topic->config, options.topic_defaults);
  if (!resolved) return std::move(resolved).error();
  topic->effective = resolved->typed;
  return std::shared_ptr<const Topic>(std::move(topic));
}

/// The topics as the metadata has them, sharing what did not change.
std::shared_ptr<const TopicTable> Broker::Impl::build_table() const {
  const TopicTable& before = *shards[0]->topics;
  auto table = std::make_shared<TopicTable>();
  table->revision = metadata.revision();
  for (const auto& [key, entry] : metadata.list("topics/")) {
    const auto known = before.by_name.find(std::string_view(key).substr(7));
    std::shared_ptr<const Topic> topic;
    if (known != before.by_name.end() && known->second->revision == entry.revision) {
      topic = known->second;
    } else {
      Result<std::shared_ptr<const Topic>> decoded = decode_topic(entry.value, entry.revision);
      CHECK(decoded.has_value());  // Written by us, checked before it was written.
      topic = *std::move(decoded);
    }
    table->by_id.emplace(topic->id, topic);
    table->by_name.emplace(topic->name, std::move(topic));
  }
  return table;
}

void Broker::Impl::install_table(Task done) {
  on_all_shards(
      [this, table = build_table()](ShardState& shard) {
        if (table->revision < shard.topics->revision) return;
        shard.topics = table;
        for (const auto& [key, partition] : shard.partitions) {
          const auto topic = table->by_id.find(key.topic);
          if (topic != table->by_id.end()) partition->set_topic(topic->second);
        }
        groups_impl->topics_changed(shard.shard.index());
        queues_impl->topics_changed(shard.shard.index());
        entries_impl->topics_changed(shard.shard.index());
        if (shard.shard.index() == 0) watch_expiry(false);
      },
      std::move(done));
}

Result<Topic> Broker::Impl::judge(const TopicTable& table, const TopicSpec& spec) const {
  if (const Status valid = validate_topic_name(spec.name); !valid) return valid.error();
  if (table.find(spec.name) != nullptr) return Error{Errc::topic_exists, "topic '" + spec.name + "' exists"};
  const std::int32_t partitions = spec.partitions.value_or(options.default_partitions);
  if (partitions < 1 || partitions > options.partitions_per_topic_max) {
    return Error{Errc::invalid_argument,
                 "partitions = " + std::to_string(partitions) + ": must lie in 1.." + std::to_string(options.partitions_per_topic_max)};
  }
  Result<ResolvedConfig> config = resolve_topic_config(spec.config, options.topic_defaults);
  if (!config) return std::move(config).error();
  Topic topic;
  topic.name = spec.name;
  topic.partitions = partitions;
  topic.config = std::move(config->values);
  topic.effective = config->typed;
  return topic;
}

void Broker::Impl::create(TopicSpec spec, Done<std::shared_ptr<const Topic>> done) {
  Result<Topic> judged = judge(*shards[0]->topics, spec);
  if (!judged) return done(std::move(judged).error());
  auto topic = std::make_shared<Topic>(*std::move(judged));
  topic->id = Uuid::from_random(runtime.random(), runtime.random());
  topic->created = runtime.clock().now();

  // The directory first: it can fail without a trace. An empty directory that a crash leaves behind is removed by the next start.
  runtime.disk_pool().post([this, topic, done = std::move(done)]() mutable {
    Status made = directory->create_topic(to_file(*topic));
    on_shard(0, [this, topic, made = std::move(made), done = std::move(done)]() mutable {
      if (!made) return done(std::move(made).error());
      write_topic(topic, 0, 0, [this, topic, done = std::move(done)](Result<std::shared_ptr<const Topic>> written) mutable {
        if (written) return done(std::move(written));
        Error error = std::move(written).error();
        if (error.code == Errc::conflict) error = {Errc::topic_exists, "topic '" + topic->name + "' exists"};
        // Not waited for: the next start would remove the empty directory, too.
        begin_work();
        runtime.disk_pool().post([this, id = topic->id] {
          if (const Status removed = directory->remove_topic(id); !removed) log_warn(removed.error().to_string());
          on_shard(0, [this] { end_work(); });
        });
        done(std::move(error));
      });
    });
  });
}

/// The topic as last recorded; the table shows it when the change has been completed.
Result<std::shared_ptr<const Topic>> Broker::Impl::recorded_topic(std::string_view name) const {
  const MetadataStore::Entry* const entry = metadata.get(topic_key(name));
  if (entry == nullptr) return unknown_topic(name);
  return decode_topic(entry->value, entry->revision);
}

/// Records the topic (new or changed), opens partitions it gained, and shows it everywhere.
void Broker::Impl::write_topic(std::shared_ptr<const Topic> topic, std::uint64_t expected_revision, std::int32_t partitions_before,
                               Done<std::shared_ptr<const Topic>> done) {
  metadata.txn({{topic_key(topic->name), expected_revision}}, {{topic_key(topic->name), encode(*topic)}},
               [this, topic, partitions_before, done = std::move(done)](Result<std::uint64_t> revision) mutable {
                 if (!revision) return done(std::move(revision).error());
                 open_new_partitions(topic, partitions_before, [this, topic, done = std::move(done)](Result<void> opened) mutable {
                   if (!opened) return done(std::move(opened).error());
                   install_table([this, name = topic->name, done = std::move(done)]() mutable {
                     const auto now = shards[0]->topics->by_name.find(name);
                     if (now == shards[0]->topics->by_name.end())
                       return done(Error{Errc::conflict, "topic '" + name + "' was deleted meanwhile"});
                     done(now->second);
                   });
                 });
               });
}

void Broker::Impl::open_new_partitions(std::shared_ptr<const Topic> topic, std::int32_t from, Done<void> done) {
  if (from >= topic->partitions) return done(Status());
  runtime.disk_pool().post([this, topic, from, done = std::move(done)]() mutable {
    // A new partition has no files; opening it only sets up the books. Each goes to the shard that owns it.
    struct Opened {
      PartitionKey key;
      std::unique_ptr<storage::Log> log;
    };
    auto per_shard = std::make_shared<std::vector<std::vector<Opened>>>(shards.size());
    Status status;
    for (std::int32_t p = from; p < topic->partitions && status; ++p) {
      const PartitionKey key{topic->id, p};
      storage::RecoveryReport report;
      Result<std::unique_ptr<storage::Log>> log =
          storage::Log::open(file_cache, directory->partition_directory(topic->id, p), log_config(topic->effective),
                             {.log_start = {}, .checkpoint = std::nullopt, .clean = true}, runtime.clock().now(), {}, report);
      if (log)
        (*per_shard)[home_of(key)].push_back({key, *std::move(log)});
      else
        status = std::move(log).error();
    }
    on_shard(0, [this, topic, per_shard, status = std::move(status), done = std::move(done)]() mutable {
      if (!status) return done(std::move(status));
      on_all_shards(
          [this, topic, per_shard](ShardState& shard) {
            for (Opened& opened : (*per_shard)[shard.shard.index()]) {
              shard.partitions.emplace(opened.key, std::make_shared<Partition>(services(shard), opened.key, topic, std::move(opened.log),
                                                                               ProducerSessions(&holds), Offset{}));
            }
          },
          [done = std::move(done)]() mutable { done(Status()); });
    });
  });
}

void Broker::Impl::alter(std::string name, ConfigChange change, bool dry_run, Done<std::shared_ptr<const Topic>> done) {
  const Result<std::shared_ptr<const Topic>> before = recorded_topic(name);
  if (!before) return done(before.error());
  const Result<ConfigMap> changed = change(**before);
  if (!changed) return done(changed.error());
  Result<ResolvedConfig> config = resolve_topic_config(*changed, options.topic_defaults);
  if (!config) return done(std::move(config).error());
  if (config->typed.entry_id != (*before)->effective.entry_id) {
    return done(Error{Errc::invalid_config, "entry.id is fixed when the topic is created"});
  }
  auto topic = std::make_shared<Topic>(**before);
  topic->config = std::move(config->values);
  topic->effective = config->typed;
  if (dry_run) return done(std::shared_ptr<const Topic>(std::move(topic)));
  runtime.disk_pool().post([this, topic, change = std::move(change), done = std::move(done)]() mutable {
    if (const Status kept = directory->write_topic_file(to_file(*topic)); !kept) {
      log_warn("topic file of '" + topic->name + "': " + kept.error().to_string());
    }
    on_shard(0, [this, topic, change = std::move(change), done = std::move(done)]() mutable {
      // Somebody else's change came first: this one is made from what that left. Each round means that another change was done.
      auto again = [this, name = topic->name, change = std::move(change),
                    done = std::move(done)](Result<std::shared_ptr<const Topic>> written) mutable {
        if (!written && written.error().code == Errc::conflict) return alter(std::move(name), std::move(change), false, std::move(done));
        done(std::move(written));
      };
      write_topic(topic, topic->revision, topic->partitions, std::move(again));
    });
  });
}

/// The topic keeps its id, and with it everything that is known of it; one that has the new name goes.
void Broker::Impl::rename(const std::string& from, const std::string& to, bool only_if_absent, Done<void> done) {
  if (const Status valid = validate_topic_name(to); !valid) return done(valid);
  const Topic* const source = shards[0]->topics->find(from);
  if (source == nullptr) return done(unknown_topic(from));
  if (from == to) return done(only_if_absent ? Status(Error{Errc::conflict, "'" + to + "' exists"}) : Status());
  const Topic* const target = shards[0]->topics->find(to);
  if (target != nullptr && target->effective.entry_id != EntryIdMode::time) {
    return done(Error{Errc::topic_exists, "'" + to + "' is a topic of another kind (entry.id = offset)"});
  }
  if (target != nullptr && only_if_absent && !entries_impl->has_expired(*target)) {
    return done(Error{Errc::conflict, "'" + to + "' exists"});
  }
  auto topic = std::make_shared<Topic>(*source);
  topic->name = to;
  std::vector<MetadataStore::Change> changes = {{topic_key(from), std::nullopt}, {topic_key(to), encode(*topic)}};
  const std::optional<Uuid> replaced = target == nullptr ? std::optional<Uuid>() : target->id;
  const std::int32_t partitions = target == nullptr ? 0 : target->partitions;
  if (replaced) changes.push_back({removal_key(*replaced), std::to_string(partitions)});
  auto renamed = [this, topic, from, to, only_if_absent, replaced, partitions,
                  done = std::move(done)](Result<std::uint64_t> revision) mutable {
    // A change of either came in between: it is judged anew.
    if (!revision && revision.error().code == Errc::conflict) return rename(from, to, only_if_absent, std::move(done));
    if (!revision) return done(std::move(revision).error());
    begin_work();
    runtime.disk_pool().post([this, topic] {
      if (const Status kept = directory->write_topic_file(to_file(*topic)); !kept) {
        log_warn("topic file of '" + topic->name + "': " + kept.error().to_string());
      }
      on_shard(0, [this] { end_work(); });
    });
    install_table([this, replaced, partitions, done = std::move(done)]() mutable {
      done(Status());
      if (replaced) finish_removal(*replaced, partitions);
    });
  };
  metadata.txn({{topic_key(from), source->revision}, {topic_key(to), target == nullptr ? 0 : target->revision}}, std::move(changes),
               std::move(renamed));
}

void Broker::Impl::set_expiry(const std::string& name, std::optional<Timestamp> when, Done<void> done) {
  const Result<std::shared_ptr<const Topic>> before = recorded_topic(name);
  if (!before) return done(before.error());
  auto topic = std::make_shared<Topic>(**before);
  topic->expires = when;
  write_topic(topic, topic->revision, topic->partitions,
              [this, name, when, done = std::move(done)](Result<std::shared_ptr<const Topic>> written) mutable {
                if (!written && written.error().code == Errc::conflict) return set_expiry(name, when, std::move(done));
                if (!written) return done(std::move(written).error());
                done(Status());
              });
}

/// Deletes topics whose time has come and waits for the next. `again`: what could not be deleted a moment ago is tried once more.
void Broker::Impl::watch_expiry(bool again) {
  constexpr std::chrono::milliseconds kAgain{1000};
  constexpr std::chrono::milliseconds kLongest{std::chrono::hours(24)};
  if (expiry_timer) shards[0]->shard.cancel(*std::exchange(expiry_timer, std::nullopt));
  if (stopping) return;
  const Timestamp now = runtime.clock().now();
  std::optional<Timestamp> next;
  std::vector<std::string> due;
  for (const auto& [name, topic] : shards[0]->topics->by_name) {
    if (!topic->expires) continue;
    if (again && *topic->expires <= now)
      due.push_back(name);
    else if (!next || *topic->expires < *next)
      next = topic->expires;
  }
  if (!due.empty()) next = now + kAgain;
  if (!next) return;
  expiry_timer = shards[0]->shard.run_after(std::clamp(*next - now, std::chrono::milliseconds{0}, kLongest), [this] {
    expiry_timer.reset();
    watch_expiry(true);
  });
  for (const std::string& name : due) {
    remove(name, tracked<void>([name](Status removed) {
             if (!removed) log_warn("'" + name + "' has expired and is still there: " + removed.error().to_string());
           }));
  }
}

void Broker::Impl::grow(std::string name, std::int32_t total, Done<std::shared_ptr<const Topic>> done) {
  const Result<std::shared_ptr<const Topic>> before = recorded_topic(name);
  if (!before) return done(before.error());
  const std::int32_t partitions_before = (*before)->partitions;
  if (total <= partitions_before || total > options.partitions_per_topic_max) {
    return done(Error{Errc::invalid_argument, "partitions = " + std::to_string(total) + ": topic '" + name + "' has " +
                                                  std::to_string(partitions_before) + ", the new total must be larger and at most " +
                                                  std::to_string(options.partitions_per_topic_max)});
  }
  auto topic = std::make_shared<Topic>(**before);
  topic->partitions = total;
  // As in alter(): a change that came in between is no reason to fail.
  auto again = [this, name = std::move(name), total, done = std::move(done)](Result<std::shared_ptr<const Topic>> written) mutable {
    if (!written && written.error().code == Errc::conflict) return grow(std::move(name), total, std::move(done));
    done(std::move(written));
  };
  write_topic(topic, topic->revision, partitions_before, std::move(again));
}

void Broker::Impl::remove(std::string name, Done<void> done) {
  const Topic* const topic = shards[0]->topics->find(name);
  if (topic == nullptr) return done(unknown_topic(name));
  const Uuid id = topic->id;
  const std::int32_t partitions = topic->partitions;
  metadata.txn({{topic_key(name), topic->revision}}, {{topic_key(name), std::nullopt}, {removal_key(id), std::to_string(partitions)}},
               [this, id, partitions, done = std::move(done)](Result<std::uint64_t> revision) mutable {
                 if (!revision) return done(std::move(revision).error());
                 install_table([this, id, partitions, done = std::move(done)]() mutable {
                   done(Status());
                   finish_removal(id, partitions);
                 });
               });
}

/// The topic is gone for everybody; its partitions end their work, then files and state go. Repeated after a crash.
void Broker::Impl::finish_removal(Uuid id, std::int32_t partitions) {
  begin_work();
  auto gather = std::make_shared<Countdown>();
  gather->done = [this, id, partitions] {
    runtime.disk_pool().post([this, id, partitions] {
      Status removed = directory->remove_topic(id);
      on_shard(0, [this, id, partitions, removed = std::move(removed)] {
        if (removed) return forget_partitions(id, partitions);
        log_warn("files of a deleted topic stay until the next start: " + removed.error().to_string());
        end_work();
      });
    });
  };
  on_all_shards(
      [gather, id](ShardState& shard) {
        for (auto entry = shard.partitions.begin(); entry != shard.partitions.end();) {
          if (entry->first.topic != id) {
            ++entry;
            continue;
          }
          ++gather->left;
          const std::shared_ptr<Partition> partition = std::move(entry->second);
          entry = shard.partitions.erase(entry);
          partition->close(Error{Errc::unknown_topic, "the topic was deleted"}, [gather] { gather->one_less(); });
        }
      },
      [gather] { gather->one_less(); });
}

/// The files of a removed topic are gone: so is what the state log knows of its partitions, and the note to remove them.
void Broker::Impl::forget_partitions(Uuid id, std::int32_t partitions) {
  std::vector<storage::StateRecord> records;
  for (std::int32_t p = 0; p < partitions; ++p) {
    records.push_back({PartitionKey{id, p}.stream(), storage::StateRecordType::deleted, true, 0, {}});
  }
  committer->submit(std::move(records), shards[0]->shard, [this, id](Status recorded) {
    if (!recorded) {
      log_warn("a deleted topic's state stays until the next start: " + recorded.error().to_string());
      return end_work();
    }
    metadata.txn({}, {{removal_key(id), std::nullopt}}, [this](Result<std::uint64_t> forgotten) {
      if (!forgotten) log_warn("a removal will be repeated at the next start: " + forgotten.error().to_string());
      end_work();
    });
  });
}

}  // namespace tidemark::broker
