#include "tests/simulation/simulated_runtime.h"

#include <algorithm>

namespace tidemark::simulation {

class SimulatedRuntime::Queue final : public broker::Executor {
 public:
  Queue(SimulatedRuntime& runtime, bool ordered) : runtime_(runtime), ordered_(ordered) {}

  void post(broker::Task task) override { tasks_.push_back(std::move(task)); }
  bool is_current() const override { return runtime_.current_ == this; }
  bool empty() const { return tasks_.empty(); }
  void clear() { tasks_.clear(); }

  void run_one() {
    const std::size_t index = ordered_ ? 0 : runtime_.random_() % tasks_.size();
    broker::Task task = std::move(tasks_[index]);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(index));
    runtime_.current_ = this;
    task();
    runtime_.current_ = nullptr;
  }

 private:
  SimulatedRuntime& runtime_;
  const bool ordered_;
  std::deque<broker::Task> tasks_;
};

class SimulatedRuntime::SimulatedShard final : public broker::Shard {
 public:
  SimulatedShard(SimulatedRuntime& runtime, std::size_t index) : runtime_(runtime), index_(index), queue_(runtime, true) {}

  void post(broker::Task task) override { queue_.post(std::move(task)); }
  bool is_current() const override { return queue_.is_current(); }
  std::size_t index() const override { return index_; }
  broker::TimerId run_after(std::chrono::milliseconds delay, broker::Task task) override {
    const std::uint64_t id = runtime_.next_timer_++;
    runtime_.timers_.emplace(std::pair(runtime_.clock_.steady() + delay, id), std::pair(this, std::move(task)));
    return id;
  }
  void cancel(broker::TimerId timer) override {
    const auto found = std::ranges::find_if(runtime_.timers_, [&](const auto& entry) { return entry.first.second == timer; });
    if (found != runtime_.timers_.end()) runtime_.timers_.erase(found);
  }
  Queue& queue() { return queue_; }

 private:
  SimulatedRuntime& runtime_;
  const std::size_t index_;
  Queue queue_;
};

SimulatedRuntime::SimulatedRuntime(std::uint64_t seed, std::size_t shards)
    : random_(seed), committer_(std::make_unique<Queue>(*this, true)), disk_pool_(std::make_unique<Queue>(*this, false)) {
  for (std::size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<SimulatedShard>(*this, i));
}

SimulatedRuntime::~SimulatedRuntime() = default;

broker::Shard& SimulatedRuntime::shard(std::size_t index) { return *shards_.at(index); }
broker::Executor& SimulatedRuntime::committer() { return *committer_; }
broker::Executor& SimulatedRuntime::disk_pool() { return *disk_pool_; }

bool SimulatedRuntime::step() {
  std::vector<Queue*> ready;
  for (const auto& shard : shards_) {
    if (!shard->queue().empty()) ready.push_back(&shard->queue());
  }
  if (!committer_->empty()) ready.push_back(committer_.get());
  if (!disk_pool_->empty()) ready.push_back(disk_pool_.get());
  if (ready.empty()) return false;
  ready[random_() % ready.size()]->run_one();
  return true;
}

void SimulatedRuntime::run() {
  while (step()) {
  }
}

void SimulatedRuntime::advance(std::chrono::milliseconds by) {
  const SteadyTime until = clock_.steady() + by;
  run();
  while (!timers_.empty() && timers_.begin()->first.first <= until) {
    auto entry = timers_.extract(timers_.begin());
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(entry.key().first - clock_.steady());
    if (wait.count() > 0) clock_.advance(wait);
    auto& [shard, task] = entry.mapped();
    shard->post(std::move(task));
    run();
  }
  clock_.advance(std::chrono::duration_cast<std::chrono::milliseconds>(until - clock_.steady()));
}

bool SimulatedRuntime::run_until(const std::function<bool()>& done) {
  const SteadyTime limit = clock_.steady() + std::chrono::hours(1);
  while (!done()) {
    if (step()) continue;
    if (timers_.empty() || timers_.begin()->first.first > limit) return false;
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(timers_.begin()->first.first - clock_.steady());
    advance(std::max(wait, std::chrono::milliseconds(0)));
  }
  return true;
}

}  // namespace tidemark::simulation
