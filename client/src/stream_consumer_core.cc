#include "client/src/stream_consumer_core.h"

#include <algorithm>
#include <utility>

#include "client/src/group_values.h"
#include "client/src/lookup.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kShareMin = 4 * 1024;         ///< Of the buffer, per partition: a thousand of them fit.
constexpr std::uint64_t kShareMax = 4 * 1024 * 1024;  ///< So that partitions that come later find room.
/// Stretches of done records that may wait for one that is not, in one partition, before it is no longer read: 4 MiB of them.
constexpr std::size_t kStretchesMax = 64 * 1024;
constexpr std::size_t kErrorsMax = 1000;

Error not_owner(const TopicPartition& where) { return {Errc::not_owner, to_string(where) + " is not assigned to this consumer"}; }

}  // namespace

Status StreamConsumerCore::check(const StreamOptions& options) {
  const auto invalid = [](std::string detail) { return Error{Errc::invalid_argument, std::move(detail)}; };
  if (options.group.empty() || options.group.size() > 249) return invalid("a group's name has 1 to 249 bytes");
  if (options.topics.empty() && options.regex.empty()) return invalid("a stream consumer needs topics or a regex");
  if (options.rebalance_timeout < milliseconds(1)) return invalid("rebalance_timeout must be at least 1 ms");
  if (options.session_timeout < milliseconds(1)) return invalid("session_timeout must be at least 100 ms");
  if (options.commit_every < milliseconds(0)) return invalid("commit_every must not be negative");
  wire::StartAt start;
  return start_to_wire(options.start, start);
}

StreamConsumerCore::StreamConsumerCore(std::shared_ptr<ClientCore> client, StreamOptions options)
    : client_(std::move(client)),
      options_(std::move(options)),
      feeds_(std::make_shared<PartitionFeeds>(
          client_->connection(),
          PartitionFeeds::Limits{.buffer_bytes = options_.buffer_bytes, .share_bytes_min = kShareMin, .share_bytes_max = kShareMax})),
      commit_timer_(client_->connection()->strand()),
      revoke_timer_(client_->connection()->strand()),
      locate_timer_(client_->connection()->strand()) {}

StreamConsumerCore::~StreamConsumerCore() {
  feeds_->close();
  if (waiter_ != nullptr) waiter_->complete(closed_error());
}

// --- Membership, on the strand.

void StreamConsumerCore::open(Done<void> done) {
  member_ = std::make_shared<GroupMember>(client_->connection(), options_, weak_from_this());
  {
    const std::lock_guard lock(mutex_);
    opening_ = std::move(done);
  }
  client_->add(weak_from_this());
  feeds_->start([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_arrived();
  });
  if (client_->connection()->is_shut_down()) return shutdown();
  on_strand([](StreamConsumerCore& self) {
    self.opening_deadline_ = self.client_->connection()->default_deadline();
    self.member_->join();
  });
}

void StreamConsumerCore::on_renewed() {
  membership_failing_.reset();
  Done<void> opened;
  {
    const std::lock_guard lock(mutex_);
    opened = std::move(opening_);
  }
  if (opened) {
    arm_periodic_commit();
    opened({});
  }
  if (commit_ && commit_->parked) send_commit();
  locate();
}

void StreamConsumerCore::on_failed(const Error& error) {
  const SteadyTime now = std::chrono::steady_clock::now();
  Done<void> opening;
  bool told = false;
  {
    const std::lock_guard lock(mutex_);
    if (opening_ &&
        (!error.retriable() || error.code == Errc::timed_out || error.code == Errc::cannot_connect || now >= opening_deadline_)) {
      opening = std::move(opening_);
      closing_ = closed_ = true;
    } else if (!opening_ && !error.retriable() && membership_failing_ != error.code) {
      membership_failing_ = error.code;
      tell(error);
      told = true;
    }
  }
  if (opening) {
    member_->stop();
    feeds_->close();
    return opening(error);
  }
  if (told) on_arrived();
  if (commit_ && commit_->parked && now >= commit_->deadline) finish_commit(error);
}

