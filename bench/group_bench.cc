#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/groups/groups.h"
#include "broker/thread_runtime.h"
#include "storage/base/check.h"
#include "storage/batch/record_batch.h"
#include "storage/posix_file_system.h"

/// What consumer groups cost: hand-overs, durable commits and lag queries, on a real disk.
///
/// A broker in this process, with the real runtime and file system, is called as the protocol adapters call it. The members are simulated:
/// they answer at once, without a socket between, so a hand-over here is what the broker and the disk take of it.
///
/// group_bench [DIRECTORY]: the data directory is made in there and removed again.
namespace tidemark::broker {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::int32_t kPartitions = 1000;
constexpr int kHandOvers = 15;
constexpr const char* kTopic = "bench";

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// A broker on its own data directory.
class Bench {
 public:
  Bench(const std::string& directory, std::size_t shards) : directory_(directory), runtime_({.shards = shards, .disk_threads = 2}) {
    std::filesystem::remove_all(directory_);
    BrokerOptions options;
    options.data_directory = directory_;
    options.disk_low_water_bytes = 0;
    Result<std::unique_ptr<Broker>> opened = Broker::open(runtime_, files_, options, [](Error error) {
      std::fprintf(stderr, "%s\n", error.to_string().c_str());
      std::abort();
    });
    if (!opened) std::fprintf(stderr, "%s\n", opened.error().to_string().c_str());
    CHECK(opened.has_value());
    broker_ = *std::move(opened);
    const auto made = ask<std::shared_ptr<const Topic>>([](Broker& broker, auto done) {
      broker.create_topic({}, {kTopic, kPartitions, {}}, std::move(done));
    });
    CHECK(made.has_value());
  }
  ~Bench() {
    std::promise<void> stopped;
    broker_->stop([&](Result<void>) { stopped.set_value(); });
    stopped.get_future().wait();
    runtime_.stop();
    broker_.reset();
    std::filesystem::remove_all(directory_);
  }

  Broker& broker() { return *broker_; }
  Shard& shard() { return runtime_.shard(0); }
  void on_shard(std::function<void()> task) {
    std::promise<void> ran;
    shard().post([&] {
      task();
      ran.set_value();
    });
    ran.get_future().wait();
  }
  template <class T>
  Result<T> ask(std::function<void(Broker&, Done<T>)> call) {
    std::promise<Result<T>> answer;
    shard().post([&] { call(*broker_, [&](Result<T> result) { answer.set_value(std::move(result)); }); });
    return answer.get_future().get();
  }

 private:
  const std::string directory_;
  storage::PosixFileSystem files_;
  ThreadRuntime runtime_;
  std::unique_ptr<Broker> broker_;
};

// --- Hand-overs.

/// Members of one group, all on shard 0. A partition counts as read from the answer of its position until it is given up.
class Members {
 public:
  explicit Members(Bench& bench) : bench_(bench) {}

  /// From the call until every partition is read again, and the newcomer, if there is one, has its share.
  double arrival() {
    return time_until_settled([this] { come(*members_.emplace_back(std::make_unique<Member>("m" + std::to_string(++made_)))); });
  }
  double departure() {
    return time_until_settled([this] {
      const std::unique_ptr<Member> gone = std::move(members_.front());
      members_.erase(members_.begin());
      gone_.insert(gone->id);
      bench_.broker().groups().leave({}, "g", gone->id, true, [](Status left) { CHECK(left.has_value()); });
    });
  }
  void leave_all() {
    if (members_.empty()) return;
    std::promise<void> all;
    std::size_t left = 0;
    bench_.on_shard([&] {
      left = members_.size();
      for (const auto& member : members_) {
        gone_.insert(member->id);
        bench_.broker().groups().leave({}, "g", member->id, true, [&](Status done) {
          CHECK(done.has_value());
          if (--left == 0) all.set_value();
        });
      }
      members_.clear();
    });
    all.get_future().wait();
  }

 private:
  struct Member {
    explicit Member(std::string id_in) : id(std::move(id_in)) {}
    const std::string id;
    std::int32_t epoch = 0;
    std::set<NamedPartition> held, reads;
    bool under_way = false, again = false, tell = true;
  };

