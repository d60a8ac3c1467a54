#include "client/src/queue_consumer_core.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

#include <boost/asio/dispatch.hpp>

#include "client/src/group_values.h"
#include "client/src/queue_unpacking.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"
#include "storage/base/uuid.h"

namespace tidemark::detail {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kNameBytesMax = 249;
constexpr std::size_t kRecordsMax = 10'000;  ///< Of one Receive, by the protocol.
constexpr std::size_t kReceiveBytesMin = 1024;
constexpr std::size_t kReceiveBytesMax = 8 * 1024 * 1024;
/// How long one Receive waits in the broker before it is sent anew.
constexpr milliseconds kReceiveWait{30'000};
/// After something that time may heal; a new connection does not wait for it.
constexpr milliseconds kRetryPause{200};
/// After a refusal, which time alone will not change.
constexpr milliseconds kRefusedPause{5'000};

std::string random_id() {
  std::random_device device;
  const auto word = [&device] { return static_cast<std::uint64_t>(device()) << 32 | device(); };
  const std::uint64_t high = word();
  return Uuid::from_random(high, word()).to_string();
}

QueueOptions with_member(QueueOptions options) {
  if (options.member.empty()) options.member = random_id();
  return options;
}

void set_name(const QueueOptions& options, wire::QueueName& name) {
  name.set_group(options.group);
  name.set_topic(options.topic);
}

milliseconds pause_after(const Error& error) {
  const bool heals = error.retriable() || error.code == Errc::unknown_member || error.code == Errc::conflict;
  return heals ? kRetryPause : kRefusedPause;
}

}  // namespace

Status QueueConsumerCore::check(const QueueOptions& options) {
  const auto invalid = [](std::string detail) { return Error{Errc::invalid_argument, std::move(detail)}; };
  if (options.group.empty() || options.group.size() > kNameBytesMax) return invalid("a group's name has 1 to 249 bytes");
  if (options.topic.empty()) return invalid("a queue consumer needs a topic");
  if (options.member.size() > kNameBytesMax) return invalid("a member's name has at most 249 bytes");
  if (options.prefetch > kRecordsMax) return invalid("prefetch is 0 to 10000 records");
  if (options.prefetch_bytes < kReceiveBytesMin || options.prefetch_bytes > kReceiveBytesMax) {
    return invalid("prefetch_bytes is 1 KiB to 8 MiB");
  }
  wire::StartAt start;
  return start_to_wire(options.start, start);
}

QueueConsumerCore::QueueConsumerCore(std::shared_ptr<ClientCore> client, QueueOptions options)
    : client_(std::move(client)),
      options_(with_member(std::move(options))),
      topic_(std::make_shared<const std::string>(options_.topic)),
      join_timer_(client_->connection()->strand()),
      renew_timer_(client_->connection()->strand()),
      fetch_timer_(client_->connection()->strand()) {}

QueueConsumerCore::~QueueConsumerCore() = default;

Error QueueConsumerCore::closed_error() const { return {Errc::cancelled, "the queue consumer was closed"}; }

// --- Membership, on the strand.

void QueueConsumerCore::open(Done<void> done) {
  {
    const std::lock_guard lock(mutex_);
    opening_ = std::move(done);
  }
  client_->add(weak_from_this());
  client_->connection()->add_listener(weak_from_this());
  if (client_->connection()->is_shut_down()) return shutdown();
  on_strand([](QueueConsumerCore& self) {
    self.opening_deadline_ = self.client_->connection()->default_deadline();
    self.join();
  });
}

void QueueConsumerCore::join() {
  if (joining_ || joined_) return;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
  }
  wire::JoinQueue request;
  set_name(options_, *request.mutable_name());
  request.set_member(options_.member);
  request.set_create(options_.create && !opened_);
  const Status start = start_to_wire(options_.start, *request.mutable_start());
  if (!start) return on_join_failed(start.error());
  for (const auto& [key, value] : options_.settings) {
    wire::ConfigEntry& entry = *request.add_settings();
    entry.set_key(key);
    entry.set_value(value);
  }
  joining_ = true;
  join_timer_.cancel();
  call<wire::JoinQueueReply>(*client_->connection(), native::FrameType::join_queue, request, OnLoss::fail,
                             [weak = weak_from_this(), strand = client_->connection()->strand()](Result<wire::JoinQueueReply> reply) {
                               asio::dispatch(strand, [weak, reply = std::move(reply)] {
                                 if (const auto self = weak.lock()) self->on_joined(reply);
                               });
                             });
}

void QueueConsumerCore::on_joined(const Result<wire::JoinQueueReply>& reply) {
  joining_ = false;
  if (!reply) return on_join_failed(reply.error());
  joined_ = opened_ = true;
  set_lease(milliseconds(reply->lease_ms()));
  Done<void> opened;
  bool closing = false;
  {
    const std::lock_guard lock(mutex_);
    opened = std::move(opening_);
    closing = closing_;
    told_.reset();
  }
  if (opened) opened({});
  if (closing) return leave_when_settled();
  fetch();
}

void QueueConsumerCore::on_join_failed(const Error& error) {
  Done<void> opening;
  bool closing = false;
  {
    const std::lock_guard lock(mutex_);
    closing = closing_;
    const bool lost = error.code == Errc::connection_lost && std::chrono::steady_clock::now() < opening_deadline_;
    if (opening_ && !lost) {
      opening = std::move(opening_);
      closing_ = closed_ = true;
    }
  }
  if (opening) {
    stop_timers();
    return opening(error);
  }
  if (closing) return leave_when_settled();
  if (error.code == Errc::cancelled) return;
  if (!error.retriable() && error.code != Errc::conflict) tell(error);
  join_after(pause_after(error));
}

void QueueConsumerCore::join_after(milliseconds pause) {
  join_timer_.expires_after(pause);
  join_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (!aborted && self != nullptr) self->join();
  });
}

