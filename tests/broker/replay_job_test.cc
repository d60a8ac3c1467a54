#include <set>

#include "storage/batch/partitioner.h"
#include "tests/broker/replay_fixture.h"

/// Replay jobs in the whole engine: what they copy, how they are steered, and what they do when the ground moves.
namespace tidemark::broker {
namespace {

using Values = std::vector<std::string>;

class ReplayJobTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    const Status opened = engine_.open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  void restart() {
    const Status stopped = engine_.stop();
    ASSERT_TRUE(stopped) << stopped.error().to_string();
    open();
  }
  void topic(const std::string& name, std::int32_t partitions = 1, ConfigMap config = {}) {
    const auto created = engine_.create(name, partitions, std::move(config));
    ASSERT_TRUE(created) << created.error().to_string();
  }
  void append(const std::string& name, const std::vector<std::string>& values, std::int32_t partition = 0) {
    const auto appended = engine_.append(name, partition, values);
    ASSERT_TRUE(appended) << appended.error().to_string();
  }
  JobInfo create(const ReplaySpec& spec) {
    const auto created = engine_.create_replay(spec);
    EXPECT_TRUE(created) << created.error().to_string();
    return created ? *created : JobInfo();
  }
  JobInfo finish(JobId id) {
    const auto ended = engine_.finish_job(id);
    EXPECT_TRUE(ended) << ended.error().to_string();
    return ended ? *ended : JobInfo();
  }
  JobInfo control(JobId id, JobAction action) {
    const auto info = engine_.control(id, action);
    EXPECT_TRUE(info) << info.error().to_string();
    return info ? *info : JobInfo();
  }
  JobInfo look(JobId id) {
    const auto info = engine_.job(id);
    EXPECT_TRUE(info) << info.error().to_string();
    return info ? *info : JobInfo();
  }
  ReplaySpec at_rate(double per_second) {
    ReplaySpec spec = everything("source", "target");
    spec.pace = {ReplayPace::Kind::records, per_second};
    return spec;
  }
  Values copied(std::int32_t partition = 0) { return values_in(engine_, "target", partition); }

