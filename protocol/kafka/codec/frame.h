#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/kafka/codec/api.h"
#include "protocol/kafka/codec/wire_writer.h"
#include "storage/base/bytes.h"
#include "storage/base/result.h"

/// Frames of the Kafka protocol:
///
///     0   int32  length of what follows, big-endian
///     4   header, then the body
///
/// Request header: int16 api key, int16 version, int32 correlation id, nullable client id with a 16-bit length; tagged fields behind it
/// if the version is flexible. Response header: int32 correlation id; tagged fields likewise, except that ApiVersions never has them,
/// since its reader does not know yet what the broker can do (KIP-511).
namespace tidemark::kafka {

inline constexpr std::size_t kFrameSizeBytes = 4;
inline constexpr std::size_t kFrameBytesMax = 100 * 1024 * 1024;  ///< As Kafka's socket.request.max.bytes; behind the length.
inline constexpr std::size_t kSaslFrameBytesMax = 512 * 1024;     ///< Before a connection is authenticated.

/// The number of bytes behind the length field. nullopt: fewer than four bytes are there. Errors: frame_too_large, protocol_error.
Result<std::optional<std::size_t>> frame_length(ByteView bytes, std::size_t frame_bytes_max);

struct RequestHeader {
  ApiKey api = ApiKey::api_versions;
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;
};

struct RequestFrame {
  RequestHeader header;
  Slice body;  ///< A piece of the frame.
  /// False only for ApiVersions: the body is in a version we do not know; the answer is error 35 in version 0 with our ranges. All
  /// other requests like that are errors.
  bool version_served = true;
};

/// `frame`: the bytes behind the length field. Errors, after each of which the connection is closed: protocol_error (malformed
/// header), unsupported_version (an API or version that is not served; nobody could read an answer).
Result<RequestFrame> split_request(const Slice& frame);

/// Starts a frame; the body is encoded behind it and finish_frame() ends it.
WireWriter begin_request(const RequestHeader& header);
WireWriter begin_response(ApiKey api, int version, std::int32_t correlation_id);
/// The whole frame, its length field set. Errors: as WireWriter::finish().
Result<std::vector<Slice>> finish_frame(WireWriter writer);

struct ResponseFrame {
  std::int32_t correlation_id = 0;
  Slice body;
};
/// The client's side: `frame` without the length field. Errors: protocol_error.
Result<ResponseFrame> split_response(ApiKey api, int version, const Slice& frame);

}  // namespace tidemark::kafka
