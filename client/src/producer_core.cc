#include "client/src/producer_core.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "client/src/wire.h"
#include "protocol/native/codec/errors.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

constexpr std::size_t kRequestBytes = 1024 * 1024;        ///< Batches gathered into one request, unless one alone is larger.
constexpr std::size_t kRequestBatches = 1000;             ///< Well below the protocol's bound.
constexpr std::size_t kFrameOverhead = 512 * 1024;        ///< Header and message of a produce frame, generously.
constexpr std::chrono::milliseconds kIdentityPause{100};  ///< Between attempts to obtain a producer id.

constexpr std::chrono::hours kScheduleHorizon{24 * 3653};  ///< As the broker has it.
constexpr std::size_t kDedupIdBytesMax = 256;

SteadyTime now() { return std::chrono::steady_clock::now(); }

Timestamp wall_clock() { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

/// What the answer says of single records, by index.
std::vector<RecordOutcome> outcomes_of(const wire::ProduceReply::Stored& answer) {
  std::vector<RecordOutcome> outcomes;
  for (const auto& scheduled : answer.scheduled()) {
    outcomes.push_back({.index = static_cast<std::int32_t>(scheduled.record()),
                        .scheduled = scheduled.id(),
                        .due = Timestamp(std::chrono::milliseconds(scheduled.due_ms())),
                        .duplicate = scheduled.duplicate(),
                        .offset = Offset{-1}});
  }
  for (const auto& duplicate : answer.duplicates()) {
    outcomes.push_back({.index = static_cast<std::int32_t>(duplicate.record()),
                        .scheduled = {},
                        .due = {},
                        .duplicate = true,
                        .offset = Offset{duplicate.offset()}});
  }
  std::ranges::sort(outcomes, {}, &RecordOutcome::index);
  return outcomes;
}

Error closed_error(bool maybe_done = false) { return {Errc::cancelled, "the producer was closed", maybe_done}; }

std::optional<ByteView> bytes_of(const std::optional<std::string_view>& text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}

}  // namespace

TopicFacts TopicFacts::from(const wire::TopicInfo& topic) {
  TopicFacts facts{.partitions = std::max(topic.partitions(), 1)};
  for (const wire::ConfigEntry& entry : topic.effective_config()) {
    const std::string& value = entry.value();
    if (entry.key() == "message.timestamp.type") facts.append_time = value == "LogAppendTime";
    if (entry.key() == "max.message.bytes") std::from_chars(value.data(), value.data() + value.size(), facts.message_bytes_max);
  }
  return facts;
}

ProducerCore::ProducerCore(std::shared_ptr<ClientCore> client, std::string topic, ProducerOptions options, TopicFacts facts,
                           Identity identity)
    : client_(std::move(client)),
      topic_(std::move(topic)),
      options_(std::move(options)),
      transactional_(false),
      timer_(client_->connection()->strand()),
      facts_(facts),
      identity_(identity) {
  adopt(facts);
}

ProducerCore::ProducerCore(std::shared_ptr<ClientCore> client, std::string topic, ProducerOptions options, TopicFacts facts,
                           Identity identity, std::weak_ptr<TransactionScope> transactions)
    : client_(std::move(client)),
      topic_(std::move(topic)),
      options_(std::move(options)),
      transactional_(true),
      transactions_(std::move(transactions)),
      timer_(client_->connection()->strand()),
      facts_(facts),
      identity_(identity) {
  adopt(facts);
}

Status ProducerCore::check(const ProducerOptions& options) {
  const auto refuse = [](std::string what) { return Error{Errc::invalid_argument, "producer option " + std::move(what)}; };
  if (options.batch_bytes < 1) return refuse("batch_bytes: at least 1");
  if (options.buffer_bytes < 1) return refuse("buffer_bytes: at least 1");
  if (options.in_flight_max < 1 || options.in_flight_max > 5) return refuse("in_flight_max: 1 to 5");
  if (options.linger.count() < 0) return refuse("linger: not negative");
  if (options.delivery_timeout.count() < 1) return refuse("delivery_timeout: at least 1 ms");
  return {};
}

