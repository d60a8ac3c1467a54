#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/base/clock.h"
#include "storage/base/offset.h"
#include "storage/base/result.h"
#include "tidemark/completion.h"
#include "tidemark/position.h"
#include "tidemark/record.h"

namespace tidemark {

namespace detail {
class ClientCore;
}

/// Settings by key, values in Kafka's notation or with units ("7d", "128MiB").
using TopicSettings = std::map<std::string, std::string>;

struct NewTopic {
  std::string name;
  std::optional<std::int32_t> partitions = std::nullopt;  ///< nullopt: the broker's num.partitions.
  TopicSettings config = {};
};

struct TopicChange {
  TopicSettings config = {};                              ///< Merged into what is set; an empty value removes the setting.
  std::optional<std::int32_t> partitions = std::nullopt;  ///< New total; it only grows.
};

/// Records damaged on disk; reads that touch them fail with `quarantined`.
struct DamagedRange {
  std::string file;
  std::uint64_t position = 0;
  Offset from;
  Offset to;
  std::string reason;
};

/// How a partition stands towards compaction.
struct CompactionDescription {
  bool enabled = false;  ///< cleanup.policy says so. Otherwise it still removes deleted records.
  bool running = false;
  bool due = false;        ///< It would run now.
  std::string reason;      ///< Why it would, or why not; for people.
  double dirty_ratio = 0;  ///< 0 to 1.
  std::uint64_t dirty_bytes = 0;
  std::uint64_t clean_bytes = 0;
  Offset clean_end;      ///< Compacted up to here.
  Offset cleanable_end;  ///< What lies above may not be compacted yet.
  std::optional<Timestamp> last;
  std::optional<Timestamp> next_tombstones;  ///< From then on tombstones may go.
};

struct PartitionDescription {
  std::int32_t partition = 0;
  Offset log_start;
  Offset end;
  Offset high_watermark;
  std::uint64_t bytes = 0;
  std::uint32_t segments = 0;
  std::string state;  ///< "online", or why it takes no appends.
  std::vector<DamagedRange> quarantined;
  CompactionDescription compaction;
};

struct TopicDescription {
  std::string name;
  std::string id;
  std::int32_t partitions = 0;
  Timestamp created{};
  TopicSettings config;            ///< What was set.
  TopicSettings effective_config;  ///< Every key; describe_topic only.
  std::string durability;          ///< "fsync" | "interval" | "os"
  std::string entry_id;            ///< "offset" | "time"
  std::int64_t records = 0;
  std::uint64_t bytes = 0;
  std::vector<PartitionDescription> partition_list;  ///< describe_topic only.
};

struct FoundOffset {
  Offset offset = {};
  std::optional<Timestamp> timestamp = {};  ///< Of the record found by time.
  bool found = true;                        ///< False: no record is that late, `offset` is the end.
};

/// A piece of a partition. Messages below the offset asked for and control records are left out already.
struct Fetched {
  std::vector<Message> messages;
  Offset next;  ///< Where to read on; the offset asked for when there was nothing.
  Offset log_start;
  Offset high_watermark;
};

struct BrokerStatus {
  std::string version;
  std::string data_dir;
  std::string cluster_id;
  double uptime_seconds = 0;
  double flush_ms_p50 = 0;
  double flush_ms_p99 = 0;
  std::uint64_t topics = 0;
  std::uint64_t partitions = 0;
  std::uint64_t groups = 0;
  std::map<std::string, std::uint64_t> connections;  ///< By listener.
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t disk_total_bytes = 0;
  std::string read_only;  ///< The reason; empty when appends are taken.
  std::uint64_t memory_used_bytes = 0;
  std::uint64_t memory_limit_bytes = 0;
  bool clean_start = false;
  double recovery_seconds = 0;
  std::uint64_t recovery_scanned_bytes = 0;
};

struct DoctorCheck {
  std::string check;
  std::string result;  ///< "ok" | "warn" | "fail"
  std::string value;
  std::string advice;
};

/// Copies the records between two positions of a topic to the end of another one: a job of the broker, which goes on when the client
/// has gone and after restarts, and copies each record exactly once. Key, value, headers and record time stay. The partition keeps its
/// number if both topics have as many, else the key decides.
struct ReplayOrder {
  std::string source;
  std::string into;
  Position from = Position::earliest();
  Position to = Position::latest();  ///< Exclusive; resolved when the job is made.
  enum class Pace {
    unbounded,
    records_per_second,
    bytes_per_second,
    speed,  ///< In record time, so many times faster.
  };
  Pace pace = Pace::unbounded;
  double pace_value = 0;
  std::string filter = {};    ///< Empty: every record. Times in it without a zone are the broker's local ones.
  bool skip_damaged = false;  ///< Pass over quarantined ranges instead of failing there.
  bool dry_run = false;       ///< Make nothing; the answer, with id 0, shows what would be read.
};

struct JobProgress {
  std::int32_t partition = 0;
  Offset from;
  Offset to;
  Offset next;  ///< Everything before is done with.
};

struct JobDescription {
  std::int64_t id = 0;
  ReplayOrder order;
  std::string state;           ///< "running" | "paused" | "done" | "failed" | "cancelled"
  std::string wait;            ///< Running, but waiting: "turn" | "pace" | "disk_full" | "overloaded"; else empty.
  std::optional<Error> error;  ///< Why it failed.
  Timestamp created{};
  std::optional<Timestamp> finished;
  std::uint64_t offsets_done = 0;
  std::uint64_t offsets_total = 0;
  std::uint64_t records = 0;   ///< Copied.
  std::uint64_t bytes = 0;     ///< Of their keys and values.
  std::uint64_t filtered = 0;  ///< Left out by the filter.
  std::uint64_t skipped = 0;   ///< Gone from the source before the job came to them.
  std::uint64_t damaged = 0;   ///< In quarantined ranges that were passed over.
  double records_per_second = 0;
  double bytes_per_second = 0;
  std::optional<double> eta_seconds;
  std::vector<JobProgress> partitions;  ///< Not in lists.

