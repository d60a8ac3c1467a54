#include "protocol/kafka/codec/frame.h"

#include <utility>

#include "protocol/kafka/codec/wire_reader.h"

namespace tidemark::kafka {
namespace {

bool response_header_flexible(const ApiInfo& api, int version) { return api.key != ApiKey::api_versions && api.flexible(version); }

}  // namespace

Result<std::optional<std::size_t>> frame_length(ByteView bytes, std::size_t frame_bytes_max) {
  if (bytes.size() < kFrameSizeBytes) return std::optional<std::size_t>();
  const auto length = load_be<std::int32_t>(bytes.data());
  if (length < 0) return Error{Errc::protocol_error, "a frame of " + std::to_string(length) + " bytes"};
  if (static_cast<std::size_t>(length) > frame_bytes_max) {
    return Error{Errc::frame_too_large,
                 "a frame of " + std::to_string(length) + " bytes; at most " + std::to_string(frame_bytes_max) + " are taken"};
  }
  return std::optional(static_cast<std::size_t>(length));
}

Result<RequestFrame> split_request(const Slice& frame) {
  WireReader in(frame, false);
  RequestFrame request;
  const std::int16_t key = in.int16("api_key");
  request.header.version = in.int16("api_version");
  request.header.correlation_id = in.int32("correlation_id");
  if (in.failed()) return in.finish("request header", 0).error();

  const ApiInfo* const api = find_api(key);
  if (api == nullptr || !api->advertised) return Error{Errc::unsupported_version, "request with api key " + std::to_string(key)};
  request.header.api = api->key;
  request.version_served = api->serves(request.header.version);
  if (!request.version_served && api->key != ApiKey::api_versions) {
    return Error{Errc::unsupported_version, std::string(api->name) + " v" + std::to_string(request.header.version)};
  }
  request.header.client_id = in.nullable_string("client_id", true);
  if (api->flexible(request.header.version)) in.skip_tags();
  if (in.failed()) return in.finish("request header", 0).error();
  request.body = in.rest();
  return request;
}

WireWriter begin_request(const RequestHeader& header) {
  const bool flexible = api_info(header.api).flexible(header.version);
  WireWriter out(flexible);
  out.int32(0);  // The length: set by finish_frame().
  out.int16(static_cast<std::int16_t>(header.api));
  out.int16(header.version);
  out.int32(header.correlation_id);
  out.classic_nullable_string(header.client_id);
  if (flexible) out.uvarint(0);
  return out;
}

WireWriter begin_response(ApiKey api, int version, std::int32_t correlation_id) {
  const ApiInfo& info = api_info(api);
  WireWriter out(info.flexible(version));
  out.int32(0);  // The length: set by finish_frame().
  out.int32(correlation_id);
  if (response_header_flexible(info, version)) out.uvarint(0);
  return out;
}

Result<std::vector<Slice>> finish_frame(WireWriter writer) {
  const std::size_t size = writer.size();
  Result<std::vector<Slice>> frame = std::move(writer).finish();
  if (!frame) return frame;
  CHECK(!frame->empty() && frame->front().size() >= kFrameSizeBytes);  // begin_*() wrote the header into one buffer.
  store_be(frame->front().data(), static_cast<std::int32_t>(size - kFrameSizeBytes));
  return frame;
}

Result<ResponseFrame> split_response(ApiKey api, int version, const Slice& frame) {
  WireReader in(frame, false);
  ResponseFrame response;
  response.correlation_id = in.int32("correlation_id");
  if (response_header_flexible(api_info(api), version)) in.skip_tags();
  if (in.failed()) return in.finish("response header", 0).error();
  response.body = in.rest();
  return response;
}

}  // namespace tidemark::kafka
