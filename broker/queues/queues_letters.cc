#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "broker/queues/queues_impl.h"
#include "broker/queues/record_traits.h"
#include "storage/base/printable.h"
#include "storage/base/time_text.h"
#include "storage/batch/partitioner.h"

/// Dead letters: where they lie, how they are shown, given back and thrown away.
namespace tidemark::broker {
namespace {

constexpr std::string_view kOwnerKey = "dead.letters.of";
constexpr std::size_t kChunkLetters = 200;
constexpr std::size_t kChunkBytes = 4 * 1024 * 1024;
constexpr std::size_t kSummaryLettersMax = 10'000;
constexpr std::size_t kSummaryBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kReasonsShown = 10;

/// The topics that hold dead letters of the group, or of anybody.
std::vector<std::shared_ptr<const Topic>> letter_topics(const TopicTable& table, const std::optional<std::string>& group) {
  std::vector<std::shared_ptr<const Topic>> topics;
  for (const auto& [name, topic] : table.by_name) {
    const auto owner = topic->config.find(std::string(kOwnerKey));
    if (owner == topic->config.end() || (group && owner->second != *group)) continue;
    topics.push_back(topic);
  }
  return topics;
}

template <class Number>
Number number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : Number{};
}

DeadLetter to_letter(const std::string& topic, const RecordView& record, Timestamp now) {
  DeadLetter letter;
  letter.topic = topic;
  letter.offset = record.offset;
  letter.timestamp_ms = record.timestamp_ms;
  if (record.key) letter.key = ByteVector(record.key->begin(), record.key->end());
  if (record.value) letter.value = ByteVector(record.value->begin(), record.value->end());
  for (const HeaderView& header : record.headers()) {
    const std::string_view text = header.value ? as_text(*header.value) : std::string_view();
    if (header.name == dead_letter::kGroup) {
      letter.from.group = text;
    } else if (header.name == dead_letter::kTopic) {
      letter.from.topic = text;
    } else if (header.name == dead_letter::kPartition) {
      letter.from_partition = number_in<std::int32_t>(text);
    } else if (header.name == dead_letter::kOffset) {
      letter.from_offset = Offset{number_in<std::int64_t>(text)};
    } else if (header.name == dead_letter::kReason) {
      letter.reason = text;
    } else if (header.name == dead_letter::kDeliveries) {
      letter.deliveries = number_in<std::uint32_t>(text);
    } else if (header.name == dead_letter::kFailures) {
      letter.failures = number_in<std::uint32_t>(text);
    } else if (header.name == dead_letter::kMember) {
      letter.member = text;
    } else if (header.name == dead_letter::kTime) {
      if (const Result<Timestamp> died = parse_time(text, now)) letter.died = *died;
    } else if (header.name != dead_letter::kLastDelivery) {
      std::optional<ByteVector> value;
      if (header.value) value = ByteVector(header.value->begin(), header.value->end());
      letter.headers.emplace_back(std::string(header.name), std::move(value));
    }
  }
  return letter;
}

/// Calls `visit` for the records at `offsets` (ascending) that the batches hold.
template <class Visit>
void visit_records(const std::vector<Slice>& batches, std::span<const Offset> offsets, const Visit& visit) {
  for (const Slice& batch : batches) {
    Result<BatchReader> reader = BatchReader::open(batch.view());
    RecordView record;
    while (reader) {
      const Result<bool> has = reader->next(record);
      if (!has || !*has) break;
      if (std::ranges::binary_search(offsets, record.offset)) visit(record);
    }
  }
}

/// Letters not dealt with, ascending.
std::vector<Offset> open_letters(QueuePartition& queue) {
  queue.window().extend(std::max(queue.window().cursor(), queue.log_end()), {});
  std::vector<Offset> offsets;
  queue.window().visit(Offset{}, queue.window().cursor(), 1u << static_cast<unsigned>(EntryState::available), std::nullopt,
                       [&](const PendingEntry& entry) {
                         offsets.push_back(entry.offset);
                         return true;
                       });
  return offsets;
}

}  // namespace

