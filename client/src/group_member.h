#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "client/src/connection.h"
#include "tidemark/stream_consumer.h"

namespace tidemark::wire {
class GroupHeartbeatReply;
}

namespace tidemark::detail {

/// What a member learns about its membership. All on the strand, with no lock held.
class MemberEvents {
 public:
  virtual ~MemberEvents() = default;
  /// All it may hold from now on; sorted.
  virtual void on_assignment(TopicPartitions assignment) = 0;
  /// The broker knows the member, in the epoch that epoch() tells.
  virtual void on_renewed() = 0;
  /// The broker knows it no more: it holds nothing. It is joining again.
  virtual void on_lost(const Error& error) = 0;
  /// A heartbeat failed for another reason. The next one follows after a pause.
  virtual void on_failed(const Error& error) = 0;
};

/// Membership in a stream group, without what it is good for: heartbeats at the broker's pace, at once when there is news, on every new
/// connection, and when what the member holds has changed. A lost connection is no loss of membership: it goes on in the same epoch and
/// tells everything anew.
///
/// Lives on the strand.
class GroupMember final : public ConnectionListener, public std::enable_shared_from_this<GroupMember> {
 public:
  GroupMember(std::shared_ptr<Connection> connection, const StreamOptions& options, std::weak_ptr<MemberEvents> events);

  void join();
  /// What the member holds from now on, also what it is still giving up; sorted. A change is told at once.
  void hold(TopicPartitions held);
  /// A heartbeat now, or as soon as the one under way is answered.
  void come();
  /// No further heartbeats and no further events; answers when the broker has let it go.
  void leave(Done<void> done);
  /// No further heartbeats and no further events.
  void stop();

  const std::string& group() const { return options_.group; }
  const std::string& id() const { return id_; }
  std::int32_t epoch() const { return epoch_; }
  bool joined() const { return epoch_ > 0; }

  void on_connected() override;
  void on_group_news(const std::string& group, const std::string& member) override;

 private:
  void on_reply(const Result<wire::GroupHeartbeatReply>& reply);
  void on_error(const Error& error);
  void come_after(std::chrono::milliseconds pause);

  const std::shared_ptr<Connection> connection_;
  const StreamOptions options_;
  const std::weak_ptr<MemberEvents> events_;
  const std::string id_;
  asio::steady_timer timer_;
  std::int32_t epoch_ = 0;
  TopicPartitions held_;
  bool active_ = false;     ///< Between join() and leave() or stop().
  bool in_flight_ = false;  ///< A heartbeat is.
  bool again_ = false;      ///< Another one, as soon as that is answered.
  bool tell_held_ = true;   ///< The broker may not know `held_`, or not know that it told the assignment.
};

}  // namespace tidemark::detail
