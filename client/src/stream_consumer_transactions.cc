// What a StreamConsumer tells a transaction that commits for it.

#include <algorithm>
#include <utility>

#include "client/src/stream_consumer_core.h"

namespace tidemark::detail {

Offset StreamConsumerCore::given_until(const HeldMap::value_type& entry) const {
  const auto& [where, held] = entry;
  const auto waiting = std::ranges::find_if(put_back_, [&place = where](const Message& message) {
    return message.partition() == place.partition && message.topic() == place.topic;
  });
  if (waiting != put_back_.end()) return waiting->offset();
  const std::optional<Offset> at = held.feed ? feeds_->position(*held.feed) : std::nullopt;
  return at.value_or(held.tracker.end());
}

Result<ConsumedOffsets::Entry> StreamConsumerCore::judge_given(const GivenMessages& given) {
  const auto found = held_.find(given.where);
  // Given out before the partition was lost and came back, they may have been processed by somebody else meanwhile.
  const bool ours = found != held_.end() && found->second.state != State::locating && given.first >= found->second.start &&
                    given.next <= std::max(given_until(*found), found->second.tracker.end());
  if (!ours) return Error{Errc::not_owner, to_string(given.where) + ": messages of an assignment that has ended"};
  return ConsumedOffsets::Entry{given.where, found->second.incarnation, given.next};
}

void StreamConsumerCore::consumed(std::optional<std::vector<GivenMessages>> given, Done<ConsumedOffsets> done) {
  if (!options_.transactional) {
    return done(Error{Errc::invalid_argument, "only a consumer with StreamOptions::transactional leaves its commits to transactions"});
  }
  on_strand([given = std::move(given), done = std::move(done)](StreamConsumerCore& self) mutable {
    ConsumedOffsets offsets{.group = self.options_.group, .member = self.member_->id(), .epoch = self.member_->epoch(), .entries = {}};
    Status outcome;
    std::unique_lock lock(self.mutex_);
    if (self.closing_) outcome = self.closed_error();
    for (auto& entry : self.held_) {
      if (given || !outcome) break;
      auto& [where, held] = entry;
      if (held.state == State::locating) continue;
      const Offset next = self.given_until(entry);
      if (next > held.offered) offsets.entries.push_back({where, held.incarnation, next});
    }
    for (const GivenMessages& stretch : given.value_or(std::vector<GivenMessages>())) {
      if (!outcome) break;
      Result<ConsumedOffsets::Entry> entry = self.judge_given(stretch);
      if (entry)
        offsets.entries.push_back(*std::move(entry));
      else
        outcome = std::move(entry).error();
    }
    lock.unlock();
    if (!outcome) return done(outcome.error());
    done(std::move(offsets));
  });
}

void StreamConsumerCore::committed(const ConsumedOffsets& offsets) {
  bool handed_over = false;
  {
    const std::lock_guard lock(mutex_);
    for (const ConsumedOffsets::Entry& entry : offsets.entries) {
      HeldMap::value_type* const found = find({entry.where, entry.incarnation});
      if (found == nullptr) continue;
      Held& held = found->second;
      if (entry.next > held.tracker.floor()) held.tracker.finish_below(entry.next);
      held.offered = std::max(held.offered, entry.next);
      handed_over |= held.state == State::revoking && held.tracker.all_done();
      held.crowded = held.crowded && held.tracker.stretches() > 0;
      update_pause(held);
    }
  }
  if (handed_over) on_strand([](StreamConsumerCore& self) { self.settle_revocations(); });
}

}  // namespace tidemark::detail