std::unique_ptr<PartitionQueue> ProducerCore::make_queue(std::int32_t partition) const {
  PartitionQueue::Options options;
  options.batch_bytes = std::min(options_.batch_bytes, facts_.message_bytes_max);
  options.in_flight_max = static_cast<std::size_t>(options_.in_flight_max);
  options.idempotent = options_.idempotent;
  options.linger = options_.linger;
  options.delivery_timeout = options_.delivery_timeout;
  options.batch.codec = options_.codec;
  options.batch.level = options_.compression_level;
  options.transactional = transactional_;
  options.batch.transactional = transactional_;
  return std::make_unique<Queue>(partition, options, identity_);
}

void ProducerCore::adopt(const TopicFacts& facts) {
  facts_ = facts;
  // Queues are never removed: they may hold batches of a partition that went away, whose records must be told.
  while (queues_.size() < static_cast<std::size_t>(facts_.partitions)) {
    queues_.push_back(make_queue(static_cast<std::int32_t>(queues_.size())));
    is_dirty_.push_back(false);
  }
}

std::int32_t ProducerCore::partitions() const {
  const std::lock_guard lock(mutex_);
  return facts_.partitions;
}

std::size_t ProducerCore::buffered_bytes() const {
  const std::lock_guard lock(mutex_);
  return buffered_bytes_;
}

// --- Records in, on the sender's thread.

bool ProducerCore::try_post(const Record& record, SendCallback done) {
  const std::lock_guard lock(mutex_);
  return !closed_ && waiting_.empty() && accept(record, done);
}

void ProducerCore::send(const Record& record, SendCallback done) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      if (!waiting_.empty() || !accept(record, done)) waiting_.push_back({OwnedRecord(record), std::move(done), {}});
      return;
    }
  }
  done(closed_error());
}

bool ProducerCore::accept(const Record& record, SendCallback& done) {
  header_scratch_.clear();
  for (const Header& header : record.headers) header_scratch_.push_back(HeaderView{.name = header.name, .value = bytes_of(header.value)});
  const std::size_t plain_headers = header_scratch_.size();
  const Status meant = add_requests(record);
  const bool obey_headers = header_scratch_.size() > plain_headers;
  const Timestamp timestamp = record.timestamp ? *record.timestamp : wall_clock();
  const RecordInput input{.key = bytes_of(record.key),
                          .value = bytes_of(record.value),
                          .timestamp_ms = timestamp.time_since_epoch().count(),
                          .headers = header_scratch_};
  const std::size_t bytes = BatchBuilder::size_bound(input);
  const std::size_t charged = bytes + (done ? sizeof(RecordWaiter) : 0);
  if (!has_room(charged)) return false;

  Status sound = meant ? check_size(bytes) : meant;
  Result<std::int32_t> partition = sound ? place(record, bytes) : Result<std::int32_t>(sound.error());
  if (!partition) {
    reject(std::move(done), partition.error());
    return true;
  }
  Queue& queue = *queues_[static_cast<std::size_t>(*partition)];
  queue.add(input, bytes, charged, std::move(done), now(), obey_headers);
  buffered_bytes_ += charged;
  if (queue.added_work()) {
    mark_dirty(*partition);
    schedule_pump();
  }
  return true;
}

