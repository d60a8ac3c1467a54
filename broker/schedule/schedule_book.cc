#include "broker/schedule/schedule_book.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace tidemark::broker {
namespace {

/// Where a page goes on: behind this record.
struct PlaceInList {
  std::int64_t due_ms = std::numeric_limits<std::int64_t>::min();
  std::int64_t lane = 0;
  std::int64_t offset = -1;
  auto operator<=>(const PlaceInList&) const = default;

  std::string to_string() const { return std::to_string(due_ms) + "-" + std::to_string(lane) + "-" + std::to_string(offset); }
  static std::optional<PlaceInList> parse(std::string_view text) {
    PlaceInList place;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (std::int64_t* const part : {&place.due_ms, &place.lane, &place.offset}) {
      if (part != &place.due_ms && (at == end || *at++ != '-')) return std::nullopt;
      const auto [after, error] = std::from_chars(at, end, *part);
      if (error != std::errc()) return std::nullopt;
      at = after;
    }
    if (at != end || place.lane < 0 || place.lane >= kScheduleLanes || place.offset < 0) return std::nullopt;
    return place;
  }
};

}  // namespace

Offset ScheduleBook::Lane::floor() const {
  Offset floor = live.first().value_or(known_end);
  if (!adds.empty()) floor = std::min(floor, *adds.begin());
  return floor;
}

std::int32_t ScheduleBook::lane_of(const ScheduleTarget& target) {
  const auto from = static_cast<std::uint32_t>(target.topic.bytes[14]) << 8 | target.topic.bytes[15];
  return static_cast<std::int32_t>((from + static_cast<std::uint32_t>(target.partition + 1)) % kScheduleLanes);
}

std::uint32_t ScheduleBook::target_number(const ScheduleTarget& target) {
  const auto [known, inserted] =
      target_numbers_.emplace(std::pair(target.topic, target.partition), static_cast<std::uint32_t>(targets_.size()));
  if (inserted) targets_.emplace_back().what = target;
  return known->second;
}

void ScheduleBook::count(const WaitingRecord& record, bool failed, int by) {
  const auto change = static_cast<std::uint64_t>(by);  // Wraps for -1, as meant.
  Target& target = targets_[record.target];
  (failed ? target.failed : target.waiting) += change;
  (failed ? failed_ : waiting_) += change;
}

bool ScheduleBook::add(std::int32_t number, const WaitingRecord& record, bool failed) {
  Lane& lane = this->lane(number);
  if (!lane.live.insert({record.offset})) return false;
  if (record.number != record.offset) ++lane.renumbered;
  put_back(number, record, failed);
  return true;
}

std::optional<WaitingRecord> ScheduleBook::take(std::int32_t number, Key key, bool failed) {
  Lane& lane = this->lane(number);
  std::optional<WaitingRecord> taken = (failed ? lane.failed : lane.waiting).erase(key);
  if (taken) count(*taken, failed, -1);
  return taken;
}

void ScheduleBook::put_back(std::int32_t number, const WaitingRecord& record, bool failed) {
  Lane& lane = this->lane(number);
  const bool inserted = (failed ? lane.failed : lane.waiting).insert(record);
  CHECK(inserted);
  count(record, failed, 1);
}

void ScheduleBook::settle(std::int32_t number, const WaitingRecord& record) {
  Lane& lane = this->lane(number);
  const bool was_live = lane.live.erase({record.offset});
  CHECK(was_live);
  if (record.number != record.offset) --lane.renumbered;
  lane.live.forget_below(lane.floor());
}

std::optional<ScheduleBook::Found> ScheduleBook::find(std::int32_t number, std::int64_t due_ms, std::int64_t offset) const {
  const Lane& lane = this->lane(number);
  if (!lane.live.contains({offset})) return std::nullopt;
  if (const auto* const record = lane.waiting.find({due_ms, offset})) return Found{*record, false};
  if (const auto* const record = lane.failed.find({due_ms, offset})) return Found{*record, true};
  // A record that was refused waits under another time.
  if (const auto* const record = lane.waiting.find_offset(offset)) return Found{*record, false};
  if (const auto* const record = lane.failed.find_offset(offset)) return Found{*record, true};
  return std::nullopt;
}

