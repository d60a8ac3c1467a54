#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/group_admin.h"
#include "tidemark/position.h"
#include "tidemark/settlement.h"

/// Queue groups as an operator sees them. A queue group is named by its name (1-249 bytes, any) and its topic.
namespace tidemark {

namespace detail {
class ClientCore;
}

/// By key:
/// `ack.timeout` (duration up to 12 h; 0: records come back by a claim only), `delivery.limit` (failures after which a record is dead,
/// 0-255; 0: none), `backoff` (`none`, a list such as `1s,10s,1m`, or a range such as `100ms..1m`, doubling with jitter),
/// `dead.letter.topic` (a name, or `none`: dead records are parked), `max.pending` and `max.pending.member` (records of a partition in
/// flight; 0: no bound), `ordering` (none | key | single), `on.dead` (continue | stop), `lookahead` (16 to 1 000 000 records),
/// `filter`, `paused.until` (a time or `forever`), `late.acks`, `redelivery`, `limit.counts`, `lag.objective`.
using QueueSettings = std::map<std::string, std::string>;

struct NewQueue {
  std::string group;
  std::string topic;                      ///< It exists.
  Position start = Position::earliest();  ///< earliest, latest, an offset, a time, so long ago; resolved now.
  QueueSettings settings = {};
};

/// Records by state. Every unfinished one is in exactly one of the first six.
struct QueueCounts {
  std::uint64_t waiting = 0;  ///< Never handed out.
  std::uint64_t in_flight = 0;
  std::uint64_t retrying = 0;  ///< Handed out before, available now.
  std::uint64_t delayed = 0;
  std::uint64_t parked = 0;
  std::uint64_t dying = 0;  ///< On their way to the dead letters.
  // Since the group began.
  std::uint64_t done = 0;  ///< Acknowledged.
  std::uint64_t filtered = 0;
  std::uint64_t gone = 0;  ///< Removed from the log before they were finished.
  std::uint64_t dead = 0;  ///< Given to the dead letters.
  std::uint64_t redelivered = 0;
  std::uint64_t timed_out = 0;