  SimulatedFileSystem disk_;
  Engine engine_{disk_};
};

TEST_F(ReplayJobTest, copies_records_as_they_are) {
  topic("source", 2);
  topic("target", 2);
  std::vector<std::vector<TestRecord>> written(2);
  for (std::int32_t p = 0; p < 2; ++p) {
    for (int i = 0; i < 20; ++i) {
      written[static_cast<std::size_t>(p)].push_back(
          {"k" + std::to_string(i % 3), "v" + std::to_string(i), 1000 + i, {{"n", std::to_string(p)}}});
    }
    ASSERT_TRUE(engine_.append_batch("source", p, batch_of_records(written[static_cast<std::size_t>(p)], Codec::lz4)));
  }
  const JobInfo job = create(everything("source", "target"));
  EXPECT_EQ(job.state, JobState::running);
  const JobInfo done = finish(job.id);
  EXPECT_EQ(done.state, JobState::done);
  EXPECT_EQ(done.totals.records, 40u);
  EXPECT_EQ(done.totals.bytes, 2 * (20 * 2 + 10 * 2 + 10 * 3));
  EXPECT_TRUE(done.finished);
  for (std::int32_t p = 0; p < 2; ++p) EXPECT_EQ(records_in(engine_, "target", p), written[static_cast<std::size_t>(p)]);
}

TEST_F(ReplayJobTest, copies_the_stretch_between_its_positions) {
  topic("source");
  topic("target");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(engine_.append_batch("source", 0, batch_of_records({{std::nullopt, "r" + std::to_string(i), 1000 + i * 10, {}}})));
  }
  const auto copy = [&](ReplayPosition from, ReplayPosition to) {
    ReplaySpec spec = everything("source", "target");
    spec.from = from;
    spec.to = to;
    const std::size_t before = copied().size();
    finish(create(spec).id);
    const Values all = copied();
    return Values(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
  };
  using Kind = ReplayPosition::Kind;
  EXPECT_EQ(copy({Kind::offset, 2}, {Kind::offset, 4}), numbered("r", 2, 4));
  EXPECT_EQ(copy({Kind::timestamp_ms, 1045}, {Kind::latest, 0}), numbered("r", 5, 10));
  EXPECT_EQ(copy({Kind::before_end, 3}, {Kind::before_end, 1}), numbered("r", 7, 9));
  EXPECT_EQ(copy({Kind::earliest, 0}, {Kind::after_start, 2}), numbered("r", 0, 2));
  EXPECT_EQ(copy({Kind::offset, 5}, {Kind::offset, 3}), Values());
}

TEST_F(ReplayJobTest, the_end_is_the_end_when_it_was_made) {
  topic("source");
  append("source", numbered("r", 0, 50));
  ReplaySpec spec = everything("source", "source");
  const JobInfo done = finish(create(spec).id);
  EXPECT_EQ(done.totals.records, 50u) << "into itself, and it still ends";
  EXPECT_EQ(values_in(engine_, "source").size(), 100u);
}

TEST_F(ReplayJobTest, spreads_by_key_where_the_partitions_differ) {
  topic("source", 2);
  topic("target", 3);
  std::vector<TestRecord> records;
  for (int i = 0; i < 60; ++i) records.push_back({"key" + std::to_string(i % 10), std::to_string(i), 5, {}});
  ASSERT_TRUE(engine_.append_batch("source", 0, batch_of_records(records)));
  ASSERT_TRUE(engine_.append_batch("source", 1, batch_of_records({{std::nullopt, "keyless", 5, {}}})));
  EXPECT_EQ(finish(create(everything("source", "target")).id).totals.records, 61u);
  std::size_t total = 0;
  for (std::int32_t p = 0; p < 3; ++p) {
    std::map<std::string, int> last;
    for (const TestRecord& record : records_in(engine_, "target", p)) {
      ++total;
      if (!record.key) continue;
      EXPECT_EQ(partition_for_key(*record.key, 3), p);
      const int number = std::stoi(record.value);
      if (last.contains(*record.key)) EXPECT_LT(last[*record.key], number);
      last[*record.key] = number;
    }
  }
  EXPECT_EQ(total, 61u);
}

TEST_F(ReplayJobTest, moves_more_than_a_chunk) {
  topic("source");
  topic("target");
  Values all;
  for (int i = 0; i < 60; ++i) {
    const Values batch = {std::to_string(i) + std::string(60'000, 'a'), std::to_string(i) + std::string(5'000, 'b')};
    append("source", batch);
    all.insert(all.end(), batch.begin(), batch.end());
  }
  EXPECT_EQ(finish(create(everything("source", "target")).id).state, JobState::done);
  EXPECT_EQ(copied(), all);
}

TEST_F(ReplayJobTest, filters) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 30));
  ReplaySpec spec = everything("source", "target");
  spec.filter = R"(value ~ "^r1")";
  const JobInfo done = finish(create(spec).id);
  EXPECT_EQ(done.totals.records, 11u);
  EXPECT_EQ(done.totals.filtered, 19u);
  EXPECT_EQ(copied().size(), 11u);
}

TEST_F(ReplayJobTest, a_filter_that_lets_nothing_through_ends_too) {
  topic("source");
  topic("target");
  for (int i = 0; i < 40; ++i) append("source", {std::string(300'000, 'x')});
  ReplaySpec spec = everything("source", "target");
  spec.filter = R"(value = "y")";
  EXPECT_EQ(finish(create(spec).id).totals.filtered, 40u);
  EXPECT_EQ(copied(), Values());
}

TEST_F(ReplayJobTest, refuses_what_makes_no_sense) {
  topic("source");
  topic("target");
  append("source", {"a"});
  const auto refusal = [&](const std::function<void(ReplaySpec&)>& spoil) {
    ReplaySpec spec = everything("source", "target");
    spoil(spec);
    const auto created = engine_.create_replay(spec);
    return created ? Errc::internal : created.error().code;
  };
  EXPECT_EQ(refusal([](ReplaySpec& spec) { spec.source = "sauce"; }), Errc::unknown_topic);
  EXPECT_EQ(refusal([](ReplaySpec& spec) { spec.into = "nowhere"; }), Errc::unknown_topic);
  EXPECT_EQ(refusal([](ReplaySpec& spec) { spec.filter = "key ="; }), Errc::invalid_argument);
  EXPECT_EQ(refusal([](ReplaySpec& spec) { spec.pace = {ReplayPace::Kind::records, 0}; }), Errc::invalid_argument);
  EXPECT_EQ(refusal([](ReplaySpec& spec) { spec.from = {ReplayPosition::Kind::offset, 2}; }), Errc::offset_out_of_range);
  EXPECT_EQ(engine_.job(1).error().code, Errc::not_found);
  EXPECT_EQ(engine_.control(1, JobAction::pause).error().code, Errc::not_found);
  EXPECT_EQ(engine_.jobs()->size(), 0u);
}

TEST_F(ReplayJobTest, a_dry_run_makes_nothing) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 7));
  const auto planned = engine_.create_replay(everything("source", "target"), true);
  ASSERT_TRUE(planned) << planned.error().to_string();
  EXPECT_EQ(planned->id, 0);
  EXPECT_EQ(planned->partitions, (std::vector<ReplayProgress>{{0, Offset{0}, Offset{7}, Offset{0}}}));
  EXPECT_EQ(engine_.jobs()->size(), 0u);
  engine_.runtime().advance(milliseconds(100));
  EXPECT_EQ(copied(), Values());
}

