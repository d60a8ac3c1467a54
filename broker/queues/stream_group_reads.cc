#include <algorithm>
#include <map>
#include <utility>

#include "broker/entries/entries.h"
#include "broker/entries/entry_chunk.h"
#include "broker/entries/entry_ids.h"
#include "broker/queues/stream_groups_impl.h"
#include "broker/steps.h"

/// Reading for a group, and waiting for something to read.
namespace tidemark::broker {
namespace {

constexpr std::size_t kReadBytes = 1024 * 1024;

/// Everybody gets the next entries from the position, whatever else there is: then ids say it all.
bool is_plain(const QueuePartition& queue, const QueueWindow& window) {
  const QueueSettings& settings = window.settings();
  const std::shared_ptr<const Topic> topic = queue.topic();
  return !settings.redelivers && !settings.looks_ahead() && !settings.parsed_filter && settings.max_pending == 0 &&
         settings.max_pending_member == 0 && !queue.paused() && !queue.priorities() && topic && !topic->effective.record_ttl &&
         window.counts().waiting == 0;
}

/// Hands out what comes behind the position, page by page; in between others may be served.
class NewRead : public std::enable_shared_from_this<NewRead> {
 public:
  NewRead(QueuePartitionPtr queue, StreamRead asked, Done<StreamEntries> done)
      : queue_(std::move(queue)), asked_(std::move(asked)), left_(asked_.count), done_(std::move(done)) {}

  void run() {
    steps_.run([this] {
      if (over_) {
        finish();
        return false;
      }
      stream_position_of(queue_, [self = shared_from_this()](Result<StreamPosition> position) { self->found(std::move(position)); });
      return true;
    });
  }

 private:
  void step_ended() {
    if (steps_.ended()) run();
  }
  void stop(std::optional<Error> error) {
    over_ = true;
    failed_ = std::move(error);
    step_ended();
  }

  void found(Result<StreamPosition> position) {
    if (!position) return stop(std::move(position).error());
    position_ = *position;
    const std::shared_ptr<Partition> log = queue_->partition();
    if (!log || queue_->closed()) return stop(Error{Errc::unknown_group, "the group was removed"});
    end_ = log->last_stable();
    const std::optional<EntryId> first = id_after(position_.last_id);
    if (position_.cursor >= end_ || !first) return stop(std::nullopt);
    EntryRange range;
    range.first = *first;
    range.count_max = left_;
    range.bytes_max = kReadBytes;
    log->entries().read(range, [self = shared_from_this()](Result<EntryBatch> page) {
      if (!page) return self->stop(std::move(page).error());
      self->count(*std::move(page));
    });
  }

  /// Whether the number of entries read can just be counted on, or has to be looked up.
  void count(EntryBatch page) {
    const std::shared_ptr<Partition> log = queue_->partition();
    if (!log) return stop(Error{Errc::unknown_topic, "the topic was deleted"});
    const bool counts_on = page.entries.empty() || (position_.entries_read && log->entries().stats().max_deleted < page.entries.front().id);
    if (counts_on) return take(std::move(page), nullptr);
    stream_counters_of(queue_, [self = shared_from_this(), page = std::move(page)](Result<StreamCounters> counters) mutable {
      if (!counters) return self->stop(std::move(counters).error());
      self->take(std::move(page), &*counters);
    });
  }

  bool moved_meanwhile() const {
    const std::optional<StreamPosition> now = queue_->window().stream_position();
    return queue_->window().cursor() != position_.cursor || (now && *now != position_);
  }

  void take(EntryBatch page, const StreamCounters* counters) {
    if (auto refused = queue_->refusal()) return stop(std::move(refused));
    if (moved_meanwhile()) return step_ended();  // Somebody else was served: from there on again.
    QueueWindow& window = queue_->window();
    const Timestamp now = queue_->now();
    for (const Entry& entry : page.entries) {
      if (position_.entries_read && (counters == nullptr || !counters->tombstones_from(entry.id)))
        ++*position_.entries_read;
      else if (counters != nullptr && counters->stats.entries_added > 0)
        position_.entries_read = counters->distance_to(entry.id);
      position_.last_id = entry.id;
      position_.cursor = entry.offset + 1;
      for (const EntryField& field : entry.fields) bytes_ += field.name.size() + field.value.size();
    }
    hand_out(window, page.entries, now);
    taken_ += page.entries.size();
    left_ -= std::min(left_, page.entries.size());
    const bool to_the_end = !page.more && left_ > 0;
    if (to_the_end) position_.cursor = std::max(position_.cursor, end_);
    window.set_stream_position(position_);
    if (!page.entries.empty()) entries_.parts.push_back(std::move(page));
    over_ = to_the_end || left_ == 0 || bytes_ >= kStreamReplyBytesMax || taken_ >= kStreamRowsMax;
    step_ended();
  }

