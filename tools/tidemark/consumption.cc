#include "tools/tidemark/consumption.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::tools {
namespace {

/// One wait for a record when nothing bounds it.
constexpr std::chrono::milliseconds kWaitMax = std::chrono::hours(1);

}  // namespace

Consumption::Consumption(Client& client, ConsumptionPlan plan, Interrupts& interrupts)
    : client_(client),
      plan_(std::move(plan)),
      interrupts_(interrupts),
      out_(STDOUT_FILENO),
      quiet_since_(std::chrono::steady_clock::now()) {}

Exit Consumption::run(const std::vector<std::string>& topics) {
  if (plan_.count_max == 0) return Exit::done;
  // Every topic is looked up before anything is printed: a misspelt name should not come after a page of records.
  topics_.reserve(topics.size());
  for (const std::string& name : topics) {
    if (const Status opened = open(name); !opened) return report(opened.error(), plan_.output);
  }
  {
    const Interrupts::Listener listener(interrupts_, [this] { stop(); });
    std::vector<Reader> first;
    {
      const std::lock_guard lock(readers_mutex_);
      first = readers_;
    }
    for (std::size_t i = 0; i < first.size(); ++i) start(std::move(first[i]), topics_[i]);
    for (;;) {
      std::thread thread;
      {
        // A thread may start another one before it ends, never after.
        const std::lock_guard lock(readers_mutex_);
        if (threads_.empty()) break;
        thread = std::move(threads_.back());
        threads_.pop_back();
      }
      thread.join();
    }
  }
  flush();
  return outcome();
}

Status Consumption::open(const std::string& name) {
  const Result<TopicDescription> description = client_.admin().describe_topic(name);
  if (!description) return description.error();
  Topic topic{.name = name, .ends = {}};
  for (const PartitionDescription& partition : description->partition_list) topic.ends[partition.partition] = partition.high_watermark;
  Result<Reader> reader = client_.reader(name, plan_.reader);
  if (!reader) return reader.error();
  const std::lock_guard lock(readers_mutex_);
  topics_.push_back(std::move(topic));
  readers_.push_back(*std::move(reader));
  return {};
}

void Consumption::start(Reader reader, const Topic& topic) {
  const std::lock_guard lock(readers_mutex_);
  threads_.emplace_back([this, reader = std::move(reader), &topic]() mutable { read_topic(reader, topic); });
}

void Consumption::read_topic(Reader& reader, const Topic& topic) {
  bool quiet = false;
  std::uint64_t received_when_quiet = 0;
  while (!stopped_) {
    // What is there is taken without a wait; only then is the output flushed, so that a reader at the end of the log sees it all.
    const Result<std::optional<Message>> next = reader.next(quiet ? patience() : std::chrono::milliseconds(0));
    if (!next) {
      if (stopped_) return;
      handle_error(next.error(), reader, topic);
    } else if (*next) {
      quiet = false;
      ++received_;
      if (!take(**next)) return stop();
      continue;
    }
    if (reader.finished()) return;
    if (!quiet) {
      flush();
      received_when_quiet = received_;
      quiet_since_ = std::chrono::steady_clock::now();
      quiet = true;
      continue;
    }
    if (!plan_.silence_max || patience() > std::chrono::milliseconds(0)) continue;
    if (received_ != received_when_quiet) {  // Another topic was not silent.
      received_when_quiet = received_;
      quiet_since_ = std::chrono::steady_clock::now();
    } else {
      {
        const std::lock_guard lock(mutex_);
        silent_ = true;
      }
      return stop();
    }
  }
}

bool Consumption::take(const Message& message) {
  if (plan_.filter && !matches(*plan_.filter, message)) return true;
  const std::lock_guard lock(mutex_);
  if (plan_.count_max && printed_ == *plan_.count_max) return false;
  scratch_.clear();
  plan_.printer.append(message, scratch_);
  if (const Status written = out_.write(scratch_); !written) {
    if (!failure_) failure_ = written.error();
    report(written.error(), plan_.output);
    return false;
  }
  ++printed_;
  return !out_.broken_pipe() && (!plan_.count_max || printed_ < *plan_.count_max);
}

void Consumption::handle_error(const Error& error, Reader& reader, const Topic& topic) {
  flush();  // What was read before the error stands before its message.
  fail(error);
  if (error.code == Errc::quarantined) step_over_damage(reader, topic);
}

void Consumption::step_over_damage(Reader& reader, const Topic& topic) {
  const Result<TopicDescription> description = client_.admin().describe_topic(topic.name);
  if (!description) return fail(description.error());
  for (const PartitionDescription& partition : description->partition_list) {
    const std::optional<Offset> at = reader.position(partition.partition);
    if (!at) continue;
    const auto damaged =
        std::ranges::find_if(partition.quarantined, [&](const DamagedRange& range) { return range.from <= *at && *at < range.to; });
    if (damaged == partition.quarantined.end()) continue;

    ReaderOptions options = plan_.reader;
    options.partitions = {partition.partition};
    options.from = Position::at(damaged->to.value);
    if (options.to == Position::latest()) {
      // The ends were taken at the start.
      const auto end = topic.ends.find(partition.partition);
      if (end == topic.ends.end() || end->second <= damaged->to) continue;
      options.to = Position::at(end->second.value);
    }
    Result<Reader> behind = client_.reader(topic.name, options);
    if (!behind) {
      fail(behind.error());
      continue;
    }
    {
      const std::lock_guard lock(readers_mutex_);
      readers_.push_back(*behind);
    }
    start(*std::move(behind), topic);
    if (stopped_) stop();
  }
}

void Consumption::fail(const Error& error) {
  report(error, plan_.output);
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = error;
}

void Consumption::stop() {
  stopped_ = true;
  const std::lock_guard lock(readers_mutex_);
  for (Reader& reader : readers_) reader.close();
}

void Consumption::flush() {
  const std::lock_guard lock(mutex_);
  if (const Status flushed = out_.flush(); !flushed && !failure_) failure_ = flushed.error();
}

std::chrono::milliseconds Consumption::patience() const {
  if (!plan_.silence_max) return kWaitMax;
  const auto left = quiet_since_.load() + *plan_.silence_max - std::chrono::steady_clock::now();
  return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(left));
}

Exit Consumption::outcome() const {
  if (out_.broken_pipe()) return Exit::done;  // The reader of the output has had enough.
  if (failure_) return printed_ > 0 ? Exit::partial : exit_code(*failure_);
  if (interrupts_.interrupted()) return Exit::interrupted;
  if (silent_ && plan_.count_max && printed_ < *plan_.count_max) return Exit::timed_out;
  return Exit::done;
}

}  // namespace tidemark::tools