void StreamConsumerCore::on_lost(const Error& error) {
  TopicPartitions lost;
  std::vector<Done<void>> waiters;
  {
    const std::lock_guard lock(mutex_);
    lost = held_names();
    for (auto& entry : held_) forget_feed(entry);
    held_.clear();
    wanted_.clear();
    put_back_.clear();
    previous_.clear();
    revoking_ = 0;
    waiters.swap(commit_waiters_);
  }
  if (commit_) {
    std::ranges::move(commit_->waiters, std::back_inserter(waiters));
    commit_.reset();
  }
  if (!lost.empty()) call_back(options_.on_lost, lost);
  for (Done<void>& waiter : waiters) waiter(error);
}

void StreamConsumerCore::call_back(const std::function<void(const TopicPartitions&)>& callback, const TopicPartitions& partitions) {
  if (!callback) return;
  client_->run_callbacks([&] {
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return;
    }
    callback(partitions);
  });
}

// --- Messages out, on the caller's threads.

Error StreamConsumerCore::closed_error() const { return {Errc::cancelled, "the consumer was closed"}; }

void StreamConsumerCore::on_arrived() {
  {
    const std::lock_guard lock(mutex_);
    arrived_.notify_all();
  }
  serve_waiter();
}

Result<StreamConsumerCore::Messages> StreamConsumerCore::poll(milliseconds wait, std::size_t max) {
  if (max == 0) return Error{Errc::invalid_argument, "a poll for no messages"};
  if (wait.count() > 0 && client_->inside_callback()) {
    return Error{Errc::conflict, "a blocking call inside a callback of the client would wait for itself"};
  }
  const auto until = std::chrono::steady_clock::now() + wait;
  std::unique_lock lock(mutex_);
  finish_previous();
  for (bool last = false;;) {
    if (closing_) return closed_error();
    if (std::optional<Result<Messages>> taken = take(max)) {
      if (*taken) note_given(**taken);
      return *std::move(taken);
    }
    if (last) return Messages();
    // What arrived in the last moment is still looked at.
    last = arrived_.wait_until(lock, until) == std::cv_status::timeout;
  }
}

void StreamConsumerCore::async_poll(std::size_t max, std::shared_ptr<Pending<Messages>> pending) {
  if (max == 0) return pending->complete(Error{Errc::invalid_argument, "a poll for no messages"});
  {
    const std::lock_guard lock(mutex_);
    if (waiter_ == nullptr) {
      waiter_ = std::exchange(pending, nullptr);
      waiter_max_ = max;
      finish_previous();
    }
  }
  if (pending != nullptr) return pending->complete(Error{Errc::conflict, "another async_poll of this consumer is waiting"});
  serve_waiter();
}

void StreamConsumerCore::serve_waiter() {
  const std::lock_guard lock(mutex_);
  if (waiter_ == nullptr) return;
  std::optional<Result<Messages>> taken;
  if (closing_) {
    taken = closed_error();
  } else {
    taken = take(waiter_max_);
  }
  if (!taken) return;
  const auto pending = std::exchange(waiter_, nullptr);
  if (pending->claim()) {
    if (*taken) note_given(**taken);
    pending->finish(*std::move(taken));
  } else if (*taken) {
    put_back_.insert(put_back_.begin(), std::make_move_iterator((*taken)->begin()), std::make_move_iterator((*taken)->end()));
  } else if (!closing_) {
    errors_.push_front(taken->error());
  }
}

std::optional<Result<StreamConsumerCore::Messages>> StreamConsumerCore::take(std::size_t max) {
  Messages out;
  if (!put_back_.empty()) {
    const auto end = put_back_.begin() + static_cast<std::ptrdiff_t>(std::min(max, put_back_.size()));
    out.assign(std::make_move_iterator(put_back_.begin()), std::make_move_iterator(end));
    put_back_.erase(put_back_.begin(), end);
  }
  while (out.size() < max) {
    std::optional<PartitionFeeds::Taken> taken = feeds_->take();
    if (!taken) break;
    accept(*std::move(taken), out);
  }
  if (!out.empty()) return Result<Messages>(std::move(out));
  if (errors_.empty()) return std::nullopt;
  Error error = std::move(errors_.front());
  errors_.pop_front();
  return Result<Messages>(std::move(error));
}

