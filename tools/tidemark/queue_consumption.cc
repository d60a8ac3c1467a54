#include "tools/tidemark/queue_consumption.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::tools {
namespace {

constexpr std::size_t kReceiveMax = 500;
constexpr std::size_t kRowsMax = 10'000;
/// One wait for records: how late Ctrl-C and the end may be noticed.
constexpr std::chrono::milliseconds kPatience{100};

}  // namespace

QueueConsumption::QueueConsumption(Client& client, QueueConsumptionPlan plan, Interrupts& interrupts)
    : client_(client),
      plan_(std::move(plan)),
      interrupts_(interrupts),
      out_(STDOUT_FILENO),
      last_record_(std::chrono::steady_clock::now()) {
  // What lies ready here is kept from others without being printed.
  plan_.queue.prefetch = 0;
}

Exit QueueConsumption::run() {
  if (plan_.count_max == 0) return Exit::done;
  if (const Status prepared = prepare(); !prepared) return report(prepared.error(), plan_.output);
  const Interrupts::Listener listener(interrupts_, [] {});  // The loop looks whether it was interrupted.
  Result<QueueConsumer> consumer = client_.queue_consumer(plan_.queue);
  if (!consumer) return report(consumer.error(), plan_.output);
  last_record_ = std::chrono::steady_clock::now();
  while (go_on(*consumer)) {
  }
  if (const Status closed = consumer->close(); !closed && !failure_) fail(closed.error());
  if (lost_ > 0) {
    write_stderr(
        fmt::format("{} of the printed records were taken back before they were acknowledged: they are handed out again\n", lost_));
  }
  return outcome();
}

Status QueueConsumption::prepare() {
  const Result<TopicDescription> topic = client_.admin().describe_topic(plan_.queue.topic);
  if (!topic) return topic.error();
  if (plan_.exit_at_end) {
    for (const PartitionDescription& partition : topic->partition_list) ends_[partition.partition] = partition.high_watermark;
  }
  if (!plan_.start_was_named) return {};
  const Result<QueueDescription> queue = client_.queues().describe(plan_.queue.group, plan_.queue.topic);
  if (!queue && queue.error().code != Errc::unknown_group) return queue.error();
  if (queue) {
    write_stderr(
        fmt::format("group {} exists and goes on where it is; `tidemark group seek` moves it\n", printable_text(plan_.queue.group)));
  }
  return {};
}

bool QueueConsumption::go_on(QueueConsumer& consumer) {
  if (interrupts_.interrupted()) return false;
  const Result<QueueConsumer::Messages> messages = consumer.receive(room(), kPatience);
  if (!messages) return fail(messages.error());
  const auto [wanted, beyond] = [&] {
    QueueConsumer::Messages now, then;
    for (const QueueMessage& message : *messages) (later(message) ? then : now).push_back(message);
    return std::pair(std::move(now), std::move(then));
  }();
  if (!beyond.empty() && !give_back(consumer, beyond)) return false;
  if (!wanted.empty()) {
    last_record_ = std::chrono::steady_clock::now();
    return print(consumer, wanted);
  }
  if (plan_.exit_at_end) {
    const Result<bool> end = finished(consumer.member());
    if (!end) return fail(end.error());
    if (*end) return false;
    // Only records that came later are available: somebody else may still give back an earlier one.
    if (!beyond.empty() && !interrupts_.sleep(kPatience)) return false;
  }
  silent_ = plan_.silence_max && std::chrono::steady_clock::now() - last_record_ >= *plan_.silence_max;
  return !silent_;
}

/// False when nothing more is wanted.
bool QueueConsumption::print(QueueConsumer& consumer, const QueueConsumer::Messages& messages) {
  for (const QueueMessage& message : messages) {
    scratch_.clear();
    plan_.printer.append(message, scratch_, message.deliveries());
    if (const Status written = out_.write(scratch_); !written) return fail(written.error());
  }
  // Only what has left this process counts as printed.
  if (const Status flushed = out_.flush(); !flushed) return fail(flushed.error());
  if (out_.broken_pipe()) return false;
  printed_ += messages.size();
  if (plan_.acknowledge && !acknowledge(consumer, messages)) return false;
  return !plan_.count_max || printed_ < *plan_.count_max;
}

bool QueueConsumption::acknowledge(QueueConsumer& consumer, const QueueConsumer::Messages& messages) {
  const Result<SettleReport> settled = consumer.settle(messages, Ack{});
  if (!settled) return fail(settled.error());
  lost_ += settled->failures.size();
  return true;
}

bool QueueConsumption::give_back(QueueConsumer& consumer, const QueueConsumer::Messages& messages) {
  // What cannot be given back is not ours any more, which is as good.
  const Result<SettleReport> settled = consumer.settle(messages, Release{});
  return settled || fail(settled.error());
}

/// It came after the start: not ours to print, and so not to acknowledge.
bool QueueConsumption::later(const QueueMessage& message) const {
  if (!plan_.exit_at_end) return false;
  const auto end = ends_.find(message.partition());
  return end == ends_.end() || message.offset() >= end->second;
}

Result<bool> QueueConsumption::finished(const std::string& member) {
  const Result<QueueDescription> queue = client_.queues().describe(plan_.queue.group, plan_.queue.topic);
  if (!queue) return queue.error();
  for (const QueuePartition& partition : queue->partitions) {
    const auto end = ends_.find(partition.partition);
    if (end == ends_.end() || partition.floor >= end->second) continue;
    if (partition.cursor < end->second) return false;
    const Result<bool> busy = busy_elsewhere(partition.partition, end->second, member);
    if (!busy) return busy.error();
    if (*busy) return false;
  }
  return true;
}

/// Whether a record below `end` is available, or somebody else has it.
Result<bool> QueueConsumption::busy_elsewhere(std::int32_t partition, Offset end, const std::string& member) {
  QueuePendingQuery query{.group = plan_.queue.group, .topic = plan_.queue.topic, .partition = partition};
  query.states = {"available", "acquired"};
  query.max = kRowsMax;
  for (;;) {
    const Result<std::vector<QueuePendingRow>> rows = client_.queues().pending(query);
    if (!rows) return rows.error();
    for (const QueuePendingRow& row : *rows) {
      if (row.offset >= end) return false;
      if (row.state == "available" || row.member != member) return true;
    }
    if (rows->size() < query.max) return false;
    query.from = rows->back().offset + 1;
  }
}

std::size_t QueueConsumption::room() const {
  if (!plan_.count_max) return kReceiveMax;
  return static_cast<std::size_t>(std::min<std::uint64_t>(kReceiveMax, *plan_.count_max - printed_));
}

/// Tells the error; false, as there is no going on.
bool QueueConsumption::fail(const Error& error) {
  failure_ = error;
  report(error, plan_.output);
  return false;
}

Exit QueueConsumption::outcome() const {
  if (out_.broken_pipe()) return Exit::done;  // The reader of the output has had enough.
  if (failure_) return printed_ > 0 ? Exit::partial : exit_code(*failure_);
  if (lost_ > 0) return Exit::partial;
  if (interrupts_.interrupted()) return Exit::interrupted;
  if (silent_ && plan_.count_max && printed_ < *plan_.count_max) return Exit::timed_out;
  return Exit::done;
}

}  // namespace tidemark::tools