void QueueConsumerCore::on_connected() { join(); }

void QueueConsumerCore::on_disconnected() {
  std::deque<Op> lost;
  {
    const std::lock_guard lock(mutex_);
    ++session_;
    held_.clear();
    ready_.clear();
    lost.swap(ops_);
  }
  joined_ = false;
  receive_.reset();
  renew_timer_.cancel();
  fetch_timer_.cancel();
  for (Op& op : lost) {
    if (op.done) op.done(Error{Errc::lease_lost, "the connection was lost, and the broker gave the record back"});
  }
  leave_when_settled();
}

void QueueConsumerCore::set_lease(milliseconds lease) {
  if (lease == lease_ && lease_.count() > 0 && renew_timer_.expiry() > std::chrono::steady_clock::now()) return;
  lease_ = lease;
  arm_renewal();
}

void QueueConsumerCore::arm_renewal() {
  renew_timer_.cancel();
  if (!joined_ || !options_.extend_leases || lease_.count() == 0) return;
  renew_timer_.expires_after(std::max(lease_ / 3, milliseconds(1)));
  renew_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (!aborted && self != nullptr) self->renew();
  });
}

/// Of everything at once: the broker knows what this member has.
void QueueConsumerCore::renew() {
  arm_renewal();
  {
    const std::lock_guard lock(mutex_);
    if (held_.empty() || closing_) return;
  }
  if (std::exchange(renewing_, true)) return;
  wire::ExtendLease request;
  set_name(options_, *request.mutable_name());
  request.set_member(options_.member);
  call<wire::SettleReply>(*client_->connection(), native::FrameType::extend_lease, request, OnLoss::fail,
                          [weak = weak_from_this(), strand = client_->connection()->strand()](const Result<wire::SettleReply>&) {
                            // What could not be renewed is lost, and whoever settles it will be told.
                            asio::dispatch(strand, [weak] {
                              if (const auto self = weak.lock()) self->renewing_ = false;
                            });
                          });
}

// --- Fetching, on the strand.

std::size_t QueueConsumerCore::demand() const {
  std::size_t wanted = blocked_demand_;
  for (const Waiter& waiter : waiters_) wanted += waiter.max;
  return wanted;
}

/// Records to be asked for now; 0: enough are here.
std::size_t QueueConsumerCore::room() const {
  const std::size_t wanted = demand();
  const bool hungry = wanted > ready_.size() || (prefetching_ && ready_.size() <= options_.prefetch / 2);
  if (!hungry) return 0;
  const std::size_t target = wanted + (prefetching_ ? options_.prefetch : 0);
  return std::min(target - ready_.size(), kRecordsMax);
}

