#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/broker/entries/entries_fixture.h"

/// Random operations on one stream, against a map that does what Redis says. TIDEMARK_SEED sets the first seed.
namespace tidemark::broker {
namespace {

using IdMap = std::map<EntryId, std::string>;

struct Model {
  IdMap entries;
  EntryId last_id;
  EntryId max_deleted;
  std::uint64_t added = 0;

  std::uint64_t trim(const EntryTrim& trim) {
    std::uint64_t removed = 0;
    const auto goes = [&] {
      if (entries.empty()) return false;
      return trim.kind == EntryTrim::Kind::max_length ? entries.size() > trim.max_length : entries.begin()->first < trim.min_id;
    };
    for (; goes(); ++removed) entries.erase(entries.begin());
    return removed;
  }
};

class EntriesModel : public EntriesTest {
 protected:
  std::uint64_t pick(std::uint64_t from, std::uint64_t to) { return std::uniform_int_distribution<std::uint64_t>(from, to)(random_); }
  EntryId any_id() {
    // Mostly one that is or was there.
    if (!model_.entries.empty() && pick(0, 3) > 0) {
      auto at = model_.entries.begin();
      std::advance(at, pick(0, model_.entries.size() - 1));
      return at->first;
    }
    return {model_.last_id.ms - std::min(model_.last_id.ms, pick(0, 20)) + pick(0, 2), pick(0, 4)};
  }

  void add() {
    EntryIdAsked asked;
    EntryId expected = {model_.last_id.ms, model_.last_id.seq + 1};
    const auto now_ms = static_cast<std::uint64_t>(engine_->runtime().clock().now().time_since_epoch().count());
    switch (pick(0, 3)) {
      case 0:
        // The clock is far ahead of the ids that the others ask for: seldom, or nothing else would be left.
        if (pick(0, 20) > 0) return;
        if (now_ms > model_.last_id.ms) expected = {now_ms, 0};
        break;
      case 1:
        asked = {EntryIdAsked::Kind::automatic_seq, {model_.last_id.ms + pick(0, 1), 0}};
        if (asked.id.ms != model_.last_id.ms) expected = {asked.id.ms, 0};
        break;
      default:
        asked = {EntryIdAsked::Kind::exact, {model_.last_id.ms + pick(0, 1), pick(0, 6)}};
        expected = asked.id;
        break;
    }
    const std::string value = std::to_string(model_.added) + std::string(pick(0, 40), 'v');
    std::optional<EntryTrim> trim;
    if (pick(0, 15) == 0) trim = EntryTrim{.max_length = pick(5, 60), .min_id = {}};
    const Result<EntryAppended> added = stream().try_add({{"f", value}}, asked, trim);
    ASSERT_TRUE(added) << added.error().to_string();
    EntryRefusal refusal = EntryRefusal::none;
    if (expected <= model_.last_id) refusal = EntryRefusal::id_not_above_last;
    if (expected == EntryId{}) refusal = EntryRefusal::id_zero;
    ASSERT_EQ(added->refused, refusal);
    if (refusal != EntryRefusal::none) return;
    ASSERT_EQ(text_of(added->id), text_of(expected));
    model_.entries.emplace(expected, value);
    model_.last_id = expected;
    ++model_.added;
    if (trim) model_.trim(*trim);
  }

  /// Several at once, in one breath.
  void add_many() {
    const std::uint64_t count = pick(2, 40);
    std::vector<std::shared_ptr<std::optional<Result<EntryAppended>>>> answers;
    for (std::uint64_t i = 0; i < count; ++i) {
      model_.last_id = {model_.last_id.ms + pick(0, 1), model_.last_id.seq + 1};
      const std::string value = std::to_string(model_.added++);
      model_.entries.emplace(model_.last_id, value);
      answers.push_back(stream().start_add({{"f", value}}, exactly(model_.last_id.ms, model_.last_id.seq)));
    }
    engine_->runtime().run();
    for (const auto& answer : answers) ASSERT_TRUE(*answer && **answer && (**answer)->refused == EntryRefusal::none);
    operations_ += count - 1;
  }

  void remove() {
    std::vector<EntryId> ids;
    for (std::uint64_t i = pick(1, 6); i > 0; --i) ids.push_back(any_id());
    std::size_t expected = 0;
    for (const EntryId id : ids) {
      if (model_.entries.erase(id) == 0) continue;
      ++expected;
      model_.max_deleted = std::max(model_.max_deleted, id);
    }
    const Result<std::size_t> removed = stream().remove(ids);
    ASSERT_TRUE(removed) << removed.error().to_string();
    ASSERT_EQ(*removed, expected);
  }

