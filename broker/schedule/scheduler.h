#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/jobs/job_services.h"
#include "broker/jobs/source_reader.h"
#include "broker/schedule/schedule_book.h"
#include "broker/schedule/schedule_state.h"

namespace tidemark::broker {

/// Keeps records until they are due and then moves them to their topics, each exactly once. Lives on the metadata shard.
///
/// A record that waits lies in a lane, a partition of __tidemark_schedule; memory has 32 to 64 bytes of it. A *move* takes what is due, at
/// most a chunk of it, one step at a time:
///
///   1. read the records of the chunk from their lanes;
///   2. record the chunk in the state log: which records, to which partitions, under which sequences of the schedule's own producer; wait
///      for the flush;
///   3. append a batch to each partition; wait until they are as durable as their topics ask;
///   4. note the records as done, with the next chunk's record or by itself.
///
/// After a crash an open chunk is read and appended again under its sequences, and the targets drop what they have. A batch that was
/// refused is withdrawn once its target has said that it does not hold it; its records wait for another attempt, or, if the target is gone
/// or does not take them for good, are written back into their lane as failed. The lanes' log start follows the oldest record that waits;
/// where few old ones hold up much that is done, they are written anew at the end of the lane and keep their ids.
class Scheduler {
 public:
  static constexpr std::size_t kBytesPerRecord = 48;
  /// A lane of more offsets than this, of which less than a quarter wait, has its oldest records written anew.
  static constexpr std::int64_t kWindowMin = 65'536;

  using CreateTopic = std::function<void(TopicSpec, Done<std::shared_ptr<const Topic>>)>;
  /// `services` as for jobs. `memory_bytes`: for the records that wait; more are refused.
  Scheduler(JobServices services, std::size_t memory_bytes, CreateTopic create_topic);
  ~Scheduler();

  // --- Recovery, in this order, before there is a shard.
  static bool owns(const storage::StreamKey& stream) { return stream == ScheduleState::stream(); }
  Status replay(const storage::StateRecord& record) { return state_.apply(record); }
  void hold_producer();
  void attach(Committer& committer) { services_.committer = &committer; }

  /// Reads the lanes, then moves what is due.
  void begin();
  /// Nothing new begins; the chunk under way is finished (begin_work, end_work).
  void stop();

  struct NewRecord {
    ScheduledRecord record;
    std::string origin;  ///< Names the record over its producer's attempts: a second one is a duplicate. Empty: not known.
  };
  struct Added {
    ScheduledId id;
    Timestamp due{};
    bool duplicate = false;
  };
  /// Puts records for one target into their lane; answers once they lie there durably. Errors: overloaded (the schedule is full),
  /// disk_full, batch_too_large, shutting_down; with maybe_done some of them lie there.
  void add(const ScheduleTarget& target, std::vector<NewRecord> records, Done<std::vector<Added>> done);
  void list(ScheduleQuery query, Done<SchedulePage> done);
  void cancel(ScheduledId id, Done<ScheduledInfo> done);
  void status(Done<ScheduleStatus> done);

  std::vector<storage::StateRecord> snapshot() const;

 private:
  struct Adding;
  struct Loading;
  /// A record on its way.
  struct Moving {
    std::int32_t lane = 0;
    WaitingRecord record;
    bool failed = false;  ///< It was in the index of failed ones.
    ScheduledRecord content = {};
    bool read = false;
    std::uint64_t bytes = 0;  ///< Of key, value and headers; with Want::keys only.
  };
  enum class Want {
    everything,
    keys,  ///< Not more than the keys is kept in memory, and of a key no more than ScheduledInfo::Content has.
  };
  struct OpenBatch {
    MoveBatch what;
    std::vector<Moving> records;
    Slice bytes = {};
    bool done = false;
    Offset base{-1};
    std::optional<Error> refusal = {};
  };

  Timestamp now() const { return services_.runtime.clock().now(); }
  const Topic* topic() const { return services_.partitions.topics().find(kScheduleTopic); }

  // scheduler.cc
  void with_topic(Done<std::shared_ptr<const Topic>> done);
  void append_group(std::shared_ptr<Adding> adding, Slice bytes, std::unique_ptr<AppendPlan> plan, std::size_t first, std::size_t count);
  void added(Adding& adding, std::size_t first, std::size_t count, const Result<Appended>& appended);
  void when_loaded(Task task);
  void load();
  void load_next(std::shared_ptr<Loading> loading);
  void finish_load();
  void add_content(SchedulePage page, Done<SchedulePage> done);
  void cancel_found(ScheduledId id, const ScheduleBook::Found& found, Done<ScheduledInfo> done);
  bool being_moved(ScheduledId id) const;

  // scheduler_moves.cc
  void step();
  void begin_step();
  void end_step();
  void wait(std::chrono::milliseconds delay);
  void arm_timer();
  void cancel_timer();
  bool pick_due(std::vector<Moving>& picked);
  void pick_old(std::int32_t lane);
  std::optional<std::int32_t> lane_to_shorten() const;
  void plan_deliveries(std::vector<Moving> picked);
  void add_to_batch(std::vector<OpenBatch>& batches, Moving moving);
  void read(std::vector<Moving> records, UniqueFunction<void(std::vector<Moving>, std::optional<Error>)> done,
            Want want = Want::everything);
  void with_producer(Task task);
  void begin_chunk(std::vector<OpenBatch> batches);
  void repeat_chunk();
  void build_and_append();
  void append_batch(std::size_t index);
  void ask_target(std::size_t index, Error refusal);
  void batch_answered();
  void finish_chunk();
  void batch_done(OpenBatch& batch);
  void withdraw();
  static bool lost_sequences(const OpenBatch& batch);
  void start_epoch();
  void batch_refused(OpenBatch& batch);
  void put_back(std::vector<OpenBatch>& batches);
  void lost(const Moving& moving);
  void note_done(const Moving& moving);
  void record(bool chunk, UniqueFunction<void(Status)> done);
  void trim_lanes();

  JobServices services_;
  const std::uint64_t records_max_;
  const CreateTopic create_topic_;
  ScheduleBook book_;
  ScheduleState state_;
  std::uint64_t being_added_ = 0;

  bool loaded_ = false;
  bool stopping_ = false;
  std::deque<Task> waiting_for_load_;
  std::vector<Done<std::shared_ptr<const Topic>>> waiting_for_topic_;

  bool busy_ = false;
  bool reload_ = false;
  std::optional<TimerId> timer_;
  std::int64_t timer_due_ms_ = 0;
  std::vector<OpenBatch> chunk_;  ///< What state_.chunk says, with the records themselves.
  std::size_t unanswered_ = 0;
  std::vector<Moving> to_fail_;  ///< Taken out and read; they go back into their lane with their failure.
  bool shorten_next_ = false;
  ScheduleState::Change changes_;  ///< Since the last record.
  std::array<Offset, kScheduleLanes> trimmed_to_{};
  SteadyTime trimmed_at_{};
  std::uint64_t moved_ = 0, damaged_ = 0;
};

}  // namespace tidemark::broker
