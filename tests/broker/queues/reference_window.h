#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/queues/queue_window.h"

/// A queue group's window as plainly as it can be written: one map, everything found by looking at all of it. No indexes, no records.
namespace tidemark::broker {

struct ReferenceEntry {
  EntryState state = EntryState::available;
  std::string member;
  std::int64_t delivered = 0, due = 0;
  std::uint32_t deliveries = 0, failures = 0;
  std::string reason;
  std::optional<EntryId> id;
  std::uint64_t key = 0;
  std::uint8_t priority = 0;

  bool handed_out() const { return delivered != 0; }
};

struct ReferenceWindow {
  QueueSettings settings;
  Offset start, cursor;
  std::map<std::int64_t, ReferenceEntry> entries;  ///< Unfinished ones.
  std::map<std::string, Timestamp> members;        ///< When they were made.
  QueueCounts totals;                              ///< Its second half.
  std::optional<QueueWindow::Move> move;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  std::int32_t next_sequence = 0;
  bool needs_look = false;

  static std::int64_t ms(Timestamp time) { return time.time_since_epoch().count(); }
  ReferenceEntry* find(Offset offset) {
    const auto found = entries.find(offset.value);
    return found == entries.end() ? nullptr : &found->second;
  }
  bool has(const ReferenceEntry& entry, EntryState state) const { return entry.state == state; }
  bool in_move(Offset offset) const { return move && std::ranges::find(move->offsets, offset) != move->offsets.end(); }
  EntryState dead() const { return settings.dead_letter_topic.empty() ? EntryState::parked : EntryState::dying; }
  std::int64_t lease(Timestamp now) const { return settings.ack_timeout.count() == 0 ? 0 : ms(now) + settings.ack_timeout.count(); }
  std::uint64_t in_flight(std::string_view member) const {
    std::uint64_t sum = 0;
    for (const auto& [offset, entry] : entries) sum += entry.state == EntryState::acquired && entry.member == member ? 1U : 0U;
    return sum;
  }

  QueueCounts counts() const {
    QueueCounts sum = totals;
    for (const auto& [offset, entry] : entries) {
      switch (entry.state) {
        case EntryState::done:
          break;
        case EntryState::available:
          ++(entry.handed_out() ? sum.retrying : sum.waiting);
          break;
        case EntryState::acquired:
          ++sum.in_flight;
          break;
        case EntryState::delayed:
          ++sum.delayed;
          break;
        case EntryState::parked:
          ++sum.parked;
          break;
        case EntryState::dying:
          ++sum.dying;
          break;
      }
    }
    return sum;
  }
  Offset floor() const {
    for (const auto& [offset, entry] : entries) {
      if (entry.state != EntryState::parked) return std::min(Offset{offset}, cursor);
    }
    return cursor;
  }

  // --- Handing out.