Status ProducerCore::add_requests(const Record& record) {
  const auto refuse = [this](std::string what) { return Error{Errc::invalid_argument, topic_ + ": " + std::move(what)}; };
  std::size_t texts = 0;
  const auto add = [&](std::string_view name, std::string text) {
    request_scratch_[texts] = std::move(text);
    header_scratch_.push_back(HeaderView{.name = name, .value = as_bytes(request_scratch_[texts])});
    ++texts;
  };
  // Judged here as far as they can be: the broker would refuse the whole batch.
  if (transactional_ && (record.delay || record.deliver_at || record.dedup_id)) {
    return refuse("a record of a transaction has neither delay nor dedup id");
  }
  if (record.delay && record.deliver_at) return refuse("delay and deliver_at exclude each other");
  if (record.delay) {
    if (record.delay->count() < 0) return refuse("a delay must not be negative");
    if (*record.delay > kScheduleHorizon) return refuse("a delay of more than ten years");
    add("tidemark-delay", std::to_string(record.delay->count()));
  }
  if (record.deliver_at) {
    if (*record.deliver_at > wall_clock() + kScheduleHorizon) return refuse("deliver_at is more than ten years away");
    add("tidemark-deliver-at", std::to_string(record.deliver_at->time_since_epoch().count()));
  }
  if (record.dedup_id) {
    if (record.dedup_id->empty() || record.dedup_id->size() > kDedupIdBytesMax) return refuse("a dedup id has 1 to 256 bytes");
    add("tidemark-dedup-id", std::string(*record.dedup_id));
  }
  if (record.priority) {
    if (*record.priority < 0 || *record.priority > 9) return refuse("a priority is 0 to 9");
    add("tidemark-priority", std::to_string(*record.priority));
  }
  return {};
}

Status ProducerCore::check_size(std::size_t bytes) const {
  const std::size_t batch = bytes + kBatchHeaderBytes;
  // Packed, a record above the topic's limit may pass; the broker judges.
  const std::size_t frame = client_->connection()->frame_bytes_max() - kFrameOverhead;
  const std::size_t most = options_.codec == Codec::none ? std::min(facts_.message_bytes_max, frame) : frame;
  if (batch <= most) return {};
  return Error{Errc::batch_too_large,
               topic_ + ": a record of " + std::to_string(bytes) + " bytes; a batch may have " + std::to_string(most)};
}

Result<std::int32_t> ProducerCore::place(const Record& record, std::size_t bytes) {
  if (record.partition) {
    if (*record.partition >= 0 && *record.partition < facts_.partitions) return *record.partition;
    asio::post(client_->connection()->strand(), [self = shared_from_this()] { self->refresh(); });  // It may have been added lately.
    return Error{Errc::unknown_partition,
                 topic_ + " has partitions 0 to " + std::to_string(facts_.partitions - 1) + ", not " + std::to_string(*record.partition)};
  }
  if (options_.partitioner) {
    const std::int32_t chosen = options_.partitioner(record, facts_.partitions);
    if (chosen >= 0 && chosen < facts_.partitions) return chosen;
    return Error{Errc::invalid_argument, "the partitioner chose " + std::to_string(chosen) + " of " + std::to_string(facts_.partitions)};
  }
  if (record.key) return partition_for_key(*record.key, facts_.partitions);
  return sticky_partition(bytes);
}

std::int32_t ProducerCore::sticky_partition(std::size_t bytes) {
  const Queue& current = *queues_[static_cast<std::size_t>(sticky_)];
  const bool same_batch =
      sticky_ < facts_.partitions && current.gathering() && current.batches_begun() == sticky_batch_ && current.fits(bytes);
  if (!same_batch) {
    sticky_ = (sticky_ + 1) % facts_.partitions;
    const Queue& next = *queues_[static_cast<std::size_t>(sticky_)];
    sticky_batch_ = next.batches_begun() + (next.gathering() && next.fits(bytes) ? 0 : 1);
  }
  return sticky_;
}

void ProducerCore::reject(SendCallback done, const Error& error) {
  if (!first_error_) first_error_ = error;
  if (!done) return;
  auto alone = std::make_shared<OutBatch>();
  alone->waiters.push_back(RecordWaiter{.done = std::move(done)});
  rejected_.push_back(Settled{.batch = std::move(alone), .result = error});
  schedule_pump();
}

void ProducerCore::admit_waiting(Outgoing& out) {
  std::vector<Header> headers;
  while (!waiting_.empty()) {
    Waiting& next = waiting_.front();
    if (!accept(next.record.view(headers), next.done)) return;
    if (next.accepted) out.admitted.push_back(std::move(next.accepted));
    waiting_.pop_front();
  }
}