TEST_F(ReplayJobTest, keeps_its_rate) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 1000));
  const JobInfo job = create(at_rate(100));
  for (int second = 1; second <= 5; ++second) {
    engine_.runtime().advance(std::chrono::seconds(1));
    const std::size_t count = copied().size();
    EXPECT_LE(count, static_cast<std::size_t>(second) * 100 + 1);
    EXPECT_GE(count, static_cast<std::size_t>(second) * 100 - 5);
  }
  const JobInfo now = look(job.id);
  EXPECT_EQ(now.wait, JobWait::pace);
  EXPECT_NEAR(now.records_per_second, 100, 15);
  ASSERT_TRUE(now.eta_seconds);
  EXPECT_NEAR(*now.eta_seconds, 5, 1);
  EXPECT_EQ(finish(job.id).totals.records, 1000u);
  EXPECT_EQ(copied(), numbered("r", 0, 1000));
}

TEST_F(ReplayJobTest, keeps_a_rate_of_bytes) {
  topic("source");
  topic("target");
  for (int i = 0; i < 10; ++i) append("source", {std::string(1000, 'x')});
  ReplaySpec spec = everything("source", "target");
  spec.pace = {ReplayPace::Kind::bytes, 2000};
  create(spec);
  engine_.runtime().advance(milliseconds(2'600));
  EXPECT_EQ(copied().size(), 5u);
}

TEST_F(ReplayJobTest, replays_record_time_and_merges_partitions_by_it) {
  topic("source", 20);
  topic("target", 1);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(
        engine_.append_batch("source", (i * 7) % 20, batch_of_records({{std::nullopt, "r" + std::to_string(i), 1000 + i * 100, {}}})));
  }
  ReplaySpec spec = everything("source", "target");
  spec.pace = {ReplayPace::Kind::speed, 2};
  const JobInfo job = create(spec);
  engine_.runtime().advance(milliseconds(1'020));  // 2 s of record time: records 0 to 20.
  const std::size_t count = copied().size();
  EXPECT_GE(count, 19u);
  EXPECT_LE(count, 21u);
  EXPECT_EQ(finish(job.id).totals.records, 100u);
  EXPECT_EQ(copied(), numbered("r", 0, 100));
}

TEST_F(ReplayJobTest, pauses_and_goes_on) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 100));
  const JobInfo job = create(at_rate(10));
  engine_.runtime().advance(std::chrono::seconds(3));
  EXPECT_EQ(control(job.id, JobAction::pause).state, JobState::paused);
  EXPECT_EQ(control(job.id, JobAction::pause).state, JobState::paused) << "twice is fine";
  const std::size_t count = copied().size();
  EXPECT_GT(count, 20u);
  engine_.runtime().advance(std::chrono::hours(48));
  EXPECT_EQ(copied().size(), count);
  restart();
  EXPECT_EQ(look(job.id).state, JobState::paused) << "a restart does not wake it";
  EXPECT_EQ(control(job.id, JobAction::resume).state, JobState::running);
  engine_.runtime().advance(std::chrono::seconds(1));
  EXPECT_LE(copied().size(), count + 11) << "what it missed is not made up for";
  EXPECT_EQ(finish(job.id).state, JobState::done);
  EXPECT_EQ(copied(), numbered("r", 0, 100));
  EXPECT_EQ(engine_.control(job.id, JobAction::pause).error().code, Errc::conflict);
  EXPECT_EQ(engine_.control(job.id, JobAction::resume).error().code, Errc::conflict);
  EXPECT_EQ(engine_.control(job.id, JobAction::cancel).error().code, Errc::conflict);
}