  bool finished_for_good() const { return state != "running" && state != "paused"; }
};

enum class JobAction { pause, resume, cancel };

/// A record that waits for its time.
struct ScheduledRecord {
  std::string id;  ///< "3-1042"
  std::string topic;
  std::optional<std::int32_t> partition;  ///< nullopt: the key decides when it is due.
  Timestamp due{};
  std::string state;   ///< "waiting" | "retrying" | "failed"
  std::string reason;  ///< Why it is tried again or has failed.
};

struct ScheduledPage {
  std::vector<ScheduledRecord> records;  ///< By due time.
  std::string next;                      ///< For the page after this one; empty: there is none.
};

struct ScheduleCount {
  std::string topic;
  std::uint64_t waiting = 0;
  std::uint64_t failed = 0;
};

/// Topics, offsets and the broker's own state. Made by Client::admin(); a cheap handle, thread-safe.
///
/// Calls wait for a connection up to the client's request_timeout. When the connection is lost in between, calls that only look are
/// repeated; calls that change something fail with connection_lost and Error::maybe_done. Blocking calls are not for the thread that
/// runs the client's executor. Common errors: cannot_connect, connection_lost, timed_out, cancelled, denied.
class Admin {
 public:
  /// Errors: topic_exists, invalid_topic_name, invalid_config, invalid_argument, disk_full.
  Result<TopicDescription> create_topic(const NewTopic& topic);
  Result<std::vector<TopicDescription>> list_topics(bool include_internal = false);
  /// Error unknown_topic, with a suggestion in the detail.
  Result<TopicDescription> describe_topic(std::string_view name);
  Result<TopicDescription> alter_topic(std::string_view name, const TopicChange& change);
  Status delete_topic(std::string_view name);
  /// Removes the records before `before`; answers the new log start once it is durable.
  Result<Offset> trim(std::string_view topic, std::int32_t partition, Offset before);
  /// Where `position` is now. offset_out_of_range for a number outside the log; invalid_argument for `committed`.
  Result<FoundOffset> find_offset(std::string_view topic, std::int32_t partition, const Position& position);
  /// Reads once, at least one batch if there is any at `offset`. Errors: offset_out_of_range (the detail says the range), quarantined.
  Result<Fetched> fetch(std::string_view topic, std::int32_t partition, Offset offset, std::size_t bytes_max = 1024 * 1024);
  /// Answers once the job is durable. Errors: unknown_topic, invalid_argument, offset_out_of_range, overloaded, disk_full.
  Result<JobDescription> create_replay(const ReplayOrder& order);
  /// By id; finished jobs for a while.
  Result<std::vector<JobDescription>> list_jobs();
  /// Error not_found.
  Result<JobDescription> describe_job(std::int64_t id);
  /// Answers how the job stands then; doing it twice is fine. Errors: not_found, conflict (it has finished), disk_full.
  Result<JobDescription> control_job(std::int64_t id, JobAction action);
  /// Records that wait for their time; of all topics when `topic` is empty. Error invalid_argument: a page that is none.
  Result<ScheduledPage> list_scheduled(std::string_view topic = {}, std::string_view page = {}, std::uint32_t limit = 100);
  /// The record is not delivered any more; answers what it was, once that is durable. Errors: not_found (delivered, or never there),
  /// conflict (just being delivered), disk_full.
  Result<ScheduledRecord> cancel_scheduled(std::string_view id);
  /// How many wait and have failed, by topic.
  Result<std::vector<ScheduleCount>> count_scheduled();
  Result<BrokerStatus> status();
  Result<std::vector<DoctorCheck>> doctor();

