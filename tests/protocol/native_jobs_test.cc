#include "tests/protocol/native_node.h"

namespace tidemark::native {
namespace {

using Values = std::vector<std::string>;

class NativeJobs : public testing::Test {
 protected:
  void SetUp() override {
    create_topic(*client_, "orders");
    create_topic(*client_, "again");
  }
  static wire::CreateReplay replay_message() {
    wire::CreateReplay replay;
    replay.set_source("orders");
    replay.set_into("again");
    return replay;
  }
  wire::JobInfo job(std::int64_t id) {
    wire::DescribeJob describe;
    describe.set_id(id);
    return client_->must<wire::JobInfo>(FrameType::describe_job, describe);
  }
  wire::JobInfo finished(std::int64_t id) {
    for (;;) {
      wire::JobInfo info = job(id);
      if (info.state() != "running" || testing::Test::HasFailure()) return info;
    }
  }
  static wire::ControlJob control_message(std::int64_t id, wire::ControlJob::Action action) {
    wire::ControlJob control;
    control.set_id(id);
    control.set_action(action);
    return control;
  }

  NativeNode node_;
  std::unique_ptr<RawClient> client_ = node_.client();
};

TEST_F(NativeJobs, a_replay_copies_what_was_asked_for) {
  store(*client_, "orders", {"a", "b", "c", "d", "e"});
  wire::CreateReplay replay = replay_message();
  replay.mutable_from()->set_kind(wire::ReplayPosition::OFFSET);
  replay.mutable_from()->set_value(1);
  replay.mutable_to()->set_kind(wire::ReplayPosition::BEFORE_END);
  replay.mutable_to()->set_value(1);
  replay.set_filter("value != \"c\"");
  const auto made = client_->must<wire::JobInfo>(FrameType::create_replay, replay);
  EXPECT_GT(made.id(), 0);
  EXPECT_EQ(made.offsets_total(), 3u);
  ASSERT_EQ(made.partitions_size(), 1);
  EXPECT_EQ(made.partitions(0).from(), 1);
  EXPECT_EQ(made.partitions(0).to(), 4);
  EXPECT_EQ(made.replay().filter(), "value != \"c\"");

  const wire::JobInfo done = finished(made.id());
  EXPECT_EQ(done.state(), "done");
  EXPECT_EQ(done.records(), 2u);
  EXPECT_EQ(done.filtered(), 1u);
  EXPECT_EQ(done.offsets_done(), 3u);
  EXPECT_TRUE(done.has_finished_ms());
  EXPECT_EQ(values_of(client_->ask(FrameType::fetch, fetch_message("again", 0)).attachments), (Values{"b", "d"}));
}

TEST_F(NativeJobs, jobs_are_listed_and_steered) {
  store(*client_, "orders", {"a", "b", "c"});
  wire::CreateReplay replay = replay_message();
  replay.set_records_per_second(0.001);
  const auto made = client_->must<wire::JobInfo>(FrameType::create_replay, replay);
  EXPECT_EQ(made.replay().records_per_second(), 0.001);
  const auto list = client_->must<wire::ListJobsReply>(FrameType::list_jobs, wire::ListJobs());
  ASSERT_EQ(list.jobs_size(), 1);
  EXPECT_EQ(list.jobs(0).id(), made.id());
  EXPECT_EQ(list.jobs(0).partitions_size(), 0);

  const auto control = [&](wire::ControlJob::Action action) {
    return client_->must<wire::JobInfo>(FrameType::control_job, control_message(made.id(), action)).state();
  };
  EXPECT_EQ(control(wire::ControlJob::PAUSE), "paused");
  EXPECT_EQ(control(wire::ControlJob::RESUME), "running");
  EXPECT_EQ(control(wire::ControlJob::CANCEL), "cancelled");
  EXPECT_EQ(control(wire::ControlJob::CANCEL), "cancelled");
  EXPECT_EQ(client_->refused(FrameType::control_job, control_message(made.id(), wire::ControlJob::RESUME)), Errc::conflict);
}

TEST_F(NativeJobs, a_failed_job_says_why) {
  store(*client_, "orders", {std::string(5000, 'x')});
  create_topic(*client_, "narrow", 1, {{"max.message.bytes", "2000"}});
  wire::CreateReplay replay = replay_message();
  replay.set_into("narrow");
  const wire::JobInfo failed = finished(client_->must<wire::JobInfo>(FrameType::create_replay, replay).id());
  EXPECT_EQ(failed.state(), "failed");
  EXPECT_EQ(failed.error().code(), static_cast<std::uint32_t>(Errc::batch_too_large));
}

TEST_F(NativeJobs, refuses_what_makes_no_sense) {
  store(*client_, "orders", {"a"});
  const auto refusal = [&](const std::function<void(wire::CreateReplay&)>& spoil) {
    wire::CreateReplay replay = replay_message();
    spoil(replay);
    return client_->refused(FrameType::create_replay, replay);
  };
  EXPECT_EQ(refusal([](wire::CreateReplay& replay) { replay.set_into("agian"); }), Errc::unknown_topic);
  EXPECT_EQ(refusal([](wire::CreateReplay& replay) { replay.set_filter("key"); }), Errc::invalid_argument);
  EXPECT_EQ(refusal([](wire::CreateReplay& replay) { replay.set_speed(-1); }), Errc::invalid_argument);
  EXPECT_EQ(refusal([](wire::CreateReplay& replay) { replay.mutable_from()->set_kind(static_cast<wire::ReplayPosition::Kind>(9)); }),
            Errc::invalid_argument);
  EXPECT_EQ(refusal([](wire::CreateReplay& replay) {
              replay.mutable_to()->set_kind(wire::ReplayPosition::OFFSET);
              replay.mutable_to()->set_value(-1);
            }),
            Errc::offset_out_of_range);
  EXPECT_EQ(client_->refused(FrameType::describe_job, wire::DescribeJob()), Errc::not_found);
  EXPECT_EQ(client_->refused(FrameType::control_job, control_message(1, wire::ControlJob::PAUSE)), Errc::not_found);
  EXPECT_EQ(client_->refused(FrameType::control_job, wire::ControlJob()), Errc::invalid_argument);

  wire::CreateReplay trial = replay_message();
  trial.set_dry_run(true);
  EXPECT_EQ(client_->must<wire::JobInfo>(FrameType::create_replay, trial).id(), 0);
  EXPECT_EQ(client_->must<wire::ListJobsReply>(FrameType::list_jobs, wire::ListJobs()).jobs_size(), 0);
}

}  // namespace
}  // namespace tidemark::native