TEST_F(ReplayJobTest, cancels_for_good) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 100));
  const JobInfo job = create(at_rate(10));
  engine_.runtime().advance(std::chrono::seconds(2));
  const JobInfo cancelled = control(job.id, JobAction::cancel);
  EXPECT_EQ(cancelled.state, JobState::cancelled);
  EXPECT_EQ(cancelled.totals.records, copied().size());
  EXPECT_EQ(control(job.id, JobAction::cancel).state, JobState::cancelled);
  restart();
  engine_.runtime().advance(std::chrono::seconds(20));
  EXPECT_EQ(look(job.id).state, JobState::cancelled);
  EXPECT_EQ(copied().size(), cancelled.totals.records);
}

TEST_F(ReplayJobTest, wishes_made_in_the_middle_of_a_chunk_are_all_answered) {
  topic("source");
  topic("target");
  for (int i = 0; i < 30; ++i) append("source", {std::string(200'000, 'x')});
  const JobInfo job = create(everything("source", "target"));
  const auto wish = [&](JobAction action) {
    return engine_.start<JobInfo>(
        [id = job.id, action](Broker& broker, Done<JobInfo> done) { broker.control_job({}, id, action, std::move(done)); });
  };
  for (int i = 0; i < 15; ++i) engine_.runtime().step();
  const auto pause = wish(JobAction::pause);
  const auto resume = wish(JobAction::resume);
  const auto cancel = wish(JobAction::cancel);
  engine_.runtime().advance(std::chrono::seconds(3));
  ASSERT_TRUE(pause->has_value() && resume->has_value() && cancel->has_value());
  EXPECT_EQ(look(job.id).state, JobState::cancelled);
}

TEST_F(ReplayJobTest, goes_on_after_restarts) {
  topic("source", 2);
  topic("target", 2);
  for (std::int32_t p = 0; p < 2; ++p) append("source", numbered("p" + std::to_string(p) + "-", 0, 200), p);
  const JobInfo job = create(at_rate(50));
  for (int i = 0; i < 4; ++i) {
    engine_.runtime().advance(milliseconds(1'234));
    if (i % 2 == 0) {
      restart();
    } else {
      engine_.die();
      open();
    }
  }
  const JobInfo done = finish(job.id);
  EXPECT_EQ(done.state, JobState::done);
  EXPECT_EQ(done.totals.records, 400u);
  for (std::int32_t p = 0; p < 2; ++p) EXPECT_EQ(copied(p), numbered("p" + std::to_string(p) + "-", 0, 200));
}

/// Half of a chunk is stored, the other half finds no space; the broker dies, and starts again when other producers are long forgotten.
TEST_F(ReplayJobTest, a_repeat_after_days_is_still_known) {
  topic("source");
  topic("target", 2);
  std::vector<TestRecord> records;
  for (int i = 0; i < 40; ++i) records.push_back({"key" + std::to_string(i), "r" + std::to_string(i), 5, {}});
  ASSERT_TRUE(engine_.append_batch("source", 0, batch_of_records(records)));
  disk_.add_fault({.op = "reserve", .path_contains = "/1/", .nth = 1, .times = 1'000'000, .effect = simulation::FaultEffect::disk_full});
  const JobInfo job = create(everything("source", "target"));
  engine_.runtime().advance(std::chrono::seconds(5));  // Past a checkpoint, which is what a start knows of old producers.
  ASSERT_EQ(look(job.id).wait, JobWait::disk_full);
  ASSERT_GT(copied(0).size(), 0u);
  ASSERT_EQ(copied(1).size(), 0u);

  engine_.set_wall_at_open(engine_.runtime().clock().now() + std::chrono::hours(100));
  engine_.die();
  open();
  engine_.runtime().advance(std::chrono::seconds(40));  // Retention forgets silent producers, too.
  disk_.clear_faults();
  EXPECT_EQ(finish(job.id).totals.records, 40u);
  Values all = copied(0);
  for (const std::string& value : copied(1)) all.push_back(value);
  std::ranges::sort(all);
  Values wanted = numbered("r", 0, 40);
  std::ranges::sort(wanted);
  EXPECT_EQ(all, wanted);
}

TEST_F(ReplayJobTest, at_most_four_run_at_once) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 10));
  std::vector<JobId> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(create(at_rate(1)).id);
  EXPECT_EQ(std::set<JobId>(ids.begin(), ids.end()).size(), 6u);
  engine_.runtime().advance(milliseconds(100));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(look(ids[i]).wait, i < 4 ? JobWait::pace : JobWait::turn) << i;
  control(ids[1], JobAction::cancel);
  control(ids[5], JobAction::pause);
  engine_.runtime().advance(milliseconds(100));
  EXPECT_EQ(look(ids[4]).wait, JobWait::pace);
  control(ids[5], JobAction::resume);
  EXPECT_EQ(look(ids[5]).wait, JobWait::turn);
  for (const JobId id : ids) finish(id);
  EXPECT_EQ(look(ids[5]).state, JobState::done);
}

TEST_F(ReplayJobTest, bounds_unfinished_jobs_and_forgets_old_ones) {
  topic("source");
  topic("target");
  append("source", {"a"});
  const JobInfo old = create(everything("source", "target"));
  finish(old.id);
  engine_.runtime().time().advance(std::chrono::hours(24 * 8));
  for (int i = 0; i < 100; ++i) create(at_rate(0.0001));
  EXPECT_EQ(engine_.create_replay(at_rate(1)).error().code, Errc::overloaded);
  EXPECT_EQ(engine_.jobs()->size(), 100u);
  EXPECT_EQ(engine_.job(old.id).error().code, Errc::not_found);
  restart();
  EXPECT_EQ(engine_.jobs()->size(), 100u);
  EXPECT_EQ(engine_.job(old.id).error().code, Errc::not_found);
}

TEST_F(ReplayJobTest, survives_snapshots_of_the_state_log) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 100));
  const JobInfo job = create(at_rate(1));
  engine_.runtime().advance(std::chrono::seconds(3));
  // Jobs with long filters come and go, until the oldest file is mostly dead and the streams that live in it are asked to move.
  ReplaySpec bulky = everything("source", "target");
  bulky.filter = "value = \"" + std::string(60'000, 'x') + "\"";
  for (int i = 0; i < 700; ++i) finish(create(bulky).id);
  EXPECT_FALSE(disk_.exists("/data/state/00000000000000000001.state").value_or(true)) << "the first state file was meant to go";
  engine_.die();
  open();
  EXPECT_EQ(finish(job.id).totals.records, 100u);
  EXPECT_EQ(copied(), numbered("r", 0, 100));
}