  bool offered(const ReferenceEntry& entry) const {
    return entry.state == EntryState::available && (settings.redelivers || !entry.handed_out());
  }
  bool suspect(const ReferenceEntry& entry) const {
    return settings.suspect_from() != 0 && (settings.count_deliveries ? entry.deliveries : entry.failures) >= settings.suspect_from();
  }
  bool at_limit(const ReferenceEntry& entry) const {
    return settings.delivery_limit != 0 && (settings.count_deliveries ? entry.deliveries : entry.failures) >= settings.delivery_limit;
  }
  bool aside(const ReferenceEntry& entry) const {
    return settings.on_dead == OnDead::go_on && (entry.state == EntryState::parked || entry.state == EntryState::dying);
  }
  std::optional<std::uint64_t> key_of(const ReferenceEntry& entry) const {
    if (settings.ordering == Ordering::none) return std::nullopt;
    if (settings.ordering == Ordering::single) return 1;
    if (entry.key == 0) return std::nullopt;
    return entry.key;
  }
  /// Everything that may be handed out to somebody now, in order.
  std::vector<std::pair<std::pair<int, std::int64_t>, bool>> eligible() const {
    std::map<std::uint64_t, std::int64_t> heads;
    std::set<std::uint64_t> busy;
    for (const auto& [offset, entry] : entries) {
      const auto key = key_of(entry);
      if (!key) continue;
      if (!aside(entry)) heads.emplace(*key, offset);
      if (entry.state == EntryState::acquired) busy.insert(*key);
    }
    std::vector<std::pair<std::pair<int, std::int64_t>, bool>> found;
    for (const auto& [offset, entry] : entries) {
      if (!offered(entry) || needs_look) continue;
      const auto key = key_of(entry);
      if (key && (busy.contains(*key) || heads.at(*key) != offset)) continue;
      found.push_back({{settings.ordering == Ordering::single ? 9 : 9 - entry.priority, offset}, suspect(entry)});
    }
    std::ranges::sort(found);
    return found;
  }
  std::vector<Offset> choose(std::string_view member, std::size_t max, Timestamp now) const {
    if (settings.paused && (!settings.paused_until || now < *settings.paused_until)) return {};
    const std::uint64_t mine = in_flight(member);
    const auto left = [](std::size_t bound, std::uint64_t used) {
      return bound == 0 ? std::size_t{1} << 40 : bound <= used ? 0 : bound - static_cast<std::size_t>(used);
    };
    max = std::min({max, left(settings.max_pending, counts().in_flight), left(settings.max_pending_member, mine)});
    std::vector<Offset> chosen;
    const auto all = eligible();
    for (const auto& [rank, is_suspect] : all) {
      if (chosen.size() == max) break;
      if (is_suspect && chosen.empty() && mine == 0) return {Offset{rank.second}};
      if (!is_suspect) chosen.push_back({rank.second});
    }
    return chosen;
  }
  bool has_work() const { return !eligible().empty(); }

  void touch(const std::string& member, Timestamp now) { members.emplace(member, now); }
  void hand_out(ReferenceEntry& entry, const std::string& member, Timestamp delivered, Timestamp now) {
    entry.state = EntryState::acquired;
    entry.member = member;
    entry.delivered = std::max<std::int64_t>(ms(delivered), 1);
    entry.due = lease(now);
  }
  void take(const std::string& member, const std::vector<Offset>& wanted, const std::vector<EntryId>& ids, Timestamp now) {
    touch(member, now);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ReferenceEntry* const entry = find(wanted[i]);
      if (entry == nullptr || entry->state != EntryState::available) continue;
      if (settings.looks_ahead()) {
        const auto all = eligible();
        if (std::ranges::none_of(all, [&](const auto& one) { return one.first.second == wanted[i].value; })) continue;
      }
      if (entry->handed_out()) ++totals.redelivered;
      ++entry->deliveries;
      hand_out(*entry, member, now, now);
      if (settings.keeps_ids) entry->id = ids[i];
    }
  }

  // --- Settling.