void StreamConsumerCore::accept(PartitionFeeds::Taken taken, Messages& out) {
  const auto found = by_feed_.find(taken.key);
  if (found == by_feed_.end()) return;
  if (!taken.message) return meet_error(*found->second, taken.message.error());
  found->second->second.tracker.deliver(taken.message->offset());
  out.push_back(*std::move(taken.message));
}

void StreamConsumerCore::meet_error(HeldMap::value_type& entry, const Error& error) {
  Held& held = entry.second;
  const std::optional<Offset> at = feeds_->position(*held.feed);
  if (at) held.tracker.skip_to(*at);
  forget_feed(entry);
  switch (error.code) {
    case Errc::offset_out_of_range:  // The group's policy says where to go on.
      held.at = at;
      held.state = State::locating;
      on_strand([](StreamConsumerCore& self) { self.locate(); });
      break;
    case Errc::unknown_topic:  // Deleted: the next assignment will be without it. Or made anew under its name.
    case Errc::unknown_partition:
      held.state = State::locating;
      on_strand([](StreamConsumerCore& self) { self.locate_after(milliseconds(500)); });
      break;
    default:
      held.state = State::ended;
      tell(error);
  }
}

void StreamConsumerCore::tell(const Error& error) {
  if (errors_.size() < kErrorsMax) errors_.push_back(error);
}

void StreamConsumerCore::note_given(const Messages& messages) {
  if (!options_.auto_done) return;
  Held* held = nullptr;
  const Message* previous = nullptr;
  for (const Message& message : messages) {
    if (previous == nullptr || previous->partition() != message.partition() || previous->topic() != message.topic()) {
      const auto found = held_.find(ByName::Name{message.topic(), message.partition()});
      held = found == held_.end() ? nullptr : &found->second;
      if (held != nullptr && !held->given) previous_.push_back(found->first);
    }
    previous = &message;
    if (held != nullptr) held->given = message.offset() + 1;
  }
}

/// auto_done: what the last poll gave has been processed.
void StreamConsumerCore::finish_previous() {
  if (previous_.empty()) return;
  bool handed_over = false;
  for (const TopicPartition& where : std::exchange(previous_, {})) {
    const auto found = held_.find(where);
    if (found == held_.end() || !found->second.given) continue;
    Held& held = found->second;
    held.tracker.finish_below(*std::exchange(held.given, std::nullopt));
    handed_over |= held.state == State::revoking && held.tracker.all_done();
  }
  if (handed_over) on_strand([](StreamConsumerCore& self) { self.settle_revocations(); });
}

void StreamConsumerCore::finish(std::span<const Message> messages) {
  bool handed_over = false;
  const std::lock_guard lock(mutex_);
  for (const Message& message : messages) {
    const auto found = held_.find(ByName::Name{message.topic(), message.partition()});
    if (found == held_.end()) continue;
    Held& held = found->second;
    held.tracker.finish(message.offset());
    handed_over |= held.state == State::revoking && held.tracker.all_done();
    const std::size_t stretches = held.tracker.stretches();
    const bool crowded = held.crowded ? stretches >= kStretchesMax / 2 : stretches >= kStretchesMax;
    if (std::exchange(held.crowded, crowded) != crowded) update_pause(held);
  }
  if (handed_over) on_strand([](StreamConsumerCore& self) { self.settle_revocations(); });
}

// --- Partitions, on the caller's threads.

void StreamConsumerCore::update_pause(Held& held) {
  if (held.feed) feeds_->pause(*held.feed, held.paused || held.crowded);
}

Status StreamConsumerCore::pause(std::span<const TopicPartition> partitions, bool paused) {
  Status outcome;
  const std::lock_guard lock(mutex_);
  for (const TopicPartition& where : partitions) {
    const auto found = held_.find(where);
    if (found == held_.end() || found->second.state == State::revoking) {
      if (outcome) outcome = not_owner(where);
      continue;
    }
    found->second.paused = paused;
    update_pause(found->second);
  }
  return outcome;
}