void QueuesImpl::dead_letter_topic(std::string name, std::string group, Done<std::shared_ptr<const Topic>> done) {
  const std::size_t caller = broker.current_shard();
  const auto judge = [group](const std::shared_ptr<const Topic>& topic) -> Result<std::shared_ptr<const Topic>> {
    const auto owner = topic->config.find(std::string(kOwnerKey));
    if (owner != topic->config.end() && owner->second == group) return topic;
    return Error{Errc::conflict,
                 "topic '" + topic->name + "' exists and does not hold the dead letters of group '" + printable(group) + "'"};
  };
  const TopicTable& table = *broker.shards[caller]->topics;
  if (const auto found = table.by_name.find(name); found != table.by_name.end()) return done(judge(found->second));
  broker.on_shard(0, [this, caller, judge, name, group, done = std::move(done)]() mutable {
    TopicSpec spec{.name = name,
                   .partitions = 1,
                   .config = {{"retention.ms", "-1"}, {"max.message.bytes", "8388608"}, {std::string(kOwnerKey), group}}};
    broker.create(std::move(spec), [this, caller, judge, name, done = std::move(done)](Result<std::shared_ptr<const Topic>> topic) mutable {
      broker.on_shard(caller, [judge, topic = std::move(topic), done = std::move(done)]() mutable {
        if (topic) return done(judge(*topic));
        // Another partition of the group was first: the next look finds it.
        if (topic.error().code == Errc::topic_exists) return done(Error{Errc::not_found, "the dead letter topic is being made"});
        done(std::move(topic));
      });
    });
  });
}

/// The broker's own queue group on a topic of dead letters, made when it is first needed.
void QueuesImpl::letters_group(const std::shared_ptr<const Topic>& topic, Done<QueueId> done) {
  const QueueId id{std::string(kLettersGroup), topic->id};
  CreateQueueRequest request{.name = {id.group, topic->name},
                             .flavor = QueueFlavor::native,
                             .start = {},
                             .settings = {{"dead.letter.topic", "none"}, {"ack.timeout", "0"}},
                             .may_exist = true};
  const std::size_t home = home_of(id.group);
  Done<QueueInfo> made = [id, done = std::move(done)](Result<QueueInfo> info) mutable {
    if (!info) return done(std::move(info).error());
    done(std::move(id));
  };
  call_home<QueueInfo>(
      broker, home, shards[home], std::move(made),
      [this, id, request = std::move(request)](Done<QueueInfo> answer) mutable { create(std::move(request), id, std::move(answer)); });
}

namespace {

struct SomeLetters {
  std::vector<DeadLetter> letters;  ///< Ascending.
  std::uint64_t all = 0;
};

/// Of one topic: the last `max` letters.
void read_letters(QueuesImpl& impl, const std::shared_ptr<const Topic>& topic, std::size_t max, Done<SomeLetters> done) {
  impl.letters_group(topic, [&impl, topic, max, done = std::move(done)](Result<QueueId> id) mutable {
    if (!id) return done(std::move(id).error());
    impl.on_partition<SomeLetters>(*id, 0, std::move(done), [topic, max](QueuePartition& queue, Done<SomeLetters> answer) {
      std::vector<Offset> offsets = open_letters(queue);
      SomeLetters some{.letters = {}, .all = offsets.size()};
      if (offsets.size() > max) offsets.erase(offsets.begin(), offsets.end() - static_cast<std::ptrdiff_t>(max));
      queue.read_records(offsets, kSummaryBytesMax,
                         [keep = queue.shared_from_this(), topic, offsets, some = std::move(some),
                          answer = std::move(answer)](Result<QueuePartition::Records> records) mutable {
                           if (!records) return answer(std::move(records).error());
                           visit_records(records->batches, offsets, [&](const RecordView& record) {
                             some.letters.push_back(to_letter(topic->name, record, keep->now()));
                           });
                           some.all -= records->gone.size();
                           for (const Offset offset : records->gone) keep->window().gone(offset);
                           keep->answer<SomeLetters>(std::move(some), std::move(answer));
                         });
    });
  });
}

std::vector<DeadLetterSummary> summarise(const Topic& topic, const SomeLetters& some) {
  std::map<std::string, DeadLetterSummary> by_source;
  std::map<std::string, std::map<std::string, std::uint64_t>> reasons;
  const std::string owner = topic.config.at(std::string(kOwnerKey));
  for (const DeadLetter& letter : some.letters) {
    DeadLetterSummary& summary = by_source[letter.from.topic];
    summary.name = {owner, letter.from.topic};
    summary.topic = topic.name;
    ++summary.letters;
    if (!summary.oldest || letter.died < *summary.oldest) summary.oldest = letter.died;
    if (!summary.newest || letter.died > *summary.newest) summary.newest = letter.died;
    ++reasons[letter.from.topic][letter.reason];
  }
  // What was not read is counted all the same; it belongs to whom most of the others belong.
  if (by_source.size() == 1 && some.all > some.letters.size()) by_source.begin()->second.letters = some.all;
  if (by_source.empty())
    by_source[""] = {.name = {owner, ""}, .topic = topic.name, .letters = some.all, .oldest = {}, .newest = {}, .reasons = {}};
  std::vector<DeadLetterSummary> summaries;
  for (auto& [source, summary] : by_source) {
    for (const auto& [reason, count] : reasons[source]) summary.reasons.emplace_back(reason, count);
    std::ranges::sort(summary.reasons, std::greater<>(), &std::pair<std::string, std::uint64_t>::second);
    if (summary.reasons.size() > kReasonsShown) summary.reasons.resize(kReasonsShown);
    summaries.push_back(std::move(summary));
  }
  return summaries;
}

Error no_letters(const std::string& group) {
  return {Errc::not_found, "group '" + printable(group) + "' has no dead letter topic: nothing of it has died"};
}

}  // namespace

