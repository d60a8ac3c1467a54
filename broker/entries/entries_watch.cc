#include "broker/entries/entries_impl.h"

/// Watches hang on the partition that has the name now; when topics come and go they are moved.
namespace tidemark::broker {

/// Lives on the shard that began it, but for what the partition calls.
class EntriesImpl::Watch final : public EntryListener, public std::enable_shared_from_this<Watch> {
 public:
  Watch(EntriesImpl& owner_in, std::size_t home_in, TopicPartition where_in, EntryId after_in, bool or_gone_in,
        UniqueFunction<void(EntryNews)> news_in)
      : owner(owner_in), home(home_in), where(std::move(where_in)), after(after_in), or_gone(or_gone_in), news(std::move(news_in)) {}

  void entry_is_there() override {
    owner.broker.on_shard(home, [self = shared_from_this()] { self->tell(EntryNews::entries); });
  }
  void tell(EntryNews what) {
    if (!news) return;
    UniqueFunction<void(EntryNews)> call = std::move(news);
    owner.end(shared_from_this());
    call(what);
  }

  EntriesImpl& owner;
  const std::size_t home;
  const TopicPartition where;
  const EntryId after;
  const bool or_gone;
  UniqueFunction<void(EntryNews)> news;
  std::optional<PartitionKey> attached;
};

namespace {

template <class Watch>
class Handle final : public EntryWatch {
 public:
  Handle(EntriesImpl& owner, std::shared_ptr<Watch> watch) : owner_(owner), watch_(std::move(watch)) {}
  ~Handle() override {
    watch_->news = nullptr;
    owner_.end(watch_);
  }

 private:
  EntriesImpl& owner_;
  const std::shared_ptr<Watch> watch_;
};

}  // namespace

std::unique_ptr<EntryWatch> EntriesImpl::watch(TopicPartition where, EntryId after, bool or_gone, UniqueFunction<void(EntryNews)> news) {
  auto watch = std::make_shared<Watch>(*this, broker.current_shard(), std::move(where), after, or_gone, std::move(news));
  here().watches.push_back(watch);
  attach(watch);
  if (or_gone && !watch->attached) {
    broker.on_shard(watch->home, [watch] { watch->tell(EntryNews::gone); });
  }
  return std::make_unique<Handle<Watch>>(*this, std::move(watch));
}

void EntriesImpl::attach(const std::shared_ptr<Watch>& watch) {
  const Result<PartitionKey> key = broker.resolve(watch->where);
  if (!key || find_topic(watch->where.topic) == nullptr) return;
  watch->attached = *key;
  const std::size_t shard = broker.home_of(*key);
  broker.on_shard(shard, [this, shard, key = *key, watch] {
    const auto found = broker.shards[shard]->partitions.find(key);
    // Not there: it is being deleted, and the watch will be told of that.
    if (found != broker.shards[shard]->partitions.end()) found->second->entries().listen(watch->after, watch);
  });
}

void EntriesImpl::detach(const std::shared_ptr<Watch>& watch) {
  if (!watch->attached) return;
  const PartitionKey key = *std::exchange(watch->attached, std::nullopt);
  const std::size_t shard = broker.home_of(key);
  broker.on_shard(shard, [this, shard, key, watch] {
    const auto found = broker.shards[shard]->partitions.find(key);
    if (found != broker.shards[shard]->partitions.end()) found->second->entries().stop_listening(watch);
  });
}

void EntriesImpl::end(const std::shared_ptr<Watch>& watch) {
  detach(watch);
  shards[watch->home].watches.remove(watch);
}

void EntriesImpl::topics_changed(std::size_t shard) {
  // Telling ends a watch, and who is told may begin another.
  const std::vector<std::shared_ptr<Watch>> watches(shards[shard].watches.begin(), shards[shard].watches.end());
  for (const std::shared_ptr<Watch>& watch : watches) {
    const Result<PartitionKey> key = broker.resolve(watch->where);
    if (key && watch->attached == *key) continue;
    const bool was_there = watch->attached.has_value();
    detach(watch);
    if (watch->or_gone && (was_there || !key))
      watch->tell(EntryNews::gone);
    else if (key)
      attach(watch);
  }
}

}  // namespace tidemark::broker
