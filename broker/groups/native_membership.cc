#include "broker/groups/native_membership.h"

#include <algorithm>

#include <re2/re2.h>

#include "broker/groups/assignor.h"
#include "storage/base/printable.h"

namespace tidemark::broker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSessionMin{100}, kSessionMax{1'800'000};
constexpr milliseconds kRebalanceMin{0}, kRebalanceMax{3'600'000};
constexpr milliseconds kIntervalMax{5'000};
constexpr std::size_t kRegexBytesMax = 1024;
constexpr std::int64_t kRegexMemory = 1 << 20;

void add(google::protobuf::RepeatedPtrField<state::GroupChange::Owned>& out, const PartitionKey& key, std::optional<std::int32_t> since) {
  const std::string_view id(reinterpret_cast<const char*>(key.topic.bytes.data()), key.topic.bytes.size());
  if (out.empty() || out.Get(out.size() - 1).topic() != id) out.Add()->set_topic(std::string(id));
  state::GroupChange::Owned& last = *out.Mutable(out.size() - 1);
  last.add_partitions(key.partition);
  if (since) last.add_since(*since);
}

template <class Visit>
void each(const google::protobuf::RepeatedPtrField<state::GroupChange::Owned>& in, Visit visit) {
  for (const state::GroupChange::Owned& topic : in) {
    PartitionKey key;
    std::copy_n(topic.topic().begin(), std::min(topic.topic().size(), key.topic.bytes.size()), key.topic.bytes.begin());
    for (int i = 0; i < topic.partitions_size(); ++i) {
      key.partition = topic.partitions(i);
      visit(key, i < topic.since_size() ? topic.since(i) : 0);
    }
  }
}

std::string show(std::string_view bytes) { return "'" + printable(bytes) + "'"; }

}  // namespace

std::vector<NamedPartition> to_named(const std::vector<PartitionKey>& keys, const TopicTable& topics) {
  std::vector<NamedPartition> named;
  for (const PartitionKey& key : keys) {
    const auto topic = topics.by_id.find(key.topic);
    if (topic != topics.by_id.end()) named.push_back({topic->second->name, key.partition});
  }
  std::ranges::sort(named);
  return named;
}

struct NativeMembership::Member {
  // Recorded.
  std::string id, instance, client_id, host;
  std::int32_t epoch = 0, previous_epoch = 0;
  milliseconds session_timeout{}, rebalance_timeout{};
  Subscription subscription;
  std::map<PartitionKey, std::int32_t> assigned;  ///< And the epoch in which the member was told; 0: it was not yet.
  std::set<PartitionKey> revoking;
  std::vector<PartitionKey> target;
  bool away = false;  ///< Static, left, means to come back.

  // Not recorded.
  std::shared_ptr<re2::RE2> regex;
  std::vector<Uuid> topics;  ///< What the subscription means now. Sorted.
  SteadyTime deadline{};
  std::optional<SteadyTime> revoke_deadline;
  Timestamp last_seen{};
  bool untold = false;  ///< `assigned` is not what it was last told.
  UniqueFunction<void()> news;
};

NativeMembership::NativeMembership() = default;
NativeMembership::~NativeMembership() = default;
NativeMembership::NativeMembership(NativeMembership&&) noexcept = default;
NativeMembership& NativeMembership::operator=(NativeMembership&&) noexcept = default;

NativeMembership::Member* NativeMembership::find(const std::string& id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : found->second.get();
}

void NativeMembership::changed(Member& member) { changed_.insert(member.id); }

// --- Heartbeats.

