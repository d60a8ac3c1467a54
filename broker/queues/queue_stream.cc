#include "broker/queues/queue_window.h"

/// Names of the streams of queue groups in the state log.
namespace tidemark::broker {
namespace {

constexpr std::size_t kUuidBytes = 16;
constexpr std::size_t kPrefixBytes = kUuidBytes + sizeof(std::int32_t) + sizeof(std::int64_t);
constexpr std::int64_t kSliceMax = std::numeric_limits<std::int64_t>::max() / QueueWindow::kSliceOffsets - 1;

}  // namespace

storage::StreamKey queue_stream(const QueueWindow::Identity& identity, std::int64_t slice) {
  storage::StreamKey stream{storage::StreamKind::group_partition, std::string(kPrefixBytes, '\0')};
  auto* const at = reinterpret_cast<std::byte*>(stream.id.data());
  std::memcpy(at, identity.topic.bytes.data(), kUuidBytes);
  store_be<std::int32_t>(at + kUuidBytes, identity.partition);
  store_be<std::int64_t>(at + kUuidBytes + sizeof(std::int32_t), slice);
  stream.id += identity.group;
  return stream;
}

std::optional<QueueStream> parse_queue_stream(const storage::StreamKey& stream) {
  if (stream.kind != storage::StreamKind::group_partition || stream.id.size() < kPrefixBytes) return std::nullopt;
  const auto* const at = reinterpret_cast<const std::byte*>(stream.id.data());
  QueueStream parsed;
  std::memcpy(parsed.identity.topic.bytes.data(), at, kUuidBytes);
  parsed.identity.partition = load_be<std::int32_t>(at + kUuidBytes);
  parsed.slice = load_be<std::int64_t>(at + kUuidBytes + sizeof(std::int32_t));
  parsed.identity.group = stream.id.substr(kPrefixBytes);
  if (parsed.identity.partition < -1 || parsed.slice < -1 || parsed.slice > kSliceMax) return std::nullopt;
  return parsed;
}

}  // namespace tidemark::broker