  Settled standing(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries, bool only_owner) {
    const ReferenceEntry* const entry = find(offset);
    if (entry == nullptr) return offset < cursor ? Settled::already_settled : Settled::not_delivered;
    if (entry->state == EntryState::available && !entry->handed_out()) return Settled::not_delivered;
    if (entry->state == EntryState::dying && in_move(offset)) return Settled::already_settled;
    if (!settings.fence_late_acks && !only_owner) return Settled::ok;
    if (deliveries != 0 && deliveries != entry->deliveries) return Settled::lease_lost;
    if (!member) return Settled::ok;
    if (entry->state != EntryState::acquired) return Settled::lease_lost;
    return entry->member == *member ? Settled::ok : Settled::not_owner;
  }
  Settled returning(Offset offset, std::optional<std::string_view> member, std::uint32_t deliveries) {
    const Settled stands = standing(offset, member, deliveries, false);
    if (stands != Settled::ok) return stands;
    const EntryState state = find(offset)->state;
    return state == EntryState::parked || state == EntryState::dying ? Settled::already_settled : Settled::ok;
  }
  void leave(ReferenceEntry& entry, EntryState state, std::int64_t due) {
    entry.state = state;
    entry.due = due;
    entry.member.clear();
  }
  void fail(ReferenceEntry& entry, std::optional<std::chrono::milliseconds> delay, const std::string& reason, Timestamp now) {
    ++entry.failures;
    entry.reason = reason;
    const auto wait = delay ? *delay : settings.backoff.delay(entry.failures, 0);
    if (at_limit(entry))
      leave(entry, dead(), 0);
    else if (wait.count() > 0)
      leave(entry, EntryState::delayed, ms(now) + wait.count());
    else
      leave(entry, EntryState::available, 0);
  }
  void release(ReferenceEntry& entry) { leave(entry, settings.count_deliveries && at_limit(entry) ? dead() : EntryState::available, 0); }
  void expire(Timestamp now) {
    for (auto& [offset, entry] : entries) {
      if (entry.due == 0 || entry.due > ms(now)) continue;
      if (entry.state == EntryState::delayed) {
        leave(entry, EntryState::available, 0);
      } else {
        ++totals.timed_out;
        fail(entry, std::nullopt, "ack timeout", now);
      }
    }
  }
  std::uint64_t give_back(const std::string& member, bool drop, bool failed, const std::string& reason, Timestamp now) {
    std::uint64_t had = 0;
    for (auto at = entries.begin(); at != entries.end();) {
      ReferenceEntry& entry = at->second;
      if (entry.state != EntryState::acquired || entry.member != member) {
        ++at;
        continue;
      }
      ++had;
      if (drop) {
        at = entries.erase(at);
        continue;
      }
      if (failed)
        fail(entry, std::chrono::milliseconds(0), reason, now);
      else
        release(entry);
      ++at;
    }
    return had;
  }
  bool claim(const std::string& member, const EntryClaim& claim, Timestamp now) {
    ReferenceEntry* known = find(claim.offset);
    bool makes = false;
    if (known == nullptr || (known->state == EntryState::available && !known->handed_out())) {
      if (!claim.force) return false;
      makes = true;
    } else if (known->state == EntryState::acquired) {
      if (ms(now) - known->delivered < claim.min_idle.count()) return false;
    } else if (known->state == EntryState::parked || known->state == EntryState::dying) {
      return false;
    }
    if (known != nullptr && known->state != EntryState::acquired) {
      if (needs_look) return false;
      if (const auto key = key_of(*known)) {
        for (const auto& [offset, other] : entries) {
          if (key_of(other) != key) continue;
          if (other.state == EntryState::acquired || (offset < claim.offset.value && !aside(other))) return false;
        }
      }
    }
    if (!makes && !claim.just_id && !claim.deliveries && settings.count_deliveries && at_limit(*known)) {
      known->reason = "delivery limit";
      leave(*known, dead(), 0);
      return false;
    }
    touch(member, now);
    if (known == nullptr && settings.ordering == Ordering::key) needs_look = true;
    ReferenceEntry& entry = entries[claim.offset.value];
    if (makes) {
      entry.deliveries = 1;
      if (settings.keeps_ids) entry.id = claim.id;
    }
    if (claim.deliveries) {
      entry.deliveries = *claim.deliveries;
    } else if (!claim.just_id) {
      ++entry.deliveries;
      if (!makes) ++totals.redelivered;
    }
    hand_out(entry, member, claim.delivered.value_or(now), now);
    return true;
  }
  void park_dying() {
    if (!settings.dead_letter_topic.empty()) return;
    for (auto& [offset, entry] : entries) {
      if (entry.state == EntryState::dying && !in_move({offset})) leave(entry, EntryState::parked, 0);
    }
  }

  /// As after a restart: what is not recorded is gone.
  void restart(Timestamp now) {
    for (auto& [offset, entry] : entries) {
      if (entry.state == EntryState::acquired) entry.due = lease(now);
      entry.key = 0;
      entry.priority = 0;
    }
    needs_look = settings.ordering == Ordering::key && !entries.empty();
    park_dying();
  }
};

}  // namespace tidemark::broker