  QueueCounts& operator+=(const QueueCounts& other);
  bool operator==(const QueueCounts&) const = default;
};

struct QueuePartition {
  std::int32_t partition = 0;
  Offset log_start;
  Offset end;     ///< Last stable offset.
  Offset floor;   ///< The first unfinished record.
  Offset cursor;  ///< From here on nothing was looked at yet.
  QueueCounts counts;
  std::optional<Timestamp> oldest;  ///< Append time of the oldest unfinished record; nullopt: there is none.
  bool oldest_estimated = false;
  std::string stalled;  ///< Why nothing can be handed out, in words; empty: it can.
  struct Blocked {
    std::string key;
    Offset by;          ///< The record that blocks it.
    std::string state;  ///< Of that one; as QueuePendingRow::state.
    std::uint64_t waiting = 0;
  };
  std::vector<Blocked> blocked_keys;  ///< Worst first, at most 10.
  std::uint64_t memory_bytes = 0;
};

struct QueueMemberDescription {
  std::string member;
  std::string client_id;  ///< Of the connection it is on; empty: none at the moment.
  std::string host;
  bool connected = false;
  Timestamp created{};
  Timestamp seen{};    ///< Last call of any kind.
  Timestamp active{};  ///< Last one that got it a record; epoch: never.
  std::uint64_t in_flight = 0;
  std::vector<std::pair<std::int32_t, std::uint64_t>> partitions;  ///< In flight, by partition.
};

struct QueueDescription {
  std::string group;
  std::string topic;
  std::string flavor;  ///< "native" | "redis" | "share": whose defaults it has.
  Timestamp created{};
  Position start = Position::earliest();
  QueueSettings settings;   ///< As set.
  QueueSettings effective;  ///< All of them.
  std::vector<QueuePartition> partitions;
  std::vector<QueueMemberDescription> members;
  std::string verdict;         ///< Of its worst partition.
  std::string cause;           ///< In words.
  std::int64_t lag = 0;        ///< Waiting, in flight, retrying and delayed.
  double lag_seconds = 0;      ///< Age of the oldest unfinished record.
  QueueCounts counts() const;  ///< Over all partitions.
};

/// All conditions hold at once.
struct QueuePendingQuery {
  std::string group;
  std::string topic;
  std::optional<std::int32_t> partition = std::nullopt;
  std::optional<std::string> member = std::nullopt;
  std::vector<std::string> states = {};  ///< As QueuePendingRow::state. Empty: everything unfinished that was handed out.
  std::chrono::milliseconds older{0};    ///< Since the last hand-out.
  Offset from{0};                        ///< In each partition.
  std::size_t max = 1000;                ///< 1 to 10 000.
};
struct QueuePendingRow {
  std::int32_t partition = 0;
  Offset offset;
  std::string state;                              ///< available | acquired | delayed | parked | dying
  std::string member;                             ///< Empty: nobody has it.
  std::optional<std::chrono::milliseconds> idle;  ///< Since the last hand-out; nullopt: never handed out.
  std::optional<Timestamp> due;                   ///< acquired: end of the lease; delayed: when it is available.
  std::uint32_t deliveries = 0;
  std::uint32_t failures = 0;
  std::string reason;  ///< Of the last failure; may be empty.
};

/// What an operator does to unfinished records.
struct QueueAction {
  enum class Kind {
    release,  ///< Taken back from whoever has them, uncounted; others may have them at once.
    kick,     ///< Parked and delayed ones are available now.
    purge,    ///< Everything nobody has is finished.
  };
  std::string group;
  std::string topic;
  Kind kind = Kind::release;
  std::optional<std::string> member = std::nullopt;           ///< release: only what this one has.
  std::chrono::milliseconds older{0};                         ///< release: only what was handed out so long ago.
  std::vector<std::pair<std::int32_t, Offset>> offsets = {};  ///< Partition and offset: only these, at most 100 000. Empty: all.
  std::string match = {};                                     ///< kick: only records this filter matches.
  bool execute = true;                                        ///< False: only count.
};

/// Of an operator: whoever has the records.
struct QueueSettlement {
  std::int32_t partition = 0;
  Offset first;
  std::int64_t count = 1;  ///< From 1; 100 000 over all of one call.
  Settlement how = Ack{};
};

struct DeadLetterSummary {
  std::string group;
  std::string topic;          ///< Where the records came from.
  std::string letters_topic;  ///< Where the letters lie.
  std::uint64_t letters = 0;
  std::optional<Timestamp> oldest, newest;
  std::vector<std::pair<std::string, std::uint64_t>> reasons;  ///< Most frequent first, at most 10, of at most the last 10 000 letters.
};
struct DeadLetter {
  TopicPartition where;  ///< The letter itself.
  Offset offset;
  std::string group;
  TopicPartition from;  ///< The record it is a copy of.
  Offset from_offset;
  std::string reason;
  std::uint32_t deliveries = 0;
  std::uint32_t failures = 0;
  std::string member;  ///< Who had it last.
  Timestamp died{};
  std::optional<Timestamp> timestamp;  ///< Record time.
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;  ///< The record's own.
};

struct Redrive {
  std::string group;
  std::optional<std::string> topic = std::nullopt;  ///< Only letters from this topic.
  std::string match = {};                           ///< Only those this filter matches.
  std::size_t max = 0;                              ///< 0: all that are there now.
  double records_per_second = 0;                    ///< 0: as fast as it goes.
  /// Published there, for everybody; else given back to the group alone, with the failures forgotten.
  std::optional<std::string> to = std::nullopt;
  bool dry_run = false;
};
struct RedriveReport {
  std::uint64_t matched = 0;
  std::uint64_t redriven = 0;
  std::uint64_t gone = 0;     ///< Their record is no longer in the topic they came from: only `to` helps.
  std::uint64_t skipped = 0;  ///< Did not match.
};

/// Made by Client::queues(); a cheap handle, thread-safe. Calls behave as those of Admin. Errors of all that name a group: unknown_group,
/// unknown_topic, disk_full (nothing changed).
class QueueAdmin {
 public:
  /// Errors: conflict (exists), invalid_config, invalid_argument.
  Result<QueueDescription> create(const NewQueue& queue);
  /// Takes effect at once, for records in flight too. An empty value removes a setting. Error invalid_config: nothing changed.
  Result<QueueDescription> alter(const std::string& group, const std::string& topic, const QueueSettings& settings);
  /// Its members lose what they have; dead letters stay.
  Status remove(const std::string& group, const std::string& topic);
  /// By name and topic; nullopt: all.
  Result<std::vector<QueueDescription>> list(const std::optional<std::string>& group = std::nullopt);
  Result<QueueDescription> describe(const std::string& group, const std::string& topic);