void Queues::dead_letters(const RequestContext&, std::optional<std::string> group, Done<std::vector<DeadLetterSummary>> done) {
  QueuesImpl& impl = *impl_;
  auto all = std::make_shared<std::vector<DeadLetterSummary>>();
  auto failed = std::make_shared<std::optional<Error>>();
  auto waiting = std::make_shared<Countdown>();
  waiting->done = [all, failed, done = std::move(done)]() mutable {
    if (*failed) return done(std::move(**failed));
    std::ranges::sort(*all, {}, &DeadLetterSummary::name);
    done(std::move(*all));
  };
  for (const std::shared_ptr<const Topic>& topic : letter_topics(impl.broker.access.topics(), group)) {
    ++waiting->left;
    read_letters(impl, topic, kSummaryLettersMax, [all, failed, waiting, topic](Result<SomeLetters> some) {
      if (some)
        std::ranges::move(summarise(*topic, *some), std::back_inserter(*all));
      else
        *failed = std::move(some).error();
      waiting->one_less();
    });
  }
  waiting->one_less();
}

void Queues::show_dead_letters(const RequestContext&, std::string group, std::size_t max, Done<std::vector<DeadLetter>> done) {
  QueuesImpl& impl = *impl_;
  if (max == 0 || max > kPendingRowsMax) {
    return done(Error{Errc::invalid_argument, "max = " + std::to_string(max) + ": must lie in 1.." + std::to_string(kPendingRowsMax)});
  }
  const std::vector<std::shared_ptr<const Topic>> topics = letter_topics(impl.broker.access.topics(), group);
  if (topics.empty()) return done(no_letters(group));
  auto all = std::make_shared<std::vector<DeadLetter>>();
  auto failed = std::make_shared<std::optional<Error>>();
  auto waiting = std::make_shared<Countdown>();
  waiting->done = [all, failed, max, done = std::move(done)]() mutable {
    if (*failed) return done(std::move(**failed));
    std::ranges::sort(*all,
                      [](const DeadLetter& a, const DeadLetter& b) { return std::pair(a.died, a.offset) > std::pair(b.died, b.offset); });
    if (all->size() > max) all->resize(max);
    done(std::move(*all));
  };
  for (const std::shared_ptr<const Topic>& topic : topics) {
    ++waiting->left;
    read_letters(impl, topic, max, [all, failed, waiting](Result<SomeLetters> some) {
      if (some)
        std::ranges::move(some->letters, std::back_inserter(*all));
      else
        *failed = std::move(some).error();
      waiting->one_less();
    });
  }
  waiting->one_less();
}

void Queues::purge_dead_letters(const RequestContext&, std::string group, Done<std::uint64_t> done) {
  QueuesImpl& impl = *impl_;
  const std::vector<std::shared_ptr<const Topic>> topics = letter_topics(impl.broker.access.topics(), group);
  if (topics.empty()) return done(no_letters(group));
  auto sum = std::make_shared<std::uint64_t>(0);
  auto failed = std::make_shared<std::optional<Error>>();
  auto waiting = std::make_shared<Countdown>();
  waiting->done = [sum, failed, done = std::move(done)]() mutable {
    if (*failed) return done(std::move(**failed));
    done(*sum);
  };
  for (const std::shared_ptr<const Topic>& topic : topics) {
    ++waiting->left;
    impl.letters_group(topic, [&impl, sum, failed, waiting](Result<QueueId> id) {
      if (!id) {
        *failed = std::move(id).error();
        return waiting->one_less();
      }
      impl.on_partition<std::uint64_t>(
          *id, 0,
          [sum, failed, waiting](Result<std::uint64_t> purged) {
            if (purged)
              *sum += *purged;
            else
              *failed = std::move(purged).error();
            waiting->one_less();
          },
          [](QueuePartition& queue, Done<std::uint64_t> answer) {
            const Offset end = queue.log_end();
            queue.change<std::uint64_t>([end](QueueWindow& window, Timestamp) { return window.purge(end); }, std::move(answer));
          });
    });
  }
  waiting->one_less();
}

