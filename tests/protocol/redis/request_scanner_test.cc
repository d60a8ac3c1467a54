#include "protocol/redis/codec/request_scanner.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/redis/codec/resp_request.h"

namespace tidemark::redis {
namespace {

using Requests = std::vector<std::vector<std::string>>;

/// What a connection makes of bytes that come in pieces.
struct Heard {
  Requests requests;
  std::string error;
  bool operator==(const Heard&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Heard& heard) {
  out << heard.requests.size() << " requests";
  for (const auto& request : heard.requests) {
    out << " [";
    for (const std::string& argument : request) out << "'" << argument << "' ";
    out << "]";
  }
  return out << " error '" << heard.error << "'";
}

/// Keeps a buffer as a session does: complete requests are taken out, the rest is moved to the front.
class Connection {
 public:
  explicit Connection(RequestLimits limits = {}) : scanner_(limits) {}

  void receive(std::string_view piece) {
    buffer_ += piece;
    while (heard.error.empty()) {
      const Result<std::optional<std::size_t>> size = scanner_.scan(as_bytes(buffer_));
      if (!size) {
        EXPECT_EQ(size.error().code, Errc::protocol_error);
        heard.error = size.error().detail;
        return;
      }
      if (!*size || **size > buffer_.size()) return;
      take(buffer_.substr(0, **size));
      buffer_.erase(0, **size);
    }
  }

  Heard heard;

 private:
  void take(std::string whole) {
    MutableBytes rest = std::as_writable_bytes(std::span(whole.data(), whole.size()));
    Arguments arguments;
    while (!rest.empty()) {
      const std::size_t size = parse_request(rest, arguments);
      ASSERT_GT(size, 0u);
      ASSERT_LE(size, rest.size());
      if (!arguments.empty()) heard.requests.emplace_back(arguments.begin(), arguments.end());
      rest = rest.subspan(size);
    }
  }

  RequestScanner scanner_;
  std::string buffer_;
};

Heard hear(const std::vector<std::string>& pieces, RequestLimits limits = {}) {
  Connection connection(limits);
  for (const std::string& piece : pieces) connection.receive(piece);
  return connection.heard;
}

std::string array_of(const std::vector<std::string>& arguments) {
  std::string text = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& argument : arguments) text += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  return text;
}

TEST(RequestScanner, hears_the_same_wherever_the_bytes_are_cut) {
  const std::string bytes = array_of({"XADD", "k", "*", "f", "a\r\n$1\r\nb"}) + "PING\r\n" + array_of({"ECHO", ""}) + "*0\r\n*-1\r\n\r\n" +
                            "SET \"a b\\x41\" 'c'\n" + array_of({"XLEN", std::string(300, 'x')});
  const Heard whole = hear({bytes});
  ASSERT_EQ(whole.requests.size(), 5u);
  EXPECT_EQ(whole.requests[0], (std::vector<std::string>{"XADD", "k", "*", "f", "a\r\n$1\r\nb"}));
  EXPECT_EQ(whole.requests[3], (std::vector<std::string>{"SET", "a bA", "c"}));
  EXPECT_EQ(whole.error, "");
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    EXPECT_EQ(hear({bytes.substr(0, first), bytes.substr(first)}), whole) << "cut at " << first;
    for (std::size_t second = first; second <= bytes.size(); second += 7) {
      EXPECT_EQ(hear({bytes.substr(0, first), bytes.substr(first, second - first), bytes.substr(second)}), whole)
          << "cut at " << first << " and " << second;
    }
  }
}

TEST(RequestScanner, hands_out_many_requests_at_once) {
  RequestScanner scanner;
  const std::string one = array_of({"PING"});
  const std::string bytes = one + one + one + "*1\r\n$4\r\nPI";
  const auto size = scanner.scan(as_bytes(bytes));
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, 3 * one.size());
}

