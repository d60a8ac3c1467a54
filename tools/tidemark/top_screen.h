#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "tools/tidemark/top_frame.h"
#include "tools/tidemark/top_keys.h"
#include "tools/tidemark/top_model.h"
#include "tools/tidemark/top_views.h"

namespace tidemark::tools {

/// What the person at `tidemark top` looks at, and what keys do to that. No terminal, no clock: keys and a model in, a frame out.
///
/// Keys are those of k9s: `:` and the name of a view, `/` a filter (`!` in front: the others), `s` the next column to sort by, `S` the
/// other way round, j k and arrows, g G, Enter for more about a row, Esc back, p a pause, `?` help, q the end. 1 to 4 also choose a view.
class TopScreen {
 public:
  explicit TopScreen(std::string server, TopView view = TopView::groups) : server_(std::move(server)), view_(view) {}

  /// Keys are about the frame rendered last. False: that was the end.
  bool press(const Key& key);
  bool paused() const { return paused_; }

  struct Moment {
    std::string time;     ///< Shown at the top right.
    std::string trouble;  ///< Why there is nothing newer; empty: all is well.
  };
  /// As many lines as `height`, none of more than `width` columns.
  Frame render(const TopModel& model, const Moment& moment, std::size_t width, std::size_t height);
  /// All rows of the view, for a file or a pipe.
  Frame render_all(const TopModel& model, const Moment& moment, std::size_t width) const;

 private:
  enum class Mode { look, filter, command, help };
  struct Sorting {
    std::optional<std::size_t> column;  ///< nullopt: the view's own choice.
    bool reversed = false;
  };

  bool press_looking(const Key& key);
  void press_typing(const Key& key);
  bool run_command();
  void move(std::ptrdiff_t by);
  void show(TopView view);
  std::size_t sorted_by() const;
  Sorting& sorting() { return sortings_[static_cast<std::size_t>(view_)]; }
  const Sorting& sorting() const { return sortings_[static_cast<std::size_t>(view_)]; }

  TopTable arranged(const TopModel& model) const;
  std::vector<Line> head(const TopModel& model, const Moment& moment, std::size_t width) const;
  Line caption(std::size_t shown, std::size_t all, std::size_t width) const;
  Line foot(std::size_t width) const;
  std::vector<Line> list(const TopModel& model, std::size_t width, std::size_t height);

  const std::string server_;
  TopView view_;
  Mode mode_ = Mode::look;
  std::string typed_;
  std::string filter_;
  std::string complaint_;  ///< About the last command.
  std::array<Sorting, kTopViews.size()> sortings_ = {};
  std::string detail_;  ///< Id of the row; empty: the list is shown.
  bool paused_ = false;
  std::size_t selected_ = 0;  ///< Row of the list, after sorting.
  std::string selected_id_;   ///< The same, as of the last frame: it stays selected when rows change places.
  bool moved_ = false;        ///< Since then: `selected_` counts.
  std::size_t top_ = 0;       ///< First row shown; of details, too.
  std::size_t page_ = 10;     ///< Rows that were shown.
};

}  // namespace tidemark::tools
