#include "broker/jobs/source_reader.h"

#include <algorithm>

namespace tidemark::broker {
namespace {

/// One call of read(): lives as long as the last of its reads.
class Reading : public std::enable_shared_from_this<Reading> {
 public:
  Reading(const JobServices& services, SourceReader::Options options, std::vector<SourceWindow> windows,
          UniqueFunction<void(SourceRead)> done)
      : services_(services), options_(std::move(options)), done_(std::move(done)), left_(windows.size()) {
    result_.windows = std::move(windows);
    for (SourceWindow& window : result_.windows) window.end = window.from;
  }

  void begin() {
    const std::size_t count = result_.windows.size();
    if (count == 0) return done_(std::move(result_));
    for (std::size_t i = 0; i < count; ++i) read(i);
  }

 private:
  PartitionKey key(const SourceWindow& window) const { return {options_.topic, window.partition}; }

  void read(std::size_t index) {
    const SourceWindow& window = result_.windows[index];
    if (window.end >= window.to) return finished();
    ReadRequest request;
    request.from = window.end;
    request.bytes_max = options_.bytes_max;
    services_.partitions.call<ReadReply>(
        key(window), options_.name,
        [self = shared_from_this(), index](Result<ReadReply> reply) { self->on_reply(index, std::move(reply)); },
        [request](Partition& partition, Done<ReadReply> answer) { partition.read(request, std::move(answer)); });
  }

  void on_reply(std::size_t index, Result<ReadReply> reply) {
    SourceWindow& window = result_.windows[index];
    if (!reply) {
      if (reply.error().code == Errc::offset_out_of_range || reply.error().code == Errc::quarantined) {
        return look_around(index, std::move(reply).error());
      }
      return failed(std::move(reply).error());
    }
    // The end lies below `to` only where a power cut took records of a topic that does not wait for flushes.
    if (reply->next == window.end) return pass(index, window.to, window.skipped);
    for (Slice& slice : reply->batches) window.batches.push_back(std::move(slice));
    window.end = std::min(reply->next, window.to);
    if (options_.whole) return read(index);
    finished();
  }

  /// Where reading can go on.
  void look_around(std::size_t index, Error error) {
    services_.partitions.call<PartitionInfo>(
        key(result_.windows[index]), options_.name,
        [self = shared_from_this(), index, error = std::move(error)](Result<PartitionInfo> info) mutable {
          if (!info) return self->failed(std::move(info).error());
          self->go_on_behind(index, *info, std::move(error));
        },
        [](Partition& partition, Done<PartitionInfo> answer) { answer(partition.describe()); });
  }

  void go_on_behind(std::size_t index, const PartitionInfo& info, Error error) {
    SourceWindow& window = result_.windows[index];
    if (error.code == Errc::offset_out_of_range) {
      return pass(index, window.end < info.log_start ? std::min(info.log_start, window.to) : window.to, window.skipped);
    }
    const storage::Damage* const damage = storage::damage_containing(info.damage, window.end);
    if (damage == nullptr || !options_.skip_damaged) return failed(std::move(error));
    pass(index, std::min(damage->to, window.to), window.damaged);
  }

  void pass(std::size_t index, Offset to, std::uint64_t& counter) {
    SourceWindow& window = result_.windows[index];
    counter += static_cast<std::uint64_t>(to - window.end);
    if (window.batches.empty()) window.from = to;
    window.end = to;
    read(index);
  }

  void failed(Error error) {
    if (!result_.error) result_.error = std::move(error);
    finished();
  }

  void finished() {
    if (--left_ == 0) done_(std::move(result_));
  }

  const JobServices& services_;
  const SourceReader::Options options_;
  SourceRead result_;
  UniqueFunction<void(SourceRead)> done_;
  std::size_t left_;
};

}  // namespace

void SourceReader::read(const JobServices& services, Options options, std::vector<SourceWindow> windows,
                        UniqueFunction<void(SourceRead)> done) {
  std::make_shared<Reading>(services, std::move(options), std::move(windows), std::move(done))->begin();
}

}  // namespace tidemark::broker
