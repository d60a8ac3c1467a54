// How a StreamConsumer comes to its partitions and how it gives them up. All on the strand.

#include <algorithm>
#include <utility>

#include "client/src/stream_consumer_core.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using std::chrono::milliseconds;

constexpr int kPositionsPerRequest = 1000;  ///< Names have up to 249 bytes, and a request 1 MiB.
constexpr milliseconds kLocatePause{200};
/// Of topics that are being deleted or made anew, and partitions whose assignment is on its way.
constexpr milliseconds kAbsentPause{500};
constexpr milliseconds kCommitRetryPause{200};

bool membership_in_doubt(Errc code) {
  return code == Errc::unknown_member || code == Errc::stale_member_epoch || code == Errc::unknown_group;
}

}  // namespace

// --- Bookkeeping, with the lock held.

StreamConsumerCore::HeldMap::value_type* StreamConsumerCore::find(const Name& name) {
  const auto found = held_.find(name.where);
  return found == held_.end() || found->second.incarnation != name.incarnation ? nullptr : &*found;
}

TopicPartitions StreamConsumerCore::held_names() const {
  TopicPartitions names;
  for (const auto& [where, held] : held_) names.push_back(where);
  return names;
}

void StreamConsumerCore::read_from(HeldMap::value_type& entry, Offset offset, Offset offered) {
  auto& [where, held] = entry;
  held.state = State::reading;
  held.at.reset();
  held.given.reset();
  held.tracker = DoneTracker(offset);
  held.start = offset;
  held.offered = offered;
  held.crowded = false;
  held.feed = feeds_->add(std::make_shared<const std::string>(where.topic), where.partition, offset);
  by_feed_[*held.feed] = &entry;
  update_pause(held);
}

void StreamConsumerCore::forget_feed(HeldMap::value_type& entry) {
  Held& held = entry.second;
  if (!held.feed) return;
  by_feed_.erase(*held.feed);
  feeds_->remove(*held.feed);
  held.feed.reset();
}

/// Messages of the partition that were taken but not given to anybody are as if never taken. True: there were some.
bool StreamConsumerCore::take_back(const TopicPartition& where) {
  const auto of_it = [&](const Message& message) { return message.partition() == where.partition && message.topic() == where.topic; };
  const auto first = std::ranges::find_if(put_back_, of_it);
  if (first == put_back_.end()) return false;
  const auto held = held_.find(where);
  if (held != held_.end()) held->second.tracker.take_back(first->offset());
  std::erase_if(put_back_, of_it);
  return true;
}

// --- Assignment.

void StreamConsumerCore::on_assignment(TopicPartitions assignment) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    wanted_ = std::move(assignment);
  }
  reconcile();
}

void StreamConsumerCore::reconcile() {
  TopicPartitions added, revoked, held;
  const SteadyTime now = std::chrono::steady_clock::now();
  // A little earlier than the broker thinks, so that the last commit and the heartbeat are in time.
  const SteadyTime deadline = now + options_.rebalance_timeout - std::min(options_.rebalance_timeout / 10, milliseconds(2'000));
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    for (auto& entry : held_) {
      auto& [where, partition] = entry;
      if (partition.state == State::revoking || std::ranges::binary_search(wanted_, where)) continue;
      const std::optional<Offset> at = partition.feed ? feeds_->position(*partition.feed) : std::nullopt;
      if (!take_back(where) && at) partition.tracker.skip_to(*at);
      forget_feed(entry);
      partition.state = State::revoking;
      partition.deadline = deadline;
      ++revoking_;
      revoked.push_back(where);
    }
    for (const TopicPartition& where : wanted_) {
      const auto [entry, is_new] = held_.try_emplace(where);
      if (!is_new) continue;  // Or it is on its way out: it comes back when that is done.
      entry->second.incarnation = next_incarnation_++;
      added.push_back(where);
    }
    held = held_names();
  }
  if (!revoked.empty()) {
    call_back(
        [&](const TopicPartitions& partitions) {
          if (options_.on_revoking) options_.on_revoking(partitions, deadline);
        },
        revoked);
  }
  if (!added.empty()) call_back(options_.on_assigned, added);
  member_->hold(std::move(held));
  locate();
  settle_revocations();
}

// --- Where to read.

void StreamConsumerCore::locate() {
  if (!member_->joined()) return;
  struct Request {
    std::vector<Name> asked;
    wire::GroupPositions message;
  };
  std::vector<Request> requests;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    for (auto& [where, held] : held_) {
      if (held.state != State::locating || std::exchange(held.asked, true)) continue;
      if (requests.empty() || requests.back().message.entries_size() == kPositionsPerRequest) requests.emplace_back();
      Request& request = requests.back();
      request.asked.push_back({where, held.incarnation});
      wire::GroupPositions::Entry& entry = *request.message.add_entries();
      entry.set_topic(where.topic);
      entry.set_partition(where.partition);
      if (held.at) entry.set_at(held.at->value);
    }
  }
  for (Request& request : requests) {
    request.message.set_group(options_.group);
    request.message.set_member(member_->id());
    request.message.set_epoch(member_->epoch());
    ask_positions(request.asked, request.message);
  }
}

