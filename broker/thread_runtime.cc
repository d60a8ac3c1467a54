#include "broker/thread_runtime.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <sys/syscall.h>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sched.h>
#include <unistd.h>

namespace tidemark::broker {

namespace asio = boost::asio;

namespace {

/// Far enough ahead never to be reached, near enough not to overflow the clock.
constexpr std::chrono::milliseconds kDelayMax = std::chrono::hours(24 * 365 * 10);

/// The executor whose task or handler this thread is running.
thread_local const Executor* current_executor = nullptr;

/// The kernel's sched_attr, first version; its own header does not go together with glibc's.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

/// Asks the kernel to let this thread go first when it wakes up: since Linux 6.12 one with a shorter slice does. For threads that wait more
/// than they compute; on a busy machine each of their wake-ups otherwise costs the slice of whoever is running. A wish: where it is not
/// known, or somebody has given the process a policy of its own, everything stays as it is.
void ask_for_short_slices() {
  constexpr std::uint64_t kSliceNanoseconds = 100'000;  // The least the kernel takes.
  SchedulingAttributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kSliceNanoseconds;
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

/// An event loop whose pending handlers (suspended sessions, mostly) can be destroyed before the object is, on the thread they belong to.
class EventLoop : public asio::io_context {
 public:
  EventLoop() : asio::io_context(1) {}
  using asio::io_context::shutdown;
};

}  // namespace

class ThreadRuntime::ThreadShard final : public Shard {
 public:
  explicit ThreadShard(std::size_t index) : index_(index), work_(io_.get_executor()), thread_([this] { run(); }) {}
  ~ThreadShard() override { stop(); }

  void post(Task task) override {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;  // The task goes with the caller's frame, after the lock.
      wake = inbox_.empty() && !running_;
      inbox_.push_back(std::move(task));
    }
    if (wake) asio::post(io_, [this] { run_inbox(); });
  }

  bool is_current() const override { return current_executor == this; }
  std::size_t index() const override { return index_; }

  TimerId run_after(std::chrono::milliseconds delay, Task task) override {
    const TimerId id = next_timer_++;
    auto [entry, added] = timers_.emplace(id, asio::steady_timer(io_, std::min(delay, kDelayMax)));
    entry->second.async_wait([this, id, task = std::move(task)](const boost::system::error_code&) mutable {
      // The loop may have queued this call before cancel() came: only the entry says whether the timer still counts.
      if (timers_.erase(id) == 1) task();
    });
    return id;
  }
  void cancel(TimerId timer) override { timers_.erase(timer); }

  asio::io_context& io() { return io_; }

  void request_stop() { io_.stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    request_stop();
    thread_.join();
  }

 private:
  void run() {
    current_executor = this;
    ask_for_short_slices();
    io_.run();
    timers_.clear();
    io_.shutdown();  // A second time does no harm: the destructor calls it again.
    while (!drop_inbox()) {
    }
  }

  /// Destroys what is left in the inbox, which may post again. True once nothing is left and nothing more will be taken.
  bool drop_inbox() {
    std::vector<Task> left;
    const std::lock_guard lock(mutex_);
    left.swap(inbox_);
    closed_ = left.empty();
    return closed_;
  }

  /// Runs what was there when it began, then gives sockets and timers their turn.
  void run_inbox() {
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(inbox_);
      running_ = true;
    }
    for (Task& task : tasks) {
      task();
      task = nullptr;  // Its captures end here, not when the last of them has run.
    }
    const std::lock_guard lock(mutex_);
    running_ = false;
    if (!inbox_.empty()) asio::post(io_, [this] { run_inbox(); });
  }

  const std::size_t index_;
  EventLoop io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::mutex mutex_;
  std::vector<Task> inbox_;
  bool running_ = false;
  bool closed_ = false;
  TimerId next_timer_ = 1;
  std::unordered_map<TimerId, asio::steady_timer> timers_;
  std::thread thread_;  ///< Last: it uses everything above.
};

/// Threads that take tasks from one queue; with one thread, in order.
class ThreadRuntime::Pool final : public Executor {
 public:
  explicit Pool(std::size_t threads, bool urgent = false) {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this, urgent] {
        if (urgent) ask_for_short_slices();
        run();
      });
    }
  }
  ~Pool() override { stop(); }

  void post(Task task) override {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
  }

  bool is_current() const override { return current_executor == this; }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  void run() {
    current_executor = this;
    std::deque<Task> left;  // Outlives the lock: what ends with a task may post.
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (stopping_) {
        left.swap(tasks_);
        return;
      }
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // Its captures end here, not when the next task comes.
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

ThreadRuntime::ThreadRuntime(Options options) {
  CHECK(options.shards > 0 && options.disk_threads > 0);
  for (std::size_t i = 0; i < options.shards; ++i) shards_.push_back(std::make_unique<ThreadShard>(i));
  committer_ = std::make_unique<Pool>(1, true);  // Every acknowledgement waits for it.
  disk_pool_ = std::make_unique<Pool>(options.disk_threads);
}

ThreadRuntime::~ThreadRuntime() { stop(); }

const Clock& ThreadRuntime::clock() const { return clock_; }
std::size_t ThreadRuntime::shard_count() const { return shards_.size(); }
Shard& ThreadRuntime::shard(std::size_t index) { return *shards_.at(index); }
Executor& ThreadRuntime::committer() { return *committer_; }
Executor& ThreadRuntime::disk_pool() { return *disk_pool_; }
boost::asio::io_context& ThreadRuntime::io(std::size_t shard) { return shards_.at(shard)->io(); }

std::uint64_t ThreadRuntime::random() {
  thread_local Random generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return Random(seed);
  }();
  return generator();
}

void ThreadRuntime::stop() {
  committer_->stop();
  disk_pool_->stop();
  for (const auto& shard : shards_) shard->stop();
}

}  // namespace tidemark::broker