  /// By partition and offset.
  Result<std::vector<QueuePendingRow>> pending(const QueuePendingQuery& query);
  /// How many records it did, or would do, this to.
  Result<std::uint64_t> act(const QueueAction& action);
  /// Everything unfinished is forgotten and the group goes on at the target; GroupSeek::topic is required. Errors: conflict naming the
  /// connected members (unless forced), unknown_partition.
  Result<GroupSeekPlan> seek(const GroupSeek& seek);
  Result<SettleReport> settle(const std::string& group, const std::string& topic, const std::vector<QueueSettlement>& settlements);

  /// nullopt: of all groups.
  Result<std::vector<DeadLetterSummary>> dead_letters(const std::optional<std::string>& group = std::nullopt);
  /// The newest first, at most `max` (1 to 10 000).
  Result<std::vector<DeadLetter>> show_dead_letters(const std::string& group, std::size_t max = 20);
  /// Works off the letters that are there now, the oldest first, and answers at the end, in as many calls to the broker as it takes: what
  /// was done by the time of an error stays done. Errors: invalid_argument (filter; `to` takes this group's letters itself).
  Result<RedriveReport> redrive(const Redrive& redrive);
  /// Answers how many there were.
  Result<std::uint64_t> purge_dead_letters(const std::string& group);