// --- Redrive.

/// Works off the letters of one topic, a chunk at a time. Lives on the shard that asked.
class QueuesImpl::Redrive : public std::enable_shared_from_this<QueuesImpl::Redrive> {
 public:
  /// A group has one dead letter topic; after its setting was changed, several.
  Redrive(QueuesImpl& impl, std::vector<std::shared_ptr<const Topic>> topics, RedriveRequest request,
          std::shared_ptr<const RecordFilter> filter, Done<RedriveReply> done)
      : impl_(impl),
        shard_(impl.broker.current_shard()),
        topics_(std::move(topics)),
        request_(std::move(request)),
        filter_(std::move(filter)),
        done_(std::move(done)) {}

  void start() {
    if (topics_.empty()) return finish({});
    topic_ = std::move(topics_.back());
    topics_.pop_back();
    at_ = 0;
    impl_.letters_group(topic_, [self = shared_from_this()](Result<QueueId> id) {
      if (!id) return self->finish(std::move(id).error());
      self->letters_ = *std::move(id);
      self->impl_.on_partition<std::vector<Offset>>(
          self->letters_, 0,
          [self](Result<std::vector<Offset>> open) {
            if (!open) return self->finish(std::move(open).error());
            self->open_ = *std::move(open);
            self->next_chunk();
          },
          [](QueuePartition& queue, Done<std::vector<Offset>> answer) { answer(open_letters(queue)); });
    });
  }

 private:
  struct Chunk {
    std::vector<DeadLetter> letters;  ///< That match.
    std::uint64_t skipped = 0;
    std::size_t reached = 0;
  };
  void finish(std::optional<Error> error) {
    if (error)
      done_(*std::move(error));
    else
      done_(reply_);
  }

  void next_chunk() {
    const bool enough = request_.max > 0 && reply_.matched >= request_.max;
    if (enough) return finish({});
    if (at_ >= open_.size()) return start();
    if (impl_.broker.stopping) return finish(Error{Errc::shutting_down, "the broker is stopping"});
    std::size_t count = std::min(kChunkLetters, open_.size() - at_);
    const double rate = request_.records_per_second;
    if (rate > 0) count = std::min(count, std::max<std::size_t>(1, static_cast<std::size_t>(rate / 10)));
    std::vector<Offset> offsets(open_.begin() + static_cast<std::ptrdiff_t>(at_), open_.begin() + static_cast<std::ptrdiff_t>(at_ + count));
    const std::uint64_t room = request_.max > 0 ? request_.max - reply_.matched : std::numeric_limits<std::uint64_t>::max();
    impl_.on_partition<Chunk>(
        letters_, 0,
        [self = shared_from_this()](Result<Chunk> chunk) {
          if (!chunk) return self->finish(std::move(chunk).error());
          self->work_off(*std::move(chunk));
        },
        [self = shared_from_this(), offsets = std::move(offsets), room](QueuePartition& queue, Done<Chunk> answer) mutable {
          queue.read_records(offsets, kChunkBytes,
                             [self, keep = queue.shared_from_this(), offsets, room,
                              answer = std::move(answer)](Result<QueuePartition::Records> records) mutable {
                               if (!records) return answer(std::move(records).error());
                               answer(self->choose(*keep, *records, offsets, room));
                             });
        });
  }