void ProducerCore::mark_dirty(std::int32_t partition) {
  if (is_dirty_[static_cast<std::size_t>(partition)]) return;
  is_dirty_[static_cast<std::size_t>(partition)] = true;
  dirty_.push_back(partition);
}

void ProducerCore::mark_all_dirty() {
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    if (!queues_[i]->empty()) mark_dirty(static_cast<std::int32_t>(i));
  }
}

void ProducerCore::schedule_pump() {
  if (std::exchange(pump_scheduled_, true)) return;
  asio::post(client_->connection()->strand(), [self = shared_from_this()] { self->pump(); });
}

// --- Batches out, on the strand.

void ProducerCore::pump() {
  Outgoing out;
  {
    const std::lock_guard lock(mutex_);
    pump_scheduled_ = false;
    out = collect(now());
  }
  send_batches(out.batches);
  if (out.wants_identity) request_identity();
  if (!out.joining.empty()) join(out.transaction, out.joining);
  tell(std::move(out));
}

ProducerCore::Outgoing ProducerCore::collect(SteadyTime time) {
  Outgoing out;
  out.settled = std::exchange(rejected_, {});
  SteadyTime next = SteadyTime::max();
  for (const std::int32_t partition : std::exchange(dirty_, {})) {
    is_dirty_[static_cast<std::size_t>(partition)] = false;
    Queue& queue = *queues_[static_cast<std::size_t>(partition)];
    for (const auto& batch : queue.take_expired(time)) {
      settle(out, batch, Error{Errc::timed_out, topic_ + ": not delivered within the delivery timeout", batch->unknown_outcome});
    }
    while (auto batch = queue.next_to_send(time)) out.batches.push_back(std::move(batch));
    if (queue.wants_identity() && !queue.empty() && !identity_requested_) out.wants_identity = true;
    if (queue.wants_to_join()) {
      queue.begin_joining();
      out.joining.push_back(partition);
    }
    next = std::min(next, queue.next_event());
  }
  if (out.wants_identity) identity_requested_ = true;
  out.transaction = transaction_;
  admit_waiting(out);
  if (buffered_bytes_ == 0) {
    timer_.cancel();
    timer_at_ = SteadyTime::max();
  } else if (next < timer_at_) {
    arm_timer(next);
  }
  return out;
}

void ProducerCore::arm_timer(SteadyTime when) {
  timer_at_ = when;
  timer_.expires_at(when);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code aborted) {
    if (aborted) return;
    {
      const std::lock_guard lock(self->mutex_);
      self->timer_at_ = SteadyTime::max();
      self->mark_all_dirty();
    }
    self->pump();
  });
}

void ProducerCore::send_batches(const std::vector<std::shared_ptr<OutBatch>>& batches) {
  const std::size_t most = std::min(kRequestBytes, client_->connection()->frame_bytes_max() - kFrameOverhead);
  std::vector<std::shared_ptr<OutBatch>> together;
  std::size_t bytes = 0;
  for (const auto& batch : batches) {
    if (batch->bytes.empty()) {
      if (options_.idempotent) batch->builder.set_producer(batch->identity.id, batch->identity.epoch, batch->base_sequence);
      batch->bytes = batch->builder.build();
      batch->builder = BatchBuilder();  // Its memory would double what a batch under way takes.
    }
    const bool full = bytes + batch->bytes.size() > most || together.size() == kRequestBatches;
    if (!together.empty() && full) {
      send_request(std::exchange(together, {}));
      bytes = 0;
    }
    bytes += batch->bytes.size();
    together.push_back(batch);
  }
  if (!together.empty()) send_request(std::move(together));
}

