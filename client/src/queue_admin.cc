#include "tidemark/queue_admin.h"

#include <algorithm>
#include <utility>

#include "client/src/client_core.h"
#include "client/src/group_values.h"
#include "client/src/queue_values.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"

namespace tidemark {
namespace {

using detail::Connection;
using detail::Done;
using detail::OnLoss;
using native::FrameType;

void set_name(const std::string& group, const std::string& topic, wire::QueueName& name) {
  name.set_group(group);
  name.set_topic(topic);
}

template <class Repeated>
void add_settings(Repeated& to, const QueueSettings& from) {
  for (const auto& [key, value] : from) {
    wire::ConfigEntry& entry = *to.Add();
    entry.set_key(key);
    entry.set_value(value);
  }
}

void create(Connection& connection, const NewQueue& queue, Done<QueueDescription> done) {
  wire::CreateQueue request;
  set_name(queue.group, queue.topic, *request.mutable_name());
  const Status start = detail::start_to_wire(queue.start, *request.mutable_start());
  if (!start) return done(start.error());
  add_settings(*request.mutable_settings(), queue.settings);
  detail::ask<wire::QueueInfo>(connection, FrameType::create_queue, request, OnLoss::fail_if_sent, std::move(done),
                               detail::queue_from_wire);
}

void alter(Connection& connection, const std::string& group, const std::string& topic, const QueueSettings& settings,
           Done<QueueDescription> done) {
  wire::AlterQueue request;
  set_name(group, topic, *request.mutable_name());
  add_settings(*request.mutable_settings(), settings);
  detail::ask<wire::QueueInfo>(connection, FrameType::alter_queue, request, OnLoss::fail_if_sent, std::move(done), detail::queue_from_wire);
}

void remove(Connection& connection, const std::string& group, const std::string& topic, Done<void> done) {
  wire::DeleteQueue request;
  set_name(group, topic, *request.mutable_name());
  detail::ask<wire::DeleteQueueReply>(connection, FrameType::delete_queue, request, OnLoss::fail_if_sent, std::move(done),
                                      [](const auto&) { return Status(); });
}

void list(Connection& connection, const std::optional<std::string>& group, Done<std::vector<QueueDescription>> done) {
  wire::ListQueues request;
  if (group) request.set_group(*group);
  detail::ask<wire::ListQueuesReply>(connection, FrameType::list_queues, request, OnLoss::repeat, std::move(done),
                                     detail::queues_from_wire);
}

void describe(Connection& connection, const std::string& group, const std::string& topic, Done<QueueDescription> done) {
  wire::DescribeQueue request;
  set_name(group, topic, *request.mutable_name());
  detail::ask<wire::QueueInfo>(connection, FrameType::describe_queue, request, OnLoss::repeat, std::move(done), detail::queue_from_wire);
}

void pending(Connection& connection, const QueuePendingQuery& query, Done<std::vector<QueuePendingRow>> done) {
  wire::QueuePending request;
  detail::pending_to_wire(query, request);
  detail::ask<wire::QueuePendingReply>(connection, FrameType::queue_pending, request, OnLoss::repeat, std::move(done),
                                       detail::pending_from_wire);
}

void act(Connection& connection, const QueueAction& action, Done<std::uint64_t> done) {
  wire::QueueAct request;
  detail::action_to_wire(action, request);
  const OnLoss on_loss = action.execute ? OnLoss::fail_if_sent : OnLoss::repeat;
  detail::ask<wire::QueueActReply>(connection, FrameType::queue_act, request, on_loss, std::move(done),
                                   [](const auto& reply) { return reply.records(); });
}

void seek(Connection& connection, const GroupSeek& seek, Done<GroupSeekPlan> done) {
  wire::SeekQueue request;
  detail::seek_to_wire(seek, *request.mutable_seek());
  const OnLoss on_loss = seek.execute ? OnLoss::fail_if_sent : OnLoss::repeat;
  detail::ask<wire::SeekReply>(connection, FrameType::seek_queue, request, on_loss, std::move(done), detail::plan_from_wire);
}

void settle(Connection& connection, const std::string& group, const std::string& topic, const std::vector<QueueSettlement>& settlements,
            Done<SettleReport> done) {
  wire::Settle request;
  set_name(group, topic, *request.mutable_name());
  const Status sound = detail::settlements_to_wire(settlements, request);
  if (!sound) return done(sound.error());
  detail::ask<wire::SettleReply>(connection, FrameType::settle, request, OnLoss::fail_if_sent, std::move(done), detail::report_from_wire);
}

// --- Dead letters.

void dead_letters(Connection& connection, const std::optional<std::string>& group, Done<std::vector<DeadLetterSummary>> done) {
  wire::ListDeadLetters request;
  if (group) request.set_group(*group);
  detail::ask<wire::ListDeadLettersReply>(connection, FrameType::list_dead_letters, request, OnLoss::repeat, std::move(done),
                                          [](const wire::ListDeadLettersReply& reply) { return detail::letters_from_wire(reply); });
}

void show_dead_letters(Connection& connection, const std::string& group, std::size_t max, Done<std::vector<DeadLetter>> done) {
  wire::ShowDeadLetters request;
  request.set_group(group);
  request.set_max(static_cast<std::uint32_t>(std::min<std::size_t>(max, UINT32_MAX)));
  detail::ask<wire::ShowDeadLettersReply>(connection, FrameType::show_dead_letters, request, OnLoss::repeat, std::move(done),
                                          [](const wire::ShowDeadLettersReply& reply) { return detail::letters_from_wire(reply); });
}

/// A redrive in bites: replies come in the order of the requests, so that one long request would hold up everything else of the connection,
/// until it is taken for dead. Counted first, so that letters that come back meanwhile are not redriven again and again.
class RedriveCall : public std::enable_shared_from_this<RedriveCall> {
 public:
  RedriveCall(std::shared_ptr<Connection> connection, Redrive redrive, Done<RedriveReport> done)
      : connection_(std::move(connection)), redrive_(std::move(redrive)), done_(std::move(done)) {}