TEST(RequestScanner, tells_the_size_of_a_large_last_argument_before_it_is_there) {
  RequestScanner scanner;
  const std::string head = "*3\r\n$4\r\nECHO\r\n$1\r\nx\r\n$1000000\r\n";
  const auto size = scanner.scan(as_bytes(head + "y"));
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, head.size() + 1000000 + 2);
}

TEST(RequestScanner, hands_out_what_comes_before_an_error_first) {
  const Heard heard = hear({array_of({"PING"}) + "*1\r\n:3\r\n"});
  EXPECT_EQ(heard.requests.size(), 1u);
  EXPECT_EQ(heard.error, "Protocol error: expected '$', got ':'");
}

struct Wrong {
  const char* name;
  std::string bytes;
  std::string error;
};
void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }
class ProtocolError : public testing::TestWithParam<Wrong> {};
TEST_P(ProtocolError, is_told_in_redis_words) {
  RequestLimits small;
  small.inline_bytes_max = 1000;
  small.bulk_bytes_max = 10'000;
  small.request_bytes_max = 15'000;
  small.arguments_max = 100;
  EXPECT_EQ(hear({GetParam().bytes}, small).error, "Protocol error: " + GetParam().error);
}
INSTANTIATE_TEST_SUITE_P(, ProtocolError,
                         testing::Values(Wrong{"count_is_no_number", "*abc\r\n", "invalid multibulk length"},
                                         Wrong{"count_with_zero", "*01\r\n", "invalid multibulk length"},
                                         Wrong{"count_too_large", "*101\r\n", "invalid multibulk length"},
                                         Wrong{"count_beyond_64_bits", "*99999999999999999999\r\n", "invalid multibulk length"},
                                         Wrong{"count_without_end", "*" + std::string(1001, '1'), "too big mbulk count string"},
                                         Wrong{"no_bulk", "*1\r\nfoo\r\n", "expected '$', got 'f'"},
                                         Wrong{"bulk_negative", "*1\r\n$-1\r\n", "invalid bulk length"},
                                         Wrong{"bulk_is_no_number", "*1\r\n$x\r\n", "invalid bulk length"},
                                         Wrong{"bulk_too_large", "*1\r\n$10001\r\n", "invalid bulk length"},
                                         Wrong{"bulk_without_end", "*1\r\n$" + std::string(1001, '1'), "too big bulk count string"},
                                         Wrong{"request_too_large", "*2\r\n$9000\r\n" + std::string(9000, 'x') + "\r\n$9000\r\n",
                                               "invalid bulk length"},
                                         Wrong{"line_without_end", std::string(1001, 'x'), "too big inline request"},
                                         Wrong{"quotes_open", "PING \"x\r\n", "unbalanced quotes in request"},
                                         Wrong{"quotes_not_followed_by_a_blank", "PING 'x'y\r\n", "unbalanced quotes in request"}),
                         [](const auto& test_case) { return test_case.param.name; });

/// Random pieces of requests, mutilated: nothing may be read beyond the buffer (the sanitizers look), and cutting changes nothing.
TEST(RequestScanner, takes_any_bytes) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::vector<std::string> words = {"*",    "$",     "\r\n", "\r",
                                          "\n",   "-1",    "0",    "1",
                                          "3",    "12",    "\"",   "'",
                                          "\\x4", "PING",  " ",    "*1\r\n$4\r\nPING\r\n",
                                          ":",    "_\r\n", "x",    std::string("\0", 1)};
  RequestLimits small;
  small.inline_bytes_max = 200;
  small.bulk_bytes_max = 500;
  small.request_bytes_max = 1000;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::size_t n = random() % 30; n > 0; --n) bytes += words[random() % words.size()];
    const Heard whole = hear({bytes}, small);
    const std::size_t cut = random() % (bytes.size() + 1);
    ASSERT_EQ(hear({bytes.substr(0, cut), bytes.substr(cut)}, small), whole) << testing::PrintToString(bytes) << " cut at " << cut;
  }
}

}  // namespace
}  // namespace tidemark::redis