void ProducerCore::send_request(std::vector<std::shared_ptr<OutBatch>> batches) {
  wire::Produce produce;
  Request request;
  request.type = native::FrameType::produce;
  request.on_loss = OnLoss::fail;
  request.deadline = SteadyTime::max();
  std::size_t bytes = 0;
  for (const auto& batch : batches) {
    wire::Produce::Batch& entry = *produce.add_batches();
    entry.set_topic(topic_);
    entry.set_partition(batch->partition);
    entry.set_size(static_cast<std::uint32_t>(batch->bytes.size()));
    entry.set_obey_headers(batch->obey_headers);
    request.attachments.push_back(batch->bytes);
    request.deadline = std::min(request.deadline, batch->deadline);
    bytes += batch->bytes.size();
  }
  request.head = native::encode_frame(request.type, 0, 0, produce, bytes);
  request.done = [self = shared_from_this(), batches = std::move(batches)](Result<Frame> reply) {
    self->on_produced(batches, std::move(reply));
  };
  client_->connection()->send(std::move(request));
}

void ProducerCore::on_produced(const std::vector<std::shared_ptr<OutBatch>>& batches, Result<Frame> reply) {
  wire::ProduceReply answers;
  Status readable = reply ? decode_reply(*reply, answers) : Status(reply.error());
  if (readable && static_cast<std::size_t>(answers.batches_size()) != batches.size()) {
    readable = Error{Errc::protocol_error, "a produce reply for another number of batches", true};
  }
  Outgoing out;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const std::shared_ptr<OutBatch>& batch = batches[i];
      if (batch->settled) continue;  // By shutdown(), meanwhile.
      Queue& queue = *queues_[static_cast<std::size_t>(batch->partition)];
      mark_dirty(batch->partition);
      const wire::ProduceReply::Stored* answer = readable ? &answers.batches(static_cast<int>(i)) : nullptr;
      std::optional<Error> error;
      if (answer == nullptr) error = readable.error();
      if (answer != nullptr && answer->has_error()) error = native::from_wire(answer->error());

      if (!error || error->code == Errc::duplicate_sequence) {
        queue.on_stored(batch);
        Stored stored{.topic = topic_, .partition = batch->partition, .duplicate = error.has_value()};
        if (!error) {
          stored.offset = Offset{answer->base_offset()};
          stored.duplicate = answer->duplicate();
          stored.durability = answer->durability();
          batch->outcomes = outcomes_of(*answer);
          if (facts_.append_time) stored.timestamp = Timestamp(std::chrono::milliseconds(answer->append_time_ms()));
        }
        settle(out, batch, std::move(stored));
      } else if (std::optional<Error> final = queue.on_error(batch, *error, now())) {
        settle(out, batch, *std::move(final));
      }
    }
    admit_waiting(out);
    schedule_pump();
  }
  tell(std::move(out));
}

void ProducerCore::request_identity() {
  call<wire::InitProducerReply>(
      *client_->connection(), native::FrameType::init_producer, wire::InitProducer(), OnLoss::repeat,
      [self = shared_from_this()](Result<wire::InitProducerReply> reply) {
        if (!reply) return self->on_identity(std::move(reply).error());
        self->on_identity(Identity{.id = reply->producer_id(), .epoch = static_cast<std::int16_t>(reply->producer_epoch())});
      });
}

void ProducerCore::on_identity(Result<Identity> identity) {
  Outgoing out;
  {
    const std::lock_guard lock(mutex_);
    identity_requested_ = false;
    for (const auto& queue : queues_) {
      if (!queue->wants_identity()) continue;
      if (identity) {
        queue->set_identity(*identity);
      } else if (!identity.error().retriable()) {
        for (const auto& batch : queue->take_all()) settle(out, batch, identity.error());
      }
    }
    mark_all_dirty();
    if (identity) schedule_pump();
  }
  tell(std::move(out));
  if (identity || client_->connection()->is_shut_down()) return;
  asio::post(client_->connection()->strand(), [self = shared_from_this()] { self->arm_timer(now() + kIdentityPause); });
}

void ProducerCore::on_connected() { refresh(); }

void ProducerCore::refresh() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(refreshing_, true)) return;
  }
  wire::DescribeTopic describe;
  describe.set_name(topic_);
  call<wire::TopicInfo>(*client_->connection(), native::FrameType::describe_topic, describe, OnLoss::repeat,
                        [self = shared_from_this()](Result<wire::TopicInfo> topic) {
                          const std::lock_guard lock(self->mutex_);
                          self->refreshing_ = false;
                          // A topic that went away is told by the answers to its batches.
                          if (topic) self->adopt(TopicFacts::from(*topic));
                        });
}

