#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "storage/base/bytes.h"
#include "storage/base/result.h"
#include "storage/batch/record_batch.h"
#include "tidemark/record.h"

namespace tidemark::detail {

/// One received batch, unpacked; the messages made from it share it.
class FetchedBatch : public std::enable_shared_from_this<FetchedBatch> {
 public:
  /// Takes the first batch off the front of `bytes`. Checks framing and checksum: memory and network are not the disk. Error corrupt_batch.
  static Result<std::shared_ptr<FetchedBatch>> take(const std::shared_ptr<const std::string>& topic, std::int32_t partition, Slice& bytes);

  FetchedBatch(std::shared_ptr<const std::string> topic, std::int32_t partition, Slice bytes, BatchReader reader)
      : topic_(std::move(topic)), partition_(partition), bytes_(std::move(bytes)), reader_(std::move(reader)) {}

  const BatchHeader& header() const { return reader_.header(); }
  /// The next record; false after the last one. By one thread at a time.
  Result<bool> next(Message& message);

  const std::string& topic() const { return *topic_; }
  std::int32_t partition() const { return partition_; }

 private:
  std::shared_ptr<const std::string> topic_;
  std::int32_t partition_;
  Slice bytes_;
  BatchReader reader_;
};

}  // namespace tidemark::detail
