#include "tools/tidemark/top_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/top_fixture.h"
#include "tools/tidemark/sparkline.h"

namespace tidemark::tools {
namespace {

using testing::HasSubstr;
using testing::Not;

class Screen : public testing::Test {
 protected:
  std::string look(std::size_t width = 80, std::size_t height = 24) {
    return screen.render(model, {.time = "12:34:56", .trouble = trouble}, width, height).to_text();
  }
  /// Characters, and the names of other keys in <>.
  bool type(std::string_view keys) {
    static const std::pair<std::string_view, Key::Kind> kNamed[] = {{"<enter>", Key::Kind::enter},    {"<esc>", Key::Kind::escape},
                                                                    {"<back>", Key::Kind::backspace}, {"<down>", Key::Kind::down},
                                                                    {"<pgdn>", Key::Kind::page_down}, {"<end>", Key::Kind::end}};
    bool going_on = true;
    while (!keys.empty()) {
      Key key{Key::Kind::character, std::string(keys.substr(0, 1))};
      std::size_t length = 1;
      for (const auto& [name, kind] : kNamed) {
        if (!keys.starts_with(name)) continue;
        key = Key{kind};
        length = name.size();
      }
      keys.remove_prefix(length);
      going_on = screen.press(key);
      look();  // Keys are about what is on the screen.
    }
    return going_on;
  }
  /// The line of the selected row: the only one below the caption that is drawn in reverse.
  std::string selected() {
    const Frame frame = screen.render(model, {.time = "12:34:56", .trouble = {}}, 80, 24);
    std::string found;
    for (std::size_t i = 6; i < frame.lines.size(); ++i) {
      if (!frame.lines[i].empty() && frame.lines[i][0].style == Style::selected) found += frame.lines[i][0].text;
    }
    return found;
  }