  template <CompletionToken<TopicDescription> Token = asio::deferred_t>
  auto async_create_topic(NewTopic topic, Token&& token = Token()) {
    return initiate<TopicDescription>(&Admin::start_create_topic, token, std::move(topic));
  }
  template <CompletionToken<std::vector<TopicDescription>> Token = asio::deferred_t>
  auto async_list_topics(bool include_internal = false, Token&& token = Token()) {
    return initiate<std::vector<TopicDescription>>(&Admin::start_list_topics, token, include_internal);
  }
  template <CompletionToken<TopicDescription> Token = asio::deferred_t>
  auto async_describe_topic(std::string name, Token&& token = Token()) {
    return initiate<TopicDescription>(&Admin::start_describe_topic, token, std::move(name));
  }
  template <CompletionToken<TopicDescription> Token = asio::deferred_t>
  auto async_alter_topic(std::string name, TopicChange change, Token&& token = Token()) {
    return initiate<TopicDescription>(&Admin::start_alter_topic, token, std::move(name), std::move(change));
  }
  template <CompletionToken<void> Token = asio::deferred_t>
  auto async_delete_topic(std::string name, Token&& token = Token()) {
    return initiate<void>(&Admin::start_delete_topic, token, std::move(name));
  }
  template <CompletionToken<Offset> Token = asio::deferred_t>
  auto async_trim(std::string topic, std::int32_t partition, Offset before, Token&& token = Token()) {
    return initiate<Offset>(&Admin::start_trim, token, std::move(topic), partition, before);
  }
  template <CompletionToken<FoundOffset> Token = asio::deferred_t>
  auto async_find_offset(std::string topic, std::int32_t partition, Position position, Token&& token = Token()) {
    return initiate<FoundOffset>(&Admin::start_find_offset, token, std::move(topic), partition, position);
  }
  template <CompletionToken<Fetched> Token = asio::deferred_t>
  auto async_fetch(std::string topic, std::int32_t partition, Offset offset, std::size_t bytes_max, Token&& token = Token()) {
    return initiate<Fetched>(&Admin::start_fetch, token, std::move(topic), partition, offset, bytes_max);
  }
  template <CompletionToken<JobDescription> Token = asio::deferred_t>
  auto async_create_replay(ReplayOrder order, Token&& token = Token()) {
    return initiate<JobDescription>(&Admin::start_create_replay, token, std::move(order));
  }
  template <CompletionToken<std::vector<JobDescription>> Token = asio::deferred_t>
  auto async_list_jobs(Token&& token = Token()) {
    return initiate<std::vector<JobDescription>>(&Admin::start_list_jobs, token);
  }
  template <CompletionToken<JobDescription> Token = asio::deferred_t>
  auto async_describe_job(std::int64_t id, Token&& token = Token()) {
    return initiate<JobDescription>(&Admin::start_describe_job, token, id);
  }
  template <CompletionToken<JobDescription> Token = asio::deferred_t>
  auto async_control_job(std::int64_t id, JobAction action, Token&& token = Token()) {
    return initiate<JobDescription>(&Admin::start_control_job, token, id, action);
  }
  template <CompletionToken<ScheduledPage> Token = asio::deferred_t>
  auto async_list_scheduled(std::string topic, std::string page, std::uint32_t limit, Token&& token = Token()) {
    return initiate<ScheduledPage>(&Admin::start_list_scheduled, token, std::move(topic), std::move(page), limit);
  }
  template <CompletionToken<ScheduledRecord> Token = asio::deferred_t>
  auto async_cancel_scheduled(std::string id, Token&& token = Token()) {
    return initiate<ScheduledRecord>(&Admin::start_cancel_scheduled, token, std::move(id));
  }
  template <CompletionToken<std::vector<ScheduleCount>> Token = asio::deferred_t>
  auto async_count_scheduled(Token&& token = Token()) {
    return initiate<std::vector<ScheduleCount>>(&Admin::start_count_scheduled, token);
  }
  template <CompletionToken<BrokerStatus> Token = asio::deferred_t>
  auto async_status(Token&& token = Token()) {
    return initiate<BrokerStatus>(&Admin::start_status, token);
  }
  template <CompletionToken<std::vector<DoctorCheck>> Token = asio::deferred_t>
  auto async_doctor(Token&& token = Token()) {
    return initiate<std::vector<DoctorCheck>>(&Admin::start_doctor, token);
  }

