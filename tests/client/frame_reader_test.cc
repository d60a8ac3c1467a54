#include "client/src/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/native/wire.pb.h"

namespace tidemark::detail {
namespace {

std::string frame(std::uint32_t correlation, const std::string& attachment) {
  wire::FetchReply reply;
  reply.set_size(static_cast<std::uint32_t>(attachment.size()));
  const Slice head = native::encode_frame(native::FrameType::fetch, native::kFlagReply, correlation, reply, attachment.size());
  return to_string(head.view()) + attachment;
}

class Frames : public testing::Test {
 protected:
  void receive(std::string_view bytes) {
    while (!bytes.empty()) {
      const MutableBytes room = reader_.prepare();
      const std::size_t count = std::min(room.size(), bytes.size());
      std::memcpy(room.data(), bytes.data(), count);
      reader_.commit(count);
      bytes.remove_prefix(count);
      take_all();
    }
  }
  void take_all() {
    for (;;) {
      const auto next = reader_.next();
      ASSERT_TRUE(next) << next.error().to_string();
      if (!*next) return;
      taken_.push_back(**next);
    }
  }

  FrameReader reader_{native::kFrameBytesMax};
  std::vector<Frame> taken_;
};

TEST_F(Frames, come_out_whole_however_the_bytes_arrive) {
  const std::string stream = frame(1, "") + frame(2, "abc") + frame(3, std::string(5000, 'x'));
  for (const char byte : stream) receive(std::string_view(&byte, 1));
  ASSERT_EQ(taken_.size(), 3U);
  EXPECT_EQ(taken_[1].header.correlation, 2U);
  EXPECT_EQ(as_text(taken_[1].attachment.view()), "abc");
  EXPECT_EQ(as_text(taken_[2].attachment.view()), std::string(5000, 'x'));
}

TEST_F(Frames, larger_than_the_buffer_come_out_whole) {
  std::string large(3'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 / 7);
  receive(frame(1, "before") + frame(2, large) + frame(3, "after"));
  ASSERT_EQ(taken_.size(), 3U);
  EXPECT_EQ(as_text(taken_[1].attachment.view()), large);
  EXPECT_EQ(as_text(taken_[2].attachment.view()), "after");
}

TEST_F(Frames, keep_their_bytes_while_later_ones_are_read) {
  receive(frame(0, "kept"));
  for (std::uint32_t i = 1; i <= 2000; ++i) receive(frame(i, std::string(1000, static_cast<char>('a' + i % 26))));
  ASSERT_EQ(taken_.size(), 2001U);
  EXPECT_EQ(as_text(taken_[0].attachment.view()), "kept");
  for (std::size_t i = 1; i <= 2000; ++i) {
    ASSERT_EQ(as_text(taken_[i].attachment.view()), std::string(1000, static_cast<char>('a' + i % 26)));
  }
}

TEST_F(Frames, above_the_limit_are_an_error_before_their_body_arrives) {
  FrameReader small(100);
  const std::string bytes = frame(1, std::string(200, 'x')).substr(0, native::kFrameHeaderBytes);
  std::memcpy(small.prepare().data(), bytes.data(), bytes.size());
  small.commit(bytes.size());
  const auto next = small.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::frame_too_large);
}

}  // namespace
}  // namespace tidemark::detail
