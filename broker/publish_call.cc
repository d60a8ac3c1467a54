#include "broker/publish_call.h"

#include <algorithm>

#include "storage/batch/require_keys.h"

namespace tidemark::broker {
namespace {

void add_number(std::string& text, std::int64_t number) {
  std::array<std::byte, 8> bytes;
  store_le(bytes.data(), number);
  text.append(as_text(bytes));
}

}  // namespace

PublishCall::PublishCall(Broker::Impl& broker, TopicPartition where, Slice batch, Done<Appended> done)
    : broker_(broker), where_(std::move(where)), batch_(std::move(batch)), done_(std::move(done)) {}

PublishCall::~PublishCall() {
  if (charged_) broker_.staging.give_back(batch_.size());
}

void PublishCall::begin(Broker::Impl& broker, TopicPartition where, Slice batch, Done<Appended> done) {
  std::make_shared<PublishCall>(broker, std::move(where), std::move(batch), std::move(done))->judge();
}

void PublishCall::answer(Result<Appended> result) { done_(std::move(result)); }

void PublishCall::judge() {
  const auto refuse = [this](Error error) {
    error.detail = where_.topic + ":" + std::to_string(where_.partition) + ": " + error.detail;
    answer(std::move(error));
  };
  const Result<PartitionKey> key = broker_.resolve(where_);
  if (!key) return answer(key.error());
  const Topic& topic = *broker_.access.topics().by_id.at(key->topic);
  target_ = {key->topic, where_.topic, where_.partition};
  if (batch_.size() > topic.effective.message_bytes_max) {
    return refuse({Errc::batch_too_large, "a batch of " + std::to_string(batch_.size()) + " bytes, and max.message.bytes is " +
                                              std::to_string(topic.effective.message_bytes_max)});
  }
  const Result<BatchHeader> header = validate_produced_batch(batch_.view());
  if (!header) return refuse(header.error());
  header_ = *header;
  Result<std::optional<PublishFields>> fields = read_publish_fields(batch_.view(), broker_.runtime.clock().now());
  if (!fields) return refuse(std::move(fields).error());
  if (!*fields) {
    return broker_.on_partition<Appended>(where_, std::move(done_), [batch = batch_](Partition& partition, Done<Appended> answer) mutable {
      partition.append(std::move(batch), std::move(answer));
    });
  }
  fields_ = **std::move(fields);
  // When it is due, its publisher is not there to be told.
  if (topic.effective.compact && fields_.any_due) {
    if (Status keyed = require_keys(batch_.view()); !keyed) return refuse(std::move(keyed).error());
  }
  // The schedule would publish it, and the window would remember it, though the transaction is aborted.
  if (header_.is_transactional()) return refuse({Errc::invalid_argument, "a record of a transaction can have neither delay nor dedup id"});
  if (!fields_.past) return append();
  if (!header_.has_producer()) return refuse(*fields_.past);
  // A repeat, perhaps, of a batch that came in time.
  broker_.on_partition<bool>(
      where_,
      [self = shared_from_this(), refuse](Result<bool> known) {
        if (known && *known) return self->append();
        refuse(known ? *self->fields_.past : known.error());
      },
      [producer = ProducerIdentity{header_.producer_id, header_.producer_epoch}, header = header_](Partition& partition,
                                                                                                   Done<bool> answer) {
        answer(partition.knows_batch(producer, header.base_sequence, header.last_sequence()));
      });
}

/// One name for the record over all attempts to publish it: its dedup id, or its producer's number for it.
std::string PublishCall::origin(std::size_t record) const {
  const std::optional<DedupId>& id = fields_.records[record].dedup_id;
  if (!id && !header_.has_producer()) return {};
  std::string name(id ? "id" : "sequence");
  name.append(reinterpret_cast<const char*>(target_.topic.bytes.data()), target_.topic.bytes.size());
  add_number(name, target_.partition);
  if (id) {
    const std::array<char, 16> bytes = id->bytes();
    name.append(bytes.data(), bytes.size());
  } else {
    add_number(name, header_.producer_id);
    add_number(name, header_.producer_epoch);
    add_number(name, (static_cast<std::int64_t>(header_.base_sequence) + static_cast<std::int64_t>(record)) & 0x7fffffff);
  }
  const std::array<char, 16> digest = DedupId::of(name).bytes();
  return std::string(digest.data(), digest.size());
}

/// Before the partition has the batch: it may change its bytes.
std::vector<Scheduler::NewRecord> PublishCall::to_schedule() const {
  std::vector<Scheduler::NewRecord> records;
  Result<BatchReader> reader = BatchReader::open(batch_.view());
  CHECK(reader.has_value());  // Validated.
  const Timestamp now = broker_.runtime.clock().now();
  RecordView record;
  for (std::size_t i = 0;; ++i) {
    const Result<bool> more = reader->next(record);
    CHECK(more.has_value());
    if (!*more) return records;
    if (fields_.records[i].due) records.push_back({ScheduledRecord::of(record, target_, *fields_.records[i].due, now), origin(i)});
  }
}

void PublishCall::append() {
  auto plan = std::make_unique<AppendPlan>();
  for (std::size_t i = 0; i < fields_.records.size(); ++i) {
    const RecordFields& asked = fields_.records[i];
    plan->left_out.push_back(asked.due.has_value());
    plan->ids.push_back(asked.due ? std::nullopt : asked.dedup_id);
    if (asked.due) delayed_indexes_.push_back(static_cast<std::int32_t>(i));
  }
  if (fields_.any_due) {
    if (!broker_.staging.try_take(batch_.size()))
      return answer(Error{Errc::overloaded, "too many records wait for the disk; try again shortly"});
    charged_ = true;
    delayed_ = to_schedule();
  }
  const bool nothing_immediate = delayed_indexes_.size() == fields_.records.size();
  if (nothing_immediate && !header_.has_producer()) {
    Appended appended;
    appended.base_offset = Offset{-1};
    return schedule(std::move(appended));
  }
  broker_.on_partition<Appended>(
      where_,
      [self = shared_from_this()](Result<Appended> appended) {
        if (!appended || self->delayed_.empty()) return self->answer(std::move(appended));
        self->schedule(*std::move(appended));
      },
      [batch = batch_, plan = std::move(plan)](Partition& partition, Done<Appended> answer) mutable {
        partition.append(std::move(batch), std::move(plan), std::move(answer));
      });
}

void PublishCall::schedule(Appended appended) {
  const bool nothing_stored = delayed_indexes_.size() == fields_.records.size();
  const std::size_t here = broker_.current_shard();
  Done<std::vector<Scheduler::Added>> finish = [self = shared_from_this(), appended = std::move(appended),
                                                nothing_stored](Result<std::vector<Scheduler::Added>> added) mutable {
    if (!added) {
      Error error = std::move(added).error();
      error.maybe_done = error.maybe_done || !nothing_stored;
      return self->answer(std::move(error));
    }
    auto details = appended.details ? std::make_shared<PublishDetails>(*appended.details) : std::make_shared<PublishDetails>();
    for (std::size_t i = 0; i < added->size(); ++i) {
      const Scheduler::Added& one = (*added)[i];
      details->scheduled.push_back({self->delayed_indexes_[i], one.id.to_string(), one.due, one.duplicate});
    }
    const bool all_known = std::ranges::all_of(*added, &Scheduler::Added::duplicate);
    if (nothing_stored) {
      appended.base_offset = Offset{-1};
      appended.append_time = self->broker_.runtime.clock().now();
      appended.durability = Durability::fsync;
      appended.duplicate = all_known;
    }
    appended.details = std::move(details);
    self->answer(std::move(appended));
  };
  broker_.on_shard(0, [this, self = shared_from_this(), here, finish = std::move(finish)]() mutable {
    broker_.scheduler.add(
        target_, std::move(delayed_), [this, self, here, finish = std::move(finish)](Result<std::vector<Scheduler::Added>> added) mutable {
          broker_.on_shard(here, [finish = std::move(finish), added = std::move(added)]() mutable { finish(std::move(added)); });
        });
  });
}

}  // namespace tidemark::broker
