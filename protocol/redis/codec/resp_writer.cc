#include "protocol/redis/codec/resp_writer.h"

#include <algorithm>
#include <charconv>

namespace tidemark::redis {
namespace {

template <class Integer>
void append_number(std::string& out, Integer value) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  static_cast<void>(error);  // 24 characters hold any 64-bit number.
  out.append(digits, end);
}

}  // namespace

void RespWriter::header(char kind, std::size_t count) {
  out_ += kind;
  append_number(out_, count);
  out_ += "\r\n";
}

void RespWriter::simple(std::string_view text) {
  out_ += '+';
  out_ += text;
  out_ += "\r\n";
}

void RespWriter::error(std::string_view text) {
  out_ += '-';
  const std::size_t begin = out_.size();
  out_ += text;
  std::replace_if(
      out_.begin() + static_cast<std::ptrdiff_t>(begin), out_.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out_ += "\r\n";
}

void RespWriter::integer(std::int64_t value) {
  out_ += ':';
  append_number(out_, value);
  out_ += "\r\n";
}

void RespWriter::bulk(std::string_view bytes) {
  header('$', bytes.size());
  out_ += bytes;
  out_ += "\r\n";
}

void RespWriter::null() { out_ += protocol_ == Protocol::resp3 ? "_\r\n" : "$-1\r\n"; }
void RespWriter::null_array() { out_ += protocol_ == Protocol::resp3 ? "_\r\n" : "*-1\r\n"; }

void RespWriter::map(std::size_t pairs) {
  if (protocol_ == Protocol::resp3) return header('%', pairs);
  header('*', pairs * 2);
}

void RespWriter::set(std::size_t count) { header(protocol_ == Protocol::resp3 ? '~' : '*', count); }
void RespWriter::push(std::size_t count) { header(protocol_ == Protocol::resp3 ? '>' : '*', count); }

void RespWriter::boolean(bool value) {
  if (protocol_ == Protocol::resp2) return integer(value ? 1 : 0);
  out_ += value ? "#t\r\n" : "#f\r\n";
}

void RespWriter::verbatim(std::string_view text) {
  if (protocol_ == Protocol::resp2) return bulk(text);
  constexpr std::string_view kPlainText = "txt:";
  header('=', kPlainText.size() + text.size());
  out_ += kPlainText;
  out_ += text;
  out_ += "\r\n";
}

}  // namespace tidemark::redis
