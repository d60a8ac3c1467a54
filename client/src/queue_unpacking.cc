#include "client/src/queue_unpacking.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "client/src/fetched_batch.h"
#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

using Topic = std::shared_ptr<const std::string>;
using Partition = wire::Received::Partition;

Error malformed(std::string detail) { return {Errc::protocol_error, "records received: " + std::move(detail)}; }

/// Runs are within the offsets there are, together at most `left` records, which is lowered by them.
Status check_runs(const Partition& partition, std::size_t& left) {
  for (const wire::Received::Run& run : partition.runs()) {
    if (run.first() < 0 || run.count() < 1 || run.count() > std::numeric_limits<std::int64_t>::max() - run.first()) {
      return malformed("no offsets: " + std::to_string(run.count()) + " from " + std::to_string(run.first()) + " on");
    }
    if (static_cast<std::uint64_t>(run.count()) > left) return malformed("more than were asked for");
    left -= static_cast<std::size_t>(run.count());
  }
  return {};
}

/// Collects the messages of all batches whose offsets are in `wanted`, which ascends. What cannot be read is left out and told.
std::vector<Message> collect(const Topic& topic, const Partition& partition, Slice bytes, const std::vector<std::int64_t>& wanted,
                             std::optional<Error>& error) {
  std::vector<Message> found;
  found.reserve(wanted.size());
  while (!bytes.empty()) {
    const Result<std::shared_ptr<FetchedBatch>> batch = FetchedBatch::take(topic, partition.partition(), bytes);
    if (!batch) {
      error = batch.error();
      // Behind a bad checksum the next batch can be found, behind bad framing it cannot; one rule for both.
      return found;
    }
    for (;;) {
      Message message;
      const Result<bool> more = (*batch)->next(message);
      if (!more) error = more.error();
      if (!more || !*more) break;
      if (std::ranges::binary_search(wanted, message.offset().value)) found.push_back(std::move(message));
    }
  }
  return found;
}

void unpack_partition(const Topic& topic, const Partition& partition, Slice bytes, Unpacked& out) {
  std::vector<std::int64_t> wanted;
  for (const wire::Received::Run& run : partition.runs()) {
    for (std::int64_t i = 0; i < run.count(); ++i) wanted.push_back(run.first() + i);
  }
  std::ranges::sort(wanted);
  std::optional<Error> damage;
  std::vector<Message> found = collect(topic, partition, std::move(bytes), wanted, damage);
  std::ranges::sort(found, {}, &Message::offset);
  const std::string reason = damage ? damage->detail : "the record did not come along";
  for (const wire::Received::Run& run : partition.runs()) {
    for (std::int64_t i = 0; i < run.count(); ++i) {
      const Offset offset{run.first() + i};
      const auto at = std::ranges::lower_bound(found, offset, {}, &Message::offset);
      if (at != found.end() && at->offset() == offset) {
        out.records.push_back({.message = *at, .deliveries = run.deliveries(), .failures = run.failures()});
      } else {
        out.missing.push_back({.partition = partition.partition(), .offset = offset, .deliveries = run.deliveries(), .reason = reason});
      }
    }
  }
  if (damage) out.error = std::move(damage);
}

}  // namespace

Unpacked unpack_received(const Topic& topic, const wire::Received& received, Slice batches, std::size_t records_max) {
  Unpacked out;
  std::size_t left = records_max;
  std::size_t bytes = 0;
  for (const Partition& partition : received.partitions()) {
    const Status sound = check_runs(partition, left);
    bytes += partition.size();
    if (sound) continue;
    out.error = sound.error();
    return out;
  }
  if (bytes != batches.size()) {
    out.error = malformed("batches of " + std::to_string(bytes) + " bytes are named, and there are " + std::to_string(batches.size()));
    return out;
  }
  for (const Partition& partition : received.partitions()) {
    const Slice its = batches.subslice(0, partition.size());
    batches = batches.subslice(its.size(), batches.size() - its.size());
    unpack_partition(topic, partition, its, out);
  }
  return out;
}

}  // namespace tidemark::detail
