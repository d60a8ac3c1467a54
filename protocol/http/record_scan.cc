#include "protocol/http/record_scan.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "protocol/http/json_text.h"
#include "storage/batch/record_batch.h"

namespace tidemark::http {
namespace {

namespace json = boost::json;

constexpr std::size_t kReadBytes = 1024 * 1024;

std::string_view text_of(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::optional<std::string_view> text_of(const std::optional<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  return text_of(*bytes);
}

json::object record_value(const std::string& topic, std::int32_t partition, const RecordView& record) {
  json::object object;
  object["topic"] = topic;
  object["partition"] = partition;
  object["offset"] = record.offset.value;
  object["time"] = nullptr;
  if (record.timestamp_ms >= 0) object["time"] = time_text(Timestamp(std::chrono::milliseconds(record.timestamp_ms)));
  object["timestamp_ms"] = record.timestamp_ms;
  put_bytes(object, "key", text_of(record.key));
  put_bytes(object, "value", text_of(record.value));
  json::array headers;
  for (const HeaderView& header : record.headers()) {
    json::object element;
    put_bytes(element, "name", header.name);
    put_bytes(element, "value", text_of(header.value));
    headers.push_back(std::move(element));
  }
  object["headers"] = std::move(headers);
  object["deliveries"] = 1;
  return object;
}

std::size_t size_of(const RecordView& record) {
  return (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0) + record.header_bytes.size();
}

}  // namespace

void RecordScan::run(const Ask& ask, Plan plan) {
  const std::shared_ptr<RecordScan> scan(new RecordScan(ask, std::move(plan)));
  scan->read_next();
}

void RecordScan::run_one(const Ask& ask, Plan plan) {
  const std::shared_ptr<RecordScan> scan(new RecordScan(ask, std::move(plan)));
  scan->one_ = true;
  scan->read_next();
}

RecordScan::RecordScan(const Ask& ask, Plan plan) : ask_(ask), plan_(std::move(plan)) {
  for (const Stretch& stretch : plan_.stretches) partitions_.push_back({stretch, stretch.from, {}, 0, std::nullopt});
}

void RecordScan::read_next() {
  const std::size_t bytes_each = std::max(kReadBytes, kScanBytesMax / std::max<std::size_t>(1, partitions_.size()));
  for (; current_ < partitions_.size(); ++current_) {
    Progress& now = partitions_[current_];
    if (now.error || now.next >= now.stretch.to || now.bytes_read >= bytes_each) continue;
    // The newest are at the end: all of the stretch is wanted then.
    if (!plan_.newest && now.found.size() >= plan_.limit) continue;
    broker::ReadRequest request;
    request.from = now.next;
    request.bytes_max = kReadBytes;
    return ask_.broker().read(ask_.context(), {plan_.topic, now.stretch.partition}, request,
                              [self = shared_from_this()](Result<broker::ReadReply> reply) {
                                if (reply) return self->decode(*std::move(reply));
                                self->partitions_[self->current_].error = reply.error();
                                self->read_next();
                              });
  }
  if (one_) return answer_one();
  answer();
}

void RecordScan::answer_one() {
  Progress& only = partitions_.front();
  if (only.error) return ask_.refuse(*only.error);
  if (only.found.empty()) {
    return ask_.refuse(Error{Errc::not_found, "there is no record at " + plan_.topic + ":" + std::to_string(only.stretch.partition) + ":" +
                                                  std::to_string(only.stretch.from.value)});
  }
  ask_.reply([self = shared_from_this()] { return json::value(std::move(self->partitions_.front().found.front().value)); });
}

void RecordScan::decode(broker::ReadReply reply) {
  ask_.runtime().disk_pool().post([self = shared_from_this(), reply = std::move(reply)] {
    Progress& now = self->partitions_[self->current_];
    const Offset before = now.next;
    for (const Slice& slice : reply.batches) {
      now.bytes_read += slice.size();
      for (ByteView rest = slice.view(); !rest.empty() && !now.error;) {
        const Result<BatchHeader> header = BatchHeader::parse(rest);
        if (!header || header->size_bytes() > rest.size()) {
          now.error = header ? Error{Errc::corrupt_batch, "a batch is cut off"} : header.error();
          break;
        }
        if (const Status taken = self->take(now, rest.first(header->size_bytes())); !taken) now.error = taken.error();
        rest = rest.subspan(header->size_bytes());
      }
    }
    now.next = std::max(now.next, reply.next);
    if (now.next == before && !now.error) now.next = now.stretch.to;  // Nothing more came: somebody trimmed the rest away.
    self->ask_.runtime().shard(0).post([self] { self->read_next(); });
  });
}

/// The records of one batch that are wanted.
Status RecordScan::take(Progress& progress, ByteView batch) const {
  Result<BatchReader> reader = BatchReader::open(batch);
  if (!reader) return reader.error();
  if (reader->header().is_control()) return {};
  RecordView record;
  for (;;) {
    const Result<bool> more = reader->next(record);
    if (!more) return more.error();
    if (!*more) return {};
    if (record.offset < progress.stretch.from || record.offset >= progress.stretch.to || record.offset < progress.next) continue;
    if (plan_.filter) {
      broker::FilteredRecord view;
      view.topic = plan_.topic;
      view.partition = progress.stretch.partition;
      view.offset = record.offset.value;
      view.timestamp_ms = record.timestamp_ms;
      view.key = text_of(record.key);
      view.value = text_of(record.value);
      std::vector<HeaderView> headers;
      if (plan_.filter->uses_headers()) headers = record.headers();
      view.headers = headers;
      if (!plan_.filter->matches(view)) continue;
    }
    progress.found.push_back({progress.stretch.partition, record.offset.value, record.timestamp_ms, size_of(record),
                              record_value(plan_.topic, progress.stretch.partition, record)});
    if (plan_.newest && progress.found.size() > 2 * plan_.limit) {
      progress.found.erase(progress.found.begin(), progress.found.end() - static_cast<std::ptrdiff_t>(plan_.limit));
    }
  }
}

void RecordScan::answer() {
  ask_.reply([self = shared_from_this()] {
    std::vector<Found> all;
    json::array errors;
    for (Progress& partition : self->partitions_) {
      std::ranges::move(partition.found, std::back_inserter(all));
      if (!partition.error) continue;
      errors.push_back({{"partition", partition.stretch.partition},
                        {"code", to_string(partition.error->code)},
                        {"message", shown(partition.error->detail)}});
    }
    std::ranges::sort(all, {}, [](const Found& found) { return std::tuple(found.timestamp_ms, found.partition, found.offset); });
    const std::size_t limit = self->plan_.limit;
    if (self->plan_.newest && all.size() > limit) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(limit));
    // What does not go into the answer is where the partition is read on.
    std::map<std::int32_t, Offset> next;
    for (const Progress& partition : self->partitions_) next[partition.stretch.partition] = partition.next;
    json::array records;
    std::size_t bytes = 0;
    for (Found& found : all) {
      const bool room = records.size() < limit && (records.empty() || bytes + found.bytes <= kFieldBytesMax);
      if (room) {
        bytes += found.bytes;
        records.push_back(std::move(found.value));
      } else {
        Offset& from = next[found.partition];
        from = std::min(from, Offset{found.offset});
      }
    }
    json::array places;
    for (const Progress& partition : self->partitions_) {
      const std::int32_t number = partition.stretch.partition;
      places.push_back({{"partition", number}, {"next", next[number].value}, {"end", partition.stretch.to.value}});
    }
    return json::value({{"records", std::move(records)}, {"next", std::move(places)}, {"errors", std::move(errors)}});
  });
}

}  // namespace tidemark::http
