#include "broker/epoch_search.h"

#include <algorithm>

namespace tidemark::broker {
namespace {

struct EpochSearch : std::enable_shared_from_this<EpochSearch> {
  std::shared_ptr<Partition> partition;
  std::int32_t epoch = 0;
  Done<EpochEnd> done;
  Offset low;       ///< Every batch below is of `epoch` or an earlier one...
  Offset high;      ///< ...and every batch from here on of a later one.
  Offset boundary;  ///< Where the first later batch known begins.
  std::optional<std::int32_t> epoch_below;

  void step() {
    if (low >= high) return done(EpochEnd{epoch_below.value_or(epoch), boundary});
    const Offset middle = low + (high - low) / 2;
    partition->read_raw({.from = middle, .bytes_max = 1, .bytes_min = 1, .wait_max = {}, .isolation = Isolation::uncommitted},
                        [self = shared_from_this(), middle](Result<ReadReply> read) { self->take(middle, std::move(read)); });
  }

  void take(Offset middle, Result<ReadReply> read) {
    if (!read) return done(std::move(read).error());
    if (read->batches.empty()) {  // Cleaning left nothing from the middle on.
      high = middle;
      return step();
    }
    const Result<BatchHeader> batch = BatchHeader::parse(read->batches.front().view());
    if (!batch) return done(batch.error());
    if (batch->leader_epoch > epoch) {
      boundary = std::min(boundary, batch->base_offset);
      high = std::min(middle, batch->base_offset);
    } else {
      epoch_below = batch->leader_epoch;
      low = batch->end_offset();
    }
    step();
  }
};

}  // namespace

void find_epoch_end(std::shared_ptr<Partition> partition, std::int32_t epoch, Done<EpochEnd> done) {
  const std::int32_t current = partition->leader_epoch();
  if (epoch < 0 || epoch > current) return done(EpochEnd{});
  if (epoch == current) return done(EpochEnd{current, partition->high_watermark()});
  auto search = std::make_shared<EpochSearch>();
  search->low = partition->log_start();
  search->high = search->boundary = partition->high_watermark();
  search->partition = std::move(partition);
  search->epoch = epoch;
  search->done = std::move(done);
  search->step();
}

}  // namespace tidemark::broker