  double time_until_settled(std::function<void()> change) {
    std::future<void> settled;
    const auto began = SteadyClock::now();
    bench_.on_shard([&] {
      settled_ = {};
      settled = settled_.get_future();
      waiting_ = true;
      change();
    });
    settled.wait();
    return Milliseconds(SteadyClock::now() - began).count();
  }
  Member* find(const std::string& id) {
    for (const auto& member : members_) {
      if (member->id == id) return member.get();
    }
    CHECK(gone_.contains(id));
    return nullptr;
  }

  void come(Member& member) {
    if (member.under_way) {
      member.again = true;
      return;
    }
    HeartbeatRequest request;
    request.group = "g";
    request.member = member.id;
    request.epoch = member.epoch;
    if (member.epoch == 0) request.subscription = Subscription{.topics = {kTopic}, .regex = {}};
    if (member.tell) request.owned.emplace(member.held.begin(), member.held.end());
    member.tell = member.again = false;
    member.under_way = true;
    bench_.broker().groups().heartbeat(
        {}, std::move(request), [this, id = member.id] { on_news(id); },
        [this, id = member.id](Result<HeartbeatReply> reply) { on_reply(id, std::move(reply)); });
  }
  void on_news(const std::string& id) {
    if (Member* const member = find(id)) come(*member);
  }
  void on_reply(const std::string& id, Result<HeartbeatReply> reply) {
    Member* const member = find(id);
    if (member == nullptr) return;
    CHECK(reply.has_value());
    member->under_way = false;
    member->epoch = reply->epoch;
    if (reply->assignment) take(*member, *reply->assignment);
    if (member->again || member->tell) come(*member);
  }
  void take(Member& member, const std::vector<NamedPartition>& assignment) {
    const std::set<NamedPartition> allowed(assignment.begin(), assignment.end());
    PositionsRequest request{.group = "g", .member = member.id, .epoch = member.epoch, .entries = {}};
    for (const NamedPartition& where : assignment) {
      if (!member.held.contains(where)) request.entries.push_back({where, {}});
    }
    member.tell = member.held != allowed;
    member.held = allowed;
    std::erase_if(member.reads, [&](const NamedPartition& where) { return !allowed.contains(where); });
    if (request.entries.empty()) return;
    std::vector<NamedPartition> asked;
    for (const auto& entry : request.entries) asked.push_back(entry.where);
    bench_.broker().groups().positions({}, std::move(request), [this, id = member.id, asked](const Result<PositionsReply>& positions) {
      Member* const reader = find(id);
      if (reader == nullptr || !positions) return;
      for (std::size_t i = 0; i < asked.size(); ++i) {
        if ((*positions)[i] && reader->held.contains(asked[i])) reader->reads.insert(asked[i]);
      }
      look();
    });
  }
  /// Whether everyone reads.
  void look() {
    if (!waiting_) return;
    std::size_t reads = 0;
    for (const auto& member : members_) {
      if (member->reads.size() < static_cast<std::size_t>(kPartitions) / members_.size()) return;
      reads += member->reads.size();
    }
    if (reads != static_cast<std::size_t>(kPartitions)) return;
    waiting_ = false;
    settled_.set_value();
  }

