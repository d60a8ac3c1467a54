#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "broker/queues/queues_impl.h"
#include "broker/queues/stream_group_ids.h"
#include "broker/queues/stream_groups.h"

/// What the parts of StreamGroups share.
namespace tidemark::broker {

using QueuePartitionPtr = std::shared_ptr<QueuePartition>;

/// Runs `call` on the shard of the partition; its answer comes back to the calling one.
template <class T>
void on_stream_group(QueuesImpl& impl, const StreamGroupName& name, Done<T> done,
                     UniqueFunction<void(const QueuePartitionPtr&, Done<T>)> call) {
  if (!validate_group_name(name.group) || is_internal_group(name.group)) return done(impl.unknown({name.group, name.where.topic}));
  Result<QueueId> id = impl.identify({name.group, name.where.topic});
  if (!id) return done(std::move(id).error());
  impl.on_partition<T>(*id, name.where.partition, std::move(done), [call = std::move(call)](QueuePartition& queue, Done<T> answer) mutable {
    call(queue.shared_from_this(), std::move(answer));
  });
}

/// The member may be made if it is not there.
inline std::optional<Error> member_refusal(const QueueWindow& window, const std::string& member) {
  if (member.size() > kGroupNameBytesMax) {
    return Error{Errc::invalid_argument, "a member name has at most " + std::to_string(kGroupNameBytesMax) + " bytes"};
  }
  if (window.member(member) || window.members().size() < kMembersMax) return std::nullopt;
  return Error{Errc::overloaded, "a queue group knows at most " + std::to_string(kMembersMax) + " members"};
}

}  // namespace tidemark::broker
