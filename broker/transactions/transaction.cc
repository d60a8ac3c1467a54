#include "broker/transactions/transaction.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

namespace tidemark::broker {
namespace {

/// The largest epoch an instance gets; the one above is for fencing it.
constexpr std::int16_t kEpochMax = std::numeric_limits<std::int16_t>::max() - 1;

constexpr std::array<std::string_view, 6> kStateNames = {"Empty",        "Ongoing",        "PrepareCommit",
                                                         "PrepareAbort", "CompleteCommit", "CompleteAbort"};

Error concurrent() { return {Errc::concurrent_transactions, "the transaction before is still being finished: try again"}; }
Error fenced(const ProducerIdentity& producer, const Transaction& now) {
  return {Errc::producer_fenced, "producer " + std::to_string(producer.id) + " epoch " + std::to_string(producer.epoch) +
                                     " was replaced by epoch " + std::to_string(now.producer.epoch)};
}

Status check_producer(const Transaction& now, const ProducerIdentity& producer) {
  if (producer.id != now.producer.id) {
    return Error{Errc::unknown_transactional_id, "the transactional id does not belong to producer " + std::to_string(producer.id)};
  }
  if (producer.epoch != now.producer.epoch) return fenced(producer, now);
  return {};
}

/// The value in which something can be added to the transaction.
Result<Transaction> joined(const Transaction& now, const ProducerIdentity& producer, Timestamp time) {
  if (Status known = check_producer(now, producer); !known) return std::move(known).error();
  if (now.preparing()) return concurrent();
  Transaction next = now;
  if (!next.ongoing()) {
    next.state = TransactionState::ongoing;
    next.started = time;
  }
  return next;
}

std::int64_t to_ms(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp from_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

}  // namespace

std::string_view to_string(TransactionState state) { return kStateNames[static_cast<std::size_t>(state)]; }

std::optional<TransactionState> parse_transaction_state(std::string_view name) {
  const auto found = std::ranges::find(kStateNames, name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<TransactionState>(found - kStateNames.begin());
}

bool Transaction::exhausted() const { return producer.epoch >= kEpochMax; }

Status check_expected(const Transaction& now, const BeginTransactions& request) {
  if (!request.expected || now.producer.epoch < 0) return {};  // One just made answers a producer whose id was forgotten, too.
  const ProducerIdentity& expected = *request.expected;
  const bool same = expected.id == now.producer.id && (expected.epoch == now.producer.epoch || expected.epoch == now.last_epoch);
  // Its epochs ran out, and the answer with the new id was lost.
  const bool rotated = expected.id == now.last_producer && expected.epoch >= kEpochMax;
  if (same || rotated) return {};
  return fenced(expected, now);
}

Result<Transaction> begin_instance(const Transaction& now, const BeginTransactions& request, std::optional<std::int64_t> fresh_id,
                                   Timestamp time) {
  CHECK(!now.ongoing());
  if (Status expected = check_expected(now, request); !expected) return std::move(expected).error();
  if (now.preparing()) return concurrent();
  Transaction next = now;
  next.timeout = request.timeout;
  next.updated = time;
  next.state = TransactionState::empty;
  const bool fresh = now.producer.epoch < 0;
  const bool retried =
      !fresh && request.expected && (request.expected->id != now.producer.id || request.expected->epoch != now.producer.epoch);
  if (retried) return next;  // The first attempt has bumped it; its answer was lost.
  if (fresh || now.exhausted()) {
    CHECK(fresh_id.has_value());
    next.last_producer = fresh ? -1 : now.producer.id;
    next.last_epoch = -1;
    next.producer = {*fresh_id, 0};
    return next;
  }
  next.last_epoch = request.expected ? now.producer.epoch : std::int16_t{-1};
  next.last_producer = -1;
  ++next.producer.epoch;
  return next;
}

Result<Transaction> add_partitions(const Transaction& now, const ProducerIdentity& producer, std::span<const PartitionKey> partitions,
                                   Timestamp time) {
  Result<Transaction> next = joined(now, producer, time);
  if (!next) return next;
  next->partitions.insert(partitions.begin(), partitions.end());
  if (next->partitions.size() > kTransactionPartitionsMax) {
    return Error{Errc::overloaded, "a transaction has at most " + std::to_string(kTransactionPartitionsMax) + " partitions"};
  }
  if (*next != now) next->updated = time;
  return next;
}

Result<Transaction> add_group(const Transaction& now, const ProducerIdentity& producer, const std::string& group, Timestamp time) {
  Result<Transaction> next = joined(now, producer, time);
  if (!next) return next;
  next->groups.insert(group);
  if (next->groups.size() > kTransactionGroupsMax) {
    return Error{Errc::overloaded, "a transaction has at most " + std::to_string(kTransactionGroupsMax) + " groups"};
  }
  if (*next != now) next->updated = time;
  return next;
}

Result<Transaction> decide_end(const Transaction& now, const ProducerIdentity& producer, bool commit, Timestamp time) {
  if (Status known = check_producer(now, producer); !known) return std::move(known).error();
  const bool same = now.commits() == commit;
  switch (now.state) {
    case TransactionState::ongoing: {
      Transaction next = now;
      next.state = commit ? TransactionState::prepare_commit : TransactionState::prepare_abort;
      next.updated = time;
      return next;
    }
    case TransactionState::prepare_commit:
    case TransactionState::prepare_abort:
      if (same) return concurrent();
      break;
    case TransactionState::complete_commit:
    case TransactionState::complete_abort:
      if (same) return now;
      break;
    case TransactionState::empty:
      break;
  }
  return Error{Errc::invalid_transaction_state,
               std::string(commit ? "commit" : "abort") + " of a transaction that is " + std::string(to_string(now.state))};
}

Transaction fence(const Transaction& now, Timestamp time) {
  CHECK(now.ongoing());
  Transaction next = now;
  next.state = TransactionState::prepare_abort;
  // An exhausted one is at the last epoch already when it is fenced again.
  if (next.producer.epoch < std::numeric_limits<std::int16_t>::max()) ++next.producer.epoch;
  next.last_epoch = -1;
  next.updated = time;
  return next;
}

Transaction complete(const Transaction& now, Timestamp time) {
  CHECK(now.preparing());
  Transaction next = now;
  next.state = now.commits() ? TransactionState::complete_commit : TransactionState::complete_abort;
  next.partitions.clear();
  next.groups.clear();
  next.started = {};
  next.updated = time;
  return next;
}

// --- Records.

storage::StreamKey transaction_stream(const std::string& id) { return {storage::StreamKind::transaction, id}; }

storage::StateRecord to_record(const std::string& id, const Transaction& transaction) {
  state::TransactionChange change;
  change.set_producer(transaction.producer.id);
  change.set_epoch(transaction.producer.epoch);
  change.set_last_epoch(transaction.last_epoch);
  change.set_last_producer(transaction.last_producer);
  change.set_state(static_cast<std::uint32_t>(transaction.state));
  change.set_timeout_ms(transaction.timeout.count());
  change.set_started_ms(to_ms(transaction.started));
  change.set_updated_ms(to_ms(transaction.updated));
  state::TransactionChange::Partitions* topic = nullptr;
  std::optional<Uuid> topic_id;
  for (const PartitionKey& key : transaction.partitions) {
    if (topic_id != key.topic) {
      topic = change.add_partitions();
      topic->set_topic(std::string(reinterpret_cast<const char*>(key.topic.bytes.data()), key.topic.bytes.size()));
      topic_id = key.topic;
    }
    topic->add_partitions(key.partition);
  }
  for (const std::string& group : transaction.groups) change.add_groups(group);
  storage::StateRecord record{
      .stream = transaction_stream(id), .type = storage::StateRecordType::snapshot, .last_part = true, .sequence = 0, .payload = {}};
  record.payload.resize(change.ByteSizeLong());
  CHECK(change.SerializeToArray(record.payload.data(), static_cast<int>(record.payload.size())));
  return record;
}

Result<Transaction> decode_transaction(const storage::StateRecord& record) {
  state::TransactionChange change;
  const bool parsed = change.ParseFromArray(record.payload.data(), static_cast<int>(record.payload.size()));
  if (!parsed || change.state() >= kStateNames.size()) return Error{Errc::corrupt_batch, "the state of a transaction does not decode"};
  Transaction transaction;
  transaction.producer = {change.producer(), static_cast<std::int16_t>(change.epoch())};
  transaction.last_epoch = static_cast<std::int16_t>(change.last_epoch());
  transaction.last_producer = change.last_producer();
  transaction.state = static_cast<TransactionState>(change.state());
  transaction.timeout = std::chrono::milliseconds(change.timeout_ms());
  transaction.started = from_ms(change.started_ms());
  transaction.updated = from_ms(change.updated_ms());
  for (const auto& topic : change.partitions()) {
    PartitionKey key;
    if (topic.topic().size() != key.topic.bytes.size()) return Error{Errc::corrupt_batch, "the state of a transaction names no topic"};
    std::copy(topic.topic().begin(), topic.topic().end(), reinterpret_cast<char*>(key.topic.bytes.data()));
    for (const std::int32_t partition : topic.partitions()) {
      key.partition = partition;
      transaction.partitions.insert(key);
    }
  }
  transaction.groups.insert(change.groups().begin(), change.groups().end());
  return transaction;
}

}  // namespace tidemark::broker
