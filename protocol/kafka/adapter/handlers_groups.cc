#include <algorithm>
#include <cctype>

#include "broker/groups/groups.h"
#include "protocol/kafka/adapter/consumer_protocol.h"
#include "protocol/kafka/adapter/gather.h"
#include "protocol/kafka/adapter/group_errors.h"
#include "protocol/kafka/adapter/handlers.h"

/// Groups: who is in them. Offsets are in handlers_group_offsets.cc.
namespace tidemark::kafka {
namespace {

using std::chrono::milliseconds;

constexpr std::int32_t kGroupOperations = 1 << 3 | 1 << 6 | 1 << 8;  ///< Read, delete, describe.

/// A waiting call that its client has left, or that the broker gives up, is answered at once; the engine's answer comes too late then.
template <class Response>
std::function<void(Response)> answer_once(const Call& call) {
  auto answered = std::make_shared<bool>(false);
  const auto answer = [call, answered](const Response& response) {
    if (!std::exchange(*answered, true)) call.reply(response);
  };
  call.on_abandoned([answer] {
    Response response;
    response.error_code = ErrorCode::coordinator_not_available;
    answer(response);
  });
  return answer;
}

template <class Response>
void refuse(const Call& call, ErrorCode code) {
  Response response;
  response.error_code = code;
  call.reply(response);
}

}  // namespace

ErrorCode group_error(const Error& error) {
  switch (error.code) {
    case Errc::unknown_group:
      return ErrorCode::unknown_member_id;
    case Errc::shutting_down:
    case Errc::conflict:  // The group is being deleted: by the next attempt it is gone.
    case Errc::disk_full:
    case Errc::overloaded:
      return ErrorCode::coordinator_not_available;  // Retried after looking for the coordinator again.
    default:
      return to_wire(error.code);
  }
}

bool legal_group_id(std::string_view group) { return broker::validate_group_name(group).has_value(); }

// --- Finding the coordinator: this broker.

void handle(const Call& call, FindCoordinatorRequest request) {
  constexpr std::int8_t kGroup = 0, kTransaction = 1;
  const bool ours = request.key_type == kGroup || request.key_type == kTransaction;
  const ErrorCode code = ours ? ErrorCode::none : ErrorCode::invalid_request;
  std::optional<std::string> message;
  if (!ours) message = "this broker coordinates groups and transactions; share groups it does not have";
  FindCoordinatorResponse response;
  if (call.version() >= 4) {
    for (std::string& key : request.coordinator_keys) {
      FindCoordinatorResponse::Coordinator& coordinator = response.coordinators.emplace_back();
      coordinator.key = std::move(key);
      coordinator.node_id = ours ? kNodeId : -1;
      if (ours) coordinator.host = call.facts().advertised_host;
      coordinator.port = ours ? call.facts().advertised_port : -1;
      coordinator.error_code = code;
      coordinator.error_message = message;
    }
  } else {
    response.error_code = code;
    response.error_message = message;
    response.node_id = ours ? kNodeId : -1;
    if (ours) response.host = call.facts().advertised_host;
    response.port = ours ? call.facts().advertised_port : -1;
  }
  call.reply(response);
}

// --- Members.

void handle(const Call& call, JoinGroupRequest request) {
  if (!legal_group_id(request.group_id)) return refuse<JoinGroupResponse>(call, ErrorCode::invalid_group_id);
  constexpr int kKnownMemberId = 4, kStaticMembers = 5, kSkipAssignment = 9;
  broker::ClassicJoin join;
  join.identity = {request.member_id, call.version() >= kStaticMembers ? request.group_instance_id : std::nullopt};
  join.client_id = call.client_id();
  join.client_host = "/" + call.client_host();
  join.session_timeout = milliseconds(request.session_timeout_ms);
  join.rebalance_timeout = milliseconds(request.rebalance_timeout_ms < 0 ? request.session_timeout_ms : request.rebalance_timeout_ms);
  join.protocol_type = request.protocol_type;
  for (JoinGroupRequest::Protocol& protocol : request.protocols) {
    join.protocols.push_back({std::move(protocol.name), Slice::copy_of(protocol.metadata.view())});
  }
  join.require_known_member_id = call.version() >= kKnownMemberId;
  join.can_skip_assignment = call.version() >= kSkipAssignment;
  join.reason = request.reason.value_or("");
  const auto answer = answer_once<JoinGroupResponse>(call);
  call.broker().groups().join(call.context(), std::move(request.group_id), std::move(join),
                              [answer, member_id = request.member_id](Result<broker::ClassicJoinReply> joined) {
                                JoinGroupResponse response;
                                response.member_id = member_id;
                                if (!joined) {
                                  response.error_code = group_error(joined.error());
                                  return answer(std::move(response));
                                }
                                if (!joined->status) response.error_code = group_error(joined->status.error());
                                response.generation_id = joined->generation;
                                if (joined->status) {
                                  response.protocol_type = joined->protocol_type;
                                  response.protocol_name = joined->protocol_name;
                                }
                                response.leader = joined->leader;
                                response.skip_assignment = joined->skip_assignment;
                                if (!joined->member_id.empty()) response.member_id = joined->member_id;
                                for (broker::ClassicJoinReply::Member& member : joined->members) {
                                  response.members.push_back({member.member_id, member.instance_id, member.metadata});
                                }
                                answer(std::move(response));
                              });
}

void handle(const Call& call, SyncGroupRequest request) {
  if (!legal_group_id(request.group_id)) return refuse<SyncGroupResponse>(call, ErrorCode::invalid_group_id);
  broker::ClassicSync sync;
  sync.identity = {request.member_id, request.group_instance_id};
  sync.generation = request.generation_id;
  sync.protocol_type = request.protocol_type;
  sync.protocol_name = request.protocol_name;
  for (SyncGroupRequest::Assignment& assignment : request.assignments) {
    sync.assignments.emplace_back(std::move(assignment.member_id), Slice::copy_of(assignment.assignment.view()));
  }
  const auto answer = answer_once<SyncGroupResponse>(call);
  call.broker().groups().sync(call.context(), std::move(request.group_id), std::move(sync), [answer](Result<broker::ClassicSynced> synced) {
    SyncGroupResponse response;
    if (synced) {
      response.protocol_type = synced->protocol_type;
      response.protocol_name = synced->protocol_name;
      response.assignment = synced->assignment;
    } else {
      response.error_code = group_error(synced.error());
    }
    answer(std::move(response));
  });
}

void handle(const Call& call, HeartbeatRequest request) {
  if (!legal_group_id(request.group_id)) return refuse<HeartbeatResponse>(call, ErrorCode::invalid_group_id);
  broker::ClassicIdentity member{std::move(request.member_id), std::move(request.group_instance_id)};
  call.broker().groups().heartbeat(call.context(), std::move(request.group_id), std::move(member), request.generation_id,
                                   [call](Status heard) {
                                     HeartbeatResponse response;
                                     if (!heard) response.error_code = group_error(heard.error());
                                     call.reply(response);
                                   });
}

void handle(const Call& call, LeaveGroupRequest request) {
  if (!legal_group_id(request.group_id)) return refuse<LeaveGroupResponse>(call, ErrorCode::invalid_group_id);
  constexpr int kSeveralMembers = 3;
  const bool several = call.version() >= kSeveralMembers;
  std::vector<broker::ClassicIdentity> members;
  if (several) {
    for (const LeaveGroupRequest::Member& member : request.members) members.push_back({member.member_id, member.group_instance_id});
  } else {
    members.push_back({request.member_id, std::nullopt});
  }
  call.broker().groups().leave(call.context(), std::move(request.group_id), members,
                               [call, several, members](Result<std::vector<Status>> left) {
                                 LeaveGroupResponse response;
                                 if (!left) {
                                   response.error_code = group_error(left.error());
                                   return call.reply(response);
                                 }
                                 for (std::size_t i = 0; i < members.size(); ++i) {
                                   const ErrorCode code = (*left)[i] ? ErrorCode::none : group_error((*left)[i].error());
                                   if (several)
                                     response.members.push_back({members[i].member_id, members[i].instance_id, code});
                                   else
                                     response.error_code = code;
                                 }
                                 call.reply(response);
                               });
}

// --- Looking.

namespace {

bool broker_assigns(const broker::GroupInfo& info) { return info.protocol == broker::GroupProtocol::native; }

/// Kafka's names of the states.
std::string state_name(const broker::GroupInfo& info) {
  if (info.state == "preparing_rebalance") return "PreparingRebalance";
  if (info.state == "completing_rebalance") return "CompletingRebalance";
  std::string name = info.state;
  if (!name.empty()) name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
  return name;
}

std::string protocol_type(const broker::GroupInfo& info) {
  if (broker_assigns(info)) return std::string(kConsumerProtocolType);
  return info.classic ? info.classic->protocol_type : std::string();
}

std::string_view group_type(const broker::GroupInfo& info) { return broker_assigns(info) ? "consumer" : "classic"; }

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// Nothing asked for: everything.
bool asked_for(const std::vector<std::string>& filter, std::string_view word) {
  return filter.empty() || std::ranges::any_of(filter, [&](const std::string& wanted) { return same_word(wanted, word); });
}

}  // namespace

void handle(const Call& call, ListGroupsRequest request) {
  call.broker().groups().list(call.context(), [call, request](Result<std::vector<broker::GroupInfo>> groups) {
    ListGroupsResponse response;
    if (!groups) {
      response.error_code = group_error(groups.error());
      return call.reply(response);
    }
    for (const broker::GroupInfo& info : *groups) {
      if (info.kind != broker::GroupKind::stream) continue;
      if (!asked_for(request.states_filter, state_name(info)) || !asked_for(request.types_filter, group_type(info))) continue;
      response.groups.push_back({info.name, protocol_type(info), state_name(info), std::string(group_type(info))});
    }
    call.reply(response);
  });
}

namespace {

void fill(const broker::GroupInfo& info, bool operations, DescribeGroupsResponse::Group& group) {
  group.group_state = state_name(info);
  group.protocol_type = protocol_type(info);
  if (operations) group.authorized_operations = kGroupOperations;
  if (broker_assigns(info)) {
    group.protocol_data = "tidemark";
    for (const broker::MemberInfo& member : info.members) {
      std::optional<std::string> instance;
      if (!member.instance.empty()) instance = member.instance;
      group.members.push_back({member.member, instance, member.client_id, "/" + member.host, write_subscription(info.topics),
                               write_assignment(member.partitions)});
    }
  } else if (info.classic) {
    group.protocol_data = info.classic->protocol_name;
    for (const auto& member : info.classic->members) {
      group.members.push_back(
          {member.member_id, member.instance_id, member.client_id, member.client_host, member.metadata, member.assignment});
    }
  }
}

}  // namespace

void handle(const Call& call, DescribeGroupsRequest request) {
  constexpr int kSaysNotFound = 6;
  auto gather = Gather<DescribeGroupsResponse>::begin(call);
  gather->response.groups.resize(request.groups.size());
  for (std::size_t i = 0; i < request.groups.size(); ++i) {
    gather->response.groups[i].group_id = request.groups[i];
    const auto put = [i, version = call.version(), operations = request.include_authorized_operations](DescribeGroupsResponse& response,
                                                                                                       Result<broker::GroupInfo> info) {
      DescribeGroupsResponse::Group& group = response.groups[i];
      if (info) return fill(*info, operations, group);
      group.group_state = "Dead";
      if (info.error().code != Errc::unknown_group) {
        group.error_code = group_error(info.error());
      } else if (version >= kSaysNotFound) {
        group.error_code = ErrorCode::group_id_not_found;
        group.error_message = info.error().detail;
      }
    };
    call.broker().groups().describe(call.context(), request.groups[i], gather->part<broker::GroupInfo>(put));
  }
  gather->end_part();
}

void handle(const Call& call, DeleteGroupsRequest request) {
  auto gather = Gather<DeleteGroupsResponse>::begin(call);
  gather->response.results.resize(request.groups_names.size());
  for (std::size_t i = 0; i < request.groups_names.size(); ++i) {
    gather->response.results[i].group_id = request.groups_names[i];
    const auto put = [i](DeleteGroupsResponse& response, Status removed) {
      if (removed) return;
      ErrorCode& code = response.results[i].error_code;
      code = group_error(removed.error());
      if (removed.error().code == Errc::unknown_group) code = ErrorCode::group_id_not_found;
      if (removed.error().code == Errc::conflict) code = ErrorCode::non_empty_group;
      if (removed.error().code == Errc::invalid_argument) code = ErrorCode::invalid_group_id;
    };
    call.broker().groups().remove(call.context(), request.groups_names[i], gather->part<void>(put));
  }
  gather->end_part();
}

}  // namespace tidemark::kafka
