#include "broker/thread_runtime.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <set>
#include <sys/resource.h>
#include <thread>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace tidemark::broker {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// Runs `call` on the executor and waits for what it returns.
template <class F>
auto on(Executor& executor, F call) {
  std::promise<decltype(call())> promise;
  auto result = promise.get_future();
  executor.post([&promise, call = std::move(call)]() mutable {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      promise.set_value();
    } else {
      promise.set_value(call());
    }
  });
  return result.get();
}

/// Tells on which thread it was destroyed.
class Tracer {
 public:
  Tracer(const Executor& home, std::atomic<int>& at_home) : home_(&home), at_home_(&at_home) {}
  Tracer(Tracer&& other) noexcept : home_(std::exchange(other.home_, nullptr)), at_home_(other.at_home_) {}
  Tracer& operator=(Tracer&&) = delete;
  ~Tracer() {
    if (home_ != nullptr && home_->is_current()) at_home_->fetch_add(1);
  }

 private:
  const Executor* home_;
  std::atomic<int>* at_home_;
};

class ThreadRuntimeTest : public testing::Test {
 protected:
  ThreadRuntime runtime_{{.shards = 3, .disk_threads = 2}};
};

TEST_F(ThreadRuntimeTest, a_task_runs_on_its_own_executor_and_on_no_other) {
  std::vector<Executor*> executors = {&runtime_.shard(0), &runtime_.shard(1), &runtime_.shard(2), &runtime_.committer(),
                                      &runtime_.disk_pool()};
  for (Executor* executor : executors) {
    const auto current = on(*executor, [&] {
      std::vector<Executor*> found;
      for (Executor* other : executors) {
        if (other->is_current()) found.push_back(other);
      }
      return found;
    });
    EXPECT_EQ(current, std::vector<Executor*>{executor});
    EXPECT_FALSE(executor->is_current());
  }
  EXPECT_EQ(runtime_.shard_count(), 3u);
  EXPECT_EQ(runtime_.shard(2).index(), 2u);
}

TEST_F(ThreadRuntimeTest, a_shard_keeps_the_order_of_each_poster) {
  constexpr int kPosters = 4;
  constexpr int kTasks = 5000;
  std::vector<std::vector<int>> seen(kPosters);  // Only shard 0 touches it.
  std::latch all_ran(kPosters * kTasks);
  std::vector<std::jthread> posters;
  for (int poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&, poster] {
      for (int i = 0; i < kTasks; ++i) {
        runtime_.shard(0).post([&, poster, i] {
          seen[static_cast<std::size_t>(poster)].push_back(i);
          all_ran.count_down();
        });
      }
    });
  }
  all_ran.wait();
  std::vector<int> in_order(kTasks);
  for (int i = 0; i < kTasks; ++i) in_order[static_cast<std::size_t>(i)] = i;
  for (const auto& tasks : seen) EXPECT_EQ(tasks, in_order);
}

TEST_F(ThreadRuntimeTest, a_shard_keeps_the_order_of_its_own_posts_and_lets_sockets_between) {
  std::vector<int> seen;
  std::latch done(1);
  runtime_.shard(0).post([&] {
    boost::asio::post(runtime_.io(0), [&] { seen.push_back(2); });  // Stands for a socket that is ready.
    runtime_.shard(0).post([&] { seen.push_back(3); });
    runtime_.shard(0).post([&] {
      seen.push_back(4);
      done.count_down();
    });
    seen.push_back(1);
  });
  done.wait();
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(ThreadRuntimeTest, the_committer_is_serial_and_the_pool_is_not) {
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) runtime_.committer().post([&, i] { order.push_back(i); });
  on(runtime_.committer(), [] {});
  EXPECT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));

  std::latch both_at_once(2);  // Neither could pass if one waited for the other's end.
  std::latch done(2);
  for (int i = 0; i < 2; ++i) {
    runtime_.disk_pool().post([&] {
      both_at_once.arrive_and_wait();
      done.count_down();
    });
  }
  done.wait();
}

