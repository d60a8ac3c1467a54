#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "storage/base/random.h"
#include "tests/broker/queues/queue_window_fixture.h"
#include "tests/broker/queues/reference_window.h"

namespace tidemark::broker {
namespace {

constexpr int kOperations = 40'000;
constexpr std::size_t kEntriesMax = 300;
constexpr std::size_t kPointsKept = 4;

struct Shape {
  const char* name;
  QueueFlavor flavor;
  Ordering ordering;
  bool priorities;
  bool changes_ordering = false;
};
void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }

/// Drives a window and the reference with the same random operations, restarts included.
class Model {
 public:
  Model(const Shape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {
    settings_.ordering = shape.ordering;
    settings_.count_deliveries = shape.flavor != QueueFlavor::native;
    settings_.backoff = {.steps = {0ms, 2s, 20s}};
    settings_.max_pending = 120;
    settings_.max_pending_member = 40;
    if (shape.flavor == QueueFlavor::redis) {
      settings_.ack_timeout = 0ms;
      settings_.delivery_limit = 0;
      settings_.redelivers = settings_.fence_late_acks = false;
      settings_.keeps_ids = true;
    }
    reference_.settings = settings_;
    reference_.start = reference_.cursor = kStart;
    window_ = make();
    points_.push_back({0, reference_});
  }

  void step() {
    operate();
    compare_cheaply();
  }
  void finish() {
    take_records();
    compare_all();
    restart(0);
  }

 private:
  static constexpr Offset kStart{65'536 - 700};

  std::unique_ptr<QueueWindow> make() const {
    return std::make_unique<QueueWindow>(who_, kStart, std::make_shared<QueueSettings>(settings_));
  }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::string any_member() { return "m" + std::to_string(below(6)); }

  static std::uint64_t mixed(std::int64_t value) {
    std::uint64_t x = static_cast<std::uint64_t>(value) * 0x9e3779b97f4a7c15ULL;
    return (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL >> 20;
  }
  std::uint64_t key_of(std::int64_t offset) const {
    return shape_.ordering == Ordering::none && !shape_.changes_ordering ? 0 : mixed(offset) % 7;
  }
  std::uint8_t priority_of(std::int64_t offset) const {
    return shape_.priorities && mixed(offset) % 5 == 0 ? static_cast<std::uint8_t>(mixed(offset) / 16 % 10) : 0;
  }
  static EntryId id_of(Offset offset) {
    const auto value = static_cast<std::uint64_t>(offset.value);
    return {1 + value / 3, value % 3};
  }

  /// Mostly an unfinished entry, else one about there.
  Offset any_offset() {
    if (reference_.entries.empty() || one_in(6))
      return {std::max<std::int64_t>(0, reference_.cursor.value - 100 + static_cast<std::int64_t>(below(110)))};
    auto at = reference_.entries.lower_bound(
        reference_.entries.begin()->first +
        static_cast<std::int64_t>(
            below(static_cast<std::uint64_t>(reference_.entries.rbegin()->first - reference_.entries.begin()->first) + 1)));
    return {at->first};
  }

  // --- Operations, each on both sides.

  void operate() {
    const std::size_t many = reference_.entries.size();
    switch (below(30)) {
      case 0:
      case 1:
      case 2:
        if (many < kEntriesMax) extend();
        break;
      case 3:
      case 4:
      case 5:
      case 6:
        receive();
        break;
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
        for (std::uint64_t i = below(many > kEntriesMax / 2 ? 20 : 6); i > 0; --i) settle();
        break;
      case 12:
      case 13:
        claim();
        break;
      case 14:
        lease();
        break;
      case 15:
        pass_time();
        break;
      case 16:
        member();
        break;
      case 17:
        dead_letters();
        break;
      case 18:
        if (one_in(4)) move();
        break;
      case 19:
        if (one_in(3)) take_new();
        break;
      case 20:
        if (one_in(4)) change_settings();
        break;
      case 21:
      case 22:
      case 23:
      case 24:
        take_records();
        break;
      case 25:
        if (one_in(6)) restart(below(kPointsKept));
        break;
      case 26:
      case 27:
        look_again();
        break;
      case 28:
        look();
        break;
      default:
        single_entry();
        break;
    }
  }

  void extend() {
    const Offset to = reference_.cursor + static_cast<std::int64_t>(1 + below(one_in(50) ? 90 : 12));
    std::vector<LookedAt> looked;
    for (Offset offset = reference_.cursor; offset < to; offset = offset + 1) {
      LookedAt told{
          .offset = offset, .what = LookedAt::What::candidate, .key = key_of(offset.value), .priority = priority_of(offset.value)};
      if (one_in(12)) told.what = static_cast<LookedAt::What>(1 + below(3));
      // Free and without priority, a record need not be named.
      const bool plain = told.what == LookedAt::What::candidate && told.key == 0 && told.priority == 0;
      if (!plain || one_in(2)) looked.push_back(told);
      ReferenceEntry* const known = reference_.find(offset);
      if (told.what == LookedAt::What::candidate) {
        ReferenceEntry& entry = reference_.entries[offset.value];
        entry.key = told.key;
        entry.priority = told.priority;
        continue;
      }
      if (known != nullptr && known->state != EntryState::available) continue;
      if (told.what == LookedAt::What::expired) {
        ReferenceEntry& entry = reference_.entries[offset.value];
        entry.key = told.key;
        entry.priority = told.priority;
        reference_.tell(entry, "record.ttl");
        reference_.leave(entry, reference_.dead(), 0);
        continue;
      }
      reference_.entries.erase(offset.value);
      ++(told.what == LookedAt::What::filtered ? reference_.totals.filtered : reference_.totals.gone);
    }
    window_->extend(to, looked);
    reference_.cursor = to;
  }

  void receive() {
    const std::string member = any_member();
    const std::size_t max = 1 + below(20);
    std::vector<Offset> chosen = window_->choose(member, max, now_);
    ASSERT_EQ(chosen, reference_.choose(member, max, now_));
    check_order(chosen);
    if (one_in(10)) chosen.push_back(any_offset());  // Whoever asks may be wrong.
    if (one_in(10)) std::ranges::reverse(chosen);
    std::vector<EntryId> ids;
    for (const Offset offset : chosen) {
      if (settings_.keeps_ids) ids.push_back(id_of(offset));
    }
    const std::vector<TakenRun> runs = window_->take(member, chosen, ids, now_);
    reference_.take(member, chosen, ids, now_);
    for (const TakenRun& run : runs) {
      for (std::int64_t i = 0; i < run.offsets.count; ++i) {
        const ReferenceEntry* const entry = reference_.find(run.offsets.first + i);
        ASSERT_NE(entry, nullptr);
        ASSERT_EQ(entry->member, member);
        ASSERT_EQ(entry->deliveries, run.deliveries);
        ASSERT_EQ(entry->failures, run.failures);
      }
    }
  }

  void take_new() {
    if (shape_.flavor != QueueFlavor::redis && !one_in(8)) return;
    const std::string member = any_member();
    const OffsetRun run{reference_.cursor + static_cast<std::int64_t>(below(3)), 1 + static_cast<std::int64_t>(below(9))};
    if (reference_.entries.size() > kEntriesMax) return;
    std::vector<EntryId> ids;
    reference_.touch(member, now_);
    for (std::int64_t i = 0; i < run.count; ++i) {
      const Offset offset = run.first + i;
      if (settings_.keeps_ids) ids.push_back(id_of(offset));
      ReferenceEntry& entry = reference_.entries[offset.value];
      entry.deliveries = 1;
      entry.failures = 0;
      entry.reason.clear();
      entry.last_member.clear();
      reference_.hand_out(entry, member, now_, now_);
      if (settings_.keeps_ids) entry.id = ids.back();
    }
    const std::vector<TakenRun> expected = {{.offsets = run, .deliveries = 1, .failures = 0}};
    ASSERT_EQ(window_->take_new(member, run, ids, now_), expected);
    reference_.cursor = std::max(reference_.cursor, run.first + run.count);
    if (settings_.ordering == Ordering::key) reference_.needs_look = true;
  }

  void settle() {
    const Offset offset = any_offset();
    const ReferenceEntry* const known = reference_.find(offset);
    std::optional<std::string> member;
    if (!one_in(4)) member = known != nullptr && !known->member.empty() && !one_in(6) ? known->member : any_member();
    std::uint32_t deliveries = 0;
    if (one_in(2)) deliveries = known != nullptr && !one_in(6) ? known->deliveries : static_cast<std::uint32_t>(below(4));
    const std::optional<std::string_view> who = member;
    if (member && one_in(3)) {
      reference_.touch(*member, now_);
      window_->touch(*member, now_);
    }
    switch (below(10)) {
      case 0:
      case 1: {
        const std::string reason = one_in(3) ? "" : "reason " + std::to_string(below(3));
        std::optional<std::chrono::milliseconds> delay;
        if (one_in(2)) delay = std::chrono::milliseconds(below(3) * 1500);
        const Settled expected = reference_.returning(offset, who, deliveries);
        if (expected == Settled::ok) reference_.fail(*reference_.find(offset), delay, reason, now_);
        ASSERT_EQ(window_->fail(offset, who, deliveries, delay, reason, now_), expected);
        break;
      }
      case 2: {
        const bool forget = one_in(3);
        const Settled expected = reference_.returning(offset, who, deliveries);
        if (expected == Settled::ok) {
          ReferenceEntry& entry = *reference_.find(offset);
          if (forget && entry.deliveries > 0) --entry.deliveries;
          reference_.release(entry);
        }
        ASSERT_EQ(window_->release(offset, who, deliveries, forget, now_), expected);
        break;
      }
      case 3: {
        if (!one_in(4)) break;
        const Settled expected = reference_.returning(offset, who, deliveries);
        if (expected == Settled::ok) {
          ReferenceEntry& entry = *reference_.find(offset);
          ++entry.failures;
          reference_.tell(entry, "poison");
          reference_.leave(entry, reference_.dead(), 0);
        }
        ASSERT_EQ(window_->reject(offset, who, deliveries, "poison", now_), expected);
        break;
      }
      default: {
        const Settled expected = reference_.standing(offset, who, deliveries, false);
        if (expected == Settled::ok) {
          reference_.entries.erase(offset.value);
          ++reference_.totals.done;
        }
        ASSERT_EQ(window_->ack(offset, who, deliveries, now_), expected);
        break;
      }
    }
  }

  void claim() {
    EntryClaim claim;
    claim.offset = any_offset();
    claim.min_idle = std::chrono::milliseconds(below(3) * 4000);
    if (one_in(5)) claim.delivered = now_ - std::chrono::milliseconds(below(20'000));
    if (one_in(8)) claim.deliveries = static_cast<std::uint32_t>(below(7));
    claim.just_id = one_in(4);
    claim.force = one_in(8);
    claim.id = id_of(claim.offset);
    const std::string member = any_member();
    const bool expected = reference_.claim(member, claim, now_);
    ASSERT_EQ(window_->claim(member, claim, now_), expected);
  }

  void lease() {
    const std::string member = any_member();
    if (one_in(3)) {
      window_->extend_all(member, now_);
      for (auto& [offset, entry] : reference_.entries) {
        if (entry.state == EntryState::acquired && entry.member == member && entry.due != 0)
          entry.due = std::max(entry.due, reference_.lease(now_));
      }
      return;
    }
    const Offset offset = any_offset();
    std::optional<std::chrono::milliseconds> lease;
    if (one_in(3)) lease = std::chrono::milliseconds(below(40'000));
    const Settled expected = reference_.standing(offset, member, 0, true);
    const std::int64_t until = lease ? ReferenceWindow::ms(now_ + *lease) : reference_.lease(now_);
    if (expected == Settled::ok && until != 0) reference_.find(offset)->due = until;
    ASSERT_EQ(window_->extend_lease(offset, member, 0, lease, now_), expected);
  }

  void pass_time() {
    now_ += std::chrono::milliseconds(below(one_in(5) ? 40'000 : 1500));
    std::optional<std::int64_t> first;
    for (const auto& [offset, entry] : reference_.entries) {
      if (entry.due != 0) first = std::min(first.value_or(entry.due), entry.due);
    }
    if (first) {
      ASSERT_TRUE(window_->next_deadline().has_value());
      ASSERT_LE(ReferenceWindow::ms(*window_->next_deadline()), *first);
    }
    const std::size_t at_once = one_in(2) ? 3 : 100'000;
    while (window_->next_deadline() && *window_->next_deadline() <= now_) window_->expire(now_, at_once);
    reference_.expire(now_);
  }

  void member() {
    const std::string name = any_member();
    switch (below(6)) {
      case 0:
        ASSERT_EQ(window_->add_member(name, now_), !reference_.members.contains(name));
        reference_.touch(name, now_);
        break;
      case 1: {
        const bool drop = one_in(2);
        ASSERT_EQ(window_->remove_member(name, drop, now_), give_back(name, drop, false));
        reference_.members.erase(name);
        break;
      }
      case 2: {
        const bool failed = one_in(2);
        ASSERT_EQ(window_->release_all(name, failed, "lost", now_), give_back(name, false, failed));
        break;
      }
      default:
        window_->touch(name, now_);
        reference_.touch(name, now_);
    }
  }
  std::uint64_t give_back(const std::string& name, bool drop, bool failed) {
    return reference_.give_back(name, drop, failed, "lost", now_);
  }

  void dead_letters() {
    if (reference_.move) {
      std::vector<Offset> lost;
      for (const Offset offset : reference_.move->offsets) {
        if (one_in(5)) lost.push_back(offset);
      }
      const auto moved = *std::exchange(reference_.move, std::nullopt);
      for (const Offset offset : moved.offsets) {
        const ReferenceEntry* const entry = reference_.find(offset);
        const bool dying = entry != nullptr && entry->state == EntryState::dying;
        if (dying) reference_.entries.erase(offset.value);
        if (std::ranges::find(lost, offset) == lost.end())
          ++reference_.totals.dead;
        else if (dying)
          ++reference_.totals.gone;
      }
      window_->end_move(lost);
      reference_.park_dying();
      return;
    }
    const std::size_t max = 1 + below(5);
    std::vector<Offset> expected;
    for (const auto& [offset, entry] : reference_.entries) {
      if (entry.state == EntryState::dying && expected.size() < max) expected.push_back({offset});
    }
    ASSERT_EQ(window_->dying(max), expected);
    if (expected.empty()) return;
    if (reference_.producer_id < 0 || one_in(10)) {
      reference_.producer_id = static_cast<std::int64_t>(below(1000));
      reference_.producer_epoch = static_cast<std::int16_t>(below(3));
      reference_.next_sequence = 0;
      window_->set_producer(reference_.producer_id, reference_.producer_epoch);
    }
    if (one_in(8)) {
      ReferenceEntry& entry = *reference_.find(expected.front());
      reference_.leave(entry, EntryState::parked, 0);
      entry.reason = "no room";
      window_->park(expected.front(), "no room");
      return;
    }
    reference_.move = QueueWindow::Move{.offsets = expected, .first_sequence = reference_.next_sequence};
    reference_.next_sequence += static_cast<std::int32_t>(expected.size());
    window_->begin_move(*reference_.move);
  }

  void single_entry() {
    const Offset offset = any_offset();
    ReferenceEntry* const entry = reference_.find(offset);
    switch (below(5)) {
      case 0:
      case 1: {
        const bool expected = entry != nullptr && (entry->state == EntryState::parked || entry->state == EntryState::delayed);
        if (expected) {
          if (entry->state == EntryState::parked) {
            entry->failures = 0;
            entry->reason.clear();
            entry->last_member.clear();
            if (settings_.count_deliveries) entry->deliveries = 0;
          }
          reference_.leave(*entry, EntryState::available, 0);
        }
        ASSERT_EQ(window_->kick(offset, now_), expected);
        break;
      }
      case 2: {
        const bool expected = entry == nullptr && offset < reference_.cursor;
        if (expected) {
          reference_.entries[offset.value] = {};
          if (settings_.ordering == Ordering::key) reference_.needs_look = true;
        }
        ASSERT_EQ(window_->revive(offset, now_), expected);
        break;
      }
      case 3: {
        const bool expected = entry != nullptr && entry->state != EntryState::dying;
        if (expected) {
          reference_.entries.erase(offset.value);
          ++reference_.totals.done;
        }
        ASSERT_EQ(window_->dismiss(offset), expected);
        break;
      }
      default: {
        const bool expected = entry != nullptr;
        if (expected) {
          reference_.entries.erase(offset.value);
          ++reference_.totals.gone;
        }
        ASSERT_EQ(window_->gone(offset), expected);
        break;
      }
    }
  }

  std::uint64_t erase_if(Offset from, Offset to, auto&& condition) {
    return std::erase_if(reference_.entries, [&](const auto& row) {
      return Offset{row.first} >= from && Offset{row.first} < to && condition(Offset{row.first}, row.second);
    });
  }
  std::uint64_t known_in(Offset from, Offset to) const {
    std::uint64_t sum = 0;
    for (auto at = reference_.entries.lower_bound(from.value); at != reference_.entries.end() && Offset{at->first} < to; ++at) ++sum;
    return sum;
  }

  void move() {
    const Offset near = reference_.cursor + (static_cast<std::int64_t>(below(30)) - 10);
    switch (below(8)) {
      case 0: {
        const Offset to{one_in(3) ? reference_.cursor.value
                                  : static_cast<std::int64_t>(below(6)) * 65'536 + 65'000 + static_cast<std::int64_t>(below(400))};
        window_->reset(to);
        reference_.entries.clear();
        reference_.start = reference_.cursor = to;
        reference_.needs_look = false;
        break;
      }
      case 1:
      case 2:
        window_->set_cursor(near);
        reference_.cursor = near;
        break;
      case 3: {
        const Offset cursor = std::max(near, reference_.cursor);
        std::uint64_t purged =
            near > reference_.cursor ? static_cast<std::uint64_t>(near - reference_.cursor) - known_in(reference_.cursor, near) : 0;
        purged += erase_if({0}, cursor, [&](Offset offset, const ReferenceEntry& entry) {
          return entry.state != EntryState::acquired && !reference_.in_move(offset);
        });
        ASSERT_EQ(window_->purge(near), purged);
        reference_.cursor = cursor;
        break;
      }
      case 4: {
        const Offset log_end = reference_.cursor + (static_cast<std::int64_t>(below(12)) - 4);
        const std::uint64_t lost = erase_if(log_end, {std::numeric_limits<std::int64_t>::max()}, [](Offset, const auto&) { return true; });
        ASSERT_EQ(window_->clamp(log_end), lost > 0 || reference_.cursor > log_end);
        reference_.totals.gone += lost;
        reference_.cursor = std::min(reference_.cursor, log_end);
        reference_.start = std::min(reference_.start, log_end);
        break;
      }
      default: {
        const Offset log_start = reference_.cursor + (static_cast<std::int64_t>(below(300)) - 290);
        if (log_start.value < 0) break;
        window_->trimmed(log_start);
        reference_.totals.gone += erase_if({0}, log_start, [&](Offset offset, const ReferenceEntry& entry) {
          // Redis keeps what somebody has, and what somebody gave back, as pending.
          const bool pending = entry.state == EntryState::acquired || (entry.state == EntryState::available && !reference_.offered(entry));
          return !(settings_.keeps_ids && pending) && !reference_.in_move(offset);
        });
        if (log_start > reference_.cursor) {
          reference_.totals.gone += static_cast<std::uint64_t>(log_start - reference_.cursor) - known_in(reference_.cursor, log_start);
          reference_.cursor = log_start;
        }
        break;
      }
    }
  }

  void change_settings() {
    switch (below(shape_.changes_ordering ? 8 : 7)) {
      case 0:
        settings_.dead_letter_topic = one_in(2) ? "" : "dead";
        break;
      case 1:
        settings_.on_dead = one_in(2) ? OnDead::go_on : OnDead::stop;
        break;
      case 2:
        settings_.delivery_limit = static_cast<std::uint32_t>(below(7));
        break;
      case 3:
        settings_.ack_timeout = std::chrono::milliseconds(below(3) * 10'000);
        break;
      case 4:
        settings_.redelivers = shape_.flavor != QueueFlavor::redis || one_in(2);
        break;
      case 5:
        settings_.paused = one_in(4);
        settings_.paused_until = now_ + 5s;
        break;
      case 6:
        settings_.fence_late_acks = shape_.flavor != QueueFlavor::redis || one_in(2);
        break;
      default:
        settings_.ordering = static_cast<Ordering>(below(3));
        break;
    }
    if (settings_.ordering != reference_.settings.ordering)
      reference_.needs_look = settings_.ordering == Ordering::key && !reference_.entries.empty();
    reference_.settings = settings_;
    window_->configure(std::make_shared<QueueSettings>(settings_));
    reference_.park_dying();
  }

  void look_again() {
    ASSERT_EQ(window_->needs_look(), reference_.needs_look);
    if (!reference_.needs_look) return;
    std::vector<LookedAt> told;
    for (auto& [offset, entry] : reference_.entries) {
      entry.key = key_of(offset);
      entry.priority = priority_of(offset);
      told.push_back({.offset = {offset}, .what = LookedAt::What::candidate, .key = entry.key, .priority = entry.priority});
    }
    const std::size_t half = told.size() / 2;  // The log is read piece by piece.
    window_->look_again(std::span(told).first(half));
    window_->look_again(std::span(told).subspan(half));
    window_->looked_again();
    reference_.needs_look = false;
  }

  // --- Records.

  struct Point {
    std::size_t records = 0;
    ReferenceWindow reference;
  };

  void take_records() {
    std::vector<storage::StateRecord> records = window_->take_records();
    if (records.empty()) return;
    if (one_in(6)) {  // The state log wants to get rid of an old file; what it asks for goes along.
      const std::vector<storage::StreamKey> streams = window_->streams();
      if (!streams.empty()) std::ranges::move(window_->snapshot(streams[below(streams.size())]), std::back_inserter(records));
    }
    std::ranges::move(records, std::back_inserter(log_));
    points_.push_back({log_.size(), reference_});
    if (points_.size() > kPointsKept) points_.erase(points_.begin());
  }

  /// Only what lies behind a stream's last snapshot counts, as in the state log.
  void drop_dead_records() {
    std::map<std::string, std::size_t> begins;
    for (std::size_t i = 0; i < log_.size(); ++i) {
      if (log_[i].type == storage::StateRecordType::snapshot || log_[i].type == storage::StateRecordType::deleted)
        begins[log_[i].stream.id] = i;
    }
    std::vector<storage::StateRecord> live;
    for (std::size_t i = 0; i < log_.size(); ++i) {
      const auto begin = begins.find(log_[i].stream.id);
      if ((begin == begins.end() || i >= begin->second) && log_[i].type != storage::StateRecordType::deleted)
        live.push_back(std::move(log_[i]));
    }
    log_ = std::move(live);
  }

  /// A crash that takes what came after the last submission but `back`.
  void restart(std::size_t back) {
    const Point point = points_[points_.size() - 1 - std::min(back, points_.size() - 1)];
    log_.resize(point.records);
    drop_dead_records();
    reference_ = point.reference;
    reference_.settings = settings_;
    window_ = make();
    for (const storage::StateRecord& record : log_) {
      const Status replayed = window_->replay(record);
      ASSERT_TRUE(replayed.has_value()) << replayed.error().to_string();
    }
    window_->recovered(now_);
    reference_.restart(now_);
    points_.clear();
    points_.push_back({log_.size(), reference_});
    compare_all();
  }

  // --- Checks.

  void compare_cheaply() {
    const QueueCounts got = window_->counts(), want = reference_.counts();
    ASSERT_EQ(got.waiting, want.waiting);
    ASSERT_EQ(got.in_flight, want.in_flight);
    ASSERT_EQ(got.retrying, want.retrying);
    ASSERT_EQ(got.delayed, want.delayed);
    ASSERT_EQ(got.parked, want.parked);
    ASSERT_EQ(got.dying, want.dying);
    ASSERT_EQ(got.done, want.done);
    ASSERT_EQ(got.filtered, want.filtered);
    ASSERT_EQ(got.gone, want.gone);
    ASSERT_EQ(got.dead, want.dead);
    ASSERT_EQ(got.redelivered, want.redelivered);
    ASSERT_EQ(got.timed_out, want.timed_out);
    ASSERT_EQ(window_->cursor(), reference_.cursor);
    ASSERT_EQ(window_->start(), reference_.start);
    ASSERT_EQ(window_->floor(), reference_.floor());
    ASSERT_EQ(window_->has_work(), reference_.has_work());
  }

  void compare_all() {
    std::vector<std::string> names;
    for (const QueueMemberInfo& info : window_->members()) {
      names.push_back(info.name);
      ASSERT_EQ(info.in_flight, reference_.in_flight(info.name));
      ASSERT_EQ(info.created, reference_.members.at(info.name));
    }
    ASSERT_EQ(names.size(), reference_.members.size());
    auto next = reference_.entries.begin();
    window_->visit({0}, {std::numeric_limits<std::int64_t>::max()}, ~0U, {}, [&](const PendingEntry& entry) {
      EXPECT_NE(next, reference_.entries.end());
      if (next == reference_.entries.end()) return false;
      const auto& [offset, want] = *next++;
      EXPECT_EQ(entry.offset.value, offset);
      EXPECT_EQ(entry.state, want.state);
      EXPECT_EQ(entry.member, want.member);
      EXPECT_EQ(ReferenceWindow::ms(entry.delivered), want.delivered);
      EXPECT_EQ(entry.due ? ReferenceWindow::ms(*entry.due) : 0, want.due);
      EXPECT_EQ(entry.deliveries, want.deliveries);
      EXPECT_EQ(entry.failures, want.failures);
      EXPECT_EQ(entry.reason, want.reason);
      EXPECT_EQ(entry.last_member, want.state == EntryState::acquired ? want.member : want.last_member);
      EXPECT_EQ(entry.id, want.id.value_or(EntryId{}));
      return !testing::Test::HasFailure();
    });
    ASSERT_EQ(next, reference_.entries.end());
    ASSERT_EQ(window_->move().has_value(), reference_.move.has_value());
    if (reference_.move) {
      ASSERT_EQ(window_->move()->offsets, reference_.move->offsets);
      ASSERT_EQ(window_->move()->first_sequence, reference_.move->first_sequence);
    }
    ASSERT_EQ(window_->producer_id(), reference_.producer_id);
    ASSERT_EQ(window_->producer_epoch(), reference_.producer_epoch);
    ASSERT_EQ(window_->next_sequence(), reference_.next_sequence);
    ASSERT_EQ(window_->needs_look(), reference_.needs_look);
    compare_cheaply();
  }

  void look() {
    compare_all();
    const std::string member = any_member();
    std::vector<std::int64_t> got, want;
    window_->visit({0}, {std::numeric_limits<std::int64_t>::max()}, ~0U, member, [&](const PendingEntry& entry) {
      got.push_back(entry.offset.value);
      return true;
    });
    for (const auto& [offset, entry] : reference_.entries) {
      if (entry.state == EntryState::acquired && entry.member == member) want.push_back(offset);
    }
    ASSERT_EQ(got, want);
    const EntryId id = id_of(any_offset());
    std::optional<Offset> first;
    for (const auto& [offset, entry] : reference_.entries) {
      if (!first && entry.id && *entry.id >= id) first = Offset{offset};
    }
    ASSERT_EQ(window_->find_id(id), first);
    for (const QueueWindow::BlockedKey& blocked : window_->blocked_keys(3)) {
      ASSERT_NE(reference_.find(blocked.by), nullptr);
      ASSERT_EQ(reference_.find(blocked.by)->state, blocked.state);
    }
    ASSERT_GT(window_->memory_bytes(), 0U);
  }

  /// Of a key one record is out at a time.
  void check_order(const std::vector<Offset>& chosen) {
    if (settings_.ordering != Ordering::key) return;
    std::set<std::uint64_t> out;
    for (const auto& [offset, entry] : reference_.entries) {
      if (entry.key != 0 && entry.state == EntryState::acquired) out.insert(entry.key);
    }
    for (const Offset offset : chosen) {
      if (const std::uint64_t key = reference_.find(offset)->key; key != 0) ASSERT_TRUE(out.insert(key).second);
    }
  }

  const Shape shape_;
  Random random_;
  QueueWindow::Identity who_{.group = "g", .topic = Uuid::from_random(1, 2), .partition = 0};
  QueueSettings settings_;
  Timestamp now_ = at(0ms);
  ReferenceWindow reference_;
  std::unique_ptr<QueueWindow> window_;
  std::vector<storage::StateRecord> log_;
  std::vector<Point> points_;
};

class QueueWindowModel : public testing::TestWithParam<Shape> {};

/// One operation at a time a window does what the reference does, and what its records say after a crash is what it was.
TEST_P(QueueWindowModel, does_what_the_reference_does) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "TIDEMARK_SEED=" << seed << '\n';
  Model model(GetParam(), seed);
  for (int i = 0; i < kOperations; ++i) {
    model.step();
    ASSERT_FALSE(HasFailure()) << "operation " << i << ", TIDEMARK_SEED=" << seed;
  }
  model.finish();
}

INSTANTIATE_TEST_SUITE_P(, QueueWindowModel,
                         testing::Values(Shape{"plain", QueueFlavor::native, Ordering::none, false},
                                         Shape{"priorities", QueueFlavor::native, Ordering::none, true},
                                         Shape{"keys", QueueFlavor::native, Ordering::key, false},
                                         Shape{"keys_and_priorities", QueueFlavor::native, Ordering::key, true},
                                         Shape{"single", QueueFlavor::native, Ordering::single, true},
                                         Shape{"redis", QueueFlavor::redis, Ordering::none, false},
                                         Shape{"share", QueueFlavor::share, Ordering::none, false},
                                         Shape{"changing_order", QueueFlavor::native, Ordering::none, true, true}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tidemark::broker