  void trim() {
    EntryTrim trim;
    trim.kind = pick(0, 1) == 0 ? EntryTrim::Kind::max_length : EntryTrim::Kind::min_id;
    trim.max_length = pick(0, 9) == 0 ? pick(0, 5) : pick(20, 120);
    trim.min_id = any_id();
    if (trim.kind == EntryTrim::Kind::min_id && pick(0, 2) > 0 && !model_.entries.empty()) {
      auto at = model_.entries.begin();
      std::advance(at, std::min<std::size_t>(pick(0, 5), model_.entries.size() - 1));
      trim.min_id = at->first;
    }
    const std::uint64_t expected = model_.trim(trim);
    const Result<std::uint64_t> trimmed = stream().trim(trim);
    ASSERT_TRUE(trimmed) << trimmed.error().to_string();
    ASSERT_EQ(*trimmed, expected);
  }

  void set_id() {
    EntrySetId values{.last_id = {model_.last_id.ms + pick(0, 3), pick(0, 8)}, .entries_added = {}, .max_deleted = {}};
    if (pick(0, 3) == 0) values.last_id = any_id();
    if (pick(0, 2) == 0) values.entries_added = pick(0, model_.added * 2);
    EntryRefusal expected = EntryRefusal::none;
    if (values.last_id < model_.max_deleted)
      expected = EntryRefusal::id_below_max_deleted;
    else if (!model_.entries.empty() && values.last_id < model_.entries.rbegin()->first)
      expected = EntryRefusal::id_below_top;
    else if (!model_.entries.empty() && values.entries_added && *values.entries_added < model_.entries.size())
      expected = EntryRefusal::entries_added_below_length;
    const Result<EntryRefusal> set = stream().set_id(values);
    ASSERT_TRUE(set) << set.error().to_string();
    ASSERT_EQ(*set, expected);
    if (expected != EntryRefusal::none) return;
    model_.last_id = values.last_id;
    if (values.entries_added) model_.added = *values.entries_added;
  }

  void read() {
    EntryRange range{.first = any_id(), .last = any_id(), .backwards = pick(0, 1) == 0};
    if (pick(0, 2) == 0) range.first = EntryId::min();
    if (pick(0, 2) == 0) range.last = EntryId::max();
    if (pick(0, 1) == 0) range.count_max = pick(1, 20);
    if (pick(0, 3) == 0) range.bytes_max = pick(1, 300);
    std::vector<std::string> expected;
    if (range.first <= range.last) {
      for (auto at = model_.entries.lower_bound(range.first); at != model_.entries.end() && at->first <= range.last; ++at) {
        expected.push_back(text_of(at->first));
      }
    }
    if (range.backwards) std::ranges::reverse(expected);
    // ids() reads on behind bytes_max, each time with count_max.
    if (range.bytes_max < 1024 && range.count_max != SIZE_MAX) range.count_max = SIZE_MAX;
    expected.resize(std::min(expected.size(), range.count_max));
    ASSERT_EQ(stream().ids(range), expected) << text_of(range.first) << " .. " << text_of(range.last) << (range.backwards ? " back" : "");
  }

  void check() {
    const Result<EntryInfo> info = stream().info();
    ASSERT_TRUE(info) << info.error().to_string();
    ASSERT_EQ(info->stats.length, model_.entries.size());
    ASSERT_EQ(text_of(info->stats.last_id), text_of(model_.last_id));
    ASSERT_EQ(text_of(info->stats.max_deleted), text_of(model_.max_deleted));
    ASSERT_EQ(info->stats.entries_added, model_.added);
    ASSERT_EQ(info->first.entries.empty(), model_.entries.empty());
    if (model_.entries.empty()) return;
    ASSERT_EQ(text_of(info->first.entries[0].id), text_of(model_.entries.begin()->first));
    ASSERT_EQ(text_of(info->last.entries[0].id), text_of(model_.entries.rbegin()->first));
    ASSERT_EQ(info->last.entries[0].fields[0].value, model_.entries.rbegin()->second);
  }

  void check_all() {
    std::vector<std::string> expected;
    for (const auto& [id, value] : model_.entries) expected.push_back(text_of(id));
    ASSERT_EQ(stream().ids(), expected);
    ASSERT_EQ(offsets().size(), expected.size()) << "what other protocols see";
  }

  void step() {
    ++operations_;
    const std::uint64_t what = pick(0, 999);
    if (what < 450) return add();
    if (what < 500) return add_many();
    if (what < 650) return remove();
    if (what < 680) return trim();
    if (what < 700) return set_id();
    if (what < 900) return read();
    if (what < 985) return check();
    if (what < 995) return check_all();
    if (what < 998) return power_fails();
    restart();
  }

  std::mt19937_64 random_;
  Model model_;
  std::uint64_t operations_ = 0;
};

TEST_F(EntriesModel, agrees_with_a_map) {
  const char* const given = std::getenv("TIDEMARK_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  constexpr std::uint64_t kOperations = 50'000;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  random_.seed(seed);
  ASSERT_TRUE(engine_->create("s", 1, {{"entry.id", "time"}, {"segment.bytes", "65536"}, {"retention.ms", "-1"}}));
  while (operations_ < kOperations) {
    step();
    if (HasFatalFailure()) {
      std::printf("at operation %llu\n", static_cast<unsigned long long>(operations_));
      return;
    }
  }
  check_all();
}

}  // namespace
}  // namespace tidemark::broker
