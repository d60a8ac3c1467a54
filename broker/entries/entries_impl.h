#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker_impl.h"
#include "broker/entries/entries.h"

namespace tidemark::broker {

/// Behind Entries: reaches partitions, keeps watches over changes of topics, and makes topics for the first entry.
struct EntriesImpl {
  explicit EntriesImpl(Broker::Impl& broker_in);

  class Watch;
  struct CopyJob;
  /// What one shard's callers wait for; touched by that shard only.
  struct ShardEntries {
    std::list<std::shared_ptr<Watch>> watches;  ///< In the order in which they began.
    /// Appends that wait for their topic, by its name; they are told whether it could be made.
    std::map<std::string, std::vector<UniqueFunction<void(const Status&)>>, std::less<>> creating;
  };

  ShardEntries& here() { return shards[broker.current_shard()]; }
  /// The topic as this shard knows it; null when there is none or its time has come.
  const Topic* find_topic(std::string_view name) const;
  bool has_expired(const Topic& topic) const;
  /// Hands a call to the partition. Further error: shutting_down, where the call `changes` something.
  template <class T>
  void on_entries(const TopicPartition& where, bool changes, Done<T> done, UniqueFunction<void(PartitionEntries&, Done<T>)> call);
  /// Runs `call` on the shard of the metadata; its answer comes back to the calling one.
  template <class T>
  void on_metadata(Done<T> done, UniqueFunction<void(Done<T>)> call);

  void append(TopicPartition where, EntryAppend entry, Done<EntryAppended> done);
  void append_when_created(TopicPartition where, EntryAppend entry, Done<EntryAppended> done);
  /// On the shard of the metadata.
  void create(std::string name, Done<std::shared_ptr<const Topic>> done);

  // Watches, entries_watch.cc.
  std::unique_ptr<EntryWatch> watch(TopicPartition where, EntryId after, bool or_gone, UniqueFunction<void(EntryNews)> news);
  void attach(const std::shared_ptr<Watch>& watch);
  void detach(const std::shared_ptr<Watch>& watch);
  void end(const std::shared_ptr<Watch>& watch);
  /// The table of this shard is a new one.
  void topics_changed(std::size_t shard);

  // Copies, entries_copy.cc.
  void copy(std::string from, std::string to, bool replace, Done<void> done);
  void copy_on(std::shared_ptr<CopyJob> job);
  void finish_copy(std::shared_ptr<CopyJob> job, Status status);
  /// What a crash left of copies that were under way. On the shard of the metadata.
  void remove_unfinished_copies();

  Broker::Impl& broker;
  std::vector<ShardEntries> shards;
};

template <class T>
void EntriesImpl::on_entries(const TopicPartition& where, bool changes, Done<T> done,
                             UniqueFunction<void(PartitionEntries&, Done<T>)> call) {
  if (changes && broker.stopping) return done(Error{Errc::shutting_down, "the broker is stopping"});
  if (find_topic(where.topic) == nullptr) return done(broker.unknown_topic(where.topic));
  broker.on_partition<T>(where, std::move(done), [call = std::move(call)](Partition& partition, Done<T> answer) mutable {
    call(partition.entries(), std::move(answer));
  });
}

template <class T>
void EntriesImpl::on_metadata(Done<T> done, UniqueFunction<void(Done<T>)> call) {
  broker.on_shard(0, [this, caller = broker.current_shard(), done = std::move(done), call = std::move(call)]() mutable {
    Done<T> answer = [this, caller, done = std::move(done)](Result<T> result) mutable {
      broker.on_shard(caller, [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
    };
    if (broker.stopping) return answer(Error{Errc::shutting_down, "the broker is stopping"});
    call(broker.tracked(std::move(answer)));
  });
}

}  // namespace tidemark::broker