  template <CompletionToken<QueueDescription> Token = asio::deferred_t>
  auto async_create(NewQueue queue, Token&& token = Token()) {
    return initiate<QueueDescription>(&QueueAdmin::start_create, token, std::move(queue));
  }
  template <CompletionToken<QueueDescription> Token = asio::deferred_t>
  auto async_alter(std::string group, std::string topic, QueueSettings settings, Token&& token = Token()) {
    return initiate<QueueDescription>(&QueueAdmin::start_alter, token, std::move(group), std::move(topic), std::move(settings));
  }
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_remove(std::string group, std::string topic, Token&& token = Token()) {
    return initiate<void>(&QueueAdmin::start_remove, token, std::move(group), std::move(topic));
  }
  template <CompletionToken<std::vector<QueueDescription>> Token = asio::deferred_t>
  auto async_list(std::optional<std::string> group = std::nullopt, Token&& token = Token()) {
    return initiate<std::vector<QueueDescription>>(&QueueAdmin::start_list, token, std::move(group));
  }
  template <CompletionToken<QueueDescription> Token = asio::deferred_t>
  auto async_describe(std::string group, std::string topic, Token&& token = Token()) {
    return initiate<QueueDescription>(&QueueAdmin::start_describe, token, std::move(group), std::move(topic));
  }
  template <CompletionToken<std::vector<QueuePendingRow>> Token = asio::deferred_t>
  auto async_pending(QueuePendingQuery query, Token&& token = Token()) {
    return initiate<std::vector<QueuePendingRow>>(&QueueAdmin::start_pending, token, std::move(query));
  }
  template <CompletionToken<std::uint64_t> Token = asio::deferred_t>
  auto async_act(QueueAction action, Token&& token = Token()) {
    return initiate<std::uint64_t>(&QueueAdmin::start_act, token, std::move(action));
  }
  template <CompletionToken<GroupSeekPlan> Token = asio::deferred_t>
  auto async_seek(GroupSeek seek, Token&& token = Token()) {
    return initiate<GroupSeekPlan>(&QueueAdmin::start_seek, token, std::move(seek));
  }
  template <CompletionToken<SettleReport> Token = asio::deferred_t>
  auto async_settle(std::string group, std::string topic, std::vector<QueueSettlement> settlements, Token&& token = Token()) {
    return initiate<SettleReport>(&QueueAdmin::start_settle, token, std::move(group), std::move(topic), std::move(settlements));
  }
  template <CompletionToken<std::vector<DeadLetterSummary>> Token = asio::deferred_t>
  auto async_dead_letters(std::optional<std::string> group = std::nullopt, Token&& token = Token()) {
    return initiate<std::vector<DeadLetterSummary>>(&QueueAdmin::start_dead_letters, token, std::move(group));
  }
  template <CompletionToken<std::vector<DeadLetter>> Token = asio::deferred_t>
  auto async_show_dead_letters(std::string group, std::size_t max = 20, Token&& token = Token()) {
    return initiate<std::vector<DeadLetter>>(&QueueAdmin::start_show_dead_letters, token, std::move(group), max);
  }
  template <CompletionToken<RedriveReport> Token = asio::deferred_t>
  auto async_redrive(Redrive redrive, Token&& token = Token()) {
    return initiate<RedriveReport>(&QueueAdmin::start_redrive, token, std::move(redrive));
  }
  template <CompletionToken<std::uint64_t> Token = asio::deferred_t>
  auto async_purge_dead_letters(std::string group, Token&& token = Token()) {
    return initiate<std::uint64_t>(&QueueAdmin::start_purge_dead_letters, token, std::move(group));
  }

 private:
  friend class Client;
  using Core = std::shared_ptr<detail::ClientCore>;
  explicit QueueAdmin(Core core) : core_(std::move(core)) {}

  template <class T, class Start, class Token, class... Args>
  auto initiate(Start start, Token& token, Args... args) {
    return asio::async_initiate<Token, void(Result<T>)>(
        [core = core_, start](auto handler, Args... values) { start(core, std::move(values)..., Completion<T>(std::move(handler))); },
        token, std::move(args)...);
  }

  static void start_create(const Core& core, NewQueue queue, Completion<QueueDescription> done);
  static void start_alter(const Core& core, std::string group, std::string topic, QueueSettings settings,
                          Completion<QueueDescription> done);
  static void start_remove(const Core& core, std::string group, std::string topic, Completion<void> done);
  static void start_list(const Core& core, std::optional<std::string> group, Completion<std::vector<QueueDescription>> done);
  static void start_describe(const Core& core, std::string group, std::string topic, Completion<QueueDescription> done);
  static void start_pending(const Core& core, QueuePendingQuery query, Completion<std::vector<QueuePendingRow>> done);
  static void start_act(const Core& core, QueueAction action, Completion<std::uint64_t> done);
  static void start_seek(const Core& core, GroupSeek seek, Completion<GroupSeekPlan> done);
  static void start_settle(const Core& core, std::string group, std::string topic, std::vector<QueueSettlement> settlements,
                           Completion<SettleReport> done);
  static void start_dead_letters(const Core& core, std::optional<std::string> group, Completion<std::vector<DeadLetterSummary>> done);
  static void start_show_dead_letters(const Core& core, std::string group, std::size_t max, Completion<std::vector<DeadLetter>> done);
  static void start_redrive(const Core& core, Redrive redrive, Completion<RedriveReport> done);
  static void start_purge_dead_letters(const Core& core, std::string group, Completion<std::uint64_t> done);

  Core core_;
};

}  // namespace tidemark