TopicPartitions StreamConsumerCore::assignment() const {
  TopicPartitions assigned;
  const std::lock_guard lock(mutex_);
  for (const auto& [where, held] : held_) {
    if (held.state != State::revoking) assigned.push_back(where);
  }
  return assigned;
}

std::optional<Offset> StreamConsumerCore::position(const TopicPartition& where) const {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(where);
  if (found == held_.end()) return std::nullopt;
  const Held& held = found->second;
  if (held.state == State::ended) return held.tracker.end();
  if (held.state != State::reading) return std::nullopt;
  return given_until(*found);
}

void StreamConsumerCore::seek(const TopicPartition& where, const Position& position, Done<void> done) {
  Name name{.where = where};
  {
    std::unique_lock lock(mutex_);
    const auto found = held_.find(where);
    const bool ours = found != held_.end() && found->second.state != State::revoking && !closing_;
    if (ours) name.incarnation = found->second.incarnation;
    lock.unlock();
    if (!ours) return done(not_owner(where));
  }
  if (position.kind != Position::Kind::committed) return seek_in_log(name, position, std::move(done));
  on_strand([name = std::move(name), done = std::move(done)](StreamConsumerCore& self) mutable {
    self.seek_to_committed(name, std::move(done));
  });
}

void StreamConsumerCore::seek_to_committed(const Name& name, Done<void> done) {
  wire::GroupPositions request;
  request.set_group(options_.group);
  request.set_member(member_->id());
  request.set_epoch(member_->epoch());
  wire::GroupPositions::Entry& entry = *request.add_entries();
  entry.set_topic(name.where.topic);
  entry.set_partition(name.where.partition);
  call<wire::GroupPositionsReply>(
      *client_->connection(), native::FrameType::group_positions, request, OnLoss::repeat,
      [self = shared_from_this(), name, done = std::move(done)](Result<wire::GroupPositionsReply> reply) mutable {
        if (!reply) return done(std::move(reply).error());
        if (reply->entries_size() != 1) return done(Error{Errc::protocol_error, "one position was asked for"});
        const wire::GroupPositionsReply::Entry& found = reply->entries(0);
        if (found.has_error()) return done(error_from_wire(found.error()));
        done(self->apply_seek(name, Offset{found.offset()}));
      });
}

void StreamConsumerCore::seek_in_log(const Name& name, const Position& position, Done<void> done) {
  auto described = [self = shared_from_this(), name, position, done = std::move(done)](Result<TopicDescription> topic) mutable {
    if (!topic) return done(std::move(topic).error());
    const auto partition = std::ranges::find(topic->partition_list, name.where.partition, &PartitionDescription::partition);
    if (partition == topic->partition_list.end()) return done(Error{Errc::unknown_partition, to_string(name.where)});
    auto& connection = *self->client_->connection();
    resolve_position(connection, name.where.topic, *partition, position, true,
                     [self, name, done = std::move(done)](Result<FoundOffset> found) mutable {
                       if (!found) return done(std::move(found).error());
                       done(self->apply_seek(name, found->offset));
                     });
  };
  describe_topic(*client_->connection(), name.where.topic, std::move(described));
}

Status StreamConsumerCore::apply_seek(const Name& name, Offset offset) {
  const std::lock_guard lock(mutex_);
  HeldMap::value_type* const entry = find(name);
  if (closing_) return closed_error();
  if (entry == nullptr || entry->second.state == State::revoking) return not_owner(name.where);
  take_back(name.where);
  forget_feed(*entry);
  // The commit is to move even when nothing is done after the seek.
  read_from(*entry, offset, Offset{-1});
  return {};
}

void StreamConsumerCore::ask_lag(Done<wire::GroupLagReply> done) {
  wire::GroupLag request;
  request.set_group(options_.group);
  call<wire::GroupLagReply>(*client_->connection(), native::FrameType::group_lag, request, OnLoss::repeat, std::move(done));
}

