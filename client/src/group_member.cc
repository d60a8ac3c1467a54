#include "client/src/group_member.h"

#include <algorithm>
#include <random>
#include <utility>

#include "client/src/group_values.h"
#include "client/src/wire.h"
#include "protocol/native/wire.pb.h"
#include "storage/base/uuid.h"

namespace tidemark::detail {
namespace {

using std::chrono::milliseconds;

/// After a heartbeat that failed; a new connection does not wait for it.
constexpr milliseconds kRetryPause{200};
/// After a refusal, which time alone will not change.
constexpr milliseconds kRefusedPause{5'000};
constexpr milliseconds kIntervalMin{10};

std::string random_id() {
  std::random_device device;
  const auto word = [&device] { return static_cast<std::uint64_t>(device()) << 32 | device(); };
  const std::uint64_t high = word();
  return Uuid::from_random(high, word()).to_string();
}

std::uint32_t to_wire_ms(milliseconds duration) {
  return static_cast<std::uint32_t>(std::clamp<milliseconds::rep>(duration.count(), 0, UINT32_MAX));
}

bool is_loss(Errc code) { return code == Errc::unknown_member || code == Errc::stale_member_epoch || code == Errc::unknown_group; }

}  // namespace

GroupMember::GroupMember(std::shared_ptr<Connection> connection, const StreamOptions& options, std::weak_ptr<MemberEvents> events)
    : connection_(std::move(connection)), options_(options), events_(std::move(events)), id_(random_id()), timer_(connection_->strand()) {}

void GroupMember::join() {
  active_ = true;
  connection_->add_listener(weak_from_this());
  come();
}

void GroupMember::hold(TopicPartitions held) {
  if (held == held_) return;
  held_ = std::move(held);
  tell_held_ = true;
  come();
}

void GroupMember::come() {
  if (!active_) return;
  if (in_flight_) {
    again_ = true;
    return;
  }
  wire::GroupHeartbeat heartbeat;
  heartbeat.set_group(options_.group);
  heartbeat.set_member(id_);
  heartbeat.set_epoch(epoch_);
  heartbeat.set_instance(options_.instance);
  heartbeat.set_session_timeout_ms(to_wire_ms(options_.session_timeout));
  heartbeat.set_rebalance_timeout_ms(to_wire_ms(options_.rebalance_timeout));
  if (epoch_ == 0) {
    for (const std::string& topic : options_.topics) heartbeat.mutable_subscription()->add_topics(topic);
    heartbeat.mutable_subscription()->set_regex(options_.regex);
    const Status start = start_to_wire(options_.start, *heartbeat.mutable_start());
    if (!start) return on_error(start.error());
  }
  if (epoch_ == 0 || tell_held_) partitions_to_wire(held_, *heartbeat.mutable_owned()->mutable_partitions());
  tell_held_ = again_ = false;
  in_flight_ = true;
  timer_.cancel();
  call<wire::GroupHeartbeatReply>(*connection_, native::FrameType::group_heartbeat, heartbeat, OnLoss::fail,
                                  [weak = weak_from_this(), strand = connection_->strand()](Result<wire::GroupHeartbeatReply> reply) {
                                    asio::post(strand, [weak, reply = std::move(reply)] {
                                      if (const auto self = weak.lock()) self->on_reply(reply);
                                    });
                                  });
}

void GroupMember::on_reply(const Result<wire::GroupHeartbeatReply>& reply) {
  in_flight_ = false;
  if (!active_) return;
  if (!reply) return on_error(reply.error());
  epoch_ = reply->epoch();
  if (const auto events = events_.lock()) {
    events->on_renewed();
    if (active_ && reply->has_assignment()) events->on_assignment(partitions_from_wire(reply->assignment().partitions()));
  }
  if (in_flight_) return;  // What the events led to has sent the next one.
  if (again_) return come();
  come_after(std::max(milliseconds(reply->interval_ms()), kIntervalMin));
}

void GroupMember::on_error(const Error& error) {
  tell_held_ = true;
  const auto events = events_.lock();
  if (error.code == Errc::cancelled || events == nullptr) return;
  if (is_loss(error.code) && epoch_ != 0) {
    epoch_ = 0;
    held_.clear();
    events->on_lost(error);
    return come();
  }
  events->on_failed(error);
  if (!in_flight_) come_after(error.retriable() || is_loss(error.code) ? kRetryPause : kRefusedPause);
}

void GroupMember::come_after(milliseconds pause) {
  if (!active_) return;
  timer_.expires_after(pause);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
    const auto self = weak.lock();
    if (!aborted && self != nullptr) self->come();
  });
}

void GroupMember::leave(Done<void> done) {
  const bool known = epoch_ > 0 || in_flight_;  // A join without an answer may have been heard.
  stop();
  if (!known) return done({});
  wire::LeaveGroup leave;
  leave.set_group(options_.group);
  leave.set_member(id_);
  leave.set_comes_back(!options_.instance.empty());
  call<wire::LeaveGroupReply>(*connection_, native::FrameType::leave_group, leave, OnLoss::repeat,
                              [done = std::move(done)](const Result<wire::LeaveGroupReply>& reply) mutable {
                                // Whom the broker does not know has left.
                                if (reply || is_loss(reply.error().code)) return done({});
                                done(reply.error());
                              });
}

void GroupMember::stop() {
  active_ = false;
  timer_.cancel();
}

void GroupMember::on_connected() {
  if (!active_) return;
  tell_held_ = true;  // What was under way on the connection before may have been heard or not.
  come();
}

void GroupMember::on_group_news(const std::string& group, const std::string& member) {
  if (group == options_.group && member == id_) come();
}

}  // namespace tidemark::detail