  void start() {
    if (!(redrive_.records_per_second >= 0)) return done_(Error{Errc::invalid_argument, "records_per_second is a number from 0 on"});
    ask(redrive_.max, true, [self = shared_from_this()](const RedriveReport& counted) {
      if (self->redrive_.dry_run) return self->done_(counted);
      self->left_ = counted.matched;
      self->report_.skipped = counted.skipped;
      self->bite();
    });
  }

 private:
  static constexpr std::size_t kBiteMax = 1'000;
  static constexpr double kBiteSeconds = 5;

  /// Letters that cannot be given back stay in front, and are matched again each time.
  void bite() {
    if (left_ == 0) return done_(report_);
    const double paced = redrive_.records_per_second * kBiteSeconds;
    const std::size_t most = paced > 0 && paced < kBiteMax ? std::max<std::size_t>(static_cast<std::size_t>(paced), 1) : kBiteMax;
    const std::uint64_t stuck = report_.gone;
    ask(std::min<std::uint64_t>(left_, most) + stuck, false, [self = shared_from_this(), stuck](const RedriveReport& bitten) {
      const std::uint64_t matched = bitten.matched - std::min(stuck, bitten.matched);
      self->report_.matched += matched;
      self->report_.redriven += bitten.redriven;
      self->report_.gone = std::max(stuck, bitten.gone);
      self->left_ = matched == 0 ? 0 : self->left_ - std::min(self->left_, matched);
      self->bite();
    });
  }

  template <class Next>
  void ask(std::uint64_t max, bool dry_run, Next next) {
    wire::Redrive request;
    request.set_group(redrive_.group);
    if (redrive_.topic) request.set_topic(*redrive_.topic);
    request.set_match(redrive_.match);
    request.set_max(max);
    request.set_records_per_second(redrive_.records_per_second);
    if (redrive_.to) request.set_to(*redrive_.to);
    request.set_dry_run(dry_run);
    detail::call<wire::RedriveReply>(
        *connection_, FrameType::redrive, request, dry_run ? OnLoss::repeat : OnLoss::fail_if_sent,
        [self = shared_from_this(), next](const Result<wire::RedriveReply>& reply) {
          if (!reply) return self->done_(reply.error());
          next(RedriveReport{
              .matched = reply->matched(), .redriven = reply->redriven(), .gone = reply->gone(), .skipped = reply->skipped()});
        });
  }