Result<HeartbeatReply> NativeMembership::heartbeat(const HeartbeatRequest& request, const std::string& client_id, const TopicTable& topics,
                                                   SteadyTime now, Timestamp wall, UniqueFunction<void()> news) {
  const bool joins = request.epoch == 0;
  Member* member = find(request.member);
  if (!joins) {
    if (member == nullptr) return Error{Errc::unknown_member, "the group has no member " + show(request.member) + ": join again"};
    if (Status judged = judge(*member, request); !judged) return std::move(judged).error();
    if (request.epoch != member->epoch) member->untold = true;
  }
  // All that can be refused is judged before anything changes.
  std::shared_ptr<re2::RE2> regex;
  if (joins && !request.subscription) return Error{Errc::invalid_argument, "a joining member says what it subscribes to"};
  if (request.subscription) {
    const Subscription& wanted = *request.subscription;
    if (wanted.topics.size() > kSubscribedTopicsMax || wanted.regex.size() > kRegexBytesMax) {
      return Error{Errc::invalid_argument, "a subscription has at most " + std::to_string(kSubscribedTopicsMax) +
                                               " topics and a regex of " + std::to_string(kRegexBytesMax) + " bytes"};
    }
    if (!wanted.regex.empty()) {
      re2::RE2::Options options(re2::RE2::Quiet);
      options.set_max_mem(kRegexMemory);
      regex = std::make_shared<re2::RE2>(wanted.regex, options);
      if (!regex->ok()) return Error{Errc::invalid_argument, "subscription regex " + show(wanted.regex) + ": " + regex->error()};
    }
  }
  if (request.session_timeout < kSessionMin || request.session_timeout > kSessionMax || request.rebalance_timeout < kRebalanceMin ||
      request.rebalance_timeout > kRebalanceMax) {
    return Error{Errc::invalid_argument, "session_timeout must lie in 100ms..30m, rebalance_timeout in 0..1h"};
  }
  if (joins) {
    const Result<Member*> joined = join(request, client_id);
    if (!joined) return joined.error();
    member = *joined;
  }

  if (request.subscription && (joins || *request.subscription != member->subscription)) {
    member->subscription = *request.subscription;
    member->regex = std::move(regex);
    changed(*member);
    resolve(*member, topics);
    retarget(topics);
  }
  if (request.owned) confirm_owned(*member, *request.owned, topics);
  member->deadline = now + request.session_timeout;
  if (member->session_timeout != request.session_timeout || member->rebalance_timeout != request.rebalance_timeout) {
    member->session_timeout = request.session_timeout;
    member->rebalance_timeout = request.rebalance_timeout;
    changed(*member);
  }
  member->last_seen = wall;
  member->news = std::move(news);
  reconcile();

  HeartbeatReply reply{.epoch = 0, .interval = std::min(kIntervalMax, request.session_timeout / 3), .assignment = {}};
  if (member->revoking.empty() && member->epoch != epoch_) {
    member->previous_epoch = member->epoch;
    member->epoch = epoch_;
    changed(*member);
  }
  reply.epoch = member->epoch;
  if (member->untold || joins || request.owned) {
    // From when it is told first: to tell it again, because the answer was lost, gives it no more time.
    if (!member->revoking.empty() && !member->revoke_deadline) member->revoke_deadline = now + request.rebalance_timeout;
    std::vector<PartitionKey> keys;
    for (auto& [key, since] : member->assigned) {
      keys.push_back(key);
      if (since != 0) continue;
      since = member->epoch;
      changed(*member);
    }
    reply.assignment = to_named(keys, topics);
    member->untold = false;
  }
  return reply;
}

/// A new member, one that has lost its state, or a static one that comes back.
Result<NativeMembership::Member*> NativeMembership::join(const HeartbeatRequest& request, const std::string& client_id) {
  Member* member = find(request.member);
  if (member != nullptr && member->instance != request.instance) {
    return Error{Errc::conflict, "member " + show(request.member) + " is there with another instance id"};
  }
  const auto instance = request.instance.empty() ? instances_.end() : instances_.find(request.instance);
  if (instance != instances_.end() && instance->second != request.member) {
    // It takes over what its former self had; whoever still speaks under the old id is unknown from now on.
    auto node = members_.extract(instance->second);
    say_farewell(*node.mapped());
    removed_.insert(instance->second);
    changed_.erase(instance->second);
    node.key() = request.member;
    node.mapped()->id = request.member;
    instance->second = request.member;
    member = members_.insert(std::move(node)).position->second.get();
  }
  if (member == nullptr) {
    if (members_.size() >= kMembersMax) return Error{Errc::overloaded, "a group has at most " + std::to_string(kMembersMax) + " members"};
    auto fresh = std::make_unique<Member>();
    fresh->id = request.member;
    fresh->instance = request.instance;
    if (!request.instance.empty()) instances_[request.instance] = request.member;
    member = fresh.get();
    members_.emplace(request.member, std::move(fresh));
    removed_.erase(request.member);
  } else {
    // Holds nothing, whatever it held before: what the target says is handed out anew.
    release(*member);
  }
  member->client_id = client_id;
  member->host = request.client_host;
  member->away = false;
  member->epoch = member->previous_epoch = 0;
  changed(*member);
  return member;
}