void QueueConsumerCore::fetch_soon() {
  {
    const std::lock_guard lock(mutex_);
    if (room() == 0 || std::exchange(fetch_posted_, true)) return;
  }
  on_strand([](QueueConsumerCore& self) {
    {
      const std::lock_guard lock(self.mutex_);
      self.fetch_posted_ = false;
    }
    self.fetch();
  });
}

void QueueConsumerCore::fetch() {
  if (!joined_ || receive_ || fetch_paused_) return;
  {
    const std::lock_guard lock(mutex_);
    asked_ = closing_ ? 0 : room();
  }
  if (asked_ == 0) return;
  receive_ = client_->connection()->open_receive(weak_from_this());
  wire::Receive request;
  set_name(options_, *request.mutable_name());
  request.set_member(options_.member);
  request.set_records_max(static_cast<std::uint32_t>(asked_));
  request.set_bytes_max(static_cast<std::uint32_t>(options_.prefetch_bytes));
  request.set_wait_ms(static_cast<std::uint32_t>(kReceiveWait.count()));
  request.set_receive(*receive_);
  call<wire::ReceiveReply>(
      *client_->connection(), native::FrameType::receive, request, OnLoss::fail,
      [weak = weak_from_this(), strand = client_->connection()->strand(), receive = *receive_](const Result<wire::ReceiveReply>& reply) {
        if (reply) return;  // The records come on their own.
        asio::dispatch(strand, [weak, receive, error = reply.error()] {
          if (const auto self = weak.lock()) self->on_receive_refused(receive, error);
        });
      });
}

void QueueConsumerCore::on_receive_refused(std::uint32_t receive, const Error& error) {
  if (receive_ != receive) return;
  client_->connection()->close_receive(receive);
  receive_.reset();
  if (error.code == Errc::cancelled || error.code == Errc::connection_lost) return;
  if (!error.retriable() && error.code != Errc::unknown_member) tell(error);
  if (error.code == Errc::unknown_member || error.code == Errc::unknown_group || error.code == Errc::unknown_topic) {
    joined_ = false;  // Removed by an operator.
    return join_after(pause_after(error));
  }
  fetch_paused_ = true;
  fetch_timer_.expires_after(pause_after(error));
  fetch_timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->fetch_paused_ = false;
    if (!aborted) self->fetch();
  });
}

void QueueConsumerCore::on_received(const wire::Received& received, Slice batches) {
  if (receive_ != received.receive()) return;
  if (received.has_error()) return on_receive_refused(received.receive(), error_from_wire(received.error()));
  receive_.reset();
  unpack(received, std::move(batches));
  if (received.partitions_size() > 0) set_lease(milliseconds(received.lease_ms()));
  serve();
  fetch();
}

void QueueConsumerCore::unpack(const wire::Received& received, Slice batches) {
  Unpacked unpacked = unpack_received(topic_, received, std::move(batches), asked_);
  if (unpacked.error) tell(*unpacked.error);
  const auto expires = received.lease_ms() == 0 || options_.extend_leases
                           ? SteadyTime::max()
                           : std::chrono::steady_clock::now() + milliseconds(received.lease_ms());
  const std::lock_guard lock(mutex_);
  if (closing_) return;  // They go back with everything else.
  if (received.partitions_size() > 0 && !unpacked.error) told_.reset();
  for (Unpacked::Record& record : unpacked.records) {
    held_.insert_or_assign(place_of(record.message), Held{.deliveries = record.deliveries, .settling = false, .expires = expires});
    ready_.push_back(QueueMessage(std::move(record.message), record.deliveries, record.failures, session_));
  }
  // What nobody can work on fails like what a worker cannot: again later, and to the dead letters in the end.
  for (const Unpacked::Missing& missing : unpacked.missing) {
    add_op({missing.partition, missing.offset}, missing.deliveries, Retry{.delay = {}, .reason = missing.reason}, {});
  }
}

void QueueConsumerCore::tell(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (told_ == error.code || closing_) return;
    told_ = error.code;
    error_ = error;
  }
  serve();
}