std::optional<ScheduleBook::Found> ScheduleBook::find_number(std::int32_t number, std::int64_t id) const {
  const Lane& lane = this->lane(number);
  if (const auto* const record = lane.waiting.find_number(id)) return Found{*record, false};
  if (const auto* const record = lane.failed.find_number(id)) return Found{*record, true};
  return std::nullopt;
}

std::optional<std::int64_t> ScheduleBook::first_due_ms() const {
  std::optional<std::int64_t> first;
  for (const Lane& lane : lanes_) {
    const WaitingRecord* const record = lane.waiting.first();
    if (record != nullptr) first = std::min(first.value_or(record->due_ms), record->due_ms);
  }
  return first;
}

std::size_t ScheduleBook::memory_bytes() const {
  std::size_t bytes = 0;
  for (const Lane& lane : lanes_) bytes += lane.waiting.memory_bytes() + lane.failed.memory_bytes() + lane.live.memory_bytes();
  return bytes;
}

ScheduledInfo ScheduleBook::info(std::int32_t lane, const WaitingRecord& record, bool failed) const {
  const Target& target = targets_[record.target];
  ScheduledInfo info;
  info.id = {lane, record.number};
  info.topic = target.what.name;
  if (target.what.partition >= 0) info.partition = target.what.partition;
  info.due = Timestamp(std::chrono::milliseconds(record.due_ms));
  info.place = Offset{record.offset};
  if (failed) {
    info.state = ScheduledInfo::State::failed;
    info.reason = to_string(errc_from_number(record.bytes).value_or(Errc::internal));
  } else if (target.refusal && target.paused_until && info.due <= *target.paused_until) {
    info.state = ScheduledInfo::State::retrying;
    info.reason = target.refusal->to_string();
  }
  return info;
}

Result<SchedulePage> ScheduleBook::list(const ScheduleQuery& query) const {
  const std::size_t limit_max = query.with_content ? ScheduleQuery::kContentPageMax : ScheduleQuery::kPageMax;
  if (query.limit < 1 || query.limit > limit_max) {
    return Error{Errc::invalid_argument, "limit = " + std::to_string(query.limit) + ": must lie in 1.." + std::to_string(limit_max)};
  }
  PlaceInList after;
  if (!query.page.empty()) {
    const auto parsed = PlaceInList::parse(query.page);
    if (!parsed) return Error{Errc::invalid_argument, "page: not one that a list has answered"};
    after = *parsed;
  }
  struct Line {
    ScheduleIndex::Cursor cursor;
    std::int32_t lane;
    bool failed;
    PlaceInList place() const { return {cursor.get()->due_ms, lane, cursor.get()->offset}; }
  };
  std::vector<Line> lines;
  for (std::int32_t lane = 0; lane < kScheduleLanes; ++lane) {
    for (const bool failed : {false, true}) {
      Line line{{failed ? this->lane(lane).failed : this->lane(lane).waiting, {after.due_ms, -1}}, lane, failed};
      while (line.cursor.get() != nullptr && line.place() <= after) line.cursor.next();
      lines.push_back(std::move(line));
    }
  }
  SchedulePage page;
  PlaceInList last;
  for (;;) {
    Line* first = nullptr;
    for (Line& line : lines) {
      if (line.cursor.get() != nullptr && (first == nullptr || line.place() < first->place())) first = &line;
    }
    if (first == nullptr) return page;
    const WaitingRecord& record = *first->cursor.get();
    if (query.topic.empty() || targets_[record.target].what.name == query.topic) {
      if (page.records.size() == query.limit) {
        page.next = last.to_string();
        return page;
      }
      page.records.push_back(info(first->lane, record, first->failed));
      last = first->place();
    }
    first->cursor.next();
  }
}

std::vector<ScheduleCount> ScheduleBook::counts() const {
  std::map<std::string, ScheduleCount> by_name;
  for (const Target& target : targets_) {
    if (target.waiting + target.failed == 0) continue;
    ScheduleCount& count = by_name[target.what.name];
    count.topic = target.what.name;
    count.waiting += target.waiting;
    count.failed += target.failed;
  }
  std::vector<ScheduleCount> counts;
  for (auto& [name, count] : by_name) counts.push_back(std::move(count));
  return counts;
}

}  // namespace tidemark::broker
