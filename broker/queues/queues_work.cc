#include <algorithm>
#include <utility>

#include "broker/queues/queues_impl.h"
#include "storage/base/printable.h"

/// Receiving, settling, extending, claiming.
namespace tidemark::broker {
namespace {

Error settle_error(Settled settled, const std::string& topic, std::int32_t partition, Offset offset) {
  const std::string where = topic + ":" + std::to_string(partition) + ":" + std::to_string(offset.value);
  switch (settled) {
    case Settled::not_delivered:
      return {Errc::not_delivered, where + " was never handed out"};
    case Settled::already_settled:
      return {Errc::already_settled, where + " is finished already"};
    case Settled::not_owner:
      return {Errc::not_owner, where + " is another member's"};
    case Settled::lease_lost:
      return {Errc::lease_lost, where + " was taken back, and perhaps handed out again"};
    case Settled::ok:
      break;
  }
  return {Errc::internal, where};
}

/// One receive: asks the partitions in turn, and waits at all of them when none has anything. Lives on the shard that asked.
class ReceiveCall final : public PendingReads, public std::enable_shared_from_this<ReceiveCall> {
 public:
  ReceiveCall(QueuesImpl& impl, QueueId id, std::vector<std::int32_t> partitions, ReceiveRequest request, Done<ReceiveReply> done)
      : impl_(impl),
        shard_(impl.broker.current_shard()),
        id_(std::move(id)),
        partitions_(std::move(partitions)),
        request_(std::move(request)),
        done_(std::move(done)) {}

  void start() {
    impl_.begin_one(shard_);
    if (request_.wait.count() > 0) {
      timer_ = shard().run_after(request_.wait, [weak = weak_from_this()] {
        if (const auto call = weak.lock()) call->over();
      });
    }
    ask(0);
  }
  void cancel() override { over(); }

 private:
  Shard& shard() { return impl_.broker.shards[shard_]->shard; }

  /// No more waiting; what is being taken is answered.
  void over() {
    over_ = true;
    const std::shared_ptr<ReceiveOffer> offer = offer_.lock();
    if (offer && offer->withdraw()) finish({});
  }

  void ask(std::size_t index) {
    if (index == partitions_.size() || records_ >= request_.records_max || (records_ > 0 && bytes_ >= request_.bytes_max)) return asked();
    QueuePartition::Take take{.member = request_.member,
                              .records_max = request_.records_max - records_,
                              .bytes_max = request_.bytes_max > bytes_ ? request_.bytes_max - bytes_ : 1,
                              .new_only = request_.new_only,
                              .settled = request_.settled,
                              .durable = request_.durable};
    impl_.on_partition<ReceivedPartition>(
        id_, partitions_[index],
        [self = shared_from_this(), index](Result<ReceivedPartition> received) { self->took(index, std::move(received)); },
        [take = std::move(take)](QueuePartition& queue, Done<ReceivedPartition> answer) mutable {
          queue.take(std::move(take), std::move(answer));
        });
  }

  void took(std::size_t index, Result<ReceivedPartition> received) {
    if (!received) {
      // What others gave is not lost over it; the next receive hears of it.
      if (!error_) error_ = std::move(received).error();
    } else if (!received->runs.empty()) {
      for (const TakenRun& run : received->runs) records_ += static_cast<std::size_t>(run.offsets.count);
      for (const Slice& batch : received->batches) bytes_ += batch.size();
      reply_.lease = received->lease;
      reply_.partitions.push_back(*std::move(received));
    }
    ask(index + 1);
  }

  void asked() {
    if (!reply_.partitions.empty()) return finish({});
    if (error_) return finish(std::exchange(error_, std::nullopt));
    if (over_ || request_.wait.count() == 0 || impl_.broker.stopping) return finish({});
    const auto offer = std::make_shared<ReceiveOffer>(request_.member, request_.new_only,
                                                      [self = shared_from_this(), &impl = impl_, at = shard_](std::int32_t partition) {
                                                        impl.broker.on_shard(at, [self, partition] { self->offered(partition); });
                                                      });
    offer_ = offer;
    for (const std::int32_t partition : partitions_) {
      struct Registered {};
      impl_.on_partition<Registered>(
          id_, partition,
          [offer, partition](const Result<Registered>& registered) {
            if (!registered) offer->offer(partition);  // It is gone: look again, and say so.
          },
          [offer](QueuePartition& queue, Done<Registered> answer) {
            queue.wait(offer);
            answer(Registered{});
          });
    }
  }