// --- Answers.

void ProducerCore::settle(Outgoing& out, const std::shared_ptr<OutBatch>& batch, Result<Stored> result) {
  CHECK(!batch->settled);
  batch->settled = true;
  buffered_bytes_ -= batch->charged_bytes;
  if (!result && !first_error_) first_error_ = result.error();
  for (const auto& flush : batch->flushes) {
    if (--flush->batches_left == 0) out.flushed.emplace_back(std::move(flush->done), take_first_error());
  }
  out.settled.push_back(Settled{.batch = batch, .result = std::move(result)});
}

Status ProducerCore::take_first_error() {
  const std::optional<Error> error = std::exchange(first_error_, std::nullopt);
  return error ? Status(*error) : Status();
}

void ProducerCore::tell(Outgoing out) {
  if (!out.settled.empty()) client_->run_callbacks([&] { run_waiters(out.settled); });
  for (Done<void>& admitted : out.admitted) admitted({});
  for (auto& [done, status] : out.flushed) done(status);
}

void ProducerCore::run_waiters(std::vector<Settled>& settled_batches) {
  for (Settled& settled : settled_batches) {
    const Offset base = settled.result ? settled.result->offset : Offset{-1};
    const Timestamp append_time = settled.result ? settled.result->timestamp : Timestamp{};
    const bool duplicate = settled.result && settled.result->duplicate;
    const std::vector<RecordOutcome>& outcomes = settled.batch->outcomes;
    for (RecordWaiter& waiter : settled.batch->waiters) {
      if (settled.result) {
        const auto outcome = std::ranges::lower_bound(outcomes, waiter.index, {}, &RecordOutcome::index);
        const bool special = outcome != outcomes.end() && outcome->index == waiter.index;
        settled.result->offset = special ? outcome->offset : base.value < 0 ? base : base + waiter.index;
        settled.result->duplicate = special ? outcome->duplicate : duplicate;
        settled.result->scheduled = special ? outcome->scheduled : std::string();
        settled.result->due = special ? outcome->due : Timestamp();
        settled.result->timestamp = append_time == Timestamp{} ? waiter.timestamp : append_time;
      }
      waiter.done(settled.result);
    }
    settled.batch->waiters.clear();
  }
}

void ProducerCore::flush(Done<void> done) {
  Status status;
  {
    const std::lock_guard lock(mutex_);
    const auto waiter = std::make_shared<FlushWaiter>();
    for (const auto& queue : queues_) {
      queue->seal();
      for (const auto& batch : queue->outstanding()) {
        batch->flushes.push_back(waiter);
        ++waiter->batches_left;
      }
    }
    if (waiter->batches_left > 0) {
      waiter->done = std::move(done);
      mark_all_dirty();
      return schedule_pump();
    }
    status = take_first_error();
  }
  done(status);
}

void ProducerCore::close(Done<void> done) {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  flush(std::move(done));
}

void ProducerCore::shutdown() {
  Outgoing out;
  std::vector<Done<void>> not_admitted;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    in_transaction_ = false;
    out.settled = std::exchange(rejected_, {});
    for (const auto& queue : queues_) {
      for (const auto& batch : queue->take_all()) settle(out, batch, closed_error(batch->awaiting || batch->unknown_outcome));
    }
    for (Waiting& waiting : waiting_) {
      auto alone = std::make_shared<OutBatch>();
      alone->waiters.push_back(RecordWaiter{.done = std::move(waiting.done)});
      out.settled.push_back(Settled{.batch = std::move(alone), .result = closed_error()});
      if (waiting.accepted) not_admitted.push_back(std::move(waiting.accepted));
    }
    waiting_.clear();
  }
  tell(std::move(out));
  for (Done<void>& accepted : not_admitted) accepted(closed_error());
  asio::post(client_->connection()->strand(), [self = shared_from_this()] { self->timer_.cancel(); });
}

}  // namespace tidemark::detail
