// How a StreamConsumer commits: one commit at a time, so that none overtakes another. On the strand, but for the first two.

#include <algorithm>
#include <utility>

#include "client/src/stream_consumer_core.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

constexpr std::size_t kEntriesPerRequest = 1000;  ///< Names have up to 249 bytes, and a request 1 MiB.
constexpr int kStaleAnswersMax = 5;               ///< For one commit, although heartbeats are taken.

Error only_in_transactions() {
  return {Errc::conflict, "a transactional consumer commits nothing by itself: TransactionalProducer::commit_offsets() does"};
}

bool membership_in_doubt(Errc code) {
  return code == Errc::unknown_member || code == Errc::stale_member_epoch || code == Errc::unknown_group;
}

}  // namespace

void StreamConsumerCore::commit(Done<void> done) {
  {
    std::unique_lock lock(mutex_);
    if (closing_ || options_.transactional) {
      const Error refused = closing_ ? closed_error() : only_in_transactions();
      lock.unlock();
      return done(refused);
    }
    commit_waiters_.push_back(std::move(done));
  }
  on_strand([](StreamConsumerCore& self) { self.pump_commit(); });
}

void StreamConsumerCore::commit(const TopicPartition& where, Offset next, Done<void> done) {
  if (options_.transactional) return done(only_in_transactions());
  {
    std::unique_lock lock(mutex_);
    const auto found = held_.find(where);
    if (closing_ || found == held_.end() || found->second.state == State::locating) {
      const Error refused = closing_ ? closed_error() : Error{Errc::not_owner, to_string(where) + " is not assigned to this consumer"};
      lock.unlock();
      return done(refused);
    }
    found->second.explicit_commit = next;
    commit_waiters_.push_back(std::move(done));
  }
  on_strand([](StreamConsumerCore& self) { self.pump_commit(); });
}

/// Begins the next commit, unless one is under way: then it follows.
void StreamConsumerCore::pump_commit() {
  if (commit_) return;
  Commit next;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    next.waiters.swap(commit_waiters_);
    for (auto& [where, held] : held_) {
      const std::optional<Offset> at = held.feed ? feeds_->position(*held.feed) : std::nullopt;
      if (at) held.tracker.skip_to(*at);
      if (options_.transactional) continue;
      const Offset floor = held.tracker.floor();
      if (!held.explicit_commit && (held.state == State::locating || floor == held.offered)) continue;
      next.entries.push_back({.name = {where, held.incarnation},
                              .offset = held.explicit_commit.value_or(floor),
                              .floor = floor,
                              .is_explicit = held.explicit_commit.has_value()});
    }
  }
  if (next.entries.empty()) {
    for (Done<void>& waiter : next.waiters) waiter({});
    return;
  }
  next.serial = next_commit_++;
  next.deadline = client_->connection()->default_deadline();
  commit_ = std::move(next);
  send_commit();
}

void StreamConsumerCore::send_commit() {
  Commit& commit = *commit_;
  commit.parked = false;
  commit.epoch = member_->epoch();
  commit.in_flight = std::min(kEntriesPerRequest, commit.entries.size() - commit.answered);
  wire::CommitOffsets request;
  request.set_group(options_.group);
  request.set_member(member_->id());
  request.set_epoch(commit.epoch);
  for (std::size_t i = 0; i < commit.in_flight; ++i) {
    const CommitEntry& what = commit.entries[commit.answered + i];
    wire::CommitOffsets::Entry& entry = *request.add_entries();
    entry.set_topic(what.name.where.topic);
    entry.set_partition(what.name.where.partition);
    entry.set_offset(what.offset.value);
    entry.set_leader_epoch(-1);
  }
  // The same offsets again do no harm: nobody else commits for a partition that is ours, and we do so one commit after another.
  call<wire::CommitOffsetsReply>(
      *client_->connection(), native::FrameType::commit_offsets, request, OnLoss::repeat,
      [weak = weak_from_this(), strand = client_->connection()->strand(), serial = commit.serial](Result<wire::CommitOffsetsReply> reply) {
        asio::post(strand, [weak, serial, reply = std::move(reply)] {
          if (const auto self = weak.lock()) self->on_commit_reply(serial, reply);
        });
      });
}

void StreamConsumerCore::on_commit_reply(std::uint64_t serial, const Result<wire::CommitOffsetsReply>& reply) {
  if (!commit_ || commit_->serial != serial) return;
  Commit& commit = *commit_;
  if (!reply && membership_in_doubt(reply.error().code) && ++commit.stale_answers <= kStaleAnswersMax) {
    // The epoch may have been raised while the commit was on its way; or we are a member no more, and a heartbeat will tell.
    if (commit.epoch != member_->epoch()) return send_commit();
    commit.parked = true;
    return member_->come();
  }
  if (!reply) return finish_commit(reply.error());
  if (static_cast<std::size_t>(reply->entries_size()) != commit.in_flight) {
    return finish_commit(Error{Errc::protocol_error, "a commit was answered for another number of partitions"});
  }
  for (std::size_t i = 0; i < commit.in_flight; ++i) {
    const wire::CommitOffsetsReply::Entry& answer = reply->entries(static_cast<int>(i));
    const Status answered = answer.has_error() ? Status(error_from_wire(answer.error())) : Status();
    const Status settled = settle_commit_entry(commit.entries[commit.answered + i], answered);
    if (!settled && commit.outcome) commit.outcome = settled;
  }
  commit.answered += commit.in_flight;
  if (commit.answered < commit.entries.size()) return send_commit();
  finish_commit(commit.outcome);
}

Status StreamConsumerCore::settle_commit_entry(const CommitEntry& entry, const Status& answer) {
  const std::lock_guard lock(mutex_);
  HeldMap::value_type* const found = find(entry.name);
  if (found != nullptr && entry.is_explicit && found->second.explicit_commit == entry.offset) found->second.explicit_commit.reset();
  if (answer) {
    // Sought meanwhile: then the commit of the new place is still to come.
    if (found == nullptr || entry.floor > found->second.tracker.floor()) return {};
    Held& held = found->second;
    held.offered = std::max(entry.floor, entry.offset);
    if (entry.is_explicit) held.tracker.finish_below(entry.offset);
    return {};
  }
  // A topic that is gone has no position to keep.
  if (answer.error().code == Errc::unknown_topic && !entry.is_explicit) return {};
  Error error = answer.error();
  error.detail = to_string(entry.name.where) + ": " + error.detail;
  return error;
}

void StreamConsumerCore::finish_commit(Status outcome) {  // By value: it may be the outcome of what ends here.
  std::vector<Done<void>> waiters = std::move(commit_->waiters);
  commit_.reset();
  bool told = false, more = false;
  {
    const std::lock_guard lock(mutex_);
    if (outcome) {
      commits_failing_.reset();
    } else if (waiters.empty() && !outcome.error().retriable() && commits_failing_ != outcome.error().code && !closing_) {
      commits_failing_ = outcome.error().code;
      tell(outcome.error());
      told = true;
    }
    more = !commit_waiters_.empty();
  }
  if (told) on_arrived();
  for (Done<void>& waiter : waiters) waiter(outcome);
  if (more) pump_commit();
  settle_revocations();  // A place that was named may have been all that was missing.
}

void StreamConsumerCore::arm_periodic_commit() {
  if (options_.commit_every.count() == 0) return;
  commit_timer_.expires_after(options_.commit_every);
  commit_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (aborted || self == nullptr) return;
    self->pump_commit();
    self->arm_periodic_commit();
  });
}

}  // namespace tidemark::detail