  void hand_out(QueueWindow& window, std::span<const Entry> entries, Timestamp now) {
    const bool with_ids = queue_->notes_ids();
    for (std::size_t i = 0; i < entries.size();) {
      std::size_t end = i + 1;
      const std::optional<PendingEntry> known = asked_.no_ack ? window.entry(entries[i].offset) : std::nullopt;
      while (!asked_.no_ack && end < entries.size() && entries[end].offset == entries[end - 1].offset + 1) ++end;
      const OffsetRun run{entries[i].offset, static_cast<std::int64_t>(end - i)};
      std::vector<EntryId> ids;
      for (std::size_t n = i; n < end && with_ids; ++n) ids.push_back(entries[n].id);
      // Without an ack, what somebody has from before stays his.
      if (!known || known->state != EntryState::acquired) window.take_new(asked_.member.name, run, ids, now);
      if (asked_.no_ack && !known) {
        const Settled settled = window.ack(run.first, std::nullopt, 0, now);
        CHECK(settled == Settled::ok);  // Taken a moment ago.
      }
      i = end;
    }
  }

  void finish() {
    if (failed_ && entries_.parts.empty()) return done_(*failed_);
    const bool make = asked_.member.always_made || !entries_.parts.empty();
    auto touch = [member = asked_.member.name, make, entries = std::move(entries_)](QueueWindow& window, Timestamp now) mutable {
      if (make || window.member(member)) window.touch(member, now);
      return std::move(entries);
    };
    queue_->change<StreamEntries>(std::move(touch), std::move(done_));
  }

  const QueuePartitionPtr queue_;
  const StreamRead asked_;
  std::size_t left_;
  Done<StreamEntries> done_;
  StreamPosition position_;
  Offset end_;
  StreamEntries entries_;
  std::size_t bytes_ = 0, taken_ = 0;
  std::optional<Error> failed_;
  bool over_ = false;
  Steps steps_;
};

/// What the engine handed out, as entries, in its order.
Result<StreamEntries> to_entries(const ReceivedPartition& received, EntryIdMode mode) {
  struct Kept {
    std::vector<std::shared_ptr<const void>> batches;
    std::map<Offset, std::vector<EntryField>> fields;
  };
  auto kept = std::make_shared<Kept>();
  std::map<Offset, EntryId> ids;
  for (const Slice& batch : received.batches) {
    EntryWalk walk(batch, mode);
    EntryWalk::Step step;
    for (;;) {
      const Result<bool> more = walk.next(step);
      if (!more) return more.error();
      if (!*more) break;
      const Offset offset = step.record.offset;
      const bool wanted = std::ranges::any_of(received.runs, [offset](const TakenRun& run) {
        return offset >= run.offsets.first && offset < run.offsets.first + run.offsets.count;
      });
      if (!wanted) continue;
      append_fields(step.record, kept->fields[offset]);
      ids[offset] = step.id;
    }
    kept->batches.push_back(walk.keep());
  }
  EntryBatch part;
  for (const TakenRun& run : received.runs) {
    for (std::int64_t i = 0; i < run.offsets.count; ++i) {
      const Offset offset = run.offsets.first + i;
      const auto fields = kept->fields.find(offset);
      if (fields != kept->fields.end()) part.entries.push_back({ids.at(offset), offset, fields->second});
    }
  }
  part.owner = kept;
  StreamEntries entries;
  if (!part.entries.empty()) entries.parts.push_back(std::move(part));
  return entries;
}

/// The engine chooses.
void take_chosen(const QueuePartitionPtr& queue, const StreamRead& asked, Done<StreamEntries> done) {
  const std::shared_ptr<const Topic> topic = queue->topic();
  if (!topic) return done(Error{Errc::unknown_topic, "the topic was deleted"});
  const QueueWindow& window = queue->window();
  QueuePartition::Take take{.member = asked.member.name,
                            .records_max = std::min(asked.count, kReceiveRecordsMax),
                            .bytes_max = kReadBytes,
                            .new_only = !window.settings().redelivers && window.counts().waiting == 0,
                            .settled = asked.no_ack,
                            .durable = true};
  queue->take(std::move(take), [mode = topic->effective.entry_id, done = std::move(done)](Result<ReceivedPartition> received) mutable {
    if (!received) return done(std::move(received).error());
    done(to_entries(*received, mode));
  });
}

/// One offer to all the streams; whichever has something first ends the wait.
class Waiting final : public StreamGroupWait {
 public:
  struct State {
    UniqueFunction<void()> news;
    void tell() {
      if (!news) return;
      UniqueFunction<void()> call = std::move(news);
      news = nullptr;
      call();
    }
  };

  Waiting(QueuesImpl& impl, std::string member, bool claims, UniqueFunction<void()> news) : state_(std::make_shared<State>()) {
    state_->news = std::move(news);
    Shard& home = impl.broker.shards[impl.broker.current_shard()]->shard;
    auto tell = [&home, weak = std::weak_ptr(state_)](std::int32_t) {
      home.post([weak] {
        if (const std::shared_ptr<State> state = weak.lock()) state->tell();
      });
    };
    offer_ = std::make_shared<ReceiveOffer>(std::move(member), false, std::move(tell), claims);
  }
  ~Waiting() override {
    state_->news = nullptr;
    offer_->withdraw();
  }

