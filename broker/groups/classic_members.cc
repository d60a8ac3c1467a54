#include "broker/groups/classic_members.h"

#include <algorithm>
#include <set>
#include <utility>

namespace tidemark::broker {
namespace {

/// A client may name a protocol twice; it speaks it once.
std::set<std::string_view> names_of(const std::vector<ClassicProtocol>& protocols) {
  std::set<std::string_view> names;
  for (const ClassicProtocol& protocol : protocols) names.insert(protocol.name);
  return names;
}

}  // namespace

Slice ClassicMember::metadata_for(std::string_view name) const {
  const auto found = std::ranges::find(protocols, name, &ClassicProtocol::name);
  return found == protocols.end() ? Slice() : found->metadata;
}

ClassicMember* ClassicMembers::find(std::string_view id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

const ClassicMember* ClassicMembers::find(std::string_view id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

ClassicMember* ClassicMembers::find_instance(std::string_view instance_id) {
  const auto found = instances_.find(instance_id);
  return found == instances_.end() ? nullptr : find(found->second);
}

const ClassicMember* ClassicMembers::find_instance(std::string_view instance_id) const {
  const auto found = instances_.find(instance_id);
  return found == instances_.end() ? nullptr : find(found->second);
}

Status ClassicMembers::check(const ClassicIdentity& identity) const {
  if (identity.instance_id) {
    const ClassicMember* const holder = find_instance(*identity.instance_id);
    if (holder == nullptr) return Error{Errc::unknown_member, "no member has instance id '" + *identity.instance_id + "'"};
    if (holder->id != identity.member_id)
      return Error{Errc::fenced_instance_id, "instance id '" + *identity.instance_id + "' now belongs to member '" + holder->id + "'"};
  }
  if (find(identity.member_id) == nullptr) return Error{Errc::unknown_member, "'" + identity.member_id + "' is not a member"};
  return {};
}

ClassicMember& ClassicMembers::add(ClassicMember member) {
  CHECK(!member.id.empty());
  CHECK(!members_.contains(member.id));
  member.order = next_order_++;
  if (member.instance_id) {
    const bool was_free = instances_.emplace(*member.instance_id, member.id).second;
    CHECK(was_free);
  }
  if (members_.empty()) leader_ = member.id;
  count_protocols(member, true);
  std::string id = member.id;
  return members_.emplace(std::move(id), std::move(member)).first->second;
}

void ClassicMembers::remove(std::string_view id) {
  const auto node = members_.extract(members_.find(id));
  CHECK(!node.empty());
  const ClassicMember& member = node.mapped();
  CHECK(!member.is_waiting());
  if (member.instance_id) instances_.erase(*member.instance_id);
  count_protocols(member, false);
  if (!is_leader(member)) return;
  const auto oldest = std::ranges::min_element(members_, {}, [](const auto& entry) { return entry.second.order; });
  leader_ = oldest == members_.end() ? std::string() : oldest->first;
}

ClassicMember& ClassicMembers::replace(std::string_view old_id, std::string new_id) {
  CHECK(!members_.contains(new_id));
  auto node = members_.extract(members_.find(old_id));
  CHECK(!node.empty());
  CHECK(node.mapped().is_static());
  CHECK(!node.mapped().is_waiting());
  if (leader_ == node.key()) leader_ = new_id;
  instances_[*node.mapped().instance_id] = new_id;
  node.mapped().id = new_id;
  node.key() = std::move(new_id);
  return members_.insert(std::move(node)).position->second;
}

ClassicJoinDone ClassicMembers::park_join(ClassicMember& member, ClassicJoinDone done) {
  if (!member.has_joined()) ++joined_;
  return std::exchange(member.parked_join_, std::move(done));
}

ClassicJoinDone ClassicMembers::take_join(ClassicMember& member) {
  if (member.has_joined()) --joined_;
  return std::exchange(member.parked_join_, ClassicJoinDone());
}

void ClassicMembers::set_leader(std::string id) {
  CHECK(members_.contains(id));
  leader_ = std::move(id);
}

bool ClassicMembers::elect_joined_leader() {
  if (const ClassicMember* const leader = find(leader_); leader != nullptr && leader->has_joined()) return true;
  const auto oldest_first = by_age();
  const auto elected = std::ranges::find_if(oldest_first, &ClassicMember::has_joined);
  if (elected == oldest_first.end()) return false;
  leader_ = (*elected)->id;
  return true;
}

void ClassicMembers::set_protocols(ClassicMember& member, std::vector<ClassicProtocol> protocols) {
  count_protocols(member, false);
  member.protocols = std::move(protocols);
  count_protocols(member, true);
}

void ClassicMembers::count_protocols(const ClassicMember& member, bool there) {
  for (const std::string_view name : names_of(member.protocols)) {
    const auto speakers = speakers_.try_emplace(std::string(name), 0).first;
    if (there) {
      ++speakers->second;
      continue;
    }
    CHECK(speakers->second > 0);
    if (--speakers->second == 0) speakers_.erase(speakers);
  }
}

bool ClassicMembers::all_speak(std::string_view protocol) const {
  const auto speakers = speakers_.find(protocol);
  return speakers != speakers_.end() && speakers->second == members_.size();
}

bool ClassicMembers::speak_one_of(const std::vector<ClassicProtocol>& protocols) const {
  return std::ranges::any_of(protocols, [&](const ClassicProtocol& protocol) { return all_speak(protocol.name); });
}

bool ClassicMembers::have_common_protocol() const {
  return std::ranges::any_of(speakers_, [&](const auto& speakers) { return speakers.second == members_.size(); });
}

std::string ClassicMembers::select_protocol() const {
  struct Votes {
    std::string_view protocol;
    std::size_t count = 0;
  };
  std::vector<Votes> votes;  // In the order of the first vote, which decides between equals.
  for (const ClassicMember* const member : by_age()) {
    const auto wanted = std::ranges::find_if(member->protocols, [&](const ClassicProtocol& protocol) { return all_speak(protocol.name); });
    CHECK(wanted != member->protocols.end());
    const auto known = std::ranges::find(votes, std::string_view(wanted->name), &Votes::protocol);
    if (known == votes.end())
      votes.push_back({.protocol = wanted->name, .count = 1});
    else
      ++known->count;
  }
  CHECK(!votes.empty());
  return std::string(std::ranges::max_element(votes, {}, &Votes::count)->protocol);
}

std::chrono::milliseconds ClassicMembers::rebalance_timeout() const {
  std::chrono::milliseconds longest{0};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

std::vector<const ClassicMember*> ClassicMembers::by_age() const {
  std::vector<const ClassicMember*> result;
  result.reserve(members_.size());
  for (const auto& [id, member] : members_) result.push_back(&member);
  std::ranges::sort(result, {}, &ClassicMember::order);
  return result;
}

void ClassicMembers::check_invariants() const {
  CHECK(members_.contains(leader_) != members_.empty());
  std::size_t joined = 0;
  std::size_t statics = 0;
  for (const auto& [id, member] : members_) {
    CHECK(id == member.id);
    if (member.has_joined()) ++joined;
    if (!member.instance_id) continue;
    ++statics;
    CHECK(instances_.at(*member.instance_id) == id);
  }
  CHECK(joined == joined_);
  CHECK(statics == instances_.size());
  CHECK(members_.empty() || have_common_protocol());
}

}  // namespace tidemark::broker