void StreamConsumerCore::lag(Done<std::int64_t> done) {
  ask_lag([self = shared_from_this(), done = std::move(done)](Result<wire::GroupLagReply> reply) mutable {
    if (!reply) return done(std::move(reply).error());
    std::int64_t records = 0;
    std::unique_lock lock(self->mutex_);
    for (const wire::GroupLagReply::Entry& entry : reply->entries()) {
      const auto held = self->held_.find(ByName::Name{entry.topic(), entry.partition()});
      if (held == self->held_.end() || held->second.state == State::revoking) continue;
      const bool known = held->second.state != State::locating;
      const Offset floor = known ? held->second.tracker.floor() : Offset{entry.has_floor() ? entry.floor() : entry.log_start()};
      records += std::max<std::int64_t>(0, Offset{entry.end()} - floor);
    }
    lock.unlock();
    done(records);
  });
}

void StreamConsumerCore::lag_time(Done<StreamConsumer::LagTime> done) {
  ask_lag([self = shared_from_this(), done = std::move(done)](Result<wire::GroupLagReply> reply) mutable {
    if (!reply) return done(std::move(reply).error());
    StreamConsumer::LagTime oldest = milliseconds(0);
    std::unique_lock lock(self->mutex_);
    for (const wire::GroupLagReply::Entry& entry : reply->entries()) {
      const auto held = self->held_.find(ByName::Name{entry.topic(), entry.partition()});
      if (held == self->held_.end() || held->second.state == State::revoking) continue;
      if (!entry.has_lag_seconds()) {
        oldest.reset();
        break;
      }
      oldest = std::max(*oldest, std::chrono::ceil<milliseconds>(std::chrono::duration<double>(entry.lag_seconds())));
    }
    lock.unlock();
    done(oldest);
  });
}

// --- The end.

void StreamConsumerCore::close(Done<void> done) {
  bool begins = false;
  {
    std::unique_lock lock(mutex_);
    if (closed_) {
      lock.unlock();
      return done({});
    }
    close_waiters_.push_back(std::move(done));
    begins = !std::exchange(closing_, true);
    arrived_.notify_all();
  }
  if (!begins) return;
  serve_waiter();
  on_strand([](StreamConsumerCore& self) { self.begin_close(); });
}

void StreamConsumerCore::begin_close() {
  stop_timers();
  feeds_->close();
  Done<void> opening;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    opening = std::move(opening_);
    if (!opening) {
      // Holds this object until the broker has answered; shutdown() drops it.
      commit_waiters_.push_back([self = shared_from_this()](const Status& committed) {
        self->on_strand([committed](StreamConsumerCore& core) {
          core.member_->leave([self = core.shared_from_this(), committed](const Status& left) {
            self->on_strand([outcome = committed ? left : committed](StreamConsumerCore& closing) { closing.end_close(outcome); });
          });
        });
      });
    }
  }
  if (!opening) return pump_commit();
  opening(closed_error());
  member_->leave([self = shared_from_this()](const Status& left) {
    self->on_strand([left](StreamConsumerCore& closing) { closing.end_close(left); });
  });
}

void StreamConsumerCore::end_close(const Status& outcome) {
  std::vector<Done<void>> waiters;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiters.swap(close_waiters_);
    for (auto& entry : held_) forget_feed(entry);
    held_.clear();
  }
  for (Done<void>& waiter : waiters) waiter(outcome);
}

void StreamConsumerCore::stop_timers() {
  commit_timer_.cancel();
  revoke_timer_.cancel();
  locate_timer_.cancel();
}

void StreamConsumerCore::shutdown() {
  std::vector<Done<void>> waiters;
  Done<void> opening;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    closing_ = true;
    opening = std::move(opening_);
    waiters.swap(commit_waiters_);
    std::ranges::move(std::exchange(close_waiters_, {}), std::back_inserter(waiters));
    arrived_.notify_all();
  }
  feeds_->close();
  serve_waiter();
  if (opening) opening(closed_error());
  for (Done<void>& waiter : waiters) waiter(closed_error());
  on_strand([](StreamConsumerCore& self) {
    self.stop_timers();
    if (self.member_ != nullptr) self.member_->stop();
    if (self.commit_) self.finish_commit(self.closed_error());
  });
}

}  // namespace tidemark::detail
