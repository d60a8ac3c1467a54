#include "protocol/native/codec/frame.h"

#include <array>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message_lite.h>

namespace tidemark::native {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr int kRecursionMax = 16;

constexpr std::array<std::string_view, 63> kNames = {
    "",
    "hello",
    "create_topic",
    "list_topics",
    "describe_topic",
    "alter_topic",
    "delete_topic",
    "trim_topic",
    "init_producer",
    "produce",
    "fetch",
    "find_offset",
    "subscribe",
    "credit",
    "unsubscribe",
    "deliver",
    "status",
    "doctor",
    "group_heartbeat",
    "group_news",
    "leave_group",
    "commit_offsets",
    "group_positions",
    "create_group",
    "alter_group",
    "delete_group",
    "list_groups",
    "describe_group",
    "group_lag",
    "seek_group",
    "group_history",
    "undo_seek",
    "join_queue",
    "leave_queue",
    "receive",
    "settle",
    "extend_lease",
    "create_queue",
    "alter_queue",
    "delete_queue",
    "create_replay",
    "list_jobs",
    "describe_job",
    "control_job",
    "describe_queue",
    "list_queues",
    "queue_pending",
    "queue_act",
    "list_scheduled",
    "cancel_scheduled",
    "schedule_status",
    "",
    "seek_queue",
    "list_dead_letters",
    "show_dead_letters",
    "redrive",
    "purge_dead_letters",
    "received",
    "cancel_receive",
    "begin_instance",
    "join_transaction",
    "commit_in_transaction",
    "end_transaction",
};

/// Empty for a number that is no type.
std::string_view name_of(std::uint16_t type) { return type < kNames.size() ? kNames[type] : std::string_view(); }

}  // namespace

bool known_frame_type(std::uint16_t type) { return !name_of(type).empty(); }

std::string_view to_string(FrameType type) {
  const std::string_view name = name_of(static_cast<std::uint16_t>(type));
  return name.empty() ? std::string_view("unknown") : name;
}

Result<std::optional<FrameHeader>> FrameHeader::parse(ByteView bytes, std::size_t frame_bytes_max) {
  if (bytes.size() < kLengthBytes) return std::optional<FrameHeader>();
  const std::size_t length = load_le<std::uint32_t>(bytes.data());
  if (length < kFrameHeaderBytes - kLengthBytes) {
    return Error{Errc::protocol_error, "a frame of " + std::to_string(length) + " bytes is shorter than its header"};
  }
  if (length + kLengthBytes > frame_bytes_max) {
    return Error{Errc::frame_too_large,
                 "a frame of " + std::to_string(length + kLengthBytes) + " bytes, the most is " + std::to_string(frame_bytes_max)};
  }
  if (bytes.size() < kFrameHeaderBytes) return std::optional<FrameHeader>();
  FrameHeader header;
  header.type = static_cast<FrameType>(load_le<std::uint16_t>(bytes.data() + 4));
  header.flags = load_le<std::uint16_t>(bytes.data() + 6);
  header.correlation = load_le<std::uint32_t>(bytes.data() + 8);
  header.message_bytes = load_le<std::uint32_t>(bytes.data() + 12);
  const std::size_t body = length - (kFrameHeaderBytes - kLengthBytes);
  if (header.message_bytes > body) {
    return Error{Errc::protocol_error,
                 "a message of " + std::to_string(header.message_bytes) + " bytes in a frame body of " + std::to_string(body)};
  }
  header.attachment_bytes = body - header.message_bytes;
  return std::optional(header);
}

Slice encode_frame(FrameType type, std::uint16_t flags, std::uint32_t correlation, const google::protobuf::MessageLite& message,
                   std::size_t attachment_bytes) {
  const std::size_t message_bytes = message.ByteSizeLong();
  Slice frame = Slice::allocate(kFrameHeaderBytes + message_bytes);
  std::byte* const at = frame.data();
  store_le(at, static_cast<std::uint32_t>(kFrameHeaderBytes - kLengthBytes + message_bytes + attachment_bytes));
  store_le(at + 4, static_cast<std::uint16_t>(type));
  store_le(at + 6, flags);
  store_le(at + 8, correlation);
  store_le(at + 12, static_cast<std::uint32_t>(message_bytes));
  CHECK(message.SerializeToArray(at + kFrameHeaderBytes, static_cast<int>(message_bytes)));
  return frame;
}

bool decode_message(ByteView bytes, google::protobuf::MessageLite& message) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kRecursionMax);
  return message.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

}  // namespace tidemark::native