  const std::shared_ptr<ReceiveOffer>& offer() const { return offer_; }
  std::weak_ptr<State> state() const { return state_; }
  void keep(std::unique_ptr<EntryWatch> watch) { watches_.push_back(std::move(watch)); }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<ReceiveOffer> offer_;
  std::vector<std::unique_ptr<EntryWatch>> watches_;
};

}  // namespace

void StreamGroups::read_new(const RequestContext&, StreamGroupName name, StreamRead read, Done<StreamEntries> done) {
  const auto start = [read = std::move(read)](const QueuePartitionPtr& queue, Done<StreamEntries> answer) {
    if (auto refused = queue->refusal()) return answer(*std::move(refused));
    if (auto refused = member_refusal(queue->window(), read.member.name)) return answer(*std::move(refused));
    queue->housekeeping();
    if (!is_plain(*queue, queue->window())) return take_chosen(queue, read, std::move(answer));
    std::make_shared<NewRead>(queue, read, std::move(answer))->run();
  };
  on_stream_group<StreamEntries>(*impl_, name, std::move(done), start);
}

void StreamGroups::read_history(const RequestContext&, StreamGroupName name, StreamMember member, EntryId after, std::size_t count,
                                Done<StreamHistory> done) {
  const auto gather = [member = std::move(member), count](const QueuePartitionPtr& queue, Offset from, Done<StreamHistory> answer) {
    std::vector<HeldEntry> held;
    const std::size_t most = std::min(count, kStreamRowsMax);
    visit_pending(queue->window(), from, member.name, [&](const PendingEntry& entry) {
      held.push_back(held_entry(*queue, entry));
      return held.size() < most;
    });
    name_all(queue, std::move(held), [queue, member, answer = std::move(answer)](Result<std::vector<HeldEntry>> named) mutable {
      if (!named) return answer(std::move(named).error());
      const std::shared_ptr<Partition> log = queue->partition();
      if (!log) return answer(Error{Errc::unknown_topic, "the topic was deleted"});
      for (HeldEntry& one : *named) one.there = is_there(*log, log->entries().deleted(), one.offset);
      fetch_entries(queue, *std::move(named),
                    [queue, member, answer = std::move(answer)](Result<std::pair<std::vector<HeldEntry>, StreamHistory>> fetched) mutable {
                      if (!fetched) return answer(std::move(fetched).error());
                      auto show = [member, fetched = *std::move(fetched)](QueueWindow& window, Timestamp now) mutable {
                        window.touch(member.name, now);
                        for (const HeldEntry& one : fetched.first) {
                          if (one.there) window.show_again(one.offset, member.name, now);
                        }
                        return std::move(fetched.second);
                      };
                      queue->change<StreamHistory>(std::move(show), std::move(answer));
                    });
    });
  };
  const auto start = [gather, after](const QueuePartitionPtr& queue, Done<StreamHistory> answer) {
    const std::optional<EntryId> first = id_after(after);
    if (!first) return gather(queue, Offset{std::numeric_limits<std::int64_t>::max()}, std::move(answer));
    first_from(queue, *first, [gather, queue, answer = std::move(answer)](Result<Offset> from) mutable {
      if (!from) return answer(std::move(from).error());
      gather(queue, *from, std::move(answer));
    });
  };
  on_stream_group<StreamHistory>(*impl_, name, std::move(done), start);
}

std::unique_ptr<StreamGroupWait> StreamGroups::wait(const RequestContext& context, std::vector<StreamGroupName> names, std::string member,
                                                    std::vector<std::uint64_t> given_back, UniqueFunction<void()> news) {
  CHECK(given_back.empty() || given_back.size() == names.size());
  auto waiting = std::make_unique<Waiting>(*impl_, std::move(member), !given_back.empty(), std::move(news));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const StreamGroupName& name = names[i];
    const std::optional<std::uint64_t> known = given_back.empty() ? std::nullopt : std::optional(given_back[i]);
    // That a stream is renamed or replaced, its groups do not hear of.
    waiting->keep(impl_->broker.entries->watch(context, name.where, EntryId::max(), true, [weak = waiting->state()](EntryNews) {
      if (const auto state = weak.lock()) state->tell();
    }));
    on_stream_group<bool>(
        *impl_, name,
        [offer = waiting->offer()](const Result<bool>& registered) {
          if (!registered) offer->offer(0);  // It has gone: look again, and say so.
        },
        [offer = waiting->offer(), known](const QueuePartitionPtr& queue, Done<bool> answer) {
          if (known && *known != queue->given_back())
            offer->offer(0);  // Since the caller looked.
          else
            queue->wait(offer);
          answer(true);
        });
  }
  return waiting;
}

}  // namespace tidemark::broker
