#include "tools/tidemark/top_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Key kEscape{Key::Kind::escape}, kUp{Key::Kind::up}, kDown{Key::Kind::down};
Key typed(const std::string& text) { return {Key::Kind::character, text}; }

TEST(KeyDecoder, tells_characters_and_control_keys) {
  KeyDecoder decoder;
  EXPECT_THAT(decoder.feed("jk:\r\x7f\x03"),
              ElementsAre(typed("j"), typed("k"), typed(":"), Key{Key::Kind::enter}, Key{Key::Kind::backspace}, Key{Key::Kind::interrupt}));
  EXPECT_FALSE(decoder.pending());
}

TEST(KeyDecoder, knows_the_arrows_of_either_mode) {
  KeyDecoder decoder;
  EXPECT_THAT(
      decoder.feed("\x1b[A\x1b[B\x1bOA\x1bOB\x1b[5~\x1b[6~\x1b[H\x1b[4~"),
      ElementsAre(kUp, kDown, kUp, kDown, Key{Key::Kind::page_up}, Key{Key::Kind::page_down}, Key{Key::Kind::home}, Key{Key::Kind::end}));
}

TEST(KeyDecoder, takes_a_sequence_in_pieces) {
  KeyDecoder decoder;
  EXPECT_THAT(decoder.feed("\x1b"), IsEmpty());
  EXPECT_TRUE(decoder.pending());
  EXPECT_THAT(decoder.feed("["), IsEmpty());
  EXPECT_THAT(decoder.feed("Bj"), ElementsAre(kDown, typed("j")));
}

TEST(KeyDecoder, an_escape_without_a_rest_is_the_key) {
  KeyDecoder decoder;
  EXPECT_THAT(decoder.feed("\x1b"), IsEmpty());
  EXPECT_THAT(decoder.flush(), ElementsAre(kEscape));
  EXPECT_FALSE(decoder.pending());
  EXPECT_THAT(decoder.feed("\x1bq"), ElementsAre(kEscape, typed("q")));
}

TEST(KeyDecoder, passes_over_what_it_does_not_know) {
  KeyDecoder decoder;
  EXPECT_THAT(decoder.feed("\x1b[1;5C\x1b[200~\x01\xff"
                           "a"),
              ElementsAre(typed("a")));
}

TEST(KeyDecoder, keeps_the_bytes_of_a_character_together) {
  KeyDecoder decoder;
  EXPECT_THAT(decoder.feed("\xc3"), IsEmpty());
  EXPECT_THAT(decoder.feed("\xbcx"), ElementsAre(typed("ü"), typed("x")));
}

TEST(KeyDecoder, is_bounded) {
  KeyDecoder decoder;
  EXPECT_THAT(decoder.feed("\x1b[" + std::string(14, '1') + "a"), ElementsAre(typed("a")));
}

}  // namespace
}  // namespace tidemark::tools
