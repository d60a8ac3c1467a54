#include "tools/tidemark/output.h"

#include <csignal>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tidemark::tools {
namespace {

TEST(IsUtf8, accepts_well_formed_text_only) {
  for (const std::string_view good : {"", "plain",
                                      "gr\xc3\xbc\xc3\x9f"
                                      "e",
                                      "\xe2\x82\xac", "\xf0\x9f\x8c\x8a", "0123456789abcdef\xc3\xa4"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  // A lone continuation, a cut sequence, overlong forms, a surrogate, beyond U+10FFFF, never-used bytes.
  for (const std::string_view bad :
       {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "01234567\xfe"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(PrintableText, shows_foreign_and_control_bytes_in_hex) {
  EXPECT_EQ(printable_text("gr\xc3\xbcn \xff\x1b[2J\n"), "gr\xc3\xbcn \\xff\\x1b[2J\\x0a");
  EXPECT_EQ(printable_text("\xc2\x9b"), "\\xc2\\x9b");  // C1 control sequence introducer.
}

TEST(Base64, pads_as_rfc_4648_says) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foo"), "Zm9v");
  EXPECT_EQ(to_base64("foob"), "Zm9vYg==");
  EXPECT_EQ(to_base64("\xff\xfe"), "//4=");
}

TEST(FormatTime, is_rfc_3339_in_utc) {
  EXPECT_EQ(format_time(Timestamp(std::chrono::milliseconds(0))), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(Timestamp(std::chrono::milliseconds(1'709'210'096'007))), "2024-02-29T12:34:56.007Z");
}

TEST(FormatBytesDecimal, keeps_one_decimal_and_never_shows_a_thousand) {
  EXPECT_EQ(format_bytes_decimal(999), "999 B");
  EXPECT_EQ(format_bytes_decimal(12'345), "12.3 kB");
  EXPECT_EQ(format_bytes_decimal(12'300'000), "12.3 MB");
  EXPECT_EQ(format_bytes_decimal(999'999), "1.0 MB");
  EXPECT_EQ(format_bytes_decimal(5'000'000'000), "5.0 GB");
}

TEST(FormatUptime, shows_two_units) {
  EXPECT_EQ(format_uptime(12.9), "12s");
  EXPECT_EQ(format_uptime(192), "3m12s");
  EXPECT_EQ(format_uptime(3600 * 5 + 61), "5h1m");
  EXPECT_EQ(format_uptime(86400 * 3 + 7200), "3d2h");
}

TEST(Table, pads_columns_and_aligns_numbers_to_the_right) {
  Table table({{"NAME"}, {"RECORDS", true}, {"STATE"}});
  table.add({"a", "5", "online"});
  table.add({"gr\xc3\xbcn", "12345678", "x\x01"});
  EXPECT_EQ(table.to_string(),
            "NAME   RECORDS  STATE\n"
            "a            5  online\n"
            "gr\xc3\xbcn  12345678  x\\x01\n");
}

TEST(ProgressBar, shows_part_rate_and_time_left) {
  EXPECT_EQ(ProgressBar::render("replay", 250, 1000, 12'300'000, 5),
            "replay [######..................]  25% 250 records, 12.3 MB, 50/s, 15s left");
  EXPECT_EQ(ProgressBar::render("find", 250, 0, 500, 5), "find 250 records, 500 B, 50/s");
  EXPECT_THAT(ProgressBar::render("replay", 30, 20, 0, 1), testing::HasSubstr("100%"));
}

class WriterTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK), 0);
    old_handler_ = std::signal(SIGPIPE, SIG_IGN);
  }
  void TearDown() override {
    close_reader();
    ::close(pipe_[1]);
    std::signal(SIGPIPE, old_handler_);
  }
  void close_reader() {
    if (pipe_[0] >= 0) ::close(std::exchange(pipe_[0], -1));
  }
  std::string written() {
    char bytes[256];
    const ssize_t count = ::read(pipe_[0], bytes, sizeof bytes);
    return count > 0 ? std::string(bytes, static_cast<std::size_t>(count)) : std::string();
  }
  int pipe_[2] = {-1, -1};
  void (*old_handler_)(int) = SIG_DFL;
};

TEST_F(WriterTest, gathers_until_full_or_flushed) {
  Writer writer(pipe_[1], 8);
  ASSERT_TRUE(writer.write("1234"));
  EXPECT_EQ(written(), "");
  ASSERT_TRUE(writer.write("5678"));
  EXPECT_EQ(written(), "12345678");
  ASSERT_TRUE(writer.write("9"));
  ASSERT_TRUE(writer.flush());
  EXPECT_EQ(written(), "9");
}

TEST_F(WriterTest, takes_a_broken_pipe_as_the_reader_having_had_enough) {
  Writer writer(pipe_[1], 8);
  close_reader();
  EXPECT_TRUE(writer.write("12345678"));
  EXPECT_TRUE(writer.broken_pipe());
  EXPECT_TRUE(writer.write("more"));
  EXPECT_TRUE(writer.flush());
}

TEST_F(WriterTest, keeps_any_other_failure) {
  Writer writer(-1, 4);
  const Status failed = writer.write("1234");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::io_error);
  EXPECT_FALSE(writer.write("x"));
  EXPECT_FALSE(writer.flush());
  EXPECT_FALSE(writer.broken_pipe());
}

}  // namespace
}  // namespace tidemark::tools