void StreamConsumerCore::ask_positions(const std::vector<Name>& asked, const wire::GroupPositions& request) {
  call<wire::GroupPositionsReply>(
      *client_->connection(), native::FrameType::group_positions, request, OnLoss::repeat,
      [weak = weak_from_this(), strand = client_->connection()->strand(), asked](Result<wire::GroupPositionsReply> reply) mutable {
        asio::post(strand, [weak, asked = std::move(asked), reply = std::move(reply)] {
          if (const auto self = weak.lock()) self->on_located(asked, reply);
        });
      });
}

void StreamConsumerCore::on_located(const std::vector<Name>& asked, const Result<wire::GroupPositionsReply>& reply) {
  std::optional<milliseconds> again;
  bool told = false, in_doubt = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      HeldMap::value_type* const entry = find(asked[i]);
      if (entry == nullptr) continue;
      Held& held = entry->second;
      held.asked = false;
      if (held.state != State::locating) continue;  // Sought or taken away meanwhile.
      std::optional<Error> error;
      if (!reply) {
        error = reply.error();
      } else if (static_cast<int>(i) >= reply->entries_size()) {
        error = Error{Errc::protocol_error, "fewer positions than asked for"};
      } else if (const auto& found = reply->entries(static_cast<int>(i)); found.has_error()) {
        error = error_from_wire(found.error());
      } else {
        read_from(*entry, Offset{found.offset()}, Offset{found.offset()});
        continue;
      }
      if (membership_in_doubt(error->code)) {
        in_doubt = true;
      } else if (error->retriable()) {
        again = kLocatePause;
      } else if (error->code == Errc::unknown_topic || error->code == Errc::unknown_partition || error->code == Errc::not_owner) {
        again = again.value_or(kAbsentPause);
      } else {
        held.state = State::ended;
        tell(*error);
        told = true;
      }
    }
  }
  if (told) on_arrived();
  if (in_doubt) member_->come();  // And on_renewed() asks again.
  if (again) locate_after(*again);
}

void StreamConsumerCore::locate_after(milliseconds pause) {
  locate_timer_.expires_after(pause);
  locate_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (!aborted && self != nullptr) self->locate();
  });
}

// --- Giving up.

/// Hands over what the caller is done with or has had his time for.
void StreamConsumerCore::settle_revocations() {
  const SteadyTime now = std::chrono::steady_clock::now();
  std::vector<Name> ready;
  {
    const std::lock_guard lock(mutex_);
    if (revoking_ == 0 || closing_) return;
    for (auto& [where, held] : held_) {
      if (held.state != State::revoking || held.handing_over) continue;
      if (!held.tracker.all_done() && now < held.deadline) continue;
      held.handing_over = true;
      ready.push_back({where, held.incarnation});
    }
    if (!ready.empty()) {
      commit_waiters_.push_back([weak = weak_from_this(), ready](const Status& committed) {
        if (const auto self = weak.lock()) self->hand_over(ready, committed);
      });
    }
  }
  if (!ready.empty()) pump_commit();
  arm_revocations(now);
}

void StreamConsumerCore::hand_over(const std::vector<Name>& ready, const Status& committed) {
  const SteadyTime now = std::chrono::steady_clock::now();
  TopicPartitions held_now;
  bool retry = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    for (const Name& name : ready) {
      HeldMap::value_type* const entry = find(name);
      if (entry == nullptr) continue;
      if (!committed && committed.error().retriable() && now < entry->second.deadline) {
        entry->second.handing_over = false;
        retry = true;
        continue;
      }
      held_.erase(name.where);
      --revoking_;
    }
    held_now = held_names();
  }
  if (retry) return arm_revocations(now + kCommitRetryPause);
  member_->hold(std::move(held_now));
  reconcile();  // What was on its way out may have been assigned again.
}

void StreamConsumerCore::arm_revocations(SteadyTime earliest) {
  std::optional<SteadyTime> next;
  {
    const std::lock_guard lock(mutex_);
    if (revoking_ == 0) return;
    for (const auto& [where, held] : held_) {
      if (held.state != State::revoking || held.handing_over) continue;
      const SteadyTime due = held.tracker.all_done() ? earliest : std::max(earliest, held.deadline);
      if (!next || due < *next) next = due;
    }
  }
  if (!next) return;
  revoke_timer_.expires_at(*next);
  revoke_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (!aborted && self != nullptr) self->settle_revocations();
  });
}

}  // namespace tidemark::detail