Status NativeMembership::judge(const Member& member, const HeartbeatRequest& request) const {
  if (request.epoch == member.epoch) return {};
  // The answer that told the present epoch was lost; the next one tells it again.
  if (request.epoch == member.previous_epoch) return {};
  return Error{Errc::stale_member_epoch, "member " + show(member.id) + " is in epoch " + std::to_string(member.epoch) + ", not " +
                                             std::to_string(request.epoch) + ": join again"};
}

/// What the member holds now: what it has given up is free for others.
void NativeMembership::confirm_owned(Member& member, const std::vector<NamedPartition>& owned, const TopicTable& topics) {
  std::set<PartitionKey> held;
  for (const NamedPartition& where : owned) {
    const Topic* const topic = topics.find(where.topic);
    if (topic != nullptr) held.insert({topic->id, where.partition});
  }
  const std::size_t before = member.revoking.size();
  std::erase_if(member.revoking, [&](const PartitionKey& key) {
    if (held.contains(key)) return false;
    holders_.erase(key);
    return true;
  });
  if (member.revoking.size() == before) return;
  unsettled_ = true;
  if (member.revoking.empty()) member.revoke_deadline.reset();
  changed(member);
}

Status NativeMembership::leave(const std::string& id, bool for_good, const TopicTable& topics) {
  const auto entry = members_.find(id);
  if (entry == members_.end()) return Error{Errc::unknown_member, "the group has no member " + show(id)};
  Member& member = *entry->second;
  member.news = nullptr;
  if (!for_good && !member.instance.empty()) {
    member.away = true;
    changed(member);
    return {};
  }
  remove(entry);
  retarget(topics);
  reconcile();
  return {};
}

void NativeMembership::topics_changed(const TopicTable& topics) {
  bool changed = false;
  for (auto& [id, member] : members_) {
    const std::vector<Uuid> before = member->topics;
    resolve(*member, topics);
    changed = changed || member->topics != before;
  }
  if (!changed && shape_ == shape_of(topics)) return;
  retarget(topics);
  reconcile();
}

std::vector<std::string> NativeMembership::expire(const TopicTable& topics, SteadyTime now) {
  std::vector<std::string> ended;
  for (auto entry = members_.begin(); entry != members_.end();) {
    const auto here = entry++;
    const Member& member = *here->second;
    const bool silent = member.deadline <= now;
    const bool holding_on = member.revoke_deadline && *member.revoke_deadline <= now;
    if (!silent && !holding_on) continue;
    ended.push_back("member " + show(member.id) +
                    (silent ? " was not heard of for " + std::to_string(member.session_timeout.count()) + " ms"
                            : " did not give up its partitions in " + std::to_string(member.rebalance_timeout.count()) + " ms"));
    remove(here);
  }
  if (ended.empty()) return ended;
  retarget(topics);
  reconcile();
  return ended;
}

std::optional<SteadyTime> NativeMembership::next_deadline() const {
  std::optional<SteadyTime> next;
  for (const auto& [id, member] : members_) {
    const SteadyTime due = member->revoke_deadline ? std::min(member->deadline, *member->revoke_deadline) : member->deadline;
    if (!next || due < *next) next = due;
  }
  return next;
}

void NativeMembership::fence_all() {
  while (!members_.empty()) remove(members_.begin());
  ++epoch_;
  epoch_changed_ = true;
}

// --- From target to assignment.