TEST_F(ReplayJobTest, what_retention_took_is_passed_over_and_counted) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 50));
  append("source", numbered("r", 50, 100));
  const JobInfo job = create(at_rate(10));
  engine_.runtime().advance(std::chrono::seconds(1));
  const std::size_t before = copied().size();
  ASSERT_TRUE(engine_.trim("source", 0, Offset{60}));
  const JobInfo done = finish(job.id);
  EXPECT_EQ(done.state, JobState::done);
  Values wanted = numbered("r", 0, static_cast<int>(before));
  const Values rest = numbered("r", 60, 100);
  wanted.insert(wanted.end(), rest.begin(), rest.end());
  EXPECT_EQ(copied(), wanted);
  EXPECT_EQ(done.totals.skipped, 60 - before);
  EXPECT_EQ(done.totals.records, wanted.size());
}

TEST_F(ReplayJobTest, a_target_that_is_deleted_ends_the_job) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 100));
  const JobInfo job = create(at_rate(10));
  engine_.runtime().advance(std::chrono::seconds(1));
  ASSERT_TRUE(engine_.remove("target"));
  topic("target");
  const JobInfo failed = finish(job.id);
  EXPECT_EQ(failed.state, JobState::failed);
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(*failed.error, (Error{Errc::unknown_topic, "topic 'target' was deleted"}));
  EXPECT_EQ(copied(), Values()) << "one that has its name is another one";
  restart();
  EXPECT_EQ(look(job.id).error, failed.error);
}

