#include "broker/queues/queues.h"

#include <algorithm>
#include <iterator>

#include "broker/groups/groups_impl.h"
#include "broker/queues/queues_impl.h"
#include "storage/base/log.h"
#include "storage/base/printable.h"

/// The life of queue groups: made, changed, brought back, removed. Receiving and settling: queues_work.cc; looking: queues_look.cc; dead
/// letters: queues_letters.cc.
namespace tidemark::broker {
namespace {

constexpr std::int32_t kHome = -1;

}  // namespace

QueuesImpl::QueuesImpl(Broker::Impl& broker_in) : broker(broker_in), shards(broker_in.shards.size()) {}

std::size_t QueuesImpl::home_of(std::string_view group) const { return std::hash<std::string_view>()(group) % shards.size(); }

std::size_t QueuesImpl::home_of(const storage::StreamKey& stream) const {
  const std::optional<QueueStream> parsed = parse_queue_stream(stream);
  if (!parsed) return 0;
  if (parsed->identity.partition == kHome) return home_of(parsed->identity.group);
  return broker.home_of({parsed->identity.topic, parsed->identity.partition});
}

Error QueuesImpl::unknown(const QueueName& name) const {
  return {Errc::unknown_group, "no queue group '" + printable(name.group) + "' on topic '" + name.topic + "'"};
}

Result<QueueId> QueuesImpl::identify(const QueueName& name) const {
  if (Status valid = validate_group_name(name.group); !valid) return std::move(valid).error();
  const Topic* const topic = broker.access.topics().find(name.topic);
  if (topic == nullptr) return broker.unknown_topic(name.topic);
  return QueueId{name.group, topic->id};
}

Result<HomedQueuePtr> QueuesImpl::get(const QueueId& id, const QueueName& name) {
  const auto found = here().homes.find(id);
  if (found == here().homes.end()) return unknown(name);
  if (found->second->removing) return Error{Errc::conflict, "queue group '" + printable(name.group) + "' is being removed"};
  return found->second;
}

QueueServices QueuesImpl::services(std::size_t shard) {
  ShardState& state = *broker.shards[shard];
  return {.runtime = broker.runtime,
          .shard = state.shard,
          .committer = *broker.committer,
          .holds = broker.holds,
          .partition = [&state](const PartitionKey& key) -> std::shared_ptr<Partition> {
            const auto found = state.partitions.find(key);
            return found == state.partitions.end() ? nullptr : found->second;
          },
          .topic = [&state](const Uuid& id) -> std::shared_ptr<const Topic> {
            const auto found = state.topics->by_id.find(id);
            return found == state.topics->by_id.end() ? nullptr : found->second;
          },
          .dead_letter_topic =
              [this](std::string name, std::string group, Done<std::shared_ptr<const Topic>> done) {
                dead_letter_topic(std::move(name), std::move(group), std::move(done));
              },
          .new_producer =
              [this, shard](Done<ProducerIdentity> done) {
                broker.on_shard(0, [this, shard, done = std::move(done)]() mutable {
                  broker.waiting_producers.push_back([this, shard, done = std::move(done)](Result<ProducerIdentity> identity) mutable {
                    broker.on_shard(shard,
                                    [done = std::move(done), identity = std::move(identity)]() mutable { done(std::move(identity)); });
                  });
                  broker.give_producer_ids();
                });
              },
          .append =
              [this](TopicPartition where, Slice batch, Done<Appended> done) {
                broker.on_partition<Appended>(where, std::move(done), [batch = std::move(batch)](Partition& target, Done<Appended> answer) {
                  target.append(batch, std::move(answer));
                });
              },
          .holds_batch =
              [this](TopicPartition where, ProducerIdentity producer, std::int32_t first, std::int32_t last, Done<bool> done) {
                broker.on_partition<bool>(where, std::move(done), [producer, first, last](Partition& target, Done<bool> answer) {
                  answer(target.holds_batch(producer, first, last));
                });
              },
          .began = [this, shard] { begin_one(shard); },
          .ended = [this, shard] { end_one(shard); },
          .stopping = [this] { return broker.stopping.load(); }};
}

// --- Recovery.

Status QueuesImpl::replay(const storage::StateRecord& record) {
  const std::optional<QueueStream> stream = parse_queue_stream(record.stream);
  if (!stream) return Error{Errc::corrupt_batch, "the state log names a queue group in a way that does not decode"};
  const QueueId id{stream->identity.group, stream->identity.topic};
  if (stream->identity.partition != kHome) {
    std::unique_ptr<QueueWindow>& window = recovered_windows[{id, stream->identity.partition}];
    if (!window) window = std::make_unique<QueueWindow>(stream->identity, Offset{}, std::make_shared<QueueSettings>());
    return window->replay(record);
  }
  std::map<QueueId, HomedQueuePtr>& homes = shards[home_of(id.group)].homes;
  if (record.type == storage::StateRecordType::deleted) {
    homes.erase(id);
    return {};
  }
  state::QueueChange change;
  if (!change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
    return Error{Errc::corrupt_batch, "queue group '" + printable(id.group) + "': its record does not decode"};
  }
  auto queue = std::make_shared<HomedQueue>();
  queue->id = id;
  queue->flavor = static_cast<QueueFlavor>(change.flavor());
  queue->created = Timestamp(std::chrono::milliseconds(change.created_ms()));
  queue->start = {static_cast<StartAt::Kind>(change.start_kind()), change.start_value()};
  queue->settings = {change.settings().begin(), change.settings().end()};
  for (const auto& start : change.starts()) queue->starts[start.partition()] = Offset{start.offset()};
  homes[id] = std::move(queue);
  return {};
}

void QueuesImpl::recovered() {
  const Timestamp now = broker.runtime.clock().now();
  for (ShardQueues& shard : shards) {
    for (const auto& [id, queue] : shard.homes) {
      Result<QueueSettings> settings = resolve_queue_settings(id.group, queue->flavor, queue->settings, now);
      if (!settings) {
        log_error("queue group " + printable(id.group) +
                  ": settings of an older version, the defaults hold: " + settings.error().to_string());
        settings = resolve_queue_settings(id.group, queue->flavor, {}, now);
      }
      CHECK(settings.has_value());  // Defaults are settings.
      queue->effective = std::make_shared<const QueueSettings>(*std::move(settings));
      const auto topic = broker.shards[0]->topics->by_id.find(id.topic);
      if (topic == broker.shards[0]->topics->by_id.end()) continue;  // topics_changed() ends it.
      for (std::int32_t p = 0; p < topic->second->partitions; ++p) {
        const std::size_t at = broker.home_of({id.topic, p});
        auto found = recovered_windows.find({id, p});
        std::unique_ptr<QueueWindow> window;
        if (found != recovered_windows.end()) {
          window = std::move(found->second);
          recovered_windows.erase(found);
          window->configure(queue->effective);
          window->recovered(now);
        } else {
          window = std::make_unique<QueueWindow>(QueueWindow::Identity{id.group, id.topic, p}, queue->start_in(p), queue->effective);
        }
        const auto partition = broker.shards[at]->partitions.find({id.topic, p});
        if (partition != broker.shards[at]->partitions.end() && window->clamp(partition->second->high_watermark())) {
          log_warn("queue group " + printable(id.group) + ": " + topic->second->name + ":" + std::to_string(p) +
                   " ends before where the group was: it goes on at the end");
        }
        shards[at].partitions[{id.topic, p}][id.group] =
            std::make_shared<QueuePartition>(services(at), PartitionKey{id.topic, p}, std::move(window));
      }
    }
  }
}

void QueuesImpl::begin_background_work(std::size_t number) {
  ShardQueues& shard = shards[number];
  // Windows whose group or topic a crash has taken away: what is left of them goes. (Only the first shard has them in hand.)
  if (number == 0) {
    std::vector<storage::StateRecord> records;
    for (const auto& [where, window] : recovered_windows) {
      for (const storage::StreamKey& stream : window->streams()) {
        records.push_back({stream, storage::StateRecordType::deleted, true, 0, {}});
      }
    }
    recovered_windows.clear();
    if (!records.empty()) {
      begin_one(number);
      broker.committer->submit(std::move(records), broker.shards[number]->shard, [this, number](const Status& recorded) {
        if (!recorded) log_warn("queue groups that are gone stay in the state log: " + recorded.error().to_string());
        end_one(number);
      });
    }
  }
  topics_changed(number);
  for (const auto& [key, groups] : shard.partitions) {
    for (const auto& [name, queue] : groups) queue->start();
  }
}

void QueuesImpl::drain(std::size_t number, Task done) {
  ShardQueues& shard = shards[number];
  for (const auto& [key, groups] : shard.partitions) {
    for (const auto& [name, queue] : groups) queue->stop();
  }
  if (shard.under_way == 0) return done();
  shard.idle = std::move(done);
}

std::vector<storage::StateRecord> QueuesImpl::snapshot(std::size_t number, const storage::StreamKey& stream) {
  const std::optional<QueueStream> parsed = parse_queue_stream(stream);
  const std::vector<storage::StateRecord> ended{{stream, storage::StateRecordType::deleted, true, 0, {}}};
  if (!parsed) return {};
  ShardQueues& shard = shards[number];
  if (parsed->identity.partition == kHome) {
    const QueueId id{parsed->identity.group, parsed->identity.topic};
    if (shard.being_made.contains(id)) return {};
    const auto found = shard.homes.find(id);
    if (found == shard.homes.end()) return ended;
    return {head_record(*found->second)};
  }
  const auto groups = shard.partitions.find({parsed->identity.topic, parsed->identity.partition});
  if (groups == shard.partitions.end()) return ended;
  const auto found = groups->second.find(parsed->identity.group);
  if (found == groups->second.end()) return ended;
  // What was noted since the last record comes first: the snapshot stands on it.
  std::vector<storage::StateRecord> records = found->second->window().take_records();
  std::vector<storage::StateRecord> whole = found->second->window().snapshot(stream);
  if (whole.empty()) whole = ended;
  std::ranges::move(whole, std::back_inserter(records));
  return records;
}

/// Topics came, went or grew.
void QueuesImpl::topics_changed(std::size_t number) {
  ShardQueues& shard = shards[number];
  const TopicTable& table = *broker.shards[number]->topics;
  std::vector<storage::StateRecord> records;
  for (auto entry = shard.partitions.begin(); entry != shard.partitions.end();) {
    if (table.by_id.contains(entry->first.topic)) {
      ++entry;
      continue;
    }
    for (const auto& [name, queue] : entry->second) {
      close(number, *queue, {Errc::unknown_topic, "the topic was deleted"}, records);
    }
    entry = shard.partitions.erase(entry);
  }
  for (auto home = shard.homes.begin(); home != shard.homes.end();) {
    const auto topic = table.by_id.find(home->first.topic);
    if (topic == table.by_id.end()) {
      records.push_back({queue_stream({home->first.group, home->first.topic, kHome}, -1), storage::StateRecordType::deleted, true, 0, {}});
      home->second->removing = true;
      home = shard.homes.erase(home);
      continue;
    }
    begin_one(number);
    install(*home->second, [this, number] { end_one(number); });
    ++home;
  }
  if (records.empty()) return;
  begin_one(number);
  broker.committer->submit(std::move(records), broker.shards[number]->shard, [this, number](const Status& recorded) {
    if (!recorded) log_warn("queue groups of a deleted topic stay in the state log: " + recorded.error().to_string());
    end_one(number);
  });
}

// --- On the partitions' shards.

std::shared_ptr<QueuePartition> QueuesImpl::open(std::size_t number, const QueueId& id, std::int32_t partition, Offset start,
                                                 std::shared_ptr<const QueueSettings> settings) {
  const PartitionKey key{id.topic, partition};
  if (!broker.shards[number]->partitions.contains(key)) return nullptr;  // Not open yet, or gone again.
  std::shared_ptr<QueuePartition>& queue = shards[number].partitions[key][id.group];
  if (queue) return queue;
  auto window = std::make_unique<QueueWindow>(QueueWindow::Identity{id.group, id.topic, partition}, start, std::move(settings));
  queue = std::make_shared<QueuePartition>(services(number), key, std::move(window));
  queue->start();
  return queue;
}

void QueuesImpl::close(std::size_t, QueuePartition& queue, const Error& reason, std::vector<storage::StateRecord>& records) {
  for (const storage::StreamKey& stream : queue.window().streams()) {
    records.push_back({stream, storage::StateRecordType::deleted, true, 0, {}});
  }
  queue.close(reason);
}

/// Every partition of the topic has a window, under the settings that hold now.
void QueuesImpl::install(const HomedQueue& queue, Task done) {
  const auto& by_id = broker.shards[broker.current_shard()]->topics->by_id;
  const auto topic = by_id.find(queue.id.topic);
  // A window that is opened while the group is being removed would outlive it.
  if (topic == by_id.end() || queue.removing) return done();
  struct Plan {
    QueueId id;
    std::shared_ptr<const QueueSettings> settings;
    std::map<std::int32_t, Offset> starts;
    std::int32_t partitions;
  };
  auto plan = std::make_shared<const Plan>(Plan{queue.id, queue.effective, queue.starts, topic->second->partitions});
  broker.on_all_shards(
      [this, plan](ShardState& shard) {
        const std::size_t number = shard.shard.index();
        for (std::int32_t p = 0; p < plan->partitions; ++p) {
          if (broker.home_of({plan->id.topic, p}) != number) continue;
          const auto start = plan->starts.find(p);
          const auto window = open(number, plan->id, p, start == plan->starts.end() ? Offset{} : start->second, plan->settings);
          if (window) window->configure(plan->settings);
        }
      },
      std::move(done));
}

// --- Homes.

storage::StateRecord QueuesImpl::head_record(const HomedQueue& queue) const {
  state::QueueChange change;
  change.set_flavor(static_cast<std::uint32_t>(queue.flavor));
  change.set_created_ms(queue.created.time_since_epoch().count());
  change.set_start_kind(static_cast<std::int32_t>(queue.start.kind));
  change.set_start_value(queue.start.value);
  for (const auto& [key, value] : queue.settings) (*change.mutable_settings())[key] = value;
  for (const auto& [partition, offset] : queue.starts) {
    auto& start = *change.add_starts();
    start.set_partition(partition);
    start.set_offset(offset.value);
  }
  storage::StateRecord record{queue_stream({queue.id.group, queue.id.topic, kHome}, -1), storage::StateRecordType::snapshot, true, 0, {}};
  record.payload.resize(change.ByteSizeLong());
  CHECK(change.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

void Queues::create(const RequestContext&, CreateQueueRequest request, Done<QueueInfo> done) {
  QueuesImpl* const impl = impl_.get();
  if (is_internal_group(request.name.group)) {
    return done(Error{Errc::invalid_argument, "group names that begin with '__tidemark_' are the broker's own"});
  }
  Result<QueueId> id = impl->identify(request.name);
  if (!id) return done(std::move(id).error());
  const std::size_t home = impl->home_of(request.name.group);
  call_home<QueueInfo>(impl->broker, home, impl->shards[home], std::move(done),
                       [impl, id = *std::move(id), request = std::move(request)](Done<QueueInfo> answer) mutable {
                         impl->create(std::move(request), std::move(id), std::move(answer));
                       });
}

void QueuesImpl::create(CreateQueueRequest request, QueueId id, Done<QueueInfo> done) {
  if (broker.stopping) return done(Error{Errc::shutting_down, "the broker is stopping"});
  ShardQueues& shard = here();
  if (const auto making = shard.being_made.find(id); making != shard.being_made.end()) {
    making->second.push_back([this, request = std::move(request), id, done = std::move(done)]() mutable {
      create(std::move(request), std::move(id), std::move(done));
    });
    return;
  }
  if (const auto found = shard.homes.find(id); found != shard.homes.end()) {
    if (found->second->removing) return done(Error{Errc::conflict, "queue group '" + printable(id.group) + "' is being removed"});
    if (request.may_exist) return describe(found->second, std::move(done));
    return done(Error{Errc::conflict, "queue group '" + printable(id.group) + "' on topic '" + request.name.topic + "' exists"});
  }
  const Timestamp now = broker.runtime.clock().now();
  Result<QueueSettings> settings = resolve_queue_settings(id.group, request.flavor, request.settings, now);
  if (!settings) return done(std::move(settings).error());
  if (settings->dead_letter_topic == request.name.topic) {
    return done(Error{Errc::invalid_argument, "dead.letter.topic = '" + request.name.topic + "': that is the topic the records come from"});
  }
  const auto topic = broker.shards[broker.current_shard()]->topics->by_id.find(id.topic);
  if (topic == broker.shards[broker.current_shard()]->topics->by_id.end()) return done(broker.unknown_topic(request.name.topic));

  auto queue = std::make_shared<HomedQueue>();
  queue->id = id;
  queue->flavor = request.flavor;
  queue->created = now;
  queue->start = request.start;
  queue->settings = request.settings;
  queue->effective = std::make_shared<const QueueSettings>(*std::move(settings));
  shard.being_made[id];
  std::vector<PlaceQuestion> questions;
  for (std::int32_t p = 0; p < topic->second->partitions; ++p) {
    PlaceQuery query;
    if (request.start.kind == StartAt::Kind::time) query.by_time_ms = request.start.value;
    questions.push_back({{id.topic, p}, query});
  }
  broker.look_at(std::move(questions), [this, queue, done = std::move(done)](std::vector<Result<PlaceReport>> places) mutable {
    for (std::size_t p = 0; p < places.size(); ++p) {
      if (!places[p]) {
        const Error error = places[p].error();
        made(queue, [error, done = std::move(done)](Result<QueueInfo>) mutable { done(error); });
        return;
      }
      queue->starts[static_cast<std::int32_t>(p)] = resolve_start(queue->start, *places[p]);
    }
    std::vector<storage::StateRecord> records{head_record(*queue)};
    broker.committer->submit(
        std::move(records), broker.shards[broker.current_shard()]->shard, [this, queue, done = std::move(done)](Status recorded) mutable {
          if (!recorded) {
            return made(queue, [error = recorded.error(), done = std::move(done)](Result<QueueInfo>) mutable { done(error); });
          }
          here().homes[queue->id] = queue;
          install(*queue, [this, queue, done = std::move(done)]() mutable { made(queue, std::move(done)); });
        });
  });
}

/// It is there, or it was not to be: whoever waited for that goes on.
void QueuesImpl::made(const HomedQueuePtr& queue, Done<QueueInfo> done) {
  std::vector<Task> waiting = std::move(here().being_made[queue->id]);
  here().being_made.erase(queue->id);
  const bool is_there = here().homes.contains(queue->id);
  if (is_there)
    describe(queue, std::move(done));
  else
    done(Error{Errc::unknown_group, "the group was not made"});
  for (Task& task : waiting) task();
}

void Queues::alter(const RequestContext&, QueueName name, std::map<std::string, std::string> changes, Done<QueueInfo> done) {
  QueuesImpl* const impl = impl_.get();
  impl->on_home<QueueInfo>(name, std::move(done),
                           [impl, name, changes = std::move(changes)](const HomedQueuePtr& queue, Done<QueueInfo> answer) mutable {
                             Task change = [impl, queue, name, changes = std::move(changes), answer = std::move(answer)]() mutable {
                               std::map<std::string, std::string> settings = queue->settings;
                               for (auto& [key, value] : changes) {
                                 if (value.empty())
                                   settings.erase(key);
                                 else
                                   settings[key] = std::move(value);
                               }
                               impl->settle_settings(queue, std::move(settings), std::move(answer));
                             };
                             if (queue->changing) {
                               queue->waiting.push_back(std::move(change));
                               return;
                             }
                             change();
                           });
}

void QueuesImpl::settle_settings(const HomedQueuePtr& queue, std::map<std::string, std::string> settings, Done<QueueInfo> done) {
  Result<QueueSettings> resolved = resolve_queue_settings(queue->id.group, queue->flavor, settings, broker.runtime.clock().now());
  const auto topic = broker.shards[broker.current_shard()]->topics->by_id.find(queue->id.topic);
  if (resolved && topic != broker.shards[broker.current_shard()]->topics->by_id.end() &&
      resolved->dead_letter_topic == topic->second->name) {
    resolved = Error{Errc::invalid_config, "dead.letter.topic = '" + topic->second->name + "': that is the topic the records come from"};
  }
  if (!resolved) {
    done(std::move(resolved).error());
    return next_change(queue);
  }
  HomedQueue changed = HomedQueue{.id = queue->id,
                                  .flavor = queue->flavor,
                                  .created = queue->created,
                                  .start = queue->start,
                                  .settings = settings,
                                  .effective = std::make_shared<const QueueSettings>(*std::move(resolved)),
                                  .starts = queue->starts,
                                  .connected = {},
                                  .waiting = {}};
  queue->changing = true;
  std::vector<storage::StateRecord> records{head_record(changed)};
  broker.committer->submit(std::move(records), broker.shards[broker.current_shard()]->shard,
                           [this, queue, settings = std::move(changed.settings), effective = std::move(changed.effective),
                            done = std::move(done)](Status recorded) mutable {
                             if (!recorded) {
                               done(std::move(recorded).error());
                               return next_change(queue);
                             }
                             queue->settings = std::move(settings);
                             queue->effective = std::move(effective);
                             install(*queue, [this, queue, done = std::move(done)]() mutable {
                               describe(queue, std::move(done));
                               next_change(queue);
                             });
                           });
}

void QueuesImpl::next_change(const HomedQueuePtr& queue) {
  queue->changing = false;
  if (queue->waiting.empty()) return;
  Task next = std::move(queue->waiting.front());
  queue->waiting.erase(queue->waiting.begin());
  next();
}

void Queues::remove(const RequestContext&, QueueName name, Done<void> done) {
  QueuesImpl* const impl = impl_.get();
  if (is_internal_group(name.group)) return done(Error{Errc::invalid_argument, "this group is the broker's own"});
  impl->on_home<void>(name, std::move(done),
                      [impl](const HomedQueuePtr& queue, Done<void> answer) { impl->remove(queue, std::move(answer)); });
}

void QueuesImpl::remove(const HomedQueuePtr& queue, Done<void> done) {
  queue->removing = true;
  std::vector<storage::StateRecord> records{
      {queue_stream({queue->id.group, queue->id.topic, kHome}, -1), storage::StateRecordType::deleted, true, 0, {}}};
  broker.committer->submit(
      std::move(records), broker.shards[broker.current_shard()]->shard, [this, queue, done = std::move(done)](Status recorded) mutable {
        if (!recorded) {
          queue->removing = false;
          return done(std::move(recorded));
        }
        // Its windows: should a crash come in between, the next start finds them without a home and ends them.
        auto failed = std::make_shared<std::optional<Error>>();
        broker.on_all_shards(
            [this, id = queue->id](ShardState& shard) {
              const std::size_t number = shard.shard.index();
              std::vector<storage::StateRecord> ends;
              for (auto& [key, groups] : shards[number].partitions) {
                if (key.topic != id.topic) continue;
                const auto found = groups.find(id.group);
                if (found == groups.end()) continue;
                close(number, *found->second, {Errc::unknown_group, "the group was removed"}, ends);
                groups.erase(found);
              }
              if (ends.empty()) return;
              begin_one(number);
              broker.committer->submit(std::move(ends), shard.shard, [this, number](const Status& ended) {
                if (!ended) log_warn("a removed queue group stays in the state log until the next start: " + ended.error().to_string());
                end_one(number);
              });
            },
            [this, queue, done = std::move(done)]() mutable {
              here().homes.erase(queue->id);
              done(Status());
            });
      });
}

// --- Connections.

void Queues::join(const RequestContext& context, QueueName name, std::string member, std::string host, Done<QueueInfo> done) {
  if (Status valid = validate_group_name(member); !valid) {
    return done(Error{Errc::invalid_argument, "a member name has 1 to " + std::to_string(kGroupNameBytesMax) + " bytes"});
  }
  QueuesImpl* const impl = impl_.get();
  impl->on_home<QueueInfo>(
      name, std::move(done),
      [impl, client_id = context.client_id, member = std::move(member), host = std::move(host)](const HomedQueuePtr& queue,
                                                                                                Done<QueueInfo> answer) mutable {
        if (queue->connected.contains(member)) {
          return answer(Error{Errc::conflict, "another connection speaks for member '" + printable(member) + "'"});
        }
        if (queue->connected.size() >= kMembersMax) {
          return answer(Error{Errc::overloaded, "a queue group has at most " + std::to_string(kMembersMax) + " members"});
        }
        HomedQueue::Connected& connected = queue->connected[member];
        connected.client_id = std::move(client_id);
        connected.host = std::move(host);
        impl->describe(queue, [queue, member, answer = std::move(answer)](Result<QueueInfo> info) mutable {
          if (!info) queue->connected.erase(member);  // Whoever asked will not leave what it never joined.
          answer(std::move(info));
        });
      });
}

void Queues::leave(const RequestContext&, QueueName name, std::string member, bool failed, Done<void> done) {
  QueuesImpl* const impl = impl_.get();
  impl->on_home<void>(name, std::move(done),
                      [impl, member = std::move(member), failed](const HomedQueuePtr& queue, Done<void> answer) mutable {
                        queue->connected.erase(member);
                        impl->on_all_partitions<std::uint64_t>(
                            queue->id,
                            [answer = std::move(answer)](Result<std::vector<std::uint64_t>> released) mutable {
                              if (!released) return answer(std::move(released).error());
                              answer(Status());
                            },
                            [member, failed](QueuePartition& partition, Done<std::uint64_t> told) {
                              partition.change<std::uint64_t>(
                                  [member, failed](QueueWindow& window, Timestamp now) {
                                    if (!window.member(member)) return std::uint64_t{0};
                                    const std::uint64_t had =
                                        window.release_all(member, failed, failed ? "the connection of its member was lost" : "", now);
                                    window.remove_member(member, false, now);
                                    return had;
                                  },
                                  std::move(told));
                            });
                      });
}

}  // namespace tidemark::broker
