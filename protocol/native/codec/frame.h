#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/base/bytes.h"
#include "storage/base/result.h"

namespace google::protobuf {
class MessageLite;
}

/// Frames of the native protocol (docs/PROTOCOL.md), used by broker and client alike:
///
///     0   u32  length of what follows (12 + message + attachments)
///     4   u16  type, see FrameType
///     6   u16  flags: 1 = reply, 2 = error reply (the message is ErrorReply), 4 = pushed (correlation 0)
///     8   u32  correlation: chosen by the client, echoed in the reply
///     12  u32  bytes of the protobuf message
///     16  message, then the attachments back to back
///
/// All integers little-endian. One Hello opens every connection; replies come in request order.
namespace tidemark::native {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::size_t kFrameBytesMax = 16 * 1024 * 1024;      ///< Whole frame, after Hello.
inline constexpr std::size_t kRequestMessageBytesMax = 1024 * 1024;  ///< Of a request, without its attachments: small bytes, large objects.
inline constexpr std::size_t kHelloFrameBytesMax = 16 * 1024;        ///< Before Hello.

enum class FrameType : std::uint16_t {
  hello = 1,
  create_topic = 2,
  list_topics = 3,
  describe_topic = 4,
  alter_topic = 5,
  delete_topic = 6,
  trim_topic = 7,
  init_producer = 8,
  produce = 9,
  fetch = 10,
  find_offset = 11,
  subscribe = 12,
  credit = 13,
  unsubscribe = 14,
  deliver = 15,
  status = 16,
  doctor = 17,
  group_heartbeat = 18,
  group_news = 19,
  leave_group = 20,
  commit_offsets = 21,
  group_positions = 22,
  create_group = 23,
  alter_group = 24,
  delete_group = 25,
  list_groups = 26,
  describe_group = 27,
  group_lag = 28,
  seek_group = 29,
  group_history = 30,
  undo_seek = 31,
  join_queue = 32,
  leave_queue = 33,
  receive = 34,
  settle = 35,
  extend_lease = 36,
  create_queue = 37,
  alter_queue = 38,
  delete_queue = 39,
  create_replay = 40,
  list_jobs = 41,
  describe_job = 42,
  control_job = 43,
  describe_queue = 44,
  list_queues = 45,
  queue_pending = 46,
  queue_act = 47,
  seek_queue = 52,
  list_dead_letters = 53,
  show_dead_letters = 54,
  redrive = 55,
  purge_dead_letters = 56,
  received = 57,
  cancel_receive = 58,
  list_scheduled = 48,
  cancel_scheduled = 49,
  schedule_status = 50,
  begin_instance = 59,
  join_transaction = 60,
  commit_in_transaction = 61,
  end_transaction = 62,
};
bool known_frame_type(std::uint16_t type);
std::string_view to_string(FrameType type);

inline constexpr std::uint16_t kFlagReply = 1;
inline constexpr std::uint16_t kFlagError = 2;
inline constexpr std::uint16_t kFlagPushed = 4;

struct FrameHeader {
  FrameType type = FrameType::hello;
  std::uint16_t flags = 0;
  std::uint32_t correlation = 0;
  std::size_t message_bytes = 0;
  std::size_t attachment_bytes = 0;

  std::size_t size_bytes() const { return kFrameHeaderBytes + message_bytes + attachment_bytes; }
  /// nullopt: fewer than 16 bytes are there yet. Errors: frame_too_large, protocol_error (message longer than the frame); an unknown type
  /// is left to the caller so that it can be answered. Judged before a byte of the body is read or memory taken.
  static Result<std::optional<FrameHeader>> parse(ByteView bytes, std::size_t frame_bytes_max);
};

/// Header and message as one buffer; the caller sends the attachments behind it.
Slice encode_frame(FrameType type, std::uint16_t flags, std::uint32_t correlation, const google::protobuf::MessageLite& message,
                   std::size_t attachment_bytes = 0);
/// False if the bytes are not that message. Bounded recursion.
bool decode_message(ByteView bytes, google::protobuf::MessageLite& message);

}  // namespace tidemark::native
