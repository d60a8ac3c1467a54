#include "tools/tidemark/line_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using namespace std::string_literals;

/// Hands out `text` in pieces of `piece` bytes.
LineReader::Source pieces_of(std::string text, std::size_t piece) {
  return [text = std::move(text), piece, at = std::size_t{0}](MutableBytes into) mutable -> Result<std::size_t> {
    const std::size_t count = std::min({piece, into.size(), text.size() - at});
    std::memcpy(into.data(), text.data() + at, count);
    at += count;
    return count;
  };
}

/// The lines as text; a line that is too long as "<too long N>".
std::vector<std::string> lines_of(std::string text, std::size_t piece, LineReader::Options options) {
  LineReader reader(pieces_of(std::move(text), piece), options);
  std::vector<std::string> lines;
  for (;;) {
    const Result<LineReader::Line> line = reader.next();
    if (!line || line->kind == LineReader::Kind::end) return lines;
    const bool too_long = line->kind == LineReader::Kind::too_long;
    lines.push_back(too_long ? "<too long " + std::to_string(line->number) + ">" : std::string(line->text));
    EXPECT_EQ(line->number, lines.size());
  }
}

class LineReaderPieces : public testing::TestWithParam<std::size_t> {
 protected:
  std::vector<std::string> lines(std::string text, LineReader::Options options = {.line_bytes_max = 8, .block_bytes = 4}) {
    return lines_of(std::move(text), GetParam(), options);
  }
};
INSTANTIATE_TEST_SUITE_P(, LineReaderPieces, testing::Values(1, 2, 3, 5, 1000), testing::PrintToStringParamName());

TEST_P(LineReaderPieces, cuts_at_newlines) { EXPECT_THAT(lines("a\nbc\ndef\n"), testing::ElementsAre("a", "bc", "def")); }
TEST_P(LineReaderPieces, counts_a_last_line_without_newline) { EXPECT_THAT(lines("a\nbc"), testing::ElementsAre("a", "bc")); }
TEST_P(LineReaderPieces, takes_empty_lines_as_lines) { EXPECT_THAT(lines("\n\na\n\n"), testing::ElementsAre("", "", "a", "")); }
TEST_P(LineReaderPieces, finds_no_line_in_nothing) { EXPECT_THAT(lines(""), testing::IsEmpty()); }
TEST_P(LineReaderPieces, keeps_every_other_byte) { EXPECT_THAT(lines("a\r\n\0\xff\n"s), testing::ElementsAre("a\r", "\0\xff"s)); }
TEST_P(LineReaderPieces, cuts_at_nul_when_told) {
  EXPECT_THAT(lines("a\nb\0c\0"s, {.delimiter = '\0', .line_bytes_max = 8, .block_bytes = 4}), testing::ElementsAre("a\nb", "c"));
}
TEST_P(LineReaderPieces, passes_over_lines_that_are_too_long) {
  EXPECT_THAT(lines("12345678\n123456789\nok\n" + std::string(100, 'x') + "\nend"),
              testing::ElementsAre("12345678", "<too long 2>", "ok", "<too long 4>", "end"));
}
TEST_P(LineReaderPieces, notices_a_last_line_that_is_too_long) {
  EXPECT_THAT(lines("a\n123456789"), testing::ElementsAre("a", "<too long 2>"));
  EXPECT_THAT(lines("a\n" + std::string(100, 'x')), testing::ElementsAre("a", "<too long 2>"));
}

TEST(LineReader, grows_for_long_lines_that_are_allowed) {
  const std::string longest(100'000, 'x');
  EXPECT_THAT(lines_of(longest + "\n" + longest, 7000, {.line_bytes_max = 100'000, .block_bytes = 1024}),
              testing::ElementsAre(longest, longest));
}

TEST(LineReader, passes_on_the_error_of_its_source) {
  LineReader reader([](MutableBytes) -> Result<std::size_t> { return Error{.code = Errc::cancelled, .detail = "interrupted"}; });
  const Result<LineReader::Line> line = reader.next();
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace tidemark::tools