  Bench& bench_;
  std::vector<std::unique_ptr<Member>> members_;
  std::set<std::string> gone_;
  std::promise<void> settled_;
  std::size_t made_ = 0;
  bool waiting_ = false;
};

void measure_hand_overs(const std::string& directory) {
  Bench bench(directory, 2);
  for (const int count : {1, 10, 100}) {
    Members members(bench);
    std::vector<double> arrivals, departures;
    for (int i = 1; i < count; ++i) members.arrival();
    for (int i = 0; i < kHandOvers; ++i) {
      arrivals.push_back(members.arrival());
      if (count > 1)
        departures.push_back(members.departure());
      else
        members.leave_all();
    }
    std::printf("arrival as member %3d:   median %6.1f ms, most %6.1f ms until all %d partitions are read\n", count, median(arrivals),
                *std::ranges::max_element(arrivals), kPartitions);
    if (!departures.empty()) {
      std::printf("departure of one of %3d: median %6.1f ms, most %6.1f ms\n", count, median(departures),
                  *std::ranges::max_element(departures));
    }
    std::fflush(stdout);
    members.leave_all();
  }
}

// --- Commits.

/// Requests of `entries` positions each, always `depth` of them under way.
void measure_commits(Bench& bench, int entries, int depth, int requests) {
  struct Run {
    Bench& bench;
    const int entries, requests;
    int started = 0, answered = 0;
    std::promise<void> all;
    void next() {
      if (started == requests) return;
      CommitRequest request{.group = "commits", .member = {}, .epoch = 0, .instance = {}, .entries = {}};
      for (int i = 0; i < entries; ++i) {
        const std::int32_t partition = (started * entries + i) % kPartitions;
        request.entries.push_back({.where = {kTopic, partition}, .offset = Offset{0}, .leader_epoch = 0, .metadata = {}});
      }
      ++started;
      bench.broker().groups().commit({}, std::move(request), [this](const Result<CommitReply>& reply) {
        CHECK(reply.has_value() && reply->at(0).has_value());
        if (++answered == requests) all.set_value();
        bench.shard().post([this] { next(); });
      });
    }
  };
  Run run{.bench = bench, .entries = entries, .requests = requests, .all = {}};
  const auto began = SteadyClock::now();
  const std::clock_t cpu_began = std::clock();
  bench.shard().post([&] {
    for (int i = 0; i < depth; ++i) run.next();
  });
  run.all.get_future().wait();
  const double seconds = Milliseconds(SteadyClock::now() - began).count() / 1000;
  const double cpu = static_cast<double>(std::clock() - cpu_began) / CLOCKS_PER_SEC;
  bench.on_shard([] {});  // What the last answer posted runs before `run` goes.
  const double positions = static_cast<double>(entries) * requests;
  std::printf("commits, %3d positions a request, %3d requests under way: %8.0f positions/s durable, %8.0f per second of CPU\n", entries,
              depth, positions / seconds, positions / cpu);
  std::fflush(stdout);
}

// --- Lag.

void measure_lag(Bench& bench) {
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    BatchBuilder builder;
    builder.add({.key = {}, .value = as_bytes(std::string_view("x")), .timestamp_ms = 1, .headers = {}});
    Slice batch = builder.build();
    const auto appended = bench.ask<Appended>([&](Broker& broker, auto done) {
      broker.append({}, {kTopic, p}, std::move(batch), std::move(done));
    });
    CHECK(appended.has_value());
  }
  constexpr int kGroups = 10;
  for (int g = 0; g < kGroups; ++g) {
    CommitRequest request{.group = "lag" + std::to_string(g), .member = {}, .epoch = 0, .instance = {}, .entries = {}};
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      request.entries.push_back({.where = {kTopic, p}, .offset = Offset{0}, .leader_epoch = 0, .metadata = {}});
    }
    CHECK(bench.ask<CommitReply>([&](Broker& broker, auto done) { broker.groups().commit({}, request, std::move(done)); }).has_value());
  }
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    const auto began = SteadyClock::now();
    const auto rows =
        bench.ask<std::vector<PartitionLag>>([](Broker& broker, auto done) { broker.groups().lag({}, std::nullopt, std::move(done)); });
    times.push_back(Milliseconds(SteadyClock::now() - began).count());
    CHECK(rows.has_value() && rows->size() >= static_cast<std::size_t>(kGroups * kPartitions));
    CHECK(rows->back().lag == 1);
    if (i == 0) std::printf("lag of %zu group-partitions: first %.1f ms", rows->size(), times.front());
  }
  times.erase(times.begin());
  std::printf(", then median %.1f ms, most %.1f ms\n", median(times), *std::ranges::max_element(times));
}

}  // namespace
}  // namespace tidemark::broker

int main(int argc, char** argv) {
  const std::string directory = std::string(argc > 1 ? argv[1] : ".") + "/group-bench-data";
  tidemark::broker::measure_hand_overs(directory);
  tidemark::broker::Bench bench(directory, 1);
  tidemark::broker::measure_commits(bench, 1, 256, 50'000);
  tidemark::broker::measure_commits(bench, 10, 64, 20'000);
  tidemark::broker::measure_commits(bench, 100, 16, 5'000);
  tidemark::broker::measure_lag(bench);
  return 0;
}
