#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark::redis {

/// The two versions of RESP. They differ in how maps, sets, nulls, doubles and pushes look; HELLO chooses.
enum class Protocol : std::uint8_t { resp2 = 2, resp3 = 3 };

/// Puts a reply together. Whoever begins an array or a map must write all of its elements.
/// (https://redis.io/docs/latest/develop/reference/protocol-spec/)
class RespWriter {
 public:
  explicit RespWriter(Protocol protocol) : protocol_(protocol) {}

  Protocol protocol() const { return protocol_; }

  void simple(std::string_view text);
  /// `text` with its code, as "ERR syntax error". Line ends in it become blanks, since they would end the reply.
  void error(std::string_view text);
  void integer(std::int64_t value);
  void bulk(std::string_view bytes);
  void null();
  void null_array();
  void array(std::size_t count) { header('*', count); }
  /// `pairs` keys and values follow, in turn.
  void map(std::size_t pairs);
  void set(std::size_t count);
  /// What the client did not ask for in this place; an array in RESP2.
  void push(std::size_t count);
  /// 1 or 0 in RESP2.
  void boolean(bool value);
  /// Text for people, which RESP3 tells from data.
  void verbatim(std::string_view text);
  /// A whole reply put together elsewhere, in the same protocol.
  void raw(std::string_view reply) { out_ += reply; }

  std::size_t size() const { return out_.size(); }
  std::string take() && { return std::move(out_); }
  const std::string& text() const { return out_; }

 private:
  void header(char kind, std::size_t count);

  Protocol protocol_;
  std::string out_;
};

}  // namespace tidemark::redis
