#include "tools/tidemark/group_consumption.h"

#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "tools/tidemark/group_target.h"

namespace tidemark::tools {
namespace {

constexpr std::size_t kPollMax = 1000;
/// One wait for records: how late Ctrl-C and the end may be noticed.
constexpr std::chrono::milliseconds kPatience{100};

}  // namespace

GroupConsumption::GroupConsumption(Client& client, GroupConsumptionPlan plan, Interrupts& interrupts)
    : client_(client),
      plan_(std::move(plan)),
      interrupts_(interrupts),
      out_(STDOUT_FILENO),
      last_record_(std::chrono::steady_clock::now()) {}

Exit GroupConsumption::run() {
  if (plan_.count_max == 0) return Exit::done;
  if (const Status prepared = prepare(); !prepared) return report(prepared.error(), plan_.output);
  const Interrupts::Listener listener(interrupts_, [] {});  // The loop looks whether it was interrupted.
  Result<StreamConsumer> consumer = client_.stream_consumer(plan_.stream);
  if (!consumer) return report(consumer.error(), plan_.output);
  last_record_ = std::chrono::steady_clock::now();
  while (go_on(*consumer)) {
  }
  if (const Status closed = consumer->close(); !closed && !failure_) {
    failure_ = closed.error();
    report(*failure_, plan_.output);
  }
  return outcome();
}

Status GroupConsumption::prepare() {
  // The group would wait for a topic that is not there; a person has more likely misspelt it.
  for (const std::string& topic : plan_.stream.topics) {
    if (const auto description = client_.admin().describe_topic(topic); !description) return description.error();
  }
  const Result<AnyGroup> group = find_group(client_, {.group = plan_.stream.group, .topic = {}, .kind = "stream"});
  if (!group && group.error().code != Errc::unknown_group) return group.error();
  if (group && plan_.start_was_named) {
    write_stderr(
        fmt::format("group {} exists and goes on where it is; `tidemark group seek` moves it\n", printable_text(plan_.stream.group)));
  }
  return plan_.to ? find_ends() : Status();
}

Status GroupConsumption::find_ends() {
  for (const std::string& topic : plan_.stream.topics) {
    const Result<TopicDescription> description = client_.admin().describe_topic(topic);
    if (!description) return description.error();
    for (const PartitionDescription& partition : description->partition_list) {
      const Result<FoundOffset> end = client_.admin().find_offset(topic, partition.partition, *plan_.to);
      if (!end) return end.error();
      ends_[{topic, partition.partition}] = end->offset;
    }
  }
  return {};
}

bool GroupConsumption::go_on(StreamConsumer& consumer) {
  if (interrupts_.interrupted()) return false;
  const Result<StreamConsumer::Messages> messages = consumer.poll(kPatience, room());
  if (!messages) {
    failure_ = messages.error();
    report(*failure_, plan_.output);
    return false;
  }
  if (!messages->empty()) {
    last_record_ = std::chrono::steady_clock::now();
    if (!print(consumer, *messages)) return false;
  }
  if (plan_.to && finished(consumer)) return false;
  silent_ = plan_.silence_max && std::chrono::steady_clock::now() - last_record_ >= *plan_.silence_max;
  return !silent_;
}

/// False when nothing more is wanted.
bool GroupConsumption::print(StreamConsumer& consumer, const StreamConsumer::Messages& messages) {
  StreamConsumer::Messages processed;
  for (const Message& message : messages) {
    if (beyond_end(message)) continue;  // It came later: not ours to print, and so not to commit.
    processed.push_back(message);
    if (plan_.filter && !matches(*plan_.filter, message)) continue;
    scratch_.clear();
    plan_.printer.append(message, scratch_);
    Status written = out_.write(scratch_);
    if (!written) {
      failure_ = written.error();
      report(*failure_, plan_.output);
      return false;
    }
    ++printed_;
  }
  // Only what has left this process counts as printed.
  const Status flushed = out_.flush();
  if (!flushed) {
    failure_ = flushed.error();
    report(*failure_, plan_.output);
    return false;
  }
  if (out_.broken_pipe()) return false;
  if (plan_.acknowledge) consumer.done(processed);
  return !plan_.count_max || printed_ < *plan_.count_max;
}

bool GroupConsumption::beyond_end(const Message& message) const {
  if (!plan_.to) return false;
  const auto end = ends_.find({std::string(message.topic()), message.partition()});
  return end == ends_.end() || message.offset() >= end->second;
}

/// Every partition has been read up to its end, by us or by whoever has it.
bool GroupConsumption::finished(StreamConsumer& consumer) {
  const TopicPartitions assigned = consumer.assignment();
  bool others = false;
  for (const auto& [where, end] : ends_) {
    if (std::ranges::binary_search(assigned, where)) {
      const std::optional<Offset> at = consumer.position(where);
      if (!at || *at < end) return false;
    } else {
      others = true;
    }
  }
  if (!others) return true;
  // Those are another member's to finish; but what belongs to nobody yet may become ours.
  const Result<std::vector<GroupPartitionLag>> lags = client_.groups().lag(plan_.stream.group);
  if (!lags) return false;
  return std::ranges::all_of(ends_, [&](const auto& entry) {
    if (std::ranges::binary_search(assigned, entry.first)) return true;
    const auto lag = std::ranges::find(*lags, entry.first, &GroupPartitionLag::where);
    return lag != lags->end() && !lag->member.empty();
  });
}

std::size_t GroupConsumption::room() const {
  if (!plan_.count_max || plan_.filter) return kPollMax;
  return static_cast<std::size_t>(std::min<std::uint64_t>(kPollMax, *plan_.count_max - printed_));
}

Exit GroupConsumption::outcome() const {
  if (out_.broken_pipe()) return Exit::done;  // The reader of the output has had enough.
  if (failure_) return printed_ > 0 ? Exit::partial : exit_code(*failure_);
  if (interrupts_.interrupted()) return Exit::interrupted;
  if (silent_ && plan_.count_max && printed_ < *plan_.count_max) return Exit::timed_out;
  return Exit::done;
}

}  // namespace tidemark::tools
