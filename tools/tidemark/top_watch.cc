#include "tools/tidemark/top_watch.h"

#include <cstdint>
#include <stop_token>
#include <sys/eventfd.h>
#include <utility>

#include <unistd.h>

#include "storage/base/check.h"

namespace tidemark::tools {

Result<TopSample> take_sample(Client& client) {
  TopSample sample;
  Result<BrokerStatus> status = client.admin().status();
  if (!status) return status.error();
  Result<std::vector<TopicDescription>> topics = client.admin().list_topics();
  if (!topics) return topics.error();
  Result<std::vector<GroupDescription>> groups = client.groups().list();
  if (!groups) return groups.error();
  Result<std::vector<QueueDescription>> queues = client.queues().list();
  if (!queues) return queues.error();
  Result<std::vector<GroupPartitionLag>> lags = client.groups().lag();
  if (!lags) return lags.error();
  Result<std::vector<DeadLetterSummary>> letters = client.queues().dead_letters();
  if (!letters) return letters.error();
  sample.at = SystemClock().steady();
  sample.status = *std::move(status);
  sample.topics = *std::move(topics);
  sample.groups = *std::move(groups);
  sample.queues = *std::move(queues);
  sample.lags = *std::move(lags);
  sample.letters = *std::move(letters);
  return sample;
}

TopWatch::TopWatch(Client& client, std::chrono::milliseconds interval)
    : client_(client), interval_(interval), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(event_ >= 0);  // A process that cannot open a file at its start cannot do anything.
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

TopWatch::~TopWatch() {
  thread_.request_stop();
  client_.close();
  thread_.join();
  ::close(event_);
}

void TopWatch::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    Result<TopSample> sample = take_sample(client_);
    std::unique_lock lock(mutex_);
    latest_.emplace(std::move(sample));
    const std::uint64_t one = 1;
    CHECK(::write(event_, &one, sizeof one) == sizeof one);
    wake_.wait_for(lock, stop, interval_, [] { return false; });
  }
}

std::optional<Result<TopSample>> TopWatch::take() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  const ssize_t taken = ::read(event_, &count, sizeof count);
  static_cast<void>(taken);  // Nothing to take is fine.
  return std::exchange(latest_, std::nullopt);
}

}  // namespace tidemark::tools