void NativeMembership::resolve(Member& member, const TopicTable& topics) const {
  member.topics.clear();
  for (const std::string& name : member.subscription.topics) {
    if (const Topic* const topic = topics.find(name)) member.topics.push_back(topic->id);
  }
  if (member.regex) {
    for (const auto& [name, topic] : topics.by_name) {
      if (!is_internal_topic(name) && re2::RE2::FullMatch(name, *member.regex)) member.topics.push_back(topic->id);
    }
  }
  std::ranges::sort(member.topics);
  member.topics.erase(std::ranges::unique(member.topics).begin(), member.topics.end());
}

/// What there is to be assigned.
std::vector<AssignableTopic> NativeMembership::shape_of(const TopicTable& topics) const {
  std::vector<AssignableTopic> shape;
  for (const Uuid& id : subscribed()) {
    const auto topic = topics.by_id.find(id);
    if (topic != topics.by_id.end()) shape.push_back({id, topic->second->partitions});
  }
  return shape;
}

/// Makes a new target for everybody.
void NativeMembership::retarget(const TopicTable& topics) {
  shape_ = shape_of(topics);
  std::vector<Assignee> assignees;
  std::vector<Member*> order;
  for (auto& [id, member] : members_) {
    assignees.push_back({member->topics, member->target});
    order.push_back(member.get());
  }
  std::vector<std::vector<PartitionKey>> targets = assign_sticky(shape_, assignees);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i]->target == targets[i]) continue;
    order[i]->target = std::move(targets[i]);
    changed(*order[i]);
  }
  ++epoch_;
  epoch_changed_ = true;
  unsettled_ = true;
}

/// Two rounds: what is given up in the first can be handed out in the second.
void NativeMembership::reconcile() {
  if (!std::exchange(unsettled_, false)) return;
  for (auto& [id, member] : members_) reconcile(*member);
  for (auto& [id, member] : members_) reconcile(*member);
}

bool NativeMembership::reconcile(Member& member) {
  bool moved = false;
  for (auto held = member.assigned.begin(); held != member.assigned.end();) {
    if (std::ranges::binary_search(member.target, held->first)) {
      ++held;
      continue;
    }
    if (held->second == 0) {
      holders_.erase(held->first);  // It was never told: nothing to give up.
    } else {
      member.revoking.insert(held->first);
      member.revoke_deadline.reset();
    }
    held = member.assigned.erase(held);
    moved = true;
  }
  if (member.revoking.empty()) {
    for (const PartitionKey& key : member.target) {
      if (member.assigned.contains(key) || holders_.contains(key)) continue;
      member.assigned.emplace(key, 0);
      holders_.emplace(key, &member);
      moved = true;
    }
  }
  if (!moved) return false;
  member.untold = true;
  changed(member);
  return true;
}

void NativeMembership::release(Member& member) {
  for (const auto& [key, since] : member.assigned) holders_.erase(key);
  for (const PartitionKey& key : member.revoking) holders_.erase(key);
  member.assigned.clear();
  member.revoking.clear();
  member.revoke_deadline.reset();
  member.untold = true;
  unsettled_ = true;
}

/// Whoever is removed should come, to hear of it.
void NativeMembership::say_farewell(Member& member) {
  if (member.news) farewells_.push_back(std::exchange(member.news, nullptr));
}

void NativeMembership::remove(Members::iterator entry) {
  Member& member = *entry->second;
  release(member);
  say_farewell(member);
  if (!member.instance.empty()) instances_.erase(member.instance);
  changed_.erase(member.id);
  removed_.insert(member.id);
  members_.erase(entry);
}

// --- Questions.

Status NativeMembership::check_member(const std::string& id, std::int32_t epoch) const {
  const Member* const member = find(id);
  if (member == nullptr) return Error{Errc::unknown_member, "the group has no member " + show(id) + ": join again"};
  if (epoch == member->epoch || epoch == member->previous_epoch) return {};
  return Error{Errc::stale_member_epoch,
               "member " + show(id) + " is in epoch " + std::to_string(member->epoch) + ", not " + std::to_string(epoch)};
}