  /// On the letters' shard.
  Chunk choose(QueuePartition& queue, const QueuePartition::Records& records, const std::vector<Offset>& offsets,
               std::uint64_t room) const {
    Chunk chunk{.letters = {}, .skipped = 0, .reached = records.reached};
    for (const Offset offset : records.gone) queue.window().gone(offset);
    visit_records(records.batches, offsets, [&](const RecordView& record) {
      if (chunk.letters.size() >= room) return;
      DeadLetter letter = to_letter(topic_->name, record, queue.now());
      bool matches = !request_.topic || letter.from.topic == *request_.topic;
      if (matches && filter_) {
        FilteredRecord filtered;
        filtered.topic = letter.from.topic;
        filtered.partition = letter.from_partition;
        filtered.offset = letter.from_offset.value;
        filtered.timestamp_ms = record.timestamp_ms;
        if (record.key) filtered.key = as_text(*record.key);
        if (record.value) filtered.value = as_text(*record.value);
        const std::vector<HeaderView> headers = record.headers();
        filtered.headers = headers;
        filtered.deliveries = letter.deliveries;
        filtered.reason = letter.reason;
        matches = filter_->matches(filtered);
      }
      if (matches)
        chunk.letters.push_back(std::move(letter));
      else
        ++chunk.skipped;
    });
    return chunk;
  }

  void work_off(Chunk chunk) {
    at_ += std::max<std::size_t>(1, chunk.reached);
    reply_.matched += chunk.letters.size();
    reply_.skipped += chunk.skipped;
    if (request_.dry_run || chunk.letters.empty()) return post_next(0);
    letters_now_ = std::move(chunk.letters);
    if (request_.to) return publish();
    give_back();
  }

  void give_back() {
    std::map<std::pair<std::string, std::int32_t>, std::vector<std::size_t>> by_source;
    for (std::size_t i = 0; i < letters_now_.size(); ++i) {
      by_source[{letters_now_[i].from.topic, letters_now_[i].from_partition}].push_back(i);
    }
    auto settled = std::make_shared<std::vector<Offset>>();
    auto waiting = std::make_shared<Countdown>();
    waiting->done = [self = shared_from_this(), settled] { self->deal_with(*settled); };
    for (const auto& [source, indexes] : by_source) {
      const Topic* const topic = impl_.broker.access.topics().find(source.first);
      if (topic == nullptr) {
        reply_.gone += indexes.size();
        continue;
      }
      std::vector<Offset> offsets;
      for (const std::size_t index : indexes) offsets.push_back(letters_now_[index].from_offset);
      ++waiting->left;
      using Revived = std::vector<bool>;
      impl_.on_partition<Revived>(
          {request_.group, topic->id}, source.second,
          [self = shared_from_this(), waiting, settled, indexes](Result<Revived> revived) {
            if (!revived) {
              if (revived.error().code == Errc::unknown_group)
                self->reply_.gone += indexes.size();
              else
                self->error_ = std::move(revived).error();
            } else {
              for (std::size_t i = 0; i < indexes.size(); ++i) {
                if ((*revived)[i])
                  settled->push_back(self->letters_now_[indexes[i]].offset);
                else
                  ++self->reply_.gone;
              }
            }
            waiting->one_less();
          },
          [offsets = std::move(offsets)](QueuePartition& queue, Done<Revived> answer) mutable {
            std::vector<Offset> sorted = offsets;
            std::ranges::sort(sorted);
            queue.read_records(
                std::move(sorted), std::numeric_limits<std::size_t>::max(),
                [keep = queue.shared_from_this(), offsets, answer = std::move(answer)](Result<QueuePartition::Records> records) mutable {
                  if (!records) return answer(std::move(records).error());
                  keep->change<Revived>(
                      [offsets, gone = std::move(records->gone)](QueueWindow& window, Timestamp now) {
                        Revived revived;
                        for (const Offset offset : offsets) {
                          const bool there = std::ranges::find(gone, offset) == gone.end();
                          // One that is unfinished was given back before, by a redrive that a crash cut short.
                          if (there && offset < window.cursor()) window.revive(offset, now);
                          revived.push_back(there);
                        }
                        return revived;
                      },
                      std::move(answer));
                });
          });
    }
    waiting->one_less();
  }

