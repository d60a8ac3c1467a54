#include "broker/queues/queue_settings.h"

#include <array>
#include <charconv>
#include <functional>
#include <limits>
#include <utility>

#include "broker/topic.h"
#include "storage/base/closest_word.h"
#include "storage/base/time_text.h"
#include "storage/base/units.h"

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAckTimeoutMax = std::chrono::hours(12);
constexpr milliseconds kBackoffMax = std::chrono::hours(24 * 7);
constexpr std::size_t kBackoffStepsMax = 32;
constexpr std::int64_t kDeliveryLimitMax = 255;
constexpr std::int64_t kLookaheadMin = 16, kLookaheadMax = 1'000'000;
constexpr std::int64_t kPendingMax = 100'000'000;

/// What a value breaks; nullopt: nothing.
using Rule = std::optional<std::string>;

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class T>
Rule read_integer(std::string_view text, std::int64_t low, std::int64_t high, T& to) {
  const auto value = integer(text);
  if (!value || *value < low || *value > high) return "must be an integer in " + std::to_string(low) + ".." + std::to_string(high);
  to = static_cast<T>(*value);
  return {};
}

Rule read_duration(std::string_view text, milliseconds low, milliseconds high, milliseconds& to) {
  const Result<milliseconds> value = parse_duration(text);
  if (!value || *value < low || *value > high)
    return "must be a duration such as 30s, " + format_duration(low) + " to " + format_duration(high);
  to = *value;
  return {};
}

template <class T>
Rule read_word(std::string_view text, std::initializer_list<std::pair<std::string_view, T>> words, T& to) {
  std::string rule = "must be one of";
  for (const auto& [word, value] : words) {
    if (word == text) {
      to = value;
      return {};
    }
    rule += " " + std::string(word);
  }
  return rule;
}

Rule read_backoff(std::string_view text, Backoff& to) {
  const std::string rule = "must be none, a list such as 1s,10s,1m (at most " + std::to_string(kBackoffStepsMax) +
                           " steps), or a range such as 100ms..1m; each at most " + format_duration(kBackoffMax);
  Backoff read;
  read.first = read.most = milliseconds(0);
  if (text == "none") {
    to = read;
    return {};
  }
  const auto one = [](std::string_view part, milliseconds& out) {
    const Result<milliseconds> value = parse_duration(part);
    if (!value || *value > kBackoffMax) return false;
    out = *value;
    return true;
  };
  if (const std::size_t dots = text.find(".."); dots != std::string_view::npos) {
    if (!one(text.substr(0, dots), read.first) || !one(text.substr(dots + 2), read.most)) return rule;
    if (read.first.count() == 0 || read.first > read.most) return "a range must begin above 0 and not above its end";
    to = read;
    return {};
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    milliseconds step{};
    if (!one(text.substr(begin, end - begin), step) || read.steps.size() == kBackoffStepsMax) return rule;
    read.steps.push_back(step);
    begin = end + 1;
  }
  to = std::move(read);
  return {};
}

Rule read_dead_letter_topic(std::string_view text, std::string& to) {
  if (text == "none") {
    to.clear();
    return {};
  }
  if (const Status legal = validate_topic_name(text); !legal) return "must be none or the name of a topic: " + legal.error().detail;
  if (is_internal_topic(text)) return std::string("must be none or the name of a topic that is not the broker's own");
  to = text;
  return {};
}

Rule read_filter(std::string_view text, Timestamp now, QueueSettings& settings) {
  settings.filter = text;
  settings.parsed_filter.reset();
  if (text.empty()) return {};
  Result<RecordFilter> parsed = RecordFilter::parse(text, now);
  if (!parsed) return parsed.error().detail;
  settings.parsed_filter = std::make_shared<const RecordFilter>(*std::move(parsed));
  return {};
}

Rule read_paused_until(std::string_view text, Timestamp now, QueueSettings& settings) {
  settings.paused = true;
  settings.paused_until.reset();
  if (text == "forever") return {};
  if (const auto ms = integer(text); ms && *ms >= 0) {
    settings.paused_until = Timestamp(milliseconds(*ms));
    return {};
  }
  const Result<Timestamp> until = parse_time(text, now);
  if (!until) return "must be forever or a time: " + until.error().detail;
  settings.paused_until = *until;
  return {};
}

struct Setting {
  std::string_view name;
  Rule (*read)(std::string_view text, Timestamp now, QueueSettings& settings);
};