 private:
  friend class Client;
  using Core = std::shared_ptr<detail::ClientCore>;
  explicit Admin(Core core) : core_(std::move(core)) {}

  template <class T, class Start, class Token, class... Args>
  auto initiate(Start start, Token& token, Args... args) {
    return asio::async_initiate<Token, void(Result<T>)>(
        [core = core_, start](auto handler, Args... values) { start(core, std::move(values)..., Completion<T>(std::move(handler))); },
        token, std::move(args)...);
  }

  static void start_create_topic(const Core& core, NewTopic topic, Completion<TopicDescription> done);
  static void start_list_topics(const Core& core, bool include_internal, Completion<std::vector<TopicDescription>> done);
  static void start_describe_topic(const Core& core, std::string name, Completion<TopicDescription> done);
  static void start_alter_topic(const Core& core, std::string name, TopicChange change, Completion<TopicDescription> done);
  static void start_delete_topic(const Core& core, std::string name, Completion<void> done);
  static void start_trim(const Core& core, std::string topic, std::int32_t partition, Offset before, Completion<Offset> done);
  static void start_find_offset(const Core& core, std::string topic, std::int32_t partition, Position position,
                                Completion<FoundOffset> done);
  static void start_fetch(const Core& core, std::string topic, std::int32_t partition, Offset offset, std::size_t bytes_max,
                          Completion<Fetched> done);
  static void start_create_replay(const Core& core, ReplayOrder order, Completion<JobDescription> done);
  static void start_list_jobs(const Core& core, Completion<std::vector<JobDescription>> done);
  static void start_describe_job(const Core& core, std::int64_t id, Completion<JobDescription> done);
  static void start_control_job(const Core& core, std::int64_t id, JobAction action, Completion<JobDescription> done);
  static void start_list_scheduled(const Core& core, std::string topic, std::string page, std::uint32_t limit,
                                   Completion<ScheduledPage> done);
  static void start_cancel_scheduled(const Core& core, std::string id, Completion<ScheduledRecord> done);
  static void start_count_scheduled(const Core& core, Completion<std::vector<ScheduleCount>> done);
  static void start_status(const Core& core, Completion<BrokerStatus> done);
  static void start_doctor(const Core& core, Completion<std::vector<DoctorCheck>> done);

  Core core_;
};

}  // namespace tidemark
