#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "broker/queues/queue_types.h"
#include "protocol/native/adapter/request.h"
#include "protocol/native/adapter/session_core.h"

namespace tidemark::native {

/// What one connection has to do with queue groups: the members it speaks for, and their receives that wait for records. When the
/// connection ends, its members leave as ones that failed; when the broker stops, without blame.
///
/// Bounded: kMembersMax members, kReceivesMax receives, which together may bring no more bytes than the session takes of requests.
class QueueMembers {
 public:
  static constexpr std::size_t kMembersMax = 1'000;
  static constexpr std::size_t kReceivesMax = 1'000;

  explicit QueueMembers(SessionCore& session) : session_(session) {}

  void join(const Request& request, const wire::JoinQueue& in);
  void leave(const Request& request, const wire::LeaveQueue& in);
  /// Error unknown_member: the connection does not speak for it.
  Status check(const broker::QueueName& name, const std::string& member) const;

  /// Answers whether the broker looks for records; they follow as one Received.
  void receive(const Request& request, const wire::Receive& in);
  /// Its Received comes soon. Unknown ids are passed over: it may be on its way.
  void cancel(std::uint32_t id);

  /// The broker stops: every receive ends with the error, and members leave without failures.
  void end_all(const Error& error);
  /// The connection is over.
  void clear();
  bool empty() const { return members_.empty() && receives_.empty(); }

 private:
  struct Member {
    broker::QueueName name;
    std::string member;
    auto operator<=>(const Member&) const = default;
  };
  struct Receive {
    std::uint32_t id = 0;
    Member member;
    std::size_t bytes_max = 0;
    bool ended = false;  ///< Nobody waits for it any more.
    std::shared_ptr<broker::PendingReads> pending;
  };
  using ReceivePtr = std::shared_ptr<Receive>;

  Status judge(const Member& member, const wire::Receive& in) const;
  void start_join(const Request& request, const Member& member);
  void joined(const Request& request, const Member& member, const Result<broker::QueueInfo>& info);
  void received(const ReceivePtr& receive, Result<broker::ReceiveReply> reply);
  void give_back(const Member& member, const broker::ReceiveReply& reply);
  void finish(const ReceivePtr& receive);
  void leave_all(bool failed);

  SessionCore& session_;
  std::set<Member> members_;
  std::set<Member> joining_;  ///< The broker has been asked, for these too.
  std::map<std::uint32_t, ReceivePtr> receives_;
  std::size_t bytes_waited_for_ = 0;
  bool over_ = false;
};

}  // namespace tidemark::native