TEST_F(ThreadRuntimeTest, timers_run_in_the_order_of_their_deadlines_on_their_shard) {
  std::vector<int> seen;
  std::latch done(1);
  Shard& shard = runtime_.shard(1);
  shard.post([&] {
    shard.run_after(milliseconds(20), [&] {
      EXPECT_TRUE(shard.is_current());
      seen.push_back(2);
      done.count_down();
    });
    shard.run_after(milliseconds(1), [&] { seen.push_back(1); });
  });
  done.wait();
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST_F(ThreadRuntimeTest, a_timer_never_runs_before_its_time) {
  const SteadyTime started = runtime_.clock().steady();
  std::promise<SteadyTime> fired;
  runtime_.shard(0).post([&] { runtime_.shard(0).run_after(milliseconds(15), [&] { fired.set_value(runtime_.clock().steady()); }); });
  EXPECT_GE(fired.get_future().get() - started, milliseconds(15));
}

TEST_F(ThreadRuntimeTest, a_cancelled_timer_does_not_run_even_when_it_was_due_already) {
  Shard& shard = runtime_.shard(0);
  for (int round = 0; round < 50; ++round) {
    int ran = 0;
    std::promise<void> later;
    shard.post([&] {
      // Both are due when the loop looks next, so the second is already queued when the first cancels it.
      const auto timers = std::make_shared<std::vector<TimerId>>();
      for (std::size_t i = 0; i < 2; ++i) {
        timers->push_back(shard.run_after(milliseconds(0), [&, timers, i] {
          ++ran;
          shard.cancel(timers->at(1 - i));
          shard.run_after(milliseconds(1), [&] { later.set_value(); });
        }));
      }
    });
    later.get_future().wait();
    ASSERT_EQ(on(shard, [&] { return ran; }), 1);
  }
}

TEST_F(ThreadRuntimeTest, cancelling_twice_or_after_the_end_does_nothing) {
  Shard& shard = runtime_.shard(0);
  std::promise<void> ran;
  const TimerId timer = on(shard, [&] { return shard.run_after(milliseconds(0), [&] { ran.set_value(); }); });
  ran.get_future().wait();
  on(shard, [&] {
    shard.cancel(timer);
    shard.cancel(timer);
    const TimerId far = shard.run_after(hours(1), [] { ADD_FAILURE() << "an hour has not passed"; });
    shard.cancel(far);
    shard.cancel(far);
  });
}

TEST_F(ThreadRuntimeTest, the_longest_delay_is_not_the_shortest) {
  Shard& shard = runtime_.shard(0);
  on(shard, [&] { shard.run_after(milliseconds::max(), [] { ADD_FAILURE() << "the clock overflowed"; }); });
  std::promise<void> later;
  on(shard, [&] { shard.run_after(milliseconds(5), [&] { later.set_value(); }); });
  later.get_future().wait();
}

TEST_F(ThreadRuntimeTest, random_numbers_differ_between_threads_and_calls) {
  std::set<std::uint64_t> numbers;
  for (std::size_t i = 0; i < 3; ++i) {
    numbers.insert(on(runtime_.shard(i), [&] { return runtime_.random(); }));
    numbers.insert(on(runtime_.shard(i), [&] { return runtime_.random(); }));
  }
  EXPECT_EQ(numbers.size(), 6u);
}

TEST_F(ThreadRuntimeTest, hand_overs_that_cross_in_a_ring_all_arrive) {
  constexpr int kLaps = 3000;
  std::latch done(3);
  for (std::size_t start = 0; start < 3; ++start) {
    // Named and recursive: every hop goes to the next shard.
    struct Hop {
      ThreadRuntime& runtime;
      std::latch& done;
      std::size_t at;
      int left;
      void operator()() {
        if (!runtime.shard(at).is_current()) ADD_FAILURE() << "ran on the wrong shard";
        if (left == 0) return done.count_down();
        const std::size_t next = (at + 1) % 3;
        runtime.shard(next).post(Hop{runtime, done, next, left - 1});
      }
    };
    runtime_.shard(start).post(Hop{runtime_, done, start, kLaps});
  }
  done.wait();
}

TEST_F(ThreadRuntimeTest, idle_threads_use_no_processor_time) {
  on(runtime_.shard(0), [] {});
  rusage before{}, after{};
  ASSERT_EQ(getrusage(RUSAGE_SELF, &before), 0);
  std::promise<void> later;
  runtime_.shard(0).post([&] { runtime_.shard(0).run_after(milliseconds(200), [&] { later.set_value(); }); });
  later.get_future().wait();
  ASSERT_EQ(getrusage(RUSAGE_SELF, &after), 0);
  const auto cpu_us = [](const rusage& usage) {
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  };
  EXPECT_LT(cpu_us(after) - cpu_us(before), 100'000) << "a spinning thread would have used all of the 200 ms";
}

TEST(ThreadRuntimeStop, lets_running_tasks_finish_and_destroys_the_rest_where_it_belongs) {
  std::atomic<int> at_home = 0;
  std::atomic<int> ran = 0;
  std::latch busy(3);
  std::promise<void> go_on;
  std::shared_future<void> released = go_on.get_future().share();
  {
    ThreadRuntime runtime({.shards = 2, .disk_threads = 1});
    std::vector<Executor*> executors = {&runtime.shard(0), &runtime.committer(), &runtime.disk_pool()};
    for (Executor* executor : executors) {
      executor->post([&] {
        busy.count_down();
        released.wait();
        ++ran;
      });
      executor->post([&ran, tracer = Tracer(*executor, at_home)] { ++ran; });
    }
    on(runtime.shard(1), [&] { runtime.shard(1).run_after(hours(1), [tracer = Tracer(runtime.shard(1), at_home)] {}); });
    busy.wait();
    std::jthread stopper([&] { runtime.stop(); });
    go_on.set_value();
    stopper.join();
    EXPECT_EQ(at_home, 4);
    EXPECT_GE(ran, 3);

    Executor& ended = runtime.shard(0);
    ended.post([&ran] { ran = -100; });  // Destroyed at once.
    runtime.stop();
  }
  EXPECT_GE(ran, 3);
}

TEST(ThreadRuntimeStop, takes_tasks_that_post_when_they_are_destroyed) {
  struct PostsAtItsEnd {
    explicit PostsAtItsEnd(Executor& to) : executor(&to) {}
    PostsAtItsEnd(PostsAtItsEnd&& other) noexcept : executor(std::exchange(other.executor, nullptr)) {}
    PostsAtItsEnd& operator=(PostsAtItsEnd&&) = delete;
    ~PostsAtItsEnd() {
      if (executor != nullptr) executor->post([] {});
    }
    Executor* executor;
  };
  for (int round = 0; round < 20; ++round) {
    ThreadRuntime runtime({.shards = 2, .disk_threads = 1});
    std::vector<Executor*> executors = {&runtime.shard(0), &runtime.shard(1), &runtime.committer(), &runtime.disk_pool()};
    for (Executor* from : executors) {
      for (Executor* to : executors) from->post([end = PostsAtItsEnd(*to)] {});
    }
  }
}

}  // namespace
}  // namespace tidemark::broker
