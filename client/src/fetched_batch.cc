#include "client/src/fetched_batch.h"

#include <utility>

namespace tidemark {

std::string_view Message::topic() const { return batch_ == nullptr ? std::string_view() : batch_->topic(); }

std::int32_t Message::partition() const { return batch_ == nullptr ? 0 : batch_->partition(); }

Timestamp Message::timestamp() const { return Timestamp(std::chrono::milliseconds(record_.timestamp_ms)); }

std::optional<std::string_view> Message::key() const {
  if (!record_.key) return std::nullopt;
  return as_text(*record_.key);
}

std::optional<std::string_view> Message::value() const {
  if (!record_.value) return std::nullopt;
  return as_text(*record_.value);
}

std::vector<Header> Message::headers() const {
  std::vector<Header> headers;
  for (const HeaderView& view : record_.headers()) {
    Header& header = headers.emplace_back(Header{view.name});
    if (view.value) header.value = as_text(*view.value);
  }
  return headers;
}

std::optional<std::string_view> Message::header(std::string_view name) const {
  std::optional<std::string_view> last;
  for (const Header& header : headers()) {
    if (header.name == name && header.value) last = header.value;
  }
  return last;
}

namespace detail {

Result<std::shared_ptr<FetchedBatch>> FetchedBatch::take(const std::shared_ptr<const std::string>& topic, std::int32_t partition,
                                                         Slice& bytes) {
  const auto corrupt = [&](std::string_view why) {
    return Error{Errc::corrupt_batch, *topic + ":" + std::to_string(partition) + ": " + std::string(why)};
  };
  const Result<BatchHeader> header = BatchHeader::parse(bytes.view());
  if (!header) return corrupt(header.error().detail);
  if (header->size_bytes() > bytes.size()) return corrupt("the batch is longer than what was received");

  const Slice batch = bytes.subslice(0, header->size_bytes());
  bytes = bytes.subslice(batch.size(), bytes.size() - batch.size());
  if (!batch_crc_matches(batch.view())) {
    return corrupt("bad checksum in the batch at offset " + std::to_string(header->base_offset.value));
  }
  Result<BatchReader> reader = BatchReader::open(batch.view());
  if (!reader) return Error{reader.error().code, corrupt(reader.error().detail).detail};
  return std::make_shared<FetchedBatch>(topic, partition, batch, std::move(*reader));
}

Result<bool> FetchedBatch::next(Message& message) {
  Result<bool> more = reader_.next(message.record_);
  // Not copied anew for a message that is one of ours already: the count is shared between threads.
  if (more && *more && message.batch_.get() != this) message.batch_ = shared_from_this();
  return more;
}

}  // namespace detail
}  // namespace tidemark