// --- Giving out.

void QueueConsumerCore::start_prefetch() { prefetching_ = options_.prefetch > 0; }

/// Drops what is in front and somebody else's already, because its lease has run out here. Answers whether anything is left.
bool QueueConsumerCore::find_ready() {
  for (; !ready_.empty(); ready_.pop_front()) {
    const QueueMessage& message = ready_.front();
    const auto held = held_.find(place_of(message));
    if (held == held_.end() || held->second.deliveries != message.deliveries()) continue;
    if (options_.extend_leases || held->second.expires > std::chrono::steady_clock::now()) return true;
    held_.erase(held);
  }
  return false;
}

std::optional<Result<QueueConsumerCore::Messages>> QueueConsumerCore::take(std::size_t max) {
  if (closing_) return Result<Messages>(closed_error());
  Messages messages;
  while (messages.size() < max && find_ready()) {
    messages.push_back(std::move(ready_.front()));
    ready_.pop_front();
  }
  if (!messages.empty()) return Result<Messages>(std::move(messages));
  if (!error_) return std::nullopt;
  return Result<Messages>(*std::exchange(error_, std::nullopt));
}

Result<QueueConsumerCore::Messages> QueueConsumerCore::receive(std::size_t max, milliseconds wait) {
  if (max == 0) return Error{Errc::invalid_argument, "a receive for no messages"};
  if (client_->inside_callback()) {
    return Error{Errc::conflict, "a blocking call inside a callback of the client would wait for itself"};
  }
  const SteadyTime until = std::chrono::steady_clock::now() + std::min<milliseconds>(wait, std::chrono::hours(24 * 365));
  std::unique_lock lock(mutex_);
  start_prefetch();
  blocked_demand_ += max;
  std::optional<Result<Messages>> taken = take(max);
  if (!taken) {
    lock.unlock();
    fetch_soon();
    lock.lock();
    arrived_.wait_until(lock, until, [&] { return (taken = take(max)).has_value(); });
  }
  blocked_demand_ -= max;
  if (!taken && !prefetching_ && demand() == 0) cancel_fetch_soon();
  lock.unlock();
  fetch_soon();
  if (!taken) return Messages();
  return *std::move(taken);
}

Result<std::optional<QueueMessage>> QueueConsumerCore::receive_one(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  start_prefetch();
  ++blocked_demand_;
  std::optional<Result<Messages>> taken;
  if (!stop.stop_requested()) taken = take(1);
  if (!taken) {
    lock.unlock();
    fetch_soon();
    lock.lock();
    arrived_.wait(lock, stop, [&] { return (taken = stop.stop_requested() ? std::nullopt : take(1)).has_value(); });
  }
  --blocked_demand_;
  lock.unlock();
  fetch_soon();
  if (!taken) return std::optional<QueueMessage>();
  if (!*taken) return std::move(*taken).error();
  return std::optional<QueueMessage>(std::move((**taken).front()));
}

void QueueConsumerCore::async_receive(std::size_t max, const void* tag, std::shared_ptr<Pending<Messages>> pending) {
  if (max == 0) return pending->complete(Error{Errc::invalid_argument, "a receive for no messages"});
  {
    const std::lock_guard lock(mutex_);
    start_prefetch();
    waiters_.push_back(Waiter{.max = max, .tag = tag, .pending = std::move(pending)});
  }
  serve();
  fetch_soon();
}

void QueueConsumerCore::cancel_receives(const void* tag) {
  std::vector<std::shared_ptr<Pending<Messages>>> cancelled;
  {
    const std::lock_guard lock(mutex_);
    for (Waiter& waiter : waiters_) {
      if (waiter.tag == tag) cancelled.push_back(std::move(waiter.pending));
    }
    std::erase_if(waiters_, [](const Waiter& waiter) { return waiter.pending == nullptr; });
  }
  for (const auto& pending : cancelled) pending->complete(Error{Errc::cancelled, "no longer waited for"});
}

void QueueConsumerCore::serve() {
  const std::lock_guard lock(mutex_);
  while (!waiters_.empty() && (closing_ || error_ || find_ready())) {
    const Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    if (waiter.pending->claim()) waiter.pending->finish(*take(waiter.max));
  }
  arrived_.notify_all();
  if (!prefetching_ && demand() == 0 && !closing_) release_ready();
}