  const std::shared_ptr<Connection> connection_;
  const Redrive redrive_;
  Done<RedriveReport> done_;
  RedriveReport report_;
  std::uint64_t left_ = 0;
};

void redrive(const std::shared_ptr<Connection>& connection, const Redrive& redrive, Done<RedriveReport> done) {
  std::make_shared<RedriveCall>(connection, redrive, std::move(done))->start();
}

void purge_dead_letters(Connection& connection, const std::string& group, Done<std::uint64_t> done) {
  wire::PurgeDeadLetters request;
  request.set_group(group);
  detail::ask<wire::PurgeDeadLettersReply>(connection, FrameType::purge_dead_letters, request, OnLoss::fail_if_sent, std::move(done),
                                           [](const auto& reply) { return reply.letters(); });
}

}  // namespace

// --- Blocking.

Result<QueueDescription> QueueAdmin::create(const NewQueue& queue) {
  return core_->block<QueueDescription>([&](auto done) { tidemark::create(*core_->connection(), queue, std::move(done)); });
}

Result<QueueDescription> QueueAdmin::alter(const std::string& group, const std::string& topic, const QueueSettings& settings) {
  return core_->block<QueueDescription>([&](auto done) { tidemark::alter(*core_->connection(), group, topic, settings, std::move(done)); });
}

Status QueueAdmin::remove(const std::string& group, const std::string& topic) {
  return core_->block<void>([&](auto done) { tidemark::remove(*core_->connection(), group, topic, std::move(done)); });
}

Result<std::vector<QueueDescription>> QueueAdmin::list(const std::optional<std::string>& group) {
  return core_->block<std::vector<QueueDescription>>([&](auto done) { tidemark::list(*core_->connection(), group, std::move(done)); });
}

Result<QueueDescription> QueueAdmin::describe(const std::string& group, const std::string& topic) {
  return core_->block<QueueDescription>([&](auto done) { tidemark::describe(*core_->connection(), group, topic, std::move(done)); });
}

Result<std::vector<QueuePendingRow>> QueueAdmin::pending(const QueuePendingQuery& query) {
  return core_->block<std::vector<QueuePendingRow>>([&](auto done) { tidemark::pending(*core_->connection(), query, std::move(done)); });
}

Result<std::uint64_t> QueueAdmin::act(const QueueAction& action) {
  return core_->block<std::uint64_t>([&](auto done) { tidemark::act(*core_->connection(), action, std::move(done)); });
}

Result<GroupSeekPlan> QueueAdmin::seek(const GroupSeek& seek) {
  return core_->block<GroupSeekPlan>([&](auto done) { tidemark::seek(*core_->connection(), seek, std::move(done)); });
}

Result<SettleReport> QueueAdmin::settle(const std::string& group, const std::string& topic,
                                        const std::vector<QueueSettlement>& settlements) {
  return core_->block<SettleReport>([&](auto done) { tidemark::settle(*core_->connection(), group, topic, settlements, std::move(done)); });
}

Result<std::vector<DeadLetterSummary>> QueueAdmin::dead_letters(const std::optional<std::string>& group) {
  return core_->block<std::vector<DeadLetterSummary>>(
      [&](auto done) { tidemark::dead_letters(*core_->connection(), group, std::move(done)); });
}

Result<std::vector<DeadLetter>> QueueAdmin::show_dead_letters(const std::string& group, std::size_t max) {
  return core_->block<std::vector<DeadLetter>>(
      [&](auto done) { tidemark::show_dead_letters(*core_->connection(), group, max, std::move(done)); });
}

Result<RedriveReport> QueueAdmin::redrive(const Redrive& redrive) {
  return core_->block<RedriveReport>([&](auto done) { tidemark::redrive(core_->connection(), redrive, std::move(done)); });
}

Result<std::uint64_t> QueueAdmin::purge_dead_letters(const std::string& group) {
  return core_->block<std::uint64_t>([&](auto done) { tidemark::purge_dead_letters(*core_->connection(), group, std::move(done)); });
}

// --- Asynchronous.

void QueueAdmin::start_create(const Core& core, NewQueue queue, Completion<QueueDescription> done) {
  tidemark::create(*core->connection(), queue, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_alter(const Core& core, std::string group, std::string topic, QueueSettings settings,
                             Completion<QueueDescription> done) {
  tidemark::alter(*core->connection(), group, topic, settings, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_remove(const Core& core, std::string group, std::string topic, Completion<void> done) {
  tidemark::remove(*core->connection(), group, topic, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_list(const Core& core, std::optional<std::string> group, Completion<std::vector<QueueDescription>> done) {
  tidemark::list(*core->connection(), group, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_describe(const Core& core, std::string group, std::string topic, Completion<QueueDescription> done) {
  tidemark::describe(*core->connection(), group, topic, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_pending(const Core& core, QueuePendingQuery query, Completion<std::vector<QueuePendingRow>> done) {
  tidemark::pending(*core->connection(), query, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_act(const Core& core, QueueAction action, Completion<std::uint64_t> done) {
  tidemark::act(*core->connection(), action, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_seek(const Core& core, GroupSeek seek, Completion<GroupSeekPlan> done) {
  tidemark::seek(*core->connection(), seek, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_settle(const Core& core, std::string group, std::string topic, std::vector<QueueSettlement> settlements,
                              Completion<SettleReport> done) {
  tidemark::settle(*core->connection(), group, topic, settlements, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_dead_letters(const Core& core, std::optional<std::string> group, Completion<std::vector<DeadLetterSummary>> done) {
  tidemark::dead_letters(*core->connection(), group, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_show_dead_letters(const Core& core, std::string group, std::size_t max, Completion<std::vector<DeadLetter>> done) {
  tidemark::show_dead_letters(*core->connection(), group, max, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_redrive(const Core& core, Redrive redrive, Completion<RedriveReport> done) {
  tidemark::redrive(core->connection(), redrive, detail::as_done(std::move(done), core->executor()));
}

void QueueAdmin::start_purge_dead_letters(const Core& core, std::string group, Completion<std::uint64_t> done) {
  tidemark::purge_dead_letters(*core->connection(), group, detail::as_done(std::move(done), core->executor()));
}

}  // namespace tidemark
