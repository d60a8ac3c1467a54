#include <algorithm>

#include "broker/broker_impl.h"
#include "broker/entries/entries_impl.h"
#include "broker/entries/entry_recovery.h"
#include "broker/groups/groups_impl.h"
#include "broker/queues/queues_impl.h"
#include "broker/transactions/transactions_impl.h"
#include "storage/base/log.h"
#include "storage/base/units.h"
#include "storage/batch/filler_batch.h"

/// What the broker does before it serves: lock, replay the state log, open every partition, note the start. Idempotent: a crash anywhere
/// in here and another start give the same state.
namespace tidemark::broker {
namespace {

constexpr std::string_view kRemovals = "removals/";

std::string start_text(bool first, bool clean) {
  if (first) return "first start";
  return clean ? "clean start" : "recovery after an unclean stop";
}

}  // namespace

Status Broker::Impl::recover() {
  const SteadyTime began = runtime.clock().steady();
  Random random(runtime.random());
  Result<std::unique_ptr<storage::DataDirectory>> opened = storage::DataDirectory::open(files, options.data_directory, random);
  if (!opened) return std::move(opened).error();
  directory = *std::move(opened);
  space.look();

  Result<std::unique_ptr<storage::StateLog>> state_log = storage::StateLog::open(
      files, directory->state_directory(), {}, [this](const storage::StateRecord& record) { return replay(record); });
  if (!state_log) return std::move(state_log).error();

  // The marker counts only if nothing was written after it.
  Result<std::optional<storage::StateLogPosition>> marker = directory->take_clean_marker();
  if (!marker) return std::move(marker).error();
  clean_start = marker->has_value() && **marker == (*state_log)->end();

  committer = std::make_unique<Committer>(runtime, file_cache, *std::move(state_log), options.flush_method, fatal);
  committer->set_want_snapshots([this](std::vector<storage::StreamKey> streams) { take_snapshots(std::move(streams)); });
  metadata.attach(*committer, shards[0]->shard);
  jobs.attach(*committer);
  jobs.hold_producers();
  scheduler.attach(*committer);
  scheduler.hold_producer();

  if (Status partitions = open_partitions(); !partitions) return partitions;
  recovery_duration = std::chrono::duration_cast<std::chrono::milliseconds>(runtime.clock().steady() - began);
  log_info(start_text(starts == 0, clean_start) + ": " + std::to_string(shards[0]->topics->by_name.size()) + " topics, " +
           format_size(recovery_scanned_bytes) + " read, " + std::to_string(recovery_duration.count()) + " ms");
  return {};
}

Status Broker::Impl::replay(const storage::StateRecord& record) {
  switch (record.stream.kind) {
    case storage::StreamKind::metadata:
      return metadata.replay(record);
    case storage::StreamKind::partition:
      return recovered.apply(record);
    case storage::StreamKind::group:
      return groups_impl->replay(record);
    case storage::StreamKind::group_partition:
      return queues_impl->replay(record);
    case storage::StreamKind::transaction:
      return transactions_impl->replay(record);
    case storage::StreamKind::job:
      return Scheduler::owns(record.stream) ? scheduler.replay(record) : jobs.replay(record);
    case storage::StreamKind::broker: {
      state::BrokerChange change;
      if (!change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()))) {
        return Error{Errc::corrupt_batch, "the broker's state does not decode"};
      }
      if (change.has_starts()) starts = change.starts();
      if (change.has_producer_ids_end()) next_producer_id = producer_ids_end = change.producer_ids_end();
      return {};
    }
    default:
      return Error{Errc::unsupported_version, "the state log has records of a newer version"};
  }
}

Status Broker::Impl::open_partitions() {
  const std::shared_ptr<const TopicTable> table = build_table();
  for (const auto& shard : shards) shard->topics = table;

  // Directories without a topic: leftovers of a crash while a topic was made are empty and go; anything with records is kept and named.
  const Result<std::vector<Uuid>> found = directory->list_topics();
  if (!found) return found.error();
  for (const Uuid& id : *found) {
    const bool to_remove = metadata.get(std::string(kRemovals) + id.to_string()) != nullptr;
    if (table->by_id.find(id) != table->by_id.end() || to_remove) continue;
    const Result<bool> has_records = directory->topic_has_records(id);
    if (!has_records) return has_records.error();
    if (*has_records) {
      log_warn("topic directory " + id.to_string() + " has records but no topic in the metadata: left as it is");
    } else if (Status removed = directory->remove_topic(id); !removed) {
      return removed;
    }
  }
  for (const auto& [name, topic] : table->by_name) {
    for (std::int32_t p = 0; p < topic->partitions; ++p) {
      if (Status opened = open_partition(topic, p, clean_start); !opened) return opened;
    }
  }
  recovered.clear();
  groups_impl->recovered();
  queues_impl->recovered();
  transactions_impl->recovered();
  return {};
}