void QueueConsumerCore::stop_prefetch() {
  const std::lock_guard lock(mutex_);
  if (demand() > 0 || closing_) return;
  prefetching_ = false;
  release_ready();
  cancel_fetch_soon();
}

void QueueConsumerCore::cancel_fetch_soon() {
  on_strand([](QueueConsumerCore& self) {
    {
      const std::lock_guard lock(self.mutex_);
      if (self.prefetching_ || self.demand() > 0) return;
    }
    if (!self.receive_) return;
    wire::CancelReceive cancel;
    cancel.set_receive(*self.receive_);
    self.client_->connection()->send_one_way(native::encode_frame(native::FrameType::cancel_receive, 0, 0, cancel));
  });
}

void QueueConsumerCore::release_ready() {
  for (; find_ready(); ready_.pop_front()) add_op(place_of(ready_.front()), ready_.front().deliveries(), Release{}, {});
}

// --- The end.

void QueueConsumerCore::close(Done<void> done) {
  {
    std::unique_lock lock(mutex_);
    if (closed_) {
      lock.unlock();
      return done({});
    }
    close_waiters_.push_back(std::move(done));
    if (std::exchange(closing_, true)) return;
  }
  serve();
  // Owned by what is posted: the last handle may be gone.
  asio::post(client_->connection()->strand(), [self = shared_from_this()] { self->begin_close(); });
}

void QueueConsumerCore::begin_close() {
  stop_timers();
  Done<void> opening;
  {
    const std::lock_guard lock(mutex_);
    ready_.clear();
    opening = std::move(opening_);
  }
  if (opening) opening(closed_error());
  leave_when_settled();
}

void QueueConsumerCore::leave_when_settled() {
  {
    const std::lock_guard lock(mutex_);
    if (!closing_ || closed_ || !ops_.empty() || !batches_.empty()) return;
  }
  if (joining_ || leaving_) return;
  if (!joined_) return end_close({});  // With the connection went everything that was to be given back.
  leaving_ = true;
  wire::LeaveQueue request;
  set_name(options_, *request.mutable_name());
  request.set_member(options_.member);
  call<wire::LeaveQueueReply>(*client_->connection(), native::FrameType::leave_queue, request, OnLoss::fail,
                              [self = shared_from_this()](const Result<wire::LeaveQueueReply>& reply) {
                                const bool gone =
                                    !reply && (reply.error().code == Errc::unknown_group || reply.error().code == Errc::unknown_topic);
                                const Status left = reply || gone ? Status() : Status(reply.error());
                                asio::dispatch(self->client_->connection()->strand(), [self, left] { self->end_close(left); });
                              });
}

void QueueConsumerCore::end_close(const Status& outcome) {
  std::vector<Done<void>> waiters;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    held_.clear();
    waiters.swap(close_waiters_);
  }
  joined_ = false;
  for (Done<void>& waiter : waiters) waiter(outcome);
}

void QueueConsumerCore::stop_timers() {
  join_timer_.cancel();
  renew_timer_.cancel();
  fetch_timer_.cancel();
}

void QueueConsumerCore::shutdown() {
  std::vector<Done<void>> waiters;
  std::vector<Op> unsent, sent;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    closing_ = true;
    if (opening_) waiters.push_back(std::move(opening_));
    std::ranges::move(std::exchange(close_waiters_, {}), std::back_inserter(waiters));
    std::ranges::move(std::exchange(ops_, {}), std::back_inserter(unsent));
    for (const auto& batch : std::exchange(batches_, {})) std::ranges::move(std::exchange(batch->ops, {}), std::back_inserter(sent));
    ready_.clear();
    held_.clear();
  }
  serve();
  for (Done<void>& waiter : waiters) waiter(closed_error());
  for (Op& op : unsent) {
    if (op.done) op.done(closed_error());
  }
  for (Op& op : sent) {
    Error error = closed_error();
    error.maybe_done = true;
    if (op.done) op.done(std::move(error));
  }
  on_strand([](QueueConsumerCore& self) { self.stop_timers(); });
}

}  // namespace tidemark::detail