Status NativeMembership::may_commit(const std::string& id, std::int32_t epoch, const PartitionKey& where) const {
  const Member* const member = find(id);
  if (member == nullptr) return Error{Errc::unknown_member, "the group has no member " + show(id) + ": join again"};
  if (epoch > member->epoch) {
    return Error{Errc::stale_member_epoch,
                 "member " + show(id) + " is in epoch " + std::to_string(member->epoch) + ", not " + std::to_string(epoch)};
  }
  if (member->revoking.contains(where)) return {};
  const auto held = member->assigned.find(where);
  if (held == member->assigned.end() || held->second == 0) {
    return Error{Errc::not_owner, "member " + show(id) + " does not hold partition " + std::to_string(where.partition)};
  }
  if (epoch < held->second) {
    return Error{Errc::stale_member_epoch, "member " + show(id) + " holds the partition since epoch " + std::to_string(held->second) +
                                               ", the commit is of epoch " + std::to_string(epoch)};
  }
  return {};
}

std::set<Uuid> NativeMembership::subscribed() const {
  std::set<Uuid> topics;
  for (const auto& [id, member] : members_) topics.insert(member->topics.begin(), member->topics.end());
  return topics;
}

std::string NativeMembership::owner(const PartitionKey& where) const {
  const auto holder = holders_.find(where);
  return holder == holders_.end() ? std::string() : holder->second->id;
}

std::vector<MemberInfo> NativeMembership::describe(const TopicTable& topics) const {
  std::vector<MemberInfo> infos;
  for (const auto& [id, member] : members_) {
    std::vector<PartitionKey> assigned;
    for (const auto& [key, since] : member->assigned) assigned.push_back(key);
    infos.push_back({.member = id,
                     .instance = member->instance,
                     .client_id = member->client_id,
                     .host = member->host,
                     .epoch = member->epoch,
                     .partitions = to_named(assigned, topics),
                     .revoking = to_named({member->revoking.begin(), member->revoking.end()}, topics),
                     .last_seen = member->last_seen});
  }
  return infos;
}

std::string NativeMembership::state() const {
  if (members_.empty()) return "empty";
  const bool settled = std::ranges::all_of(members_, [](const auto& entry) {
    return !entry.second->untold && entry.second->revoking.empty() && entry.second->assigned.size() == entry.second->target.size();
  });
  return settled ? "stable" : "reconciling";
}

// --- Records.

namespace {

template <class Member>
void write(const Member& member, state::GroupChange::Member& out) {
  out.set_id(member.id);
  out.set_instance(member.instance);
  out.set_client_id(member.client_id);
  out.set_host(member.host);
  out.set_epoch(member.epoch);
  out.set_previous_epoch(member.previous_epoch);
  out.set_session_timeout_ms(static_cast<std::uint32_t>(member.session_timeout.count()));
  out.set_rebalance_timeout_ms(static_cast<std::uint32_t>(member.rebalance_timeout.count()));
  for (const std::string& topic : member.subscription.topics) out.add_topics(topic);
  out.set_regex(member.subscription.regex);
  for (const auto& [key, since] : member.assigned) add(*out.mutable_assigned(), key, since);
  for (const PartitionKey& key : member.revoking) add(*out.mutable_revoking(), key, std::nullopt);
  for (const PartitionKey& key : member.target) add(*out.mutable_target(), key, std::nullopt);
  out.set_away(member.away);
}

}  // namespace

bool NativeMembership::take_change(state::GroupChange& change) {
  const bool any = epoch_changed_ || !changed_.empty() || !removed_.empty();
  if (epoch_changed_) change.set_epoch(epoch_);
  for (const std::string& id : changed_) write(*members_.at(id), *change.add_members());
  for (const std::string& id : removed_) {
    if (!members_.contains(id)) change.add_removed_members(id);
  }
  epoch_changed_ = false;
  changed_.clear();
  removed_.clear();
  return any;
}

void NativeMembership::write_all(state::GroupChange& change) const {
  change.set_epoch(epoch_);
  for (const auto& [id, member] : members_) write(*member, *change.add_members());
}