Status Broker::Impl::open_partition(const std::shared_ptr<const Topic>& topic, std::int32_t partition, bool clean) {
  const PartitionKey key{topic->id, partition};
  const std::string name = topic->name + ":" + std::to_string(partition);
  PartitionState state = recovered.take(key);
  const Timestamp now = runtime.clock().now();

  ProducerSessions producers(&holds);
  for (ProducerSession& session : state.producers) producers.restore(std::move(session));
  // The state log may speak of what came after the checkpoint: of that, the log itself knows.
  OpenTransactions open_transactions;
  if (state.checkpoint) {
    std::erase_if(state.transactions.aborted, [&](const AbortedTransaction& one) { return one.marker >= state.checkpoint->offset; });
    open_transactions.restore(state.transactions);
  }
  storage::RecoveryReport report;
  Result<std::unique_ptr<storage::Log>> log = storage::Log::open(
      file_cache, directory->partition_directory(topic->id, partition), log_config(topic->effective),
      {.log_start = state.log_start, .checkpoint = state.checkpoint, .clean = clean}, now,
      [&](const BatchHeader& header, ByteView batch) {
        if (header.has_producer()) producers.recovered(header, now);
        recover_entries(header, state);
        open_transactions.recovered(header, batch);
      },
      report);
  if (!log) {
    Error error = std::move(log).error();
    error.detail = name + ": " + error.detail;
    return error;
  }
  recovery_scanned_bytes += report.scanned_bytes;
  if (report.torn) {
    log_info(name + ": normal after a crash: " + std::to_string(report.torn->bytes) + " bytes of an unfinished write cut from " +
             report.torn->file + " at " + std::to_string(report.torn->position.value) + ", kept in " + report.torn->kept);
  }
  for (const storage::Damage& damage : report.damage) log_error(name + ": damaged, quarantined: " + damage.to_string());
  producers.cut((*log)->end_offset());
  open_transactions.cut((*log)->end_offset());
  open_transactions.forget_aborted_before((*log)->log_start());
  producers.expire(now);
  if (state.leader_epoch > (*log)->leader_epoch()) (*log)->set_leader_epoch(state.leader_epoch);

  if (topic->effective.entry_id == EntryIdMode::time) {
    if (Status last = recover_last_id(**log, file_cache, now, state); !last) {
      Error error = std::move(last).error();
      error.detail = name + ": " + error.detail;
      return error;
    }
  }

  ShardState& home = *shards[home_of(key)];
  auto opened = std::make_shared<Partition>(services(home), key, topic, *std::move(log), std::move(producers), state.reserved_end,
                                            std::move(state.entries));
  opened->recovered(std::move(open_transactions), state.checkpoint, std::move(state.transactions.open), state.aborted_gone_below);
  // Weak durability: offsets up to the reservation may have been shown before the crash. None of them is given out again.
  if (!clean && state.reserved_end.value > 0) {
    if (state.reserved_end > opened->end_offset()) opened->skip_to(state.reserved_end);
    restate.push_back(opened);
  }
  if (opened->leader_epoch() > 0) leader_epochs.emplace(key, opened->leader_epoch());
  home.partitions.emplace(key, std::move(opened));
  return {};
}

void Broker::Impl::begin_background_work() {
  for (const auto& shard : shards) {
    shard->shard.post([this, state = shard.get()] {
      schedule_checkpoints(*state);
      schedule_retention(*state);
      schedule_compaction(*state, options.compaction_interval);
      groups_impl->begin_background_work(state->shard.index());
      queues_impl->begin_background_work(state->shard.index());
      transactions_impl->begin_background_work(state->shard.index());
    });
  }
  // What the state log says of producers may speak of batches that a power cut took: say anew what is there.
  for (const std::shared_ptr<Partition>& partition : std::exchange(restate, {})) {
    const std::size_t home = home_of(partition->key());
    on_shard(home, [this, home, partition] {
      partition->take_snapshot([this, home](std::vector<storage::StateRecord> records) {
        committer->submit(std::move(records), shards[home]->shard, [](Status recorded) {
          if (!recorded) log_warn("state log: a snapshot was not taken: " + recorded.error().to_string());
        });
      });
    });
  }
  on_shard(0, [this] {
    schedule_space_watch();
    jobs.begin();
    scheduler.begin();
    entries_impl->remove_unfinished_copies();
    watch_expiry(true);
    // The first record after every start: a clean marker that comes back from the dead does not match the log's end any more.
    ++starts;
    std::vector<storage::StateRecord> records;
    records.push_back(broker_record(storage::StateRecordType::snapshot));
    committer->submit(std::move(records), shards[0]->shard, [](Status recorded) {
      if (!recorded) log_warn("the start was not recorded: " + recorded.error().to_string());
    });
    for (const auto& [key, entry] : metadata.list(kRemovals)) {
      const std::optional<Uuid> id = Uuid::parse(std::string_view(key).substr(kRemovals.size()));
      if (id) finish_removal(*id, std::atoi(entry.value.c_str()));
    }
  });
}

}  // namespace tidemark::broker