  void publish() {
    const Topic* const target = impl_.broker.access.topics().find(*request_.to);
    if (target == nullptr) return finish(impl_.broker.unknown_topic(*request_.to));
    std::map<std::int32_t, BatchBuilder> batches;
    std::map<std::int32_t, std::vector<Offset>> offsets;
    for (const DeadLetter& letter : letters_now_) {
      std::optional<ByteView> key, value;
      if (letter.key) key = *letter.key;
      if (letter.value) value = *letter.value;
      std::vector<HeaderView> headers;
      for (const auto& [name, bytes] : letter.headers) {
        headers.push_back({name, bytes ? std::optional<ByteView>(*bytes) : std::nullopt});
      }
      const std::int32_t partition =
          key ? partition_for_key(as_text(*key), target->partitions) : letter.from_partition % target->partitions;
      batches[partition].add({.key = key, .value = value, .timestamp_ms = letter.timestamp_ms, .headers = headers});
      offsets[partition].push_back(letter.offset);
    }
    auto settled = std::make_shared<std::vector<Offset>>();
    auto waiting = std::make_shared<Countdown>();
    waiting->done = [self = shared_from_this(), settled] { self->deal_with(*settled); };
    for (auto& [partition, builder] : batches) {
      ++waiting->left;
      impl_.broker.on_partition<Appended>(
          {*request_.to, partition},
          [self = shared_from_this(), waiting, settled, some = offsets[partition]](Result<Appended> appended) {
            if (appended)
              settled->insert(settled->end(), some.begin(), some.end());
            else
              self->error_ = std::move(appended).error();
            waiting->one_less();
          },
          [batch = builder.build()](Partition& log, Done<Appended> answer) { log.append(batch, std::move(answer)); });
    }
    waiting->one_less();
  }

  /// These letters are no letters any more.
  void deal_with(std::vector<Offset> offsets) {
    if (offsets.empty()) return error_ ? finish(std::exchange(error_, std::nullopt)) : post_next(letters_now_.size());
    impl_.on_partition<std::uint64_t>(
        letters_, 0,
        [self = shared_from_this(), count = offsets.size()](Result<std::uint64_t> done) {
          if (!done) return self->finish(std::move(done).error());
          self->reply_.redriven += count;
          if (self->error_) return self->finish(std::exchange(self->error_, std::nullopt));
          self->post_next(count);
        },
        [offsets](QueuePartition& queue, Done<std::uint64_t> answer) {
          queue.change<std::uint64_t>(
              [offsets](QueueWindow& window, Timestamp) {
                std::uint64_t dealt = 0;
                for (const Offset offset : offsets) {
                  if (window.dismiss(offset)) ++dealt;
                }
                return dealt;
              },
              std::move(answer));
        });
  }

  void post_next(std::size_t records) {
    const double rate = request_.records_per_second;
    const double pause = rate > 0 ? static_cast<double>(records) * 1000.0 / rate : 0;
    Shard& shard = impl_.broker.shards[shard_]->shard;
    if (pause < 1) return shard.post([self = shared_from_this()] { self->next_chunk(); });
    shard.run_after(std::chrono::milliseconds(static_cast<std::int64_t>(pause)), [self = shared_from_this()] { self->next_chunk(); });
  }

  QueuesImpl& impl_;
  const std::size_t shard_;
  std::vector<std::shared_ptr<const Topic>> topics_;  ///< Still to come.
  std::shared_ptr<const Topic> topic_;
  const RedriveRequest request_;
  const std::shared_ptr<const RecordFilter> filter_;
  Done<RedriveReply> done_;
  QueueId letters_;
  std::vector<Offset> open_;
  std::size_t at_ = 0;
  std::vector<DeadLetter> letters_now_;
  RedriveReply reply_;
  std::optional<Error> error_;
};

void Queues::redrive(const RequestContext&, RedriveRequest request, Done<RedriveReply> done) {
  QueuesImpl& impl = *impl_;
  std::shared_ptr<const RecordFilter> filter;
  if (!request.match.empty()) {
    Result<RecordFilter> parsed = RecordFilter::parse(request.match, impl.broker.runtime.clock().now());
    if (!parsed) return done(std::move(parsed).error());
    filter = std::make_shared<const RecordFilter>(*std::move(parsed));
  }
  if (!(request.records_per_second >= 0) || request.records_per_second > 1e9) {
    return done(Error{Errc::invalid_argument, "rate: must lie in 0..1000000000 records a second"});
  }
  const TopicTable& table = impl.broker.access.topics();
  const std::vector<std::shared_ptr<const Topic>> topics = letter_topics(table, request.group);
  if (topics.empty()) return done(no_letters(request.group));
  if (request.to) {
    const Topic* const target = table.find(*request.to);
    if (target == nullptr) return done(impl.broker.unknown_topic(*request.to));
    if (target->config.contains(std::string(kOwnerKey))) {
      return done(Error{Errc::invalid_argument, "'" + *request.to + "' holds dead letters itself: they would only go round"});
    }
    if (is_internal_topic(*request.to)) return done(Error{Errc::invalid_argument, "'" + *request.to + "' is the broker's own"});
  }
  std::make_shared<QueuesImpl::Redrive>(impl, topics, std::move(request), std::move(filter), std::move(done))->start();
}

}  // namespace tidemark::broker
