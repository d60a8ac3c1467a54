#include "broker/groups/assignor.h"

#include <algorithm>
#include <optional>
#include <queue>
#include <unordered_map>

namespace tidemark::broker {
namespace {

constexpr std::size_t kNobody = SIZE_MAX;

struct TopicWork {
  AssignableTopic topic;
  std::vector<std::size_t> owners;       ///< By partition.
  std::vector<std::size_t> subscribers;  ///< Member numbers, ascending.
};

class Assignment {
 public:
  Assignment(std::span<const AssignableTopic> topics, std::span<const Assignee> members) : members_(members), load_(members.size(), 0) {
    for (const AssignableTopic& topic : topics) {
      index_.emplace(topic.id, work_.size());
      work_.push_back({topic, std::vector<std::size_t>(static_cast<std::size_t>(topic.partitions), kNobody), {}});
    }
    for (std::size_t m = 0; m < members.size(); ++m) {
      for (const Uuid& id : members[m].topics) {
        if (const auto found = index_.find(id); found != index_.end()) work_[found->second].subscribers.push_back(m);
      }
    }
  }

  bool uniform() const {
    return std::ranges::all_of(
        work_, [&](const TopicWork& work) { return work.subscribers.empty() || work.subscribers.size() == members_.size(); });
  }

  /// Members keep what they had, up to `limit(member)`.
  template <class Limit>
  void keep(Limit limit) {
    for (std::size_t m = 0; m < members_.size(); ++m) {
      const std::size_t most = limit(m);
      for (const PartitionKey& key : members_[m].before) {
        if (load_[m] >= most) break;
        std::size_t* const owner = slot(key);
        if (owner == nullptr || *owner != kNobody || !std::ranges::binary_search(members_[m].topics, key.topic)) continue;
        *owner = m;
        ++load_[m];
      }
    }
  }

  /// What nobody has goes, in order, to the subscriber that has least.
  void fill() {
    using Entry = std::pair<std::size_t, std::size_t>;  // Load, member.
    for (TopicWork& work : work_) {
      if (work.subscribers.empty()) continue;
      std::priority_queue<Entry, std::vector<Entry>, std::greater<>> least;
      for (const std::size_t m : work.subscribers) least.emplace(load_[m], m);
      for (std::size_t& owner : work.owners) {
        if (owner != kNobody) continue;
        const std::size_t m = least.top().second;
        least.pop();
        owner = m;
        least.emplace(++load_[m], m);
      }
    }
  }

  /// Moves single partitions from where there are most until nobody has two more than one who could take it.
  void balance() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (TopicWork& work : work_) {
        for (std::size_t& owner : work.owners) {
          if (owner == kNobody) continue;
          const std::size_t least = *std::ranges::min_element(work.subscribers, {}, [&](std::size_t m) { return load_[m]; });
          if (load_[least] + 2 > load_[owner]) continue;
          --load_[owner];
          ++load_[least];
          owner = least;
          moved = true;
        }
      }
    }
  }

  std::size_t partitions() const {
    std::size_t count = 0;
    for (const TopicWork& work : work_) count += work.subscribers.empty() ? 0 : work.owners.size();
    return count;
  }

  /// How many of what it had the member could keep.
  std::size_t keepable(std::size_t m) {
    return static_cast<std::size_t>(std::ranges::count_if(members_[m].before, [&](const PartitionKey& key) {
      return slot(key) != nullptr && std::ranges::binary_search(members_[m].topics, key.topic);
    }));
  }

  std::vector<std::vector<PartitionKey>> take() const {
    std::vector<std::vector<PartitionKey>> result(members_.size());
    for (const TopicWork& work : work_) {
      for (std::size_t p = 0; p < work.owners.size(); ++p) {
        if (work.owners[p] != kNobody) result[work.owners[p]].push_back({work.topic.id, static_cast<std::int32_t>(p)});
      }
    }
    for (std::vector<PartitionKey>& partitions : result) std::ranges::sort(partitions);
    return result;
  }

 private:
  std::size_t* slot(const PartitionKey& key) {
    const auto found = index_.find(key.topic);
    if (found == index_.end()) return nullptr;
    TopicWork& work = work_[found->second];
    if (key.partition < 0 || key.partition >= work.topic.partitions) return nullptr;
    return &work.owners[static_cast<std::size_t>(key.partition)];
  }

  std::span<const Assignee> members_;
  std::vector<std::size_t> load_;
  std::vector<TopicWork> work_;
  std::unordered_map<Uuid, std::size_t> index_;
};

}  // namespace

std::vector<std::vector<PartitionKey>> assign_sticky(std::span<const AssignableTopic> topics, std::span<const Assignee> members) {
  if (members.empty()) return {};
  Assignment assignment(topics, members);
  if (assignment.uniform()) {
    // Everybody may have everything: each gets its share, and those who had more than the smaller share keep the odd ones.
    const std::size_t share = assignment.partitions() / members.size();
    std::size_t odd = assignment.partitions() % members.size();
    std::vector<std::size_t> most(members.size(), share);
    for (std::size_t m = 0; m < members.size() && odd > 0; ++m) {
      if (assignment.keepable(m) <= share) continue;
      ++most[m];
      --odd;
    }
    assignment.keep([&](std::size_t m) { return most[m]; });
    assignment.fill();
  } else {
    assignment.keep([](std::size_t) { return SIZE_MAX; });
    assignment.fill();
    assignment.balance();
  }
  return assignment.take();
}

}  // namespace tidemark::broker