/// Sorted by name.
constexpr std::array kSettings = {
    Setting{"ack.timeout", [](std::string_view text, Timestamp,
                              QueueSettings& s) { return read_duration(text, milliseconds(0), kAckTimeoutMax, s.ack_timeout); }},
    Setting{"backoff", [](std::string_view text, Timestamp, QueueSettings& s) { return read_backoff(text, s.backoff); }},
    Setting{"dead.letter.topic",
            [](std::string_view text, Timestamp, QueueSettings& s) { return read_dead_letter_topic(text, s.dead_letter_topic); }},
    Setting{"delivery.limit",
            [](std::string_view text, Timestamp, QueueSettings& s) { return read_integer(text, 0, kDeliveryLimitMax, s.delivery_limit); }},
    Setting{"filter", [](std::string_view text, Timestamp now, QueueSettings& s) { return read_filter(text, now, s); }},
    Setting{"lag.objective", [](std::string_view text, Timestamp,
                                QueueSettings& s) { return read_duration(text, milliseconds(1), milliseconds::max(), s.lag_objective); }},
    Setting{"late.acks",
            [](std::string_view text, Timestamp, QueueSettings& s) {
              return read_word<bool>(text, {{"accept", false}, {"refuse", true}}, s.fence_late_acks);
            }},
    Setting{"limit.counts",
            [](std::string_view text, Timestamp, QueueSettings& s) {
              return read_word<bool>(text, {{"failures", false}, {"deliveries", true}}, s.count_deliveries);
            }},
    Setting{"lookahead", [](std::string_view text, Timestamp,
                            QueueSettings& s) { return read_integer(text, kLookaheadMin, kLookaheadMax, s.lookahead); }},
    Setting{"max.pending",
            [](std::string_view text, Timestamp, QueueSettings& s) { return read_integer(text, 0, kPendingMax, s.max_pending); }},
    Setting{"max.pending.member",
            [](std::string_view text, Timestamp, QueueSettings& s) { return read_integer(text, 0, kPendingMax, s.max_pending_member); }},
    Setting{"on.dead",
            [](std::string_view text, Timestamp, QueueSettings& s) {
              return read_word<OnDead>(text, {{"continue", OnDead::go_on}, {"stop", OnDead::stop}}, s.on_dead);
            }},
    Setting{
        "ordering",
        [](std::string_view text, Timestamp, QueueSettings& s) {
          return read_word<Ordering>(text, {{"none", Ordering::none}, {"key", Ordering::key}, {"single", Ordering::single}}, s.ordering);
        }},
    Setting{"paused.until", [](std::string_view text, Timestamp now, QueueSettings& s) { return read_paused_until(text, now, s); }},
    Setting{"redelivery",
            [](std::string_view text, Timestamp, QueueSettings& s) {
              return read_word<bool>(text, {{"on", true}, {"off", false}}, s.redelivers);
            }},
};

QueueSettings defaults_of(const std::string& group, QueueFlavor flavor) {
  QueueSettings settings;
  const std::string dead_letters = group + ".dlq";
  if (validate_topic_name(dead_letters).has_value() && !is_internal_topic(dead_letters)) settings.dead_letter_topic = dead_letters;
  if (flavor == QueueFlavor::redis) {
    settings.ack_timeout = milliseconds(0);
    settings.delivery_limit = 0;
    settings.backoff.first = settings.backoff.most = milliseconds(0);
    settings.dead_letter_topic.clear();
    settings.max_pending = settings.max_pending_member = 0;
    settings.fence_late_acks = false;
    settings.redelivers = false;
    settings.keeps_ids = true;
  }
  settings.count_deliveries = flavor != QueueFlavor::native;
  return settings;
}

std::uint64_t mixed(std::uint64_t x) {  // The finaliser of splitmix64.
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

milliseconds Backoff::delay(std::uint32_t failures, std::uint64_t seed) const {
  if (failures == 0) return milliseconds(0);
  if (!steps.empty()) return steps[std::min<std::size_t>(failures, steps.size()) - 1];
  if (first.count() <= 0) return milliseconds(0);
  std::int64_t wait = first.count();
  for (std::uint32_t i = 1; i < failures && wait < most.count(); ++i) wait *= 2;
  wait = std::min<std::int64_t>(wait, most.count());
  const std::int64_t half = wait / 2;
  return milliseconds(half + static_cast<std::int64_t>(mixed(seed + failures) % static_cast<std::uint64_t>(wait - half + 1)));
}

Result<QueueSettings> resolve_queue_settings(const std::string& group, QueueFlavor flavor,
                                             const std::map<std::string, std::string>& settings, Timestamp now) {
  QueueSettings resolved = defaults_of(group, flavor);
  for (const auto& [name, value] : settings) {
    const auto known = std::ranges::find(kSettings, name, &Setting::name);
    if (known == kSettings.end()) {
      ClosestWord closest(name);
      for (const Setting& setting : kSettings) closest.offer(setting.name);
      const std::string hint = closest.best().empty() ? std::string() : "; did you mean '" + closest.best() + "'?";
      return Error{Errc::invalid_config, "unknown setting '" + name + "'" + hint};
    }
    if (const Rule broken = known->read(value, now, resolved)) return Error{Errc::invalid_config, name + " = '" + value + "': " + *broken};
  }
  // Where leases end by themselves, somebody must be given what comes back.
  if (flavor == QueueFlavor::redis && resolved.ack_timeout.count() > 0 && !settings.contains("redelivery")) resolved.redelivers = true;
  return resolved;
}

}  // namespace tidemark::broker