TEST_F(ReplayJobTest, a_record_that_the_target_does_not_take_ends_the_job) {
  topic("source");
  topic("target", 1, {{"max.message.bytes", "2000"}});
  append("source", numbered("r", 0, 10));
  append("source", {std::string(5000, 'x')});
  const JobInfo failed = finish(create(everything("source", "target")).id);
  EXPECT_EQ(failed.state, JobState::failed);
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->code, Errc::batch_too_large);
  EXPECT_EQ(copied(), numbered("r", 0, 10));
  EXPECT_EQ(failed.partitions[0].next, Offset{10});
}

TEST_F(ReplayJobTest, waits_while_the_disk_is_full) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 100));
  // The target has no segment yet, and finds no space for one.
  disk_.add_fault({.op = "reserve", .path_contains = "topics", .nth = 1, .times = 1'000'000, .effect = simulation::FaultEffect::disk_full});
  const JobInfo job = create(everything("source", "target"));
  engine_.runtime().advance(std::chrono::seconds(10));
  const JobInfo waiting = look(job.id);
  EXPECT_EQ(waiting.state, JobState::running);
  EXPECT_EQ(waiting.wait, JobWait::disk_full);
  EXPECT_EQ(control(job.id, JobAction::pause).state, JobState::paused) << "a job that waits can be paused";
  EXPECT_EQ(control(job.id, JobAction::resume).state, JobState::running);
  engine_.runtime().advance(std::chrono::seconds(2));
  engine_.die();
  disk_.clear_faults();
  open();
  EXPECT_EQ(finish(job.id).state, JobState::done);
  EXPECT_EQ(copied(), numbered("r", 0, 100));
}

TEST_F(ReplayJobTest, goes_on_by_itself_when_there_is_room_again) {
  topic("source");
  topic("target");
  append("source", numbered("r", 0, 100));
  disk_.add_fault({.op = "reserve", .path_contains = "topics", .nth = 1, .times = 3, .effect = simulation::FaultEffect::disk_full});
  const JobInfo job = create(everything("source", "target"));
  EXPECT_EQ(finish(job.id).state, JobState::done);
  EXPECT_EQ(copied(), numbered("r", 0, 100));
}

TEST_F(ReplayJobTest, damage_ends_the_job_or_is_passed_over) {
  topic("source", 1, {{"segment.bytes", "65536"}});
  topic("target");
  for (int i = 0; i < 12; ++i) append("source", {"r" + std::to_string(i) + std::string(20'000, 'x')});
  restart();  // Nothing of it is in memory any more.
  std::string first;
  for (const std::string& path : disk_.tree()) {
    if (path.ends_with("00000000000000000000.log") && disk_.contents("/" + path).find("xxxx") != std::string::npos) first = "/" + path;
  }
  ASSERT_FALSE(first.empty());
  disk_.flip_bit(first, 30'000, 1);  // In the second record.

  const JobInfo failed = finish(create(everything("source", "target")).id);
  EXPECT_EQ(failed.state, JobState::failed);
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->code, Errc::quarantined);
  EXPECT_NE(failed.error->detail.find("00000000000000000000.log"), std::string::npos) << failed.error->detail;
  EXPECT_EQ(copied().size(), 1u);

  topic("rest");
  ReplaySpec spec = everything("source", "rest");
  spec.skip_damaged = true;
  const JobInfo done = finish(create(spec).id);
  EXPECT_EQ(done.state, JobState::done);
  EXPECT_GE(done.totals.damaged, 1u);
  EXPECT_EQ(done.totals.records + done.totals.damaged, 12u);
  EXPECT_EQ(values_in(engine_, "rest").size(), done.totals.records);
}

TEST_F(ReplayJobTest, a_stop_in_the_middle_is_clean) {
  topic("source");
  topic("target");
  for (int i = 0; i < 40; ++i) append("source", {std::to_string(i) + std::string(200'000, 'x')});
  const JobInfo job = create(everything("source", "target"));
  for (int i = 0; i < 40; ++i) engine_.runtime().step();
  restart();
  const auto status = engine_.status();
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->clean_start);
  EXPECT_EQ(finish(job.id).totals.records, 40u);
  const Values all = copied();
  ASSERT_EQ(all.size(), 40u);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(std::stoul(all[i]), i);
}

}  // namespace
}  // namespace tidemark::broker