void NativeMembership::apply(const state::GroupChange& change) {
  if (change.has_epoch()) epoch_ = change.epoch();
  for (const std::string& id : change.removed_members()) members_.erase(id);
  for (const state::GroupChange::Member& in : change.members()) {
    auto member = std::make_unique<Member>();
    member->id = in.id();
    member->instance = in.instance();
    member->client_id = in.client_id();
    member->host = in.host();
    member->epoch = in.epoch();
    member->previous_epoch = in.previous_epoch();
    member->session_timeout = milliseconds(in.session_timeout_ms());
    member->rebalance_timeout = milliseconds(in.rebalance_timeout_ms());
    member->subscription.topics.assign(in.topics().begin(), in.topics().end());
    member->subscription.regex = in.regex();
    each(in.assigned(), [&](const PartitionKey& key, std::int32_t since) { member->assigned[key] = since; });
    each(in.revoking(), [&](const PartitionKey& key, std::int32_t) { member->revoking.insert(key); });
    each(in.target(), [&](const PartitionKey& key, std::int32_t) { member->target.push_back(key); });
    std::ranges::sort(member->target);
    member->away = in.away();
    members_[in.id()] = std::move(member);
  }
}

void NativeMembership::recovered(const TopicTable& topics, SteadyTime now, Timestamp wall) {
  instances_.clear();
  holders_.clear();
  for (auto& [id, member] : members_) {
    if (!member->instance.empty()) instances_[member->instance] = id;
    for (const auto& [key, since] : member->assigned) holders_[key] = member.get();
    if (!member->subscription.regex.empty()) {
      re2::RE2::Options options(re2::RE2::Quiet);
      options.set_max_mem(kRegexMemory);
      member->regex = std::make_shared<re2::RE2>(member->subscription.regex, options);
      if (!member->regex->ok()) member->regex = nullptr;  // Another version of the library: it matches nothing until the member says anew.
    }
    resolve(*member, topics);
    member->deadline = now + member->session_timeout;
    member->last_seen = wall;
    // What it was told last may have been lost with the connection.
    member->untold = true;
  }
  for (auto& [id, member] : members_) {
    // Of a change in several records the last may be missing: what another has already, this one had given up.
    std::erase_if(member->revoking, [&](const PartitionKey& key) { return !holders_.emplace(key, member.get()).second; });
    if (!member->revoking.empty()) member->revoke_deadline = now + member->rebalance_timeout;
  }
  shape_ = shape_of(topics);
  if (!target_fits()) retarget(topics);
  unsettled_ = true;
  reconcile();
}

/// Whether what there is to be assigned is, to members that want it. If so, a restart need not raise the epoch.
bool NativeMembership::target_fits() const {
  std::size_t there = 0, given = 0;
  for (const AssignableTopic& topic : shape_) there += static_cast<std::size_t>(topic.partitions);
  for (const auto& [id, member] : members_) {
    for (const PartitionKey& key : member->target) {
      const auto topic = std::ranges::find(shape_, key.topic, &AssignableTopic::id);
      if (topic == shape_.end() || key.partition >= topic->partitions) return false;
      if (!std::ranges::binary_search(member->topics, key.topic)) return false;
    }
    given += member->target.size();
  }
  return there == given;
}

std::vector<UniqueFunction<void()>> NativeMembership::take_news() {
  std::vector<UniqueFunction<void()>> calls = std::exchange(farewells_, {});
  for (auto& [id, member] : members_) {
    if (member->untold && member->news) calls.push_back(std::exchange(member->news, nullptr));
  }
  return calls;
}

void NativeMembership::check_invariants() const {
  std::size_t held = 0;
  std::set<PartitionKey> targets;
  for (const auto& [id, member] : members_) {
    held += member->assigned.size() + member->revoking.size();
    for (const auto& [key, since] : member->assigned) {
      CHECK(holders_.at(key) == member.get());
      CHECK(!member->revoking.contains(key));
    }
    for (const PartitionKey& key : member->revoking) CHECK(holders_.at(key) == member.get());
    for (const PartitionKey& key : member->target) CHECK(targets.insert(key).second);
    CHECK(member->epoch <= epoch_);
    if (!member->instance.empty()) CHECK(instances_.at(member->instance) == id);
  }
  CHECK(held == holders_.size());
}

}  // namespace tidemark::broker