  void offered(std::int32_t partition) {
    offer_.reset();
    if (finished_) return;
    // The partition that offers is asked first.
    const auto first = std::ranges::find(partitions_, partition);
    if (first != partitions_.end()) std::rotate(partitions_.begin(), first, partitions_.end());
    ask(0);
  }

  void finish(std::optional<Error> error) {
    if (std::exchange(finished_, true)) return;
    if (timer_) shard().cancel(*std::exchange(timer_, std::nullopt));
    std::ranges::sort(reply_.partitions, {}, &ReceivedPartition::partition);
    Done<ReceiveReply> done = std::move(done_);
    if (error)
      done(*std::move(error));
    else
      done(std::move(reply_));
    impl_.end_one(shard_);
  }

  QueuesImpl& impl_;
  const std::size_t shard_;
  const QueueId id_;
  std::vector<std::int32_t> partitions_;
  const ReceiveRequest request_;
  Done<ReceiveReply> done_;
  ReceiveReply reply_;
  std::optional<Error> error_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
  bool over_ = false;
  bool finished_ = false;
  std::optional<TimerId> timer_;
  std::weak_ptr<ReceiveOffer> offer_;  ///< Those who may offer own it, and it owns this call.
};

/// Nothing to wait for.
class NothingPending final : public PendingReads {
 public:
  void cancel() override {}
};

}  // namespace

std::shared_ptr<PendingReads> Queues::receive(const RequestContext&, ReceiveRequest request, Done<ReceiveReply> done) {
  QueuesImpl& impl = *impl_;
  const auto refuse = [&](Error error) {
    done(std::move(error));
    return std::make_shared<NothingPending>();
  };
  if (impl.broker.stopping) return refuse({Errc::shutting_down, "the broker is stopping"});
  if (request.records_max == 0 || request.records_max > kReceiveRecordsMax) {
    return refuse({Errc::invalid_argument, "a receive asks for 1 to " + std::to_string(kReceiveRecordsMax) + " records, not " +
                                               std::to_string(request.records_max)});
  }
  if (request.member.size() > kGroupNameBytesMax) {
    return refuse({Errc::invalid_argument, "a member name has at most " + std::to_string(kGroupNameBytesMax) + " bytes"});
  }
  Result<QueueId> id = impl.identify(request.name);
  if (!id) return refuse(std::move(id).error());
  const std::int32_t count = impl.broker.access.topics().find(request.name.topic)->partitions;
  std::vector<std::int32_t> partitions;
  if (request.partition) {
    if (*request.partition < 0 || *request.partition >= count) {
      return refuse({Errc::unknown_partition, "topic '" + request.name.topic + "' has partitions 0.." + std::to_string(count - 1)});
    }
    partitions.push_back(*request.partition);
  } else {
    // Each call begins elsewhere, so that no partition starves; those of one shard come together.
    const auto start = static_cast<std::int32_t>(impl.broker.runtime.random() % static_cast<std::uint64_t>(count));
    for (std::int32_t p = 0; p < count; ++p) partitions.push_back((start + p) % count);
    const std::size_t first = impl.broker.home_of({id->topic, partitions.front()});
    std::ranges::partition(partitions, [&](std::int32_t p) { return impl.broker.home_of({id->topic, p}) == first; });
  }
  auto call = std::make_shared<ReceiveCall>(impl, *std::move(id), std::move(partitions), std::move(request), std::move(done));
  call->start();
  return call;
}

namespace {

/// Applies `make` to every offset of the settlements of one partition; failures are listed.
template <class Make>
SettleReply settle_each(QueueWindow& window, const std::string& topic, const std::vector<Settlement>& settlements, Timestamp now,
                        const Make& make) {
  SettleReply reply;
  for (const Settlement& settlement : settlements) {
    for (std::int64_t i = 0; i < settlement.offsets.count; ++i) {
      const Offset offset = settlement.offsets.first + i;
      const Settled settled = make(window, settlement, offset, now);
      if (settled == Settled::ok)
        ++reply.settled;
      else
        reply.failures.push_back({settlement.partition, offset, settle_error(settled, topic, settlement.partition, offset)});
    }
  }
  return reply;
}

Status judge(const std::vector<Settlement>& settlements) {
  std::uint64_t offsets = 0;
  for (const Settlement& settlement : settlements) {
    if (settlement.offsets.count < 1 || settlement.offsets.first < Offset{}) {
      return Error{Errc::invalid_argument, "a settlement names offsets from 0 on and at least one of them"};
    }
    offsets += static_cast<std::uint64_t>(settlement.offsets.count);
    if (offsets > kSettlementsMax) {
      return Error{Errc::invalid_argument, "at most " + std::to_string(kSettlementsMax) + " records are settled at once"};
    }
    if (settlement.delay && (settlement.delay->count() < 0 || *settlement.delay > kRetryDelayMax)) {
      return Error{Errc::invalid_argument, "delay = " + std::to_string(settlement.delay->count()) + " ms: must lie in 0.." +
                                               std::to_string(std::chrono::milliseconds(kRetryDelayMax).count()) + " ms (30 days)"};
    }
  }
  return {};
}

/// Hands each partition its settlements and puts the answers together.
void settle_all(QueuesImpl& impl, const QueueName& name, std::vector<Settlement> settlements,
                const std::function<SettleReply(QueueWindow&, const std::vector<Settlement>&, Timestamp)>& make, Done<SettleReply> done) {
  if (impl.broker.stopping) return done(Error{Errc::shutting_down, "the broker is stopping"});
  if (Status valid = judge(settlements); !valid) return done(std::move(valid).error());
  Result<QueueId> id = impl.identify(name);
  if (!id) return done(std::move(id).error());
  const std::int32_t partitions = impl.broker.access.topics().find(name.topic)->partitions;
  std::map<std::int32_t, std::vector<Settlement>> by_partition;
  struct Gather {
    SettleReply reply;
    std::optional<Error> error;
  };
  auto gather = std::make_shared<Gather>();
  for (Settlement& settlement : settlements) {
    if (settlement.partition >= 0 && settlement.partition < partitions) {
      by_partition[settlement.partition].push_back(std::move(settlement));
      continue;
    }
    gather->reply.failures.push_back(
        {settlement.partition, settlement.offsets.first,
         Error{Errc::unknown_partition, "topic '" + name.topic + "' has partitions 0.." + std::to_string(partitions - 1) + ", not " +
                                            std::to_string(settlement.partition)}});
  }
  auto waiting = std::make_shared<Countdown>();
  waiting->done = [gather, done = std::move(done)]() mutable {
    if (gather->error) return done(std::move(*gather->error));
    done(std::move(gather->reply));
  };
  for (auto& [partition, list] : by_partition) {
    ++waiting->left;
    impl.on_partition<SettleReply>(
        *id, partition,
        [gather, waiting](Result<SettleReply> settled) {
          if (!settled) {
            gather->error = std::move(settled).error();
          } else {
            gather->reply.settled += settled->settled;
            std::ranges::move(settled->failures, std::back_inserter(gather->reply.failures));
          }
          waiting->one_less();
        },
        [make, some = std::move(list)](QueuePartition& queue, Done<SettleReply> answer) mutable {
          queue.change<SettleReply>([make, some = std::move(some)](QueueWindow& window, Timestamp now) { return make(window, some, now); },
                                    std::move(answer));
        });
  }
  waiting->one_less();
}

}  // namespace

void Queues::settle(const RequestContext&, QueueName name, std::optional<std::string> member, std::vector<Settlement> settlements,
                    Done<SettleReply> done) {
  const auto one = [member](QueueWindow& window, const Settlement& settlement, Offset offset, Timestamp now) {
    std::optional<std::string_view> by;
    if (member && window.settings().fence_late_acks) by = *member;
    const std::string_view reason = std::string_view(settlement.reason).substr(0, QueueWindow::kReasonBytesMax);
    switch (settlement.kind) {
      case Settlement::Kind::ack:
        return window.ack(offset, by, settlement.deliveries, now);
      case Settlement::Kind::retry:
        return window.fail(offset, by, settlement.deliveries, settlement.delay, reason, now);
      case Settlement::Kind::release:
        return window.release(offset, by, settlement.deliveries, false, now);
      case Settlement::Kind::reject:
        return window.reject(offset, by, settlement.deliveries, reason.empty() ? std::string_view("rejected") : reason, now);
    }
    return Settled::not_delivered;
  };
  settle_all(
      *impl_, name, std::move(settlements),
      [one, member, topic = name.topic](QueueWindow& window, const std::vector<Settlement>& some, Timestamp now) {
        if (member && window.member(*member)) window.touch(*member, now);
        return settle_each(window, topic, some, now, one);
      },
      std::move(done));
}

void Queues::extend(const RequestContext&, QueueName name, std::string member, std::vector<Settlement> entries, Done<SettleReply> done) {
  QueuesImpl& impl = *impl_;
  for (const Settlement& entry : entries) {
    if (entry.delay && (entry.delay->count() <= 0 || *entry.delay > kLeaseMax)) {
      return done(Error{Errc::invalid_argument, "lease = " + std::to_string(entry.delay->count()) + " ms: must lie in 1 ms..12 h"});
    }
  }
  if (!entries.empty()) {
    const auto one = [member](QueueWindow& window, const Settlement& entry, Offset offset, Timestamp now) {
      return window.extend_lease(offset, member, entry.deliveries, entry.delay, now);
    };
    return settle_all(
        impl, name, std::move(entries),
        [one, topic = name.topic](QueueWindow& window, const std::vector<Settlement>& some, Timestamp now) {
          return settle_each(window, topic, some, now, one);
        },
        std::move(done));
  }
  Result<QueueId> id = impl.identify(name);
  if (!id) return done(std::move(id).error());
  impl.on_all_partitions<std::uint64_t>(
      *id,
      [done = std::move(done)](Result<std::vector<std::uint64_t>> extended) mutable {
        if (!extended) return done(std::move(extended).error());
        SettleReply reply;
        for (const std::uint64_t count : *extended) reply.settled += count;
        done(std::move(reply));
      },
      [member](QueuePartition& queue, Done<std::uint64_t> answer) {
        queue.change<std::uint64_t>(
            [member](QueueWindow& window, Timestamp now) {
              const std::optional<QueueMemberInfo> info = window.member(member);
              if (!info) return std::uint64_t{0};
              window.extend_all(member, now);
              return info->in_flight;
            },
            std::move(answer));
      });
}

void Queues::claim(const RequestContext&, ClaimRequest request, Done<ClaimReply> done) {
  QueuesImpl& impl = *impl_;
  if (request.entries.size() > kSettlementsMax) {
    return done(Error{Errc::invalid_argument, "at most " + std::to_string(kSettlementsMax) + " records are claimed at once"});
  }
  Result<QueueId> id = impl.identify(request.name);
  if (!id) return done(std::move(id).error());
  const std::int32_t partition = request.partition;
  impl.on_partition<ClaimReply>(
      *id, partition, std::move(done), [request = std::move(request)](QueuePartition& queue, Done<ClaimReply> answer) mutable {
        struct Claimed {
          std::vector<Offset> offsets;
          std::vector<TakenRun> runs;
        };
        queue.change<Claimed>(
            [member = request.member, entries = request.entries](QueueWindow& window, Timestamp now) {
              Claimed claimed;
              window.touch(member, now);
              for (const EntryClaim& entry : entries) {
                if (!window.claim(member, entry, now)) continue;
                const std::optional<PendingEntry> now_there = window.entry(entry.offset);
                claimed.offsets.push_back(entry.offset);
                claimed.runs.push_back({{entry.offset, 1}, now_there ? now_there->deliveries : 1, now_there ? now_there->failures : 0});
              }
              return claimed;
            },
            [keep = queue.shared_from_this(), with_records = request.with_records, drop_gone = request.drop_gone,
             answer = std::move(answer)](Result<Claimed> claimed) mutable {
              if (!claimed) return answer(std::move(claimed).error());
              if (!with_records || claimed->offsets.empty())
                return answer(ClaimReply{.claimed = std::move(claimed->runs), .gone = {}, .batches = {}});
              std::vector<Offset> sorted = claimed->offsets;
              std::ranges::sort(sorted);
              keep->read_records(std::move(sorted), std::numeric_limits<std::size_t>::max(),
                                 [keep, runs = std::move(claimed->runs), drop_gone,
                                  answer = std::move(answer)](Result<QueuePartition::Records> records) mutable {
                                   if (!records) return answer(std::move(records).error());
                                   ClaimReply reply{.claimed = {}, .gone = records->gone, .batches = std::move(records->batches)};
                                   for (const TakenRun& run : runs) {
                                     if (std::ranges::find(reply.gone, run.offsets.first) == reply.gone.end()) reply.claimed.push_back(run);
                                   }
                                   if (!drop_gone || reply.gone.empty()) return answer(std::move(reply));
                                   for (const Offset offset : reply.gone) keep->window().gone(offset);
                                   keep->answer<ClaimReply>(std::move(reply), std::move(answer));
                                   keep->changed();
                                 });
            });
      });
}

}  // namespace tidemark::broker