  TopModel model = shop_model();
  TopScreen screen{"127.0.0.1:7410"};
  std::string trouble;
};

TEST_F(Screen, shows_broker_and_groups_the_worst_first) {
  EXPECT_EQ(look(80, 14),
            " tidemark 1.2.3 at 127.0.0.1:7410, up 3m20s                            12:34:56\n"
            " in 20/s  out 70/s  flush p99 4.8 ms  memory 12 MiB of 512 MiB  disk 34 GiB free\n"
            " 2 topics  2 partitions  3 groups  1 stopped  1 draining  1 ok\n"
            "\n"
            " groups (3)\n"
            " GROUP            VERDICT▼     LAG  LAG TIME      IN     OUT     ETA TREND\n"
            " analytics        stopped      990     3m20s    20/s     0/s       -        ███\n"
            " inventory        draining     540     30.0s    20/s    50/s   18.0s        ██▇\n"
            " billing          ok             0      0.0s    20/s    20/s       -        ▁▁▁\n"
            "\n"
            "\n"
            "\n"
            " orders:0: no member reads this partition\n"
            " :groups :topics :clients :dlq  / filter  s sort  enter more  ? help  q quit\n");
}

TEST_F(Screen, fits_any_size) {
  for (const std::string_view keys : {"", "<enter>", "<esc>2", "<enter>", "3", "<enter>", "4", "<enter>", "?"}) {
    type(keys);
    for (const std::size_t width : {1U, 7U, 40U, 80U, 200U}) {
      for (const std::size_t height : {1U, 2U, 5U, 9U, 24U}) {
        const Frame frame = screen.render(model, {.time = "12:34:56", .trouble = {}}, width, height);
        EXPECT_EQ(frame.lines.size(), height);
        for (const Line& line : frame.lines) {
          std::size_t columns = 0;
          for (const Span& span : line) columns += columns_of(span.text);
          EXPECT_LE(columns, width) << keys << " at " << width << "x" << height;
        }
      }
    }
  }
}

TEST_F(Screen, a_wide_one_has_more_columns) {
  EXPECT_THAT(look(80), Not(HasSubstr("HEADROOM")));
  EXPECT_THAT(look(160), HasSubstr("MEMB   DEAD  HEADROOM KIND   TOPICS"));
  EXPECT_THAT(look(40), HasSubstr("VERDICT"));
  EXPECT_THAT(look(40), Not(HasSubstr("TREND")));
}

TEST_F(Screen, changes_views_by_command_and_by_number) {
  type(":topics<enter>");
  EXPECT_THAT(look(), HasSubstr(" topics (2)\n TOPIC▲"));
  EXPECT_THAT(look(), HasSubstr("orders"));
  type("4");
  EXPECT_THAT(look(), HasSubstr("billing               3 no billing address"));
  type(":cl<enter>");
  EXPECT_THAT(look(), HasSubstr("inventory-1"));
  type(":nonsense<enter>");
  EXPECT_THAT(look(), HasSubstr("no view `nonsense`; there are groups, topics, clients and dlq"));
  type(":gr<back><back><back><back>");
  EXPECT_THAT(look(), HasSubstr(" clients (1)")) << "a command that was taken back";
}

TEST_F(Screen, filters_while_it_is_being_typed) {
  type("/INV");
  EXPECT_THAT(look(), HasSubstr(" groups (1 of 3)  /INV"));
  EXPECT_THAT(look(), HasSubstr(" /INV█"));
  type("<enter>");
  EXPECT_THAT(look(), Not(HasSubstr("billing")));
  type("/!okay<back><back><enter>");
  EXPECT_THAT(look(), HasSubstr(" groups (2 of 3)  /!ok"));
  type("/zzz<enter>");
  EXPECT_THAT(look(), HasSubstr("none of them has this"));
  type("<esc>");
  EXPECT_THAT(look(), HasSubstr(" groups (3)"));
}

TEST_F(Screen, sorts_by_the_next_column_and_the_other_way_round) {
  type("s");
  EXPECT_THAT(look(), HasSubstr("LAG▼"));
  EXPECT_LT(look().find(" analytics"), look().find(" inventory"));
  type("S");
  EXPECT_THAT(look(), HasSubstr("LAG▲"));
  EXPECT_LT(look().find(" billing"), look().find(" inventory"));
  for (int i = 0; i < 11; ++i) type("s");  // Around the corner.
  EXPECT_THAT(look(), HasSubstr("GROUP▼"));
}

TEST_F(Screen, the_selection_stays_with_its_row) {
  type("j");
  EXPECT_THAT(selected(), HasSubstr("inventory"));
  type("S");  // Now it is the ok one that comes first, and inventory still in the middle.
  EXPECT_THAT(selected(), HasSubstr("inventory"));
  type("G");
  EXPECT_THAT(selected(), HasSubstr("analytics"));
  type("S");
  EXPECT_THAT(selected(), HasSubstr("analytics")) << "which is the first one again";
  type("kkk<down><pgdn>");
  EXPECT_THAT(selected(), HasSubstr("billing"));
}

TEST_F(Screen, enter_shows_more_and_escape_goes_back) {
  type("j<enter>");
  EXPECT_THAT(look(), HasSubstr(" verdict   draining: orders:0: 30s behind, the objective is 10s"));
  EXPECT_THAT(look(), HasSubstr(" lag       540, 30.0s behind, 20/s in, 50/s out, done in about 18.0s"));
  EXPECT_THAT(look(), HasSubstr(" member    inventory-1  inventory  127.0.0.1:4711  orders:0"));
  TopSample without = shop_sample(5);
  without.groups.pop_back();
  model.add(without);
  EXPECT_THAT(look(), HasSubstr("it is gone"));
  type("<esc>");
  EXPECT_THAT(look(), HasSubstr(" groups (2)"));
  type("4<enter>");
  EXPECT_THAT(look(), HasSubstr("      2  no billing address"));
  type("2G<enter>");
  EXPECT_THAT(look(), HasSubstr(" group     analytics  stopped  lag 1050"));
}

TEST_F(Screen, explains_its_keys) {
  type("?");
  EXPECT_THAT(look(), HasSubstr("only rows with text; /!text only rows without"));
  type("j");
  EXPECT_THAT(look(), HasSubstr(" groups (3)"));
  EXPECT_FALSE(type("?q"));
}

TEST_F(Screen, says_why_there_is_nothing_newer) {
  trouble = "connection lost; still trying";
  EXPECT_THAT(look(), HasSubstr("\n connection lost; still trying\n"));
  trouble.clear();
  type("p");
  EXPECT_TRUE(screen.paused());
  EXPECT_THAT(look(), HasSubstr(" paused; p goes on"));
  model = TopModel();
  EXPECT_THAT(look(), HasSubstr(" asking the broker"));
}

TEST_F(Screen, ends_with_q_and_with_an_interrupt_from_anywhere) {
  EXPECT_FALSE(type("q"));
  EXPECT_FALSE(type(":q<enter>"));
  EXPECT_TRUE(type("/q"));
  EXPECT_FALSE(screen.press({Key::Kind::interrupt}));
}

TEST_F(Screen, names_cannot_draw) {
  TopSample sample = shop_sample(0);
  sample.groups[0].name = "evil\x1b[2J\xff";
  sample.groups[0].cause = "\x1b]0;owned\x07";
  model.add(sample);
  const std::string drawn = screen.render(model, {.time = "t", .trouble = {}}, 80, 24).to_ansi(true);
  EXPECT_THAT(drawn, HasSubstr("evil\\x1b[2J"));
  EXPECT_EQ(drawn.find("\x1b[2J"), std::string::npos);
  EXPECT_EQ(drawn.find("\x1b]0"), std::string::npos);
}

TEST_F(Screen, draws_over_what_is_there) {
  const std::string drawn = screen.render(model, {.time = "t", .trouble = {}}, 80, 24).to_ansi(true);
  EXPECT_TRUE(drawn.starts_with("\x1b[H"));
  EXPECT_TRUE(drawn.ends_with("\x1b[K\x1b[J"));
  EXPECT_THAT(drawn, HasSubstr("\x1b[1;31m1 stopped"));
  EXPECT_THAT(screen.render(model, {.time = "t", .trouble = {}}, 80, 24).to_ansi(false), Not(HasSubstr("[1;31m")));
}

TEST_F(Screen, a_text_for_pipes_has_all_rows) {
  const std::string text = screen.render_all(model, {.time = "12:34:56", .trouble = {}}, 120).to_text();
  EXPECT_THAT(text, HasSubstr("GROUP"));
  for (const char* const group : {"analytics", "inventory", "billing"}) EXPECT_THAT(text, HasSubstr(std::string("\n ") + group));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace tidemark::tools
