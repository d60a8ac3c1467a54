#include "client/src/done_tracker.h"

#include <algorithm>
#include <iterator>

namespace tidemark::detail {

void DoneTracker::deliver(Offset offset) {
  if (offset < end_) return;
  skip_to(offset);
  end_ = offset + 1;
}

void DoneTracker::skip_to(Offset next) {
  if (next <= end_) return;
  const Offset gap = end_;
  end_ = next;
  add(gap, next);
}

void DoneTracker::take_back(Offset offset) {
  if (offset >= end_) return;
  end_ = std::max(offset, floor_);
  done_.erase(done_.lower_bound(end_), done_.end());
  if (done_.empty()) return;
  Offset& last = std::prev(done_.end())->second;
  last = std::min(last, end_);
}

void DoneTracker::finish(Offset offset) {
  if (offset < floor_ || offset >= end_) return;
  add(offset, offset + 1);
}

void DoneTracker::finish_below(Offset end) {
  if (end <= floor_) return;
  end_ = std::max(end_, end);
  add(floor_, end);
}

/// `to` at most the end.
void DoneTracker::add(Offset from, Offset to) {
  from = std::max(from, floor_);
  if (to <= from) return;
  // Everything that overlaps or touches becomes one stretch.
  auto first = done_.upper_bound(from);
  if (first != done_.begin() && std::prev(first)->second >= from) --first;
  auto last = first;
  while (last != done_.end() && last->first <= to) {
    from = std::min(from, last->first);
    to = std::max(to, last->second);
    ++last;
  }
  done_.erase(first, last);
  if (from == floor_) {
    floor_ = to;
  } else {
    done_.emplace(from, to);
  }
}

}  // namespace tidemark::detail
