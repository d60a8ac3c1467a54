#include "tools/tidemark/top_screen.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "tools/tidemark/output.h"
#include "tools/tidemark/sparkline.h"

namespace tidemark::tools {
namespace {

constexpr std::size_t kTypedMax = 200;

constexpr std::pair<std::string_view, std::string_view> kHelp[] = {
    {":groups  1", "consumer groups: verdict, lag, rates, when they will be done"},
    {":topics  2", "topics: size, rate, who reads them"},
    {":clients 3", "members of groups, and what they hold"},
    {":dlq     4", "dead letters, by group"},
    {"/text", "only rows with text; /!text only rows without; Esc all again"},
    {"s  S", "sort by the next column; the other way round"},
    {"j k  arrows", "one row down, up; PgDn PgUp a page; g G the first, the last"},
    {"Enter", "more about the row; Esc back"},
    {"p", "pause, and go on"},
    {"q  Ctrl-C", "quit"},
};

void drop_last_character(std::string& text) {
  while (!text.empty() && (text.back() & 0xC0) == 0x80) text.pop_back();
  if (!text.empty()) text.pop_back();
}

}  // namespace

bool TopScreen::press(const Key& key) {
  if (key.kind == Key::Kind::interrupt) return false;
  switch (mode_) {
    case Mode::help:
      mode_ = Mode::look;
      return key.text != "q";
    case Mode::filter:
      press_typing(key);
      return true;
    case Mode::command:
      if (key.kind == Key::Kind::enter) return run_command();
      press_typing(key);
      return true;
    case Mode::look:
      break;
  }
  complaint_.clear();
  return press_looking(key);
}

bool TopScreen::press_looking(const Key& key) {
  constexpr auto kAll = std::numeric_limits<std::ptrdiff_t>::max() / 2;
  const auto page = static_cast<std::ptrdiff_t>(std::max<std::size_t>(page_, 1));
  switch (key.kind) {
    case Key::Kind::up:
      move(-1);
      break;
    case Key::Kind::down:
      move(1);
      break;
    case Key::Kind::page_up:
      move(-page);
      break;
    case Key::Kind::page_down:
      move(page);
      break;
    case Key::Kind::home:
      move(-kAll);
      break;
    case Key::Kind::end:
      move(kAll);
      break;
    case Key::Kind::enter:
      if (detail_.empty() && !selected_id_.empty()) {
        detail_ = selected_id_;
        top_ = 0;
      }
      break;
    case Key::Kind::escape:
      if (!detail_.empty()) {
        detail_.clear();
        top_ = 0;
      } else {
        filter_.clear();
      }
      break;
    case Key::Kind::character:
      if (key.text == "q") return false;
      if (key.text == "j") move(1);
      if (key.text == "k") move(-1);
      if (key.text == "g") move(-kAll);
      if (key.text == "G") move(kAll);
      if (key.text == "p" || key.text == " ") paused_ = !paused_;
      if (key.text == "?") mode_ = Mode::help;
      if (key.text == "s" && detail_.empty()) sorting().column = sorted_by() + 1;  // Past the last one: the first.
      if (key.text == "S" && detail_.empty()) sorting().reversed = !sorting().reversed;
      if (key.text == ":" || (key.text == "/" && detail_.empty())) {
        mode_ = key.text == ":" ? Mode::command : Mode::filter;
        typed_.clear();
      }
      if (key.text.size() == 1 && key.text[0] >= '1' && key.text[0] <= '4') show(kTopViews[static_cast<std::size_t>(key.text[0] - '1')]);
      break;
    case Key::Kind::backspace:
    case Key::Kind::interrupt:
      break;
  }
  return true;
}

void TopScreen::press_typing(const Key& key) {
  switch (key.kind) {
    case Key::Kind::character:
      if (typed_.size() < kTypedMax) typed_ += key.text;
      break;
    case Key::Kind::backspace:
      if (typed_.empty()) mode_ = Mode::look;
      drop_last_character(typed_);
      break;
    case Key::Kind::escape:
      if (mode_ == Mode::filter) filter_.clear();
      mode_ = Mode::look;
      return;
    case Key::Kind::enter:
      mode_ = Mode::look;
      break;
    default:
      break;
  }
  if (mode_ == Mode::filter || key.kind == Key::Kind::enter) filter_ = typed_;  // It works while it is being typed.
}

bool TopScreen::run_command() {
  mode_ = Mode::look;
  if (typed_ == "q" || typed_ == "quit") return false;
  if (typed_ == "help") {
    mode_ = Mode::help;
  } else if (const std::optional<TopView> view = parse_top_view(typed_)) {
    show(*view);
  } else if (!typed_.empty()) {
    complaint_ = fmt::format("no view `{}`; there are groups, topics, clients and dlq", printable_text(typed_));
  }
  return true;
}

void TopScreen::show(TopView view) {
  view_ = view;
  filter_.clear();
  detail_.clear();
  selected_ = top_ = 0;
  moved_ = true;
}

void TopScreen::move(std::ptrdiff_t by) {
  std::size_t& place = detail_.empty() ? selected_ : top_;  // Frames bound it from above.
  const auto target = static_cast<std::ptrdiff_t>(place) + by;
  place = static_cast<std::size_t>(std::max<std::ptrdiff_t>(target, 0));
  moved_ = true;
}

std::size_t TopScreen::sorted_by() const { return sorting().column.value_or(first_sort(view_)); }

TopTable TopScreen::arranged(const TopModel& model) const {
  TopTable table = table_of(view_, model);
  table.search(filter_);
  table.sort(sorted_by() % table.columns.size(), sorting().reversed);
  return table;
}

std::vector<Line> TopScreen::head(const TopModel& model, const Moment& moment, std::size_t width) const {
  std::string left = fmt::format(" tidemark {} at {}", model.status().version, printable_text(server_));
  if (!model.empty()) left += ", up " + format_uptime(model.status().uptime_seconds);
  const std::string right = moment.time + " ";
  const std::size_t room = width > columns_of(right) ? width - columns_of(right) : 0;
  std::vector<Line> lines = {cut({{fit(left, room), Style::bold}, {right}}, width)};
  for (Line& line : broker_lines(model, width)) lines.push_back(std::move(line));
  const std::string said = !moment.trouble.empty() ? " " + moment.trouble : paused_ ? " paused; p goes on" : "";
  lines.push_back(cut({{said, moment.trouble.empty() ? Style::warning : Style::bad}}, width));
  return lines;
}

Line TopScreen::caption(std::size_t shown, std::size_t all, std::size_t width) const {
  std::string text = fmt::format(" {} ", name_of(view_));
  text += shown == all ? fmt::format("({})", all) : fmt::format("({} of {})", shown, all);
  if (!filter_.empty()) text += "  /" + printable_text(filter_);
  return filled({{text}}, width, Style::selected);
}

Line TopScreen::foot(std::size_t width) const {
  if (mode_ == Mode::command) return cut({{" :" + printable_text(typed_) + "█"}}, width);
  if (mode_ == Mode::filter) return cut({{" /" + printable_text(typed_) + "█"}}, width);
  if (!complaint_.empty()) return cut({{" " + complaint_, Style::warning}}, width);
  if (mode_ == Mode::help) return cut({{" any key goes back", Style::dim}}, width);
  if (!detail_.empty()) return cut({{" esc back  j k scroll  ? help  q quit", Style::dim}}, width);
  return cut({{" :groups :topics :clients :dlq  / filter  s sort  enter more  ? help  q quit", Style::dim}}, width);
}

std::vector<Line> TopScreen::list(const TopModel& model, std::size_t width, std::size_t height) {
  const TopTable table = arranged(model);
  const std::size_t rows = height > 3 ? height - 3 : 0;  // Caption, titles, and the note below.
  if (!moved_) {
    const auto same = std::ranges::find(table.rows, selected_id_, &TopTable::Row::id);
    if (same != table.rows.end()) selected_ = static_cast<std::size_t>(same - table.rows.begin());
  }
  moved_ = false;
  selected_ = std::min(selected_, table.rows.empty() ? 0 : table.rows.size() - 1);
  selected_id_ = table.rows.empty() ? "" : table.rows[selected_].id;
  page_ = rows;
  top_ = std::min(top_, selected_);
  if (rows > 0 && selected_ >= top_ + rows) top_ = selected_ + 1 - rows;

  std::vector<Line> lines = {caption(table.rows.size(), table_of(view_, model).rows.size(), width)};
  const std::size_t column = sorted_by() % table.columns.size();
  for (Line& line : table.layout(width, column, sorting().reversed, top_, top_ + rows)) lines.push_back(std::move(line));
  const std::size_t place = 2 + selected_ - top_;
  if (!table.rows.empty() && place < lines.size()) lines[place] = filled(std::move(lines[place]), width, Style::selected);
  if (table.rows.empty()) lines.push_back({{filter_.empty() ? " none" : " none of them has this; Esc shows all", Style::dim}});
  lines.resize(std::max<std::size_t>(height, 1) - 1);
  lines.push_back(cut({{table.rows.empty() ? "" : " " + table.rows[selected_].note, Style::dim}}, width));
  return lines;
}

Frame TopScreen::render(const TopModel& model, const Moment& moment, std::size_t width, std::size_t height) {
  Frame frame{head(model, moment, width)};
  const std::size_t rest = height > frame.lines.size() + 1 ? height - frame.lines.size() - 1 : 0;
  std::vector<Line> body;
  if (mode_ == Mode::help) {
    body.push_back(filled({{" keys"}}, width, Style::selected));
    for (const auto& [key, meaning] : kHelp) body.push_back(cut({{" " + fit(key, 13), Style::bold}, {std::string(meaning)}}, width));
  } else if (model.empty()) {
    body.push_back({{" asking the broker", Style::dim}});
  } else if (detail_.empty()) {
    body = list(model, width, rest);
  } else {
    std::vector<Line> details = details_of(view_, detail_, model, width);
    if (details.empty()) details.push_back({{" it is gone", Style::dim}});
    top_ = std::min(top_, details.size() - 1);
    page_ = rest > 1 ? rest - 1 : 0;
    body.push_back(filled({{fmt::format(" {}", name_of(view_))}}, width, Style::selected));
    for (std::size_t i = top_; i < details.size(); ++i) body.push_back(cut(std::move(details[i]), width));
  }
  body.resize(rest);
  for (Line& line : body) frame.lines.push_back(std::move(line));
  frame.lines.push_back(foot(width));
  if (frame.lines.size() > height) frame.lines.erase(frame.lines.begin(), frame.lines.end() - static_cast<std::ptrdiff_t>(height));
  return frame;
}

Frame TopScreen::render_all(const TopModel& model, const Moment& moment, std::size_t width) const {
  Frame frame{head(model, moment, width)};
  frame.lines.pop_back();  // Nothing goes wrong or rests here.
  const TopTable table = arranged(model);
  frame.lines.emplace_back();
  for (Line& line : table.layout(width, sorted_by() % table.columns.size(), sorting().reversed, 0, table.rows.size())) {
    frame.lines.push_back(std::move(line));
  }
  return frame;
}

}  // namespace tidemark::tools
